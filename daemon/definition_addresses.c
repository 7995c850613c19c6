/* SPDX-License-Identifier: ISC */
/* The addresses of a definition: as people write them, and whose they are. */
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>

#include "daemon/daemon.h"
#include "daemon/definition.h"

/* --- from JSON --- */

/* The words for an address that is to be given: in a list it stands as one without bytes. */
static const char *const wishes[] = {"pool", "pool6"};

static bool is_wish(const struct ip_address *address)
{
	static const uint8_t none[sizeof(address->bytes)];
	return ip_address_is_set(address) && memcmp(address->bytes, none, sizeof(none)) == 0;
}

static int read_one(const char *text, struct ip_address *out, struct error *err)
{
	for (int family = 0; text && family < 2; family++)
		if (strcmp(text, wishes[family]) == 0) {
			*out = (struct ip_address){.family = family ? AF_INET6 : AF_INET};
			return 0;
		}
	if (!text || ip_address_parse(text, out, NULL) < 0 || is_wish(out))
		return error_set(err, -EINVAL,
			"'%.60s' is no address such as 10.77.0.5 or fd00::5, nor pool or pool6",
			text ? text : "");
	return 0;
}

static int read_address(
	struct ip_address *to, uint8_t family, const json_t *value, struct error *err)
{
	struct ip_address address;
	const char *text = json_string_value(value);
	if (!text || ip_address_parse(text, &address, NULL) < 0 || address.family != family ||
		is_wish(&address))
		return error_set(err, -EINVAL, "write an %s address such as %s",
			family == AF_INET ? "IPv4" : "IPv6",
			family == AF_INET ? "10.77.0.5" : "fd00::5");
	*to = address;
	return 0;
}

int definition_read_ipv4(void *to, size_t size, const json_t *value, struct error *err)
{
	(void)size;
	return read_address(to, AF_INET, value, err);
}

int definition_read_ipv6(void *to, size_t size, const json_t *value, struct error *err)
{
	(void)size;
	return read_address(to, AF_INET6, value, err);
}

/* One more of its family, behind those that are there. */
static int append(
	struct ip_address list[ADDRESSES_MAX], const struct ip_address *address, struct error *err)
{
	struct ip_address *first = &list[address->family == AF_INET6], *free = NULL;
	unsigned of_family = 0;
	for (size_t i = ADDRESSES_MAX; i-- > 0;) {
		of_family += list[i].family == address->family;
		if (i >= 2 && !ip_address_is_set(&list[i]))
			free = &list[i];
	}
	if (of_family == ADDRESSES_OF_FAMILY)
		return error_set(err, -EINVAL, "a service has at most %d %s addresses",
			ADDRESSES_OF_FAMILY, address->family == AF_INET ? "IPv4" : "IPv6");
	*(ip_address_is_set(first) ? free : first) = *address;
	return 0;
}

static int read_list(const json_t *json, struct ip_address list[ADDRESSES_MAX], struct error *err)
{
	size_t i;
	json_t *value;
	if (!json_is_array(json) || json_array_size(json) == 0)
		return error_set(err, -EINVAL, "write a list such as [\"10.77.0.5\", \"fd00::5\"]");
	json_array_foreach((json_t *)(uintptr_t)json, i, value)
	{
		struct ip_address address;
		int rc = read_one(json_string_value(value), &address, err);
		if (rc >= 0)
			rc = append(list, &address, err);
		if (rc < 0)
			return error_prefix(err, rc, "%zu. of the list", i + 1);
	}
	return 0;
}

/* Whoever has addresses and wishes for some keeps, in their order, those that are not asked for. */
static void grant_own(struct ip_address list[ADDRESSES_MAX], const struct store_service *def)
{
	for (size_t i = 0; i < ADDRESSES_MAX; i++)
		for (size_t k = 0; k < ADDRESSES_MAX && is_wish(&list[i]); k++)
			if (def->addresses[k].family == list[i].family &&
				!ip_address_listed(list, &def->addresses[k]))
				list[i] = def->addresses[k];
}

/* What the list says of a family takes the place of all that was of it; the other family stays. */
static int use_list(struct ip_address list[ADDRESSES_MAX], const json_t *json,
	struct store_service *def, struct error *err)
{
	static const char *const keys[] = {"ipv4", "ipv6"};
	grant_own(list, def);
	struct ip_address all[ADDRESSES_MAX] = {0};
	char given[IP_ADDRESS_TEXT], first[IP_ADDRESS_TEXT];
	for (int family = 0; family < 2; family++) {
		bool listed = ip_address_is_set(&list[family]);
		const struct ip_address *from = listed ? list : def->addresses;
		const struct ip_address *one = &def->addresses[family];
		if (listed && json_object_get(json, keys[family]) &&
			!ip_address_equal(one, &list[family]))
			return error_set(err, -EINVAL,
				"begins with %s, and %s says %s: leave %s out",
				ip_address_print(&list[family], first), keys[family],
				ip_address_print(one, given), keys[family]);
		for (size_t i = 0; i < ADDRESSES_MAX; i++)
			if (from[i].family == (family ? AF_INET6 : AF_INET))
				append(all, &from[i], NULL);
	}
	memcpy(def->addresses, all, sizeof(all));
	return 0;
}

static int check_once(const struct store_service *def, struct error *err)
{
	char text[IP_ADDRESS_TEXT];
	for (size_t i = 0; i < ADDRESSES_MAX; i++)
		for (size_t k = 0; k < i; k++)
			if (ip_address_is_set(&def->addresses[i]) && !is_wish(&def->addresses[i]) &&
				ip_address_equal(&def->addresses[i], &def->addresses[k]))
				return error_set(err, -EINVAL,
					"addresses: %s is there twice: write each once, the first "
					"of its family first",
					ip_address_print(&def->addresses[i], text));
	return 0;
}

int definition_read_addresses(const json_t *json, struct store_service *def, struct error *err)
{
	struct ip_address list[ADDRESSES_MAX] = {0};
	const json_t *value = json_object_get(json, "addresses");
	int rc = value ? read_list(value, list, err) : 0;
	if (rc >= 0 && value)
		rc = use_list(list, json, def, err);
	if (rc < 0)
		return error_prefix(err, rc, "addresses");
	return check_once(def, err);
}

/* --- whose they are --- */

/* An address outside the bridge's prefix has no way back from the guest. */
static int check_reachable(
	const struct daemon *daemon, const struct ip_address *address, struct error *err)
{
	const struct config *config = daemon->config;
	const struct ip_prefix *network =
		address->family == AF_INET ? &config->network.address : &config->network.address6;
	char text[IP_ADDRESS_TEXT], prefix[IP_PREFIX_TEXT];
	if (!daemon->link || !ip_address_is_set(address) || is_wish(address))
		return 0;
	if (ip_prefix_reserves(network, address))
		return error_set(err, -EINVAL, "%s is that of all %s of %s: take another",
			ip_address_print(address, text),
			address->family == AF_INET ? "hosts" : "routers",
			ip_prefix_print(network, prefix));
	if (ip_prefix_contains(network, address))
		return 0;
	if (!ip_address_is_set(&network->address))
		return error_set(err, -EINVAL,
			"%s: guests have no IPv6 on this server: set network.address6",
			ip_address_print(address, text));
	return error_set(err, -EINVAL, "%s is not in the guests' network %s: take one that is",
		ip_address_print(address, text), ip_prefix_print(network, prefix));
}

static struct addresses *addresses_of(struct daemon *daemon, size_t place, uint8_t family)
{
	bool six = family ? family == AF_INET6 : place == 1;
	return six ? &daemon->addresses6 : &daemon->addresses;
}

/* The first of a family is given where there is none and there is a pool; of the others, those that
 * are wished for. */
static int claim_one(struct daemon *daemon, struct store_service *def, size_t place,
	unsigned *claimed, struct error *err)
{
	struct ip_address *address = &def->addresses[place];
	struct addresses *addresses = addresses_of(daemon, place, address->family);
	bool wished = is_wish(address), given = ip_address_is_set(address) && !wished;
	bool has_pool = ip_address_is_set(&addresses->pool.address);
	if (wished && !has_pool)
		return error_set(err, -EINVAL,
			"addresses: there is no %s on this server: set network.%s",
			wishes[address->family == AF_INET6], wishes[address->family == AF_INET6]);
	if (!given && !wished && (place > 1 || !has_pool))
		return 0;
	int rc = given ? addresses_claim(addresses, address, def->name, err)
		       : addresses_give(addresses, def->name, def->addresses, address, err);
	if (rc >= 0)
		*claimed |= 1u << place;
	return rc;
}

/* Text of the user's that gives the guest its first address by `key` does so with this one by
 * `another`, or has it in letters. */
static bool tells(const char *text, const char *key, const char *another, const char *address)
{
	return !text || !strstr(text, key) || strstr(text, another) || strstr(text, address);
}

/* Whether the guest hears of all, as far as that can be seen: our own words say all. */
static int check_told(const struct store_service *def, struct error *err)
{
	unsigned number[2] = {0};
	for (size_t i = 0; i < ADDRESSES_MAX; i++) {
		bool six = def->addresses[i].family == AF_INET6;
		char text[IP_ADDRESS_TEXT], first[8], another[16];
		if (!ip_address_is_set(&def->addresses[i]) || ++number[six] == 1)
			continue;
		ip_address_print(&def->addresses[i], text);
		snprintf(first, sizeof(first), "{ipv%d", six ? 6 : 4);
		snprintf(another, sizeof(another), "%s_%u", first, number[six]);
		if (!tells(def->kernel_line, first, another, text))
			return error_set(err, -EINVAL,
				"addresses: kernel_line says nothing of %s: write %s} or "
				"%s_prefix} into it",
				text, another, another);
		if (!tells(def->domain_xml, first, "{cmdline}", text))
			return error_set(err, -EINVAL,
				"addresses: domain_xml says nothing of %s: write it or {cmdline} "
				"into it",
				text);
	}
	return 0;
}

int definition_claim(
	struct daemon *daemon, struct store_service *def, unsigned *claimed, struct error *err)
{
	*claimed = 0;
	int rc = 0;
	for (size_t i = 0; rc >= 0 && i < ADDRESSES_MAX; i++)
		rc = check_reachable(daemon, &def->addresses[i], err);
	for (size_t i = 0; rc >= 0 && i < ADDRESSES_MAX; i++)
		rc = claim_one(daemon, def, i, claimed, err);
	return rc < 0 ? rc : check_told(def, err);
}

void definition_settle(
	struct daemon *daemon, const struct store_service *def, unsigned claimed, bool stored)
{
	void (*settle)(struct addresses *, const struct ip_address *) =
		stored ? addresses_keep : addresses_release;
	for (size_t i = 0; i < ADDRESSES_MAX; i++)
		if (claimed & 1u << i)
			settle(addresses_of(daemon, i, def->addresses[i].family),
				&def->addresses[i]);
}

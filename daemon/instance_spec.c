/* SPDX-License-Identifier: ISC */
/* What a backend is told to start: a service's definition, and what its instance has. */
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>

#include "daemon/daemon.h"
#include "daemon/instance.h"

/* Values of the service's addresses of one family, as its command line has them; "" for what it has
 * not. */
struct family_values {
	unsigned count;
	char plain[ADDRESSES_OF_FAMILY][IP_ADDRESS_TEXT];
	char prefix[ADDRESSES_OF_FAMILY][IP_PREFIX_TEXT];
	char gateway[IP_ADDRESS_TEXT];
};

struct values {
	struct family_values ipv4, ipv6;
	char mac[MAC_ADDRESS_TEXT];
};

static void describe_address(const struct ip_address *address, const struct ip_prefix *network,
	struct family_values *out)
{
	struct ip_prefix prefix = {*address, (uint8_t)(ip_address_size(address) * 8)};
	if (out->count == ADDRESSES_OF_FAMILY)
		return;
	if (ip_prefix_contains(network, address))
		prefix.length = network->length;
	ip_address_print(address, out->plain[out->count]);
	ip_prefix_print(&prefix, out->prefix[out->count]);
	ip_address_print(&network->address, out->gateway);
	out->count++;
}

static void describe(
	const struct service *service, const struct instance *instance, struct values *values)
{
	const struct config *config = service->daemon->config;
	*values = (struct values){0};
	for (size_t i = 0; i < ADDRESSES_MAX; i++) {
		const struct ip_address *address = &instance->addresses[i];
		if (address->family == AF_INET)
			describe_address(address, &config->network.address, &values->ipv4);
		else if (address->family == AF_INET6)
			describe_address(address, &config->network.address6, &values->ipv6);
	}
	mac_address_print(&service->mac, values->mac);
}

static size_t add(
	char *text, size_t size, size_t at, const char *format, const char *a, const char *b)
{
	int length = snprintf(text + at, size - at, format, a, b);
	return length > 0 && (size_t)length < size - at ? at + (size_t)length : at;
}

static size_t add_family(
	char *text, size_t size, size_t at, const char *number, const struct family_values *family)
{
	for (unsigned i = 0; i < family->count; i++)
		at = add(text, size, at, "ip%s=%s ", number, family->prefix[i]);
	return family->count > 0 ? add(text, size, at, "gw%s=%s ", number, family->gateway) : at;
}

/* Our words, and then the user's. */
static void our_line(const struct store_service *def, const char *name, const struct values *values,
	char *text, size_t size)
{
	size_t at = 0;
	text[0] = '\0';
	at = add_family(text, size, at, "", &values->ipv4);
	at = add_family(text, size, at, "6", &values->ipv6);
	at = add(text, size, at, "name=%s%s", name, "");
	if (def->cmdline && def->cmdline[0])
		add(text, size, at, " %s%s", def->cmdline, "");
}

/* The value whose key goes on like this behind "{ipv4" or "{ipv6": }, _prefix} or _gateway}, and for an
 * address after the first _2}, _2_prefix} and so on. NULL: it is no key. */
static const char *family_value(
	const struct family_values *family, const char *at, const char **end)
{
	unsigned place = 0;
	if (at[0] == '_' && at[1] >= '2' && at[1] <= '0' + ADDRESSES_OF_FAMILY) {
		place = (unsigned)(at[1] - '1');
		at += 2;
	}
	const struct {
		const char *rest, *value;
	} keys[] = {{"}", family->plain[place]}, {"_prefix}", family->prefix[place]},
		{"_gateway}", place == 0 ? family->gateway : NULL}};
	for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++) {
		*end = at + strlen(keys[i].rest);
		if (strncmp(at, keys[i].rest, strlen(keys[i].rest)) == 0)
			return keys[i].value;
	}
	return NULL;
}

/* The value that a key stands for at `from`, and where the key ends; NULL: there is none. */
static const char *value_at(
	const char *name, const struct values *values, const char *from, const char **end)
{
	const struct {
		const char *key, *value;
		const struct family_values *family;
	} keys[] = {{"{name}", name, NULL}, {"{mac}", values->mac, NULL},
		{"{ipv4", NULL, &values->ipv4}, {"{ipv6", NULL, &values->ipv6}};
	for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++) {
		*end = from + strlen(keys[i].key);
		if (strncmp(from, keys[i].key, strlen(keys[i].key)) == 0)
			return keys[i].family ? family_value(keys[i].family, *end, end)
					      : keys[i].value;
	}
	return NULL;
}

/* The user's own, with our values where it names them; other braces are its own (rumprun's JSON). */
static void own_line(const struct store_service *def, const char *name, const struct values *values,
	char *text, size_t size)
{
	size_t at = 0;
	text[0] = '\0';
	for (const char *from = def->kernel_line, *end; *from && at + 1 < size;) {
		const char *value = value_at(name, values, from, &end);
		if (value) {
			at = add(text, size, at, "%s%s", value, "");
			from = end;
		} else {
			text[at++] = *from++;
			text[at] = '\0';
		}
	}
}

const char *instance_image_path(
	const struct config *config, const char *image, char *path, size_t size)
{
	if (strchr(image, '/'))
		snprintf(path, size, "%s", image);
	else
		snprintf(path, size, "%s/%s.elf", config->images, image);
	return path;
}

void instance_spec(
	const struct service *service, struct guest_spec *spec, struct instance_texts *texts)
{
	static const struct instance none = {.tap_fd = -1};
	const struct instance *instance = service->instance ? service->instance : &none;
	const struct config *config = service->daemon->config;
	const struct policy *policy = &service->policy->policy;
	const struct store_service *def = &service->def;
	struct values values;
	describe(service, instance, &values);
	/* Of several machines, each serves the name that clients know. */
	(def->kernel_line ? own_line : our_line)(
		def, service->first->def.name, &values, texts->cmdline, sizeof(texts->cmdline));
	*spec = (struct guest_spec){
		.service = def->name,
		.kernel = def->image ? instance_image_path(config, def->image, texts->kernel,
					       sizeof(texts->kernel))
				     : NULL,
		.initrd = def->initrd,
		.cmdline = texts->cmdline,
		.domain_xml = def->domain_xml,
		.memory = def->memory ? def->memory : config->guest.memory,
		.vcpus = def->vcpus ? def->vcpus : 1,
		.tap = instance->tap[0] ? instance->tap : NULL,
		.bridge = config->network.bridge,
		.tap_fd = instance->tap_fd,
		.from_template = policy->start == POLICY_START_SNAPSHOT,
		.expected = policy->shells,
		.kin = service->policy,
		.ready_key = policy->ready == POLICY_READY_KEY ? policy->ready_key : NULL,
		.domain = {def->domain_name, def->uuid, def->nics, def->disks, def->rumprun_config},
		.mac = service->mac,
		.ipv4 = instance->ipv4,
		.ipv6 = instance->ipv6,
	};
}

bool instance_has_template(const struct service *service)
{
	struct instance_texts texts;
	struct guest_spec spec;
	const struct backend *backend = service->backend;
	if (service->policy->policy.start != POLICY_START_SNAPSHOT || !backend->ops->has_template)
		return false;
	instance_spec(service, &spec, &texts);
	return backend->ops->has_template(backend->launcher, &spec);
}

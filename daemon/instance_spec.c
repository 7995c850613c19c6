/* SPDX-License-Identifier: ISC */
/* What a backend is told to start: a service's definition, and what its instance has. */
#include <stdio.h>
#include <string.h>

#include "daemon/daemon.h"
#include "daemon/instance.h"

/* Values of the service, as its command line has them. */
struct values {
	char ipv4[IP_ADDRESS_TEXT], ipv4_prefix[IP_PREFIX_TEXT], ipv4_gateway[IP_ADDRESS_TEXT];
	char ipv6[IP_ADDRESS_TEXT], ipv6_prefix[IP_PREFIX_TEXT], ipv6_gateway[IP_ADDRESS_TEXT];
	char mac[MAC_ADDRESS_TEXT];
};

static void describe_address(const struct ip_address *address, const struct ip_prefix *network,
	char plain[IP_ADDRESS_TEXT], char text[IP_PREFIX_TEXT], char gateway[IP_ADDRESS_TEXT])
{
	struct ip_prefix prefix = {*address, (uint8_t)(ip_address_size(address) * 8)};
	plain[0] = text[0] = gateway[0] = '\0';
	if (!ip_address_is_set(address))
		return;
	if (ip_prefix_contains(network, address))
		prefix.length = network->length;
	ip_address_print(address, plain);
	ip_prefix_print(&prefix, text);
	ip_address_print(&network->address, gateway);
}

static void describe(
	const struct service *service, const struct instance *instance, struct values *values)
{
	const struct config *config = service->daemon->config;
	describe_address(&instance->ipv4, &config->network.address, values->ipv4,
		values->ipv4_prefix, values->ipv4_gateway);
	describe_address(&instance->ipv6, &config->network.address6, values->ipv6,
		values->ipv6_prefix, values->ipv6_gateway);
	mac_address_print(&service->mac, values->mac);
}

static size_t add(
	char *text, size_t size, size_t at, const char *format, const char *a, const char *b)
{
	int length = snprintf(text + at, size - at, format, a, b);
	return length > 0 && (size_t)length < size - at ? at + (size_t)length : at;
}

/* Our words, and then the user's. */
static void our_line(const struct store_service *def, const char *name, const struct values *values,
	char *text, size_t size)
{
	size_t at = 0;
	text[0] = '\0';
	if (values->ipv4[0])
		at = add(text, size, at, "ip=%s gw=%s ", values->ipv4_prefix, values->ipv4_gateway);
	if (values->ipv6[0])
		at = add(text, size, at, "ip6=%s gw6=%s ", values->ipv6_prefix,
			values->ipv6_gateway);
	at = add(text, size, at, "name=%s%s", name, "");
	if (def->cmdline && def->cmdline[0])
		add(text, size, at, " %s%s", def->cmdline, "");
}

/* The user's own, with our values where it names them; other braces are its own (rumprun's JSON). */
static void own_line(const struct store_service *def, const char *name, const struct values *values,
	char *text, size_t size)
{
	const struct {
		const char *key, *value;
	} keys[] = {{"{name}", name}, {"{mac}", values->mac}, {"{ipv4}", values->ipv4},
		{"{ipv4_prefix}", values->ipv4_prefix}, {"{ipv4_gateway}", values->ipv4_gateway},
		{"{ipv6}", values->ipv6}, {"{ipv6_prefix}", values->ipv6_prefix},
		{"{ipv6_gateway}", values->ipv6_gateway}};
	size_t at = 0;
	text[0] = '\0';
	for (const char *from = def->kernel_line; *from && at + 1 < size;) {
		size_t i = 0, count = sizeof(keys) / sizeof(keys[0]);
		while (i < count && strncmp(from, keys[i].key, strlen(keys[i].key)) != 0)
			i++;
		if (i < count) {
			at = add(text, size, at, "%s%s", keys[i].value, "");
			from += strlen(keys[i].key);
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

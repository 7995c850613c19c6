/* SPDX-License-Identifier: ISC */
#include "base/units.h"
#include "daemon/control_internal.h"
#include "daemon/instance.h"
#include "daemon/json_text.h"
#include "daemon/names.h"
#include "daemon/summon.h"
#include "daemon/why.h"

json_t *control_time_json(uint64_t real)
{
	char text[32];
	return json_string(log_time(real, text));
}

static void set_text(json_t *object, const char *key, const char *value)
{
	if (value && value[0])
		json_object_set_new(object, key, json_text(value));
}

static void set_address(json_t *object, const char *key, const struct ip_address *address)
{
	char text[IP_ADDRESS_TEXT];
	set_text(object, key, ip_address_print(address, text));
}

/* Which of several machines it is, and whose. */
static void add_family(json_t *json, const struct service *service)
{
	if (service->first != service)
		set_text(json, "machine_of", service->first->def.name);
	set_address(json, "client", &service->tenant.client);
	if (service->machine_count < 2)
		return;
	json_t *list = json_array();
	for (unsigned i = 1; i < service->machine_count; i++)
		json_array_append_new(list, control_service_json(service->machines[i]));
	json_object_set_new(json, "machines", list);
}

static void set_addresses(json_t *object, const struct ip_address addresses[ADDRESSES_MAX])
{
	json_t *list = json_array();
	char text[IP_ADDRESS_TEXT];
	for (int family = AF_INET; family; family = family == AF_INET ? AF_INET6 : 0)
		for (size_t i = 0; i < ADDRESSES_MAX; i++)
			if (addresses[i].family == family)
				json_array_append_new(
					list, json_string(ip_address_print(&addresses[i], text)));
	json_object_set_new(object, "addresses", list);
}

json_t *control_service_json(const struct service *service)
{
	const struct store_service *def = &service->def;
	char why[WHY_TEXT];
	char mac[MAC_ADDRESS_TEXT], memory[SIZE_TEXT];
	json_t *json = json_pack("{s:s, s:i, s:s, s:s, s:s, s:s, s:b, s:o, s:i, s:i, s:s, s:i}",
		"name", def->name, "id", (int)def->id, "backend", def->backend, "policy",
		def->policy, "mac", mac_address_print(&service->mac, mac), "state",
		lifecycle_state_name(service->state), "pinned", (int)def->pinned, "since",
		control_time_json(service->since), "failures", (int)service->load.failures,
		"waiters", service->summon ? (int)service->summon->waiter_count : 0, "memory",
		size_print(
			def->memory ? def->memory : service->daemon->config->guest.memory, memory),
		"vcpus", def->vcpus ? (int)def->vcpus : 1);
	if (service->daemon->doorbell)
		json_object_set_new(json, "doorbell", control_door_json(service));
	why_explain(service, why);
	set_text(json, "why", why);
	set_text(json, "image", def->image);
	set_text(json, "initrd", def->initrd);
	set_text(json, "cmdline", def->cmdline);
	if (def->kernel_line) /* also where it is empty */
		json_object_set_new(json, "kernel_line", json_text(def->kernel_line));
	set_text(json, "domain_xml", def->domain_xml);
	if (def->names)
		json_object_set_new(json, "names", names_json(def->names));
	set_text(json, "domain_name", def->domain_name);
	set_text(json, "uuid", def->uuid);
	set_text(json, "nics", def->nics);
	set_text(json, "disks", def->disks);
	set_text(json, "rumprun_config", def->rumprun_config);
	set_address(json, "ipv4", &def->ipv4);
	set_address(json, "ipv6", &def->ipv6);
	set_addresses(json, def->addresses);
	set_text(json, "last_error", service->load.failures ? service->last_error : NULL);
	if (def->pinned && def->pinned_until)
		json_object_set_new(json, "pinned_until", control_time_json(def->pinned_until));
	if (service->last_summon)
		json_object_set_new(
			json, "last_summon", json_integer((json_int_t)service->last_summon));
	if (service->state == STATE_SUSPENDED || service->state == STATE_DEEPENING)
		set_text(json, "rests", service->instance->on_disk ? "disk" : "memory");
	if (service->state == STATE_AWAKE) {
		uint64_t awake = clock_monotonic() - service->load.ready_at;
		json_object_set_new(json, "awake_since", control_time_json(clock_real() - awake));
	}
	add_family(json, service);
	return json;
}

json_t *control_policy_json(const struct policy_entry *entry)
{
	json_t *options = json_object();
	for (size_t i = 0; i < policy_option_count; i++) {
		char value[POLICY_VALUE_MAX + 1];
		if (policy_get(&entry->policy, policy_options[i].name, value, NULL) >= 0)
			json_object_set_new(options, policy_options[i].name, json_string(value));
	}
	return json_pack("{s:s, s:o, s:i}", "name", entry->policy.name, "options", options,
		"services", (int)entry->services);
}

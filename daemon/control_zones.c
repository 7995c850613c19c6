/* SPDX-License-Identifier: ISC */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/units.h"
#include "daemon/control_internal.h"
#include "daemon/keys.h"
#include "daemon/reload.h"

/* Zones and their keys: /v1/zones. */

static json_t *key_json(const struct dns_key *key, const char *zone)
{
	char ds[DNS_KEY_DS_TEXT] = "";
	struct dns_key_info info = dns_key_info(key);
	dns_key_print_ds(key, zone, ds, NULL);
	return json_pack("{s:i, s:s, s:o, s:o, s:s}", "tag", (int)info.tag, "state",
		info.active ? "active" : "published", "created",
		control_time_json(info.created_at * NS_PER_S), "since",
		control_time_json(info.changed_at * NS_PER_S), "ds", ds);
}

static json_t *zone_json(const struct dns_zone_info *zone)
{
	json_t *keys = json_array();
	for (size_t i = 0; i < zone->key_count; i++)
		json_array_append_new(keys, key_json(zone->keys[i], zone->origin));
	return json_pack("{s:s, s:I, s:I, s:b, s:o}", "name", zone->origin, "serial",
		(json_int_t)zone->serial, "records", (json_int_t)zone->records, "signed",
		zone->key_count > 0, "keys", keys);
}

static bool find(const struct control *control, const char *given, struct dns_zone_info *out)
{
	char name[254];
	if (dns_name_canonical(given, name, NULL) < 0)
		return false;
	for (size_t i = 0; dns_zone_info(control->daemon->dns, i, out); i++)
		if (strcmp(out->origin, name) == 0)
			return true;
	return false;
}

/* False after a 404 has been sent. */
static bool find_zone(
	struct control *control, struct http_request *request, struct dns_zone_info *out)
{
	const char *given = http_param(request, "name");
	if (find(control, given, out))
		return true;
	http_respond_error(request, 404, "there is no zone '%s'", given);
	return false;
}

void control_list_zones(void *ctx, struct http_request *request)
{
	struct control *control = ctx;
	struct dns_zone_info zone;
	json_t *zones = json_array();
	for (size_t i = 0; dns_zone_info(control->daemon->dns, i, &zone); i++)
		json_array_append_new(zones, zone_json(&zone));
	http_respond(request, 200, json_pack("{s:o}", "zones", zones));
}

void control_get_zone(void *ctx, struct http_request *request)
{
	struct dns_zone_info zone;
	if (find_zone(ctx, request, &zone))
		http_respond(request, 200, zone_json(&zone));
}

/* --- keys: files are changed on the storage thread, then the zones are read again --- */

enum key_change { KEY_ADD, KEY_ACTIVATE, KEY_REMOVE };

struct change {
	struct control *control;
	struct http_request *request;
	char *state_dir;
	char zone[254];
	enum key_change what;
	uint16_t tag;
	bool unsign;
};

static void finish(struct change *change, int rc, const struct error *err)
{
	struct dns_zone_info zone;
	if (rc < 0)
		http_respond_error(change->request, control_status(rc), "%s", err->message);
	else if (!find(change->control, change->zone, &zone))
		http_respond_error(change->request, 404, "zone '%s' is gone", change->zone);
	else
		http_respond(
			change->request, change->what == KEY_ADD ? 201 : 200, zone_json(&zone));
	free(change->state_dir);
	free(change);
}

static void on_read(void *ctx, int rc, const struct error *err)
{
	finish(ctx, rc, err);
}

static int change_files(struct store *store, void *ctx, struct error *err)
{
	const struct change *change = ctx;
	(void)store;
	switch (change->what) {
	case KEY_ADD:
		return keys_add(change->state_dir, change->zone, err);
	case KEY_ACTIVATE:
		return keys_activate(change->state_dir, change->zone, change->tag, err);
	case KEY_REMOVE:
		return keys_remove(
			change->state_dir, change->zone, change->tag, change->unsign, err);
	}
	return -EINVAL;
}

static void on_changed(void *ctx, int rc, const struct error *err)
{
	struct change *change = ctx;
	struct error failure = ERROR_INIT;
	if (rc >= 0) {
		rc = reload_zones(change->control->daemon, on_read, change, &failure);
		err = &failure;
	}
	if (rc < 0)
		finish(change, rc, err);
}

static bool read_tag(struct http_request *request, uint16_t *out)
{
	const char *text = http_param(request, "tag");
	char *end;
	unsigned long tag = strtoul(text, &end, 10);
	if (*text < '0' || *text > '9' || *end || tag > UINT16_MAX) {
		http_respond_error(request, 404, "'%s' is not the tag of a key", text);
		return false;
	}
	*out = (uint16_t)tag;
	return true;
}

static void start(
	struct control *control, struct http_request *request, enum key_change what, bool unsign)
{
	struct error err = ERROR_INIT;
	struct dns_zone_info zone;
	uint16_t tag = 0;
	if (!find_zone(control, request, &zone) || (what != KEY_ADD && !read_tag(request, &tag)))
		return;
	struct change *change = calloc(1, sizeof(*change));
	char *state_dir = strdup(control->daemon->config->state_dir);
	int rc = change && state_dir ? 0 : error_set(&err, -ENOMEM, "out of memory");
	if (rc >= 0) {
		*change = (struct change){
			control, request, state_dir, .what = what, .tag = tag, .unsign = unsign};
		memcpy(change->zone, zone.origin, sizeof(change->zone));
		rc = storage_run(control->daemon->storage, change_files, on_changed, change, &err);
	}
	if (rc < 0) {
		http_respond_error(request, control_status(rc), "%s", err.message);
		free(state_dir);
		free(change);
	}
}

void control_add_key(void *ctx, struct http_request *request)
{
	start(ctx, request, KEY_ADD, false);
}

void control_activate_key(void *ctx, struct http_request *request)
{
	start(ctx, request, KEY_ACTIVATE, false);
}

void control_remove_key(void *ctx, struct http_request *request)
{
	const char *unsign = http_query(request, "unsign");
	start(ctx, request, KEY_REMOVE, unsign && strcmp(unsign, "true") == 0);
}

/* SPDX-License-Identifier: ISC */
#include "daemon/control.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/units.h"
#include "daemon/console.h"
#include "daemon/control_internal.h"
#include "daemon/instance.h"
#include "daemon/json_text.h"
#include "daemon/names.h"
#include "daemon/summon.h"

/* clang-format off */
static const struct http_route routes[] = {
	{"GET",    "/v1/status",                  HTTP_BODY_NONE, control_get_status},
	{"GET",    "/v1/check",                   HTTP_BODY_NONE, control_get_check},
	{"GET",    "/v1/openapi.json",            HTTP_BODY_NONE, control_get_openapi},
	{"GET",    "/v1/services",                HTTP_BODY_NONE, control_list_services},
	{"GET",    "/v1/services/{name}",         HTTP_BODY_NONE, control_get_service},
	{"PUT",    "/v1/services/{name}",         HTTP_BODY_JSON, control_put_service},
	{"PATCH",  "/v1/services/{name}",         HTTP_BODY_JSON, control_patch_service},
	{"DELETE", "/v1/services/{name}",         HTTP_BODY_NONE, control_delete_service},
	{"PUT",    "/v1/services/{name}/site",    HTTP_BODY_FILE, control_put_site},
	{"POST",   "/v1/services/{name}/wake",    HTTP_BODY_JSON, control_wake},
	{"POST",   "/v1/services/{name}/retire",  HTTP_BODY_JSON, control_retire},
	{"POST",   "/v1/services/{name}/pin",     HTTP_BODY_JSON, control_pin},
	{"POST",   "/v1/services/{name}/unpin",   HTTP_BODY_JSON, control_unpin},
	{"GET",    "/v1/services/{name}/log",     HTTP_BODY_NONE, control_get_log},
	{"GET",    "/v1/policies",                HTTP_BODY_NONE, control_list_policies},
	{"GET",    "/v1/policies/{name}",         HTTP_BODY_NONE, control_get_policy},
	{"PUT",    "/v1/policies/{name}",         HTTP_BODY_JSON, control_put_policy},
	{"PATCH",  "/v1/policies/{name}",         HTTP_BODY_JSON, control_patch_policy},
	{"DELETE", "/v1/policies/{name}",         HTTP_BODY_NONE, control_delete_policy},
	{"GET",    "/v1/policy-options",          HTTP_BODY_NONE, control_list_policy_options},
	{"GET",    "/v1/zones",                   HTTP_BODY_NONE, control_list_zones},
	{"GET",    "/v1/zones/{name}",            HTTP_BODY_NONE, control_get_zone},
	{"POST",   "/v1/zones/{name}/keys",       HTTP_BODY_JSON, control_add_key},
	{"POST",   "/v1/zones/{name}/keys/{tag}/activate", HTTP_BODY_JSON, control_activate_key},
	{"DELETE", "/v1/zones/{name}/keys/{tag}", HTTP_BODY_NONE, control_remove_key},
	{"GET",    "/v1/instances",               HTTP_BODY_NONE, control_list_instances},
	{"GET",    "/v1/summons",                 HTTP_BODY_NONE, control_list_summons},
	{"GET",    "/v1/summons/{id}",            HTTP_BODY_NONE, control_get_summon},
	{"GET",    "/v1/transitions",             HTTP_BODY_NONE, control_list_transitions},
	{"GET",    "/v1/events",                  HTTP_BODY_NONE, control_get_events},
};
/* clang-format on */

int control_create(struct daemon *daemon, struct control **out, struct error *err)
{
	struct control *control = calloc(1, sizeof(*control));
	if (!control)
		return error_set(err, -ENOMEM, "out of memory");
	control->daemon = daemon;
	const struct http_config config = {
		.socket_path = daemon->config->control.socket,
		.mode = daemon->config->control.mode,
		.group = daemon->config->control.group,
		.routes = routes,
		.route_count = sizeof(routes) / sizeof(routes[0]),
		.max_file = daemon->config->control.max_upload,
		.file_dir = daemon->config->state_dir,
	};
	int rc = http_server_create(&daemon->loop, &config, control, &control->http, err);
	if (rc < 0) {
		free(control);
		return rc;
	}
	*out = control;
	return 0;
}

static void on_closed(void *ctx)
{
	struct control *control = ctx;
	control->daemon->control = NULL;
	free(control);
}

void control_destroy(struct control *control)
{
	if (!control)
		return;
	control_measurements_end(control);
	control_listings_end(control);
	http_server_destroy(control->http, on_closed, control);
}

/* --- what all handlers need --- */

int control_status(int rc)
{
	static const struct {
		int rc, status;
	} statuses[] = {
		{-EINVAL, 400},
		{-ENOTSUP, 400},
		{-ENOENT, 404},
		{-EEXIST, 409},
		{-EBUSY, 409},
		{-EPERM, 403},
		{-ENOSPC, 507},
	};
	for (size_t i = 0; i < sizeof(statuses) / sizeof(statuses[0]); i++)
		if (statuses[i].rc == rc)
			return statuses[i].status;
	return 500;
}

/* Also the name of a further machine, as in "www.example.org#2". */
static bool read_name(const char *given, char name[STORE_NAME_MAX + 1])
{
	char first[STORE_NAME_MAX + 2];
	const char *mark = strchr(given, '#');
	if (!mark)
		return dns_name_canonical(given, name, NULL) >= 0;
	snprintf(first, sizeof(first), "%.*s", (int)(mark - given), given);
	if (dns_name_canonical(first, name, NULL) < 0 ||
		strlen(name) + strlen(mark) > STORE_NAME_MAX)
		return false;
	strcat(name, mark);
	return true;
}

struct service *control_find(
	struct control *control, struct http_request *request, const char *given)
{
	char name[STORE_NAME_MAX + 1];
	const struct registry *registry = &control->daemon->registry;
	bool good = read_name(given, name);
	struct service *service = good ? service_by_name(registry, name) : NULL;
	const struct service *owner = good ? service_by_other_name(registry, name) : NULL;
	if (!service && owner)
		http_respond_error(request, 404,
			"'%s' is another name of %s: write that to speak of the service", given,
			owner->def.name);
	else if (!service)
		http_respond_error(request, 404, "there is no service '%s'", given);
	return service;
}

struct service *control_service(struct control *control, struct http_request *request)
{
	return control_find(control, request, http_param(request, "name"));
}

bool control_is_whole(struct http_request *request, const char *name)
{
	if (!strchr(name, '#'))
		return true;
	http_respond_error(request, 409,
		"'%s' is one of the machines of %.*s: it comes, changes and goes with that", name,
		(int)strcspn(name, "#"), name);
	return false;
}

/* --- streams of events --- */

static void on_stream_closed(void *ctx, struct http_stream *stream)
{
	struct control *control = ctx;
	for (size_t i = 0; i < control->listener_count; i++)
		if (control->listeners[i].stream == stream)
			control->listeners[i] = control->listeners[--control->listener_count];
}

struct http_stream *control_listen(
	struct control *control, struct http_request *request, uint32_t service)
{
	if (control->listener_count == CONTROL_LISTENERS_MAX) {
		http_respond_error(
			request, 503, "too many listen already (%d)", CONTROL_LISTENERS_MAX);
		return NULL;
	}
	struct http_stream *stream = http_stream_begin(request, on_stream_closed, control);
	if (stream)
		control->listeners[control->listener_count++] = (struct listener){stream, service};
	return stream;
}

/* Takes over `data`. A listener that cannot keep up is closed under us, so the list is walked from
 * its end. */
static void announce(struct control *control, uint32_t service, const char *event, json_t *data)
{
	for (size_t i = control->listener_count; i-- > 0;)
		if (i < control->listener_count && control->listeners[i].service == service)
			http_stream_event(control->listeners[i].stream, event, data);
	json_decref(data);
}

static bool anyone(const struct control *control, uint32_t service)
{
	for (size_t i = 0; control && i < control->listener_count; i++)
		if (control->listeners[i].service == service)
			return true;
	return false;
}

void control_announce_transition(struct control *control, const struct service *service,
	const struct lifecycle_row *row, uint64_t summon)
{
	if (!anyone(control, 0))
		return;
	announce(control, 0, "transition",
		json_pack("{s:s, s:s, s:s, s:s, s:I, s:o}", "service", service->def.name, "from",
			lifecycle_state_name(row->state), "to", lifecycle_state_name(row->next),
			"event", lifecycle_event_name(row->event), "summon", (json_int_t)summon,
			"at", control_time_json(service->since)));
}

void control_announce_summon(struct control *control, const struct summon *summon,
	const char *outcome, const char *detail)
{
	if (!anyone(control, 0))
		return;
	json_t *stages = json_array();
	for (enum summon_stage stage = 0; stage < STAGE_COUNT; stage++)
		if (summon->stages[stage])
			json_array_append_new(stages,
				json_pack("{s:s, s:I}", "name", summon_stage_name(stage), "at_ns",
					(json_int_t)(summon->stages[stage] - summon->began)));
	uint64_t end =
		summon->stages[STAGE_ANSWERED] ? summon->stages[STAGE_ANSWERED] : clock_monotonic();
	announce(control, 0, "summon",
		json_pack("{s:I, s:s, s:s, s:s, s:o, s:I, s:i, s:o, s:o}", "id",
			(json_int_t)summon->id, "service", summon->service->def.name, "cause",
			summon->cause, "outcome", outcome, "started",
			control_time_json(summon->began_real), "elapsed_ns",
			(json_int_t)(end - summon->began), "waiters", (int)summon->answered,
			"detail", json_text(detail), "stages", stages));
}

void control_announce_service(struct control *control, const char *name, const char *change)
{
	if (anyone(control, 0))
		announce(control, 0, "service",
			json_pack("{s:s, s:s}", "name", name, "change", change));
}

void control_follow(
	struct control *control, struct http_request *request, const struct service *service)
{
	size_t length = 0;
	char *text = service->console ? console_copy(service->console, &length) : NULL;
	struct http_stream *stream = control_listen(control, request, service->def.id);
	if (stream && text) {
		json_t *data = json_pack("{s:o}", "text", json_text_of(text, length));
		http_stream_event(stream, "output", data);
		json_decref(data);
	}
	free(text);
}

void control_announce_output(
	struct control *control, const struct service *service, const uint8_t *data, size_t length)
{
	if (anyone(control, service->def.id))
		announce(control, service->def.id, "output",
			json_pack("{s:o}", "text", json_text_of((const char *)data, length)));
}

void control_end_output(struct control *control, const struct service *service)
{
	for (size_t i = control ? control->listener_count : 0; i-- > 0;) {
		struct listener ended = control->listeners[i];
		if (ended.service != service->def.id)
			continue;
		control->listeners[i] = control->listeners[--control->listener_count];
		http_stream_end(ended.stream);
	}
}

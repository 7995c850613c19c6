/* SPDX-License-Identifier: ISC */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/units.h"
#include "daemon/console.h"
#include "daemon/control_internal.h"
#include "daemon/idle.h"
#include "daemon/instance.h"
#include "daemon/pins.h"
#include "daemon/summon.h"

/* False after a 400 has been sent: a misspelt key must not read as an absent one. */
static bool has_only(struct http_request *request, const char *known)
{
	const char *key;
	json_t *value;
	json_object_foreach(http_body(request), key, value)
	{
		if (strcmp(key, known) == 0)
			continue;
		http_respond_error(request, 400, "'%.40s' is no key here: write %s", key, known);
		return false;
	}
	return true;
}

/* --- wake --- */

static void on_woken(void *ctx, const struct summon *summon, const char *failure)
{
	struct http_request *request = ctx;
	if (failure) {
		http_respond_error(request, 502, "%s", failure);
		return;
	}
	http_respond(request, 200,
		json_pack("{s:I, s:s, s:I}", "summon", (json_int_t)summon->id, "state", "awake",
			"elapsed_ns", (json_int_t)(clock_monotonic() - summon->began)));
}

static void wake(struct service *service, struct http_request *request, bool wait)
{
	struct summon *summon = service_demand(service, "operator", clock_monotonic());
	if (!summon) {
		http_respond_error(request, 500, "out of memory");
		return;
	}
	service->held = true;
	json_int_t id = (json_int_t)summon->id;
	const struct waiter waiter = {.done = on_woken, .ctx = request};
	if (!wait)
		http_respond(request, 202, json_pack("{s:I}", "summon", id));
	else if (summon_join(summon, &waiter) < 0)
		http_respond_error(request, 503, "too many wait for this service already");
}

void control_wake(void *ctx, struct http_request *request)
{
	struct control *control = ctx;
	struct service *service = control_service(control, request);
	if (!service)
		return;
	if (!has_only(request, "wait"))
		return;
	json_t *wait = json_object_get(http_body(request), "wait");
	if (wait && !json_is_boolean(wait)) {
		http_respond_error(request, 400, "wait: write true or false");
		return;
	}
	if (service->state == STATE_AWAKE) {
		http_respond(request, 200,
			json_pack(
				"{s:i, s:s, s:i}", "summon", 0, "state", "awake", "elapsed_ns", 0));
		return;
	}
	if (service->backend->failure[0]) {
		http_respond_error(request, 502, "%s", service->backend->failure);
		return;
	}
	/* Events wait until the waiter is among those who are told. */
	registry_hold_events(&control->daemon->registry);
	wake(service, request, json_is_true(wait));
	registry_release_events(&control->daemon->registry);
}

/* --- retire --- */

static const struct {
	const char *word;
	enum policy_retire how;
} hows[] = {
	{"destroy", POLICY_RETIRE_DESTROY},
	{"shutdown", POLICY_RETIRE_SHUTDOWN},
	{"suspend", POLICY_RETIRE_SUSPEND},
	{"snapshot", POLICY_RETIRE_SNAPSHOT},
};

static bool parse_how(const json_t *json, enum policy_retire *how)
{
	if (!json)
		return true;
	for (size_t i = 0; json_is_string(json) && i < sizeof(hows) / sizeof(hows[0]); i++) {
		if (strcmp(json_string_value(json), hows[i].word) != 0)
			continue;
		*how = hows[i].how;
		return true;
	}
	return false;
}

/* What the backend must be able to do for it. */
static unsigned needed(enum policy_retire how)
{
	static const unsigned capabilities[] = {
		[POLICY_RETIRE_DESTROY] = 0,
		[POLICY_RETIRE_SHUTDOWN] = 0, /* it is destroyed where it cannot be asked */
		[POLICY_RETIRE_SUSPEND] = LAUNCHER_CAN_SUSPEND,
		[POLICY_RETIRE_SNAPSHOT] = LAUNCHER_CAN_SNAPSHOT,
	};
	return capabilities[how];
}

/* Awake, or in memory and to go to disk. */
static bool can_be_kept(const struct service *service, enum policy_retire how)
{
	return service->state == STATE_AWAKE ||
	       (service->state == STATE_SUSPENDED && how == POLICY_RETIRE_SNAPSHOT &&
		       !service->instance->on_disk);
}

static void order(struct service *service, enum policy_retire how)
{
	static const char why[] = "an operator wants it";
	if (service->state == STATE_AWAKE) {
		idle_order(service, how, why);
		return;
	}
	service_set_error(service, "it was retired: %s", why);
	service_retire(service, how);
}

void control_retire(void *ctx, struct http_request *request)
{
	struct service *service = control_service(ctx, request);
	if (!service || !has_only(request, "how"))
		return;
	enum policy_retire how = service->policy->policy.retire;
	unsigned able = service->backend->ops->capabilities(service->backend->launcher);
	bool right = parse_how(json_object_get(http_body(request), "how"), &how);
	unsigned wanted = needed(how);
	if (!right) {
		http_respond_error(
			request, 400, "how: write destroy, shutdown, suspend or snapshot");
	} else if (service->state == STATE_ASLEEP) {
		http_respond_error(request, 409, "%s is asleep already", service->def.name);
	} else if ((able & wanted) != wanted) {
		http_respond_error(
			request, 400, "backend %s cannot do that", service->backend->ops->name);
	} else if (wanted && !can_be_kept(service, how)) {
		http_respond_error(request, 409, "%s is %s: only an awake guest can be kept",
			service->def.name, lifecycle_state_name(service->state));
	} else {
		order(service, how);
		http_respond(request, 202,
			json_pack("{s:s}", "state", lifecycle_state_name(service->state)));
	}
}

/* --- pin --- */

struct pin {
	struct control *control;
	struct http_request *request;
	uint32_t id;
	bool pinned;
	uint64_t until; /* real time; 0: for ever */
};

static int pin_work(struct store *store, void *ctx, struct error *err)
{
	struct pin *pin = ctx;
	return store_set_pinned(store, pin->id, pin->pinned, pin->until, err);
}

static void pin_done(void *ctx, int rc, const struct error *err)
{
	struct pin *pin = ctx;
	struct service *service = service_by_id(&pin->control->daemon->registry, pin->id);
	if (rc < 0) {
		http_respond_error(pin->request, control_status(rc), "%s", err->message);
	} else if (!service || service->removed) {
		http_respond_error(pin->request, 404, "it was removed meanwhile");
	} else {
		service->def.pinned = pin->pinned;
		service->def.pinned_until = pin->until;
		pins_watch(service);
		control_announce_service(pin->control, service->def.name, "changed");
		if (pin->pinned && service->state != STATE_AWAKE)
			service_demand(service, "pin", clock_monotonic());
		if (!pin->pinned)
			schedule_act(service);
		http_respond(pin->request, 200, control_service_json(service));
	}
	free(pin);
}

static void set_pinned(
	struct control *control, struct http_request *request, bool pinned, uint64_t until)
{
	struct error err = ERROR_INIT;
	struct service *service = control_service(control, request);
	if (!service)
		return;
	struct pin *pin = malloc(sizeof(*pin));
	if (!pin) {
		http_respond_error(request, 500, "out of memory");
		return;
	}
	*pin = (struct pin){control, request, service->def.id, pinned, until};
	int rc = storage_run(control->daemon->storage, pin_work, pin_done, pin, &err);
	if (rc < 0) {
		http_respond_error(request, control_status(rc), "%s", err.message);
		free(pin);
	}
}

/* "2h" to the moment when that is over. */
static int parse_for(const json_t *json, uint64_t *until, struct error *err)
{
	uint64_t span;
	if (!json)
		return 0;
	if (!json_is_string(json))
		return error_set(err, -EINVAL, "for: write a duration such as \"2h\"");
	int rc = duration_parse(json_string_value(json), &span, err);
	if (rc < 0)
		return error_prefix(err, rc, "for");
	if (span == 0 || span > POLICY_SPAN_MAX)
		return error_set(err, -EINVAL, "for: write a duration of up to 3650d, as in 2h");
	*until = clock_real() + span;
	return 0;
}

void control_pin(void *ctx, struct http_request *request)
{
	uint64_t until = 0;
	struct error err = ERROR_INIT;
	if (!has_only(request, "for"))
		return;
	if (parse_for(json_object_get(http_body(request), "for"), &until, &err) < 0)
		http_respond_error(request, 400, "%s", err.message);
	else
		set_pinned(ctx, request, true, until);
}

void control_unpin(void *ctx, struct http_request *request)
{
	set_pinned(ctx, request, false, 0);
}

/* --- listen --- */

void control_get_log(void *ctx, struct http_request *request)
{
	struct control *control = ctx;
	struct service *service = control_service(control, request);
	if (!service)
		return;
	const char *follow = http_query(request, "follow");
	if (follow && strcmp(follow, "1") == 0) {
		control_follow(control, request, service);
		return;
	}
	size_t length = 0;
	char *text = service->console ? console_copy(service->console, &length) : strdup("");
	if (text)
		http_respond_text(request, "text/plain; charset=utf-8", text, length);
	else
		http_respond_error(request, 500, "out of memory");
}

void control_get_events(void *ctx, struct http_request *request)
{
	control_listen(ctx, request, 0);
}

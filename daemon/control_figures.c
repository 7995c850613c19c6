/* SPDX-License-Identifier: ISC */
#include <stdlib.h>

#include "base/units.h"
#include "daemon/control_internal.h"
#include "daemon/instance.h"

/* Requests that wait for what runs a guest to tell how it does. */

#define LIMIT NS_PER_S /* a guest in process mode can keep its monitor from answering */

struct measurement {
	struct measurement *next;
	struct control *control;
	struct http_request *request;
	uint32_t service;
	struct instance_id instance;
	struct timer *timer;
};

static json_t *figures_json(const struct launcher_figures *f)
{
	const struct {
		const char *name;
		uint64_t value;
	} members[] = {
		{"frames_in", f->frames_in},
		{"bytes_in", f->bytes_in},
		{"frames_out", f->frames_out},
		{"bytes_out", f->bytes_out},
		{"frames_lost", f->frames_lost},
		{"exits", f->exits},
		{"resident", f->resident},
		{"cpu_ns", f->cpu_ns},
	};
	json_t *json = json_pack("{s:s}", "mode", f->mode);
	for (size_t i = 0; i < sizeof(members) / sizeof(members[0]); i++)
		json_object_set_new(json, members[i].name,
			json_integer((json_int_t)(members[i].value & INT64_MAX)));
	return json;
}

/* It is gone afterwards. `figures` may be NULL. */
static void answer(struct measurement *m, const struct launcher_figures *figures)
{
	struct measurement **place = &m->control->measurements;
	struct service *service = service_by_id(&m->control->daemon->registry, m->service);
	while (*place != m)
		place = &(*place)->next;
	*place = m->next;
	timer_cancel(&m->timer);
	if (!service || service->removed) {
		http_respond_error(m->request, 404, "it was removed meanwhile");
	} else {
		json_t *json = control_service_json(service);
		if (figures)
			json_object_set_new(json, "figures", figures_json(figures));
		http_respond(m->request, 200, json);
	}
	free(m);
}

static void on_limit(void *ctx)
{
	answer(ctx, NULL);
}

void control_measure(struct control *control, struct service *service, struct http_request *request)
{
	const struct launcher_ops *ops = service->backend->ops;
	struct measurement *m = service->instance && ops->measure ? calloc(1, sizeof(*m)) : NULL;
	if (!m || timer_start(&control->daemon->loop, &m->timer, LIMIT, on_limit, m) < 0 ||
		ops->measure(service->backend->launcher, service->instance->id, NULL) < 0) {
		if (m)
			timer_cancel(&m->timer);
		free(m);
		http_respond(request, 200, control_service_json(service));
		return;
	}
	m->control = control;
	m->request = request;
	m->service = service->def.id;
	m->instance = service->instance->id;
	m->next = control->measurements;
	control->measurements = m;
}

void control_measured(struct control *control, const struct service *service,
	const struct launcher_figures *figures)
{
	struct measurement *next;
	for (struct measurement *m = control ? control->measurements : NULL; m; m = next) {
		next = m->next;
		if (m->service == service->def.id &&
			instance_id_equal(m->instance, service->instance->id))
			answer(m, figures);
	}
}

void control_measurements_end(struct control *control)
{
	while (control->measurements)
		answer(control->measurements, NULL);
}

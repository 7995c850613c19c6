/* SPDX-License-Identifier: ISC */
#include <stdio.h>
#include <stdlib.h>

#include "base/units.h"
#include "daemon/control_internal.h"
#include "daemon/instance.h"

/* Lists of services, of which there may be a hundred thousand: they are written a part at a time, as
 * queries wait meanwhile. */

#define MACHINES_AT_ONCE 100
#define PAUSE            NS_PER_MS

struct listing {
	struct listing *next;
	struct control *control;
	struct http_request *request;
	json_t *(*make)(const struct service *service); /* NULL: it is not in the list */
	struct timer *timer;
	uint32_t id; /* of the next one */
	bool any;
	FILE *stream; /* writes the text */
	char *text;
	size_t length;
};

static void leave(struct listing *listing)
{
	struct listing **place = &listing->control->listings;
	while (*place != listing)
		place = &(*place)->next;
	*place = listing->next;
	timer_cancel(&listing->timer);
	free(listing);
}

static void finish(struct listing *listing)
{
	fputs("]}", listing->stream);
	bool whole = !ferror(listing->stream);
	if (fclose(listing->stream) == 0 && whole) {
		http_respond_text(
			listing->request, "application/json", listing->text, listing->length);
	} else {
		free(listing->text);
		http_respond_error(listing->request, 500, "out of memory");
	}
	leave(listing);
}

static void abandon(struct listing *listing, const char *why)
{
	fclose(listing->stream);
	free(listing->text);
	http_respond_error(listing->request, 503, "%s", why);
	leave(listing);
}

/* Returns how many machines it has written. */
static unsigned write_one(struct listing *listing, const struct service *service)
{
	json_t *json = listing->make(service);
	if (!json)
		return 0;
	if (listing->any)
		fputc(',', listing->stream);
	listing->any = true;
	json_dumpf(json, listing->stream, JSON_COMPACT);
	json_decref(json);
	return service->machine_count;
}

static void go_on(void *ctx)
{
	struct listing *listing = ctx;
	struct daemon *daemon = listing->control->daemon;
	const struct registry *registry = &daemon->registry;
	for (unsigned done = 0; listing->id < registry->id_limit; listing->id++) {
		const struct service *service = registry->by_id[listing->id];
		if (!service)
			continue;
		if (done >= MACHINES_AT_ONCE) {
			if (timer_start(&daemon->loop, &listing->timer, PAUSE, go_on, listing) < 0)
				abandon(listing, "out of memory");
			return;
		}
		done += write_one(listing, service);
	}
	finish(listing);
}

static void list(struct control *control, struct http_request *request, const char *key,
	json_t *(*make)(const struct service *service))
{
	struct listing *listing = calloc(1, sizeof(*listing));
	if (listing)
		listing->stream = open_memstream(&listing->text, &listing->length);
	if (!listing || !listing->stream) {
		free(listing);
		http_respond_error(request, 500, "out of memory");
		return;
	}
	listing->control = control;
	listing->request = request;
	listing->make = make;
	listing->next = control->listings;
	control->listings = listing;
	fprintf(listing->stream, "{\"%s\":[", key);
	go_on(listing);
}

void control_listings_end(struct control *control)
{
	while (control->listings)
		abandon(control->listings, "this server is about to stop");
}

/* --- what is listed --- */

static json_t *make_service(const struct service *service)
{
	bool is_listed = service->first == service && !service->removed;
	return is_listed ? control_service_json(service) : NULL;
}

void control_list_services(void *ctx, struct http_request *request)
{
	list(ctx, request, "services", make_service);
}

/* Also of those whose services were removed and that are still to end. */
static json_t *make_instance(const struct service *service)
{
	const struct instance *instance = service->instance;
	if (!instance)
		return NULL;
	return json_pack("{s:s, s:i, s:s, s:s, s:s, s:o}", "service", service->def.name,
		"generation", (int)instance->id.generation, "state",
		lifecycle_state_name(service->state), "backend", service->backend->ops->name, "tap",
		instance->tap, "since", control_time_json(instance->started_at));
}

void control_list_instances(void *ctx, struct http_request *request)
{
	list(ctx, request, "instances", make_instance);
}

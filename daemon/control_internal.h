/* SPDX-License-Identifier: ISC */
#ifndef DAEMON_CONTROL_INTERNAL_H
#define DAEMON_CONTROL_INTERNAL_H

#include <jansson.h>

#include "daemon/control.h"
#include "daemon/daemon.h"
#include "daemon/http.h"

/* Shared by the files of the control API (control*.c) and by no others. */

/* Fewer than the connections that the server takes: who listens must not shut out who asks. */
#define CONTROL_LISTENERS_MAX 48

struct listener {
	struct http_stream *stream;
	uint32_t service; /* whose console it follows; 0: /v1/events */
};

struct measurement; /* control_figures.c */
struct listing;     /* control_list.c */

struct control {
	struct daemon *daemon;
	struct measurement *measurements;
	struct listing *listings;
	struct http_server *http;
	struct listener listeners[CONTROL_LISTENERS_MAX];
	size_t listener_count;
};

/* The service of this name, or NULL after a 404 has been sent. */
struct service *control_find(
	struct control *control, struct http_request *request, const char *given);
/* The service of {name}, or NULL after a 404 has been sent. */
struct service *control_service(struct control *control, struct http_request *request);

/* A service that can be defined: false, after a 409 has been sent, for a further machine of one. */
bool control_is_whole(struct http_request *request, const char *name);

/* Turns the request into a stream; 503 where there are too many. NULL then. */
struct http_stream *control_listen(
	struct control *control, struct http_request *request, uint32_t service);

/* A stream of the service's console, which begins with what is kept of it. */
void control_follow(
	struct control *control, struct http_request *request, const struct service *service);

/* The status of an HTTP answer for a negative error. */
int control_status(int rc);

/* With its machines, where it has several. */
json_t *control_service_json(const struct service *service);
/* Of its door. */
json_t *control_door_json(const struct service *service);
/* Counters of the doorbell as a whole; empty where there is none. */
json_t *control_doorbell_json(const struct daemon *daemon);
/* A line for a person about the doorbell, which there is; the result is its level. */
const char *control_doorbell_check(const struct daemon *daemon, char *text, size_t size);
json_t *control_policy_json(const struct policy_entry *entry);
json_t *control_time_json(uint64_t real);

/* control_list.c */
void control_list_services(void *ctx, struct http_request *request);
void control_list_instances(void *ctx, struct http_request *request);
/* Answers all who wait. */
void control_listings_end(struct control *control);

/* control_services.c */
void control_get_service(void *ctx, struct http_request *request);
void control_put_service(void *ctx, struct http_request *request);
void control_patch_service(void *ctx, struct http_request *request);
void control_put_site(void *ctx, struct http_request *request);
void control_delete_service(void *ctx, struct http_request *request);

/* control_sites.c: where the tar of a site is to be kept. -ENAMETOOLONG. */
int control_name_site(
	const struct daemon *daemon, const char *name, char *site, size_t size, struct error *err);
/* Blocking: puts an upload there. */
int control_keep_site(const char *upload, const char *site, struct error *err);
/* Removes a site's tar of ours that no service but `owner` uses; a file of the user's is left alone,
 * however its path is written. */
void control_discard_site(struct daemon *daemon, const char *path, const struct service *owner);

/* control_figures.c: answers with the service as it is, and how its guest does; without that where it
 * is not known in a second. */
void control_measure(
	struct control *control, struct service *service, struct http_request *request);
/* Answers all who wait. */
void control_measurements_end(struct control *control);

/* control_actions.c */
void control_wake(void *ctx, struct http_request *request);
void control_retire(void *ctx, struct http_request *request);
void control_pin(void *ctx, struct http_request *request);
void control_unpin(void *ctx, struct http_request *request);
void control_get_log(void *ctx, struct http_request *request);
void control_get_events(void *ctx, struct http_request *request);

/* control_policies.c */
void control_list_policies(void *ctx, struct http_request *request);
void control_get_policy(void *ctx, struct http_request *request);
void control_put_policy(void *ctx, struct http_request *request);
void control_patch_policy(void *ctx, struct http_request *request);
void control_delete_policy(void *ctx, struct http_request *request);
void control_list_policy_options(void *ctx, struct http_request *request);

/* control_zones.c */
void control_list_zones(void *ctx, struct http_request *request);
void control_get_zone(void *ctx, struct http_request *request);
void control_add_key(void *ctx, struct http_request *request);
void control_activate_key(void *ctx, struct http_request *request);
void control_remove_key(void *ctx, struct http_request *request);

/* control_history.c */
void control_list_summons(void *ctx, struct http_request *request);
void control_get_summon(void *ctx, struct http_request *request);
void control_list_transitions(void *ctx, struct http_request *request);

/* control_status.c */
void control_get_status(void *ctx, struct http_request *request);
void control_get_check(void *ctx, struct http_request *request);
void control_get_openapi(void *ctx, struct http_request *request);

#endif

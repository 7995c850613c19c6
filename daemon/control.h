/* SPDX-License-Identifier: ISC */
#ifndef DAEMON_CONTROL_H
#define DAEMON_CONTROL_H

#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "daemon/lifecycle.h"

/* The control API: what openapi.json describes, over daemon/http.h. Loop thread only. */
struct control;
struct daemon;
struct launcher_figures;
struct service;
struct summon;

int control_create(struct daemon *daemon, struct control **out, struct error *err);
/* NULL is fine. Its handles are closed in later turns; then control->daemon->control is NULL. */
void control_destroy(struct control *control);

/* To everyone who listens to /v1/events; a NULL control is fine. */
void control_announce_transition(struct control *control, const struct service *service,
	const struct lifecycle_row *row, uint64_t summon);
void control_announce_summon(struct control *control, const struct summon *summon,
	const char *outcome, const char *detail);
void control_announce_service(struct control *control, const char *name, const char *change);
/* To everyone who follows this service's console. */
void control_announce_output(
	struct control *control, const struct service *service, const uint8_t *data, size_t length);
/* Its last words are said: who follows its console hears the end. */
void control_end_output(struct control *control, const struct service *service);

/* To everyone who has asked how this service's guest does; a NULL control is fine. */
void control_measured(struct control *control, const struct service *service,
	const struct launcher_figures *figures);

#endif

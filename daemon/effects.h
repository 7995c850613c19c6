/* SPDX-License-Identifier: ISC */
#ifndef DAEMON_EFFECTS_H
#define DAEMON_EFFECTS_H

#include "base/error.h"
#include "daemon/lifecycle.h"

struct service;

/* Runs one effect of a row. Only service.c calls this; it turns a failure into an event. */
int effect_run(struct service *service, enum lifecycle_effect effect, struct error *err);

#endif

/* SPDX-License-Identifier: ISC */
#ifndef SUMMONCTL_SCENE_H
#define SUMMONCTL_SCENE_H

#include <jansson.h>

#include "summonctl/command.h"

/*
 * What is rehearsed, as summond-rehearse takes it: {"policies", "services"}, as the API gives them,
 * when they were so ("as_of", seconds), {"sim"}, the settings of its backend, "tail" and "https". Each of these returns an enum exit_code
 * and has said what is wrong.
 */

/* The policies and services of the daemon. */
int scene_of_daemon(struct context *context, json_t **out);
/* A file as `apply` reads it, laid over a scene: its policies and services take the place of those of
 * the same name. */
int scene_apply(json_t *scene, const char *file);

/* How long guests take: as --boot, --resume and --restore say, else as the daemon's recorded summons
 * do (with `summons`, else NULL), service by service, else as guests of ours usually do. `told` gets a
 * line for a person. */
int scene_set_delays(json_t *scene, const struct arguments *arguments, const json_t *summons,
	char *told, size_t size);

#endif

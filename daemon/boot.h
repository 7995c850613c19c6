/* SPDX-License-Identifier: ISC */
#ifndef DAEMON_BOOT_H
#define DAEMON_BOOT_H

#include "base/error.h"

/* The daemon's beginning, its changes while it runs, and its end, in the order in which they must
 * happen. main.c reads the command line and calls these. */
struct daemon;
struct config;

/* Everything up to the moment before the loop runs. Takes over the config, where it succeeds or
 * not. On failure daemon_finish() is still due. */
int daemon_init(
	struct daemon *daemon, const char *config_path, struct config *config, struct error *err);
/* Runs until it is told to end. */
void daemon_run(struct daemon *daemon);
/* Guests live on. */
void daemon_finish(struct daemon *daemon);

#endif

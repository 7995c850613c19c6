/* SPDX-License-Identifier: ISC */
#ifndef DAEMON_ISOLATE_H
#define DAEMON_ISOLATE_H

#include "base/error.h"

/* Gives up for good what the daemon and its children never need. To be called before any thread
 * is made; does nothing for what the process does not have. */
int isolate(struct error *err);

#endif

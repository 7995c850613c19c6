/* SPDX-License-Identifier: ISC */
#ifndef SUMMON_XL_CONSOLE_H
#define SUMMON_XL_CONSOLE_H

#include <libxl.h>
#include <stdint.h>
#include <xenstore.h>

#include "base/error.h"

/*
 * A domain's console is the pty that xenconsoled keeps for it. (The ring itself has one reader, and
 * xenconsoled takes that place on every host.) It is to be read always: xenconsoled gives up what
 * is too much for it.
 */

/* Waits until xenconsoled has made it; its path. */
int console_find(libxl_ctx *ctx, uint32_t domid, char *path, size_t size, struct error *err);
/* A descriptor that does not block, or -1. */
int console_open(const char *path);
/* Waits until xenconsoled has taken everything out of the ring of a domain that has stopped, or for
 * a second: so that its last words are not lost with it. */
void console_settle(struct xs_handle *store, uint32_t domid);

#endif

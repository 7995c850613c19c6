/* SPDX-License-Identifier: ISC */
#ifndef DAEMON_KEYS_H
#define DAEMON_KEYS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "dns/key.h"

/*
 * The keys of signed zones, in state_dir/keys: ZONE.TAG.pem, and ZONE.active, a link to the one that
 * signs. All of these read and write files: not on the loop thread. Zones are canonical names.
 */
#define KEYS_MAX 4

struct key_set {
	struct dns_key *key[KEYS_MAX];
	size_t count;
};

/* The keys of a zone; none where it is not signed. A set without an active key is an error that
 * says what to do. */
int keys_read(const char *state_dir, const char *zone, struct key_set *out, struct error *err);
void keys_release(struct key_set *set);

/* Makes a key; the first one is active. -ENOSPC where there are KEYS_MAX. */
int keys_add(const char *state_dir, const char *zone, struct error *err);
/* -ENOENT. */
int keys_activate(const char *state_dir, const char *zone, uint16_t tag, struct error *err);
/* -EBUSY for the active one, but for the last with `unsign`. */
int keys_remove(
	const char *state_dir, const char *zone, uint16_t tag, bool unsign, struct error *err);

#endif

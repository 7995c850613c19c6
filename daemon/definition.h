/* SPDX-License-Identifier: ISC */
#ifndef DAEMON_DEFINITION_H
#define DAEMON_DEFINITION_H

#include <jansson.h>

#include "base/error.h"
#include "db/store.h"

/* A service's definition as people write it (a JSON object) into a struct store_service. */
struct daemon;

/* Fills *def, which has its name and, where the service exists, its id, addresses and pin, from
 * `json`. What is absent gets its default. -EINVAL names the key. On failure *def is to be finished
 * all the same. */
int definition_parse(
	struct daemon *daemon, const json_t *json, struct store_service *def, struct error *err);

/* The same where *def is a definition already: what is absent stays as it is. */
int definition_change(const json_t *json, struct store_service *def, struct error *err);

/* Whether this daemon can serve it: zone, policy, backend. */
int definition_check(struct daemon *daemon, const struct store_service *def, struct error *err);

/* Gives it the addresses that it lacks and claims those it has. `claimed` says which; it is set on
 * failure, too, and definition_settle() ends the claims: stored for ever, or taken back. */
enum { CLAIMED_IPV4 = 1, CLAIMED_IPV6 = 2 };
int definition_claim(
	struct daemon *daemon, struct store_service *def, unsigned *claimed, struct error *err);
void definition_settle(
	struct daemon *daemon, const struct store_service *def, unsigned claimed, bool stored);

/* Blocking, for the storage thread: are its files there and of the right kind? `image` is the path
 * of its image or NULL. Fills in memory where it is 0 and there is an initrd: `memory` and as much
 * as the initrd takes. */
int definition_check_files(
	struct store_service *def, const char *image, uint64_t memory, struct error *err);

/* Whether a guest of the one definition is no guest of the other; whether their addresses differ.
 * What other names there are does not matter to a guest. */
bool definition_boots_differently(const struct store_service *a, const struct store_service *b);
bool definition_moved(const struct store_service *a, const struct store_service *b);

/* definition_domain.c: what it says of the guest's domain. Whether the backend takes it (-ENOTSUP),
 * and no other service has it (-EEXIST). */
struct launcher_ops;
int definition_check_domain(const struct daemon *daemon, const struct store_service *def,
	const struct launcher_ops *ops, struct error *err);
/* Blocking: whether what it needs of the host is there. */
int definition_check_devices(const struct store_service *def, struct error *err);
/* -EINVAL, where it is no file that can be read. */
struct stat;
int definition_check_file(const char *key, const char *path, struct stat *info, struct error *err);

#endif

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

/* definition_addresses.c: gives it the first addresses that it lacks and claims those it has.
 * `claimed` says which, a bit for each place of the list; it is set on failure, too, and
 * definition_settle() ends the claims: stored for ever, or taken back. */
int definition_claim(
	struct daemon *daemon, struct store_service *def, unsigned *claimed, struct error *err);
void definition_settle(
	struct daemon *daemon, const struct store_service *def, unsigned claimed, bool stored);

/* Blocking, for the storage thread: are its files there and of the right kind? `image` is the path
 * of its image or NULL. Fills in memory where it is 0 and there is an initrd: `memory` and as much
 * as the initrd takes. */
int definition_check_files(
	struct store_service *def, const char *image, uint64_t memory, struct error *err);
/* -EINVAL for more than `limit`, of which 0 is none. */
int definition_check_memory(uint64_t memory, uint64_t limit, struct error *err);
/* Blocking: what it fills in for this initrd; 0 where that is no file. */
uint64_t definition_size_for(const char *initrd, uint64_t memory);

/* Whether a guest of the one definition is no guest of the other; whether their addresses differ.
 * What other names there are does not matter to a guest. */
bool definition_boots_differently(const struct store_service *a, const struct store_service *b);
bool definition_moved(const struct store_service *a, const struct store_service *b);

/* The key `addresses`, which takes the place of all addresses of the families in it, and agrees with
 * `ipv4` and `ipv6` where these are there; and whether each address is there once. -EINVAL. */
int definition_read_addresses(const json_t *json, struct store_service *def, struct error *err);
int definition_read_ipv4(void *to, size_t size, const json_t *value, struct error *err);
int definition_read_ipv6(void *to, size_t size, const json_t *value, struct error *err);

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

/* SPDX-License-Identifier: ISC */
#ifndef DB_STORE_H
#define DB_STORE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/address.h"
#include "base/error.h"
#include "policies/policy.h"

/*
 * The store: definitions (services with their addresses, policies), which are durable before a put
 * or remove returns, and the journal (instances, summons, stages, transitions), written in batches
 * and bounded. All calls block; a store is used by one thread at a time (the daemon's storage
 * thread). SQLite, WAL, synchronous=FULL, foreign keys on, migrations numbered by user_version.
 */
struct store;

#define STORE_NAME_MAX    253 /* a domain name as text, without the final dot */
#define STORE_BACKEND_MAX 15
#define STORE_NAMES_MAX   64 /* other names of one service */

/* Opens or makes the database. Migrates an older one; refuses a newer one (-ENOTSUP) and a file
 * that is no database or is damaged (-EUCLEAN), unchanged, with what to do; and one that another
 * process has open (-EBUSY): the lock is held until store_close. A row that cannot be, in any
 * later call, is -EUCLEAN and named. */
int store_open(const char *path, struct store **out, struct error *err);
void store_close(struct store *store);

/* A random identity made with the database: 32 hex digits and NUL, owned by the store. */
const char *store_identity(const struct store *store);

/* Every char * is owned by the struct and may be NULL for "not given". */
struct store_service {
	uint32_t id;                   /* 1 ...; never used again for another service */
	char name[STORE_NAME_MAX + 1]; /* lower case, no final dot; unique */
	char backend[STORE_BACKEND_MAX + 1];
	char policy[POLICY_NAME_MAX + 1]; /* must exist */
	char *image;                      /* a path, or the bare name of an image of ours */
	char *initrd;                     /* a path */
	char *cmdline;                    /* the user's words, behind ours */
	char *domain_xml;                 /* the user's own template, the text itself */
	char *kernel_line;                /* the whole command line, instead of ours and cmdline */
	char *names;                      /* its other names, between blanks; each as `name` */
	char *domain_name;                /* what the hypervisor calls it; this and the */
	char *uuid;                       /* following are for backends that know such */
	char *nics, *disks;               /* base/devices.h */
	char *rumprun_config;             /* a path */
	uint64_t memory;                  /* bytes; 0: the daemon's default */
	uint32_t vcpus;                   /* 0: 1 */
	union {                           /* unique among all services, also past ones */
		struct ip_address addresses[ADDRESSES_MAX]; /* in the order of its guests */
		struct {
			struct ip_address ipv4, ipv6; /* the first of each family */
		};
	};
	bool pinned;
	uint64_t pinned_until; /* real time; 0: for ever */
	uint64_t created_at;   /* real time */
};

void store_service_finish(struct store_service *service);
/* Deep copy; `to` is initialised. -ENOMEM. */
int store_service_copy(struct store_service *to, const struct store_service *from);

/* Inserts where service->id is 0 (and sets id and created_at), else replaces that row but for its pin,
 * which store_set_pinned() alone changes. -EEXIST for a name (own or other) or address in use (an
 * address of a removed service stays reserved for that name; the same name may have it back), -ENOENT
 * for a policy that does not exist. Durable on return, or with the whole of store_together. */
int store_put_service(struct store *store, struct store_service *service, struct error *err);
int store_remove_service(struct store *store, uint32_t id, struct error *err);
/* Runs `work`, which puts and removes, as one change: where it fails, nothing has changed, and what it
 * was told of new ids does not hold. */
int store_together(struct store *store,
	int (*work)(struct store *store, void *ctx, struct error *err), void *ctx,
	struct error *err);
/* `until` as in the struct. */
int store_set_pinned(
	struct store *store, uint32_t id, bool pinned, uint64_t until, struct error *err);

/* 0, or the first negative value that `each` returned. The row is valid during the call only. An
 * `each` may call the store, but not the function that calls it (-EDEADLK); so for all of them. */
int store_each_service(struct store *store,
	int (*each)(void *ctx, const struct store_service *service), void *ctx, struct error *err);

/* Every address that was ever given to a name: what was given up last comes after what was given up
 * before, then what is in use; of several at once the first of its service comes last. */
int store_each_reserved(struct store *store,
	int (*each)(void *ctx, const char *name, const struct ip_address *address), void *ctx,
	struct error *err);

/* Policies. "default" always exists; it can be changed, not removed (-EPERM). A policy in use is
 * not removed (-EBUSY; the message names a service). Only options that differ from the built-in
 * defaults are stored, so that new defaults reach old policies. */
int store_put_policy(struct store *store, const struct policy *policy, struct error *err);
int store_remove_policy(struct store *store, const char *name, struct error *err);
int store_each_policy(struct store *store, int (*each)(void *ctx, const struct policy *policy),
	void *ctx, struct error *err);

/* --- the journal: see history.h --- */

#endif

/* SPDX-License-Identifier: ISC */
#ifndef DNS_KEY_H
#define DNS_KEY_H

#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"

/*
 * Keys of signed zones (ECDSA P-256, RFC 6605), and their files: PEM, with the time of their making
 * in front, of mode 0600. A zone publishes all of its keys and signs with the active one. All of these
 * may be called from any thread; a key is not written to once it is in use.
 */
struct dns_key;

struct dns_key_info {
	uint16_t tag;
	bool active;
	uint64_t created_at, changed_at; /* real time, seconds; the latter: of `active` */
};

int dns_key_create(struct dns_key **out, struct error *err); /* -EIO: OpenSSL failed */
/* -EINVAL for what is no key of ours; -EPERM for a file that others may read. */
int dns_key_load(const char *path, struct dns_key **out, struct error *err);
/* Durable on return; whoever looks sees the old file or the new one. */
int dns_key_save(const struct dns_key *key, const char *path, struct error *err);
struct dns_key *dns_key_keep(struct dns_key *key);
void dns_key_release(struct dns_key *key); /* NULL is fine */

struct dns_key_info dns_key_info(const struct dns_key *key);
/* Before the key is in use. */
void dns_key_set_active(struct dns_key *key, bool active, uint64_t now);

/* "example.test. IN DS 12345 13 2 89AB..." for the parent zone. -EINVAL for a bad name. */
#define DNS_KEY_DS_TEXT 400
int dns_key_print_ds(
	const struct dns_key *key, const char *zone, char text[DNS_KEY_DS_TEXT], struct error *err);

#endif

/* SPDX-License-Identifier: ISC */
#ifndef DRIVERS_XENSTORE_H
#define DRIVERS_XENSTORE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* A client of xenstore (Xen, docs/misc/xenstore.txt). Paths are relative to the domain's own, where
 * they do not begin with a slash. To wait for an answer is to wait until dom0 has had its turn, twice:
 * so only what reads waits, and what else was asked goes with it. */
void xenstore_init(void);

struct xenstore_value {
	const char *path;
	char *out; /* ended by NUL; "" where there is none, or it does not fit */
	size_t size;
};
void xenstore_read(const struct xenstore_value *values, size_t count);
/* Goes with the next read, or flush. */
void xenstore_write(const char *path, const char *value);
/* From now on changes below the path count, and the first of them is that it is watched. Likewise. */
void xenstore_watch(const char *path);
void xenstore_flush(void);
/* True where there was a change since the last call. Does not wait. */
bool xenstore_changed(void);
/* Its events say that there may be a change. */
uint32_t xenstore_port(void);

#endif

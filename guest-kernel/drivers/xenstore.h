/* SPDX-License-Identifier: ISC */
#ifndef DRIVERS_XENSTORE_H
#define DRIVERS_XENSTORE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* A client of xenstore (Xen, docs/misc/xenstore.txt). Paths are relative to the domain's own, where
 * they do not begin with a slash. A request waits for its answer. */
void xenstore_init(void);
/* The value, ended by NUL; false where there is none, or it does not fit. */
bool xenstore_read(const char *path, char *out, size_t size);
bool xenstore_write(const char *path, const char *value);
/* From now on changes below the path count, and the first of them is that it is watched. */
bool xenstore_watch(const char *path);
/* True where there was a change since the last call. Does not wait. */
bool xenstore_changed(void);
/* Its events say that there may be a change. */
uint32_t xenstore_port(void);

#endif

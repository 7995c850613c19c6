/* SPDX-License-Identifier: ISC */
#ifndef DAEMON_RESOLV_H
#define DAEMON_RESOLV_H

#include <stddef.h>
#include <sys/socket.h>

#include "base/error.h"

/* The name servers of a file like /etc/resolv.conf (resolv.conf(5)), at port 53, without those of
 * `own`: this host may have us as its resolver. What is no address is passed over, as the C library
 * does. Returns how many there are, at most `max`; -ENOENT where there is none. */
int resolv_read(const char *path, const struct sockaddr_storage *own, size_t own_count,
	struct sockaddr_storage *out, size_t max, struct error *err);

#endif

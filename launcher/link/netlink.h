/* SPDX-License-Identifier: ISC */
#ifndef LAUNCHER_LINK_NETLINK_H
#define LAUNCHER_LINK_NETLINK_H

#include <linux/netlink.h>
#include <netlink/attr.h>
#include <netlink/msg.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"

/*
 * Requests to the kernel's routing socket (rtnetlink(7)). The kernel handles a request inside the
 * call that sends it, so the answer is there when the call returns: nothing ever waits.
 */
struct netlink {
	int fd;
	uint32_t sequence;
	char hint[120]; /* what the kernel said about the last failure, or "" */
};

int netlink_open(struct netlink *netlink, struct error *err);
/* Another of the kernel's families (NETLINK_NETFILTER). */
int netlink_open_family(struct netlink *netlink, int family, struct error *err);
/* May be called on one that was never opened, where fd is negative. */
void netlink_close(struct netlink *netlink);

/* A request with its fixed header (an ifinfomsg, rtmsg, ...), to be given to netlink_request; NULL
 * without memory, which the functions below take. It holds a page; all of ours are far smaller. */
struct nl_msg *netlink_message(int type, int flags, const void *header, size_t size);
void netlink_put(struct nl_msg *message, int attribute, const void *data, size_t size);
void netlink_put_u32(struct nl_msg *message, int attribute, uint32_t value);
void netlink_put_text(struct nl_msg *message, int attribute, const char *text);

/* Called on each message of the answer; a negative result ends the request with it. */
typedef int (*netlink_fn)(void *ctx, struct nlmsghdr *message);

/* Sends, frees the message, hands each answer to `answer` (may be NULL). Returns 0 or the kernel's
 * negative errno; -EINTR where a dump was changed by somebody meanwhile and has to be repeated. */
int netlink_request(struct netlink *netlink, struct nl_msg *message, netlink_fn answer, void *ctx);

/* Fills *err with the text, the reason of `code`, the kernel's hint, and what to do where that is
 * known; returns `code`. */
int netlink_error(const struct netlink *netlink, struct error *err, int code, const char *format,
	...) __attribute__((format(printf, 4, 5)));

#endif

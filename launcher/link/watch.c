/* SPDX-License-Identifier: ISC */
#include "launcher/link/watch.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/filter.h>
#include <linux/neighbour.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "launcher/link/route.h"

/* What was set down is often set up again at once; and a link that flaps is not to be followed. */
#define DELAY_MS  10
#define PACE_MS   250
#define READ_MOST 4096

/* Where what the filter looks at begins: in struct nlmsghdr, and in what follows it by the type:
 * struct ifinfomsg, ifaddrmsg, ndmsg (whose device is at the same place) and rtmsg. */
enum {
	AT_TYPE = 4,
	AT_PORT = 12, /* whose request it was; 0: nobody's */
	AT_DEVICE = 20,
	AT_PROTOCOL = 21,   /* of a route */
	AT_NEIGHBOUR = 24,  /* its state */
	AT_LINK_CHANGE = 28 /* which flags are other ones */
};

struct watch {
	uv_poll_t poll;
	uv_timer_t timer;
	int fd;
	uint32_t own[2];
	uint64_t last; /* the loop's time when it was last told */
	watch_fn changed;
	void *ctx;
	unsigned handles; /* not yet closed */
};

/* Classic BPF reads words as the network orders them, and netlink's are in the host's order. A jump says
 * how many instructions are left out. A neighbour that somebody deletes has failed first, in his name. */
static int set_filter(const struct watch *watch, int bridge, int doorbell)
{
	struct sock_filter code[] = {
		/* 0 */ BPF_STMT(BPF_LD | BPF_H | BPF_ABS, AT_TYPE),
		/* 1 */ BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, htons(RTM_NEWLINK), 5, 0),
		/* 2 */ BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, htons(RTM_DELLINK), 10, 0),
		/* 3 */ BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, htons(RTM_DELADDR), 9, 0),
		/* 4 */ BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, htons(RTM_NEWNEIGH), 4, 0),
		/* 5 */ BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, htons(RTM_DELROUTE), 10, 0),
		/* 6 */ BPF_STMT(BPF_RET | BPF_K, 0),
		/* 7: a link, up or down */
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, AT_LINK_CHANGE),
		BPF_JUMP(BPF_JMP | BPF_JSET | BPF_K, htonl(IFF_UP), 4, 13),
		/* 9: a neighbour, deleted by somebody */
		BPF_STMT(BPF_LD | BPF_H | BPF_ABS, AT_NEIGHBOUR),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, htons(NUD_FAILED), 0, 11),
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, AT_PORT),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, 0, 9, 0),
		/* 13: of which device */
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, AT_DEVICE),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, htonl((uint32_t)bridge), 3, 0),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, htonl((uint32_t)doorbell), 2, 6),
		/* 16: a route of ours */
		BPF_STMT(BPF_LD | BPF_B | BPF_ABS, AT_PROTOCOL),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, ROUTE_PROTOCOL, 0, 4),
		/* 18: by whom */
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, AT_PORT),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, htonl(watch->own[0]), 2, 0),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, htonl(watch->own[1]), 1, 0),
		/* 21, 22 */
		BPF_STMT(BPF_RET | BPF_K, UINT32_MAX),
		BPF_STMT(BPF_RET | BPF_K, 0),
	};
	struct sock_fprog program = {.len = sizeof(code) / sizeof(code[0]), .filter = code};
	int rc = setsockopt(watch->fd, SOL_SOCKET, SO_ATTACH_FILTER, &program, sizeof(program));
	return rc < 0 ? -errno : 0;
}

int watch_aim(struct watch *watch, int bridge, int doorbell)
{
	return set_filter(watch, bridge, doorbell);
}

static int open_socket(struct watch *watch, const struct watch_config *config)
{
	static const int groups[] = {RTNLGRP_LINK, RTNLGRP_NEIGH, RTNLGRP_IPV4_IFADDR,
		RTNLGRP_IPV6_IFADDR, RTNLGRP_IPV4_ROUTE, RTNLGRP_IPV6_ROUTE};
	for (size_t i = 0; i < 2; i++) {
		struct sockaddr_nl name = {0};
		if (getsockname(config->own[i]->fd, (struct sockaddr *)&name,
			    &(socklen_t){sizeof(name)}) < 0)
			return -errno;
		watch->own[i] = name.nl_pid;
	}
	watch->fd = socket(AF_NETLINK, SOCK_RAW | SOCK_NONBLOCK | SOCK_CLOEXEC, NETLINK_ROUTE);
	int rc = watch->fd < 0 ? -errno : set_filter(watch, config->bridge, config->doorbell);
	/* One without a port of its own does not hear what the kernel, which has none, says. */
	const struct sockaddr_nl any = {.nl_family = AF_NETLINK};
	if (rc == 0 && bind(watch->fd, (const struct sockaddr *)&any, sizeof(any)) < 0)
		rc = -errno;
	for (size_t i = 0; rc == 0 && i < sizeof(groups) / sizeof(groups[0]); i++)
		if (setsockopt(watch->fd, SOL_NETLINK, NETLINK_ADD_MEMBERSHIP, &groups[i],
			    sizeof(groups[i])) < 0)
			rc = -errno;
	return rc;
}

/* --- what is heard --- */

static void on_message(uv_poll_t *poll, int status, int events);

static void on_time(uv_timer_t *timer)
{
	struct watch *watch = timer->data;
	char nothing;
	/* Where there were too many to keep (ENOBUFS), there were some. */
	for (int i = 0; i < READ_MOST; i++)
		if (recv(watch->fd, &nothing, sizeof(nothing), MSG_DONTWAIT) < 0 && errno == EAGAIN)
			break;
	uv_poll_start(&watch->poll, UV_READABLE, on_message);
	watch->last = uv_now(timer->loop);
	watch->changed(watch->ctx);
}

static void on_message(uv_poll_t *poll, int status, int events)
{
	(void)status;
	(void)events;
	struct watch *watch = poll->data;
	uint64_t next = watch->last + PACE_MS, soon = uv_now(poll->loop) + DELAY_MS;
	uv_poll_stop(poll);
	uv_timer_start(&watch->timer, on_time, (next > soon ? next : soon) - uv_now(poll->loop), 0);
}

/* --- its life --- */

int watch_create(
	uv_loop_t *loop, const struct watch_config *config, struct watch **out, struct error *err)
{
	CLEANUP(free) struct watch *watch = calloc(1, sizeof(*watch));
	if (!watch)
		return error_set(err, -ENOMEM, "no memory to watch the network");
	watch->changed = config->changed;
	watch->ctx = config->ctx;
	watch->fd = -1;
	int rc = open_socket(watch, config);
	if (rc == 0)
		rc = uv_poll_init(loop, &watch->poll, watch->fd);
	if (rc < 0) {
		cleanup_close(&watch->fd);
		return error_set(err, rc, "cannot watch the network: %s", strerror(-rc));
	}
	uv_timer_init(loop, &watch->timer);
	watch->handles = 2;
	watch->poll.data = watch->timer.data = watch;
	uv_poll_start(&watch->poll, UV_READABLE, on_message);
	*out = STEAL_POINTER(watch);
	return 0;
}

static void handle_closed(uv_handle_t *handle)
{
	struct watch *watch = handle->data;
	if (--watch->handles == 0)
		free(watch);
}

void watch_destroy(struct watch *watch)
{
	if (!watch)
		return;
	uv_close((uv_handle_t *)&watch->poll, handle_closed);
	uv_close((uv_handle_t *)&watch->timer, handle_closed);
	close(watch->fd);
}

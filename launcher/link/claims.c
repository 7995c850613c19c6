/* SPDX-License-Identifier: ISC */
#include "launcher/link/claims.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/filter.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <net/if.h>
#include <net/if_arp.h>
#include <netinet/icmp6.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "launcher/link/mac.h"
#include "launcher/link/usage.h"

enum {
	IPV6_NEXT = ETH_HLEN + 6,
	ICMPV6_TYPE = ETH_HLEN + 40,
	ARP_OPERATION = ETH_HLEN + 7, /* RFC 826 */
	ARP_SENDER = ETH_HLEN + 14,   /* protocol addresses */
	ARP_TARGET = ETH_HLEN + 24,
	ARP_END = ARP_TARGET + 4,
	FRAME_END = ICMPV6_TYPE + 1,
	READ_MOST = 64, /* frames a turn of the loop */
};

/* After a claim nothing is read for so long: what is said in answer goes to every port of the bridge,
 * and a guest could say the same a million times a second. Then the claim is told again: the first
 * answer may have overtaken it on its way to the neighbours. A guest's question is told only then: a
 * neighbour's answer to it goes where that neighbour believes the guest to be. */
#define PAUSE_MS 5

struct claims {
	uv_poll_t poll;
	uv_timer_t pause;
	int fd;
	struct mac_address host;
	claims_fn heard; /* NULL once it has ended */
	void *ctx;
	unsigned handles; /* not yet closed */
};

/* What a reading has found. */
struct found {
	bool claim, question, answer;
};

/* Classic BPF, set before the socket is bound: frames from the MAC that are ARP, or neighbour
 * discovery of hosts. A jump says how many instructions are left out. */
static int set_filter(int fd, const struct mac_address *mac)
{
	struct sock_filter code[] = {
		/* 0 */ BPF_STMT(BPF_LD | BPF_W | BPF_ABS, ETH_ALEN),
		/* 1 */ BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, mac_upper(mac), 0, 11),
		/* 2 */ BPF_STMT(BPF_LD | BPF_H | BPF_ABS, ETH_ALEN + 4),
		/* 3 */ BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, mac_lower(mac), 0, 9),
		/* 4 */ BPF_STMT(BPF_LD | BPF_H | BPF_ABS, 2 * ETH_ALEN),
		/* 5 */ BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, ETH_P_ARP, 6, 0),
		/* 6 */ BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, ETH_P_IPV6, 0, 6),
		/* 7 */ BPF_STMT(BPF_LD | BPF_B | BPF_ABS, IPV6_NEXT),
		/* 8 */ BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, IPPROTO_ICMPV6, 0, 4),
		/* 9 */ BPF_STMT(BPF_LD | BPF_B | BPF_ABS, ICMPV6_TYPE),
		/* 10 */ BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, ND_NEIGHBOR_SOLICIT, 1, 0),
		/* 11 */ BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, ND_NEIGHBOR_ADVERT, 0, 1),
		/* 12 */ BPF_STMT(BPF_RET | BPF_K, FRAME_END),
		/* 13 */ BPF_STMT(BPF_RET | BPF_K, 0),
	};
	struct sock_fprog program = {.len = sizeof(code) / sizeof(code[0]), .filter = code};
	return setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, &program, sizeof(program));
}

static int open_socket(const char *device, const struct mac_address *mac, struct error *err)
{
	struct sockaddr_ll address = {.sll_family = AF_PACKET,
		.sll_protocol = htons(ETH_P_ALL),
		.sll_ifindex = (int)if_nametoindex(device)};
	if (address.sll_ifindex == 0)
		return error_set(err, -errno, "cannot hear the guest on '%.40s': %s", device,
			strerror(errno));
	CLEANUP(close)
	int fd = socket(AF_PACKET, SOCK_RAW | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	/* What goes to the guest may have its MAC, too, where another host on the bridge forges it. */
	if (fd < 0 || set_filter(fd, mac) < 0 ||
		setsockopt(fd, SOL_PACKET, PACKET_IGNORE_OUTGOING, &(int){1}, sizeof(int)) < 0 ||
		bind(fd, (const struct sockaddr *)&address, sizeof(address)) < 0) {
		int code = -errno;
		return error_set(
			err, code, "cannot hear the guest on '%s': %s", device, strerror(-code));
	}
	return steal_fd(&fd);
}

static void on_frames(uv_poll_t *poll, int status, int events);

static void on_pause_over(uv_timer_t *timer)
{
	struct claims *claims = timer->data;
	uv_poll_start(&claims->poll, UV_READABLE, on_frames);
	claims->heard(claims->ctx, false);
}

static bool is_arp(const uint8_t *frame)
{
	return frame[2 * ETH_ALEN] == ETH_P_ARP >> 8 &&
	       frame[2 * ETH_ALEN + 1] == (ETH_P_ARP & 0xff);
}

/* ARP's are answered to the MAC that asks. */
static bool is_question(const uint8_t *frame)
{
	return !is_arp(frame) && frame[ICMPV6_TYPE] == ND_NEIGHBOR_SOLICIT;
}

/* To a question of the host's. Some guests answer its announcement of their address, too, which is an
 * ARP request that comes from that address. */
static bool is_answer(const uint8_t *frame)
{
	if (!is_arp(frame))
		return frame[ICMPV6_TYPE] == ND_NEIGHBOR_ADVERT;
	return frame[ARP_OPERATION] == ARPOP_REPLY &&
	       memcmp(frame + ARP_SENDER, frame + ARP_TARGET, 4) != 0;
}

/* What has come, however much of it is of one kind: the last frame counts as much as the first. The loop comes
 * again for more than READ_MOST. */
static struct found read_frames(const struct claims *claims)
{
	uint8_t frame[FRAME_END] = {0};
	struct found found = {.claim = false};
	for (int i = 0; i < READ_MOST; i++) {
		ssize_t length = recv(claims->fd, frame, sizeof(frame), MSG_DONTWAIT);
		if (length < 0)
			break;
		if (length < ARP_END)
			continue;
		if (memcmp(frame, claims->host.bytes, ETH_ALEN) != 0)
			*(is_question(frame) ? &found.question : &found.claim) = true;
		else if (is_answer(frame))
			found.answer = true;
	}
	return found;
}

static void on_frames(uv_poll_t *poll, int status, int events)
{
	(void)events;
	struct claims *claims = poll->data;
	int code;
	if (status < 0) { /* the tap went down, and may come up again */
		getsockopt(claims->fd, SOL_SOCKET, SO_ERROR, &code, &(socklen_t){sizeof(code)});
		uv_poll_start(poll, UV_READABLE, on_frames);
		return;
	}
	struct found found = read_frames(claims);
	if (found.claim || found.question) {
		uv_poll_stop(poll);
		uv_timer_start(&claims->pause, on_pause_over, PAUSE_MS, 0);
	}
	if (found.claim)
		claims->heard(claims->ctx, false);
	if (found.answer && claims->heard)
		claims->heard(claims->ctx, true);
}

static void handle_closed(uv_handle_t *handle)
{
	struct claims *claims = handle->data;
	if (--claims->handles == 0)
		free(claims);
}

int claims_watch(uv_loop_t *loop, const char *device, const struct mac_address *mac,
	const struct mac_address *host, claims_fn heard, void *ctx, struct claims **out,
	struct error *err)
{
	CLEANUP(close) int fd = open_socket(device, mac, err);
	if (fd < 0)
		return fd;
	CLEANUP(free) struct claims *claims = calloc(1, sizeof(*claims));
	if (!claims)
		return error_set(err, -ENOMEM, "no memory to hear the guest on '%s'", device);
	*claims = (struct claims){.host = *host, .heard = heard, .ctx = ctx, .handles = 2};
	int rc = uv_poll_init(loop, &claims->poll, fd);
	if (rc < 0)
		return error_set(
			err, rc, "cannot hear the guest on '%s': %s", device, uv_strerror(rc));
	uv_timer_init(loop, &claims->pause);
	claims->poll.data = claims->pause.data = claims;
	claims->fd = steal_fd(&fd);
	uv_poll_start(&claims->poll, UV_READABLE, on_frames);
	*out = STEAL_POINTER(claims);
	return 0;
}

void claims_end(struct claims *claims)
{
	if (!claims)
		return;
	claims->heard = NULL;
	uv_close((uv_handle_t *)&claims->poll, handle_closed);
	uv_close((uv_handle_t *)&claims->pause, handle_closed);
	usage_close(claims->poll.loop, claims->fd);
}

/* SPDX-License-Identifier: ISC */
#include "launcher/link/usage.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/filter.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <net/if.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "launcher/link/mac.h"

enum {
	IPV6_NEXT = ETH_HLEN + 6,
	ICMPV6_TYPE = ETH_HLEN + 40,
	ND_FIRST = 133, /* RFC 4861: router solicitation ... redirect */
	ND_LAST = 137,
};

/* Classic BPF: takes what is sent from or to the MAC and to no group, of IPv4, and of IPv6 but for
 * neighbour discovery. A jump says how many instructions are left out. */
static int set_filter(int fd, const struct mac_address *mac)
{
	struct sock_filter code[] = {
		/* 0: to a group */
		BPF_STMT(BPF_LD | BPF_B | BPF_ABS, 0),
		BPF_JUMP(BPF_JMP | BPF_JSET | BPF_K, 1, 17, 0),
		/* 2: to the MAC, */
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, 0),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, mac_upper(mac), 0, 2),
		BPF_STMT(BPF_LD | BPF_H | BPF_ABS, 4),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, mac_lower(mac), 4, 0),
		/* 6: or from it */
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, ETH_ALEN),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, mac_upper(mac), 0, 11),
		BPF_STMT(BPF_LD | BPF_H | BPF_ABS, ETH_ALEN + 4),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, mac_lower(mac), 0, 9),
		/* 10: what it is */
		BPF_STMT(BPF_LD | BPF_H | BPF_ABS, 2 * ETH_ALEN),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, ETH_P_IP, 6, 0),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, ETH_P_IPV6, 0, 6),
		BPF_STMT(BPF_LD | BPF_B | BPF_ABS, IPV6_NEXT),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, IPPROTO_ICMPV6, 0, 3),
		BPF_STMT(BPF_LD | BPF_B | BPF_ABS, ICMPV6_TYPE),
		BPF_JUMP(BPF_JMP | BPF_JGE | BPF_K, ND_FIRST, 0, 1),
		BPF_JUMP(BPF_JMP | BPF_JGT | BPF_K, ND_LAST, 0, 1),
		/* 18, 19 */
		BPF_STMT(BPF_RET | BPF_K, 1),
		BPF_STMT(BPF_RET | BPF_K, 0),
	};
	struct sock_fprog program = {.len = sizeof(code) / sizeof(code[0]), .filter = code};
	return setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, &program, sizeof(program));
}

int usage_open(const char *tap, const struct mac_address *mac, struct error *err)
{
	struct sockaddr_ll address = {.sll_family = AF_PACKET,
		.sll_protocol = htons(ETH_P_ALL),
		.sll_ifindex = (int)if_nametoindex(tap)};
	if (address.sll_ifindex == 0)
		return error_set(
			err, -errno, "cannot watch the use of '%.40s': %s", tap, strerror(errno));
	CLEANUP(close) int fd = socket(AF_PACKET, SOCK_RAW | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	/* The least queue that the kernel gives: it fills with the first frames, and stays so. */
	if (fd < 0 || set_filter(fd, mac) < 0 ||
		setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &(int){1}, sizeof(int)) < 0 ||
		bind(fd, (const struct sockaddr *)&address, sizeof(address)) < 0)
		return error_set(
			err, -errno, "cannot watch the use of '%s': %s", tap, strerror(errno));
	return steal_fd(&fd);
}

/* packet(7), PACKET_STATISTICS: a reading begins the count anew; those that found no room in the
 * queue are among tp_packets. */
uint64_t usage_read(int fd)
{
	struct tpacket_stats stats = {0};
	socklen_t size = sizeof(stats);
	if (getsockopt(fd, SOL_PACKET, PACKET_STATISTICS, &stats, &size) < 0)
		return 0;
	return stats.tp_packets;
}

struct closing {
	uv_work_t work;
	int fd;
};

static void close_one(uv_work_t *work)
{
	close(((struct closing *)work)->fd);
}

static void closed(uv_work_t *work, int status)
{
	if (status < 0)
		close_one(work); /* the loop ends, and the thread never had it */
	free(work);
}

void usage_close(uv_loop_t *loop, int fd)
{
	struct closing *closing = malloc(sizeof(*closing));
	if (closing)
		closing->fd = fd;
	if (closing && uv_queue_work(loop, &closing->work, close_one, closed) == 0)
		return;
	free(closing);
	close(fd);
}

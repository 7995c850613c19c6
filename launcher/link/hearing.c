/* SPDX-License-Identifier: ISC */
#include <errno.h>
#include <linux/filter.h>
#include <linux/if_tun.h>
#include <net/ethernet.h>
#include <netinet/icmp6.h>
#include <string.h>
#include <sys/ioctl.h>

#include "launcher/link/link.h"

/*
 * What a guest hears. A bridge floods: whatever is said to all by one of a thousand guests, and what
 * is said to one of which it does not know where he is, would wake each of them. A thousand that
 * start would cause millions of exits.
 *
 * So a guest's tap drops, by a filter in the kernel, what is not for it: frames to others, questions
 * (ARP, RFC 826; Neighbor Discovery, RFC 4861) for other addresses, answers for all, and what only
 * routers listen to (MLD, RFC 3810; solicitations). Other broadcasts and multicasts it hears.
 */
#define AT_TYPE        12
#define AT_ARP_TARGET  38
#define AT_NEXT_HEADER 20
#define AT_ICMP_TYPE   54
#define ALL_ROUTERS    0x00000002u /* ff02::2, the last four bytes of its Ethernet address */
#define MLD_ROUTERS    0x00000016u /* ff02::16, likewise */
#define SOLICITED_NODE 0xff000000u /* ff02::1:ffXX:XXXX, likewise */
#define ALL            UINT32_MAX

static uint32_t word(const uint8_t *bytes)
{
	return (uint32_t)bytes[0] << 24 | (uint32_t)bytes[1] << 16 | (uint32_t)bytes[2] << 8 |
	       bytes[3];
}

int link_tap_narrow(int fd, const struct mac_address *mac, const struct ip_address *ipv4,
	const struct ip_address *ipv6, struct error *err)
{
	const uint32_t solicited = SOLICITED_NODE | (word(ipv6->bytes + 12) & 0x00ffffff);
	const uint16_t last = (uint16_t)(mac->bytes[4] << 8 | mac->bytes[5]);
	enum { GROUP = 4, GENERAL = 10, DROP = 21, ACCEPT = 22 }; /* places in the program */
#define TO(place, here) ((place) - (here)-1)
	struct sock_filter program[] = {
		/* 0 */ BPF_STMT(BPF_LD | BPF_W | BPF_ABS, 0),
		/* 1 */ BPF_JUMP(BPF_JMP | BPF_JEQ, word(mac->bytes), 0, TO(GROUP, 1)),
		/* 2 */ BPF_STMT(BPF_LD | BPF_H | BPF_ABS, 4),
		/* 3 */ BPF_JUMP(BPF_JMP | BPF_JEQ, last, TO(ACCEPT, 3), 0),
		/* 4 */ BPF_STMT(BPF_LD | BPF_B | BPF_ABS, 0),
		/* 5 */ BPF_JUMP(BPF_JMP | BPF_JSET, 1, 0, TO(DROP, 5)),
		/* 6 */ BPF_STMT(BPF_LD | BPF_H | BPF_ABS, AT_TYPE),
		/* 7 */ BPF_JUMP(BPF_JMP | BPF_JEQ, ETHERTYPE_ARP, 0, TO(GENERAL, 7)),
		/* 8 */ BPF_STMT(BPF_LD | BPF_W | BPF_ABS, AT_ARP_TARGET),
		/* 9 */ BPF_JUMP(BPF_JMP | BPF_JEQ, word(ipv4->bytes), TO(ACCEPT, 9), TO(DROP, 9)),
		/* 10 */ BPF_JUMP(BPF_JMP | BPF_JEQ, ETHERTYPE_IPV6, 0, TO(ACCEPT, 10)),
		/* 11 */ BPF_STMT(BPF_LD | BPF_W | BPF_ABS, 2),
		/* 12 */ BPF_JUMP(BPF_JMP | BPF_JEQ, solicited, TO(ACCEPT, 12), 0),
		/* 13 */ BPF_JUMP(BPF_JMP | BPF_JEQ, ALL_ROUTERS, TO(DROP, 13), 0),
		/* 14 */ BPF_JUMP(BPF_JMP | BPF_JEQ, MLD_ROUTERS, TO(DROP, 14), 0),
		/* 15 */ BPF_STMT(BPF_ALU | BPF_AND, SOLICITED_NODE),
		/* 16 */ BPF_JUMP(BPF_JMP | BPF_JEQ, SOLICITED_NODE, TO(DROP, 16), 0),
		/* 17 */ BPF_STMT(BPF_LD | BPF_B | BPF_ABS, AT_NEXT_HEADER),
		/* 18 */ BPF_JUMP(BPF_JMP | BPF_JEQ, IPPROTO_ICMPV6, 0, TO(ACCEPT, 18)),
		/* 19 */ BPF_STMT(BPF_LD | BPF_B | BPF_ABS, AT_ICMP_TYPE),
		/* 20 */
		BPF_JUMP(BPF_JMP | BPF_JEQ, ND_NEIGHBOR_ADVERT, TO(DROP, 20), TO(ACCEPT, 20)),
		/* 21 */ BPF_STMT(BPF_RET | BPF_K, 0),
		/* 22 */ BPF_STMT(BPF_RET | BPF_K, ALL),
	};
#undef TO
	struct sock_fprog filter = {.len = sizeof(program) / sizeof(program[0]), .filter = program};
	if (ioctl(fd, TUNATTACHFILTER, &filter) < 0)
		return error_set(err, -errno, "what a tap hears: %s", strerror(errno));
	return 0;
}

/* SPDX-License-Identifier: ISC */
#include <errno.h>
#include <linux/filter.h>
#include <linux/if_tun.h>
#include <net/ethernet.h>
#include <netinet/icmp6.h>
#include <netinet/ip_icmp.h>
#include <string.h>
#include <sys/ioctl.h>

#include "launcher/link/hearing.h"
#include "launcher/link/link.h"
#include "launcher/link/mac.h"

/*
 * What a guest hears. A bridge floods: whatever is said to all by one of a thousand guests, and what
 * is said to one of which it does not know where he is, would wake each of them. A thousand that
 * start would cause millions of exits.
 *
 * So a guest's tap drops, by a filter in the kernel, what is not for it: frames to others, questions
 * (ARP, RFC 826; Neighbor Discovery, RFC 4861) for other addresses, answers for all, and what only
 * routers listen to (MLD, RFC 3810; solicitations). Other broadcasts and multicasts it hears.
 *
 * Of what is for it alone it drops redirects: by these a host that passes on what two guests say to one
 * another tells them to do without it, which isolated ports of a bridge cannot (link_isolate).
 */
#define AT_TYPE        12
#define AT_PROTOCOL    23
#define AT_ICMP4_TYPE  34 /* of a packet without IP options, as the host's own are */
#define AT_ARP_SENDER  28
#define AT_ARP_TARGET  38
#define AT_FRAGMENT    20
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

/* --- the program --- */

#define PROGRAM_MAX 80

struct program {
	struct sock_filter code[PROGRAM_MAX];
	unsigned size;
};

static void load(struct program *program, uint16_t size, uint32_t at)
{
	program->code[program->size++] =
		(struct sock_filter)BPF_STMT((uint16_t)(BPF_LD | BPF_ABS | size), at);
}

static void say(struct program *program, bool accept)
{
	program->code[program->size++] =
		(struct sock_filter)BPF_STMT(BPF_RET | BPF_K, accept ? ALL : 0);
}

/* Ends with this verdict where what is loaded is `value`. */
static void settle_if(struct program *program, uint32_t value, bool accept)
{
	program->code[program->size++] =
		(struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, value, 0, 1);
	say(program, accept);
}

/* Begins what is only for frames where it is `value`; end_part() says where it ends. */
static unsigned begin_part(struct program *program, uint32_t value)
{
	program->code[program->size] =
		(struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, value, 0, 0);
	return program->size++;
}

static void end_part(struct program *program, unsigned begin)
{
	program->code[begin].jf = (uint8_t)(program->size - begin - 1);
}

/* RFC 792; RFC 4861, 4.5. */
static void drop_redirects(struct program *program)
{
	load(program, BPF_H, AT_TYPE);
	unsigned six = begin_part(program, ETHERTYPE_IPV6);
	load(program, BPF_B, AT_NEXT_HEADER);
	unsigned icmp6 = begin_part(program, IPPROTO_ICMPV6);
	load(program, BPF_B, AT_ICMP_TYPE);
	settle_if(program, ND_REDIRECT, false);
	end_part(program, icmp6);
	say(program, true);
	end_part(program, six);
	unsigned four = begin_part(program, ETHERTYPE_IP);
	load(program, BPF_B, AT_PROTOCOL);
	unsigned icmp = begin_part(program, IPPROTO_ICMP);
	load(program, BPF_H, AT_FRAGMENT); /* but of the first it is no header that follows */
	program->code[program->size++] =
		(struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JSET | BPF_K, 0x1fff, 0, 1);
	say(program, true);
	load(program, BPF_B, AT_ICMP4_TYPE);
	settle_if(program, ICMP_REDIRECT, false);
	end_part(program, icmp);
	end_part(program, four);
}

/* What would have a guest go round the host: that another guest is where it is. */
static void drop_claims(struct program *program)
{
	load(program, BPF_H, AT_TYPE);
	unsigned arp = begin_part(program, ETHERTYPE_ARP);
	load(program, BPF_W, AT_ARP_SENDER);
	program->code[program->size++] = (struct sock_filter)BPF_STMT(BPF_MISC | BPF_TAX, 0);
	load(program, BPF_W, AT_ARP_TARGET);
	program->code[program->size++] =
		(struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_X, 0, 0, 1);
	say(program, false);
	say(program, true);
	end_part(program, arp);
	unsigned six = begin_part(program, ETHERTYPE_IPV6);
	load(program, BPF_B, 0);
	unsigned group = begin_part(program, 0x33);
	load(program, BPF_B, AT_NEXT_HEADER);
	unsigned icmp = begin_part(program, IPPROTO_ICMPV6);
	load(program, BPF_B, AT_ICMP_TYPE);
	settle_if(program, ND_NEIGHBOR_ADVERT, false);
	end_part(program, icmp);
	say(program, true);
	end_part(program, group);
	end_part(program, six);
}

static void hear_own(struct program *program, const struct mac_address *mac)
{
	load(program, BPF_W, 0);
	unsigned part = begin_part(program, mac_upper(mac));
	load(program, BPF_H, 4);
	unsigned own = begin_part(program, mac_lower(mac));
	drop_redirects(program);
	say(program, true);
	end_part(program, own);
	end_part(program, part);
	/* Of what is for one it hears no more. */
	load(program, BPF_B, 0);
	program->code[program->size++] =
		(struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JSET | BPF_K, 1, 1, 0);
	say(program, false);
}

static void hear_arp(struct program *program, const struct ip_address *addresses, size_t count)
{
	unsigned part = begin_part(program, ETHERTYPE_ARP);
	load(program, BPF_W, AT_ARP_TARGET);
	for (size_t i = 0; i < count; i++)
		if (addresses[i].family == AF_INET)
			settle_if(program, word(addresses[i].bytes), true);
	say(program, false);
	end_part(program, part);
}

static void hear_ipv6(struct program *program, const struct ip_address *addresses, size_t count)
{
	unsigned part = begin_part(program, ETHERTYPE_IPV6);
	load(program, BPF_W, 2);
	for (size_t i = 0; i < count; i++)
		if (addresses[i].family == AF_INET6)
			settle_if(program,
				SOLICITED_NODE | (word(addresses[i].bytes + 12) & 0x00ffffff),
				true);
	settle_if(program, ALL_ROUTERS, false);
	settle_if(program, MLD_ROUTERS, false);
	program->code[program->size++] =
		(struct sock_filter)BPF_STMT(BPF_ALU | BPF_AND | BPF_K, SOLICITED_NODE);
	settle_if(program, SOLICITED_NODE, false);
	load(program, BPF_B, AT_NEXT_HEADER);
	unsigned icmp = begin_part(program, IPPROTO_ICMPV6);
	load(program, BPF_B, AT_ICMP_TYPE);
	settle_if(program, ND_NEIGHBOR_ADVERT, false);
	end_part(program, icmp);
	end_part(program, part);
}

/* Each address takes two instructions; the rest takes fewer than 60. */
_Static_assert(60 + 2 * ADDRESSES_MAX <= PROGRAM_MAX, "there is room for all addresses");

static int attach(int fd, struct program *program)
{
	struct sock_fprog filter = {.len = (uint16_t)program->size, .filter = program->code};
	return ioctl(fd, TUNATTACHFILTER, &filter) < 0 ? -errno : 0;
}

int hearing_begin(int fd)
{
	struct program program = {.size = 0};
	drop_claims(&program);
	drop_redirects(&program);
	say(&program, true);
	return attach(fd, &program);
}

int link_tap_narrow(int fd, const struct mac_address *mac, const struct ip_address *addresses,
	size_t count, struct error *err)
{
	struct program program = {.size = 0};
	if (count > ADDRESSES_MAX)
		return error_set(err, -EINVAL, "what a tap hears: %zu addresses are more than %d",
			count, ADDRESSES_MAX);
	hear_own(&program, mac);
	load(&program, BPF_H, AT_TYPE);
	hear_arp(&program, addresses, count);
	hear_ipv6(&program, addresses, count);
	say(&program, true);
	int rc = attach(fd, &program);
	return rc < 0 ? error_set(err, rc, "what a tap hears: %s", strerror(-rc)) : 0;
}

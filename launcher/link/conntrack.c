/* SPDX-License-Identifier: ISC */
#include "launcher/link/conntrack.h"

#include <errno.h>
#include <linux/netfilter/nf_conntrack_tcp.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netfilter/nfnetlink_conntrack.h>
#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"

/* Which parts of a tuple a dump is filtered by (net/netfilter/nf_internals.h; Linux 5.8 and later,
 * others give all, and what is given is looked at again here). Not for IPv6: the kernel's filter
 * then leaves out just those that are equal (6.18 does). */
enum { FILTER_SOURCE = 1 };

int conntrack_open(struct conntrack *conntrack, struct error *err)
{
	return netlink_open_family(&conntrack->netlink, NETLINK_NETFILTER, err);
}

void conntrack_close(struct conntrack *conntrack)
{
	netlink_close(&conntrack->netlink);
}

/* --- what is asked --- */

static void put_tuple(struct nl_msg *message, int tuple, const struct ip_address *source)
{
	struct nlattr *outer = message ? nla_nest_start(message, tuple) : NULL;
	struct nlattr *inner = outer ? nla_nest_start(message, CTA_TUPLE_IP) : NULL;
	if (inner) {
		netlink_put(message, source->family == AF_INET6 ? CTA_IP_V6_SRC : CTA_IP_V4_SRC,
			source->bytes, ip_address_size(source));
		nla_nest_end(message, inner);
	}
	if (outer)
		nla_nest_end(message, outer);
}

/* Those whose packets in the direction of `tuple` come from the guest: of the original one, which it
 * has opened; of the reply, which others have, whatever address they had called. */
static struct nl_msg *request(int tuple, const struct ip_address *guest)
{
	const struct nfgenmsg header = {.nfgen_family = guest->family, .version = NFNETLINK_V0};
	struct nl_msg *message = netlink_message(NFNL_SUBSYS_CTNETLINK << 8 | IPCTNL_MSG_CT_GET,
		NLM_F_DUMP, &header, sizeof(header));
	if (guest->family != AF_INET)
		return message;
	put_tuple(message, tuple, guest);
	struct nlattr *filter = message ? nla_nest_start(message, CTA_FILTER) : NULL;
	if (filter) {
		bool original = tuple == CTA_TUPLE_ORIG;
		netlink_put_u32(message, CTA_FILTER_ORIG_FLAGS, original ? FILTER_SOURCE : 0);
		netlink_put_u32(message, CTA_FILTER_REPLY_FLAGS, original ? 0 : FILTER_SOURCE);
		nla_nest_end(message, filter);
	}
	return message;
}

/* --- what is answered --- */

struct counting {
	int tuple;
	const struct ip_address *guest;
	int count;
};

/* An attribute inside others, by a path that ends with 0; NULL where it is not there. */
static struct nlattr *find(struct nlattr *in, const int *path)
{
	for (; in && *path; path++)
		in = nla_find(nla_data(in), nla_len(in), *path);
	return in;
}

static bool is_open(struct nlattr *protocol)
{
	static const int path[] = {CTA_PROTOINFO_TCP, CTA_PROTOINFO_TCP_STATE, 0};
	struct nlattr *state = find(protocol, path);
	if (!state || nla_len(state) < 1)
		return false;
	uint8_t value = nla_get_u8(state);
	return value >= TCP_CONNTRACK_SYN_RECV && value <= TCP_CONNTRACK_CLOSE_WAIT;
}

static int count_one(void *ctx, struct nlmsghdr *message)
{
	struct counting *counting = ctx;
	const int path[] = {CTA_TUPLE_IP,
		counting->guest->family == AF_INET6 ? CTA_IP_V6_SRC : CTA_IP_V4_SRC, 0};
	const int size = (int)sizeof(struct nfgenmsg);
	if (!nlmsg_valid_hdr(message, size))
		return -EIO;
	struct nlattr *source = find(nlmsg_find_attr(message, size, counting->tuple), path);
	bool its = source && (size_t)nla_len(source) == ip_address_size(counting->guest) &&
		   memcmp(nla_data(source), counting->guest->bytes, (size_t)nla_len(source)) == 0;
	if (its && is_open(nlmsg_find_attr(message, size, CTA_PROTOINFO)))
		counting->count++;
	return 0;
}

int conntrack_count(struct conntrack *conntrack, const struct ip_address *address)
{
	static const int tuples[] = {CTA_TUPLE_ORIG, CTA_TUPLE_REPLY};
	struct counting counting = {.guest = address};
	if (conntrack->netlink.fd < 0)
		return -ENOTSUP;
	for (size_t i = 0; i < 2; i++) {
		counting.tuple = tuples[i];
		int rc = netlink_request(
			&conntrack->netlink, request(tuples[i], address), count_one, &counting);
		if (rc < 0)
			return rc;
	}
	return counting.count;
}

bool conntrack_is_used(void)
{
	unsigned count = 0;
	CLEANUP(fclose)
	FILE *file = fopen("/proc/sys/net/netfilter/nf_conntrack_count", "re");
	return file && fscanf(file, "%u", &count) == 1 && count > 0;
}

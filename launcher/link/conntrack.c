/* SPDX-License-Identifier: ISC */
#include "launcher/link/conntrack.h"

#include <errno.h>
#include <linux/netfilter/nf_conntrack_tcp.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netfilter/nfnetlink_conntrack.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/units.h"

/* 20 MB; beyond it every guest counts as connected. */
#define CONNECTIONS_MOST (1u << 20)

/* How often one reading is begun anew, where the table was changed under it. */
#define READINGS_MOST 4

/* --- what is answered; on the thread --- */

static int compare(const void *a, const void *b)
{
	const struct ip_address *x = a, *y = b;
	return x->family != y->family ? x->family - y->family
				      : memcmp(x->bytes, y->bytes, sizeof(x->bytes));
}

static int add(struct conntrack_list *list, size_t most, const struct ip_address *address)
{
	if (list->count == most)
		return -E2BIG;
	if (list->count == list->capacity) {
		size_t capacity = list->capacity ? list->capacity * 2 : 64;
		struct ip_address *items = reallocarray(list->items, capacity, sizeof(*items));
		if (!items)
			return -ENOMEM;
		list->items = items;
		list->capacity = capacity;
	}
	list->items[list->count++] = *address;
	return 0;
}

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

static bool read_source(struct nlattr *tuple, uint8_t family, struct ip_address *out)
{
	const int path[] = {CTA_TUPLE_IP, family == AF_INET6 ? CTA_IP_V6_SRC : CTA_IP_V4_SRC, 0};
	struct nlattr *source = find(tuple, path);
	*out = (struct ip_address){.family = family};
	if (!source || (size_t)nla_len(source) != ip_address_size(out))
		return false;
	memcpy(out->bytes, nla_data(source), (size_t)nla_len(source));
	return true;
}

static bool is_guests(const struct conntrack *conntrack, const struct ip_address *address)
{
	for (size_t i = 0; i < 2; i++)
		if (ip_address_is_set(&conntrack->networks[i].address) &&
			ip_prefix_contains(&conntrack->networks[i], address))
			return true;
	return false;
}

/* A guest's are those whose packets in one direction come from it: in the original one, which it has
 * opened; in the reply's, which others have, whatever address they had called. */
static int take(void *ctx, struct nlmsghdr *message)
{
	static const int tuples[] = {CTA_TUPLE_ORIG, CTA_TUPLE_REPLY};
	struct conntrack *conntrack = ctx;
	const int size = (int)sizeof(struct nfgenmsg);
	if (!nlmsg_valid_hdr(message, size))
		return -EIO;
	const struct nfgenmsg *header = nlmsg_data(message);
	if (!is_open(nlmsg_find_attr(message, size, CTA_PROTOINFO)))
		return 0;
	int rc = 0;
	for (size_t i = 0; rc == 0 && i < 2; i++) {
		struct ip_address source;
		if (read_source(nlmsg_find_attr(message, size, tuples[i]), header->nfgen_family,
			    &source) &&
			is_guests(conntrack, &source))
			rc = add(&conntrack->next, conntrack->most, &source);
	}
	return rc;
}

static int read_once(struct conntrack *conntrack)
{
	int rc = 0;
	conntrack->next.count = 0;
	for (size_t i = 0; rc == 0 && i < 2; i++) {
		const struct nfgenmsg header = {
			.nfgen_family = conntrack->networks[i].address.family,
			.version = NFNETLINK_V0};
		if (header.nfgen_family != AF_UNSPEC)
			rc = netlink_request(&conntrack->netlink,
				netlink_message(NFNL_SUBSYS_CTNETLINK << 8 | IPCTNL_MSG_CT_GET,
					NLM_F_DUMP, &header, sizeof(header)),
				take, conntrack);
	}
	return rc;
}

static void read_all(struct conntrack *conntrack)
{
	struct conntrack_list *next = &conntrack->next;
	for (unsigned i = 0; i < READINGS_MOST; i++) {
		next->failure = read_once(conntrack);
		if (next->failure != -EINTR)
			break;
	}
	if (next->count > 0)
		qsort(next->items, next->count, sizeof(*next->items), compare);
}

static void work(uv_work_t *work)
{
	read_all(work->data);
}

/* --- the loop's --- */

static void release(struct conntrack *conntrack)
{
	netlink_close(&conntrack->netlink);
	free(conntrack->known.items);
	free(conntrack->next.items);
	conntrack->known = conntrack->next = (struct conntrack_list){0};
}

static void done(uv_work_t *work, int status);

static void ask(struct conntrack *conntrack)
{
	conntrack->again = conntrack->busy;
	if (conntrack->busy)
		return;
	conntrack->next.asked_at = clock_monotonic();
	conntrack->work.data = conntrack;
	conntrack->busy = uv_queue_work(conntrack->loop, &conntrack->work, work, done) == 0;
}

static void done(uv_work_t *work, int status)
{
	(void)status; /* never cancelled */
	struct conntrack *conntrack = work->data;
	struct conntrack_list known = conntrack->next;
	conntrack->next = conntrack->known;
	conntrack->known = known;
	conntrack->busy = false;
	if (conntrack->closing)
		release(conntrack);
	else if (conntrack->again)
		ask(conntrack);
}

int conntrack_open(struct conntrack *conntrack, uv_loop_t *loop, const struct ip_prefix networks[2],
	struct error *err)
{
	*conntrack = (struct conntrack){
		.loop = loop, .networks = {networks[0], networks[1]}, .most = CONNECTIONS_MOST};
	return netlink_open_family(&conntrack->netlink, NETLINK_NETFILTER, err);
}

void conntrack_close(struct conntrack *conntrack)
{
	conntrack->closing = true;
	if (!conntrack->busy)
		release(conntrack);
}

bool conntrack_knows(struct conntrack *conntrack, uint64_t since)
{
	if (conntrack->netlink.fd < 0 || conntrack->known.asked_at >= since)
		return true;
	if (!conntrack->busy || conntrack->next.asked_at < since)
		ask(conntrack);
	return !conntrack->busy; /* where no thread can be had, nobody waits for one */
}

/* What a kernel says that tracks nothing, or does not tell us. Whatever else has gone wrong, there may be
 * connections. */
static bool tells_nothing(int failure)
{
	static const int refusals[] = {-EINVAL, -EOPNOTSUPP, -EPROTONOSUPPORT, -EPERM, -EACCES};
	for (size_t i = 0; i < sizeof(refusals) / sizeof(refusals[0]); i++)
		if (failure == refusals[i])
			return true;
	return false;
}

int conntrack_count(const struct conntrack *conntrack, const struct ip_address *address)
{
	const struct conntrack_list *known = &conntrack->known;
	if (conntrack->netlink.fd < 0)
		return -ENOTSUP;
	if (known->asked_at == 0)
		return -EAGAIN;
	if (known->failure < 0)
		return tells_nothing(known->failure) ? known->failure : 1;
	struct ip_address key = {.family = address->family};
	memcpy(key.bytes, address->bytes, ip_address_size(address));
	const struct ip_address *found =
		known->count == 0 ? NULL
				  : bsearch(&key, known->items, known->count, sizeof(key), compare);
	if (!found)
		return 0;
	const struct ip_address *first = found, *last = found, *end = known->items + known->count;
	while (first > known->items && compare(first - 1, &key) == 0)
		first--;
	while (last + 1 < end && compare(last + 1, &key) == 0)
		last++;
	return (int)(last - first + 1);
}

bool conntrack_is_used(void)
{
	unsigned count = 0;
	CLEANUP(fclose)
	FILE *file = fopen("/proc/sys/net/netfilter/nf_conntrack_count", "re");
	return file && fscanf(file, "%u", &count) == 1 && count > 0;
}

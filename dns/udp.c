/* SPDX-License-Identifier: ISC */
#include "dns/udp.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/units.h"
#include "dns/wire.h"

#define BATCH          32  /* datagrams of one system call */
#define QUEUE          256 /* answers that the kernel does not take yet; a multiple of BATCH */
/* Batches of one loop turn: a flood must not keep the rest of the loop waiting. */
#define ROUNDS         8
/* The most that a query may reasonably have: a name, OPT, and a padding option. */
#define QUERY_MAX_SIZE 4096

/* Room for either family's packet information. */
#define CONTROL_SIZE CMSG_SPACE(sizeof(struct in6_pktinfo))

struct inbound {
	struct client client;
	_Alignas(struct cmsghdr) uint8_t control[CONTROL_SIZE];
	uint8_t bytes[QUERY_MAX_SIZE];
};

struct outbound {
	union client_address peer;
	_Alignas(struct cmsghdr) uint8_t control[CONTROL_SIZE];
	uint8_t bytes[ANSWER_MAX_UDP];
};

struct udp_socket {
	/* Of the sockets: queries come in by the one, and answers leave by the other. */
	uv_poll_t readable, writable;
	int in_fd, out_fd;
	bool wildcard;
	int open; /* handles */
	struct responder *responder;
	struct handles *handles;
	unsigned used; /* inbound headers that the kernel wrote into */
	/* Answers wait in a ring; it is empty after nearly every batch and begins anew. */
	unsigned head, queued;
	struct mmsghdr in_header[BATCH], out_header[QUEUE];
	struct iovec in_vector[BATCH], out_vector[QUEUE];
	struct inbound in[BATCH];
	struct outbound out[QUEUE];
};

static void prepare_headers(struct udp_socket *udp)
{
	udp->used = BATCH;
	for (int i = 0; i < BATCH; i++) {
		struct inbound *in = &udp->in[i];
		in->client.udp = udp;
		udp->in_vector[i] = (struct iovec){in->bytes, sizeof(in->bytes)};
		udp->in_header[i].msg_hdr = (struct msghdr){
			.msg_name = &in->client.source,
			.msg_iov = &udp->in_vector[i],
			.msg_iovlen = 1,
		};
	}
	for (int i = 0; i < QUEUE; i++) {
		struct outbound *out = &udp->out[i];
		udp->out_vector[i] = (struct iovec){.iov_base = out->bytes};
		udp->out_header[i].msg_hdr = (struct msghdr){
			.msg_name = &out->peer,
			.msg_iov = &udp->out_vector[i],
			.msg_iovlen = 1,
		};
	}
}

/* What the kernel wrote into the headers is what it reads next time. */
static void reset_headers(struct udp_socket *udp)
{
	for (unsigned i = 0; i < udp->used; i++) {
		struct msghdr *header = &udp->in_header[i].msg_hdr;
		header->msg_namelen = sizeof(union client_address);
		if (udp->wildcard) {
			header->msg_control = udp->in[i].control;
			header->msg_controllen = CONTROL_SIZE;
		}
	}
}

static void read_local(struct msghdr *header, union client_local *local)
{
	for (struct cmsghdr *c = CMSG_FIRSTHDR(header); c; c = CMSG_NXTHDR(header, c)) {
		if (c->cmsg_level == IPPROTO_IP && c->cmsg_type == IP_PKTINFO)
			memcpy(&local->in, CMSG_DATA(c), sizeof(local->in));
		else if (c->cmsg_level == IPPROTO_IPV6 && c->cmsg_type == IPV6_PKTINFO)
			memcpy(&local->in6, CMSG_DATA(c), sizeof(local->in6));
	}
}

/* Only the address is told: the way out is the routing table's choice, but for a link-local
 * address, which means nothing without its interface. */
static void write_local(struct msghdr *header, const struct client *client)
{
	bool ipv4 = client->source.any.sa_family == AF_INET;
	struct in_pktinfo in = {.ipi_spec_dst = client->local.in.ipi_spec_dst};
	struct in6_pktinfo in6 = client->local.in6;
	if (!ipv4 && !IN6_IS_ADDR_LINKLOCAL(&in6.ipi6_addr))
		in6.ipi6_ifindex = 0;
	size_t size = ipv4 ? sizeof(in) : sizeof(in6);
	struct cmsghdr *c = header->msg_control;
	c->cmsg_level = ipv4 ? IPPROTO_IP : IPPROTO_IPV6;
	c->cmsg_type = ipv4 ? IP_PKTINFO : IPV6_PKTINFO;
	c->cmsg_len = CMSG_LEN(size);
	memcpy(CMSG_DATA(c), ipv4 ? (void *)&in : (void *)&in6, size);
	header->msg_controllen = CMSG_SPACE(size);
}

static void address_answer(
	struct udp_socket *udp, unsigned slot, const struct client *client, size_t size)
{
	struct msghdr *header = &udp->out_header[slot].msg_hdr;
	bool ipv4 = client->source.any.sa_family == AF_INET;
	udp->out[slot].peer = client->source;
	udp->out_vector[slot].iov_len = size;
	header->msg_namelen = ipv4 ? sizeof(struct sockaddr_in) : sizeof(struct sockaddr_in6);
	if (udp->wildcard) {
		header->msg_control = udp->out[slot].control;
		write_local(header, client);
	}
}

/* Hands the queue to the kernel as far as it takes it. */
static void flush(struct udp_socket *udp)
{
	while (udp->queued > 0) {
		unsigned run = QUEUE - udp->head;
		if (run > udp->queued)
			run = udp->queued;
		int sent = sendmmsg(udp->out_fd, udp->out_header + udp->head, run, MSG_DONTWAIT);
		if (sent < 0 && errno == EINTR)
			continue;
		if (sent < 0 && errno == EAGAIN)
			return;
		if (sent < 0) {
			/* The first of them cannot be sent (no route, port 0, a firewall). */
			udp->responder->counters.dropped++;
			sent = 1;
		}
		udp->head = (udp->head + (unsigned)sent) % QUEUE;
		udp->queued -= (unsigned)sent;
	}
	udp->head = 0;
}

static unsigned free_slot(const struct udp_socket *udp)
{
	return (udp->head + udp->queued) % QUEUE;
}

static void serve(struct udp_socket *udp, int index, uint64_t now)
{
	struct inbound *in = &udp->in[index];
	struct msghdr *header = &udp->in_header[index].msg_hdr;
	unsigned slot = free_slot(udp);
	struct request request = {
		.client = &in->client,
		.bytes = in->bytes,
		.size = udp->in_header[index].msg_len,
		.received_at = now,
		.may_wait = true,
	};
	/* Of a datagram that was cut only the header is believed: it is malformed. */
	if (header->msg_flags & MSG_TRUNC)
		request.size = DNS_HEADER_SIZE;
	if (udp->wildcard)
		read_local(header, &in->client.local);
	size_t size = respond(udp->responder, &request, udp->out[slot].bytes);
	if (size == 0)
		return;
	address_answer(udp, slot, &in->client, size);
	udp->queued++;
}

static void receive(struct udp_socket *udp)
{
	for (int round = 0; round < ROUNDS && udp->queued <= QUEUE - BATCH; round++) {
		reset_headers(udp);
		int count = recvmmsg(udp->in_fd, udp->in_header, BATCH, MSG_DONTWAIT, NULL);
		udp->used = count > 0 ? (unsigned)count : 0;
		if (count <= 0)
			return;
		uint64_t now = clock_monotonic();
		udp->responder->counters.udp_queries += udp->used;
		for (int i = 0; i < count; i++)
			serve(udp, i, now);
		flush(udp);
		if (count < BATCH)
			return;
	}
}

static void on_ready(uv_poll_t *poll, int status, int events);

/* Queries that waited may be answered once the server has been told to end. */
static void watch(uv_poll_t *poll, int events, bool wanted)
{
	if (wanted == uv_is_active((uv_handle_t *)poll) || uv_is_closing((uv_handle_t *)poll))
		return;
	if (wanted)
		uv_poll_start(poll, events, on_ready);
	else
		uv_poll_stop(poll);
}

/* While answers pile up no more queries are read: they wait in the kernel, and are lost there. */
static void update_watches(struct udp_socket *udp)
{
	watch(&udp->readable, UV_READABLE, udp->queued <= QUEUE - BATCH);
	watch(&udp->writable, UV_WRITABLE, udp->queued > 0);
}

/* An error that the network reported on the socket; reading it clears it. */
static void clear_error(int fd)
{
	int error;
	socklen_t size = sizeof(error);
	getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &size);
}

static void on_ready(uv_poll_t *poll, int status, int events)
{
	struct udp_socket *udp = poll->data;
	/* libuv has stopped watching it then. */
	if (status < 0)
		clear_error(poll == &udp->readable ? udp->in_fd : udp->out_fd);
	if (events & UV_WRITABLE)
		flush(udp);
	if (events & UV_READABLE)
		receive(udp);
	update_watches(udp);
}

void udp_answer(
	struct udp_socket *udp, const struct waiting_query *entry, const struct late_answer *late)
{
	uint8_t lost[ANSWER_MAX_UDP];
	bool full = udp->queued == QUEUE;
	unsigned slot = free_slot(udp);
	size_t size = respond_later(udp->responder, entry, late, answer_limit(&entry->query, false),
		full ? lost : udp->out[slot].bytes);
	if (full || size == 0) {
		udp->responder->counters.dropped++;
		return;
	}
	address_answer(udp, slot, &entry->client, size);
	udp->queued++;
	flush(udp);
	update_watches(udp);
}

static void on_closed(uv_handle_t *handle)
{
	struct udp_socket *udp = handle->data;
	struct handles *handles = udp->handles;
	if (--udp->open > 0)
		return;
	close(udp->in_fd);
	close(udp->out_fd);
	free(udp);
	handles_release(handles);
}

void udp_destroy(struct udp_socket *udp)
{
	if (!udp)
		return;
	uv_close((uv_handle_t *)&udp->readable, on_closed);
	uv_close((uv_handle_t *)&udp->writable, on_closed);
}

int udp_create(uv_loop_t *loop, const struct listen_pair *pair, struct responder *responder,
	struct handles *handles, struct udp_socket **out)
{
	struct udp_socket *udp = calloc(1, sizeof(*udp));
	int rc = udp ? uv_poll_init(loop, &udp->readable, pair->udp) : -ENOMEM;
	if (rc < 0) {
		free(udp);
		close(pair->udp);
		close(pair->udp_out);
		return rc;
	}
	udp->in_fd = pair->udp;
	udp->out_fd = pair->udp_out;
	udp->wildcard = pair->wildcard;
	udp->responder = responder;
	udp->handles = handles;
	udp->readable.data = udp->writable.data = udp;
	udp->open = 1;
	handles->open++;
	rc = uv_poll_init(loop, &udp->writable, udp->out_fd);
	if (rc < 0) {
		uv_close((uv_handle_t *)&udp->readable, on_closed);
		return rc;
	}
	udp->open = 2;
	prepare_headers(udp);
	update_watches(udp);
	*out = udp;
	return 0;
}

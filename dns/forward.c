/* SPDX-License-Identifier: ISC */
#include "dns/forward.h"

#include <errno.h>
#include <ifaddrs.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "base/units.h"
#include "dns/deliver.h"
#include "dns/forward_wire.h"
#include "dns/upstream.h"

#define DEFAULT_MAX     512
#define DEFAULT_TIMEOUT 800 /* ms */
/* A client's stub asks again after 5 s: by then it should know. */
#define MAX_TRIES       3
#define MAX_JOINED      64
/* Datagrams that answer something else: more are an attack, and TCP is the way out. */
#define MAX_FOREIGN     8

/* One question that is being asked. */
struct forwarding {
	LIST_ENTRY(forwarding) link;
	struct forward *forward;
	uv_timer_t timer;
	struct query query; /* of the first client; its question points below */
	uint8_t question[QUESTION_MAX_SIZE];
	unsigned tries, first, foreign;
	bool tcp, looped;
	struct upstream_try *attempt;
	uint8_t sent[FORWARD_QUERY_MAX];
	unsigned joined;
	struct dns_query_id clients[MAX_JOINED];
};

static void on_timer(uv_timer_t *timer);

/* --- its end --- */

static void on_closed(uv_handle_t *handle)
{
	struct forwarding *forwarding = handle->data;
	struct handles *handles = forwarding->forward->handles;
	free(forwarding);
	handles_release(handles);
}

static void end(struct forwarding *forwarding)
{
	upstream_cancel(forwarding->attempt);
	LIST_REMOVE(forwarding, link);
	forwarding->forward->count--;
	uv_close((uv_handle_t *)&forwarding->timer, on_closed);
}

static void answer_all(struct forwarding *forwarding, const struct late_answer *late)
{
	for (unsigned i = 0; i < forwarding->joined; i++)
		deliver(forwarding->forward->responder, forwarding->clients[i], late);
	end(forwarding);
}

static void fail(struct forwarding *forwarding, const char *text)
{
	struct dns_ede ede = {.present = true, .code = DNS_EDE_NO_REACHABLE_AUTHORITY};
	snprintf(ede.text, sizeof(ede.text), "%s", text);
	forwarding->forward->responder->counters.forward_failed++;
	answer_all(forwarding, &(struct late_answer){.reply = DNS_REPLY_SERVFAIL, .ede = &ede});
}

static void pass(struct forwarding *forwarding, const uint8_t *bytes, size_t size)
{
	answer_all(forwarding, &(struct late_answer){.passed = bytes, .passed_size = size});
}

/* --- its tries --- */

static unsigned upstream_of(const struct forwarding *forwarding)
{
	return (forwarding->first + forwarding->tries - 1) % forwarding->forward->upstream_count;
}

static void on_answer(void *ctx, const uint8_t *bytes, size_t size);

/* Asks the present upstream, under a new id. What fails at once is dealt with in the next turn of
 * the loop, as what fails later is. */
static void ask(struct forwarding *forwarding, bool tcp)
{
	struct forward *forward = forwarding->forward;
	struct forward_nonce nonce;
	upstream_cancel(forwarding->attempt);
	forwarding->attempt = NULL;
	forwarding->tcp = tcp;
	forwarding->foreign = 0;
	if (getrandom(&nonce, sizeof(nonce), GRND_NONBLOCK) == sizeof(nonce)) {
		size_t size = forward_write_query(
			&forwarding->query, &nonce, forward->mix && !tcp, forwarding->sent);
		forwarding->attempt = upstream_ask(forward->loop, forward->handles,
			&forward->upstreams[upstream_of(forwarding)], tcp, forwarding->sent, size,
			on_answer, forwarding);
	}
	uv_timer_start(&forwarding->timer, on_timer, forwarding->attempt ? forward->timeout : 0, 0);
}

static void try_next(struct forwarding *forwarding)
{
	if (forwarding->tries == MAX_TRIES) {
		fail(forwarding, "no upstream resolver answered");
		return;
	}
	forwarding->tries++;
	ask(forwarding, false);
}

static void on_timer(uv_timer_t *timer)
{
	struct forwarding *forwarding = timer->data;
	if (forwarding->looped)
		fail(forwarding, "the upstream resolver asks this server");
	else
		try_next(forwarding);
}

static void take_good(struct forwarding *forwarding, const uint8_t *bytes, size_t size)
{
	forwarding->forward->preferred = upstream_of(forwarding);
	pass(forwarding, bytes, size);
}

static void take_foreign(struct forwarding *forwarding)
{
	forwarding->forward->responder->counters.forward_forged++;
	if (forwarding->tcp)
		try_next(forwarding);
	else if (++forwarding->foreign == MAX_FOREIGN)
		ask(forwarding, true);
}

static void on_answer(void *ctx, const uint8_t *bytes, size_t size)
{
	struct forwarding *forwarding = ctx;
	const struct forward *forward = forwarding->forward;
	if (size == 0) {
		try_next(forwarding);
		return;
	}
	switch (forward_read_answer(forwarding->sent, bytes, size)) {
	case FORWARD_GOOD:
		take_good(forwarding, bytes, size);
		break;
	case FORWARD_CASE:
	case FORWARD_TRUNCATED:
		/* Over TCP neither is a reason to doubt. */
		if (forwarding->tcp)
			take_good(forwarding, bytes, size);
		else
			ask(forwarding, true);
		break;
	case FORWARD_FAILED:
		if (forward->upstream_count > 1 && forwarding->tries < MAX_TRIES)
			try_next(forwarding);
		else
			pass(forwarding, bytes, size);
		break;
	case FORWARD_FOREIGN:
		take_foreign(forwarding);
		break;
	}
}

/* --- its beginning --- */

static uint8_t fold(uint8_t byte)
{
	return byte >= 'A' && byte <= 'Z' ? byte | 0x20 : byte;
}

/* Whether one answer serves both. */
static bool asks_the_same(const struct query *a, const struct query *b)
{
	const uint8_t *x = a->question, *y = b->question;
	if (a->question_size != b->question_size || a->type != b->type || a->edns != b->edns ||
		a->dnssec_ok != b->dnssec_ok || (a->checks ^ b->checks) & DNS_FLAG_CD)
		return false;
	for (size_t i = 0; i < a->name_size; i++)
		if (fold(x[i]) != fold(y[i]))
			return false;
	return true;
}

/* Our own query, letter by letter. */
static bool is_ours(const struct forwarding *forwarding, const struct query *query)
{
	return forwarding->attempt && wire_get16(forwarding->sent) == query->id &&
	       memcmp(forwarding->sent + DNS_HEADER_SIZE, query->question, query->question_size) ==
		       0;
}

static struct forwarding *find(struct forward *forward, const struct query *query)
{
	struct forwarding *forwarding;
	LIST_FOREACH(forwarding, &forward->list, link)
	if (asks_the_same(&forwarding->query, query))
		return forwarding;
	return NULL;
}

/* Begins in the next turn of the loop: nobody may be answered from within respond(). */
static struct forwarding *begin(struct forward *forward, const struct query *query)
{
	struct forwarding *forwarding =
		forward->count < forward->max ? calloc(1, sizeof(*forwarding)) : NULL;
	if (!forwarding)
		return NULL;
	forwarding->forward = forward;
	forwarding->first = forward->preferred;
	forwarding->query = *query;
	forwarding->query.question = forwarding->question;
	memcpy(forwarding->question, query->question, query->question_size);
	uv_timer_init(forward->loop, &forwarding->timer);
	forwarding->timer.data = forwarding;
	forward->handles->open++;
	forward->count++;
	LIST_INSERT_HEAD(&forward->list, forwarding, link);
	uv_timer_start(&forwarding->timer, on_timer, 0, 0);
	return forwarding;
}

static enum forward_result take(void *ctx, const struct request *request, const struct query *query)
{
	struct forward *forward = ctx;
	struct responder *responder = forward->responder;
	struct waiting *waiting = &responder->waiting;
	struct dns_query_id id = WAITING_NONE;
	if (!forward->clients || !prefixes_match(forward->clients, &request->client->source.any))
		return FORWARD_PROHIBITED;
	struct forwarding *forwarding = find(forward, query);
	if (forwarding && is_ours(forwarding, query)) {
		forwarding->looped = true;
		uv_timer_start(&forwarding->timer, on_timer, 0, 0);
		responder->counters.forward_loops++;
		return FORWARD_LOOP;
	}
	if (request->may_wait)
		id = waiting_next(waiting, request->client);
	if (id.generation != 0 && !forwarding)
		forwarding = begin(forward, query);
	if (id.generation == 0 || !forwarding || forwarding->joined == MAX_JOINED)
		return FORWARD_BUSY;
	forwarding->clients[forwarding->joined++] = id;
	waiting_put(waiting, request->client, query, request->tsig, 0, request->owner);
	responder->counters.forwarded++;
	return FORWARD_TAKEN;
}

/* --- all of it --- */

static in_port_t port_of(const struct sockaddr *address)
{
	/* At the same place for both families. */
	return ((const struct sockaddr_in *)(const void *)address)->sin_port;
}

static bool is_local(const struct ip_address *address)
{
	struct ifaddrs *all, *at;
	bool found = false;
	if (getifaddrs(&all) < 0)
		return false;
	for (at = all; at && !found; at = at->ifa_next) {
		struct ip_address own = {0};
		if (at->ifa_addr)
			own = ip_address_from_sockaddr(at->ifa_addr);
		found = ip_address_is_set(&own) && ip_address_equal(&own, address);
	}
	freeifaddrs(all);
	return found;
}

/* Another server on this machine has another port or another address. */
static bool is_ourselves(const struct dns_config *config, const struct sockaddr *upstream)
{
	static const uint8_t zero[16];
	struct ip_address address = ip_address_from_sockaddr(upstream);
	for (size_t i = 0; i < config->listen_count; i++) {
		const struct sockaddr *listen = (const struct sockaddr *)&config->listen[i];
		struct ip_address at = ip_address_from_sockaddr(listen);
		if (port_of(listen) != port_of(upstream) || at.family != address.family)
			continue;
		bool all = memcmp(at.bytes, zero, sizeof(zero)) == 0;
		if (ip_address_equal(&at, &address) || (all && is_local(&address)))
			return true;
	}
	return false;
}

int forward_init(struct forward *forward, uv_loop_t *loop, const struct dns_config *config,
	struct responder *responder, struct handles *handles, struct error *err)
{
	char text[IP_ADDRESS_TEXT];
	*forward = (struct forward){
		.loop = loop,
		.responder = responder,
		.handles = handles,
		.max = config->max_forwarded ? config->max_forwarded : DEFAULT_MAX,
		.timeout = config->forward_timeout ? config->forward_timeout / NS_PER_MS
						   : DEFAULT_TIMEOUT,
		.mix = !config->forward_plainly,
	};
	LIST_INIT(&forward->list);
	for (size_t i = 0; i < config->upstream_count; i++) {
		const struct sockaddr *upstream = (const struct sockaddr *)&config->upstreams[i];
		struct ip_address address = ip_address_from_sockaddr(upstream);
		if (is_ourselves(config, upstream))
			return error_set(err, -EINVAL,
				"the upstream resolver %s port %u is this server itself",
				ip_address_print(&address, text), ntohs(port_of(upstream)));
		if (forward->upstream_count == FORWARD_MAX_UPSTREAMS)
			return error_set(err, -EINVAL, "there are more than %d upstream resolvers",
				FORWARD_MAX_UPSTREAMS);
		memcpy(&forward->upstreams[forward->upstream_count++], upstream,
			sizeof(forward->upstreams[0]));
	}
	if (forward->upstream_count > 0) {
		responder->forward = take;
		responder->forward_ctx = forward;
	}
	return 0;
}

void forward_finish(struct forward *forward)
{
	struct forwarding *forwarding;
	while ((forwarding = LIST_FIRST(&forward->list)))
		end(forwarding);
}

/* SPDX-License-Identifier: ISC */
#include "dns/respond.h"

#include <string.h>

#include "base/units.h"
#include "dns/forward_wire.h"
#include "dns/transfer.h"
#include "dns/wire.h"

static uint32_t real_seconds(void)
{
	return (uint32_t)(clock_real() / NS_PER_S);
}

static void count(struct dns_counters *counters, const struct answer *answer)
{
	if (answer->truncated)
		return;
	switch (answer->rcode) {
	case DNS_RCODE_NOERROR:
		if (answer_has_records(answer))
			counters->answered++;
		else
			counters->nodata++;
		break;
	case DNS_RCODE_FORMERR:
		counters->malformed++;
		break;
	case DNS_RCODE_SERVFAIL:
		counters->servfail++;
		break;
	case DNS_RCODE_NXDOMAIN:
		counters->nxdomain++;
		break;
	case DNS_RCODE_REFUSED:
		counters->refused++;
		break;
	default:
		counters->unsupported++;
	}
}

/* One query on its way to its answer. */
struct exchange {
	struct responder *responder;
	const struct client *client;
	const struct query *query;
	struct answer answer;
	bool foreign; /* the name is in no zone */
	enum cookie_state cookie_state;
	uint8_t cookie[EDNS_COOKIE_REPLY];
	struct dns_ede ede;
};

/* The text of the explanation is not touched: most queries need none. */
static void exchange_begin(struct exchange *exchange, struct responder *responder,
	const struct client *client, const struct query *query)
{
	exchange->responder = responder;
	exchange->client = client;
	exchange->query = query;
	exchange->ede.present = false;
	exchange->foreign = false;
	exchange->answer.may_sign = false;
	exchange->answer.unsigned_yet = false;
	exchange->answer.as = NULL;
	exchange->cookie_state = COOKIE_NONE;
	if (query->cookie_size > 0 && responder->cookie_mode != DNS_COOKIES_OFF)
		exchange->cookie_state = cookies_check(&responder->cookies, query,
			&client->source.any, real_seconds(), exchange->cookie);
}

/* The client is where it says. */
static bool is_verified(const struct exchange *exchange)
{
	return exchange->client->tcp || exchange->cookie_state == COOKIE_GOOD;
}

/* `text` is short. */
static void explain(struct exchange *exchange, uint16_t code, const char *text)
{
	size_t size = strlen(text) + 1;
	if (!exchange->query->edns)
		return;
	exchange->ede.present = true;
	exchange->ede.code = code;
	memcpy(exchange->ede.text, text,
		size < sizeof(exchange->ede.text) ? size : sizeof(exchange->ede.text));
}

static void truncate_answer(struct exchange *exchange)
{
	answer_init(&exchange->answer, DNS_RCODE_NOERROR);
	exchange->answer.truncated = true;
}

static size_t write_answer(const struct exchange *exchange, size_t limit, uint8_t *out)
{
	struct responder *responder = exchange->responder;
	const struct query *query = exchange->query;
	const struct edns_reply edns = {
		.ede = &exchange->ede,
		.nsid = responder->nsid,
		.keepalive = exchange->client->tcp,
		.timeout = responder->keepalive,
		.cookie = exchange->cookie_state == COOKIE_NONE ? NULL : exchange->cookie,
	};
	size_t size = answer_write(query, &exchange->answer, &edns, limit, out);
	count(&responder->counters, &exchange->answer);
	responder->counters.truncated += (out[2] & DNS_FLAG_TC) != 0;
	return size;
}

/* What the daemon said of the service, laid over what the table says of the name. */
static void apply_reply(struct exchange *exchange, enum dns_reply reply)
{
	switch (reply) {
	case DNS_REPLY_ADDRESS:
		break;
	case DNS_REPLY_REFUSED:
		answer_init(&exchange->answer, DNS_RCODE_REFUSED);
		break;
	case DNS_REPLY_TRUNCATED:
		truncate_answer(exchange);
		break;
	case DNS_REPLY_SERVFAIL:
	case DNS_REPLY_LATER:
		answer_init(&exchange->answer, DNS_RCODE_SERVFAIL);
		break;
	}
}

static void answer_ordinary(struct exchange *exchange, uint64_t now);

/* The same once more, with the addresses of another machine of the service. Where that is gone, with
 * any other's the client would be somebody else's guest. */
static enum dns_reply answer_as(
	struct exchange *exchange, uint32_t number, enum dns_reply reply, uint64_t now)
{
	exchange->answer.as = names_find_service(&exchange->responder->names, number);
	answer_ordinary(exchange, now);
	return exchange->answer.as ? reply : DNS_REPLY_SERVFAIL;
}

/* False where the answer is put off. */
static bool ask_service(struct exchange *exchange, const struct request *request)
{
	struct responder *responder = exchange->responder;
	struct waiting *waiting = &responder->waiting;
	const uint32_t service = exchange->answer.service->number;
	uint32_t as = service;
	struct dns_ask ask = {
		.service = service,
		.qtype = exchange->query->type,
		.tcp = request->client->tcp,
		.verified = is_verified(exchange),
		.received_at = request->received_at,
		.source = &request->client->source.any,
		.question = exchange->query->question,
		.answer_as = &as,
		.id = request->may_wait ? waiting_next(waiting, request->client) : WAITING_NONE,
	};
	enum dns_reply reply = responder->ask(responder->ctx, &ask, &exchange->ede);
	if (reply != DNS_REPLY_LATER) {
		if (reply == DNS_REPLY_ADDRESS && as != service)
			reply = answer_as(exchange, as, reply, request->received_at);
		apply_reply(exchange, reply);
		return true;
	}
	if (ask.id.generation != 0) {
		waiting_put(waiting, request->client, exchange->query, request->tsig, service,
			request->owner)
			->answer_as = as;
		responder->counters.held++;
		return false;
	}
	explain(exchange, DNS_EDE_NOT_READY, "too many waiting queries");
	apply_reply(exchange, DNS_REPLY_SERVFAIL);
	return true;
}

/* What the reader of packets does not take as an ordinary query. */
static void answer_special(struct exchange *exchange, uint16_t rcode)
{
	answer_init(&exchange->answer, rcode);
	if (rcode != DNS_RCODE_REFUSED)
		return;
	const struct block *block = chaos_find(&exchange->responder->chaos, exchange->query);
	if (block) {
		answer_init(&exchange->answer, DNS_RCODE_NOERROR);
		exchange->answer.authoritative = true;
		answer_add(&exchange->answer, block, (struct part_owner){0, 0}, SECTION_ANSWER);
	} else {
		explain(exchange, DNS_EDE_NOT_SUPPORTED, "this kind of query is not served");
	}
}

/* False where a cookie is required and the client has none. */
static bool has_cookie(struct exchange *exchange)
{
	struct responder *responder = exchange->responder;
	enum cookie_state state = exchange->cookie_state;
	responder->counters.cookies_good += state == COOKIE_GOOD;
	responder->counters.cookies_bad += state == COOKIE_BAD;
	if (responder->cookie_mode != DNS_COOKIES_REQUIRED || state == COOKIE_GOOD ||
		exchange->client->tcp)
		return true;
	if (state == COOKIE_NONE)
		truncate_answer(exchange);
	else
		answer_init(&exchange->answer, DNS_RCODE_BADCOOKIE);
	return false;
}

/* False where the client is not of those that may ask for the name. */
static bool has_access(struct exchange *exchange)
{
	struct responder *responder = exchange->responder;
	if (access_allows(
		    &responder->access, exchange->query->question, &exchange->client->source.any))
		return true;
	answer_init(&exchange->answer, DNS_RCODE_REFUSED);
	explain(exchange, DNS_EDE_PROHIBITED, "this zone is not for clients of this network");
	responder->counters.prohibited++;
	return false;
}

/* What tells an answer from others of its network: its records, or without any its RCODE. */
static uint64_t kind_of(const struct exchange *exchange)
{
	const struct answer *answer = &exchange->answer;
	return answer->count > 0 ? (uint64_t)(uintptr_t)answer->part[0].block : answer->rcode;
}

/* False where nothing is answered. */
static bool keeps_limit(struct exchange *exchange, uint64_t now)
{
	struct responder *responder = exchange->responder;
	if (is_verified(exchange))
		return true;
	switch (limit_check(
		&responder->limiter, &exchange->client->source.any, kind_of(exchange), now)) {
	case LIMIT_PASS:
		break;
	case LIMIT_SLIP:
		responder->counters.slipped++;
		truncate_answer(exchange);
		break;
	case LIMIT_DROP:
		responder->counters.limited++;
		responder->counters.dropped++;
		return false;
	}
	return true;
}

/* Whoever asks for names at random has new signatures made by it. */
static bool may_sign(struct exchange *exchange, uint64_t now)
{
	struct responder *responder = exchange->responder;
	return responder_may_work(
		responder, &responder->signing, exchange->client, is_verified(exchange), now);
}

/* The answer wants signatures that nobody had yet. */
static void answer_signed(struct exchange *exchange, uint64_t now)
{
	struct responder *responder = exchange->responder;
	exchange->answer.may_sign = may_sign(exchange, now);
	if (exchange->answer.may_sign) {
		answer_find(&responder->names, exchange->query, &exchange->answer);
	} else if (exchange->client->tcp) {
		explain(exchange, DNS_EDE_NOT_READY, "too many new signatures for this network");
	} else {
		responder->counters.slipped++;
		truncate_answer(exchange);
	}
}

static void answer_ordinary(struct exchange *exchange, uint64_t now)
{
	answer_find(&exchange->responder->names, exchange->query, &exchange->answer);
	if (exchange->answer.unsigned_yet)
		answer_signed(exchange, now);
	exchange->foreign = exchange->answer.rcode == DNS_RCODE_REFUSED;
	if (exchange->foreign)
		explain(exchange, DNS_EDE_NOT_AUTHORITATIVE, "not in a zone of this server");
}

/* False where the answer is put off. */
static bool forward_query(struct exchange *exchange, const struct request *request)
{
	struct responder *responder = exchange->responder;
	switch (responder->forward(responder->forward_ctx, request, exchange->query)) {
	case FORWARD_TAKEN:
		return false;
	case FORWARD_PROHIBITED:
		responder->counters.prohibited++;
		explain(exchange, DNS_EDE_PROHIBITED, "no recursion for clients of this network");
		break;
	case FORWARD_BUSY:
		answer_init(&exchange->answer, DNS_RCODE_SERVFAIL);
		explain(exchange, DNS_EDE_NOT_READY, "too many waiting queries");
		break;
	case FORWARD_LOOP:
		answer_init(&exchange->answer, DNS_RCODE_SERVFAIL);
		explain(exchange, DNS_EDE_NETWORK_ERROR, "this server asked that itself");
		break;
	}
	return true;
}

/* A name in no zone of ours, of a client that wants more than our own knowledge. */
static bool is_foreign(const struct exchange *exchange)
{
	return exchange->foreign && exchange->responder->forward &&
	       exchange->query->flags & DNS_FLAG_RD;
}

/* `rcode` is what the reader of packets says of it, or the judge of signatures. */
static size_t respond_query(struct responder *responder, const struct request *request,
	const struct query *query, int rcode, size_t limit, uint8_t *out)
{
	struct exchange exchange;
	exchange_begin(&exchange, responder, request->client, query);
	if (rcode != 0)
		answer_special(&exchange, (uint16_t)rcode);
	else if (has_cookie(&exchange) && has_access(&exchange))
		answer_ordinary(&exchange, request->received_at);
	if (exchange.answer.service && !ask_service(&exchange, request))
		return 0;
	if (is_foreign(&exchange) && !forward_query(&exchange, request))
		return 0;
	if (!keeps_limit(&exchange, request->received_at))
		return 0;
	return write_answer(&exchange, limit, out);
}

/* --- signed queries: RFC 8945 --- */

/* What is left of the limit for what is signed. */
static size_t limit_signed(const struct tsig *tsig, const struct client *client, size_t limit)
{
	size_t most = (client->tcp ? UINT16_MAX : limit) - tsig_size(tsig);
	return limit < most ? limit : most;
}

/* A good signature says who asks, but not where: who has seen one can send it again, from anywhere. So
 * it spares nobody the limits. */
static size_t respond_signed(struct responder *responder, const struct request *request,
	struct query *query, int rcode, uint8_t *out)
{
	struct tsig tsig;
	struct request signed_request = *request;
	size_t limit = answer_limit(query, request->client->tcp);
	int verdict = respond_verify(responder, request, query->tsig, &tsig);
	if (verdict == DNS_RCODE_SERVFAIL && !request->client->tcp) {
		responder->counters.limited++;
		responder->counters.dropped++;
		return 0;
	}
	if (verdict == DNS_RCODE_SERVFAIL)
		return respond_query(responder, request, query, verdict, limit, out);
	size_t size;
	if (verdict == DNS_RCODE_FORMERR) {
		size = respond_query(responder, request, query, verdict, limit, out);
	} else {
		signed_request.tsig = &tsig;
		size = respond_query(responder, &signed_request, query, verdict ? verdict : rcode,
			limit_signed(&tsig, request->client, limit), out);
		if (size > 0)
			size = tsig_sign(&tsig, out, size, real_seconds());
	}
	tsig_forget(&tsig);
	return size;
}

/* IXFR has a record that no other query may have, and is an answer's worth to no stranger. */
static size_t respond_ixfr(struct responder *responder, const struct request *request, uint8_t *out)
{
	if (limit_check(&responder->limiter, &request->client->source.any, DNS_TYPE_IXFR,
		    request->received_at) != LIMIT_PASS) {
		responder->counters.limited++;
		responder->counters.dropped++;
		return 0;
	}
	return transfer_begin(responder, request, NULL, out);
}

size_t respond(struct responder *responder, const struct request *request, uint8_t *out)
{
	struct query query;
	int rcode = packet_read(request->bytes, request->size, &query);
	if (rcode == PACKET_DROP) {
		responder->counters.malformed++;
		responder->counters.dropped++;
		return 0;
	}
	if (rcode == DNS_RCODE_FORMERR && !request->client->tcp &&
		transfer_asked(request->bytes, request->size) == DNS_TYPE_IXFR)
		return respond_ixfr(responder, request, out);
	if (query.tsig > 0)
		return respond_signed(responder, request, &query, rcode, out);
	return respond_query(
		responder, request, &query, rcode, answer_limit(&query, request->client->tcp), out);
}

/* --- queries that waited --- */

static size_t write_later(struct responder *responder, const struct waiting_query *entry,
	const struct late_answer *late, size_t limit, uint8_t *out)
{
	struct exchange exchange;
	enum dns_reply reply = late->reply;
	if (late->passed)
		return forward_pass(&entry->query, late->passed, late->passed_size, limit, out);
	exchange_begin(&exchange, responder, &entry->client, &entry->query);
	/* The tables may have changed meanwhile: what they say now is what is said, but for a
	 * service that nobody asked about. Those who wait are few. */
	exchange.answer.may_sign = true;
	if (entry->answer_as != entry->service)
		reply = answer_as(&exchange, entry->answer_as, reply, 0);
	else
		answer_ordinary(&exchange, 0);
	if (exchange.answer.service && exchange.answer.service->number != entry->service)
		reply = DNS_REPLY_SERVFAIL;
	if (late->ede && late->ede->present)
		exchange.ede = *late->ede;
	apply_reply(&exchange, reply);
	return write_answer(&exchange, limit, out);
}

size_t respond_later(struct responder *responder, const struct waiting_query *entry,
	const struct late_answer *late, size_t limit, uint8_t *out)
{
	if (entry->query.tsig == 0)
		return write_later(responder, entry, late, limit, out);
	struct tsig tsig = entry->tsig;
	size_t size = write_later(
		responder, entry, late, limit_signed(&tsig, &entry->client, limit), out);
	size = tsig_sign(&tsig, out, size, real_seconds());
	tsig_forget(&tsig);
	return size;
}

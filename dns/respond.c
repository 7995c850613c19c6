/* SPDX-License-Identifier: ISC */
#include "dns/respond.h"

#include <stdio.h>

#include "dns/wire.h"

#define DEFAULT_MAX_WAITING 4096

int responder_init(struct responder *responder, unsigned max_waiting, dns_ask_fn ask, void *ctx)
{
	*responder = (struct responder){.ask = ask, .ctx = ctx};
	int rc = names_init(&responder->names);
	if (rc == 0)
		rc = waiting_init(
			&responder->waiting, max_waiting ? max_waiting : DEFAULT_MAX_WAITING);
	if (rc < 0)
		responder_finish(responder);
	return rc;
}

void responder_finish(struct responder *responder)
{
	names_finish(&responder->names);
	waiting_finish(&responder->waiting);
}

static void count(struct dns_counters *counters, const struct answer *answer)
{
	switch (answer->rcode) {
	case DNS_RCODE_NOERROR:
		if (answer->block && answer->block->answers > 0)
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

static size_t write_answer(struct responder *responder, const struct query *query,
	const struct answer *answer, const struct dns_ede *ede, bool tcp, uint8_t *out)
{
	count(&responder->counters, answer);
	size_t size = answer_write(query, answer, ede, answer_limit(query, tcp), out);
	responder->counters.truncated += (out[2] & DNS_FLAG_TC) != 0;
	return size;
}

/* What the daemon said of the service, laid over what the table says of the name. */
static void apply_reply(struct answer *answer, enum dns_reply reply)
{
	if (reply == DNS_REPLY_ADDRESS)
		return;
	*answer = (struct answer){
		.rcode = reply == DNS_REPLY_REFUSED ? DNS_RCODE_REFUSED : DNS_RCODE_SERVFAIL,
	};
}

/* False where the answer is put off. */
static bool ask_service(struct responder *responder, const struct request *request,
	const struct query *query, struct answer *answer, struct dns_ede *ede)
{
	struct waiting *waiting = &responder->waiting;
	struct dns_ask ask = {
		.service = answer->service->number,
		.qtype = query->type,
		.tcp = request->client->tcp,
		.received_at = request->received_at,
		.source = &request->client->source.any,
		.id = request->may_wait ? waiting_next(waiting) : WAITING_NONE,
	};
	enum dns_reply reply = responder->ask(responder->ctx, &ask, ede);
	if (reply != DNS_REPLY_LATER) {
		apply_reply(answer, reply);
		return true;
	}
	if (ask.id.generation != 0) {
		waiting_put(waiting, request->client, query, ask.service, request->owner);
		responder->counters.held++;
		return false;
	}
	ede->present = true;
	ede->code = DNS_EDE_NOT_READY;
	snprintf(ede->text, sizeof(ede->text), "too many waiting queries");
	apply_reply(answer, DNS_REPLY_SERVFAIL);
	return true;
}

size_t respond(struct responder *responder, const struct request *request, uint8_t *out)
{
	struct query query;
	struct answer answer = {0};
	bool tcp = request->client->tcp;
	int rcode = packet_read(request->bytes, request->size, &query);
	if (rcode == PACKET_DROP) {
		responder->counters.malformed++;
		responder->counters.dropped++;
		return 0;
	}
	if (rcode == 0)
		answer_find(&responder->names, &query, &answer);
	else
		answer.rcode = (uint16_t)rcode;
	if (!answer.service)
		return write_answer(responder, &query, &answer, NULL, tcp, out);
	struct dns_ede ede = {0};
	if (!ask_service(responder, request, &query, &answer, &ede))
		return 0;
	return write_answer(responder, &query, &answer, &ede, tcp, out);
}

size_t respond_later(struct responder *responder, const struct waiting_query *entry,
	enum dns_reply reply, const struct dns_ede *ede, uint8_t *out)
{
	struct answer answer;
	/* The tables may have changed meanwhile: what they say now is what is said, but for a
	 * service that nobody asked about. */
	answer_find(&responder->names, &entry->query, &answer);
	if (answer.service && answer.service->number != entry->service)
		reply = DNS_REPLY_SERVFAIL;
	apply_reply(&answer, reply);
	return write_answer(responder, &entry->query, &answer, ede, entry->client.tcp, out);
}

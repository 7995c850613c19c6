/* SPDX-License-Identifier: ISC */
#include <errno.h>
#include <stdio.h>

#include "base/units.h"
#include "dns/respond.h"
#include "dns/wire.h"

#define DEFAULT_MAX_WAITING 4096

/* New signatures a second: for one network, for all clients that may not be where they say, and for all
 * that are. One takes 40 us, and random names need as many as there are queries. */
#define SIGN_NETWORK     1000
#define SIGN_STRANGERS   5000
#define SIGN_VERIFIED    8000
/* The same of clients' signatures (TSIG) that are verified: one takes 2 us, and as much for the answer's;
 * anybody can send them. */
#define VERIFY_NETWORK   5000
#define VERIFY_STRANGERS 10000
#define VERIFY_VERIFIED  20000

int responder_init(struct responder *responder, const struct dns_config *config, dns_ask_fn ask,
	void *ctx, struct error *err)
{
	const char *identity = config->identity ? config->identity : "";
	*responder = (struct responder){.ask = ask, .ctx = ctx, .cookie_mode = config->cookies};
	int rc = names_init(&responder->names);
	if (rc == 0)
		rc = waiting_init(&responder->waiting,
			config->max_waiting ? config->max_waiting : DEFAULT_MAX_WAITING,
			config->max_waiting_source);
	if (rc == 0)
		rc = chaos_init(&responder->chaos, config->version, identity);
	if (rc == 0)
		rc = cookies_init(&responder->cookies, (uint32_t)(clock_real() / NS_PER_S));
	if (rc == 0)
		rc = limit_init(&responder->limiter, config->rate_limit, config->rate_slip);
	if (rc == 0)
		rc = limit_work_init(
			&responder->signing, SIGN_NETWORK, SIGN_STRANGERS, SIGN_VERIFIED);
	if (rc == 0)
		rc = limit_work_init(
			&responder->verifying, VERIFY_NETWORK, VERIFY_STRANGERS, VERIFY_VERIFIED);
	if (rc < 0) {
		responder_finish(responder);
		return error_set(err, rc,
			rc == -EINVAL ? "the server's identity or version has more than 255 letters"
			: rc == -EAGAIN ? "no randomness for the secret of DNS cookies: is it "
					  "early in a boot?"
					: "out of memory");
	}
	snprintf(responder->nsid, sizeof(responder->nsid), "%s", identity);
	return 0;
}

void responder_finish(struct responder *responder)
{
	names_finish(&responder->names);
	waiting_finish(&responder->waiting);
	chaos_finish(&responder->chaos);
	access_finish(&responder->access);
	limit_finish(&responder->limiter);
	limit_work_finish(&responder->signing);
	limit_work_finish(&responder->verifying);
}

bool responder_may_work(const struct responder *responder, struct limit_work *work,
	const struct client *client, bool verified, uint64_t now)
{
	const struct prefixes *exempt = responder->limiter.exempt;
	return (exempt && prefixes_match(exempt, &client->source.any)) ||
	       limit_work_take(work, &client->source.any, verified, now);
}

int respond_verify(
	struct responder *responder, const struct request *request, size_t at, struct tsig *tsig)
{
	if (!responder_may_work(responder, &responder->verifying, request->client,
		    request->client->tcp, request->received_at))
		return DNS_RCODE_SERVFAIL;
	return tsig_verify(&responder->names.tsig_keys, request->bytes, request->size, at,
		clock_real() / NS_PER_S, tsig);
}

/* SPDX-License-Identifier: ISC */
#ifndef DNS_UPSTREAM_H
#define DNS_UPSTREAM_H

#include <stddef.h>
#include <stdint.h>
#include <uv.h>

#include "dns/client.h"
#include "dns/handles.h"

/* One query to one server, over a socket of its own: a random port, and nobody else's datagrams. */
struct upstream_try;

/* Called for what arrives (over UDP maybe more than once), or with size 0 where nothing will. The
 * bytes are gone afterwards. It may cancel the try. */
typedef void (*upstream_fn)(void *ctx, const uint8_t *bytes, size_t size);

/* Sends the query, and never calls back before it returns; NULL where it could not be sent at all.
 * The try lives until it is cancelled. */
struct upstream_try *upstream_ask(uv_loop_t *loop, struct handles *handles,
	const union client_address *server, bool tcp, const uint8_t *query, size_t size,
	upstream_fn fn, void *ctx);
/* Frees in a later loop turn. NULL is fine. */
void upstream_cancel(struct upstream_try *attempt);

#endif

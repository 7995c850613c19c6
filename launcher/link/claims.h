/* SPDX-License-Identifier: ISC */
#ifndef LAUNCHER_LINK_CLAIMS_H
#define LAUNCHER_LINK_CLAIMS_H

#include <uv.h>

#include "base/address.h"
#include "base/error.h"

/*
 * What a guest says of where its addresses are: ARP (RFC 826), neighbour solicitations and
 * advertisements (RFC 4861), which its neighbours learn from. Heard on its tap while the addresses
 * belong to the host although the guest still lives.
 */
struct claims;

/* `answer`: it was said to the host alone, as an answer to doorbell_ask() is; otherwise neighbours
 * may have heard it. Many at once may be told as one. A claim is told twice, at once and a few ms later;
 * a question only then, when it has had its answer. */
typedef void (*claims_fn)(void *ctx, bool answer);

/* Calls `heard` for what comes from `mac` on the device, until claims_end(). `host` is the MAC of the
 * host on that bridge. */
int claims_watch(uv_loop_t *loop, const char *device, const struct mac_address *mac,
	const struct mac_address *host, claims_fn heard, void *ctx, struct claims **out,
	struct error *err);
/* May be NULL, and may be called within `heard`. Memory is released in a later turn. */
void claims_end(struct claims *claims);

#endif

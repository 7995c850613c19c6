/* SPDX-License-Identifier: ISC */
#ifndef DNS_UDP_H
#define DNS_UDP_H

#include <uv.h>

#include "dns/client.h"
#include "dns/handles.h"
#include "dns/listen.h"
#include "dns/respond.h"

/* Serves datagrams of the pair's UDP sockets, in batches, and owns these two from here on, also on
 * failure. Negative errno. */
int udp_create(uv_loop_t *loop, const struct listen_pair *pair, struct responder *responder,
	struct handles *handles, struct udp_socket **out);
/* Frees in a later loop turn. NULL is fine. */
void udp_destroy(struct udp_socket *udp);

/* Sends one answer out of turn. Where the kernel takes no more it is queued; where the queue is
 * full it is dropped (and counted), as the network might have done. */
void udp_answer(
	struct udp_socket *udp, const struct waiting_query *entry, const struct late_answer *late);

#endif

/* SPDX-License-Identifier: ISC */
#include "guest-kernel/net/hooks.h"

#include <stdbool.h>

#include <lwip/ip.h>
#include <lwip/priv/tcp_priv.h>

#include "guest-kernel/kernel/random.h"

/*
 * A client that comes again from the port of a connection that waits out its 2 MSL here. lwIP turns
 * its SYN away; RFC 9293, 3.6.1 (MAY-2) lets it reopen the connection, and clients count on that: who
 * closed last keeps nothing of the connection, and takes the port again when its turn comes. A guest
 * whose clock stands still while it is suspended would wait for ever.
 *
 * For the same reason a SYN may reopen whatever its number: after a sleep, a larger one looks older. One
 * that is a duplicate from long ago costs no more than the rest of the wait: its client answers with
 * a reset.
 */

#define HALF (1u << 31)

static struct {
	bool now;
	uint32_t last; /* sequence number of the connection before */
} reopening;

/* RFC 6528 asks for initial sequence numbers that nobody can predict; a fresh random one is. Of a
 * connection that is reopened it is larger than what was sent before, too. */
uint32_t net_first_sequence(void)
{
	uint32_t number = random_u32();
	return reopening.now ? reopening.last + 1 + number % (HALF - 1) : number;
}

/* Has lwIP take the segment once more as it came, now that nobody but a listener is there for it. */
static void take_again(struct tcp_hdr *header, u16_t option_size, struct pbuf *segment)
{
	header->src = lwip_htons(header->src);
	header->dest = lwip_htons(header->dest);
	header->seqno = lwip_htonl(header->seqno);
	header->ackno = lwip_htonl(header->ackno);
	header->wnd = lwip_htons(header->wnd);
	pbuf_add_header(segment, sizeof(*header) + option_size);
	pbuf_ref(segment); /* who called frees it, too */
	tcp_input(segment, ip_current_input_netif());
}

err_t net_reopen(
	struct tcp_pcb *pcb, struct tcp_hdr *header, u16_t option_size, struct pbuf *segment)
{
	bool opens = (TCPH_FLAGS(header) & (TCP_SYN | TCP_ACK | TCP_RST | TCP_FIN)) == TCP_SYN;
	if (pcb->state != TIME_WAIT || !opens)
		return ERR_OK;
	reopening.now = true;
	reopening.last = pcb->snd_nxt;
	tcp_abandon(pcb, 0);
	take_again(header, option_size, segment);
	reopening.now = false;
	return ERR_ABRT;
}

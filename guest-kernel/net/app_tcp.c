/* SPDX-License-Identifier: ISC */
#include <errno.h>
#include <stdlib.h>

#include <lwip/priv/tcp_priv.h>
#include <lwip/tcp.h>

#include "guest-kernel/include/app.h"
#include "guest-kernel/kernel/clock.h"
#include "guest-kernel/net/app_tcp.h"

/* include/app.h's TCP over lwIP's raw API. */

#define POLL_HALF_SECONDS     2
#define COPIES_MAX            (44 * TCP_MSS) /* of a connection */
#define WRITE_MAX             32768          /* tcp_write() takes at most 64 KiB at once */
#define LINGERING_MAX         256
#define FIRST_WINDOW_SEGMENTS 10
#define TRIM_INTERVAL         64 /* accepted connections */

struct listener {
	const struct app_tcp_service *service;
	void *context;
	unsigned connections;
};

struct app_tcp {
	struct listener *listener;
	struct tcp_pcb *pcb; /* NULL once the connection is gone */
	void *state;
	struct pbuf *held; /* received, and not yet taken by the application */
	uint64_t moved;    /* when something last came or went */
	bool begun;        /* the client has sent something */
	bool ended;        /* the client has sent all */
	bool told_end;
	bool wants_room; /* a send was cut short */
	bool closing;    /* by the application */
	bool running;    /* the application is being called: nothing may be freed under it */
	bool due;        /* in the list below */
	struct app_tcp *next_due, **previous_due;
};

/* Connections to be looked at on the next turn of the loop, from outside of lwIP's callbacks and
 * the application's calls. */
static struct app_tcp *all_due;

/* Connections accepted since the lingering ones were last counted. */
static unsigned accepted;

static void schedule(struct app_tcp *c)
{
	if (c->due)
		return;
	c->due = true;
	c->next_due = all_due;
	c->previous_due = &all_due;
	if (all_due)
		all_due->previous_due = &c->next_due;
	all_due = c;
}

static void unschedule(struct app_tcp *c)
{
	if (!c->due)
		return;
	c->due = false;
	*c->previous_due = c->next_due;
	if (c->next_due)
		c->next_due->previous_due = c->previous_due;
}

static void detach(struct app_tcp *c)
{
	if (!c->pcb)
		return;
	tcp_arg(c->pcb, NULL);
	tcp_recv(c->pcb, NULL);
	tcp_sent(c->pcb, NULL);
	tcp_err(c->pcb, NULL);
	tcp_poll(c->pcb, NULL, 0);
	c->pcb = NULL;
}

static err_t on_receive(void *argument, struct tcp_pcb *pcb, struct pbuf *data, err_t error);
static err_t on_sent(void *argument, struct tcp_pcb *pcb, u16_t size);
static void on_error(void *argument, err_t error);
static err_t on_poll(void *argument, struct tcp_pcb *pcb);

static void attach(struct app_tcp *c, struct tcp_pcb *pcb)
{
	c->pcb = pcb;
	tcp_arg(pcb, c);
	tcp_recv(pcb, on_receive);
	tcp_sent(pcb, on_sent);
	tcp_err(pcb, on_error);
	tcp_poll(pcb, on_poll, POLL_HALF_SECONDS);
}

static void destroy(struct app_tcp *c)
{
	unschedule(c);
	if (c->held)
		pbuf_free(c->held);
	c->listener->connections--;
	if (c->state)
		c->listener->service->closed(c->state);
	free(c);
}

/* Hands over what is held, until the application takes no more. */
static void offer(struct app_tcp *c)
{
	while (c->held && !c->closing) {
		struct pbuf *p = c->held;
		size_t taken = c->listener->service->data(c->state, p->payload, p->len);
		if (c->pcb && taken)
			tcp_recved(c->pcb, (u16_t)taken);
		size_t left = p->len - taken;
		c->held = pbuf_free_header(p, (u16_t)taken);
		if (left)
			return;
	}
}

/* The last thing that is done with a connection: once its data has arrived, so that a client that
 * takes nothing is cut by the idle limit, and not by nobody. False where it is not yet time, or
 * where lwIP is out of memory; on_sent() and on_poll() try again. */
static bool finish_close(struct app_tcp *c)
{
	struct tcp_pcb *pcb = c->pcb;
	if (c->held) {
		/* tcp_close() resets a connection with unread bytes, so these count as read. */
		tcp_recved(pcb, c->held->tot_len);
		pbuf_free(c->held);
		c->held = NULL;
	}
	if (pcb->snd_queuelen > 0)
		return false;
	/* First, because tcp_close() may free the connection. */
	detach(c);
	if (tcp_close(pcb) == ERR_OK)
		return true;
	attach(c, pcb);
	return false;
}

/* The one place that calls the application about a connection that is open. May free it. */
static void run(struct app_tcp *c)
{
	if (c->running)
		return;
	c->running = true;
	if (c->wants_room && !c->closing && c->pcb && tcp_sndbuf(c->pcb) > 0) {
		c->wants_room = false;
		c->listener->service->room(c->state);
	}
	offer(c);
	if (c->ended && !c->held && !c->told_end && !c->closing) {
		c->told_end = true;
		c->listener->service->end(c->state);
	}
	c->running = false;
	if (c->pcb)
		tcp_output(c->pcb);
	if (!c->pcb || (c->closing && finish_close(c)))
		destroy(c);
}

/* Connections that were closed linger (FIN-WAIT, TIME-WAIT), and lwIP bounds their number only by
 * memory, which others need too. Those at the end of a list were heard of last the longest ago. */
static void trim_list(struct tcp_pcb *pcb)
{
	unsigned lingering = 0;
	while (pcb) {
		struct tcp_pcb *next = pcb->next;
		if (!pcb->callback_arg && ++lingering > LINGERING_MAX)
			tcp_abort(pcb);
		pcb = next;
	}
}

bool app_tcp_run_due(void)
{
	if (accepted >= TRIM_INTERVAL) {
		accepted = 0;
		trim_list(tcp_active_pcbs);
		trim_list(tcp_tw_pcbs);
	}
	/* What becomes due meanwhile waits for its turn, so that frames are taken in between. */
	struct app_tcp *turn = all_due;
	all_due = NULL;
	if (turn)
		turn->previous_due = &turn;
	while (turn) {
		struct app_tcp *c = turn;
		unschedule(c);
		run(c);
	}
	return all_due != NULL;
}

void app_tcp_drop_all(void)
{
	while (tcp_active_pcbs)
		tcp_abandon(tcp_active_pcbs, 0);
	while (tcp_tw_pcbs)
		tcp_abandon(tcp_tw_pcbs, 0);
}

/* RFC 6928; lwIP begins with less. Before anything is sent, unless something was lost already. */
static void widen_first_window(struct tcp_pcb *pcb)
{
	tcpwnd_size_t window = FIRST_WINDOW_SEGMENTS * pcb->mss;
	if (pcb->nrtx == 0 && pcb->cwnd < window)
		pcb->cwnd = window;
}

/* Where segments travel as one large frame, one acknowledgement is for many of them, and lwIP counts
 * it as two (RFC 3465, 2.3). While nothing is lost, the others count as well. */
static void count_acknowledged(struct tcp_pcb *pcb, u16_t size)
{
	tcpwnd_size_t counted = 2 * pcb->mss;
	if (size <= counted || pcb->cwnd >= pcb->ssthresh || (pcb->flags & (TF_RTO | TF_INFR)))
		return;
	tcpwnd_size_t grown = pcb->cwnd + size - counted;
	pcb->cwnd = grown < pcb->ssthresh ? grown : pcb->ssthresh;
}

static err_t on_receive(void *argument, struct tcp_pcb *pcb, struct pbuf *data, err_t error)
{
	struct app_tcp *c = argument;
	(void)error;
	c->moved = clock_now();
	if (!c->begun)
		widen_first_window(pcb);
	c->begun = true;
	if (!data)
		c->ended = true;
	else if (c->held)
		pbuf_cat(c->held, data);
	else
		c->held = data;
	/* lwIP must not find its connection closed when this returns, so closing waits. */
	schedule(c);
	return ERR_OK;
}

static err_t on_sent(void *argument, struct tcp_pcb *pcb, u16_t size)
{
	struct app_tcp *c = argument;
	c->moved = clock_now();
	count_acknowledged(pcb, size);
	if (c->wants_room || c->closing)
		schedule(c);
	return ERR_OK;
}

/* lwIP has freed the connection already. */
static void on_error(void *argument, err_t error)
{
	struct app_tcp *c = argument;
	(void)error;
	c->pcb = NULL;
	if (!c->running)
		destroy(c);
}

static err_t on_poll(void *argument, struct tcp_pcb *pcb)
{
	struct app_tcp *c = argument;
	if (clock_now() - c->moved > c->listener->service->idle_ns) {
		detach(c);
		tcp_abort(pcb);
		destroy(c);
		return ERR_ABRT;
	}
	if (c->closing || c->wants_room)
		schedule(c);
	return ERR_OK;
}

static struct app_tcp *connection_create(struct listener *l, struct tcp_pcb *pcb)
{
	if (l->connections >= l->service->connections_max)
		return NULL;
	struct app_tcp *c = calloc(1, sizeof(*c));
	if (!c)
		return NULL;
	*c = (struct app_tcp){.listener = l, .pcb = pcb, .moved = clock_now()};
	c->state = l->service->open(l->context, c);
	if (!c->state) {
		free(c);
		return NULL;
	}
	l->connections++;
	return c;
}

static err_t on_accept(void *argument, struct tcp_pcb *pcb, err_t error)
{
	if (error != ERR_OK || !pcb)
		return ERR_VAL;
	accepted++;
	struct app_tcp *c = connection_create(argument, pcb);
	if (!c) {
		tcp_abort(pcb);
		return ERR_ABRT;
	}
	tcp_nagle_disable(pcb);
	attach(c, pcb);
	return ERR_OK;
}

static int bind_listener(struct listener *l)
{
	struct tcp_pcb *pcb = tcp_new_ip_type(IPADDR_TYPE_ANY);
	if (!pcb)
		return -ENOMEM;
	struct tcp_pcb *listening = NULL;
	err_t error = tcp_bind(pcb, IP_ANY_TYPE, l->service->port);
	if (error == ERR_OK)
		listening = tcp_listen(pcb);
	if (!listening) {
		tcp_close(pcb);
		return error == ERR_USE ? -EADDRINUSE : -ENOMEM;
	}
	tcp_arg(listening, l);
	tcp_accept(listening, on_accept);
	return 0;
}

int app_tcp_listen(struct app *app, const struct app_tcp_service *service, void *context)
{
	(void)app;
	struct listener *l = malloc(sizeof(*l));
	if (!l)
		return -ENOMEM;
	*l = (struct listener){.service = service, .context = context};
	int result = bind_listener(l);
	if (result < 0)
		free(l);
	return result;
}

/* Copies take memory that a client who reads slowly holds. */
static size_t room_for(const struct app_tcp *c, enum app_bytes bytes)
{
	/* Not tcp_sndbuf(), which never says more than 64 KiB. */
	size_t room = c->pcb->snd_buf;
	size_t reserved = bytes == APP_COPY ? TCP_SND_BUF - COPIES_MAX : 0;
	room = room > reserved ? room - reserved : 0;
	return room < WRITE_MAX ? room : WRITE_MAX;
}

size_t app_tcp_send(struct app_tcp *c, const void *data, size_t size, enum app_bytes bytes)
{
	size_t done = 0;
	u8_t flags = bytes == APP_COPY ? TCP_WRITE_FLAG_COPY : 0;
	while (c->pcb && !c->closing && done < size) {
		size_t part = room_for(c, bytes);
		if (part > size - done)
			part = size - done;
		u8_t more = part < size - done ? TCP_WRITE_FLAG_MORE : 0;
		if (part == 0 || tcp_write(c->pcb, (const char *)data + done, (u16_t)part,
					 flags | more) != ERR_OK)
			break;
		done += part;
	}
	if (done < size)
		c->wants_room = true;
	if (!c->running)
		schedule(c);
	return done;
}

void app_tcp_continue(struct app_tcp *c)
{
	schedule(c);
}

void app_tcp_close(struct app_tcp *c)
{
	c->closing = true;
	schedule(c);
}

/* SPDX-License-Identifier: ISC */
#include "dns/notify.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>
#include <sys/random.h>

#include "dns/wire.h"

#define OPCODE_NOTIFY (4 << 3)
#define FIRST_WAIT    1000 /* ms; doubled each time */
#define LONGEST_WAIT  60000
#define TRIES         10
#define MOST_TELLINGS 1024
#define MESSAGE_MAX   (DNS_HEADER_SIZE + NAME_MAX_SIZE + 4)

/* One secondary that is to hear of one zone. */
struct telling {
	LIST_ENTRY(telling) link;
	struct name origin;
	struct sockaddr_storage target;
	uint16_t id;
	unsigned tries;
	uint64_t next_at, wait; /* ms of the loop */
};

struct notifier {
	uv_loop_t *loop;
	struct handles *handles;
	uv_udp_t socket[2]; /* IPv4, IPv6 */
	uv_timer_t timer;
	unsigned open; /* of these handles */
	unsigned count;
	LIST_HEAD(, telling) tellings;
	uint8_t in[MESSAGE_MAX + 512];
};

static void forget(struct notifier *notifier, struct telling *telling)
{
	LIST_REMOVE(telling, link);
	notifier->count--;
	free(telling);
}

static size_t write_message(const struct telling *telling, uint8_t *out)
{
	memset(out, 0, DNS_HEADER_SIZE);
	wire_put16(out, telling->id);
	out[2] = OPCODE_NOTIFY | DNS_FLAG_AA;
	wire_put16(out + 4, 1);
	memcpy(out + DNS_HEADER_SIZE, telling->origin.bytes, telling->origin.size);
	uint8_t *tail = out + DNS_HEADER_SIZE + telling->origin.size;
	wire_put16(tail, DNS_TYPE_SOA);
	wire_put16(tail + 2, DNS_CLASS_IN);
	return DNS_HEADER_SIZE + telling->origin.size + 4u;
}

static void send_one(struct notifier *notifier, struct telling *telling)
{
	uint8_t message[MESSAGE_MAX];
	uv_udp_t *socket = &notifier->socket[telling->target.ss_family == AF_INET6];
	uv_buf_t buf = uv_buf_init((char *)message, (unsigned)write_message(telling, message));
	/* What cannot be sent now is sent later, like what is lost on its way. */
	uv_udp_try_send(socket, &buf, 1, (const struct sockaddr *)&telling->target);
	telling->tries++;
	telling->next_at = uv_now(notifier->loop) + telling->wait;
	telling->wait = telling->wait * 2 < LONGEST_WAIT ? telling->wait * 2 : LONGEST_WAIT;
}

static void on_timer(uv_timer_t *timer);

static void arm(struct notifier *notifier)
{
	const struct telling *telling;
	uint64_t next = UINT64_MAX, now = uv_now(notifier->loop);
	LIST_FOREACH(telling, &notifier->tellings, link)
	if (telling->next_at < next)
		next = telling->next_at;
	if (next == UINT64_MAX)
		uv_timer_stop(&notifier->timer);
	else
		uv_timer_start(&notifier->timer, on_timer, next > now ? next - now : 0, 0);
}

static void on_timer(uv_timer_t *timer)
{
	struct notifier *notifier = timer->data;
	struct telling *telling = LIST_FIRST(&notifier->tellings);
	while (telling) {
		struct telling *next = LIST_NEXT(telling, link);
		if (telling->next_at <= uv_now(notifier->loop)) {
			if (telling->tries == TRIES)
				forget(notifier, telling);
			else
				send_one(notifier, telling);
		}
		telling = next;
	}
	arm(notifier);
}

static bool same_address(const struct sockaddr_storage *a, const struct sockaddr *b)
{
	if (a->ss_family != b->sa_family)
		return false;
	if (b->sa_family == AF_INET6) {
		const struct sockaddr_in6 *left = (const void *)a, *right = (const void *)b;
		return left->sin6_port == right->sin6_port &&
		       memcmp(&left->sin6_addr, &right->sin6_addr, sizeof(left->sin6_addr)) == 0;
	}
	const struct sockaddr_in *left = (const void *)a, *right = (const void *)b;
	return left->sin_port == right->sin_port && left->sin_addr.s_addr == right->sin_addr.s_addr;
}

/* Any answer is one: who does not want to hear of the zone is not asked again. */
static void on_answer(uv_udp_t *socket, ssize_t size, const uv_buf_t *buf,
	const struct sockaddr *source, unsigned flags)
{
	struct notifier *notifier = socket->data;
	const uint8_t *bytes = (const uint8_t *)buf->base;
	(void)flags;
	if (!source || size < DNS_HEADER_SIZE || !(bytes[2] & DNS_FLAG_QR) ||
		(bytes[2] & DNS_OPCODE_MASK) != OPCODE_NOTIFY)
		return;
	struct telling *telling;
	LIST_FOREACH(telling, &notifier->tellings, link)
	{
		if (telling->id == wire_get16(bytes) && same_address(&telling->target, source)) {
			forget(notifier, telling);
			arm(notifier);
			return;
		}
	}
}

static void on_alloc(uv_handle_t *handle, size_t suggested, uv_buf_t *buf)
{
	struct notifier *notifier = handle->data;
	(void)suggested;
	*buf = uv_buf_init((char *)notifier->in, sizeof(notifier->in));
}

static struct telling *find(
	struct notifier *notifier, const struct zone *zone, const struct sockaddr_storage *target)
{
	struct telling *telling;
	LIST_FOREACH(telling, &notifier->tellings, link)
	if (name_compare(telling->origin.bytes, zone->origin.bytes) == 0 &&
		same_address(&telling->target, (const struct sockaddr *)target))
		return telling;
	return NULL;
}

void notifier_tell(struct notifier *notifier, const struct zone *zone)
{
	for (size_t i = 0; i < zone->notify_count; i++) {
		struct telling *telling = find(notifier, zone, &zone->notify[i]);
		if (!telling && notifier->count < MOST_TELLINGS) {
			telling = calloc(1, sizeof(*telling));
			if (telling) {
				LIST_INSERT_HEAD(&notifier->tellings, telling, link);
				notifier->count++;
			}
		}
		if (!telling)
			continue;
		telling->origin = zone->origin;
		telling->target = zone->notify[i];
		telling->tries = 0;
		telling->wait = FIRST_WAIT;
		if (getrandom(&telling->id, sizeof(telling->id), GRND_NONBLOCK) < 0)
			telling->id++;
		send_one(notifier, telling);
	}
	arm(notifier);
}

/* --- life --- */

static void on_closed(uv_handle_t *handle)
{
	struct notifier *notifier = handle->data;
	struct handles *handles = notifier->handles;
	if (--notifier->open == 0)
		free(notifier);
	handles_release(handles);
}

struct notifier *notifier_create(uv_loop_t *loop, struct handles *handles)
{
	static const struct sockaddr_in any4 = {.sin_family = AF_INET};
	static const struct sockaddr_in6 any6 = {.sin6_family = AF_INET6};
	const struct sockaddr *const any[] = {(const void *)&any4, (const void *)&any6};
	struct notifier *notifier = calloc(1, sizeof(*notifier));
	if (!notifier)
		return NULL;
	notifier->loop = loop;
	notifier->handles = handles;
	LIST_INIT(&notifier->tellings);
	uv_timer_init(loop, &notifier->timer);
	notifier->timer.data = notifier;
	for (int i = 0; i < 2; i++) {
		uv_udp_init(loop, &notifier->socket[i]);
		notifier->socket[i].data = notifier;
		/* A family that is not there fails, and nothing can be sent over it. */
		uv_udp_bind(&notifier->socket[i], any[i], i == 1 ? UV_UDP_IPV6ONLY : 0);
		uv_udp_recv_start(&notifier->socket[i], on_alloc, on_answer);
		uv_unref((uv_handle_t *)&notifier->socket[i]);
	}
	notifier->open = 3;
	handles->open += 3;
	return notifier;
}

void notifier_destroy(struct notifier *notifier)
{
	struct telling *telling;
	if (!notifier)
		return;
	while ((telling = LIST_FIRST(&notifier->tellings)))
		forget(notifier, telling);
	uv_close((uv_handle_t *)&notifier->timer, on_closed);
	for (int i = 0; i < 2; i++)
		uv_close((uv_handle_t *)&notifier->socket[i], on_closed);
}

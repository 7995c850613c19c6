/* SPDX-License-Identifier: ISC */
#ifndef APP_H
#define APP_H

/*
 * What an application is written against. The same source becomes a unikernel (over lwIP) and a
 * plain Linux program (over libuv), so this header depends on neither.
 *
 * An application defines app_main(), which sets up what it serves and returns; from then on the
 * kernel calls it when something happens, one call at a time, and none of the calls may wait.
 * Errors are 0 or a negative errno value.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct app; /* the running application; one, from start to exit */

/* Returns 0 to go on, or a negative errno value to exit as failed (having logged why). */
int app_main(struct app *app);

/* ---- its surroundings ---- */

/* The value of NAME=VALUE on the command line, copied and ended by NUL; false where there is none
 * or it does not fit. */
bool app_word(struct app *app, const char *name, char *out, size_t size);

/* The same as a decimal number from min to max; `otherwise` where there is none, and -EINVAL,
 * logged, where it is something else. */
int app_number(struct app *app, const char *name, uint32_t min, uint32_t max, uint32_t otherwise,
	uint32_t *out);

/* The initial ramdisk, readable until exit; NULL where there is none. A Linux program reads the
 * file that the word initrd=PATH names. */
const void *app_initrd(struct app *app, size_t *size);

/* One line on the console. */
void app_log(struct app *app, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* The application can serve. Once the network is up too, the console says so, once. */
void app_ready(struct app *app);

/*
 * A guest may be kept on disk and gone on with later; and what it was when it became ready may be
 * what others like it begin from. Its memory and its timers are then as they were, and it listens
 * where it did; its connections are gone, and so is everything that was to be its own: its
 * addresses, its name (the words ip=, gw=, ip6=, gw6=, name=) and what it has drawn at random.
 * `resumed` is called when that has happened, before anything else. One function; none by default.
 */
void app_on_resume(struct app *app, void (*resumed)(void *context), void *context);

/* Ends after the call that it is called from: `status` 0 is a clean end. */
void app_exit(struct app *app, int status);

/* Nanoseconds since the start; never goes back. */
uint64_t app_now(struct app *app);

/* ---- timers ---- */

struct app_timer;

/* A timer that is not running; NULL where memory is out. */
struct app_timer *app_timer_create(struct app *app, void (*fired)(void *context), void *context);
/* Has it fire once, in `ns` (a millisecond is the finest); a running one is set anew. */
void app_timer_start(struct app_timer *timer, uint64_t ns);
void app_timer_stop(struct app_timer *timer);
void app_timer_destroy(struct app_timer *timer); /* takes NULL */

/* ---- TCP ---- */

struct app_tcp; /* a connection */

/*
 * A service on a port. For each connection `open` comes first and `closed` last, exactly once each;
 * between the two, the others come as often as they will.
 */
struct app_tcp_service {
	uint16_t port;
	unsigned connections_max; /* more are refused */
	uint64_t idle_ns;         /* a connection on which nothing moves for so long is cut */

	/* A client has connected. Returns the state that the other calls get, or NULL to refuse. */
	void *(*open)(void *context, struct app_tcp *connection);
	/* Bytes in order. Returns how many of them it took; the rest is offered again after
	 * `room` and app_tcp_continue(), and until then the client is held back. */
	size_t (*data)(void *state, const uint8_t *data, size_t size);
	/* The client sends no more, and `data` has taken all; answers may still be sent. */
	void (*end)(void *state);
	/* app_tcp_send() may take more again. */
	void (*room)(void *state);
	/* The connection is gone, by app_tcp_close() or otherwise; frees the state. */
	void (*closed)(void *state);
};

/* Serves until exit; *service must live as long. */
int app_tcp_listen(struct app *app, const struct app_tcp_service *service, void *context);

enum app_bytes {
	APP_COPY, /* the bytes may change after the call */
	APP_STAY, /* the bytes stay as they are until exit, and need no copy */
};

/* Queues bytes and returns how many it took; where that is fewer than `size`, `room` follows. */
size_t app_tcp_send(
	struct app_tcp *connection, const void *data, size_t size, enum app_bytes bytes);

/* Has the bytes that `data` did not take offered again, soon, from outside of the current call. */
void app_tcp_continue(struct app_tcp *connection);

/* Sends what is queued, then closes. `data`, `end` and `room` come no more; `closed` comes later,
 * from outside of the current call. */
void app_tcp_close(struct app_tcp *connection);

/* ---- UDP ---- */

struct app_udp; /* a port */

struct app_peer {
	uint8_t bytes[16]; /* IPv6, or IPv4 in the first four; network order */
	uint8_t local[16]; /* likewise: which of our addresses it knows; zero: any will do */
	bool is_ipv6;
	uint16_t port;
};

#define APP_UDP_MAX 1472 /* larger datagrams are cut, and not sent */

/* Calls `received` for each datagram until exit. */
int app_udp_listen(struct app *app, uint16_t port,
	void (*received)(void *context, struct app_udp *udp, const struct app_peer *from,
		const uint8_t *data, size_t size),
	void *context);

/* Best effort, as UDP is. */
int app_udp_send(struct app_udp *udp, const struct app_peer *to, const void *data, size_t size);

#endif

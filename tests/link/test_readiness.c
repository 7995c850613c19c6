/* SPDX-License-Identifier: ISC */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>
#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/units.h"
#include "launcher/link/readiness.h"
#include "tests/link/net.h"

/* One watcher and what it said. */
struct watch {
	uv_loop_t loop;
	struct readiness *readiness;
	unsigned calls;
	uint64_t at;
	bool cancel_within;
};

static void seen(void *ctx, uint64_t at)
{
	struct watch *watch = ctx;
	watch->calls++;
	watch->at = at;
	if (watch->cancel_within) {
		readiness_cancel(watch->readiness);
		watch->readiness = NULL;
	}
}

static bool was_called(void *ctx)
{
	return ((struct watch *)ctx)->calls > 0;
}

static int watch_setup(void **state)
{
	struct watch *watch = calloc(1, sizeof(*watch));
	*state = watch;
	return watch ? uv_loop_init(&watch->loop) : -1;
}

/* Cancelling frees all, in whatever state the watcher is. */
static int watch_teardown(void **state)
{
	struct watch *watch = *state;
	readiness_cancel(watch->readiness);
	unsigned calls = watch->calls;
	net_run_out(&watch->loop);
	bool good = watch->calls == calls && uv_loop_close(&watch->loop) == 0;
	free(watch);
	return good ? 0 : -1;
}

static void turn(struct watch *watch, int turns)
{
	for (int i = 0; i < turns; i++) {
		uv_run(&watch->loop, UV_RUN_NOWAIT);
		usleep(1000);
	}
}

static void start_frame(struct watch *watch, const char *device)
{
	struct mac_address mac = GUEST_MAC;
	struct error err = ERROR_INIT;
	if (readiness_first_frame(
		    &watch->loop, device, &mac, seen, watch, &watch->readiness, &err) < 0)
		fail_msg("%s", err.message);
}

static void first_frame_is_seen_once(void **state)
{
	struct watch *watch = *state;
	struct mac_address mac = GUEST_MAC, other = GUEST_MAC, third = GUEST_MAC;
	other.bytes[5]++;
	third.bytes[0] += 4;
	uint64_t start = clock_monotonic();
	int fd = net_tap_open("stap0");
	start_frame(watch, "stap0");
	net_tap_send(fd, &other);
	net_tap_send(fd, &third);
	turn(watch, 20);
	assert_int_equal(watch->calls, 0);
	net_tap_send(fd, &mac);
	assert_int_equal(watch->calls, 0);
	usleep(1000); /* a busy loop: the time is the frame's own, not that of the turn */
	uint64_t turned = clock_monotonic();
	assert_true(net_run_until(&watch->loop, was_called, watch));
	assert_true(watch->at >= start && watch->at < turned);
	net_tap_send(fd, &mac);
	turn(watch, 5);
	assert_int_equal(watch->calls, 1);
	close(fd);
}

static void first_frame_survives_a_device_down(void **state)
{
	struct watch *watch = *state;
	struct mac_address mac = GUEST_MAC;
	int fd = net_tap_open("stap0");
	start_frame(watch, "stap0");
	turn(watch, 2);
	net_ip("link set stap0 down");
	turn(watch, 5);
	net_ip("link set stap0 up");
	turn(watch, 5);
	assert_int_equal(watch->calls, 0);
	net_tap_send(fd, &mac);
	assert_true(net_run_until(&watch->loop, was_called, watch));
	close(fd);
}

static void frame_watch_is_cancelled_in_time(void **state)
{
	struct watch *watch = *state;
	struct mac_address mac = GUEST_MAC;
	int fd = net_tap_open("stap0");
	/* At once, after some turns, with a frame that waits, and within the call. */
	start_frame(watch, "stap0");
	readiness_cancel(watch->readiness);
	start_frame(watch, "stap0");
	turn(watch, 3);
	readiness_cancel(watch->readiness);
	start_frame(watch, "stap0");
	net_tap_send(fd, &mac);
	readiness_cancel(watch->readiness);
	watch->readiness = NULL;
	turn(watch, 5);
	assert_int_equal(watch->calls, 0);
	watch->cancel_within = true;
	start_frame(watch, "stap0");
	net_tap_send(fd, &mac);
	assert_true(net_run_until(&watch->loop, was_called, watch));
	assert_null(watch->readiness);
	readiness_cancel(NULL);
	close(fd);
}

static void frame_watch_needs_a_device(void **state)
{
	struct watch *watch = *state;
	struct mac_address mac = GUEST_MAC;
	struct error err = ERROR_INIT;
	assert_int_equal(readiness_first_frame(
				 &watch->loop, "stap9", &mac, seen, watch, &watch->readiness, &err),
		-ENODEV);
	assert_non_null(strstr(err.message, "stap9"));
	assert_null(watch->readiness);
}

static void start_tcp(struct watch *watch, const char *text, uint16_t port)
{
	struct ip_address address = net_address(text);
	assert_int_equal(readiness_tcp(&watch->loop, NULL, &address, port, seen, watch,
				 &watch->readiness, NULL),
		0);
}

static int listen_on(const char *text, uint16_t port)
{
	struct ip_address address = net_address(text);
	struct sockaddr_storage at;
	socklen_t size = ip_address_to_sockaddr(&address, port, &at);
	int fd = socket(address.family, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_true(fd >= 0);
	assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &(int){1}, sizeof(int)), 0);
	assert_int_equal(bind(fd, (struct sockaddr *)&at, size), 0);
	assert_int_equal(listen(fd, 16), 0);
	return fd;
}

/* Refused until the listener is there. */
static void check_late_listener(struct watch *watch, const char *address)
{
	start_tcp(watch, address, 8080);
	assert_int_equal(watch->calls, 0);
	turn(watch, 30);
	assert_int_equal(watch->calls, 0);
	uint64_t opened = clock_monotonic();
	int fd = listen_on(address, 8080);
	assert_true(net_run_until(&watch->loop, was_called, watch));
	assert_true(watch->at >= opened && watch->at <= clock_monotonic());
	turn(watch, 20);
	assert_int_equal(watch->calls, 1);
	close(fd);
}

static void tcp_waits_for_a_late_listener(void **state)
{
	check_late_listener(*state, "127.0.0.1");
}

static void tcp_waits_for_a_late_listener_ipv6(void **state)
{
	check_late_listener(*state, "::1");
}

/* No route at first; then lost without an answer, so that the attempts go around; then there. */
static void tcp_outlives_silence(void **state)
{
	struct watch *watch = *state;
	start_tcp(watch, "10.99.0.5", 8081);
	turn(watch, 20);
	net_ip("route add 10.99.0.5 dev sdum9 src 10.98.0.1");
	net_ip("neigh add 10.99.0.5 lladdr 02:00:00:00:00:09 dev sdum9 nud permanent");
	turn(watch, 150);
	assert_int_equal(watch->calls, 0);
	net_ip("route del 10.99.0.5 dev sdum9");
	net_ip("addr add 10.99.0.5/32 dev lo");
	int fd = listen_on("10.99.0.5", 8081);
	assert_true(net_run_until(&watch->loop, was_called, watch));
	close(fd);
	net_ip("addr del 10.99.0.5/32 dev lo");
}

/* Other timers take so long that the probe's is due again within their turn, before libuv has closed
 * what the last one has ended. */
struct lag {
	uv_timer_t timer;
	unsigned times;
};

static void on_lag(uv_timer_t *timer)
{
	struct lag *lag = timer->data;
	usleep(5000);
	uv_update_time(timer->loop);
	if (++lag->times == 40)
		uv_close((uv_handle_t *)timer, NULL);
}

static void tcp_survives_a_loop_that_lags(void **state)
{
	struct watch *watch = *state;
	struct lag lag = {.times = 0};
	net_ip("route add 10.99.0.7 dev sdum9 src 10.98.0.1");
	net_ip("neigh add 10.99.0.7 lladdr 02:00:00:00:00:09 dev sdum9 nud permanent");
	start_tcp(watch, "10.99.0.7", 8084);
	uv_timer_init(&watch->loop, &lag.timer);
	lag.timer.data = &lag;
	uv_timer_start(&lag.timer, on_lag, 1, 1);
	turn(watch, 100);
	assert_int_equal(lag.times, 40);
	net_ip("route del 10.99.0.7 dev sdum9");
	net_ip("addr add 10.99.0.7/32 dev lo");
	int fd = listen_on("10.99.0.7", 8084);
	assert_true(net_run_until(&watch->loop, was_called, watch));
	close(fd);
	net_ip("addr del 10.99.0.7/32 dev lo");
}

static void tcp_is_cancelled_in_time(void **state)
{
	struct watch *watch = *state;
	start_tcp(watch, "127.0.0.1", 8082);
	readiness_cancel(watch->readiness);
	start_tcp(watch, "127.0.0.1", 8082);
	turn(watch, 7);
	readiness_cancel(watch->readiness);
	/* With attempts under way, none of which is answered. */
	net_ip("route add 10.99.0.6 dev sdum9 src 10.98.0.1");
	start_tcp(watch, "10.99.0.6", 8082);
	turn(watch, 90);
	readiness_cancel(watch->readiness);
	net_ip("route del 10.99.0.6 dev sdum9");
	/* Answered, but not told yet. */
	int fd = listen_on("127.0.0.1", 8083);
	start_tcp(watch, "127.0.0.1", 8083);
	uv_run(&watch->loop, UV_RUN_NOWAIT);
	readiness_cancel(watch->readiness);
	watch->readiness = NULL;
	unsigned calls = watch->calls;
	turn(watch, 10);
	assert_int_equal(watch->calls, calls);
	watch->calls = 0;
	watch->cancel_within = true;
	start_tcp(watch, "127.0.0.1", 8083);
	assert_true(net_run_until(&watch->loop, was_called, watch));
	assert_null(watch->readiness);
	close(fd);
}

static void tcp_needs_an_address(void **state)
{
	struct watch *watch = *state;
	struct ip_address none = {0}, some = net_address("127.0.0.1");
	assert_int_equal(
		readiness_tcp(&watch->loop, NULL, &none, 80, seen, watch, &watch->readiness, NULL),
		-EINVAL);
	assert_int_equal(
		readiness_tcp(&watch->loop, NULL, &some, 0, seen, watch, &watch->readiness, NULL),
		-EINVAL);
}

#define WATCH_TEST(function) cmocka_unit_test_setup_teardown(function, watch_setup, watch_teardown)

int main(void)
{
	net_isolate();
	net_ip("tuntap add stap0 mode tap vnet_hdr");
	net_ip("link set stap0 up");
	/* A bridge without ports: what is sent there is lost. */
	net_ip("link add sdum9 type bridge");
	net_ip("addr add 10.98.0.1/32 dev sdum9");
	net_ip("link set sdum9 up");
	const struct CMUnitTest tests[] = {
		WATCH_TEST(first_frame_is_seen_once),
		WATCH_TEST(first_frame_survives_a_device_down),
		WATCH_TEST(frame_watch_is_cancelled_in_time),
		WATCH_TEST(frame_watch_needs_a_device),
		WATCH_TEST(tcp_waits_for_a_late_listener),
		WATCH_TEST(tcp_waits_for_a_late_listener_ipv6),
		WATCH_TEST(tcp_outlives_silence),
		WATCH_TEST(tcp_survives_a_loop_that_lags),
		WATCH_TEST(tcp_is_cancelled_in_time),
		WATCH_TEST(tcp_needs_an_address),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

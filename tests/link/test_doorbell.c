/* SPDX-License-Identifier: ISC */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/units.h"
#include "launcher/link/doorbell.h"
#include "tests/link/net.h"

/* One doorbell whose owner parks what asks for port 80 or 53, resets other connections, tells of
 * other ports, and lets the rest fall. */
struct scene {
	uv_loop_t loop;
	struct link *link;
	struct doorbell *bell;
	struct parking_lot lot;
	struct packet last;
	unsigned rings;
	bool asleep;
};

static void on_ring(void *ctx, const struct packet *packet)
{
	struct scene *scene = ctx;
	scene->last = *packet;
	scene->rings++;
	if (packet->port == 80 || packet->port == 53)
		doorbell_park(scene->bell, &scene->lot, packet);
	else if (packet->kind == PACKET_TCP_SYN || packet->kind == PACKET_TCP_MORE)
		doorbell_answer(scene->bell, packet, PACKET_ANSWER_RESET);
	else if (packet->kind == PACKET_UDP)
		doorbell_answer(scene->bell, packet, PACKET_ANSWER_PORT);
}

static bool is_ours(void *ctx, const struct ip_address *address)
{
	const struct scene *scene = ctx;
	struct ip_address known = net_address("fd77::5");
	return scene->asleep && ip_address_equal(address, &known);
}

static void open_bell(struct scene *scene)
{
	const struct doorbell_config config = {.device = "sbell",
		.pool = net_prefix("10.77.0.0/17"),
		.pool6 = net_prefix("fd77::/112"),
		.limits = {16, 64, 1 << 20},
		.rang = on_ring,
		.is_ours = is_ours,
		.is_guests = net_no_guests,
		.ctx = scene};
	struct error err = ERROR_INIT;
	scene->link = net_link(&scene->loop, 0);
	if (doorbell_create(&scene->loop, scene->link, &config, &scene->bell, &err) < 0)
		fail_msg("%s", err.message);
}

static void close_bell(struct scene *scene, bool remove_all)
{
	doorbell_clear(scene->bell, &scene->lot);
	doorbell_destroy(scene->bell, remove_all);
	link_destroy(scene->link, remove_all);
	net_run_out(&scene->loop);
}

static int setup(void **state)
{
	struct scene *scene = calloc(1, sizeof(*scene));
	scene->asleep = true;
	*state = scene;
	return uv_loop_init(&scene->loop);
}

static int teardown(void **state)
{
	struct scene *scene = *state;
	bool good = uv_loop_close(&scene->loop) == 0 && !net_exists("sbell");
	free(scene);
	return good ? 0 : -1;
}

static bool has_rung(void *ctx)
{
	return ((struct scene *)ctx)->rings > 0;
}

/* Lets the loop have a few turns, for what must not happen. */
static void idle(struct scene *scene)
{
	for (int i = 0; i < 50; i++) {
		uv_run(&scene->loop, UV_RUN_NOWAIT);
		usleep(1000);
	}
}

/* --- routes and settings --- */

static void it_is_made_silent_and_persistent(void **state)
{
	struct scene *scene = *state;
	open_bell(scene);
	assert_true(net_ip_says("dev sbell", "route get 10.77.3.5"));
	assert_true(net_ip_says("src 10.77.0.1", "route get 10.77.3.5"));
	assert_true(net_ip_says("dev sbell", "-6 route get fd77::305"));
	assert_true(net_ip_says("src fd77::1", "-6 route get fd77::305"));
	/* Others on the bridge are reached. */
	assert_true(net_ip_says("dev sbr0", "route get 10.77.200.1"));
	assert_true(net_ip_says("dev sbr0", "-6 route get fd77::200:1"));
	idle(scene);
	assert_int_equal(scene->rings, 0);
	close_bell(scene, false);
	/* It stays, and a later life uses it. */
	assert_true(net_ip_says("dev sbell", "route get 10.77.3.5"));
	unsigned index = if_nametoindex("sbell");
	open_bell(scene);
	assert_int_equal(if_nametoindex("sbell"), index);
	close_bell(scene, true);
	assert_false(net_exists("sbell"));
	assert_false(net_ip_says("10.77", "route show table all"));
}

static void bad_devices_are_refused(void **state)
{
	struct scene *scene = *state;
	struct doorbell *other = NULL;
	struct error err = ERROR_INIT;
	open_bell(scene);
	struct doorbell_config config = {.device = "sbell", .pool = net_prefix("10.77.0.0/17")};
	assert_int_equal(doorbell_create(&scene->loop, scene->link, &config, &other, &err), -EBUSY);
	assert_non_null(strstr(err.message, "another summond"));
	config.device = "sbr0";
	assert_int_equal(
		doorbell_create(&scene->loop, scene->link, &config, &other, &err), -EINVAL);
	assert_non_null(strstr(err.message, "another name"));
	config.device = "a/b";
	assert_int_equal(
		doorbell_create(&scene->loop, scene->link, &config, &other, &err), -EINVAL);
	close_bell(scene, true);
}

static bool keep_five(void *ctx, const struct ip_address *address)
{
	(void)ctx;
	struct ip_address five = net_address("192.168.9.5");
	return ip_address_equal(address, &five);
}

/* On a bridge that was there before, nothing but the addresses that are admitted is touched. */
static void a_foreign_bridge_is_left_alone(void **state)
{
	struct scene *scene = *state;
	struct ip_address five = net_address("10.77.3.5"), six = net_address("10.77.3.6");
	net_ip("link add sbr0 type bridge");
	open_bell(scene);
	assert_false(net_ip_says("sbell", "route show"));
	assert_int_equal(doorbell_admit(scene->bell, &five, NULL), 1);
	assert_int_equal(doorbell_admit(scene->bell, &five, NULL), 0);
	assert_int_equal(doorbell_admit(scene->bell, &six, NULL), 1);
	assert_true(net_ip_says("dev sbell", "route get 10.77.3.5"));
	assert_true(net_ip_says("10.77.3.5", "neigh show proxy dev sbr0"));
	assert_int_equal(doorbell_dismiss(scene->bell, &five, NULL), 0);
	assert_false(net_ip_says("10.77.3.5", "route show"));
	assert_false(net_ip_says("10.77.3.5", "neigh show proxy dev sbr0"));
	/* Somebody else's entry stays, and so does what is kept. */
	net_ip("neigh add proxy 10.77.9.9 dev sbr0");
	assert_int_equal(doorbell_prune(scene->bell, keep_five, NULL, NULL), 0);
	assert_false(net_ip_says("10.77.3.6", "route show"));
	assert_false(net_ip_says("10.77.3.6", "neigh show proxy dev sbr0"));
	assert_true(net_ip_says("10.77.9.9", "neigh show proxy dev sbr0"));
	close_bell(scene, true);
	net_ip("link del sbr0");
}

/* --- packets --- */

/* A socket that has begun to connect. */
static int connect_to(const char *text, uint16_t port)
{
	struct ip_address address = net_address(text);
	struct sockaddr_storage to;
	socklen_t size = ip_address_to_sockaddr(&address, port, &to);
	int fd = socket(address.family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	assert_true(fd >= 0);
	assert_int_equal(connect(fd, (struct sockaddr *)&to, size), -1);
	assert_int_equal(errno, EINPROGRESS);
	return fd;
}

static bool is_over(void *ctx)
{
	struct pollfd wait = {.fd = *(int *)ctx, .events = POLLOUT};
	return poll(&wait, 1, 0) == 1;
}

static int outcome(struct scene *scene, int fd)
{
	int code = -1;
	assert_true(net_run_until(&scene->loop, is_over, &fd));
	assert_int_equal(
		getsockopt(fd, SOL_SOCKET, SO_ERROR, &code, &(socklen_t){sizeof(code)}), 0);
	close(fd);
	return code;
}

static void refusals_are_heard(void **state)
{
	struct scene *scene = *state;
	static const char *const guests[] = {"10.77.3.5", "fd77::305"};
	open_bell(scene);
	for (size_t i = 0; i < 2; i++) {
		scene->rings = 0;
		assert_int_equal(outcome(scene, connect_to(guests[i], 22)), ECONNREFUSED);
		assert_int_equal(scene->rings, 1);
		assert_int_equal(scene->last.kind, PACKET_TCP_SYN);
		assert_int_equal(scene->last.port, 22);
		/* UDP, by a connected socket, which hears of errors. */
		struct ip_address guest = net_address(guests[i]);
		struct sockaddr_storage to;
		socklen_t size = ip_address_to_sockaddr(&guest, 4000, &to);
		CLEANUP(close) int udp = socket(guest.family, SOCK_DGRAM | SOCK_NONBLOCK, 0);
		assert_int_equal(connect(udp, (struct sockaddr *)&to, size), 0);
		assert_int_equal(send(udp, "x", 1, 0), 1);
		struct pollfd wait = {.fd = udp, .events = POLLIN};
		for (int turn = 0; turn < 10000 && poll(&wait, 1, 1) == 0; turn++)
			uv_run(&scene->loop, UV_RUN_NOWAIT);
		assert_int_equal(recv(udp, &(char){0}, 1, 0), -1);
		assert_int_equal(errno, ECONNREFUSED);
		/* What waited and has no guest any more. */
		scene->rings = 0;
		int fd = connect_to(guests[i], 80);
		assert_true(net_run_until(&scene->loop, has_rung, scene));
		assert_int_equal(scene->lot.count, 1);
		doorbell_refuse(scene->bell, &scene->lot, PACKET_ANSWER_HOST);
		assert_int_equal(outcome(scene, fd), EHOSTUNREACH);
		assert_int_equal(scene->lot.count, 0);
	}
	assert_int_equal(doorbell_counters(scene->bell).answered, 6);
	close_bell(scene, true);
}

static void send_words(int udp, char word, const struct sockaddr_storage *to, socklen_t size)
{
	char words[32];
	memset(words, word, sizeof(words));
	assert_int_equal(sendto(udp, words, sizeof(words), 0, (const struct sockaddr *)to, size),
		sizeof(words));
}

/* Datagrams wait, and come to the guest's tap in order, each once, with its MAC and the bridge's. */
static void what_waits_is_handed_over(void **state)
{
	struct scene *scene = *state;
	static const char *const guests[] = {"10.77.3.5", "fd77::305"};
	struct mac_address mac = GUEST_MAC, source = {0};
	char tap[IFNAMSIZ], text[MAC_ADDRESS_TEXT];
	uint8_t frame[2048];
	open_bell(scene);
	assert_int_equal(net_take(scene->link, tap, NULL), 0);
	int fd = net_tap_open(tap);
	net_tap_await(tap);
	for (size_t i = 0; i < 2; i++) {
		struct ip_address guest = net_address(guests[i]);
		size_t payload = i == 0 ? 14 + 20 + 8 : 14 + 40 + 8;
		struct sockaddr_storage to;
		socklen_t size = ip_address_to_sockaddr(&guest, 53, &to);
		CLEANUP(close) int udp = socket(guest.family, SOCK_DGRAM, 0);
		scene->rings = 0;
		for (char word = 'a'; word < 'f'; word++)
			send_words(udp, word, &to, size);
		assert_true(net_run_until(&scene->loop, has_rung, scene));
		doorbell_drain(scene->bell);
		assert_int_equal(scene->lot.count, 5);
		assert_int_equal(net_link_up(scene->link, &guest, &mac, NULL), 0);
		assert_int_equal(doorbell_replay(scene->bell, &scene->lot, &mac), 5);
		assert_int_equal(doorbell_replay(scene->bell, &scene->lot, &mac), 0);
		/* And then the guest's route is the way. */
		send_words(udp, 'f', &to, size);
		for (char word = 'a'; word < 'g'; word++) {
			net_tap_receive_udp(fd, 53, frame, sizeof(frame));
			assert_memory_equal(frame, mac.bytes, 6);
			memcpy(source.bytes, frame + 6, 6);
			assert_true(net_ip_says(
				mac_address_print(&source, text), "link show dev sbr0"));
			assert_int_equal(frame[payload], word);
		}
		assert_int_equal(link_down(scene->link, &guest, NULL), 0);
	}
	struct doorbell_counters counters = doorbell_counters(scene->bell);
	assert_int_equal(counters.parked, 10);
	assert_int_equal(counters.replayed, 10);
	assert_int_equal(counters.lost, 0);
	close(fd);
	link_tap_give(scene->link, tap);
	close_bell(scene, true);
}

/* Broadcasts, multicasts and whatever else the host says by itself. */
static void noise_rings_nothing(void **state)
{
	struct scene *scene = *state;
	open_bell(scene);
	net_ip("link set sbell down");
	net_ip("link set sbell up");
	net_ip("route replace 10.77.0.0/17 dev sbell src 10.77.0.1 metric 1024");
	net_ip("-6 addr add fd77:99::1/64 dev sbell");
	net_ip("-6 addr add fe80::1/64 dev sbell");
	struct ip_address group = net_address("ff02::fb");
	struct sockaddr_storage to;
	socklen_t size = ip_address_to_sockaddr(&group, 80, &to);
	((struct sockaddr_in6 *)&to)->sin6_scope_id = if_nametoindex("sbell");
	CLEANUP(close) int udp = socket(AF_INET6, SOCK_DGRAM, 0);
	sendto(udp, "x", 1, 0, (struct sockaddr *)&to, size);
	idle(scene);
	assert_int_equal(scene->rings, 0);
	assert_true(doorbell_counters(scene->bell).noise > 0);
	close_bell(scene, true);
}

#define DOORBELL_TEST(function) cmocka_unit_test_setup_teardown(function, setup, teardown)

int main(void)
{
	net_isolate();
	const struct CMUnitTest tests[] = {
		DOORBELL_TEST(it_is_made_silent_and_persistent),
		DOORBELL_TEST(bad_devices_are_refused),
		DOORBELL_TEST(a_foreign_bridge_is_left_alone),
		DOORBELL_TEST(refusals_are_heard),
		DOORBELL_TEST(what_waits_is_handed_over),
		DOORBELL_TEST(noise_rings_nothing),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

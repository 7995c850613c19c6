/* SPDX-License-Identifier: ISC */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>
#include <arpa/inet.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "launcher/link/doorbell.h"
#include "tests/link/net.h"

/* A doorbell, and a host of the bridge at the end of a cable whose frames are seen here. */
struct scene {
	uv_loop_t loop;
	struct link *link;
	struct doorbell *bell;
	bool asleep;
};

static void on_ring(void *ctx, const struct packet *packet)
{
	(void)ctx;
	(void)packet;
}

static bool is_ours(void *ctx, const struct ip_address *address)
{
	const struct scene *scene = ctx;
	struct ip_address known = net_address("fd77::5");
	return scene->asleep && ip_address_equal(address, &known);
}

static int setup(void **state)
{
	struct scene *scene = calloc(1, sizeof(*scene));
	const struct doorbell_config config = {.device = "sbell",
		.pool = net_prefix("10.77.0.0/17"),
		.pool6 = net_prefix("fd77::/112"),
		.rang = on_ring,
		.is_ours = is_ours,
		.is_guests = net_no_guests,
		.ctx = scene};
	scene->asleep = true;
	*state = scene;
	if (uv_loop_init(&scene->loop) < 0)
		return -1;
	scene->link = net_link(&scene->loop, 0);
	return doorbell_create(&scene->loop, scene->link, &config, &scene->bell, NULL);
}

static int teardown(void **state)
{
	struct scene *scene = *state;
	net_ip("link del sport");
	doorbell_destroy(scene->bell, true);
	link_destroy(scene->link, true);
	net_run_out(&scene->loop);
	bool good = uv_loop_close(&scene->loop) == 0;
	free(scene);
	return good ? 0 : -1;
}

/* Lets the loop have a few turns, for what must not happen. */
static void idle(struct scene *scene)
{
	for (int i = 0; i < 50; i++) {
		uv_run(&scene->loop, UV_RUN_NOWAIT);
		usleep(1000);
	}
}

/* The frames that the bridge sends to a port. */
static int open_port(void)
{
	struct sockaddr_ll at = {.sll_family = AF_PACKET, .sll_protocol = htons(ETH_P_ALL)};
	net_ip("link add sport type veth peer name shost");
	net_ip("link set sport master sbr0 up");
	net_ip("link set shost addrgenmode none");
	net_ip("link set shost arp off up");
	at.sll_ifindex = (int)if_nametoindex("shost");
	int fd = socket(AF_PACKET, SOCK_RAW | SOCK_NONBLOCK, 0);
	assert_true(fd >= 0);
	assert_int_equal(bind(fd, (struct sockaddr *)&at, sizeof(at)), 0);
	net_tap_await("sport");
	return fd;
}

static void send_frame(int fd, const uint8_t *frame, size_t length)
{
	assert_int_equal(send(fd, frame, length, 0), (ssize_t)length);
}

struct wanted {
	int fd;
	uint16_t protocol;
	size_t at; /* where `value` is */
	uint8_t value;
	bool come;
	uint8_t frame[256];
};

static bool has_come(void *ctx)
{
	struct wanted *wanted = ctx;
	struct sockaddr_ll from;
	while (!wanted->come && recvfrom(wanted->fd, wanted->frame, sizeof(wanted->frame), 0,
					(struct sockaddr *)&from, &(socklen_t){sizeof(from)}) >= 42)
		wanted->come = from.sll_pkttype != PACKET_OUTGOING &&
			       wanted->frame[12] == wanted->protocol >> 8 &&
			       wanted->frame[13] == (wanted->protocol & 0xff) &&
			       wanted->frame[wanted->at] == wanted->value;
	return wanted->come;
}

static void await_frame(struct scene *scene, struct wanted *wanted)
{
	wanted->come = false;
	assert_true(net_run_until(&scene->loop, has_come, wanted));
	wanted->come = false;
}

static const uint8_t asker[6] = {0x02, 0xaa, 0, 0, 0, 1};

static void bridge_mac(uint8_t mac[6])
{
	FILE *file = fopen("/sys/class/net/sbr0/address", "r");
	struct mac_address address;
	char text[MAC_ADDRESS_TEXT] = "";
	/* /sys shows the devices of who mounted it: ask ip(8) where it is another namespace's. */
	if (!file || !fgets(text, sizeof(text), file)) {
		FILE *ip = popen("ip -br link show dev sbr0 | tr -s ' ' | cut -d' ' -f3", "r");
		assert_non_null(fgets(text, sizeof(text), ip));
		pclose(ip);
	}
	if (file)
		fclose(file);
	text[17] = '\0';
	assert_int_equal(mac_address_parse(text, &address, NULL), 0);
	memcpy(mac, address.bytes, 6);
}

static void arp_is_answered_while_it_sleeps(void **state)
{
	struct scene *scene = *state;
	uint8_t frame[42] = {
		0xff, 0xff, 0xff, 0xff, 0xff, 0xff, [12] = 0x08, 0x06, 0, 1, 8, 0, 6, 4, 0, 1};
	const uint8_t from[4] = {10, 77, 200, 1}, to[4] = {10, 77, 3, 5};
	uint8_t own[6];
	struct mac_address mac = GUEST_MAC;
	struct ip_address guest = net_address("10.77.3.5");
	struct wanted answer = {.fd = open_port(), .protocol = 0x0806, .at = 21, .value = 2};
	bridge_mac(own);
	memcpy(frame + 6, asker, 6);
	memcpy(frame + 22, asker, 6);
	memcpy(frame + 28, from, 4);
	memcpy(frame + 38, to, 4);
	send_frame(answer.fd, frame, sizeof(frame));
	await_frame(scene, &answer);
	assert_memory_equal(answer.frame + 22, own, 6);
	assert_memory_equal(answer.frame + 28, to, 4);
	/* Awake, it answers for itself, and its neighbours are told; asleep, they are told again. */
	assert_int_equal(net_link_up(scene->link, &guest, &mac, NULL), 0);
	send_frame(answer.fd, frame, sizeof(frame));
	idle(scene);
	assert_false(has_come(&answer));
	answer.value = 1;
	doorbell_announce(scene->bell, &guest, &mac);
	await_frame(scene, &answer);
	assert_memory_equal(answer.frame + 22, mac.bytes, 6);
	assert_memory_equal(answer.frame + 28, to, 4);
	assert_memory_equal(answer.frame + 38, to, 4);
	doorbell_announce(scene->bell, &guest, NULL);
	await_frame(scene, &answer);
	assert_memory_equal(answer.frame + 22, own, 6);
	doorbell_announce_soon(scene->bell, &guest, &mac);
	await_frame(scene, &answer);
	assert_memory_equal(answer.frame + 22, mac.bytes, 6);
	close(answer.fd);
}

/* A neighbour solicitation from fd77::200:1 for fd77::5, without a checksum: nobody's stack sees
 * it but ours. */
static void make_solicitation(uint8_t frame[86])
{
	static const uint8_t head[] = {0x33, 0x33, 0xff, 0, 0, 5, 0x02, 0xaa, 0, 0, 0, 1, 0x86,
		0xdd, 0x60, 0, 0, 0, 0, 32, 58, 255};
	memset(frame, 0, 86);
	memcpy(frame, head, sizeof(head));
	memcpy(frame + 22, net_address("fd77::200:1").bytes, 16);
	memcpy(frame + 38, net_address("ff02::1:ff00:5").bytes, 16);
	frame[54] = 135;
	memcpy(frame + 62, net_address("fd77::5").bytes, 16);
	frame[78] = 1;
	frame[79] = 1;
	memcpy(frame + 80, asker, 6);
}

static void solicitations_are_answered_while_it_sleeps(void **state)
{
	struct scene *scene = *state;
	uint8_t frame[86], own[6];
	struct ip_address guest = net_address("fd77::5");
	struct mac_address mac = GUEST_MAC;
	struct wanted answer = {.fd = open_port(), .protocol = 0x86dd, .at = 54, .value = 136};
	bridge_mac(own);
	make_solicitation(frame);
	send_frame(answer.fd, frame, sizeof(frame));
	await_frame(scene, &answer);
	assert_memory_equal(answer.frame, asker, 6);
	assert_memory_equal(answer.frame + 62, guest.bytes, 16);
	assert_memory_equal(answer.frame + 80, own, 6);
	assert_int_equal(answer.frame[58], 0x60); /* solicited, override */
	assert_int_equal(answer.frame[21], 255);
	/* Who looks whether an address is free is the guest itself, and not to hear that it is taken. */
	memset(frame + 22, 0, 16);
	send_frame(answer.fd, frame, sizeof(frame));
	/* What came by a router, is of another type, or asks for an address of nobody's. */
	for (int i = 0; i < 3; i++) {
		make_solicitation(frame);
		frame[i == 0 ? 21 : i == 1 ? 55 : 77] ^= 6;
		send_frame(answer.fd, frame, sizeof(frame));
	}
	scene->asleep = false;
	make_solicitation(frame);
	send_frame(answer.fd, frame, sizeof(frame));
	idle(scene);
	assert_false(has_come(&answer));
	assert_int_equal(doorbell_counters(scene->bell).solicited, 1);
	doorbell_announce(scene->bell, &guest, &mac);
	await_frame(scene, &answer);
	assert_memory_equal(answer.frame + 80, mac.bytes, 6);
	doorbell_announce(scene->bell, &guest, NULL);
	await_frame(scene, &answer);
	assert_memory_equal(answer.frame + 80, own, 6);
	close(answer.fd);
}

/* To the guest alone, from the bridge: what it answers is for nobody else. */
static void a_guest_is_asked_for_its_address(void **state)
{
	struct scene *scene = *state;
	uint8_t own[6];
	struct mac_address mac;
	struct ip_address guest = net_address("10.77.3.5"), guest6 = net_address("fd77::5");
	struct ip_address bridge = net_address("10.77.0.1"), bridge6 = net_address("fd77::1");
	struct wanted question = {.fd = open_port(), .protocol = 0x0806, .at = 21, .value = 1};
	bridge_mac(own);
	memcpy(mac.bytes, asker, 6);
	doorbell_ask(scene->bell, &guest, &mac);
	await_frame(scene, &question);
	assert_memory_equal(question.frame, asker, 6);
	assert_memory_equal(question.frame + 22, own, 6);
	assert_memory_equal(question.frame + 28, bridge.bytes, 4);
	assert_memory_equal(question.frame + 38, guest.bytes, 4);
	question = (struct wanted){.fd = question.fd, .protocol = 0x86dd, .at = 54, .value = 135};
	doorbell_ask(scene->bell, &guest6, &mac);
	await_frame(scene, &question);
	assert_memory_equal(question.frame, asker, 6);
	assert_memory_equal(question.frame + 22, bridge6.bytes, 16);
	assert_memory_equal(question.frame + 38, guest6.bytes, 16);
	assert_memory_equal(question.frame + 62, guest6.bytes, 16);
	assert_int_equal(question.frame[78], 1); /* the asker's MAC */
	assert_memory_equal(question.frame + 80, own, 6);
	assert_int_equal(question.frame[21], 255);
	close(question.fd);
}

#define NEIGHBOUR_TEST(function) cmocka_unit_test_setup_teardown(function, setup, teardown)

int main(void)
{
	net_isolate();
	const struct CMUnitTest tests[] = {
		NEIGHBOUR_TEST(arp_is_answered_while_it_sleeps),
		NEIGHBOUR_TEST(solicitations_are_answered_while_it_sleeps),
		NEIGHBOUR_TEST(a_guest_is_asked_for_its_address),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

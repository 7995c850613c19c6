/* SPDX-License-Identifier: ISC */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>
#include <arpa/inet.h>
#include <net/if.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "launcher/link/doorbell.h"
#include "tests/link/net.h"

/* Two guests that hold their taps, and hear of one another by the host alone. */

enum { GUESTS = 2, FRAME_MAX = 2048, ARP = 0x0806, IPV4 = 0x0800, IPV6 = 0x86dd, LOCAL = 0x88b5 };

static const struct mac_address everybody = {{0xff, 0xff, 0xff, 0xff, 0xff, 0xff}};

struct guest {
	struct link_tap tap;
	struct mac_address mac;
	struct ip_address addresses[2];
	bool is_away; /* it has no packets: it sleeps */
};

struct scene {
	uv_loop_t loop;
	struct link *link;
	struct doorbell *bell;
	struct guest guests[GUESTS];
};

static void on_ring(void *ctx, const struct packet *packet)
{
	(void)ctx;
	(void)packet;
}

static struct guest *guest_of(struct scene *scene, const struct ip_address *address)
{
	for (size_t i = 0; i < 2 * GUESTS; i++)
		if (ip_address_equal(&scene->guests[i / 2].addresses[i % 2], address))
			return &scene->guests[i / 2];
	return NULL;
}

static bool is_ours(void *ctx, const struct ip_address *address)
{
	const struct guest *guest = guest_of(ctx, address);
	return guest && guest->is_away;
}

static bool is_guests(void *ctx, const struct ip_address *address, struct mac_address *mac)
{
	const struct guest *guest = guest_of(ctx, address);
	if (!guest || guest->is_away)
		return false;
	*mac = guest->mac;
	return true;
}

static int wake(struct scene *scene, unsigned number)
{
	struct guest *guest = &scene->guests[number];
	char text[64];
	guest->mac = (struct mac_address){{0x02, 0, 0, 0, 0, (uint8_t)(number + 1)}};
	snprintf(text, sizeof(text), "10.77.0.%u", 5 + number);
	guest->addresses[0] = net_address(text);
	snprintf(text, sizeof(text), "fd77::%u", 5 + number);
	guest->addresses[1] = net_address(text);
	int rc = link_tap_take(scene->link, LINK_TAP_PLAIN, &guest->tap, NULL);
	if (rc == 0)
		rc = link_place(scene->link, guest->tap.name, &guest->mac, NULL);
	for (size_t i = 0; rc >= 0 && i < 2; i++)
		rc = net_link_up(scene->link, &guest->addresses[i], &guest->mac, NULL);
	return rc;
}

/* Before Linux 6.17 it is for the whole host, here a namespace. */
static void forward_ipv6(void)
{
	FILE *file = fopen("/proc/sys/net/ipv6/conf/all/forwarding", "w");
	assert_non_null(file);
	fputs("1", file);
	fclose(file);
}

static int setup(void **state)
{
	struct scene *scene = calloc(1, sizeof(*scene));
	const struct doorbell_config config = {.device = "sbell",
		.pool = net_prefix("10.77.0.0/17"),
		.pool6 = net_prefix("fd77::/112"),
		.rang = on_ring,
		.is_ours = is_ours,
		.is_guests = is_guests,
		.ctx = scene};
	*state = scene;
	forward_ipv6();
	if (uv_loop_init(&scene->loop) < 0)
		return -1;
	scene->link = net_link(&scene->loop, 1);
	int rc = doorbell_create(&scene->loop, scene->link, &config, &scene->bell, NULL);
	if (rc == 0)
		rc = link_taps_settle(scene->link, NULL);
	for (unsigned i = 0; rc >= 0 && i < GUESTS; i++)
		rc = wake(scene, i);
	return rc;
}

static int teardown(void **state)
{
	struct scene *scene = *state;
	for (size_t i = 0; i < GUESTS; i++) {
		close(scene->guests[i].tap.fd);
		link_tap_give(scene->link, scene->guests[i].tap.name);
	}
	doorbell_destroy(scene->bell, true);
	link_destroy(scene->link, true);
	net_run_out(&scene->loop);
	bool good = uv_loop_close(&scene->loop) == 0;
	free(scene);
	return good ? 0 : -1;
}

/* ---- frames ---- */

struct frame {
	uint8_t bytes[128];
	size_t size;
};

static struct frame begin(const struct mac_address *to, const struct guest *from, uint16_t type)
{
	struct frame frame = {.size = 14};
	memcpy(frame.bytes, to->bytes, 6);
	memcpy(frame.bytes + 6, from->mac.bytes, 6);
	frame.bytes[12] = (uint8_t)(type >> 8);
	frame.bytes[13] = (uint8_t)type;
	return frame;
}

static void add(struct frame *frame, const void *bytes, size_t size)
{
	assert_true(frame->size + size <= sizeof(frame->bytes));
	memcpy(frame->bytes + frame->size, bytes, size);
	frame->size += size;
}

static void say(const struct guest *guest, const struct frame *frame)
{
	assert_int_equal(write(guest->tap.fd, frame->bytes, frame->size), (ssize_t)frame->size);
}

/* RFC 1071, over a part of a frame that is of even length. */
static void put_checksum(uint8_t *at, const uint8_t *bytes, size_t size, uint32_t sum)
{
	for (size_t i = 0; i < size; i += 2)
		sum += (uint32_t)(bytes[i] << 8 | bytes[i + 1]);
	sum = (sum & 0xffff) + (sum >> 16);
	sum = ~((sum & 0xffff) + (sum >> 16));
	at[0] = (uint8_t)(sum >> 8);
	at[1] = (uint8_t)sum;
}

static struct frame arp_request(const struct guest *from, const struct ip_address *target)
{
	struct frame frame = begin(&everybody, from, ARP);
	add(&frame, (const uint8_t[]){0, 1, 8, 0, 6, 4, 0, 1}, 8);
	add(&frame, from->mac.bytes, 6);
	add(&frame, from->addresses[0].bytes, 4);
	add(&frame, (const uint8_t[6]){0}, 6);
	add(&frame, target->bytes, 4);
	return frame;
}

static struct frame solicitation(const struct guest *from, const struct ip_address *target)
{
	const struct mac_address group = {
		{0x33, 0x33, 0xff, target->bytes[13], target->bytes[14], target->bytes[15]}};
	struct frame frame = begin(&group, from, IPV6);
	add(&frame, (const uint8_t[]){0x60, 0, 0, 0, 0, 32, 58, 255}, 8);
	add(&frame, from->addresses[1].bytes, 16);
	add(&frame, (const uint8_t[]){0xff, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0xff}, 13);
	add(&frame, target->bytes + 13, 3);
	add(&frame, (const uint8_t[]){135, 0, 0, 0, 0, 0, 0, 0}, 8);
	add(&frame, target->bytes, 16);
	add(&frame, (const uint8_t[]){1, 1}, 2);
	add(&frame, from->mac.bytes, 6);
	put_checksum(frame.bytes + 56, frame.bytes + 22, 64, 32 + 58);
	return frame;
}

static struct frame datagram(
	const struct guest *from, const struct mac_address *to, const struct ip_address *target)
{
	bool six = target->family == AF_INET6;
	struct frame frame = begin(to, from, six ? IPV6 : IPV4);
	const uint8_t head4[] = {0x45, 0, 0, 32, 0, 0, 0, 0, 64, 17, 0, 0};
	const uint8_t head6[] = {0x60, 0, 0, 0, 0, 12, 17, 64};
	add(&frame, six ? head6 : head4, six ? sizeof(head6) : sizeof(head4));
	add(&frame, from->addresses[six].bytes, ip_address_size(target));
	add(&frame, target->bytes, ip_address_size(target));
	if (!six)
		put_checksum(frame.bytes + 24, frame.bytes + 14, 20, 0);
	add(&frame, (const uint8_t[]){0x30, 0x39, 0, 7, 0, 12, 0, 0, 'h', 'e', 'l', 'o'}, 12);
	if (six)
		put_checksum(frame.bytes + 60, frame.bytes + 22, 44, 12 + 17);
	return frame;
}

/* What a guest is waiting for: the first frame of this type, with this byte at a place. */
struct wanted {
	const struct guest *guest;
	uint16_t type;
	size_t at;
	uint8_t value;
	uint8_t frame[FRAME_MAX];
};

static bool has_come(void *ctx)
{
	struct wanted *wanted = ctx;
	ssize_t size;
	while ((size = read(wanted->guest->tap.fd, wanted->frame, FRAME_MAX)) > 0)
		if (wanted->frame[12] == wanted->type >> 8 &&
			wanted->frame[13] == (wanted->type & 0xff) &&
			wanted->frame[wanted->at] == wanted->value)
			return true;
	return false;
}

static void await_frame(struct scene *scene, struct wanted *wanted)
{
	assert_true(net_run_until(&scene->loop, has_come, wanted));
}

/* Lets the loop have a few turns, for what must not happen. */
static void idle(struct scene *scene)
{
	for (int i = 0; i < 50; i++) {
		uv_run(&scene->loop, UV_RUN_NOWAIT);
		usleep(1000);
	}
}

static struct mac_address bridge_mac(void)
{
	char line[128] = "", text[MAC_ADDRESS_TEXT] = "";
	struct mac_address mac;
	FILE *ip = popen("ip -br link show dev sbr0", "r");
	assert_non_null(fgets(line, sizeof(line), ip));
	pclose(ip);
	assert_int_equal(sscanf(line, "%*s %*s %17s", text), 1);
	assert_int_equal(mac_address_parse(text, &mac, NULL), 0);
	return mac;
}

/* ---- */

static void what_one_says_to_all_goes_to_no_other(void **state)
{
	struct scene *scene = *state;
	struct guest *one = &scene->guests[0], *other = &scene->guests[1];
	struct wanted local = {.guest = other, .type = LOCAL, .at = 14, .value = 77};
	struct link_tap plain;
	struct frame frame = begin(&everybody, one, LOCAL);
	add(&frame, (const uint8_t[64]){77}, 64);
	say(one, &frame);
	memcpy(frame.bytes, other->mac.bytes, 6);
	say(one, &frame);
	assert_false(has_come(&local));
	/* A hypervisor's guest is not apart. */
	assert_int_equal(link_tap_take(scene->link, LINK_TAP_BY_NAME, &plain, NULL), 0);
	assert_true(net_ip_says("isolated off", "-d link show %s", plain.name));
	assert_true(net_ip_says("isolated on", "-d link show %s", other->tap.name));
	struct guest third = {.tap = {.fd = net_tap_open(plain.name)}};
	net_tap_await(plain.name);
	memcpy(frame.bytes, everybody.bytes, 6);
	say(one, &frame);
	uint8_t heard[FRAME_MAX];
	bool has_heard = false;
	while (!has_heard && read(third.tap.fd, heard, sizeof(heard)) > 24)
		has_heard = heard[10 + 12] == LOCAL >> 8 && heard[10 + 14] == 77;
	assert_true(has_heard);
	close(third.tap.fd);
	link_tap_give(scene->link, plain.name);
}

static void the_host_answers_who_asks_for_another(void **state)
{
	struct scene *scene = *state;
	struct guest *one = &scene->guests[0], *other = &scene->guests[1];
	struct mac_address host = bridge_mac();
	struct wanted reply = {.guest = one, .type = ARP, .at = 21, .value = 2};
	struct frame frame = arp_request(one, &other->addresses[0]);
	say(one, &frame);
	await_frame(scene, &reply);
	assert_memory_equal(reply.frame, one->mac.bytes, 6);
	assert_memory_equal(reply.frame + 22, host.bytes, 6);
	assert_memory_equal(reply.frame + 28, other->addresses[0].bytes, 4);
	assert_memory_equal(reply.frame + 32, one->mac.bytes, 6);
	assert_memory_equal(reply.frame + 38, one->addresses[0].bytes, 4);
	struct wanted advertisement = {.guest = one, .type = IPV6, .at = 54, .value = 136};
	frame = solicitation(one, &other->addresses[1]);
	say(one, &frame);
	await_frame(scene, &advertisement);
	assert_memory_equal(advertisement.frame + 62, other->addresses[1].bytes, 16);
	assert_memory_equal(advertisement.frame + 80, host.bytes, 6);
	assert_int_equal(doorbell_counters(scene->bell).solicited, 2);
	/* One who asks for his own address, as he boots, is not told that it is another's. */
	frame = arp_request(one, &one->addresses[0]);
	say(one, &frame);
	frame = solicitation(one, &one->addresses[1]);
	say(one, &frame);
	idle(scene);
	assert_false(has_come(&advertisement));
	assert_int_equal(doorbell_counters(scene->bell).solicited, 2);
}

/* A hypervisor's guest is answered by the other guest itself: the host would be a second one. */
static void others_are_not_answered(void **state)
{
	struct scene *scene = *state;
	struct guest *other = &scene->guests[1];
	struct guest third = {.mac = {{0x02, 0, 0, 0, 0, 9}},
		.addresses = {net_address("10.77.0.9"), net_address("fd77::9")}};
	struct wanted question = {.guest = other, .type = ARP, .at = 21, .value = 1};
	assert_int_equal(link_tap_take(scene->link, LINK_TAP_BY_NAME, &third.tap, NULL), 0);
	int fd = net_tap_open(third.tap.name);
	net_tap_await(third.tap.name);
	struct frame frame = arp_request(&third, &other->addresses[0]);
	uint8_t bytes[10 + sizeof(frame.bytes)] = {0};
	memcpy(bytes + 10, frame.bytes, frame.size);
	assert_int_equal(write(fd, bytes, 10 + frame.size), (ssize_t)(10 + frame.size));
	await_frame(scene, &question);
	idle(scene);
	assert_int_equal(doorbell_counters(scene->bell).solicited, 0);
	close(fd);
	link_tap_give(scene->link, third.tap.name);
}

static void packets_go_through_the_host(void **state)
{
	struct scene *scene = *state;
	struct guest *one = &scene->guests[0], *other = &scene->guests[1];
	struct mac_address host = bridge_mac();
	if (doorbell_hindrance(scene->bell)[0])
		skip();
	for (size_t i = 0; i < 2; i++) {
		/* Where the port is. */
		struct wanted packet = {
			.guest = other, .type = i ? IPV6 : IPV4, .at = i ? 57 : 37, .value = 7};
		struct frame frame = datagram(one, &host, &other->addresses[i]);
		say(one, &frame);
		await_frame(scene, &packet);
		assert_memory_equal(packet.frame, other->mac.bytes, 6);
		assert_memory_equal(packet.frame + 6, host.bytes, 6);
		size_t source = i ? 22 : 26;
		assert_memory_equal(packet.frame + source, one->addresses[i].bytes,
			ip_address_size(&one->addresses[i]));
	}
}

/* It would send to it, past the host. */
static void none_hears_where_another_is(void **state)
{
	struct scene *scene = *state;
	struct guest *one = &scene->guests[0], *other = &scene->guests[1];
	struct wanted advertisement = {.guest = one, .type = IPV6, .at = 54, .value = 136};
	struct wanted request = {.guest = one, .type = ARP, .at = 21, .value = 1};
	doorbell_announce(scene->bell, &other->addresses[1], &other->mac);
	idle(scene);
	assert_false(has_come(&advertisement));
	doorbell_announce(scene->bell, &other->addresses[0], &other->mac);
	idle(scene);
	assert_false(has_come(&request));
	doorbell_ask(scene->bell, &one->addresses[0], &one->mac);
	await_frame(scene, &request);
	assert_memory_equal(request.frame + 38, one->addresses[0].bytes, 4);
}

static void they_stay_apart_on_a_bridge_made_anew(void **state)
{
	struct scene *scene = *state;
	struct guest *one = &scene->guests[0];
	const struct mac_address before = bridge_mac();
	net_ip("link del sbr0");
	net_ip("link add sbr0 type bridge");
	net_ip("link set sbr0 up");
	assert_true(link_restore(scene->link, NULL) > 0);
	const struct mac_address after = bridge_mac();
	assert_memory_equal(&after, &before, sizeof(before)); /* which they know of one another */
	assert_true(net_ip_says("isolated off", "-d link show %s", one->tap.name) ||
		    !net_ip_says("bridge_slave", "-d link show %s", one->tap.name));
	assert_int_equal(link_tap_restore(scene->link, one->tap.name, NULL), 0);
	assert_true(net_ip_says("isolated on", "-d link show %s", one->tap.name));
}

static void they_stay_apart_after_a_kill(void **state)
{
	struct scene *scene = *state;
	struct guest *one = &scene->guests[0];
	struct link *later = net_link(&scene->loop, 0);
	link_isolate(later, true);
	assert_int_equal(link_tap_adopt(later, one->tap.name, NULL), 0);
	assert_int_equal(link_place(later, one->tap.name, &one->mac, NULL), 0);
	assert_true(link_is_isolated(later, &one->mac));
	assert_true(net_ip_says("isolated on", "-d link show %s", one->tap.name));
	/* But not where nobody will answer for them: after a stop, */
	link_destroy(later, false);
	assert_true(net_ip_says("isolated off", "-d link show %s", one->tap.name));
	later = net_link(&scene->loop, 0);
	link_isolate(later, true);
	assert_int_equal(link_tap_adopt(later, one->tap.name, NULL), 0);
	assert_true(net_ip_says("isolated off", "-d link show %s", one->tap.name));
	link_destroy(later, false);
	/* and where the host does not forward. */
	net_ip("link set %s type bridge_slave isolated on", one->tap.name);
	later = net_link(&scene->loop, 0);
	assert_int_equal(link_tap_adopt(later, one->tap.name, NULL), 0);
	assert_int_equal(link_place(later, one->tap.name, &one->mac, NULL), 0);
	assert_false(link_is_isolated(later, &one->mac));
	assert_true(net_ip_says("isolated off", "-d link show %s", one->tap.name));
	link_destroy(later, false);
}

#define ISOLATED_TEST(function) cmocka_unit_test_setup_teardown(function, setup, teardown)

int main(void)
{
	net_isolate();
	const struct CMUnitTest tests[] = {
		ISOLATED_TEST(what_one_says_to_all_goes_to_no_other),
		ISOLATED_TEST(the_host_answers_who_asks_for_another),
		ISOLATED_TEST(others_are_not_answered),
		ISOLATED_TEST(packets_go_through_the_host),
		ISOLATED_TEST(none_hears_where_another_is),
		ISOLATED_TEST(they_stay_apart_on_a_bridge_made_anew),
		ISOLATED_TEST(they_stay_apart_after_a_kill),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

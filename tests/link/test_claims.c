/* SPDX-License-Identifier: ISC */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>
#include <errno.h>
#include <linux/if_packet.h>
#include <linux/virtio_net.h>
#include <net/if.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "launcher/link/claims.h"
#include "tests/link/net.h"

/* What a guest's frames say to whom, as they are written to its tap. */

static const struct mac_address host = {{0x02, 0xbb, 0, 0, 0, 1}};

enum said { NOTHING, CLAIM, QUESTION, ANSWER };

struct frame_kind {
	const char *what;
	uint8_t to; /* the first byte of the destination; that of the host, and it is the host's */
	uint16_t protocol;
	uint8_t next, type; /* IPv6: the next header, and the type of ICMPv6; ARP: the operation */
	bool own, same;     /* from the guest; ARP: to who asks for his own address */
	enum said said;
};

static const struct frame_kind kinds[] = {
	{"ARP to all", 0xff, 0x0806, 0, 1, true, false, CLAIM},
	{"ARP of itself to all", 0xff, 0x0806, 0, 1, true, true, CLAIM},
	{"ARP to another host", 0x06, 0x0806, 0, 1, true, false, CLAIM},
	{"ARP reply to the host", 0x02, 0x0806, 0, 2, true, false, ANSWER},
	{"ARP request to the host", 0x02, 0x0806, 0, 1, true, false, NOTHING},
	{"ARP to the host's announcement", 0x02, 0x0806, 0, 2, true, true, NOTHING},
	{"another guest's ARP", 0xff, 0x0806, 0, 1, false, false, NOTHING},
	{"advertisement to all", 0x33, 0x86dd, 58, 136, true, false, CLAIM},
	{"advertisement to another host", 0x06, 0x86dd, 58, 136, true, false, CLAIM},
	{"advertisement to the host", 0x02, 0x86dd, 58, 136, true, false, ANSWER},
	{"solicitation", 0x33, 0x86dd, 58, 135, true, false, QUESTION},
	{"solicitation of the host", 0x02, 0x86dd, 58, 135, true, false, NOTHING},
	{"another guest's advertisement", 0x33, 0x86dd, 58, 136, false, false, NOTHING},
	{"router solicitation", 0x33, 0x86dd, 58, 133, true, false, NOTHING},
	{"redirect", 0x33, 0x86dd, 58, 137, true, false, NOTHING},
	{"echo request", 0x06, 0x86dd, 58, 128, true, false, NOTHING},
	{"IPv6, TCP", 0x06, 0x86dd, 6, 136, true, false, NOTHING},
	{"IPv4", 0x06, 0x0800, 0, 0, true, false, NOTHING},
	{"something else", 0xff, 0x88b5, 0, 0, true, false, NOTHING},
};

struct scene {
	uv_loop_t loop;
	int tap;
	struct claims *claims;
	unsigned claimed, answered, awaited;
	bool end_within;
};

static void heard(void *ctx, bool answer)
{
	struct scene *scene = ctx;
	++*(answer ? &scene->answered : &scene->claimed);
	if (!scene->end_within)
		return;
	claims_end(scene->claims);
	scene->claims = NULL;
}

static int setup(void **state)
{
	struct scene *scene = calloc(1, sizeof(*scene));
	struct mac_address mac = GUEST_MAC;
	*state = scene;
	if (!scene || uv_loop_init(&scene->loop) < 0)
		return -1;
	scene->awaited = 1;
	scene->tap = net_tap_open("stap0");
	return claims_watch(&scene->loop, "stap0", &mac, &host, heard, scene, &scene->claims, NULL);
}

static int teardown(void **state)
{
	struct scene *scene = *state;
	claims_end(scene->claims);
	unsigned claimed = scene->claimed, answered = scene->answered;
	net_run_out(&scene->loop);
	close(scene->tap);
	bool good = uv_loop_close(&scene->loop) == 0 && claimed == scene->claimed &&
		    answered == scene->answered;
	free(scene);
	return good ? 0 : -1;
}

static void say(const struct scene *scene, const struct frame_kind *kind)
{
	uint8_t packet[sizeof(struct virtio_net_hdr) + 90] = {0};
	uint8_t *frame = packet + sizeof(struct virtio_net_hdr);
	const struct mac_address guest = GUEST_MAC;
	frame[0] = kind->to;
	if (kind->to == host.bytes[0])
		memcpy(frame, host.bytes, 6);
	memcpy(frame + 6, guest.bytes, 6);
	frame[11] ^= !kind->own;
	frame[12] = (uint8_t)(kind->protocol >> 8);
	frame[13] = (uint8_t)kind->protocol;
	frame[20] = kind->next;
	frame[31] = kind->same ? 0 : 5; /* the sender of ARP */
	frame[kind->protocol == 0x0806 ? 21 : 54] = kind->type;
	assert_int_equal(write(scene->tap, packet, sizeof(packet)), sizeof(packet));
}

/* So long that a question has been told, and its pause is over. */
static void listen_for(struct scene *scene, int turns)
{
	for (int i = 0; i < turns; i++) {
		uv_run(&scene->loop, UV_RUN_NOWAIT);
		usleep(1000);
	}
}

static bool has_claimed(void *ctx)
{
	const struct scene *scene = ctx;
	return scene->claimed >= scene->awaited;
}

static bool has_answered(void *ctx)
{
	return ((struct scene *)ctx)->answered > 0;
}

static void each_is_told_for_what_it_is(void **state)
{
	static const unsigned claims[] = {[CLAIM] = 2, [QUESTION] = 1, [ANSWER] = 0};
	struct scene *scene = *state;
	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
		scene->claimed = scene->answered = 0;
		say(scene, &kinds[i]);
		scene->awaited = claims[kinds[i].said];
		net_run_until(&scene->loop, has_claimed, scene);
		if (kinds[i].said == ANSWER)
			net_run_until(&scene->loop, has_answered, scene);
		listen_for(scene, 10);
		if (scene->claimed != scene->awaited ||
			scene->answered != (kinds[i].said == ANSWER))
			fail_msg("%s: %u claims, %u answers", kinds[i].what, scene->claimed,
				scene->answered);
	}
}

/* However much a guest says, it has little said in answer; and what it says last is told. */
static void many_are_told_as_few(void **state)
{
	struct scene *scene = *state;
	scene->awaited = 2;
	for (int i = 0; i < 50; i++)
		say(scene, &kinds[0]);
	assert_true(net_run_until(&scene->loop, has_claimed, scene));
	assert_int_equal(scene->claimed, 2);
	for (int i = 0; i < 50; i++)
		say(scene, &kinds[0]);
	say(scene, &kinds[3]);
	assert_true(net_run_until(&scene->loop, has_answered, scene));
	scene->awaited = 4;
	assert_true(net_run_until(&scene->loop, has_claimed, scene));
	listen_for(scene, 10);
	assert_int_equal(scene->claimed, 4);
}

/* Somebody else who takes the guest's MAC: what the bridge then brings to the tap is not the guest's. */
static void what_comes_to_the_guest_is_no_word_of_its(void **state)
{
	struct scene *scene = *state;
	const struct mac_address guest = GUEST_MAC;
	struct sockaddr_ll to = {
		.sll_family = AF_PACKET, .sll_ifindex = (int)if_nametoindex("stap0")};
	uint8_t frame[60] = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff, [12] = 0x08, 0x06, [21] = 1};
	memcpy(frame + 6, guest.bytes, 6);
	int fd = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0);
	assert_true(fd >= 0);
	assert_int_equal(sendto(fd, frame, sizeof(frame), 0, (struct sockaddr *)&to, sizeof(to)),
		sizeof(frame));
	close(fd);
	listen_for(scene, 20);
	assert_int_equal(scene->claimed, 0);
}

static void it_may_be_ended_within(void **state)
{
	struct scene *scene = *state;
	scene->end_within = true;
	say(scene, &kinds[0]);
	say(scene, &kinds[3]);
	assert_true(net_run_until(&scene->loop, has_claimed, scene));
	listen_for(scene, 10);
	assert_int_equal(scene->answered, 0);
	assert_null(scene->claims);
}

static void it_outlives_a_device_down(void **state)
{
	struct scene *scene = *state;
	listen_for(scene, 2);
	net_ip("link set stap0 down");
	listen_for(scene, 5);
	net_ip("link set stap0 up");
	say(scene, &kinds[0]);
	assert_true(net_run_until(&scene->loop, has_claimed, scene));
}

static void it_needs_a_device(void **state)
{
	struct scene *scene = *state;
	struct claims *none = NULL;
	struct error err = ERROR_INIT;
	struct mac_address mac = GUEST_MAC;
	assert_int_equal(
		claims_watch(&scene->loop, "stap9", &mac, &host, heard, scene, &none, &err),
		-ENODEV);
	assert_non_null(strstr(err.message, "stap9"));
	assert_null(none);
	claims_end(NULL);
}

#define CLAIMS_TEST(function) cmocka_unit_test_setup_teardown(function, setup, teardown)

int main(void)
{
	net_isolate();
	net_ip("tuntap add stap0 mode tap vnet_hdr");
	net_ip("link set stap0 up");
	const struct CMUnitTest tests[] = {
		CLAIMS_TEST(each_is_told_for_what_it_is),
		CLAIMS_TEST(many_are_told_as_few),
		CLAIMS_TEST(what_comes_to_the_guest_is_no_word_of_its),
		CLAIMS_TEST(it_may_be_ended_within),
		CLAIMS_TEST(it_outlives_a_device_down),
		CLAIMS_TEST(it_needs_a_device),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

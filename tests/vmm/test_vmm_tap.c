/* SPDX-License-Identifier: ISC */
/* The tap of a guest that rests on disk: held, it keeps nothing, and works again, whatever filter its last
 * holder had on it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/if_tun.h>
#include <linux/virtio_net.h>
#include <net/ethernet.h>
#include <net/if.h>
#include <netpacket/packet.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "launcher/vmm/vmm.h"
#include "tests/link/net.h"

#define TAP "resting"

static const uint8_t to_guest[ETH_ALEN] = {2, 0, 0, 0, 0, 1},
		     to_all[ETH_ALEN] = {255, 255, 255, 255, 255, 255};

/* As its first monitor had it: persistent, and deaf to what is for all. The kernel remembers where the filter
 * was, and would read it there again. */
static void make_tap(void)
{
	struct ifreq request = {.ifr_name = TAP, .ifr_flags = IFF_TAP | IFF_NO_PI | IFF_VNET_HDR};
	static struct sock_filter code[] = {
		BPF_STMT(BPF_LD | BPF_B | BPF_ABS, 0),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, 0xff, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, 0),
		BPF_STMT(BPF_RET | BPF_K, UINT32_MAX),
	};
	const struct sock_fprog filter = {sizeof(code) / sizeof(code[0]), code};
	int tap = open("/dev/net/tun", O_RDWR | O_CLOEXEC);
	assert_true(tap >= 0);
	assert_int_equal(ioctl(tap, TUNSETIFF, &request), 0);
	assert_int_equal(ioctl(tap, TUNSETPERSIST, 1), 0);
	assert_int_equal(ioctl(tap, TUNATTACHFILTER, &filter), 0);
	net_ip("link add bridge type bridge");
	net_ip("link set bridge up");
	net_ip("link set %s master bridge up", TAP);
	close(tap);
}

/* Sends a frame there; whether the tap has one then. */
static bool hears(int tap, const uint8_t *to)
{
	uint8_t frame[60] = {0}, got[sizeof(struct virtio_net_hdr) + sizeof(frame)];
	const struct sockaddr_ll address = {.sll_family = AF_PACKET,
		.sll_ifindex = (int)if_nametoindex(TAP),
		.sll_halen = ETH_ALEN};
	memcpy(frame, to, ETH_ALEN);
	frame[12] = 0x88, frame[13] = 0xb5; /* IEEE 802, for experiments */
	int out = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0);
	assert_int_equal(sendto(out, frame, sizeof(frame), 0, (const struct sockaddr *)&address,
				 sizeof(address)),
		sizeof(frame));
	close(out);
	bool heard = false;
	while (read(tap, got, sizeof(got)) > 0)
		heard |= memcmp(got + sizeof(struct virtio_net_hdr), frame, sizeof(frame)) == 0;
	return heard;
}

static void a_held_tap_opens_again(void **state)
{
	(void)state;
	int tap;
	make_tap();
	assert_int_equal(vmm_tap_open(TAP, true, &tap, NULL), 0);
	net_tap_await(TAP);
	assert_false(hears(tap, to_guest));
	assert_false(hears(tap, to_all));
	vmm_tap_open_up(tap);
	assert_true(hears(tap, to_guest));
	assert_true(hears(tap, to_all));
	close(tap);
	net_ip("link del %s", TAP);
	net_ip("link del bridge");
}

int main(void)
{
	net_isolate();
	const struct CMUnitTest tests[] = {cmocka_unit_test(a_held_tap_opens_again)};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

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
#include <linux/if_ether.h>
#include <linux/if_tun.h>
#include <linux/virtio_net.h>
#include <poll.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/units.h"
#include "tests/link/net.h"

#define GUARD_NS (100 * NS_PER_S)
#define GUARD_MS 100000

void net_isolate(void)
{
	if (unshare(CLONE_NEWNET) < 0) {
		printf("1..0 # SKIP no network namespace of our own (%s): run as root\n",
			strerror(errno));
		exit(0);
	}
	if (access("/dev/net/tun", R_OK | W_OK) < 0) {
		printf("1..0 # SKIP no taps here: /dev/net/tun: %s\n", strerror(errno));
		exit(0);
	}
	net_ip("link set lo up");
}

static FILE *ip_open(const char *format, va_list arguments)
{
	char command[256];
	int length = snprintf(command, sizeof(command), "ip ");
	vsnprintf(command + length, sizeof(command) - (size_t)length, format, arguments);
	fflush(stdout);
	FILE *output = popen(command, "r");
	assert_non_null(output);
	return output;
}

void net_ip(const char *format, ...)
{
	va_list arguments;
	va_start(arguments, format);
	FILE *output = ip_open(format, arguments);
	va_end(arguments);
	assert_int_equal(pclose(output), 0);
}

bool net_ip_says(const char *text, const char *format, ...)
{
	char line[1024];
	bool found = false;
	va_list arguments;
	va_start(arguments, format);
	FILE *output = ip_open(format, arguments);
	va_end(arguments);
	while (fgets(line, sizeof(line), output))
		found = found || strstr(line, text);
	pclose(output);
	return found;
}

bool net_exists(const char *device)
{
	return if_nametoindex(device) != 0;
}

unsigned net_count(const char *prefix)
{
	unsigned count = 0;
	struct if_nameindex *all = if_nameindex();
	assert_non_null(all);
	for (struct if_nameindex *i = all; i->if_name; i++)
		count += strncmp(i->if_name, prefix, strlen(prefix)) == 0;
	if_freenameindex(all);
	return count;
}

unsigned net_files(void)
{
	unsigned count = 0;
	CLEANUP(closedir) DIR *dir = opendir("/proc/self/fd");
	while (dir && readdir(dir))
		count++;
	return count;
}

struct ip_address net_address(const char *text)
{
	struct ip_address address;
	assert_int_equal(ip_address_parse(text, &address, NULL), 0);
	return address;
}

struct ip_prefix net_prefix(const char *text)
{
	struct ip_prefix prefix;
	assert_int_equal(ip_prefix_parse(text, &prefix, NULL), 0);
	return prefix;
}

bool net_run_until(uv_loop_t *loop, bool (*done)(void *ctx), void *ctx)
{
	uint64_t end = clock_monotonic() + GUARD_NS;
	bool is_done = false;
	while (!(is_done = done(ctx)) && clock_monotonic() < end) {
		uv_run(loop, UV_RUN_NOWAIT);
		usleep(200);
	}
	return is_done;
}

static bool nothing_left(void *ctx)
{
	return !uv_loop_alive(ctx);
}

void net_run_out(uv_loop_t *loop)
{
	assert_true(net_run_until(loop, nothing_left, loop));
}

struct link *net_link(uv_loop_t *loop, unsigned spare_taps)
{
	struct link_config config = {.bridge = "sbr0",
		.address = net_prefix("10.77.0.1/16"),
		.address6 = net_prefix("fd77::1/64"),
		.tap_prefix = "stap",
		.spare_taps = spare_taps};
	struct link *link = NULL;
	struct error err = ERROR_INIT;
	if (link_create(loop, &config, &link, &err) < 0)
		fail_msg("%s", err.message);
	return link;
}

int net_take(struct link *link, char name[IFNAMSIZ], struct error *err)
{
	struct link_tap tap;
	int rc = link_tap_take(link, LINK_TAP_BY_NAME, &tap, err);
	if (rc == 0)
		memcpy(name, tap.name, sizeof(tap.name));
	return rc;
}

int net_link_up(struct link *link, const struct ip_address *address, const struct mac_address *mac,
	struct error *err)
{
	int rc = link_prepare(link, address, mac, err);
	if (rc >= 0)
		rc = link_open(link, address, err);
	return rc < 0 ? rc : 0;
}

void net_link_end(uv_loop_t *loop, struct link *link)
{
	link_destroy(link, true);
	net_run_out(loop);
}

int net_tap_open(const char *name)
{
	struct ifreq request = {.ifr_flags = IFF_TAP | IFF_NO_PI | IFF_VNET_HDR};
	snprintf(request.ifr_name, sizeof(request.ifr_name), "%s", name);
	int fd = open("/dev/net/tun", O_RDWR | O_CLOEXEC);
	assert_true(fd >= 0);
	assert_int_equal(ioctl(fd, TUNSETIFF, &request), 0);
	return fd;
}

void net_tap_await(const char *name)
{
	uint64_t end = clock_monotonic() + GUARD_NS;
	while (!net_ip_says("state UP", "link show dev %s", name) ||
		!net_ip_says("state forwarding", "-d link show dev %s", name)) {
		assert_true(clock_monotonic() < end);
		usleep(1000);
	}
}

void net_tap_send(int fd, const struct mac_address *mac)
{
	uint8_t packet[sizeof(struct virtio_net_hdr) + 60] = {0};
	struct ethhdr header = {.h_proto = htons(0x88b5)}; /* for local experiments, IEEE 802 */
	memset(header.h_dest, 0xff, sizeof(header.h_dest));
	memcpy(header.h_source, mac->bytes, sizeof(header.h_source));
	memcpy(packet + sizeof(struct virtio_net_hdr), &header, sizeof(header));
	assert_int_equal(write(fd, packet, sizeof(packet)), sizeof(packet));
}

static bool is_udp_to(const uint8_t *frame, size_t size, uint16_t port)
{
	uint16_t protocol, destination;
	if (size < 14 + 40 + 8)
		return false;
	memcpy(&protocol, frame + 12, sizeof(protocol));
	size_t udp = ntohs(protocol) == ETH_P_IP ? 14 + 20 : 14 + 40;
	uint8_t next = ntohs(protocol) == ETH_P_IP ? frame[14 + 9] : frame[14 + 6];
	memcpy(&destination, frame + udp + 2, sizeof(destination));
	return next == IPPROTO_UDP && ntohs(destination) == port;
}

size_t net_tap_receive_udp(int fd, uint16_t port, uint8_t *frame, size_t size)
{
	uint8_t packet[2048];
	for (;;) {
		struct pollfd wait = {.fd = fd, .events = POLLIN};
		assert_int_equal(poll(&wait, 1, GUARD_MS), 1);
		ssize_t length = read(fd, packet, sizeof(packet));
		assert_true(length > (ssize_t)sizeof(struct virtio_net_hdr));
		size_t rest = (size_t)length - sizeof(struct virtio_net_hdr);
		assert_true(rest <= size);
		memcpy(frame, packet + sizeof(struct virtio_net_hdr), rest);
		if (is_udp_to(frame, rest, port))
			return rest;
	}
}

bool net_no_guests(void *ctx, const struct ip_address *address, struct mac_address *mac)
{
	(void)ctx, (void)address, (void)mac;
	return false;
}

int net_send_udp(const struct ip_address *address, uint16_t port)
{
	static const char words[] = "is anybody there? answer, please";
	struct sockaddr_storage to;
	socklen_t size = ip_address_to_sockaddr(address, port, &to);
	CLEANUP(close) int fd = socket(address->family, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	assert_true(fd >= 0);
	return sendto(fd, words, sizeof(words), 0, (struct sockaddr *)&to, size) < 0 ? -errno : 0;
}

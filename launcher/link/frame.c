/* SPDX-License-Identifier: ISC */
#include <errno.h>
#include <linux/filter.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <net/if.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <arpa/inet.h>

#include "base/cleanup.h"
#include "base/units.h"
#include "launcher/link/mac.h"
#include "launcher/link/watcher.h"

/* The first frame of a guest, seen through a packet socket (packet(7)). */
struct frame_watcher {
	struct readiness readiness;
	uv_poll_t poll;
	int fd;
	uint64_t since;
};

/* A filter in the socket, set before the socket is bound to the device, so that no other frame is
 * ever queued: classic BPF, the source MAC at byte 6 of an Ethernet frame. */
static int set_filter(int fd, const struct mac_address *mac)
{
	struct sock_filter code[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, ETH_ALEN),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, mac_upper(mac), 0, 3),
		BPF_STMT(BPF_LD | BPF_H | BPF_ABS, ETH_ALEN + 4),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, mac_lower(mac), 0, 1),
		BPF_STMT(BPF_RET | BPF_K, ETH_HLEN),
		BPF_STMT(BPF_RET | BPF_K, 0),
	};
	struct sock_fprog program = {.len = sizeof(code) / sizeof(code[0]), .filter = code};
	return setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, &program, sizeof(program));
}

static int open_socket(const char *device, const struct mac_address *mac, struct error *err)
{
	struct sockaddr_ll address = {.sll_family = AF_PACKET,
		.sll_protocol = htons(ETH_P_ALL),
		.sll_ifindex = (int)if_nametoindex(device)};
	if (address.sll_ifindex == 0)
		return error_set(err, -errno, "cannot watch for frames on '%.40s': %s", device,
			strerror(errno));
	CLEANUP(close)
	int fd = socket(AF_PACKET, SOCK_RAW | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd < 0 || set_filter(fd, mac) < 0 ||
		setsockopt(fd, SOL_SOCKET, SO_TIMESTAMPNS, &(int){1}, sizeof(int)) < 0 ||
		bind(fd, (const struct sockaddr *)&address, sizeof(address)) < 0) {
		int code = -errno;
		return error_set(err, code, "cannot watch for frames on '%s': %s%s", device,
			strerror(-code), code == -EPERM ? "; run as root or with CAP_NET_RAW" : "");
	}
	return steal_fd(&fd);
}

/* The kernel stamps a frame by the real-time clock. Its age is taken from now; a clock that was
 * set meanwhile gives nonsense, which is held between the start of the watch and now. */
static uint64_t frame_time(struct msghdr *message, uint64_t since)
{
	uint64_t now = clock_monotonic(), real = clock_real();
	struct timespec stamp;
	for (struct cmsghdr *c = CMSG_FIRSTHDR(message); c; c = CMSG_NXTHDR(message, c)) {
		if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_TIMESTAMPNS)
			continue;
		memcpy(&stamp, CMSG_DATA(c), sizeof(stamp));
		uint64_t at = (uint64_t)stamp.tv_sec * NS_PER_S + (uint64_t)stamp.tv_nsec;
		return at <= real && real - at <= now - since ? now - (real - at) : now;
	}
	return now;
}

static void on_frame(uv_poll_t *poll, int status, int events);

/* The device went down and may come up again: the socket keeps the error until it is read, and
 * libuv has ended the polling. */
static void poll_again(struct frame_watcher *watcher)
{
	int code;
	socklen_t size = sizeof(code);
	getsockopt(watcher->fd, SOL_SOCKET, SO_ERROR, &code, &size);
	uv_poll_start(&watcher->poll, UV_READABLE, on_frame);
}

static void on_frame(uv_poll_t *poll, int status, int events)
{
	(void)events;
	struct frame_watcher *watcher = poll->data;
	char frame[ETH_HLEN], control[CMSG_SPACE(sizeof(struct timespec))];
	struct iovec part = {.iov_base = frame, .iov_len = sizeof(frame)};
	struct msghdr message = {.msg_iov = &part,
		.msg_iovlen = 1,
		.msg_control = control,
		.msg_controllen = sizeof(control)};
	if (status < 0) {
		poll_again(watcher);
		return;
	}
	if (recvmsg(watcher->fd, &message, MSG_DONTWAIT | MSG_TRUNC) < 0)
		return;
	uv_poll_stop(poll);
	readiness_tell(&watcher->readiness, frame_time(&message, watcher->since));
}

static void release(uv_handle_t *handle)
{
	free(handle->data);
}

static void close_watcher(struct readiness *readiness)
{
	struct frame_watcher *watcher = (struct frame_watcher *)readiness;
	uv_close((uv_handle_t *)&watcher->poll, release);
	close(watcher->fd);
}

int readiness_first_frame(uv_loop_t *loop, const char *device, const struct mac_address *mac,
	readiness_fn seen, void *ctx, struct readiness **out, struct error *err)
{
	uint64_t since = clock_monotonic();
	CLEANUP(close) int fd = open_socket(device, mac, err);
	if (fd < 0)
		return fd;
	CLEANUP(free) struct frame_watcher *watcher = calloc(1, sizeof(*watcher));
	if (!watcher)
		return error_set(err, -ENOMEM, "no memory to watch for frames on '%s'", device);
	watcher->readiness = (struct readiness){.close = close_watcher, .seen = seen, .ctx = ctx};
	watcher->since = since;
	watcher->poll.data = watcher;
	int rc = uv_poll_init(loop, &watcher->poll, fd);
	if (rc < 0)
		return error_set(
			err, rc, "cannot watch for frames on '%s': %s", device, uv_strerror(rc));
	watcher->fd = steal_fd(&fd);
	uv_poll_start(&watcher->poll, UV_READABLE, on_frame);
	*out = &STEAL_POINTER(watcher)->readiness;
	return 0;
}

/* SPDX-License-Identifier: ISC */
#include "tests/link/faults.h"

#include <errno.h>
#include <linux/netlink.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "base/cleanup.h"

/* What is called has no context that could be passed on. The threads of libuv's pool call, too. */
static struct {
	const char *call; /* NULL: none fails */
	int error;
	unsigned when, count;
} plan;

/* The error that the kernel's next answer to this thread is to be, or 0. */
static _Thread_local int answer;

void faults_begin(const char *call, int error, unsigned when)
{
	plan.error = error;
	plan.when = when;
	plan.count = 0;
	__atomic_store_n(&plan.call, call, __ATOMIC_RELEASE);
}

bool faults_end(void)
{
	__atomic_store_n(&plan.call, NULL, __ATOMIC_RELEASE);
	return __atomic_load_n(&plan.count, __ATOMIC_RELAXED) >= plan.when;
}

static bool strikes(const char *name)
{
	const char *call = __atomic_load_n(&plan.call, __ATOMIC_ACQUIRE);
	if (!call || strcmp(name, call) != 0 ||
		__atomic_add_fetch(&plan.count, 1, __ATOMIC_RELAXED) != plan.when)
		return false;
	errno = plan.error;
	return true;
}

/* Of whatever the call takes: words, of which those that it does not take do no harm by the rules of
 * x86-64. */
#define WRAP(name, failure)                                                                        \
	long __real_##name(long a, long b, long c, long d, long e, long f);                        \
	long __wrap_##name(long a, long b, long c, long d, long e, long f);                        \
	long __wrap_##name(long a, long b, long c, long d, long e, long f)                         \
	{                                                                                          \
		return strikes(#name) ? (failure) : __real_##name(a, b, c, d, e, f);               \
	}
WRAP(bind, -1)
WRAP(calloc, 0)
WRAP(connect, -1)
WRAP(if_nametoindex, 0)
WRAP(ioctl, -1)
WRAP(malloc, 0)
WRAP(nlmsg_alloc_simple, 0)
WRAP(open64, -1)
WRAP(reallocarray, 0)
WRAP(setsockopt, -1)
WRAP(socket, -1)
WRAP(uv_poll_init, -errno)
WRAP(write, -1)

ssize_t __real_sendto(int fd, const void *data, size_t size, int flags, const struct sockaddr *to,
	socklen_t to_size);
ssize_t __wrap_sendto(int fd, const void *data, size_t size, int flags, const struct sockaddr *to,
	socklen_t to_size);
ssize_t __wrap_sendto(int fd, const void *data, size_t size, int flags, const struct sockaddr *to,
	socklen_t to_size)
{
	if (strikes("sendto"))
		return -1;
	if (!to || to->sa_family != AF_NETLINK || !strikes("netlink"))
		return __real_sendto(fd, data, size, flags, to, to_size);
	answer = errno;
	CLEANUP(free) struct nlmsghdr *unknown = malloc(size);
	memcpy(unknown, data, size);
	unknown->nlmsg_type = UINT16_MAX;
	return __real_sendto(fd, unknown, size, flags, to, to_size);
}

ssize_t __real_recvfrom(
	int fd, void *data, size_t size, int flags, struct sockaddr *from, socklen_t *from_size);
ssize_t __wrap_recvfrom(
	int fd, void *data, size_t size, int flags, struct sockaddr *from, socklen_t *from_size);
ssize_t __wrap_recvfrom(
	int fd, void *data, size_t size, int flags, struct sockaddr *from, socklen_t *from_size)
{
	if (strikes("recvfrom"))
		return -1;
	ssize_t length = __real_recvfrom(fd, data, size, flags, from, from_size);
	struct nlmsghdr *message = data;
	if (answer == 0 || length < (ssize_t)sizeof(*message) || message->nlmsg_type != NLMSG_ERROR)
		return length;
	struct nlmsgerr *error = NLMSG_DATA(message);
	error->error = -answer;
	answer = 0;
	return length;
}

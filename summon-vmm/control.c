/* SPDX-License-Identifier: ISC */
#include "summon-vmm/control.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define TRIES     4
#define HEAD_SIZE offsetof(struct control_message, text)

static int make_asynchronous(int fd, int owner, int flags)
{
	return fcntl(fd, F_SETOWN, owner) < 0 || fcntl(fd, F_SETFL, flags | O_ASYNC) < 0 ? -1 : 0;
}

static int block_signal(struct error *err)
{
	sigset_t set;
	sigemptyset(&set);
	sigaddset(&set, SIGIO);
	return sigprocmask(SIG_SETMASK, &set, NULL) < 0
		       ? error_set(err, -errno, "SIGIO: %s", strerror(errno))
		       : 0;
}

int control_open(struct control *control, int listener, struct error *err)
{
	/* Requests may be there already, and more of them come while we get ready. */
	int result = block_signal(err);
	if (result < 0)
		return result;
	*control = (struct control){.listener = listener, .peer = -1, .owner = getpid()};
	/* To listen again makes us the one whom a client's SO_PEERCRED names. */
	if (listen(listener, 4) < 0 ||
		make_asynchronous(listener, control->owner, O_RDWR | O_NONBLOCK) < 0)
		return error_set(err, -errno, "the control socket: %s", strerror(errno));
	return 0;
}

int control_own(const struct control *control, struct error *err)
{
	const int fds[] = {control->listener, control->peer};
	for (size_t i = 0; i < sizeof(fds) / sizeof(fds[0]); i++)
		if (fds[i] >= 0 && fcntl(fds[i], F_SETOWN, control->owner) < 0)
			return error_set(err, -errno, "the control socket: %s", strerror(errno));
	return 0;
}

static void drop_peer(struct control *control)
{
	if (control->peer >= 0)
		close(control->peer);
	control->peer = -1;
}

/* Asking is a tenth of accepting nothing, for which the kernel makes a socket first. */
static bool somebody_connects(const struct control *control)
{
	static const struct timespec now = {0};
	struct pollfd poll = {.fd = control->listener, .events = POLLIN};
	return ppoll(&poll, 1, &now, NULL) > 0;
}

int control_take_connection(struct control *control, struct error *err)
{
	if (!somebody_connects(control))
		return 0;
	int fd = accept4(control->listener, NULL, NULL, SOCK_CLOEXEC);
	if (fd < 0)
		return error_set(err, -errno, "a connection: %s", strerror(errno));
	drop_peer(control);
	control->peer = fd;
	/* Only what is sent waits; requests are asked for with MSG_DONTWAIT. */
	if (make_asynchronous(fd, control->owner, O_RDWR) < 0)
		return error_set(err, -errno, "a connection: %s", strerror(errno));
	return 0;
}

void control_reach(struct control *control, int listener)
{
	control->listener = listener;
	if (control->peer < 0)
		control_take_connection(control, NULL);
}

static void take_descriptors(struct control_request *request, struct msghdr *message)
{
	request->fd_count = 0;
	struct cmsghdr *c = CMSG_FIRSTHDR(message);
	if (!c || c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
		return;
	request->fd_count = (unsigned)((c->cmsg_len - CMSG_LEN(0)) / sizeof(int));
	memcpy(request->fds, CMSG_DATA(c), request->fd_count * sizeof(int));
}

/* The kernel may be short of memory for a moment. */
static bool is_worth_another_try(unsigned *tries)
{
	return errno == EINTR || ((errno == ENOMEM || errno == ENOBUFS) && --*tries > 0);
}

/* Whoever has asked for something would wait for ever. */
static void tell_deafness(struct control *control)
{
	const struct control_message head = {.type = CONTROL_FAILED, .code = -errno};
	char why[128];
	int size = snprintf(why, sizeof(why), "a request cannot be read: %s", strerror(errno));
	control_send(control, &head, why, (size_t)size);
}

/* The size of a packet; 0 where the peer is gone, or not one who knows what to say. */
static ssize_t take_packet(struct control *control, struct control_request *request)
{
	_Alignas(struct cmsghdr) char room[CMSG_SPACE(sizeof(request->fds))];
	struct iovec part = {&request->message, sizeof(request->message)};
	struct msghdr message = {.msg_iov = &part,
		.msg_iovlen = 1,
		.msg_control = room,
		.msg_controllen = sizeof(room)};
	ssize_t size;
	unsigned tries = TRIES;
	do
		size = recvmsg(control->peer, &message, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
	while (size < 0 && is_worth_another_try(&tries));
	if (size < 0 && errno == EAGAIN)
		return -EAGAIN;
	if (size < 0 && errno != ECONNRESET)
		tell_deafness(control);
	if (size < 0)
		return 0;
	take_descriptors(request, &message);
	if (size >= (ssize_t)HEAD_SIZE)
		return size;
	control_request_finish(request);
	return 0;
}

void control_request_finish(struct control_request *request)
{
	for (unsigned i = 0; i < request->fd_count; i++)
		if (request->fds[i] >= 0)
			close(request->fds[i]);
	request->fd_count = 0;
}

/* One that cannot interrupt a guest is no use. */
static void take_next(struct control *control)
{
	if (control_take_connection(control, NULL) < 0)
		drop_peer(control);
}

bool control_next(struct control *control, struct control_request *request)
{
	for (;;) {
		if (control->peer < 0)
			take_next(control);
		if (control->peer < 0)
			return false;
		ssize_t size = take_packet(control, request);
		if (size > 0) {
			request->text_size = (size_t)size - HEAD_SIZE;
			return true;
		}
		if (size == 0) {
			drop_peer(control);
			continue;
		}
		/* A new one means that the old one is forgotten. */
		int old = control->peer;
		take_next(control);
		if (control->peer == old)
			return false;
	}
}

static bool send_one(struct control *control, const struct control_message *message, size_t size)
{
	ssize_t sent;
	unsigned tries = TRIES;
	do
		sent = send(control->peer, message, HEAD_SIZE + size, MSG_NOSIGNAL);
	while (sent < 0 && is_worth_another_try(&tries));
	return sent >= 0;
}

void control_send(
	struct control *control, const struct control_message *head, const char *text, size_t size)
{
	struct control_message message;
	memcpy(&message, head, HEAD_SIZE);
	while (control->peer >= 0) {
		size_t part = size < CONTROL_TEXT_MAX ? size : CONTROL_TEXT_MAX;
		memcpy(message.text, text, part);
		if (!send_one(control, &message, part))
			drop_peer(control);
		text += part;
		size -= part;
		if (size == 0)
			return;
	}
}

bool control_is_asked(const struct control *control, enum control_type type)
{
	uint32_t first = 0;
	ssize_t size = recv(control->peer, &first, sizeof(first), MSG_PEEK | MSG_DONTWAIT);
	return size == sizeof(first) && first == type;
}

void control_polls(const struct control *control, struct pollfd polls[CONTROL_POLLS])
{
	polls[0] = (struct pollfd){.fd = control->listener, .events = POLLIN};
	polls[1] = (struct pollfd){.fd = control->peer, .events = POLLIN};
}

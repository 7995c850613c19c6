/* SPDX-License-Identifier: ISC */
#include "summon-vmm/control.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define HEAD_SIZE offsetof(struct control_message, text)

static int make_asynchronous(int fd, int owner, int flags)
{
	return fcntl(fd, F_SETOWN, owner) < 0 || fcntl(fd, F_SETFL, flags | O_ASYNC) < 0 ? -1 : 0;
}

int control_open(struct control *control, int listener, struct error *err)
{
	*control = (struct control){.listener = listener, .peer = -1, .owner = getpid()};
	/* To listen again makes us the one whom a client's SO_PEERCRED names. */
	if (listen(listener, 4) < 0 ||
		make_asynchronous(listener, control->owner, O_RDWR | O_NONBLOCK) < 0)
		return error_set(err, -errno, "the control socket: %s", strerror(errno));
	return 0;
}

static void drop_peer(struct control *control)
{
	if (control->peer >= 0)
		close(control->peer);
	control->peer = -1;
}

void control_take_connection(struct control *control)
{
	int fd = accept4(control->listener, NULL, NULL, SOCK_CLOEXEC);
	if (fd < 0)
		return;
	drop_peer(control);
	control->peer = fd;
	/* Only what is sent waits; requests are asked for with MSG_DONTWAIT. */
	if (make_asynchronous(fd, control->owner, O_RDWR) < 0)
		drop_peer(control);
}

bool control_next(struct control *control, enum control_type *request)
{
	struct control_message message;
	for (;;) {
		if (control->peer < 0)
			control_take_connection(control);
		if (control->peer < 0)
			return false;
		ssize_t size = recv(control->peer, &message, sizeof(message), MSG_DONTWAIT);
		if (size < 0 && errno == EINTR)
			continue;
		if (size < 0 && errno == EAGAIN) {
			/* A new one means that the old one is forgotten. */
			int old = control->peer;
			control_take_connection(control);
			if (control->peer == old)
				return false;
			continue;
		}
		if (size < (ssize_t)HEAD_SIZE) {
			drop_peer(control); /* gone, or nobody who knows what to say */
			continue;
		}
		*request = message.type;
		return true;
	}
}

static bool send_one(struct control *control, const struct control_message *message, size_t size)
{
	ssize_t sent;
	do
		sent = send(control->peer, message, HEAD_SIZE + size, MSG_NOSIGNAL);
	while (sent < 0 && errno == EINTR);
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

void control_polls(const struct control *control, struct pollfd polls[CONTROL_POLLS])
{
	polls[0] = (struct pollfd){.fd = control->listener, .events = POLLIN};
	polls[1] = (struct pollfd){.fd = control->peer, .events = POLLIN};
}

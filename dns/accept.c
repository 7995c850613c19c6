/* SPDX-License-Identifier: ISC */
#include "dns/accept.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

/* Connections that wait in the kernel. */
#define BACKLOG 256
/* Accepted in one loop turn: a flood must not keep the rest of the loop waiting. */
#define BATCH   64

/* libuv accepts by itself, but has to be given a handle for whatever comes. With a poll handle a
 * connection that is refused costs no memory, and running out of descriptors is ours to handle. */
struct tcp_listener {
	uv_poll_t poll;
	struct tcp *tcp;
	int fd;
	int reserve; /* a descriptor to accept with when there is no other; -1: none */
};

/* Out of descriptors: without this the connection would stay, and the loop would spin on it. */
static void refuse_with_reserve(struct tcp_listener *listener)
{
	listener->tcp->responder->counters.tcp_refused++;
	if (listener->reserve >= 0)
		close(listener->reserve);
	int fd = accept4(listener->fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
	if (fd >= 0)
		close(fd);
	listener->reserve = open("/dev/null", O_RDONLY | O_CLOEXEC);
}

/* False where there is nothing more to accept now. */
static bool accept_one(struct tcp_listener *listener)
{
	union client_address source;
	socklen_t size = sizeof(source);
	int fd = accept4(listener->fd, &source.any, &size, SOCK_CLOEXEC | SOCK_NONBLOCK);
	if (fd >= 0) {
		tcp_open(listener->tcp, fd, &source);
		return true;
	}
	switch (errno) {
	case EMFILE:
	case ENFILE:
		refuse_with_reserve(listener);
		return false;
	case EAGAIN:
	case ENOBUFS:
	case ENOMEM:
		return false;
	default:
		return true; /* this one has failed on the network (accept(2)); there may be more */
	}
}

static void on_acceptable(uv_poll_t *poll, int status, int events)
{
	struct tcp_listener *listener = poll->data;
	(void)events;
	if (status < 0) /* libuv stops polling on an error */
		uv_poll_start(poll, UV_READABLE, on_acceptable);
	for (int i = 0; i < BATCH && accept_one(listener); i++)
		;
}

static void on_closed(uv_handle_t *handle)
{
	struct tcp_listener *listener = handle->data;
	struct handles *handles = listener->tcp->handles;
	close(listener->fd);
	if (listener->reserve >= 0)
		close(listener->reserve);
	free(listener);
	handles_release(handles);
}

int tcp_listener_create(struct tcp *tcp, int fd, struct tcp_listener **out)
{
	struct tcp_listener *listener = calloc(1, sizeof(*listener));
	int rc = !listener ? -ENOMEM : listen(fd, BACKLOG) < 0 ? -errno : 0;
	if (rc == 0)
		rc = uv_poll_init(tcp->loop, &listener->poll, fd);
	if (rc < 0) {
		free(listener);
		close(fd);
		return rc;
	}
	listener->poll.data = listener;
	listener->tcp = tcp;
	listener->fd = fd;
	listener->reserve = open("/dev/null", O_RDONLY | O_CLOEXEC);
	tcp->handles->open++;
	uv_poll_start(&listener->poll, UV_READABLE, on_acceptable);
	*out = listener;
	return 0;
}

void tcp_listener_destroy(struct tcp_listener *listener)
{
	if (listener)
		uv_close((uv_handle_t *)&listener->poll, on_closed);
}

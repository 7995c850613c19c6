/* SPDX-License-Identifier: ISC */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "launcher/libxl/libxl.h"

#define HEAD_SIZE         offsetof(struct xl_message, text)
#define MESSAGES_PER_TURN 64

static void helper_closed(uv_handle_t *handle)
{
	struct xl_helper *helper = handle->data;
	struct xl *xl = helper->xl;
	if (--helper->open_handles > 0)
		return;
	close(helper->socket);
	free(helper);
	xl_handle_closed(xl);
}

void xl_helper_leave(struct xl *xl)
{
	struct xl_helper *helper = xl->helper;
	if (!helper)
		return;
	xl->helper = NULL;
	shutdown(helper->socket, SHUT_RDWR);
	uv_close((uv_handle_t *)&helper->poll, helper_closed);
	uv_close((uv_handle_t *)&helper->process, helper_closed);
}

/* What it has said is read to its end; the end of the socket is what counts. */
static void on_end(uv_process_t *process, int64_t status, int signal)
{
	(void)process, (void)status, (void)signal;
}

static void on_socket(uv_poll_t *poll, int status, int events)
{
	struct xl_helper *helper = poll->data;
	struct xl *xl = helper->xl;
	struct xl_message message;
	(void)status;
	if (events & UV_WRITABLE) {
		uv_poll_start(poll, UV_READABLE, on_socket);
		xl_guests_advance(xl);
	}
	for (unsigned i = 0; i < MESSAGES_PER_TURN && xl->helper == helper; i++) {
		ssize_t size = recv(helper->socket, &message, sizeof(message), MSG_DONTWAIT);
		if (size < 0 && (errno == EINTR || errno == ECONNRESET))
			continue;
		if (size < 0 && errno == EAGAIN)
			return;
		if (size < (ssize_t)HEAD_SIZE)
			xl_helper_lost(xl, "summon-xl ended");
		else
			xl_take(xl, &message, (size_t)size - HEAD_SIZE);
	}
}

/* In a session of its own: what ends the daemon's does not end it in the middle of its work. */
static int spawn(struct xl_helper *helper, int socket)
{
	struct xl *xl = helper->xl;
	char identity[160], lock[4200], saved[4200], workers[32];
	char *words[] = {xl->program, identity, lock, saved, workers, NULL};
	char *const environment[] = {NULL};
	snprintf(identity, sizeof(identity), "--identity=%s", xl->identity);
	snprintf(lock, sizeof(lock), "--lock=%s", xl->lock);
	snprintf(saved, sizeof(saved), "--saved=%s", xl->saved);
	snprintf(workers, sizeof(workers), "--workers=%" PRIu64, xl->workers);
	uv_stdio_container_t files[XL_FD + 1] = {
		{.flags = UV_IGNORE},
		{.flags = UV_IGNORE},
		{.flags = UV_INHERIT_FD, .data.fd = STDERR_FILENO},
		[XL_FD] = {.flags = UV_INHERIT_FD, .data.fd = socket},
	};
	const uv_process_options_t options = {.file = xl->program,
		.args = words,
		.env = (char **)(uintptr_t)environment,
		.flags = UV_PROCESS_DETACHED,
		.stdio = files,
		.stdio_count = XL_FD + 1,
		.exit_cb = on_end};
	return uv_spawn(xl->loop, &helper->process, &options);
}

/* The memory goes with the handles; the socket too. */
static void discard(struct xl_helper *helper)
{
	uv_close((uv_handle_t *)&helper->poll, helper_closed);
	uv_close((uv_handle_t *)&helper->process, helper_closed);
}

int xl_helper_start(struct xl *xl, struct error *err)
{
	int ends[2];
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ends) < 0)
		return error_set(err, -errno, "no socket: %s", strerror(errno));
	CLEANUP(close) int theirs = ends[1];
	struct xl_helper *helper = calloc(1, sizeof(*helper));
	if (!helper) {
		close(ends[0]);
		return error_set(err, -ENOMEM, "out of memory");
	}
	helper->xl = xl;
	helper->socket = ends[0];
	helper->process.data = helper->poll.data = helper;
	helper->open_handles = 2;
	xl->open_handles++;
	uv_poll_init(xl->loop, &helper->poll, helper->socket);
	int r = spawn(helper, theirs);
	if (r < 0) {
		discard(helper);
		return error_set(err, r, "%s: %s", xl->program, uv_strerror(r));
	}
	uv_poll_start(&helper->poll, UV_READABLE, on_socket);
	xl->helper = helper;
	return xl_helper_send(xl, &(struct xl_message){.type = XL_LIST}, 0);
}

/* What it has not room for is asked when it has. */
int xl_helper_send(struct xl *xl, const struct xl_message *message, size_t text_size)
{
	ssize_t sent = send(
		xl->helper->socket, message, HEAD_SIZE + text_size, MSG_DONTWAIT | MSG_NOSIGNAL);
	if (sent >= 0)
		return 0;
	int failure = -errno; /* but for EAGAIN, its end is on its way, and all is asked again */
	uv_poll_start(&xl->helper->poll, UV_READABLE | UV_WRITABLE, on_socket);
	return failure;
}

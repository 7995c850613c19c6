/* SPDX-License-Identifier: ISC */
#include <errno.h>
#include <net/if.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/units.h"
#include "launcher/link/watcher.h"

/*
 * The first TCP connection that is accepted. An attempt is made every few ms, and each lives on
 * while the next ones are made, so that an answer slower than that is heard too. The longer it
 * takes, the rarer the attempts: an attempt lives PROBE_ATTEMPTS intervals.
 */
#define PROBE_ATTEMPTS 16

/* How often, by the time since the start. */
static const struct {
	uint64_t until_ns, interval_ms;
} pace[] = {
	{1 * NS_PER_S, 4},
	{10 * NS_PER_S, 20},
	{UINT64_MAX, 100},
};

struct attempt {
	uv_poll_t poll; /* its data is NULL where it is free to be used */
	int fd;
};

struct tcp_probe {
	struct readiness readiness;
	uv_timer_t timer;
	uint64_t since;
	char device[IFNAMSIZ];
	struct sockaddr_storage address;
	socklen_t address_size;
	struct attempt attempts[PROBE_ATTEMPTS]; /* in turn, the oldest one at `next` */
	unsigned next;
	unsigned handles; /* not yet closed */
	bool cancelled;
};

static void handle_closed(struct tcp_probe *probe)
{
	if (--probe->handles == 0 && probe->cancelled)
		free(probe);
}

static void timer_closed(uv_handle_t *handle)
{
	handle_closed(handle->data);
}

static void attempt_closed(uv_handle_t *handle)
{
	struct tcp_probe *probe = handle->data;
	handle->data = NULL;
	handle_closed(probe);
}

static void end_attempt(struct attempt *attempt)
{
	if (!attempt->poll.data || uv_is_closing((uv_handle_t *)&attempt->poll))
		return;
	uv_close((uv_handle_t *)&attempt->poll, attempt_closed);
	close(attempt->fd);
}

static void end_all(struct tcp_probe *probe)
{
	uv_timer_stop(&probe->timer);
	for (size_t i = 0; i < PROBE_ATTEMPTS; i++)
		end_attempt(&probe->attempts[i]);
}

static void succeed(struct tcp_probe *probe)
{
	uint64_t at = clock_monotonic();
	end_all(probe);
	readiness_tell(&probe->readiness, at);
}

static void on_answer(uv_poll_t *poll, int status, int events)
{
	(void)events;
	struct tcp_probe *probe = poll->data;
	struct attempt *attempt = (struct attempt *)poll;
	int code = 0;
	socklen_t size = sizeof(code);
	/* libuv reports a refused connection as an error of its own. */
	if (status < 0 || getsockopt(attempt->fd, SOL_SOCKET, SO_ERROR, &code, &size) < 0 || code)
		end_attempt(attempt);
	else
		succeed(probe);
}

/* Starts to connect: the socket, or a negative errno. */
static int open_attempt(const struct tcp_probe *probe)
{
	CLEANUP(close)
	int fd = socket(probe->address.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -errno;
	/* Closing resets the connection: it leaves nothing behind in the guest nor here. */
	setsockopt(
		fd, SOL_SOCKET, SO_LINGER, &(struct linger){.l_onoff = 1}, sizeof(struct linger));
	/* Packets of others go to the doorbell while the guest is not ready; these do not. */
	if (probe->device[0] && setsockopt(fd, SOL_SOCKET, SO_BINDTODEVICE, probe->device,
					(socklen_t)strlen(probe->device)) < 0)
		return -errno;
	if (connect(fd, (const struct sockaddr *)&probe->address, probe->address_size) < 0 &&
		errno != EINPROGRESS)
		return -errno;
	return steal_fd(&fd);
}

/* A failure here (no route yet, no descriptor left) is one more attempt without an answer. */
static void start_attempt(struct tcp_probe *probe, struct attempt *attempt)
{
	CLEANUP(close) int fd = open_attempt(probe);
	if (fd < 0 || uv_poll_init(probe->timer.loop, &attempt->poll, fd) < 0)
		return;
	attempt->fd = steal_fd(&fd);
	attempt->poll.data = probe;
	probe->handles++;
	uv_poll_start(&attempt->poll, UV_WRITABLE, on_answer);
}

static void on_timer(uv_timer_t *timer)
{
	struct tcp_probe *probe = timer->data;
	struct attempt *attempt = &probe->attempts[probe->next];
	uint64_t age = clock_monotonic() - probe->since;
	size_t i = 0;
	while (age >= pace[i].until_ns)
		i++;
	uv_timer_start(timer, on_timer, pace[i].interval_ms, 0);
	/* Of a loop that lags behind, timers run more than once a turn. */
	if (attempt->poll.data)
		return;
	start_attempt(probe, attempt);
	/* The oldest attempt makes room for the next one: its place is free a turn later. */
	probe->next = (probe->next + 1) % PROBE_ATTEMPTS;
	end_attempt(&probe->attempts[probe->next]);
}

static void close_probe(struct readiness *readiness)
{
	struct tcp_probe *probe = (struct tcp_probe *)readiness;
	probe->cancelled = true;
	end_all(probe);
	uv_close((uv_handle_t *)&probe->timer, timer_closed);
}

int readiness_tcp(uv_loop_t *loop, const char *device, const struct ip_address *address,
	uint16_t port, readiness_fn seen, void *ctx, struct readiness **out, struct error *err)
{
	if (!ip_address_is_set(address) || port == 0)
		return error_set(err, -EINVAL, "a TCP probe needs an address and a port");
	struct tcp_probe *probe = calloc(1, sizeof(*probe));
	if (!probe)
		return error_set(err, -ENOMEM, "no memory for a TCP probe");
	probe->readiness = (struct readiness){.close = close_probe, .seen = seen, .ctx = ctx};
	if (device)
		strncpy(probe->device, device, sizeof(probe->device) - 1);
	probe->since = clock_monotonic();
	probe->address_size = ip_address_to_sockaddr(address, port, &probe->address);
	probe->handles = 1;
	uv_timer_init(loop, &probe->timer);
	probe->timer.data = probe;
	uv_timer_start(&probe->timer, on_timer, 0, 0);
	*out = &probe->readiness;
	return 0;
}

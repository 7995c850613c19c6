/* SPDX-License-Identifier: ISC */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>

#include "summon-xl/helper.h"
#include "summon-xl/keys.h"

#define HEAD_SIZE         offsetof(struct xl_message, text)
#define REQUESTS_PER_TURN 64

enum { PLACE_SOCKET, PLACE_KEYS, PLACE_WORKERS, PLACES = PLACE_WORKERS + WORKERS_MAX };

static bool make_room(struct helper *helper, size_t count)
{
	if (count <= helper->poll_room)
		return true;
	struct pollfd *polls = reallocarray(helper->polls, count + 32, sizeof(*polls));
	if (!polls)
		return false;
	helper->polls = polls;
	helper->poll_room = count + 32;
	return true;
}

/* The socket, xenstore, the workers, the consoles; then what libxl wants. */
static int collect(struct helper *helper, size_t *own, int *libxl_count, int *timeout)
{
	struct timeval now;
	size_t count = PLACES;
	for (struct domain *domain = helper->domains; domain; domain = domain->next)
		count++;
	if (!make_room(helper, count + 8))
		return -ENOMEM;
	short wanted =
		(short)((helper->leaving ? 0 : POLLIN) | (helper->outbox.first ? POLLOUT : 0));
	helper->polls[PLACE_SOCKET] =
		(struct pollfd){.fd = wanted ? helper->outbox.socket : -1, .events = wanted};
	helper->polls[PLACE_KEYS] =
		(struct pollfd){.fd = keys_descriptor(helper), .events = POLLIN};
	for (unsigned i = 0; i < WORKERS_MAX; i++)
		helper->polls[PLACE_WORKERS + i] = (struct pollfd){
			.fd = i < helper->work.count ? helper->work.workers[i].socket : -1,
			.events = POLLIN};
	*own = PLACES;
	for (struct domain *domain = helper->domains; domain; domain = domain->next) {
		domain->poll_place = (*own)++;
		helper->polls[domain->poll_place] = (struct pollfd){
			.fd = helper->outbox.first ? -1 : domain->console, .events = POLLIN};
	}
	for (;;) {
		*libxl_count = (int)(helper->poll_room - *own);
		*timeout = -1;
		gettimeofday(&now, NULL);
		int rc = libxl_osevent_beforepoll(
			helper->ctx, libxl_count, helper->polls + *own, timeout, now);
		if (rc == 0)
			return 0;
		if (rc != ERROR_BUFFERFULL || !make_room(helper, *own + (size_t)*libxl_count))
			return -EIO;
	}
}

static void take_requests(struct helper *helper)
{
	struct xl_message request;
	for (unsigned i = 0; i < REQUESTS_PER_TURN && !helper->leaving; i++) {
		ssize_t size = recv(helper->outbox.socket, &request, sizeof(request), MSG_DONTWAIT);
		if (size < 0 && errno == EAGAIN)
			return;
		if (size < (ssize_t)HEAD_SIZE)
			helper->leaving = true;
		else
			request_take(helper, &request, (size_t)size - HEAD_SIZE);
	}
}

/* Whatever killed a worker, the next summon-xl finds what it left. */
static void take_answers(struct helper *helper, unsigned worker)
{
	struct xl_message answer;
	int size;
	while ((size = work_take(&helper->work, worker, &answer)) >= 0)
		request_done(helper, &answer, (size_t)size);
	if (size != -EAGAIN)
		helper->broken = true;
}

static void take_events(struct helper *helper)
{
	libxl_event *event;
	while (libxl_event_check(helper->ctx, &event, LIBXL_EVENTMASK_ALL, NULL, NULL) == 0) {
		domain_event(helper, event);
		libxl_event_free(helper->ctx, event);
	}
}

/* Before anything else, because what follows changes the list of domains. */
static void take_output(struct helper *helper)
{
	for (struct domain *domain = helper->domains; domain; domain = domain->next)
		if (helper->polls[domain->poll_place].revents)
			domain_listen(helper, domain, false);
}

static void take_all(struct helper *helper, size_t own, int libxl_count)
{
	struct timeval now;
	take_output(helper);
	gettimeofday(&now, NULL);
	libxl_osevent_afterpoll(helper->ctx, libxl_count, helper->polls + own, now);
	take_events(helper);
	if (helper->polls[PLACE_KEYS].revents)
		keys_take(helper);
	for (unsigned i = 0; i < helper->work.count; i++)
		take_answers(helper, i);
	outbox_flush(&helper->outbox);
	if (helper->polls[PLACE_SOCKET].revents & (POLLIN | POLLHUP | POLLERR))
		take_requests(helper);
	if (helper->outbox.broken)
		helper->leaving = true;
}

int helper_run(struct helper *helper, struct error *err)
{
	while (!helper->broken && (!helper->leaving || helper->work.under_way > 0)) {
		size_t own;
		int libxl_count, timeout;
		int r = collect(helper, &own, &libxl_count, &timeout);
		if (r < 0)
			return error_set(err, r, "events cannot be waited for: %s", strerror(-r));
		if (poll(helper->polls, own + (size_t)libxl_count, timeout) < 0 && errno != EINTR)
			return error_set(err, -errno, "poll: %s", strerror(errno));
		take_all(helper, own, libxl_count);
	}
	return helper->broken ? error_set(err, -EPIPE, "a worker died") : 0;
}

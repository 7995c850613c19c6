/* SPDX-License-Identifier: ISC */
#include "summon-vmm/monitor.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <time.h>

/* Of one thing without a text. */
static void tell(struct monitor *m, enum control_type type)
{
	control_send(&m->control, &(struct control_message){.type = type}, "", 0);
}

void monitor_fail(struct monitor *m, const struct error *err)
{
	control_send(&m->control,
		&(struct control_message){.type = CONTROL_FAILED, .code = err->code}, err->message,
		strlen(err->message));
}

void monitor_end(struct monitor *m, enum control_exit how, const char *why)
{
	if (m->over)
		return;
	m->over = true;
	control_send(&m->control,
		&(struct control_message){.type = CONTROL_EXITED, .code = (int32_t)how}, why,
		strlen(why));
}

static void tell_facts(struct monitor *m)
{
	char text[CONTROL_TEXT_MAX];
	const char *parts[] = {m->service, m->tap};
	size_t size = 0;
	for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++) {
		size_t length = strlen(parts[i]);
		memcpy(text + size, parts[i], length);
		text[size + length] = '\0';
		size += length + 1;
	}
	const struct control_message head = {
		.type = CONTROL_FACTS,
		.flags = (m->paused ? CONTROL_IS_PAUSED : 0u) |
			 (m->has_run ? CONTROL_HAS_RUN : 0u) | (m->ready ? CONTROL_IS_READY : 0u),
		.started_at = m->started_at,
	};
	control_send(&m->control, &head, text, size);
}

static void tell_figures(struct monitor *m)
{
	const struct rings *rings = &m->rings;
	const struct control_figures figures = {.frames_in = rings->in.frames,
		.bytes_in = rings->in.bytes,
		.frames_out = rings->out.frames,
		.bytes_out = rings->out.bytes,
		.frames_lost = rings->lost,
		.exits = m->exits};
	control_send(&m->control, &(struct control_message){.type = CONTROL_MEASURED},
		(const char *)&figures, sizeof(figures));
}

static void shut_down(struct monitor *m)
{
	if (m->paused)
		monitor_end(m, CONTROL_EXIT_DESTROYED, ""); /* it could not hear */
	else
		__atomic_store_n(&m->shared->stop_requested, 1, __ATOMIC_RELAXED);
}

static void boot(struct monitor *m, struct control_request *request)
{
	struct error err;
	if (m->has_guest)
		return; /* once is enough */
	if (monitor_boot(m, request, &err) == 0) {
		tell(m, CONTROL_CREATED);
		/* Whoever wanted it is dead; his heir may have looked before we listened, and will not
		 * look again. */
		m->over = m->control.peer < 0;
		return;
	}
	m->over = true;
	monitor_fail(m, &err);
}

static void load(struct monitor *m, struct control_request *request)
{
	struct error err;
	int result = m->has_guest ? error_set(&err, -EALREADY, "it is no shell any more")
				  : monitor_load(m, request, &err);
	const struct control_message answer = {.type = CONTROL_LOADED, .code = result};
	const char *why = result < 0 ? err.message : "";
	control_send(&m->control, &answer, why, strlen(why));
}

static void resume(struct monitor *m, uint64_t flags)
{
	const struct control_message answer = {.type = CONTROL_RESUMED, .flags = flags};
	if (!m->keep_when_ready)
		monitor_keep_cancel(m);
	m->paused = false;
	control_send(&m->control, &answer, "", 0);
}

static void pause_guest(struct monitor *m, uint64_t flags)
{
	const struct control_message answer = {.type = CONTROL_PAUSED, .flags = flags};
	if (!m->keep_when_ready)
		monitor_keep_cancel(m);
	m->paused = true;
	control_send(&m->control, &answer, "", 0);
	monitor_trim(m);
}

static void keep(struct monitor *m, struct control_request *request)
{
	if (request->fd_count != 1)
		return;
	monitor_keep_ask(m, request->fds[0], request->message.flags);
	request->fds[0] = -1;
}

static void obey(struct monitor *m, struct control_request *request)
{
	switch (request->message.type) {
	case CONTROL_BOOT:
		boot(m, request);
		break;
	case CONTROL_RESUME:
		resume(m, request->message.flags);
		break;
	case CONTROL_PAUSE:
		pause_guest(m, request->message.flags);
		break;
	case CONTROL_SHUTDOWN:
		shut_down(m);
		break;
	case CONTROL_ASK:
		/* By somebody who does not know what was asked for before. */
		monitor_keep_cancel(m);
		tell_facts(m);
		break;
	case CONTROL_KEEP:
		keep(m, request);
		break;
	case CONTROL_MEASURE:
		tell_figures(m);
		break;
	case CONTROL_LOAD:
		load(m, request);
		break;
	default:
		break; /* of a later version of the protocol */
	}
}

/* What interrupts the guest stays pending until it is taken: before the requests are, so that one
 * that comes later interrupts again, and none interrupts for nothing. */
static void take_signal(void)
{
	static const struct timespec now = {0};
	sigset_t set;
	sigemptyset(&set);
	sigaddset(&set, CPU_SIGNAL);
	sigtimedwait(&set, NULL, &now);
}

void monitor_obey(struct monitor *m)
{
	struct control_request request;
	take_signal();
	while (!m->over && control_next(&m->control, &request)) {
		bool is_for_shells = request.message.type == CONTROL_BOOT ||
				     request.message.type == CONTROL_LOAD;
		if (m->has_guest || is_for_shells)
			obey(m, &request);
		control_request_finish(&request);
	}
	/* Nobody is there to stop what does not come to rest. */
	if (m->control.peer < 0 && !m->keep_when_ready)
		monitor_keep_cancel(m);
}

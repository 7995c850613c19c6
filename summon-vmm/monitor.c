/* SPDX-License-Identifier: ISC */
#include "summon-vmm/monitor.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/units.h"

static void print(struct monitor *m, const char *text, size_t size)
{
	if (size > 0)
		control_send(
			&m->control, &(struct control_message){.type = CONTROL_OUTPUT}, text, size);
}

static void crash(struct monitor *m, const struct error *err)
{
	monitor_end(m, CONTROL_EXIT_CRASHED, err->message);
}

/* What the guest has written to its console and nobody has seen. */
static void print_console(struct monitor *m)
{
	struct error err;
	struct summon_shared *shared = m->shared;
	uint32_t produced = __atomic_load_n(&shared->printed.produced, __ATOMIC_ACQUIRE);
	uint32_t size = produced - m->printed, at = m->printed % SUMMON_CONSOLE;
	uint32_t first = size < SUMMON_CONSOLE - at ? size : SUMMON_CONSOLE - at;
	if (size > SUMMON_CONSOLE) {
		error_set(&err, -EPROTO, "the guest's console claims %" PRIu32 " bytes", size);
		crash(m, &err);
		return;
	}
	print(m, shared->console + at, first);
	print(m, shared->console, size - first);
	m->printed = produced;
	__atomic_store_n(&shared->printed.consumed, produced, __ATOMIC_RELEASE);
}

/* ---- the guest's calls, by number ---- */

static void call_exit(struct monitor *m, uint64_t status)
{
	struct error err;
	if (status == 0) {
		monitor_end(m, CONTROL_EXIT_SHUTDOWN, "");
		return;
	}
	error_set(&err, -ECHILD, "the guest ended with status %" PRIu64, status);
	crash(m, m->has_excepted ? &m->crash : &err);
}

/* All is done already, as with every call. */
static void call_kick(struct monitor *m, uint64_t argument)
{
	(void)m, (void)argument;
}

/* Until a frame or a request comes, or the time is over. */
static void poll_all(struct monitor *m, uint64_t ns)
{
	struct pollfd polls[CONTROL_POLLS + 1];
	const struct timespec limit = {
		.tv_sec = (time_t)(ns / NS_PER_S), .tv_nsec = (long)(ns % NS_PER_S)};
	control_polls(&m->control, polls);
	polls[CONTROL_POLLS] = (struct pollfd){.fd = m->rings.tap, .events = POLLIN};
	ppoll(polls, CONTROL_POLLS + 1, ns == UINT64_MAX ? NULL : &limit, NULL);
	if (polls[0].revents || polls[1].revents)
		monitor_obey(m);
}

static void call_wait(struct monitor *m, uint64_t ns)
{
	struct error err;
	m->is_waiting = true;
	monitor_keep(m);
	int waiting = m->has_network ? rings_receive(&m->rings, &err) : 0;
	if (waiting == 0) {
		poll_all(m, ns);
		if (m->has_network)
			waiting = rings_receive(&m->rings, &err);
	}
	if (waiting < 0)
		crash(m, &err);
}

static void (*const calls[SUMMON_CALL_COUNT])(struct monitor *m, uint64_t argument) = {
	[SUMMON_CALL_EXIT] = call_exit,
	[SUMMON_CALL_KICK] = call_kick,
	[SUMMON_CALL_WAIT] = call_wait,
};

/* ---- the guest's other ways out ---- */

/* The first exception is told to the guest, which knows the names of its functions; a second one,
 * or a guest that cannot be told, is reported here. */
static void take_exception(struct monitor *m)
{
	struct error err;
	struct summon_exception exception;
	char text[REPORT_TEXT];
	if (m->cpu.ops->exception(&m->cpu, &m->memory, &exception, &err) < 0) {
		crash(m, &err);
		return;
	}
	bool first = !m->has_excepted;
	m->has_excepted = true;
	if (first) {
		report_summarise(&exception, &m->crash);
		m->boot->exception = exception;
	}
	uint64_t entry = m->image.note.exception_entry;
	if (first && entry &&
		m->cpu.ops->enter(&m->cpu, &m->image.note, entry,
			LAYOUT_BOOT + offsetof(struct summon_boot, exception), &err) == 0)
		return;
	report_print(&exception, text);
	print(m, text, strlen(text));
	crash(m, &m->crash);
}

static void pass_on_ready(struct monitor *m)
{
	if (m->ready || !__atomic_load_n(&m->shared->ready, __ATOMIC_RELAXED))
		return;
	const struct control_message head = {
		.type = CONTROL_READY, .flags = clock_monotonic() - m->entered_at};
	m->ready = true;
	control_send(&m->control, &head, "", 0);
}

/* Somebody waits for the word that the guest is ready: it goes first, and is on its way while its first
 * frames are delivered, which takes as long as all who hear them need. */
static void do_call(struct monitor *m, const struct cpu_call *call)
{
	struct error err;
	pass_on_ready(m);
	if (m->has_network && rings_send(&m->rings, &err) < 0) {
		crash(m, &err);
		return;
	}
	print_console(m);
	if (!m->over)
		calls[call->number](m, call->argument);
}

static void run_guest(struct monitor *m)
{
	struct cpu_call call;
	struct error err;
	if (!m->has_run)
		m->entered_at = clock_monotonic();
	m->has_run = true;
	m->is_waiting = false;
	enum cpu_stop stop = m->cpu.ops->run(&m->cpu, &call, &err);
	m->exits++;
	/* Also of a guest that calls nobody any more. */
	if (stop != CPU_CALL)
		print_console(m);
	switch (stop) {
	case CPU_CALL:
		do_call(m, &call);
		break;
	case CPU_EXCEPTION:
		take_exception(m);
		break;
	case CPU_INTERRUPTED:
		monitor_obey(m);
		break;
	case CPU_BROKEN:
		crash(m, m->has_excepted ? &m->crash : &err);
		break;
	}
}

static void wait_for_request(struct monitor *m)
{
	struct pollfd polls[CONTROL_POLLS];
	control_polls(&m->control, polls);
	ppoll(polls, CONTROL_POLLS, NULL, NULL);
	monitor_obey(m);
}

void monitor_run(struct monitor *m)
{
	monitor_obey(m);
	while (!m->over) {
		if (m->has_guest && !m->paused)
			run_guest(m);
		else if (m->has_guest || m->control.peer >= 0)
			wait_for_request(m);
		else
			break; /* a shell that nobody can use any more */
	}
}

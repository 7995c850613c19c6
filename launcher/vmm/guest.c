/* SPDX-License-Identifier: ISC */
#include "launcher/vmm/vmm.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#define HEAD_SIZE         offsetof(struct control_message, text)
#define MESSAGES_PER_TURN 64
#define SHELL_AGAIN_MS    5000

struct vmm_guest *vmm_guest_find(struct vmm *vmm, struct instance_id id)
{
	struct vmm_guest *guest = vmm->guests;
	while (guest && !instance_id_equal(guest->id, id))
		guest = guest->next;
	return guest;
}

struct vmm_guest *vmm_guest_new(struct vmm *vmm)
{
	struct vmm_guest *guest = calloc(1, sizeof(*guest));
	if (guest) {
		guest->vmm = vmm;
		guest->socket = guest->process = guest->spawn.listener = -1;
	}
	return guest;
}

void vmm_guest_discard(struct vmm_guest *guest)
{
	if (!guest)
		return;
	const int fds[] = {guest->socket, guest->process, guest->spawn.listener};
	for (size_t i = 0; i < sizeof(fds) / sizeof(fds[0]); i++)
		if (fds[i] >= 0)
			close(fds[i]);
	free(guest->ahead);
	free(guest);
}

static void release(struct vmm_guest *guest)
{
	struct vmm *vmm = guest->vmm;
	if (--guest->open_handles > 0)
		return;
	vmm_guest_discard(guest);
	vmm_handle_closed(vmm);
}

static void handle_closed(uv_handle_t *handle)
{
	release(handle->data);
}

static struct vmm_guest **list_of(const struct vmm_guest *guest)
{
	return guest->is_shell ? &guest->vmm->shells : &guest->vmm->guests;
}

static void unlist(struct vmm_guest *guest)
{
	struct vmm_guest **place = list_of(guest);
	while (*place != guest)
		place = &(*place)->next;
	*place = guest->next;
}

static void enlist(struct vmm_guest *guest)
{
	guest->next = *list_of(guest);
	*list_of(guest) = guest;
}

void vmm_guest_adopt(struct vmm_guest *guest, struct instance_id id)
{
	unlist(guest);
	guest->is_shell = guest->is_loaded = false;
	free(guest->ahead);
	guest->ahead = NULL;
	guest->id = id;
	enlist(guest);
}

void vmm_guest_forget(struct vmm_guest *guest)
{
	if (guest->gone)
		return;
	unlist(guest);
	guest->gone = true;
	vmm_save_drop(guest->save);
	vmm_save_drop(guest->making);
	guest->save = guest->making = NULL;
	uv_close((uv_handle_t *)&guest->socket_poll, handle_closed);
	if (guest->process >= 0)
		uv_close((uv_handle_t *)&guest->process_poll, handle_closed);
	vmm_spawn_forget(guest);
	uv_close((uv_handle_t *)&guest->keep_timer, handle_closed);
}

void vmm_guest_kill(struct vmm_guest *guest)
{
	if (guest->process >= 0)
		pidfd_send_signal(guest->process, SIGKILL, NULL, 0);
	guest->is_unwanted = true;
	if (guest->spawn.is_queued)
		vmm_spawn_later(guest->vmm);
}

int vmm_guest_request(
	struct vmm_guest *guest, enum control_type type, uint64_t flags, struct error *err)
{
	const struct control_message message = {.type = type, .flags = flags};
	ssize_t sent = send(guest->socket, &message, HEAD_SIZE, MSG_DONTWAIT | MSG_NOSIGNAL);
	if (sent < 0 && errno != EPIPE && errno != ECONNRESET)
		return error_set(
			err, -errno, "the guest's monitor does not listen: %s", strerror(errno));
	return 0;
}

static void emit(struct vmm_guest *guest, struct launcher_event event)
{
	event.id = guest->id;
	vmm_emit(guest->vmm, &event);
}

/* ---- what the monitor says ---- */

struct said {
	const struct control_message *head;
	const char *text;
	size_t size;
};

static void on_created(struct vmm_guest *guest, const struct said *said)
{
	(void)said;
	if (guest->is_restored)
		vmm_rest_resumed(guest);
	if (guest->started)
		return;
	guest->started = true;
	vmm_spawn_done(guest);
	if (guest->memory > guest->vmm->shell_memory)
		guest->vmm->shell_memory = guest->memory;
	emit(guest, (struct launcher_event){.type = LAUNCHER_STARTED});
}

static bool is_printable(char c)
{
	return c >= ' ' && c <= '~';
}

bool vmm_is_printable(const char *text)
{
	while (is_printable(*text))
		text++;
	return *text == '\0';
}

/* It ends up in logs, and on terminals. */
static void remember_error(struct vmm_guest *guest, int code, const struct said *said)
{
	char *text = guest->error.message;
	error_set(&guest->error, code < 0 ? code : -EIO, "%.*s", (int)said->size, said->text);
	for (; *text; text++)
		*text = is_printable(*text) ? *text : '?';
}

static void on_failed(struct vmm_guest *guest, const struct said *said)
{
	if (guest->started)
		return; /* it was said to exist: what counts is its end */
	guest->has_ended = true;
	remember_error(guest, said->head->code, said);
}

static void on_resumed(struct vmm_guest *guest, const struct said *said)
{
	guest->is_paused = false;
	if (guest->resumes == 0 || (said->head->flags & VMM_UNASKED))
		return;
	guest->restless = 0; /* what it was busy with may be done some time */
	guest->keep_again = 0;
	guest->resumes--;
	emit(guest, (struct launcher_event){.type = LAUNCHER_RESUMED});
}

static void on_paused(struct vmm_guest *guest, const struct said *said)
{
	guest->is_paused = true;
	if (guest->suspends == 0 || (said->head->flags & VMM_UNASKED))
		return;
	guest->suspends--;
	emit(guest, (struct launcher_event){.type = LAUNCHER_SUSPENDED});
}

static void on_ready(struct vmm_guest *guest, const struct said *said)
{
	emit(guest, (struct launcher_event){.type = LAUNCHER_READY, .boot_ns = said->head->flags});
}

static void on_kept(struct vmm_guest *guest, const struct said *said)
{
	struct error err = ERROR_INIT;
	if (said->head->code < 0)
		error_set(&err, said->head->code, "%.*s", (int)said->size, said->text);
	if (said->head->flags & CONTROL_KEEP_PAUSE)
		vmm_rest_kept(guest, said->head->flags, &err);
	else
		vmm_template_kept(guest, &err);
}

static void on_measured(struct vmm_guest *guest, const struct said *said)
{
	vmm_guest_measured(guest, said->text, said->size);
}

static void on_loaded(struct vmm_guest *guest, const struct said *said)
{
	guest->is_loaded = guest->ahead && said->head->code == 0;
	if (guest->is_loaded)
		return;
	free(guest->ahead); /* it is one as others are */
	guest->ahead = NULL;
}

static void on_output(struct vmm_guest *guest, const struct said *said)
{
	if (said->size > 0)
		emit(guest, (struct launcher_event){.type = LAUNCHER_OUTPUT,
				    .data = (const uint8_t *)said->text,
				    .length = said->size});
}

static void on_exited(struct vmm_guest *guest, const struct said *said)
{
	static const enum launcher_exit exits[] = {
		[CONTROL_EXIT_SHUTDOWN] = LAUNCHER_EXIT_SHUTDOWN,
		[CONTROL_EXIT_DESTROYED] = LAUNCHER_EXIT_DESTROYED,
		[CONTROL_EXIT_CRASHED] = LAUNCHER_EXIT_CRASHED,
	};
	unsigned how = (unsigned)said->head->code;
	guest->has_ended = true;
	guest->exit = how < sizeof(exits) / sizeof(exits[0]) ? exits[how] : LAUNCHER_EXIT_CRASHED;
	if (guest->exit == LAUNCHER_EXIT_CRASHED)
		remember_error(guest, -EFAULT, said);
}

/* Two texts of printable characters, each ended by NUL: returns the second, or NULL where they are
 * something else. */
static const char *second_text(const struct said *said)
{
	const char *second = NULL;
	for (size_t i = 0; i < said->size; i++) {
		if (said->text[i] != '\0' && !is_printable(said->text[i]))
			return NULL;
		if (said->text[i] == '\0' && !second)
			second = said->text + i + 1;
	}
	size_t first_size = second ? (size_t)(second - said->text) : said->size;
	return first_size < said->size && said->text[said->size - 1] == '\0' ? second : NULL;
}

static void on_facts(struct vmm_guest *guest, const struct said *said)
{
	if (!guest->asked)
		return;
	const char *tap = second_text(said);
	if (!tap || !vmm_record_agrees(guest->vmm, guest->id, tap)) {
		vmm_guest_kill(guest); /* no monitor of ours; its end is its answer */
		return;
	}
	guest->asked = false;
	struct vmm *vmm = guest->vmm;
	guest->started = true;
	guest->is_paused = said->head->flags & CONTROL_IS_PAUSED;
	snprintf(guest->tap, sizeof(guest->tap), "%s", tap);
	emit(guest, (struct launcher_event){.type = LAUNCHER_FOUND,
			    .found = {
				    .service = said->text,
				    .tap = tap,
				    .paused = said->head->flags & CONTROL_IS_PAUSED,
				    .booted = said->head->flags & CONTROL_HAS_RUN,
				    .unready = !(said->head->flags &
						 (CONTROL_IS_PAUSED | CONTROL_IS_READY)),
				    .started_at = said->head->started_at,
			    }});
	if (!guest->gone)
		vmm_list_answered(vmm);
}

static const struct {
	enum control_type type;
	bool needs_start; /* only of a guest that the launcher's owner knows of */
	void (*take)(struct vmm_guest *guest, const struct said *said);
} takers[] = {
	{CONTROL_CREATED, false, on_created},
	{CONTROL_FAILED, false, on_failed},
	{CONTROL_FACTS, false, on_facts},
	{CONTROL_EXITED, false, on_exited},
	{CONTROL_LOADED, false, on_loaded},
	{CONTROL_RESUMED, true, on_resumed},
	{CONTROL_PAUSED, true, on_paused},
	{CONTROL_READY, true, on_ready},
	{CONTROL_OUTPUT, true, on_output},
	{CONTROL_KEPT, true, on_kept},
	{CONTROL_MEASURED, true, on_measured},
};

static void take(struct vmm_guest *guest, const struct said *said)
{
	for (size_t i = 0; i < sizeof(takers) / sizeof(takers[0]); i++)
		if (takers[i].type == said->head->type &&
			(guest->started || !takers[i].needs_start))
			takers[i].take(guest, said);
}

/* Up to `most` messages; false at the end of them all, when the monitor has closed. */
static bool take_messages(struct vmm_guest *guest, unsigned most)
{
	struct control_message message;
	while (most-- > 0 && !guest->gone) {
		ssize_t size = recv(guest->socket, &message, sizeof(message), MSG_DONTWAIT);
		/* A monitor that ended with a request unread resets the connection: that is told
		 * first, and once, and what it had said comes after. */
		if (size < 0 && (errno == EINTR || errno == ECONNRESET))
			continue;
		if (size < 0 && errno == EAGAIN)
			return true;
		if (size < (ssize_t)HEAD_SIZE)
			return false;
		take(guest, &(struct said){&message, message.text, (size_t)size - HEAD_SIZE});
	}
	return true;
}

/* ---- its end ---- */

static void report_end(struct vmm_guest *guest, const char *how)
{
	struct launcher_event event = {.type = LAUNCHER_EXITED, .exit = guest->exit};
	if (guest->destroying && !guest->started)
		error_set(&guest->error, -ECANCELED, "stopped before it had started");
	else if (!guest->has_ended && guest->destroying)
		event.exit = LAUNCHER_EXIT_DESTROYED;
	else if (!guest->has_ended) {
		event.exit = LAUNCHER_EXIT_CRASHED;
		error_set(&guest->error, -EPIPE, "%s", how);
	}
	if (!guest->started)
		event.type = LAUNCHER_START_FAILED;
	else if (guest->is_restored && !guest->destroying)
		event.type = LAUNCHER_OPERATION_FAILED; /* it rests as before */
	else
		vmm_rest_remove(guest->vmm, guest->id);
	event.error = guest->error;
	emit(guest, event);
}

/* A shell's end is nobody's news; another one takes its place, after a while where it ended by
 * itself. */
static void end_shell(struct vmm_guest *guest)
{
	struct vmm *vmm = guest->vmm;
	unsigned after = guest->is_surplus ? 0 : SHELL_AGAIN_MS;
	vmm_shell_remove_name(vmm, guest->number);
	vmm_guest_forget(guest);
	vmm_shells_fill(vmm, after);
}

static void end(struct vmm_guest *guest, const char *how)
{
	struct vmm *vmm = guest->vmm;
	if (guest->is_shell) {
		end_shell(guest);
		return;
	}
	vmm_names_remove(vmm, guest->id);
	if (guest->resting == VMM_ENDING && !guest->destroying) {
		vmm_rest_settle(guest);
		return;
	}
	bool known = !guest->asked;
	vmm_guest_forget(guest);
	if (known)
		report_end(guest, how);
	else
		vmm_list_answered(vmm);
}

static void on_process(uv_poll_t *poll, int status, int events)
{
	struct vmm_guest *guest = poll->data;
	char how[128];
	(void)status, (void)events;
	take_messages(guest, UINT32_MAX); /* its last words */
	if (guest->gone)
		return;
	vmm_reap(guest, how, sizeof(how));
	/* Whatever it did then, it is we who have ended it. */
	end(guest, guest->has_hung_up ? "summon-vmm hung up without a word" : how);
}

static void on_socket(uv_poll_t *poll, int status, int events)
{
	struct vmm_guest *guest = poll->data;
	(void)events;
	if (status == 0 && take_messages(guest, MESSAGES_PER_TURN))
		return;
	if (guest->gone)
		return;
	/* A guest that nobody can talk to is no use; mostly, the process is at its end anyway. */
	uv_poll_stop(&guest->socket_poll);
	guest->is_unfit = guest->has_hung_up = true;
	vmm_guest_kill(guest);
}

static int watch(
	struct vmm_guest *guest, uv_poll_t *poll, int fd, uv_poll_cb seen, struct error *err)
{
	int r = uv_poll_init(guest->vmm->loop, poll, fd);
	if (r < 0)
		return error_set(err, r, "a monitor cannot be watched: %s", strerror(-r));
	poll->data = guest;
	uv_poll_start(poll, UV_READABLE, seen);
	guest->open_handles++;
	return 0;
}

static int watch_process(struct vmm_guest *guest, struct error *err)
{
	int r = watch(guest, &guest->process_poll, guest->process, on_process, err);
	if (r == 0)
		return 0;
	pidfd_send_signal(guest->process, SIGKILL, NULL, 0);
	if (guest->is_child)
		waitid(P_PIDFD, (id_t)guest->process, &(siginfo_t){0}, WEXITED);
	close(guest->process);
	guest->process = -1;
	return r;
}

int vmm_guest_watch(struct vmm_guest *guest, struct error *err)
{
	int r = watch(guest, &guest->socket_poll, guest->socket, on_socket, err);
	if (r < 0) {
		vmm_guest_discard(guest);
		return r;
	}
	enlist(guest);
	guest->vmm->open_handles++;
	uv_timer_init(guest->vmm->loop, &guest->keep_timer);
	guest->keep_timer.data = guest;
	guest->open_handles++;
	r = guest->process >= 0 ? watch_process(guest, err) : 0;
	if (r < 0)
		vmm_guest_forget(guest);
	return r;
}

static void end_unseen(struct vmm_guest *guest)
{
	guest->has_ended = true;
	guest->exit = LAUNCHER_EXIT_CRASHED;
	guest->error = guest->spawn.error;
	end(guest, "");
}

static void take_process(struct vmm_guest *guest)
{
	guest->process = guest->spawn.process;
	guest->pid = guest->spawn.pid;
	guest->is_child = true;
	if (guest->is_shell)
		vmm_spawn_done(guest);
	if (watch_process(guest, &guest->spawn.error) < 0)
		end_unseen(guest);
	else if (guest->is_unwanted)
		vmm_guest_kill(guest);
	else
		vmm_guest_tell_figures(guest);
}

void vmm_guest_spawned(struct vmm_guest *guest)
{
	if (!guest->gone && guest->spawn.process >= 0)
		take_process(guest);
	else if (!guest->gone)
		end_unseen(guest);
	else if (guest->spawn.process >= 0)
		close(guest->spawn.process); /* it goes on, if it is a guest's */
	release(guest);
}

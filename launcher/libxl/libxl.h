/* SPDX-License-Identifier: ISC */
#ifndef LAUNCHER_LIBXL_LIBXL_H
#define LAUNCHER_LIBXL_LIBXL_H

#include "launcher/launcher.h"
#include "summon-xl/include/protocol.h"

/*
 * The backend of Xen, through a helper process, summon-xl, which is linked with libxenlight and
 * ends with us. Where it dies, it is started again, and asked anew for what was not answered; the
 * domains do not notice.
 *
 *   setting  default
 *   helper   where summon-xl was installed   the program's path
 *   workers  4                               calls of libxl under way at a time, 1 to 16
 *   kind     auto                            pvh, pv, or what the kernel's notes say
 *
 * Memory is only freed in close callbacks, or where nothing of the caller's can be on the stack
 * between: whatever an event's receiver does (even destroy the launcher), the launcher is still
 * there when it returns, and `closing` tells. A guest may be gone: it is looked for again.
 */
struct xl;

/* A life of the helper. */
struct xl_helper {
	struct xl *xl; /* NULL: it is no more of interest */
	int socket;
	uv_process_t process;
	uv_poll_t poll;
	unsigned open_handles;
};

struct xl_operation {
	struct xl_operation *next;
	enum xl_type type; /* START, RESUME, PAUSE, SAVE, SHUTDOWN, DESTROY */
};

/* Each has a queue of operations, of which the first may be under way. */
struct xl_guest {
	struct xl_guest *next;
	struct instance_id id;
	bool started; /* STARTED or FOUND was told */
	bool exists;  /* the helper has found it: a START that was lost is not repeated */
	bool paused, stop_asked, busy;
	bool wants_run; /* START: not to be left paused */
	bool present;   /* in the list under way */
	char *start;    /* the text of START; owned, until it has started */
	size_t start_size;
	struct xl_operation *queue;
	unsigned queued;
};

struct xl {
	struct launcher launcher;
	uv_loop_t *loop;
	launcher_event_fn on_event;
	void *ctx;
	char *identity, *lock, *saved, *program;
	uint64_t workers;
	enum xl_kind kind;
	struct xl_helper *helper; /* NULL: there is none at the moment */
	struct xl_guest *guests;
	uv_timer_t again;
	uint64_t pause_ms; /* before the next helper is started */
	bool list_asked, listed, flowing, lost, closing;
	char facts[400];
	struct error trouble;  /* why there is no helper */
	unsigned open_handles; /* the timer, and the helpers' lives */
	void (*closed)(void *ctx);
	void *closed_ctx;
};

/* image.c: -EINVAL for a kernel that says of itself, in its ELF notes, what it can do on Xen, and that
 * it suspends itself is not among it. What is no ELF file cannot be known. */
int xl_check_suspends(const char *path, struct error *err);

/* helper.c */
int xl_helper_start(struct xl *xl, struct error *err);
/* Forgets it; it finishes what is under way, and ends. */
void xl_helper_leave(struct xl *xl);
/* Where it fails, the guests are advanced again later. */
int xl_helper_send(struct xl *xl, const struct xl_message *message, size_t text_size);
void xl_handle_closed(struct xl *xl);

/* news.c: what the helper says; and its end. */
void xl_take(struct xl *xl, const struct xl_message *message, size_t text_size);
void xl_helper_lost(struct xl *xl, const char *why);
void xl_emit(struct xl *xl, struct instance_id id, struct launcher_event event);

/* guest.c */
struct xl_guest *xl_guest_find(const struct xl *xl, struct instance_id id);
struct xl_guest *xl_guest_add(struct xl *xl, struct instance_id id);
void xl_guest_remove(struct xl *xl, struct xl_guest *guest);
/* Queues an operation, and begins it where it is the first. */
int xl_guest_ask(struct xl *xl, struct xl_guest *guest, enum xl_type type, struct error *err);
/* Begins the first operation where none is under way and there is a helper. */
void xl_guest_advance(struct xl *xl, struct xl_guest *guest);
void xl_guests_advance(struct xl *xl);
void xl_guest_done(struct xl *xl, struct xl_guest *guest);
void xl_guest_failed(struct xl *xl, struct xl_guest *guest, const struct error *error);
/* It is no more; EXITED is told. */
void xl_guest_over(
	struct xl *xl, struct xl_guest *guest, enum launcher_exit exit, const struct error *error);

#endif

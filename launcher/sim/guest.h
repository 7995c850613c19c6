/* SPDX-License-Identifier: ISC */
#ifndef LAUNCHER_SIM_GUEST_H
#define LAUNCHER_SIM_GUEST_H

#include "launcher/sim/sim.h"

/*
 * A guest has a queue of operations, of which the first is under way (`operation_timer`), and,
 * while it runs, a life of its own (`life_timer`): it gets ready, crashes, powers off at moments
 * counted in nanoseconds of running, so that time stands still for a suspended guest.
 *
 * Memory is only ever freed in close callbacks, so whatever an event's receiver does (even destroy
 * the launcher), the guest in hand is still there when it returns; `gone` tells.
 */

enum operation_type { OP_START, OP_RESUME, OP_SUSPEND, OP_SAVE, OP_DESTROY, OP_SHUTDOWN };

struct operation {
	enum operation_type type;
	struct operation *next;
};

struct guest {
	struct sim *sim;
	struct guest *next;
	struct sim_record record;
	struct sim_behaviour behaviour;
	enum launcher_start how;
	bool started, found, gone;
	struct operation *queue; /* the first is under way */
	unsigned queued;
	uv_timer_t operation_timer, life_timer;
	unsigned open_handles;
	uint64_t running_since;            /* uv_hrtime, where it runs */
	uint64_t ready_at, die_at, off_at; /* in nanoseconds of running; UINT64_MAX: never */
};

struct foreign {
	struct foreign *next;
	struct sim_record record;
};

struct sim {
	struct launcher launcher;
	uv_loop_t *loop;
	launcher_event_fn on_event;
	void *ctx;
	char *identity, *state_dir;
	struct sim_settings settings;
	uint64_t random;
	unsigned starts, resumes, suspends; /* for "every third" */
	struct guest *guests;
	struct foreign *foreign; /* guests of other identities in our file: kept as they are */
	bool closing;
	unsigned open_handles;
	uv_timer_t list_timer;
	void (*closed)(void *ctx);
	void *closed_ctx;
};

/* Whether a fault strikes the `count`-th time. */
bool chance_strikes(struct sim *sim, struct sim_chance chance, unsigned count);
/* `delay`, varied by the guest's jitter. */
uint64_t guest_vary(struct guest *guest, uint64_t delay);
/* Nanoseconds, rounded up to what a uv_timer counts in. */
uint64_t timer_ms(uint64_t ns);

/* Writes the file of guests, where they are to outlive us. */
int sim_save(struct sim *sim, struct error *err);
/* Says that one more handle is closed; frees the launcher after the last. */
void sim_handle_closed(struct sim *sim);
void sim_free(struct sim *sim);

struct guest *guest_find(const struct sim *sim, struct instance_id id);
/* A guest with its timers, known to `sim`; NULL without memory. Takes over *record's strings. */
struct guest *guest_add(
	struct sim *sim, struct sim_record *record, const struct sim_behaviour *behaviour);
/* Forgets the guest without a word; it is freed in a later turn. */
void guest_remove(struct guest *guest);
void guest_emit(struct guest *guest, struct launcher_event event);
/* These two end the guest with an event. */
void guest_exits(struct guest *guest, enum launcher_exit how);
void guest_start_fails(struct guest *guest, int code, const char *why);

void guest_run(struct guest *guest);
void guest_pause(struct guest *guest);
/* Nanoseconds for which it has run. */
uint64_t guest_ran(const struct guest *guest);
/* Sets the timer for what happens next in its life; after any change of its moments. */
void guest_plan(struct guest *guest);

/* Queues an operation; the first begins at once. */
int operation_add(struct guest *guest, enum operation_type type, struct error *err);

#endif

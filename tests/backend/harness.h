/* SPDX-License-Identifier: ISC */
#ifndef TESTS_BACKEND_HARNESS_H
#define TESTS_BACKEND_HARNESS_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>

#include "launcher/launcher.h"

/*
 * A stage is a loop, a launcher on it, and a record of every event of every guest. It checks the
 * promises of launcher.h while events arrive; what one case wants beyond them, the case asserts.
 */

/* What a guest is to do. */
enum task {
	TASK_READY,   /* print the ready line and sleep */
	TASK_SILENT,  /* print nothing */
	TASK_FLOOD,   /* print without end */
	TASK_OFF,     /* get ready, then power off */
	TASK_OBEY,    /* get ready, power off when asked to */
	TASK_CRASH,   /* get ready, then crash */
	TASK_FAIL,    /* not even start */
	TASK_MISSING, /* a kernel that does not exist */
	TASK_COUNT
};

/* A backend with settings, and how to make its guests. */
struct subject {
	const char *name, *backend;
	const struct launcher_setting *settings;
	size_t setting_count;
	/* Why the task cannot be done here, or NULL. */
	const char *(*unable)(enum task task);
	/* Whether this machine has what the subject needs (then NULL), or why not; may be NULL. */
	const char *(*absent)(void);
	/* Fills kernel, cmdline and domain_xml. */
	void (*spec)(enum task task, struct guest_spec *spec);
	/* Kills what runs the guest, or NULL. */
	void (*murder)(struct instance_id id);
	/* Has the hypervisor put the domain into that file, or NULL. */
	void (*save)(const char *domain, const char *path);
	/* A hypervisor's service of the subject's own, or NULL: makes the settings; starts it (or
	 * looks whether there is one), false where it cannot be had; kills it. */
	void (*prepare)(void);
	bool (*service_start)(void);
	void (*service_kill)(void);
	unsigned random_steps; /* of each random sequence */
	/* A life is killed so often, at so much later a time of what it does; 0: as in lives.c. */
	unsigned kill_rounds, kill_step_ms;
	unsigned crowd;   /* how many guests start at once; 0: sixteen */
	unsigned without; /* capabilities that are not tried, because another subject has them */
};

#define READY_LINE  "summond: ready after"
#define GUESTS_MAX  64
#define HISTORY_MAX 256

struct watched {
	struct instance_id id;
	bool accepted, stop_asked, found_again;
	unsigned asked_resume, asked_suspend;
	unsigned counts[LAUNCHER_REGAINED + 1];
	enum launcher_event_type history[HISTORY_MAX]; /* without OUTPUT */
	unsigned events;
	enum launcher_exit exit;
	struct error error; /* of the last event that had one */
	size_t output_total;
	char output[65536]; /* the first bytes of its console */
	char service[64], tap[32];
	struct launcher_figures figures; /* the last ones */
	struct launcher_found found;     /* its strings are the two above */
};

struct stage {
	const struct subject *subject;
	uv_loop_t loop;
	uv_timer_t ticker, pause;
	uint64_t last_event; /* uv_hrtime; also of the last thing asked for */
	bool paused, closed, listed;
	bool inside; /* an operation: no event may come */
	struct error list_error;
	unsigned lost, regained;
	struct launcher *launcher;
	struct watched *guests;
	size_t count;
};

/* Creates the launcher and lists, and waits for LISTED. */
struct stage *stage_open(const struct subject *subject, const char *identity);
/* Stops every guest that is alive, waits for each end, and closes. */
void stage_close(struct stage *stage);
/* Destroys the launcher and leaves the guests alone. */
void stage_leave(struct stage *stage);

/* The record of an instance, made at its first mention. */
struct watched *stage_guest(struct stage *stage, struct instance_id id);
bool guest_is_alive(const struct watched *guest);
bool guest_is_over(const struct watched *guest);
bool guest_is_ready(const struct watched *guest);

/* The operations, with a record of what was asked. The spec's memory is gone after the call. */
int stage_start(struct stage *stage, struct instance_id id, enum task task, enum launcher_start how,
	struct error *err);
int stage_resume(struct stage *stage, struct instance_id id, struct error *err);
int stage_suspend(
	struct stage *stage, struct instance_id id, enum launcher_rest where, struct error *err);
int stage_stop(
	struct stage *stage, struct instance_id id, enum launcher_stop how, struct error *err);

/* One turn of the loop; fails the test when nothing came for long. */
void stage_turn(struct stage *stage);
/* Lets events come for so long. */
void stage_idle(struct stage *stage, unsigned ms);
#define STAGE_WAIT(stage, condition)                                                               \
	do {                                                                                       \
		while (!(condition))                                                               \
			stage_turn(stage);                                                         \
	} while (0)

/* What the backend can, and the subject tries. */
unsigned stage_capabilities(const struct stage *stage);
/* Skips the case, by name and with the reason, where the backend or its guests cannot do it. */
void stage_need(struct stage *stage, unsigned capability);
void need_task(const struct subject *subject, enum task task);

/* The folder of the launcher under test, the tiny guest's image; set by main. */
extern struct places {
	char state_dir[64];
	const char *guest_image;
} places;

extern const struct subject subjects[];
const struct subject *subject_find(const char *name);

#endif

/* SPDX-License-Identifier: ISC */
#ifndef TESTS_VMM_LAUNCHED_H
#define TESTS_VMM_LAUNCHED_H

#include <stdbool.h>

#include "launcher/launcher.h"

/* A vmm backend, its loop and its folder. A test's world begins with it. */
struct launched {
	uv_loop_t loop;
	struct launcher *launcher;
	char state_dir[40];
	/* The rest is its own. */
	uv_timer_t hang, tick;
	const char *(*doing)(void *ctx); /* or NULL: what hangs */
	void *ctx;
	bool closed;
};

/* Makes the folder, of a name with `name` in it. */
int launched_init(struct launched *launched, const char *name);
/* Closes the backend, if it is open, and the loop. The folder has to be empty. */
int launched_finish(struct launched *launched);

/* Opens the backend with these three settings. `on_event` hears of LISTED once the test asks for it. */
int launched_create(struct launched *launched, const struct launcher_setting settings[3],
	launcher_event_fn on_event, void *ctx, struct error *err);
void launched_close(struct launched *launched);

/* What is in a folder, with . and .. */
unsigned launched_count(const char *folder);

/* Whether a monitor can run guests in this mode; else says that all is skipped. */
bool launched_can_run(const char *monitor, const char *mode);

void launched_begin_wait(struct launched *launched);
void launched_end_wait(struct launched *launched);

/* Runs the loop until this is so; what takes too long fails. It is looked at now and then: what the
 * kernel does on its own, such as to let go of a tap, is no event of the loop. */
#define LAUNCHED_WAIT(launched, condition)                                                         \
	do {                                                                                       \
		launched_begin_wait(launched);                                                     \
		while (!(condition))                                                               \
			uv_run(&(launched)->loop, UV_RUN_ONCE);                                    \
		launched_end_wait(launched);                                                       \
	} while (0)

#endif

/* SPDX-License-Identifier: ISC */
#ifndef TESTS_BACKEND_CASES_H
#define TESTS_BACKEND_CASES_H

#include "tests/backend/harness.h"

/* The state of each case is its `const struct subject`. */
extern const struct CMUnitTest backend_cases[];
extern const size_t backend_case_count;

#define IDENTITY "a1b2c3d4e5f60718"
#define FIRST    ((struct instance_id){1, 1})
#define SECOND   ((struct instance_id){1, 2})

/* A stage for a case whose guests can do the task, else the case is skipped. */
struct stage *case_open(void **state, enum task task);
/* A guest that was started and has answered. */
struct watched *case_start(
	struct stage *stage, struct instance_id id, enum task task, enum launcher_start how);
bool case_has_console(const struct stage *stage);
/* Until the guest has said that it is ready, where it has a console. */
void case_wait_ready(struct stage *stage, struct watched *guest);

/* How many processes have our folder in their command line: hypervisors. */
unsigned hypervisors_left(void);

/* fates.c */
void tells_of_power_off(void **state);
void tells_of_crash(void **state);
void tells_of_murder(void **state);
void drains_the_console(void **state);
void leaves_in_the_middle(void **state);
void leaves_during_a_stop(void **state);
void regains_the_connection(void **state);
/* random.c */
void keeps_promises_at_random(void **state);
/* lives.c: what outlives the daemon. Each life is a process of its own. */
void adopts_after_leaving(void **state);
void adopts_after_a_kill(void **state);
void leaves_others_alone(void **state);
void clears_after_a_kill_in_a_start(void **state);
void wakes_after_a_kill_in_a_save(void **state);
/* The program, started as one life of these cases. */
int life_main(const struct subject *subject, const char *life);

#endif

/* SPDX-License-Identifier: ISC */
#ifndef TESTS_BACKEND_CASES_H
#define TESTS_BACKEND_CASES_H

#include "tests/backend/harness.h"

/* The state of each case is its `const struct subject`. */
extern const struct CMUnitTest backend_cases[];
extern const size_t backend_case_count;

/* lives.c: what outlives the daemon. Each life is a process of its own. */
void adopts_after_leaving(void **state);
void adopts_after_a_kill(void **state);
void leaves_others_alone(void **state);
/* The program, started as one life of these cases. */
int life_main(const struct subject *subject, const char *life);

#endif

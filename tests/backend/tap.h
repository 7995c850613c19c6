/* SPDX-License-Identifier: ISC */
#ifndef TESTS_BACKEND_TAP_H
#define TESTS_BACKEND_TAP_H

#include "tests/backend/harness.h"

/*
 * Runs each test in a process of its own, and prints TAP; returns how many failed. What one that
 * failed has left behind is `after_failure`'s to remove, so that the next ones do not fail with it.
 *
 * A process of its own, because libvirt's embedded driver can be opened a few times only in the
 * life of one. And cmocka 1.1 prints a skipped test as "not ok N # SKIP name", which TAP's readers
 * take for a failure: such lines are set right (TAP 13: "ok N - name # SKIP reason"), with the
 * reason from the "# skipped: " line before.
 */
int tap_run(const struct CMUnitTest *tests, size_t count,
	void (*after_failure)(const struct subject *subject));

/* Reports each as skipped, by its name and with the reason. */
void tap_skip(const struct CMUnitTest *tests, size_t count, const char *why);

#endif

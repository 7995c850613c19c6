/* SPDX-License-Identifier: ISC */
#ifndef TESTS_BACKEND_TAP_H
#define TESTS_BACKEND_TAP_H

/*
 * cmocka 1.1 prints a skipped test as "not ok N # SKIP name", which TAP's readers take for a
 * failure (TAP 13: "ok N - name # SKIP reason"). Runs `run` in a child, passes on what it prints
 * with such lines set right, the reason taken from the "# skipped: " line before; returns its
 * status.
 */
int tap_filter(int (*run)(const void *ctx), const void *ctx);

#endif

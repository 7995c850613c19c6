/* SPDX-License-Identifier: ISC */
#ifndef TESTS_VMM_FAULTS_H
#define TESTS_VMM_FAULTS_H

#include <errno.h>
#include <stdbool.h>
#include <stddef.h>

/*
 * Calls that fail, once, where a plan says so: in this program and in a monitor that is linked with
 * faults.c. The linker puts __wrap_NAME in the place of NAME (ld(1), --wrap; the names are in
 * meson.build). No process is traced and no call is made for it, so that nothing about the sandbox is
 * different.
 *
 * The plan is a file of the name of the monitor's path with FAULT_PLAN behind it, and shared memory.
 */
#define FAULT_PLAN ".plan"

enum fault_side { FAULT_NOWHERE, FAULT_LAUNCHER, FAULT_MONITOR };

struct fault_plan {
	enum fault_side side;
	char call[32];
	int error;      /* errno */
	unsigned when;  /* the first call is 1 */
	unsigned count; /* so many were made there */
};

/* Opens the plan, and follows it from now on as `side`. NULL where there is none. */
struct fault_plan *faults_follow(const char *path, enum fault_side side);

/* Makes `link` a name of the monitor's with a plan, which is followed as the launcher; and takes both away.
 * NULL where that fails. */
struct fault_plan *faults_make(const char *link, const char *monitor);
void faults_remove(const char *link);

struct fault {
	const char *call;
	int error; /* errno */
};

/* The next call of this number fails so, once there is a side. */
void faults_plan(struct fault_plan *plan, const struct fault *fault, unsigned when);

/* Whether this call is the one; then errno is set. */
bool fault_strikes(const char *call);

/* A wrapper, of whatever the call takes: six words, of which those that it does not take do no harm by
 * the rules of x86-64. */
#define FAULT_WRAP(name, failure)                                                                  \
	long __real_##name(long a, long b, long c, long d, long e, long f);                        \
	long __wrap_##name(long a, long b, long c, long d, long e, long f);                        \
	long __wrap_##name(long a, long b, long c, long d, long e, long f)                         \
	{                                                                                          \
		return fault_strikes(#name) ? (failure) : __real_##name(a, b, c, d, e, f);         \
	}

#endif

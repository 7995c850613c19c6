/* SPDX-License-Identifier: ISC */
#ifndef TESTS_LINK_FAULTS_H
#define TESTS_LINK_FAULTS_H

#include <stdbool.h>

/*
 * Calls of this program that fail, once, where it says so; the linker puts ours in their place (ld(1),
 * --wrap; their names are in meson.build). "netlink" is none of them: the request gets to the kernel as
 * one that it does not know, and what it answers then is the error that was asked for.
 */

/* Call `when` of that name fails with this errno; the first is 1. */
void faults_begin(const char *call, int error, unsigned when);
/* From now on none does. Returns whether one did. */
bool faults_end(void);

#endif

/* SPDX-License-Identifier: ISC */
#ifndef DAEMON_MARKS_H
#define DAEMON_MARKS_H

#include <stdbool.h>
#include <stddef.h>

/*
 * Small facts that outlive the daemon, without a file to write: symbolic links whose target is the
 * fact. They lie in <parent>/<folder>, which is made with the first.
 */
struct daemon;

struct marks {
	const char *parent, *folder;
};

#define MARKS_NAME_SIZE 40

/* In the place of the old one, of which one or the other is there at any time. 0 or a negative errno; then
 * the old one is there. */
int marks_put(const struct marks *marks, const char *name, const char *fact);
/* Where there is one; cut to `size`, with its NUL. */
bool marks_get(const struct marks *marks, const char *name, char *fact, size_t size);
void marks_remove(const struct marks *marks, const char *name);
/* Removes those that nobody knows. */
void marks_sweep(const struct marks *marks, const struct daemon *daemon,
	bool (*is_known)(const struct daemon *daemon, const char *name));

#endif

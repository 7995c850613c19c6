/* SPDX-License-Identifier: ISC */
#ifndef BASE_CLEANUP_H
#define BASE_CLEANUP_H

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

/* `CLEANUP(free) char *text = ...;` releases at the end of the scope. CLEANUP_DEFINE makes such a
 * releaser of a destructor that takes the value itself (and, like all of ours, takes NULL). */
#define CLEANUP(name) __attribute__((cleanup(cleanup_##name)))
#define CLEANUP_DEFINE(name, type, release)                                                        \
	static inline void cleanup_##name(type *value)                                             \
	{                                                                                          \
		if (*value)                                                                        \
			release(*value);                                                           \
	}

static inline void cleanup_free(void *pointer)
{
	free(*(void **)pointer);
}

static inline void cleanup_close(const int *fd)
{
	if (*fd >= 0)
		close(*fd);
}

CLEANUP_DEFINE(fclose, FILE *, fclose)
CLEANUP_DEFINE(closedir, DIR *, closedir)

/* Takes a value out of a CLEANUP variable, for the caller to own. */
#define STEAL_POINTER(variable)                                                                    \
	({                                                                                         \
		__typeof__(variable) stolen_ = (variable);                                         \
		(variable) = NULL;                                                                 \
		stolen_;                                                                           \
	})

static inline int steal_fd(int *fd)
{
	int stolen = *fd;
	*fd = -1;
	return stolen;
}

#endif

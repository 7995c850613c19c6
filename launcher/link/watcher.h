/* SPDX-License-Identifier: ISC */
#ifndef LAUNCHER_LINK_WATCHER_H
#define LAUNCHER_LINK_WATCHER_H

#include <stdbool.h>

#include "launcher/link/readiness.h"

/* What each kind of watcher embeds first in its own struct. */
struct readiness {
	void (*close)(struct readiness *readiness); /* ends all work, frees in a later turn */
	readiness_fn seen;                          /* NULL once it was called */
	void *ctx;
};

/* Tells the owner, who may cancel the watcher within: it is not to be touched after this. */
static inline void readiness_tell(struct readiness *readiness, uint64_t at)
{
	readiness_fn seen = readiness->seen;
	readiness->seen = NULL;
	if (seen)
		seen(readiness->ctx, at);
}

#endif

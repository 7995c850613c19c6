/* SPDX-License-Identifier: ISC */
#include "launcher/link/readiness.h"

#include "launcher/link/watcher.h"

void readiness_cancel(struct readiness *readiness)
{
	if (readiness)
		readiness->close(readiness);
}

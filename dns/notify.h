/* SPDX-License-Identifier: ISC */
#ifndef DNS_NOTIFY_H
#define DNS_NOTIFY_H

#include <uv.h>

#include "dns/handles.h"
#include "dns/zone.h"

/* Tells secondaries that a zone has changed (RFC 1996), again and again until they answer; in the
 * end without a word, for they also look by themselves. Loop thread only. */
struct notifier;

/* NULL without memory. Its handles count as the server's. */
struct notifier *notifier_create(uv_loop_t *loop, struct handles *handles);
/* Frees in a later loop turn. NULL is fine. */
void notifier_destroy(struct notifier *notifier);

/* Begins anew for this zone; `targets` of its configuration. */
void notifier_tell(struct notifier *notifier, const struct zone *zone);

#endif

/* SPDX-License-Identifier: ISC */
#ifndef REHEARSE_WHEN_H
#define REHEARSE_WHEN_H

#include <stdint.h>

#include "base/error.h"

/* A moment as traces have it: seconds with up to nine decimals ("1700000000.25", "12"), or RFC 3339
 * ("2023-11-14T22:13:20.5Z", "2023-11-14 23:13:20+01:00"), before the year 2400. In nanoseconds,
 * since 1970 or whatever the seconds count from. -EINVAL. */
int when_parse(const char *text, uint64_t *ns, struct error *err);

#endif

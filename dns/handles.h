/* SPDX-License-Identifier: ISC */
#ifndef DNS_HANDLES_H
#define DNS_HANDLES_H

#include <stdbool.h>
#include <stddef.h>

/* Counts the loop's handles of one server, whose memory must outlive them. */
struct handles {
	unsigned open;
	void (*last_closed)(struct handles *handles);
};

static inline void handles_release(struct handles *handles)
{
	if (--handles->open == 0)
		handles->last_closed(handles);
}

#endif

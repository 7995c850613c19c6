/* SPDX-License-Identifier: ISC */
#ifndef SUMMON_XL_OUTBOX_H
#define SUMMON_XL_OUTBOX_H

#include <stdbool.h>
#include <stddef.h>

#include "base/error.h"
#include "summon-xl/identity.h"
#include "summon-xl/include/protocol.h"

/* What waits until the daemon takes it, in order. It is bounded: answers are as many as requests,
 * and consoles are not read while anything waits. */
struct waiting_message;
struct outbox {
	int socket;
	struct waiting_message *first, **end;
	bool broken; /* nobody will take anything any more */
};

void outbox_init(struct outbox *outbox, int socket);
void outbox_finish(struct outbox *outbox);
/* Sends, or keeps; `size` is that of the text. */
void outbox_send(struct outbox *outbox, const struct xl_message *message, size_t size);
void outbox_flush(struct outbox *outbox);

/* Answers of one kind each. */
void outbox_say(struct outbox *outbox, enum xl_type type, struct guest_id id);
void outbox_fail(struct outbox *outbox, struct guest_id id, const struct error *error);

#endif

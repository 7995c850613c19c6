/* SPDX-License-Identifier: ISC */
#include "summon-xl/outbox.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#define HEAD_SIZE offsetof(struct xl_message, text)

struct waiting_message {
	struct waiting_message *next;
	size_t size;
	char message[]; /* a struct xl_message, but no more of its text than there is */
};

void outbox_init(struct outbox *outbox, int socket)
{
	*outbox = (struct outbox){.socket = socket};
	outbox->end = &outbox->first;
}

static void drop_first(struct outbox *outbox)
{
	struct waiting_message *first = outbox->first;
	outbox->first = first->next;
	if (!outbox->first)
		outbox->end = &outbox->first;
	free(first);
}

void outbox_finish(struct outbox *outbox)
{
	while (outbox->first)
		drop_first(outbox);
}

/* False where it has to wait. */
static bool send_now(struct outbox *outbox, const void *message, size_t size)
{
	ssize_t sent = send(outbox->socket, message, size, MSG_DONTWAIT | MSG_NOSIGNAL);
	if (sent < 0 && (errno == EAGAIN || errno == ENOBUFS))
		return false;
	if (sent < 0)
		outbox->broken = true;
	return true;
}

void outbox_send(struct outbox *outbox, const struct xl_message *message, size_t size)
{
	size += HEAD_SIZE;
	if (outbox->broken || (!outbox->first && send_now(outbox, message, size)))
		return;
	struct waiting_message *waiting = malloc(sizeof(*waiting) + size);
	if (!waiting) {
		outbox->broken = true; /* the next summon-xl tells it all anew */
		return;
	}
	waiting->next = NULL;
	waiting->size = size;
	memcpy(waiting->message, message, size);
	*outbox->end = waiting;
	outbox->end = &waiting->next;
}

void outbox_flush(struct outbox *outbox)
{
	while (outbox->first && send_now(outbox, outbox->first->message, outbox->first->size))
		drop_first(outbox);
}

void outbox_say(struct outbox *outbox, enum xl_type type, struct guest_id id)
{
	const struct xl_message message = {
		.type = type, .slot = id.slot, .generation = id.generation};
	outbox_send(outbox, &message, 0);
}

void outbox_fail(struct outbox *outbox, struct guest_id id, const struct error *error)
{
	struct xl_message message = {.type = XL_FAILED,
		.code = error->code,
		.slot = id.slot,
		.generation = id.generation};
	size_t size = strnlen(error->message, sizeof(error->message));
	memcpy(message.text, error->message, size);
	outbox_send(outbox, &message, size);
}

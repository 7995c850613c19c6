/* SPDX-License-Identifier: ISC */
#ifndef SUMMON_VMM_CONTROL_H
#define SUMMON_VMM_CONTROL_H

#include <poll.h>
#include <stdbool.h>
#include <stddef.h>

#include "base/error.h"
#include "summon-vmm/include/protocol.h"

/* The monitor's side of include/protocol.h. Whatever comes raises SIGIO, which stays blocked. */
struct control {
	int listener, peer; /* -1: none */
	int owner;          /* our process id, to whom SIGIO goes */
};

/* Blocks SIGIO. `listener` is a bound socket, which it takes over. */
int control_open(struct control *control, int listener, struct error *err);

/* Has it raise our signal again, after a change of user. */
int control_own(const struct control *control, struct error *err);

/* Takes in a connection that waits, if one does; control_next() does so too. One that it fails for can
 * still be told so. */
int control_take_connection(struct control *control, struct error *err);

/* For last words, whatever has failed: to a connection that waits on `listener`. */
void control_reach(struct control *control, int listener);

/* A request, and the descriptors that came with it. */
struct control_request {
	struct control_message message;
	size_t text_size;
	int fds[CONTROL_FDS_MAX];
	unsigned fd_count;
};

/* The next request; false where there is none. Takes in a new connection on the way. To be finished
 * after use, which closes the descriptors that nobody has taken (set to -1). */
bool control_next(struct control *control, struct control_request *request);
void control_request_finish(struct control_request *request);

/* Sends a message, waiting for its reader where he is slow; without a reader it is lost. `text` may
 * be longer than one message. */
void control_send(
	struct control *control, const struct control_message *head, const char *text, size_t size);

#define CONTROL_POLLS 2
/* Whether a request of this type waits, before any other. Not within the sandbox. */
bool control_is_asked(const struct control *control, enum control_type type);
/* What to poll for so that control_next() has something. */
void control_polls(const struct control *control, struct pollfd polls[CONTROL_POLLS]);

#endif

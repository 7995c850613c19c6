/* SPDX-License-Identifier: ISC */
#ifndef SUMMONCTL_CLIENT_H
#define SUMMONCTL_CLIENT_H

#include <jansson.h>
#include <stdbool.h>
#include <stdio.h>

#include "base/error.h"

/* HTTP over the daemon's unix socket, one call at a time. */
struct client;

int client_create(const char *socket_path, struct client **out, struct error *err);
void client_destroy(struct client *client);

/* One segment of a path or a value of a query, percent-encoded, for the caller to free. */
char *client_escape(struct client *client, const char *text);

/* What comes back. `body` is NULL where the answer is empty or no JSON; `text` always has it. */
struct client_reply {
	long status;
	json_t *body;
	char *text;
	size_t length;
};
void client_reply_finish(struct client_reply *reply);

/* Each returns 0 when there was an answer, whatever its status; -ECONNREFUSED where nobody could be
 * reached, another negative value where the connection broke. */

/* `body` (may be NULL) is sent as JSON. */
int client_call(struct client *client, const char *method, const char *path, const json_t *body,
	struct client_reply *reply, struct error *err);
/* PUT of a file's content, from its beginning. */
int client_upload(struct client *client, const char *path, const char *content_type, FILE *file,
	struct client_reply *reply, struct error *err);
/* GET of server-sent events: `event` is called for each until it returns false or the stream ends;
 * an answer with an error status is in *reply. */
int client_stream(struct client *client, const char *path,
	bool (*event)(void *ctx, const char *name, const json_t *data), void *ctx,
	struct client_reply *reply, struct error *err);

#endif

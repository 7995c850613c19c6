/* SPDX-License-Identifier: ISC */
#include "summonctl/client.h"

#include <curl/curl.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"

#define REPLY_MAX (256u << 20) /* more than any answer of the daemon */
#define LINE_MAX_ (4u << 20)   /* of an event stream */

struct client {
	CURL *curl;
	char *socket_path;
	char reason[CURL_ERROR_SIZE];
};

int client_create(const char *socket_path, struct client **out, struct error *err)
{
	struct client *client = calloc(1, sizeof(*client));
	if (client)
		client->socket_path = strdup(socket_path);
	if (!client || !client->socket_path || !(client->curl = curl_easy_init())) {
		client_destroy(client);
		return error_set(err, -ENOMEM, "no memory");
	}
	*out = client;
	return 0;
}

void client_destroy(struct client *client)
{
	if (!client)
		return;
	if (client->curl)
		curl_easy_cleanup(client->curl);
	free(client->socket_path);
	free(client);
}

char *client_escape(struct client *client, const char *text)
{
	char *escaped = curl_easy_escape(client->curl, text, 0);
	char *copy = escaped ? strdup(escaped) : NULL;
	curl_free(escaped);
	return copy;
}

void client_reply_finish(struct client_reply *reply)
{
	json_decref(reply->body);
	free(reply->text);
	*reply = (struct client_reply){0};
}

/* --- bytes in --- */

static bool append(struct client_reply *reply, const char *data, size_t length, size_t most)
{
	if (length > most || reply->length + length > most)
		return false;
	char *text = realloc(reply->text, reply->length + length + 1);
	if (!text)
		return false;
	reply->text = text;
	memcpy(text + reply->length, data, length);
	reply->length += length;
	text[reply->length] = '\0';
	return true;
}

static size_t on_data(char *data, size_t size, size_t count, void *ctx)
{
	return append(ctx, data, size * count, REPLY_MAX) ? size * count : 0;
}

/* Reads the format of the HTML standard, section 9.2 "Server-sent events". */
struct stream {
	struct client *client;
	struct client_reply *reply; /* of an error; else the line that is not complete */
	char name[64];
	json_t *data;
	bool (*event)(void *ctx, const char *name, const json_t *data);
	void *ctx;
	bool stopped;
};

static void take_line(struct stream *stream, const char *line)
{
	if (strncmp(line, "event:", 6) == 0) {
		snprintf(stream->name, sizeof(stream->name), "%s", line + 6 + (line[6] == ' '));
	} else if (strncmp(line, "data:", 5) == 0) {
		json_decref(stream->data);
		stream->data = json_loads(line + 5, JSON_DECODE_ANY, NULL);
	} else if (!*line) {
		if (stream->data && !stream->event(stream->ctx, stream->name, stream->data))
			stream->stopped = true;
		json_decref(stream->data);
		stream->data = NULL;
		stream->name[0] = '\0';
	}
}

static size_t on_stream_data(char *data, size_t size, size_t count, void *ctx)
{
	struct stream *stream = ctx;
	struct client_reply *reply = stream->reply;
	long status = 0;
	curl_easy_getinfo(stream->client->curl, CURLINFO_RESPONSE_CODE, &status);
	if (!append(reply, data, size * count, LINE_MAX_))
		return 0;
	if (status != 200)
		return size * count;
	char *begin = reply->text, *end;
	while (!stream->stopped && (end = strchr(begin, '\n'))) {
		*end = '\0';
		take_line(stream, begin);
		begin = end + 1;
	}
	reply->length -= (size_t)(begin - reply->text);
	memmove(reply->text, begin, reply->length + 1);
	return stream->stopped ? 0 : size * count;
}

/* --- calls --- */

static int prepare(struct client *client, const char *method, const char *path)
{
	CURL *curl = client->curl;
	CLEANUP(free) char *url = NULL;
	curl_easy_reset(curl);
	if (asprintf(&url, "http://localhost%s", path) < 0)
		return -ENOMEM;
	curl_easy_setopt(curl, CURLOPT_UNIX_SOCKET_PATH, client->socket_path);
	curl_easy_setopt(curl, CURLOPT_URL, url);
	curl_easy_setopt(curl, CURLOPT_CUSTOMREQUEST, method);
	curl_easy_setopt(curl, CURLOPT_ERRORBUFFER, client->reason);
	curl_easy_setopt(curl, CURLOPT_PROXY, ""); /* whatever the environment says */
	curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
	curl_easy_setopt(curl, CURLOPT_CONNECTTIMEOUT, 10L);
	client->reason[0] = '\0';
	return 0;
}

static int perform(struct client *client, struct client_reply *reply, struct error *err)
{
	CURLcode rc = curl_easy_perform(client->curl);
	curl_easy_getinfo(client->curl, CURLINFO_RESPONSE_CODE, &reply->status);
	/* A refusal may come before all was sent. */
	if (rc != CURLE_OK && !(rc == CURLE_SEND_ERROR && reply->status >= 400)) {
		long number = 0; /* curl's own words are of a host and a port */
		if (rc == CURLE_COULDNT_CONNECT)
			curl_easy_getinfo(client->curl, CURLINFO_OS_ERRNO, &number);
		if (number)
			return error_set(err, -ECONNREFUSED, "%s", strerror((int)number));
		return error_set(err, rc == CURLE_COULDNT_CONNECT ? -ECONNREFUSED : -EPIPE, "%s",
			*client->reason ? client->reason : curl_easy_strerror(rc));
	}
	if (reply->text)
		reply->body = json_loads(reply->text, 0, NULL);
	return 0;
}

static int perform_with(struct client *client, const char *content_type, struct client_reply *reply,
	struct error *err)
{
	char header[100];
	snprintf(header, sizeof(header), "Content-Type: %s", content_type);
	struct curl_slist *headers = curl_slist_append(NULL, header);
	curl_easy_setopt(client->curl, CURLOPT_HTTPHEADER, headers);
	curl_easy_setopt(client->curl, CURLOPT_WRITEFUNCTION, on_data);
	curl_easy_setopt(client->curl, CURLOPT_WRITEDATA, reply);
	int rc = perform(client, reply, err);
	curl_slist_free_all(headers);
	return rc;
}

int client_call(struct client *client, const char *method, const char *path, const json_t *body,
	struct client_reply *reply, struct error *err)
{
	CLEANUP(free) char *text = body ? json_dumps(body, JSON_COMPACT) : NULL;
	*reply = (struct client_reply){0};
	if (prepare(client, method, path) < 0 || (body && !text))
		return error_set(err, -ENOMEM, "no memory");
	if (text) {
		curl_easy_setopt(client->curl, CURLOPT_POSTFIELDS, text);
		curl_easy_setopt(client->curl, CURLOPT_POSTFIELDSIZE, (long)strlen(text));
	}
	return perform_with(client, "application/json", reply, err);
}

int client_upload(struct client *client, const char *path, const char *content_type, FILE *file,
	struct client_reply *reply, struct error *err)
{
	*reply = (struct client_reply){0};
	if (fseeko(file, 0, SEEK_END) < 0)
		return error_set(err, -errno, "%s", strerror(errno));
	off_t size = ftello(file);
	rewind(file);
	if (prepare(client, "PUT", path) < 0)
		return error_set(err, -ENOMEM, "no memory");
	curl_easy_setopt(client->curl, CURLOPT_UPLOAD, 1L);
	curl_easy_setopt(client->curl, CURLOPT_READDATA, file);
	curl_easy_setopt(client->curl, CURLOPT_INFILESIZE_LARGE, (curl_off_t)size);
	return perform_with(client, content_type, reply, err);
}

int client_stream(struct client *client, const char *path,
	bool (*event)(void *ctx, const char *name, const json_t *data), void *ctx,
	struct client_reply *reply, struct error *err)
{
	struct stream stream = {.client = client, .reply = reply, .event = event, .ctx = ctx};
	*reply = (struct client_reply){0};
	if (prepare(client, "GET", path) < 0)
		return error_set(err, -ENOMEM, "no memory");
	curl_easy_setopt(client->curl, CURLOPT_WRITEFUNCTION, on_stream_data);
	curl_easy_setopt(client->curl, CURLOPT_WRITEDATA, &stream);
	int rc = perform(client, reply, err);
	json_decref(stream.data);
	return stream.stopped ? 0 : rc;
}

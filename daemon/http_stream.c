/* SPDX-License-Identifier: ISC */
#include "daemon/http_internal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define READ_BLOCK 4096

/* Lives as long as its request has a connection. */
struct http_stream {
	struct http_request *request;
	void (*closed)(void *ctx, struct http_stream *stream); /* NULL after http_stream_end */
	void *ctx;
	bool ended; /* what waits is still sent */
	char *waiting;
	size_t offset, length, size;
};

/* MHD asks for the next bytes whenever the socket takes some. */
static ssize_t read_waiting(void *ctx, uint64_t position, char *buffer, size_t size)
{
	(void)position;
	struct http_stream *stream = ctx;
	struct http_request *request = stream->request;
	if (request->cut)
		return MHD_CONTENT_READER_END_WITH_ERROR;
	size_t count = stream->length - stream->offset;
	if (count == 0 && stream->ended)
		return MHD_CONTENT_READER_END_OF_STREAM;
	if (count == 0) {
		http_request_suspend(request);
		return 0;
	}
	if (count > size)
		count = size;
	memcpy(buffer, stream->waiting + stream->offset, count);
	stream->offset += count;
	if (stream->offset == stream->length)
		stream->offset = stream->length = 0;
	return (ssize_t)count;
}

/* Room for `more` bytes behind those that wait; what was sent is dropped first. */
static bool reserve(struct http_stream *stream, size_t more)
{
	if (stream->offset > 0) {
		stream->length -= stream->offset;
		memmove(stream->waiting, stream->waiting + stream->offset, stream->length);
		stream->offset = 0;
	}
	if (more > HTTP_STREAM_MAX || stream->length + more > HTTP_STREAM_MAX)
		return false;
	if (stream->length + more <= stream->size)
		return true;
	size_t size = stream->size ? stream->size : 1024;
	while (size < stream->length + more)
		size *= 2;
	char *waiting = realloc(stream->waiting, size);
	if (!waiting)
		return false;
	stream->waiting = waiting;
	stream->size = size;
	return true;
}

struct http_stream *http_stream_begin(struct http_request *request,
	void (*closed)(void *ctx, struct http_stream *stream), void *ctx)
{
	struct http_stream *stream = request->connection ? calloc(1, sizeof(*stream)) : NULL;
	struct MHD_Response *response = stream ? MHD_create_response_from_callback(MHD_SIZE_UNKNOWN,
							 READ_BLOCK, read_waiting, stream, NULL)
					       : NULL;
	if (!response) {
		free(stream);
		http_request_answer(request, 500, NULL);
		return NULL;
	}
	*stream = (struct http_stream){.request = request, .closed = closed, .ctx = ctx};
	request->stream = stream;
	/* A comment, so that the header goes out before there is an event. */
	static const char opening[] = ":\n\n";
	if (reserve(stream, sizeof(opening) - 1)) {
		memcpy(stream->waiting, opening, sizeof(opening) - 1);
		stream->length = sizeof(opening) - 1;
	}
	MHD_add_response_header(response, "Content-Type", "text/event-stream");
	MHD_add_response_header(response, "Cache-Control", "no-store");
	http_request_answer(request, 200, response);
	return stream;
}

/* The format is that of the HTML standard, section 9.2 "Server-sent events". */
void http_stream_event(struct http_stream *stream, const char *event, const json_t *data)
{
	struct http_request *request = stream->request;
	if (request->cut)
		return;
	char *text = json_dumps(data, JSON_COMPACT | JSON_ENCODE_ANY);
	size_t room = text ? strlen(event) + strlen(text) + sizeof("event: \ndata: \n\n") : 0;
	if (!text || !reserve(stream, room)) {
		free(text);
		http_request_cut(request);
		return;
	}
	int written = snprintf(
		stream->waiting + stream->length, room, "event: %s\ndata: %s\n\n", event, text);
	stream->length += (size_t)written;
	free(text);
	http_request_resume(request);
}

void http_stream_end(struct http_stream *stream)
{
	stream->closed = NULL;
	stream->ended = true;
	http_request_resume(stream->request);
}

void http_stream_lost(struct http_stream *stream)
{
	if (stream->closed)
		stream->closed(stream->ctx, stream);
	free(stream->waiting);
	free(stream);
}

/* SPDX-License-Identifier: ISC */
#include "daemon/http_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/units.h"

/* What may come in: of a request that has failed already, so much is thrown away before the client
 * is cut off, for most clients read an answer only when they have sent everything. */
static uint64_t limit_of(const struct http_request *request)
{
	if (request->route && request->route->body == HTTP_BODY_FILE)
		return request->server->max_file;
	return HTTP_JSON_MAX;
}

static void fail_too_large(struct http_request *request)
{
	char text[SIZE_TEXT];
	http_request_fail(
		request, 413, "the body is larger than %s", size_print(limit_of(request), text));
}

static void open_file(struct http_request *request)
{
	if (asprintf(&request->file_path, "%s/" HTTP_UPLOAD_PREFIX "XXXXXX",
		    request->server->file_dir) < 0)
		request->file_path = NULL;
	if (request->file_path)
		request->file = mkostemp(request->file_path, O_CLOEXEC);
	if (request->file >= 0)
		return;
	http_request_fail(request, 500, "%s: cannot make a file for the upload: %s",
		request->server->file_dir, strerror(errno));
	free(request->file_path);
	request->file_path = NULL;
}

bool http_body_begin(struct http_request *request)
{
	const char *announced =
		MHD_lookup_connection_value(request->connection, MHD_HEADER_KIND, "Content-Length");
	uint64_t length = 0;
	if (announced && number_parse(announced, 0, UINT64_MAX, &length, NULL) < 0)
		length = UINT64_MAX;
	bool too_large = length > limit_of(request);
	if (request->response || request->cut)
		return !too_large;
	if (too_large)
		fail_too_large(request);
	else if (request->route->body == HTTP_BODY_FILE)
		open_file(request);
	return !too_large;
}

static bool add_to_json(struct http_request *request, const char *data, size_t length)
{
	size_t needed = request->body_length + length;
	if (needed > request->body_size) {
		size_t size = request->body_size ? request->body_size : 1024;
		while (size < needed)
			size *= 2;
		char *body = realloc(request->body, size);
		if (!body)
			return false;
		request->body = body;
		request->body_size = size;
	}
	memcpy(request->body + request->body_length, data, length);
	request->body_length = needed;
	return true;
}

/* In a worker: files are on disks, which may take their time. */
static void write_piece(uv_work_t *work)
{
	struct http_request *request = work->data;
	const char *data = request->writing.piece;
	size_t length = request->writing.length;
	while (length > 0) {
		ssize_t written = write(request->file, data, length);
		if (written < 0 && errno == EINTR)
			continue;
		if (written <= 0) {
			request->writing.error = written < 0 ? errno : EIO;
			return;
		}
		data += written;
		length -= (size_t)written;
	}
}

static void on_written(uv_work_t *work, int status)
{
	struct http_request *request = work->data;
	int error = status < 0 ? -status : request->writing.error;
	free(request->writing.piece);
	request->writing.piece = NULL;
	request->writing.busy = false;
	http_server_release(request->writing.server);
	if (http_request_reap(request))
		return;
	if (error)
		http_request_fail(request, error == ENOSPC ? 507 : 500,
			"cannot write the upload to %s: %s", request->server->file_dir,
			strerror(error));
	http_request_resume(request);
}

/* The client waits until the piece is written, so that one a connection is in memory. False: it
 * cannot be. */
static bool add_to_file(struct http_request *request, const char *data, size_t length)
{
	request->writing.piece = malloc(length);
	if (!request->writing.piece)
		return false;
	memcpy(request->writing.piece, data, length);
	request->writing.length = length;
	request->writing.error = 0;
	request->writing.work.data = request;
	if (uv_queue_work(request->server->loop, &request->writing.work, write_piece, on_written) <
		0) {
		free(request->writing.piece);
		request->writing.piece = NULL;
		return false;
	}
	request->writing.busy = true;
	request->writing.server = request->server;
	http_server_hold(request->server);
	http_request_suspend(request);
	return true;
}

bool http_body_add(struct http_request *request, const char *data, size_t length)
{
	request->received += length;
	uint64_t limit = limit_of(request);
	if (request->response)
		return request->received <= limit + HTTP_JSON_MAX;
	if (request->received > limit) {
		fail_too_large(request);
		return true;
	}
	switch (request->route->body) {
	case HTTP_BODY_NONE:
		http_request_fail(request, 400, "this request takes no body");
		return true;
	case HTTP_BODY_JSON:
		return add_to_json(request, data, length);
	case HTTP_BODY_FILE:
		return add_to_file(request, data, length);
	}
	return false;
}

static void parse_json(struct http_request *request)
{
	if (request->body_length == 0) {
		request->json = json_object();
		return;
	}
	json_error_t error;
	request->json =
		json_loadb(request->body, request->body_length, JSON_REJECT_DUPLICATES, &error);
	if (!request->json)
		http_request_fail(request, 400, "the body is not good JSON: line %d, column %d: %s",
			error.line, error.column, error.text);
	else if (!json_is_object(request->json))
		http_request_fail(request, 400, "the body must be one JSON object");
}

void http_body_end(struct http_request *request)
{
	if (request->response)
		return;
	if (request->route->body == HTTP_BODY_JSON)
		parse_json(request);
	if (request->file >= 0) {
		close(request->file);
		request->file = -1;
	}
}

void http_body_finish(struct http_request *request)
{
	free(request->body);
	json_decref(request->json);
	if (request->file >= 0)
		close(request->file);
	if (request->file_path)
		unlink(request->file_path);
	free(request->file_path);
}

json_t *http_body(const struct http_request *request)
{
	return request->json;
}

const char *http_body_file(const struct http_request *request)
{
	return request->file_path;
}

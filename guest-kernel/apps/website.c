/* SPDX-License-Identifier: ISC */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "guest-kernel/apps/http.h"
#include "guest-kernel/apps/mime.h"
#include "guest-kernel/apps/site.h"
#include "guest-kernel/apps/work.h"
#include "guest-kernel/include/app.h"

/* A web server for the files of a ustar archive that is given as the initial ramdisk. The word
 * work=500ms has it compute for so long before it is ready. */

#define CONNECTIONS_MAX 256
#define IDLE_NS         15000000000ull
#define ANSWER_HEAD_MAX 4096
#define TAG_MAX         40

/* The head of an answer, ready to be sent. */
struct head {
	const char *text;
	size_t size;
};

/* What is served. Each file's usual answer is written once, when it is first asked for. */
struct website {
	struct site site;
	struct head *heads; /* of the files, in their order; text NULL: not written yet */
};

/* One connection; answers one request at a time. While an answer is under way, further requests
 * wait in `request`, and beyond that with the client. */
struct visitor {
	struct app_tcp *connection;
	struct website *website;
	char request[HTTP_HEAD_MAX];
	size_t received;

	char text[ANSWER_HEAD_MAX];
	struct head head; /* `text`, or a file's */
	size_t head_sent;
	const void *body; /* stays as it is until exit */
	size_t body_size, body_sent;
	bool answering, last;
	bool ended; /* the client sends no more */
};

/* An answer, before it becomes bytes. */
struct answer {
	int status;
	const char *type, *location;
	const struct site_file *file; /* its name tells the type */
	const char *body;
	size_t body_size;
	bool head_only, last;
};

static void make_tag(const struct site_file *file, char tag[TAG_MAX])
{
	snprintf(tag, TAG_MAX, "\"%" PRIx64 "-%zx\"", file->mtime, file->size);
}

/* Fields that are only there in some answers; each call adds one. */
static void add_field(struct visitor *v, const char *name, const char *value)
{
	size_t room = sizeof(v->text) - v->head.size;
	int size = snprintf(v->text + v->head.size, room, "%s: %s\r\n", name, value);
	if (size > 0 && (size_t)size < room)
		v->head.size += (size_t)size;
}

static void write_head(struct visitor *v, const struct answer *a)
{
	char length[24], tag[TAG_MAX], date[HTTP_DATE_MAX];
	v->head = (struct head){
		v->text, (size_t)snprintf(v->text, sizeof(v->text), "HTTP/1.1 %d %s\r\n", a->status,
				 http_reason(a->status))};
	add_field(v, "Server", "summond");
	if (a->status != 304) {
		snprintf(length, sizeof(length), "%zu", a->body_size);
		add_field(v, "Content-Type", a->file ? mime_type(a->file->name) : a->type);
		add_field(v, "Content-Length", length);
	}
	if (a->file) {
		make_tag(a->file, tag);
		add_field(v, "ETag", tag);
		add_field(v, "Last-Modified", http_date(a->file->mtime, date));
	}
	if (a->location)
		add_field(v, "Location", a->location);
	if (a->status == 405)
		add_field(v, "Allow", "GET, HEAD");
	if (a->last)
		add_field(v, "Connection", "close");
	memcpy(v->text + v->head.size, "\r\n", 2);
	v->head.size += 2;
}

static void find_head(struct visitor *v, const struct answer *a)
{
	bool usual = a->file && a->status == 200 && !a->last;
	struct head *known = usual ? &v->website->heads[a->file - v->website->site.files] : NULL;
	if (usual && known->text) {
		v->head = *known;
		return;
	}
	write_head(v, a);
	char *copy = usual ? malloc(v->head.size) : NULL;
	if (!copy)
		return;
	memcpy(copy, v->head.text, v->head.size);
	*known = v->head = (struct head){copy, v->head.size};
}

static void begin_answer(struct visitor *v, const struct answer *a)
{
	find_head(v, a);
	v->head_sent = v->body_sent = 0;
	v->body = a->body;
	v->body_size = a->head_only || a->status == 304 ? 0 : a->body_size;
	v->last = a->last;
	v->answering = true;
}

/* A status that needs no file: its reason is the page. */
static void answer_status(struct visitor *v, const struct http_request *r, int status,
	const char *location, bool last)
{
	const char *reason = http_reason(status);
	begin_answer(v, &(struct answer){
				.status = status,
				.type = "text/plain; charset=utf-8",
				.location = location,
				.body = reason,
				.body_size = strlen(reason),
				.head_only = r && r->method == HTTP_HEAD,
				.last = last,
			});
}

static bool is_unchanged(const struct http_request *r, const struct site_file *file)
{
	char tag[TAG_MAX], date[HTTP_DATE_MAX];
	/* RFC 9110, 13.2.2: where there is a tag, the date does not count. */
	if (r->if_none_match[0]) {
		make_tag(file, tag);
		return http_tag_matches(r->if_none_match, tag);
	}
	return r->if_modified_since[0] &&
	       strcmp(r->if_modified_since, http_date(file->mtime, date)) == 0;
}

static void answer_file(
	struct visitor *v, const struct http_request *r, const struct site_file *file)
{
	begin_answer(v, &(struct answer){
				.status = is_unchanged(r, file) ? 304 : 200,
				.file = file,
				.body = (const char *)file->data,
				.body_size = file->size,
				.head_only = r->method == HTTP_HEAD,
				.last = !r->keep_alive,
			});
}

static void answer_redirect(struct visitor *v, const struct http_request *r)
{
	char location[ANSWER_HEAD_MAX / 2];
	if (!http_encode_path(r->path, location, sizeof(location) - 1)) {
		answer_status(v, r, 414, NULL, true);
		return;
	}
	strcat(location, "/");
	answer_status(v, r, 301, location, !r->keep_alive);
}

static void answer_request(struct visitor *v, const struct http_request *r)
{
	const struct site_file *file;
	if (r->method == HTTP_OTHER) {
		answer_status(v, r, 405, NULL, !r->keep_alive);
		return;
	}
	switch (site_find(&v->website->site, r->path, &file)) {
	case SITE_FILE:
		answer_file(v, r, file);
		break;
	case SITE_DIRECTORY:
		answer_redirect(v, r);
		break;
	case SITE_NOTHING:
		answer_status(v, r, 404, NULL, !r->keep_alive);
		break;
	}
}

/* Begins to answer the first request received; false where it is not complete. */
static bool next_request(struct visitor *v)
{
	struct http_request request;
	size_t used;
	int status = http_parse(v->request, v->received, &request, &used);
	if (status == 0)
		return false;
	if (status != 200) {
		answer_status(v, NULL, status, NULL, true);
		return true;
	}
	v->received -= used;
	memmove(v->request, v->request + used, v->received);
	answer_request(v, &request);
	return true;
}

/* True once all of the answer is queued. */
static bool send_answer(struct visitor *v)
{
	v->head_sent += app_tcp_send(v->connection, v->head.text + v->head_sent,
		v->head.size - v->head_sent, v->head.text == v->text ? APP_COPY : APP_STAY);
	if (v->head_sent < v->head.size)
		return false;
	if (v->body_sent < v->body_size)
		v->body_sent += app_tcp_send(v->connection, (const char *)v->body + v->body_sent,
			v->body_size - v->body_sent, APP_STAY);
	return v->body_sent == v->body_size;
}

/* Answers as far as there are requests, and room to send. False once the connection is closed. */
static bool serve(struct visitor *v)
{
	while (v->answering || next_request(v)) {
		if (!send_answer(v))
			return true;
		v->answering = false;
		if (v->last)
			break;
	}
	if (!v->last && !v->ended)
		return true;
	app_tcp_close(v->connection);
	return false;
}

static void *visitor_open(void *context, struct app_tcp *connection)
{
	struct visitor *v = malloc(sizeof(*v));
	if (!v)
		return NULL;
	/* Not all of it: the buffers are large, and most of them is never touched. */
	v->connection = connection;
	v->website = context;
	v->received = v->head.size = v->head_sent = v->body_size = v->body_sent = 0;
	v->answering = v->last = v->ended = false;
	return v;
}

static size_t visitor_data(void *state, const uint8_t *data, size_t size)
{
	struct visitor *v = state;
	size_t room = sizeof(v->request) - v->received;
	size_t taken = size < room ? size : room;
	memcpy(v->request + v->received, data, taken);
	v->received += taken;
	if (serve(v) && taken < size && v->received < sizeof(v->request))
		app_tcp_continue(v->connection);
	return taken;
}

static void visitor_end(void *state)
{
	struct visitor *v = state;
	v->ended = true;
	serve(v);
}

static void visitor_room(void *state)
{
	struct visitor *v = state;
	if (serve(v))
		app_tcp_continue(v->connection);
}

static const char *open_site(struct app *app, struct website *website)
{
	const char *why = NULL;
	size_t size;
	const void *archive = app_initrd(app, &size);
	if (!archive)
		return "there is no initrd: give a tar archive of the site's files";
	if (site_init(&website->site, archive, size, &why) < 0)
		return why;
	website->heads = calloc(website->site.count + 1, sizeof(*website->heads));
	return website->heads ? NULL : "out of memory";
}

int app_main(struct app *app)
{
	static struct website website;
	static struct app_tcp_service service = {
		.connections_max = CONNECTIONS_MAX,
		.idle_ns = IDLE_NS,
		.open = visitor_open,
		.data = visitor_data,
		.end = visitor_end,
		.room = visitor_room,
		.closed = free,
	};
	uint32_t port;
	int result = app_number(app, "port", 1, 65535, 80, &port);
	if (result < 0)
		return result;
	const char *why = open_site(app, &website);
	if (why) {
		app_log(app, "the site: %s", why);
		return -EINVAL;
	}
	service.port = (uint16_t)port;
	result = work_before_ready(app);
	if (result < 0)
		return result;
	result = app_tcp_listen(app, &service, &website);
	if (result < 0) {
		app_log(app, "cannot listen on port %u", service.port);
		return result;
	}
	app_ready(app);
	return 0;
}

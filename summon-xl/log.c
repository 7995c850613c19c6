/* SPDX-License-Identifier: ISC */
#include "summon-xl/log.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/* libxl writes "libxl_file.c:123:function: Domain 5:what happened". */
static const char *essence(const char *line)
{
	const char *place = strstr(line, ".c:");
	const char *text = place ? strstr(place, ": ") : NULL;
	const char *domain = strstr(line, "Domain ");
	const char *colon = domain ? strchr(domain, ':') : NULL;
	if (colon && colon - domain < 20)
		return colon + 1;
	return text ? text + 2 : line;
}

static void take(xentoollog_logger *logger, xentoollog_level level, int failure,
	const char *context, const char *format, va_list values)
{
	struct xl_log *log = (struct xl_log *)logger;
	char line[512];
	(void)context;
	if (level < XTL_ERROR)
		return;
	vsnprintf(line, sizeof(line), format, values);
	size_t room = sizeof(log->text) - log->length;
	int length = snprintf(log->text + log->length, room, "%s%s%s%s", log->length ? "; " : "",
		essence(line), failure >= 0 ? ": " : "", failure >= 0 ? strerror(failure) : "");
	log->length += length < 0 || (size_t)length >= room ? room - 1 : (size_t)length;
}

static void no_progress(xentoollog_logger *logger, const char *context, const char *what,
	int percent, unsigned long done, unsigned long total)
{
	(void)logger, (void)context, (void)what, (void)percent, (void)done, (void)total;
}

static void no_destroy(xentoollog_logger *logger)
{
	(void)logger;
}

void xl_log_init(struct xl_log *log)
{
	*log = (struct xl_log){
		.logger = {.vmessage = take, .progress = no_progress, .destroy = no_destroy}};
}

void xl_log_clear(struct xl_log *log)
{
	log->text[0] = '\0';
	log->length = 0;
}

int xl_log_error(const struct xl_log *log, struct error *err, int code, const char *what, int rc)
{
	const char *name = libxl_error_to_string((libxl_error)rc);
	return error_set(err, code, "%s: libxl: %s (%s)", what,
		log->text[0] ? log->text : "no reason given", name ? name : "unknown error");
}

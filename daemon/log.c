/* SPDX-License-Identifier: ISC */
#include "daemon/log.h"

#include <inttypes.h>
#include <jansson.h>
#include <stdarg.h>
#include <stdlib.h>
#include <time.h>

#include "base/cleanup.h"
#include "base/units.h"
#include "daemon/json_text.h"

static const char *const level_names[] = {"debug", "info", "warning", "error"};

const char *log_time(uint64_t real, char text[32])
{
	time_t seconds = (time_t)(real / NS_PER_S);
	struct tm tm;
	gmtime_r(&seconds, &tm);
	size_t length = strftime(text, 32, "%Y-%m-%dT%H:%M:%S", &tm);
	snprintf(text + length, 32 - length, ".%03uZ", (unsigned)(real % NS_PER_S / NS_PER_MS));
	return text;
}

static void write_json(const struct log *log, const char *time, enum log_level level,
	const struct log_about *about, const char *message)
{
	json_t *line = json_pack("{s:s, s:s, s:o}", "time", time, "level", level_names[level],
		"message", json_text(message));
	if (!line)
		return;
	if (about->service)
		json_object_set_new(line, "service", json_string(about->service));
	if (about->summon)
		json_object_set_new(line, "summon", json_integer((json_int_t)about->summon));
	if (about->generation)
		json_object_set_new(line, "generation", json_integer(about->generation));
	json_dumpf(line, log->stream, JSON_COMPACT);
	fputc('\n', log->stream);
	json_decref(line);
}

void log_flush(const struct log *log)
{
	if (log->stream)
		fflush(log->stream);
}

/* A message may carry bytes of a guest's or a client's: none of them may start a line of its own
 * or drive a terminal. */
static void blank_controls(char *text)
{
	for (; *text; text++)
		if ((unsigned char)*text < ' ' || *text == 0x7f)
			*text = ' ';
}

static void write_text(const struct log *log, const char *time, enum log_level level,
	const struct log_about *about, const char *message)
{
	fprintf(log->stream, "%s %-7s %s", time, level_names[level], message);
	if (about->service)
		fprintf(log->stream, " service=%s", about->service);
	if (about->summon)
		fprintf(log->stream, " summon=%" PRIu64, about->summon);
	if (about->generation)
		fprintf(log->stream, " generation=%" PRIu32, about->generation);
	fputc('\n', log->stream);
}

void log_line(const struct log *log, enum log_level level, struct log_about about,
	const char *format, ...)
{
	if (level < log->level || !log->stream)
		return;
	char message[1024], time[32];
	va_list args;
	va_start(args, format);
	vsnprintf(message, sizeof(message), format, args);
	va_end(args);
	blank_controls(message);
	log_time(clock_real(), time);
	(log->json ? write_json : write_text)(log, time, level, &about, message);
	if (!log->deferred || level >= LOG_ERROR)
		log_flush(log);
}

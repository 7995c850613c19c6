/* SPDX-License-Identifier: ISC */
#ifndef DAEMON_LOG_H
#define DAEMON_LOG_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

/* Structured log lines on one stream: `time level message key=value ...`, or one JSON object a
 * line. The libraries never log; the daemon does. */
enum log_level { LOG_DEBUG, LOG_INFO, LOG_WARNING, LOG_ERROR };

struct log {
	FILE *stream;
	enum log_level level; /* lines below it are left out */
	bool json;
	bool deferred; /* lines wait for log_flush(), but for errors: a write is slow, and
	                         answers go first */
};

/* What the line is about; all optional. */
struct log_about {
	const char *service;
	uint64_t summon;
	uint32_t generation;
};

#define LOG_ABOUT_NOTHING ((struct log_about){0})

void log_line(const struct log *log, enum log_level level, struct log_about about,
	const char *format, ...) __attribute__((format(printf, 4, 5)));

void log_flush(const struct log *log);

/* "2026-01-31T12:00:00.123Z" of a real time in nanoseconds. */
const char *log_time(uint64_t real, char text[32]);

#endif

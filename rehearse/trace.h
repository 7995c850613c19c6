/* SPDX-License-Identifier: ISC */
#ifndef REHEARSE_TRACE_H
#define REHEARSE_TRACE_H

#include <stdint.h>
#include <stdio.h>

#include "base/address.h"
#include "base/error.h"

/*
 * A trace: CSV (RFC 4180, without line ends in quotes), one event a line, in the order of time:
 *
 *   time,event,name,source
 *   1700000000.25,A,www.example.test,192.0.2.7
 *   2023-11-14T22:13:21Z,tcp/80,www.example.test,192.0.2.7
 *
 * The header, empty lines and lines that begin with # are left out. It is read line by line, and no
 * line is kept. All of it is hostile.
 */
enum trace_kind {
	TRACE_QUERY, /* number: its type */
	TRACE_TCP,   /* asks for a connection; number: its port */
	TRACE_UDP,
	TRACE_PING,
};

#define TRACE_NAME_MAX 253

struct trace_event {
	uint64_t at; /* ns since 1970, or since whatever the trace counts its seconds from */
	enum trace_kind kind;
	uint16_t number;
	char name[TRACE_NAME_MAX + 1]; /* lower case, no final dot */
	struct ip_address source;
};

struct trace;

/* `label` is what errors call it. */
int trace_open(const char *path, const char *label, struct trace **out, struct error *err);
/* Takes over the file, where it succeeds. */
int trace_open_file(FILE *file, const char *label, struct trace **out, struct error *err);
void trace_close(struct trace *trace);

/* 1: an event, 0: the end; -EINVAL with the line's number, what is wrong with it and what would be
 * right, or the errno of reading. */
int trace_next(struct trace *trace, struct trace_event *out, struct error *err);

#endif

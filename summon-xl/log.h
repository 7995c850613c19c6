/* SPDX-License-Identifier: ISC */
#ifndef SUMMON_XL_LOG_H
#define SUMMON_XL_LOG_H

#include <libxl.h>
#include <stddef.h>

#include "base/error.h"

/* What libxl logs as an error while it does one thing. */
struct xl_log {
	xentoollog_logger logger; /* first: libxl gives us this back */
	char text[384];
	size_t length;
};

void xl_log_init(struct xl_log *log);
void xl_log_clear(struct xl_log *log);
/* Fills *err with what failed, libxl's own code for it and what was logged. Returns `code`. */
int xl_log_error(const struct xl_log *log, struct error *err, int code, const char *what, int rc);

#endif

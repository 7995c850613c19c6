/* SPDX-License-Identifier: ISC */
#ifndef BASE_ERROR_H
#define BASE_ERROR_H

/*
 * The one way in which a failure travels: a function that can fail returns 0 (or something
 * positive) on success and a negative errno value on failure, and takes a `struct error *` as its
 * last argument where a person will read the reason. The struct is untouched on success; a caller
 * that does not care passes NULL.
 */
struct error {
	int code;          /* a negative errno value, the same that was returned */
	char message[512]; /* what failed, where, and what would be right; no final newline */
};

#define ERROR_INIT                                                                                 \
	{                                                                                          \
		0                                                                                  \
	}

/* Fills *err (may be NULL) and returns `code`, which must be negative, so that a failing function
 * can end in `return error_set(err, -EINVAL, "...")`. */
int error_set(struct error *err, int code, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

/* Puts "prefix: " in front of the message that *err (may be NULL) already holds; returns
 * err->code, or `code` where err is NULL. */
int error_prefix(struct error *err, int code, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

#endif

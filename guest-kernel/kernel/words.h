/* SPDX-License-Identifier: ISC */
#ifndef KERNEL_WORDS_H
#define KERNEL_WORDS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * The command line: words separated by blanks, most of them NAME=VALUE. Words that nobody asks for
 * are ignored, so that a hypervisor may add its own. Where a name comes twice, the first counts.
 */

/* Copies the value of NAME=VALUE, ended by NUL. Returns false where there is none, or where it does
 * not fit into `size`; *out is then "". */
bool word_value(const char *line, const char *name, char *out, size_t size);

/* Calls each value of a word that may come more than once, until `found` returns false. */
void word_each(const char *line, const char *name,
	bool (*found)(void *context, const char *value, size_t size), void *context);

/* A decimal number, whole, from min to max. */
bool number_read(const char *text, uint32_t min, uint32_t max, uint32_t *out);

#endif

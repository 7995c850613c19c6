/* SPDX-License-Identifier: ISC */
#ifndef SUMMONCTL_TABLE_H
#define SUMMONCTL_TABLE_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

/* Columns that are as wide as their widest cell, for people. */
struct table;

#define TABLE_COLUMNS 8

struct table *table_create(size_t columns); /* NULL: no memory */
/* One row of copies; as many strings as columns, NULL reads as "-". Control characters are
 * replaced. Memory that is missing is told by table_print. */
void table_row(struct table *table, ...);
/* Prints and destroys. -ENOMEM where a row is missing. */
int table_print(struct table *table, FILE *stream);

#define WHEN_TEXT 40
/* "1.234 ms" of nanoseconds; "3min" since an RFC 3339 time, or the time itself if it is none. */
const char *print_elapsed(uint64_t ns, char text[WHEN_TEXT]);
const char *print_age(const char *time, char text[WHEN_TEXT]);

#endif

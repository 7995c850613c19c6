/* SPDX-License-Identifier: ISC */
#ifndef SUMMON_XL_SAVED_FILE_H
#define SUMMON_XL_SAVED_FILE_H

#include <stdint.h>

#include "base/error.h"
#include "summon-xl/identity.h"

/*
 * The file of a guest on disk: a head, libxl's configuration of the domain as JSON, and libxl's own
 * stream. Only root can write there; all the same nothing that is read is believed. Without libxl.
 */

/* "<identity>-<slot>-<generation>", the identity as 16 digits; unfinished ones have SAVED_NEW behind it. */
#define SAVED_NAME 48
#define SAVED_NEW  ".new"
void saved_file_name(uint64_t identity, struct guest_id id, char name[SAVED_NAME]);

enum saved_name { SAVED_OTHER, SAVED_WHOLE, SAVED_UNFINISHED };
/* What a name stands for; *id where it is a guest's of this identity. */
enum saved_name saved_file_which(const char *name, uint64_t identity, struct guest_id *id);

/* `started_at` is in nanoseconds of real time. What could not be read again is -E2BIG. */
int saved_file_write(int fd, uint64_t started_at, const char *config, struct error *err);
/* From the file's beginning; then it is at the stream. *config is for free(). -EINVAL where what it says
 * is wrong, and that is for ever. */
int saved_file_read(int fd, uint64_t *started_at, char **config, struct error *err);

#endif

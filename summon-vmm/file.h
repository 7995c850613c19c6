/* SPDX-License-Identifier: ISC */
#ifndef SUMMON_VMM_FILE_H
#define SUMMON_VMM_FILE_H

#include <stdint.h>

/* All of it or nothing that counts: 0, or a negative errno value; -EIO where the file ends first. */
int file_read(int file, void *out, uint64_t size, uint64_t offset);
int file_write(int file, const void *bytes, uint64_t size, uint64_t offset);

#endif

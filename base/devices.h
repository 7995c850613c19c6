/* SPDX-License-Identifier: ISC */
#ifndef BASE_DEVICES_H
#define BASE_DEVICES_H

#include <stdbool.h>
#include <stddef.h>

#include "base/error.h"

/*
 * A guest's network interfaces and disks as text, which is how they are typed, stored and passed on:
 * words between blanks.
 *
 *   BRIDGE[@SCRIPT]      an interface on that bridge; SCRIPT, a path or the name of a script of the
 *                        hypervisor's, sets it up instead of us
 *   PATH@DEVICE[:ro]     a file or block device of the host, and what the guest knows it as
 *
 * Functions read the next word of *at and move *at behind it: 1, or 0 at the end, or -EINVAL, which
 * names the word and what would be right.
 */
#define DEVICES_MAX     8 /* of one kind */
#define DEVICE_PATH_MAX 1023

struct nic_text {
	char bridge[16];
	char script[DEVICE_PATH_MAX + 1]; /* "": none */
};

struct disk_text {
	char path[DEVICE_PATH_MAX + 1];
	char device[16];
	bool read_only;
};

int nic_next(const char **at, struct nic_text *nic, struct error *err);
int disk_next(const char **at, struct disk_text *disk, struct error *err);

/* Whether all of it can be read, and is at most DEVICES_MAX. */
int nics_check(const char *text, struct error *err);
int disks_check(const char *text, struct error *err);

/* A UUID in its usual form, in either case. */
bool uuid_is_one(const char *text);

#endif

/* SPDX-License-Identifier: ISC */
#ifndef SUMMONCTL_SITE_H
#define SUMMONCTL_SITE_H

#include <stdio.h>

#include "base/error.h"

/* Writes the regular files below `folder` as a ustar archive (POSIX.1-1988) into `out`, in the
 * order of their names: the same files give the same bytes. A link to a file within the folder is read as
 * that file; any other link, and anything that is no file or folder, is refused (-EINVAL), as is a
 * folder without files (-ENOENT). */
int site_pack(const char *folder, FILE *out, struct error *err);

#endif

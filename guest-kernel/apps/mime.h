/* SPDX-License-Identifier: ISC */
#ifndef APPS_MIME_H
#define APPS_MIME_H

/* The media type for the extension of a file name, in any case; application/octet-stream for what
 * is not known. Constant text. */
const char *mime_type(const char *name);

#endif

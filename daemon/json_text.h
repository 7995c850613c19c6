/* SPDX-License-Identifier: ISC */
#ifndef DAEMON_JSON_TEXT_H
#define DAEMON_JSON_TEXT_H

#include <jansson.h>

/* Text that guests, clients or hypervisors had a hand in, or that was cut within a letter: JSON
 * takes only UTF-8, and jansson makes nothing at all of the rest. What is not ASCII becomes a
 * question mark then. Never NULL but for out of memory. */
json_t *json_text(const char *text);
json_t *json_text_of(const char *data, size_t length);

#endif

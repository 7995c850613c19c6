/* SPDX-License-Identifier: ISC */
#ifndef DAEMON_OPENAPI_H
#define DAEMON_OPENAPI_H

#include <stddef.h>

/* The bytes of openapi.json (openapi.S). */
extern const char openapi_text[];
extern const size_t openapi_length;

#endif

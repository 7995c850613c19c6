/* SPDX-License-Identifier: ISC */
#ifndef DAEMON_WHY_H
#define DAEMON_WHY_H

#include <stddef.h>

#define WHY_TEXT 400

/* Why a service is in its state and what comes next, in a sentence for a person (without its name and
 * final stop). */
struct service;
void why_explain(const struct service *service, char text[WHY_TEXT]);

#endif

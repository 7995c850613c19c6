/* SPDX-License-Identifier: ISC */
#ifndef SUMMONCTL_REPORT_H
#define SUMMONCTL_REPORT_H

#include <jansson.h>
#include <stdbool.h>

/* Prints what summond-rehearse has found, for a person: in all, and of the services that take most,
 * or `all` of them; beside what it would be with the policies of `file` (`with`; NULL: nothing
 * beside). `delays` says how long guests were taken to take. Returns an enum exit_code. */
int report_print(
	const json_t *now, const json_t *with, const char *file, const char *delays, bool all);

#endif

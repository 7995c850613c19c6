/* SPDX-License-Identifier: ISC */
#ifndef SUMMONCTL_DEFINITION_H
#define SUMMONCTL_DEFINITION_H

#include <jansson.h>

#include "base/error.h"
#include "summonctl/command.h"

/* The options of `add`, which are also the keys of a service in a file of `apply`, as members of
 * the API's ServiceDefinition. */

/* The nth member; NULL beyond the last. */
const char *definition_member(size_t i);
/* Whether an address, or a word for one of the pool, is IPv6's. */
bool address_is_six(const char *text);
/* Whether an option may be given more than once. */
bool definition_takes_list(const char *option);
/* Sets the member for one option, or adds to its list. Paths are made absolute, from `folder` (NULL:
 * the current one); files must be there. */
int definition_set(json_t *definition, const char *option, const char *value, const char *folder,
	struct error *err);
/* `path` from `folder`, for the caller to free; NULL: no memory. */
char *path_from(const char *folder, const char *path);

/* Whether the file has policies and services, and nothing else; says where not. */
struct config_node;
int apply_check_file(const struct config_node *root);

/* The folder as an archive, in a temporary file that the caller closes; NULL on error. */
FILE *site_open(const char *folder, struct error *err);
/* Sends it. EXIT_OK where there was an answer, of any status; else it has said what is wrong. */
int site_upload(
	struct context *context, const char *service, FILE *site, long *status, json_t **answer);
/* Whether the file at `path` holds exactly what site_pack makes of `folder`. */
bool site_is_same(const char *folder, const char *path);

#endif

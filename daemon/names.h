/* SPDX-License-Identifier: ISC */
#ifndef DAEMON_NAMES_H
#define DAEMON_NAMES_H

#include <jansson.h>
#include <stdbool.h>

#include "base/error.h"

/* The other names of services: the DNS server answers each with the service's addresses, and a
 * query for it wakes the service. In definitions they are text, between blanks and in order. */
struct registry;
struct service;
struct store_service;

/* The service that has this as another name, or NULL. */
struct service *service_by_other_name(const struct registry *registry, const char *name);

/* Makes the DNS server and the registry know what the definition says. */
void names_publish(struct service *service);
/* The registry forgets them; the DNS server does with the service. */
void names_forget(struct service *service);

/* A JSON array of names into a definition's text, for the caller to free (NULL for none), and back.
 * -EINVAL: one is no host name, comes twice, or there are more than STORE_NAMES_MAX. */
int names_parse(const json_t *list, char **out, struct error *err);
json_t *names_json(const char *names);

/* Whether a definition may have its name and its other ones. -EEXIST says who has one, -EINVAL that
 * it is in no zone. */
int names_check(
	const struct registry *registry, const struct store_service *def, struct error *err);

#endif

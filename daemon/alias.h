/* SPDX-License-Identifier: ISC */
#ifndef DAEMON_ALIAS_H
#define DAEMON_ALIAS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"

/* The other names of services: to the DNS server each is a service with a number of its own. */
struct alias;
struct registry;
struct service;
struct store_service;

#define ALIASES_MAX 16

/* The service that a number of the DNS server's stands for, or NULL. */
struct service *service_by_number(const struct registry *registry, uint32_t number);

/* The service that has an alias of this name, or NULL. */
const struct service *service_by_alias(const struct registry *registry, const char *name);

/* Makes what the DNS server knows what the definition says. */
void aliases_publish(struct service *service);
void aliases_remove(struct service *service);
void aliases_finish(struct registry *registry);

/* The next name of a definition's aliases: moves *at behind it. False at the end. */
bool alias_next(const char **at, char name[254]);

/* A definition's aliases from text into their canonical form, for the caller to free; NULL with
 * *err: one is no host name, or there are more than ALIASES_MAX. */
char *aliases_parse(const char *text, struct error *err);

/* -EINVAL or -EEXIST where one cannot be this service's, or its name is another's alias. */
int aliases_check(
	const struct registry *registry, const struct store_service *def, struct error *err);

#endif

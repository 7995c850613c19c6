/* SPDX-License-Identifier: ISC */
#include "db/names.h"

#include <errno.h>
#include <string.h>

#include "base/cleanup.h"
#include "db/sql.h"

/* --- as text --- */

/* Takes the next name, at most STORE_NAME_MAX + 1 characters of it, and moves *at behind it and one
 * blank. False at the end. */
static bool next_name(const char **at, char name[STORE_NAME_MAX + 2])
{
	if (!*at || !**at)
		return false;
	size_t length = strcspn(*at, " ");
	size_t kept = length <= STORE_NAME_MAX + 1 ? length : STORE_NAME_MAX + 1;
	memcpy(name, *at, kept);
	name[kept] = '\0';
	*at += length + ((*at)[length] == ' ');
	return true;
}

static int check_name(const char *name, struct error *err)
{
	size_t length = strnlen(name, STORE_NAME_MAX + 1);
	if (length == 0 || length > STORE_NAME_MAX || name[length - 1] == '.')
		return error_set(err, -EINVAL,
			"a service's name is a domain name of 1 to %d characters without the final "
			"dot",
			STORE_NAME_MAX);
	for (size_t i = 0; i < length; i++)
		if (name[i] <= ' ' || name[i] > '~' || (name[i] >= 'A' && name[i] <= 'Z'))
			return error_set(err, -EINVAL,
				"byte 0x%02x in a service's name: write it in lower case and "
				"printable ASCII",
				(unsigned char)name[i]);
	return 0;
}

int service_names_check(const struct store_service *service, struct error *err)
{
	char name[STORE_NAME_MAX + 2];
	const char *at = service->names;
	int rc = check_name(service->name, err);
	for (unsigned count = 1; rc == 0 && next_name(&at, name); count++) {
		rc = check_name(name, err);
		if (rc == 0 && count > STORE_NAMES_MAX)
			rc = error_set(err, -EINVAL, "a service has at most %d other names",
				STORE_NAMES_MAX);
		if (rc == 0 && strcmp(name, service->name) == 0)
			rc = error_set(err, -EINVAL,
				"%s is its own name, and so none of its others", name);
	}
	return rc;
}

/* --- as rows --- */

static int check_free(struct store *store, const char *name, uint32_t id, struct error *err)
{
	CLEANUP(query) struct query query = {0};
	char owner[STORE_NAME_MAX + 1];
	query_begin(&query, store, NAME_OWNER);
	bind_text(&query, name);
	int rc = query_next(&query, err);
	if (rc <= 0)
		return rc;
	uint64_t found = take_u64(&query, UINT32_MAX);
	take_text(&query, owner, sizeof(owner));
	rc = query_check(&query, err);
	if (rc < 0 || found == id)
		return rc;
	if (strcmp(owner, name) == 0)
		return error_set(err, -EEXIST, "there is a service named %s already", name);
	return error_set(err, -EEXIST, "%.200s is another name of %.200s", name, owner);
}

int service_names_are_free(
	struct store *store, const struct store_service *service, struct error *err)
{
	char name[STORE_NAME_MAX + 2];
	const char *at = service->names;
	int rc = check_free(store, service->name, service->id, err);
	while (rc == 0 && next_name(&at, name))
		rc = check_free(store, name, service->id, err);
	return rc;
}

static int put_name(struct store *store, uint32_t id, const char *name, struct error *err)
{
	CLEANUP(query) struct query query = {0};
	query_begin(&query, store, NAME_PUT);
	bind_text(&query, name);
	bind_u64(&query, id);
	int rc = query_run(&query, err);
	return rc < 0 ? rc : 0;
}

int service_names_put(
	struct store *store, const struct store_service *service, uint32_t id, struct error *err)
{
	char name[STORE_NAME_MAX + 2];
	const char *at = service->names;
	CLEANUP(query) struct query query = {0};
	query_begin(&query, store, NAME_CLEAR);
	bind_u64(&query, id);
	int rc = query_run(&query, err);
	while (rc >= 0 && next_name(&at, name))
		rc = put_name(store, id, name, err);
	return rc < 0 ? rc : 0;
}

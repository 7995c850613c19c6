/* SPDX-License-Identifier: ISC */
#include "dns/access.h"

#include <errno.h>
#include <stdlib.h>

struct access_zone {
	struct name origin;
	const struct prefixes *clients;
};

static int longest_first(const void *left, const void *right)
{
	const struct access_zone *a = left, *b = right;
	return b->origin.labels - a->origin.labels;
}

int access_set(
	struct access *access, const struct dns_zone_access *zones, size_t count, struct error *err)
{
	struct access next = {.zones = calloc(count + 1, sizeof(*next.zones))};
	if (!next.zones)
		return error_set(err, -ENOMEM, "out of memory");
	for (size_t i = 0; i < count; i++) {
		struct access_zone *zone = &next.zones[next.count++];
		zone->clients = zones[i].clients;
		int rc = name_parse(zones[i].origin, &zone->origin, err);
		if (rc < 0) {
			free(next.zones);
			return rc;
		}
	}
	qsort(next.zones, next.count, sizeof(*next.zones), longest_first);
	access_finish(access);
	*access = next;
	return 0;
}

void access_finish(struct access *access)
{
	free(access->zones);
	*access = (struct access){0};
}

bool access_allows(
	const struct access *access, const uint8_t *question, const struct sockaddr *client)
{
	struct name name;
	if (access->count == 0)
		return true;
	name_fold(question, &name);
	for (size_t i = 0; i < access->count; i++)
		if (name_within(&name, &access->zones[i].origin))
			return prefixes_match(access->zones[i].clients, client);
	return true;
}

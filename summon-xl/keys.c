/* SPDX-License-Identifier: ISC */
#include "summon-xl/keys.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "summon-xl/helper.h"

#define PATH_SIZE (KEY_MAX + 40)

int keys_open(struct helper *helper, struct error *err)
{
	helper->store = xs_open(XS_UNWATCH_FILTER);
	return helper->store ? 0 : error_set(err, -errno, "xenstore: %s", strerror(errno));
}

void keys_close(struct helper *helper)
{
	if (helper->store)
		xs_close(helper->store);
}

int keys_descriptor(const struct helper *helper)
{
	return xs_fileno(helper->store);
}

static void key_path(const struct domain *domain, char path[PATH_SIZE])
{
	snprintf(path, PATH_SIZE, "/local/domain/%" PRIu32 "/%s", domain->domid, domain->key);
}

/* Tells of its domain, however late it comes. */
static void key_token(const struct domain *domain, char token[32])
{
	snprintf(token, 32, "%" PRIu32 ".%" PRIu32, domain->id.slot, domain->id.generation);
}

int key_watch(struct helper *helper, struct domain *domain, struct error *err)
{
	char path[PATH_SIZE], token[32];
	if (!domain->key[0])
		return 0;
	key_path(domain, path);
	key_token(domain, token);
	domain->key_watched = xs_watch(helper->store, path, token);
	return domain->key_watched
		       ? 0
		       : error_set(err, -errno, "xenstore %s: %s", path, strerror(errno));
}

void key_forget(struct helper *helper, struct domain *domain)
{
	char path[PATH_SIZE], token[32];
	if (!domain->key_watched)
		return;
	key_path(domain, path);
	key_token(domain, token);
	xs_unwatch(helper->store, path, token);
	domain->key_watched = false;
}

/* A watch fires once by itself, when it is set up. */
static void look(struct helper *helper, struct domain *domain)
{
	char path[PATH_SIZE];
	unsigned length;
	key_path(domain, path);
	CLEANUP(free) char *value = xs_read(helper->store, XBT_NULL, path, &length);
	if (!value)
		return;
	outbox_say(&helper->outbox, XL_READY, domain->id);
	key_forget(helper, domain);
}

void keys_take(struct helper *helper)
{
	char **event;
	while ((event = xs_check_watch(helper->store))) {
		struct guest_id id;
		if (sscanf(event[XS_WATCH_TOKEN], "%" SCNu32 ".%" SCNu32, &id.slot,
			    &id.generation) == 2) {
			struct domain *domain = domain_find(helper, id);
			if (domain && domain->key_watched)
				look(helper, domain);
		}
		free(event);
	}
}

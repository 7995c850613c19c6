/* SPDX-License-Identifier: ISC */
#include "daemon/shells.h"

#include "base/units.h"
#include "daemon/daemon.h"

#define SOON (50 * NS_PER_MS)

/* Whether a service of this backend has the policy; then *memory is at least what its guests need. */
static bool is_used(
	const struct policy_entry *policy, const struct backend *backend, uint64_t *memory)
{
	bool used = false;
	for (const struct service *user = policy->users; user; user = user->user_next) {
		if (user->removed || user->backend != backend)
			continue;
		uint64_t needed =
			user->def.memory ? user->def.memory : user->daemon->config->guest.memory;
		used = true;
		*memory = needed > *memory ? needed : *memory;
	}
	return used;
}

static void tell(const struct registry *registry, struct backend *backend)
{
	uint64_t memory = 0;
	unsigned count = 0;
	for (const struct policy_entry *p = registry->policies; p; p = p->hh.next)
		if (p->policy.shells > 0 && is_used(p, backend, &memory))
			count += p->policy.shells;
	backend->ops->expect(backend->launcher, count, memory);
}

static void reckon(void *ctx)
{
	struct daemon *daemon = ctx;
	for (struct backend *b = daemon->backends.first; b; b = b->next)
		if (b->ops->expect)
			tell(&daemon->registry, b);
}

void shells_reckon(struct daemon *daemon)
{
	if (!daemon->shells && !daemon->ending)
		timer_start(&daemon->loop, &daemon->shells, SOON, reckon, daemon);
}

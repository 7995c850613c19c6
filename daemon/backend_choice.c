/* SPDX-License-Identifier: ISC */
#include <stdio.h>
#include <string.h>

#include "daemon/daemon.h"

static const struct config_backend *settings_of(const struct config *config, const char *name)
{
	for (size_t i = 0; i < config->backend_count; i++)
		if (strcmp(config->backends[i].name, name) == 0)
			return &config->backends[i];
	return NULL;
}

/* The first that suits this host; else the first that might do. */
static const struct launcher_ops *choose(const struct config *config, char *why, size_t size)
{
	static const char *const candidates[] = {"vmm", "libvirt"};
	const struct launcher_ops *second = NULL;
	for (size_t i = 0; i < sizeof(candidates) / sizeof(candidates[0]); i++) {
		const struct launcher_ops *ops = launcher_backend_find(candidates[i]);
		const struct config_backend *given = settings_of(config, candidates[i]);
		struct error err = ERROR_INIT;
		if (ops && (!ops->suits || ops->suits(given ? given->settings : NULL,
						   given ? given->setting_count : 0, &err) == 0))
			return ops;
		if (ops) {
			snprintf(why, size, "%s does not suit: %.200s", ops->name, err.message);
			second = ops;
		}
	}
	return second ? second : launcher_backends[0];
}

void backends_choose(struct backends *backends, const struct config *config)
{
	backends->why[0] = '\0';
	if (strcmp(config->default_backend, BACKEND_AUTO) == 0)
		snprintf(backends->chosen, sizeof(backends->chosen), "%s",
			choose(config, backends->why, sizeof(backends->why))->name);
}

const char *backends_default(const struct backends *backends, const struct config *config)
{
	bool automatic = strcmp(config->default_backend, BACKEND_AUTO) == 0;
	return automatic && backends->chosen[0] ? backends->chosen : config->default_backend;
}

/* SPDX-License-Identifier: ISC */
#include "daemon/word.h"

#include <stdio.h>
#include <string.h>

#include "daemon/daemon.h"
#include "daemon/instance.h"
#include "daemon/marks.h"

static struct marks marks_of(const struct daemon *daemon)
{
	return (struct marks){daemon->config->run_dir, "busy"};
}

static void make_name(const struct service *service, char name[MARKS_NAME_SIZE])
{
	const struct instance_id id = service->instance->id;
	snprintf(name, MARKS_NAME_SIZE, "%u-%u", id.slot, id.generation);
}

void word_keep(const struct service *service, bool busy)
{
	const struct marks marks = marks_of(service->daemon);
	char name[MARKS_NAME_SIZE];
	make_name(service, name);
	if (!busy) {
		marks_remove(&marks, name);
		return;
	}
	int rc = marks_put(&marks, name, "busy");
	if (rc < 0)
		log_line(&service->daemon->log, LOG_DEBUG,
			(struct log_about){.service = service->def.name},
			"that it is busy cannot be kept: %s", strerror(-rc));
}

bool word_is_busy(const struct service *service)
{
	const struct marks marks = marks_of(service->daemon);
	char name[MARKS_NAME_SIZE], fact[8];
	make_name(service, name);
	return marks_get(&marks, name, fact, sizeof(fact));
}

static bool is_known(const struct daemon *daemon, const char *name)
{
	struct instance_id id;
	if (sscanf(name, "%u-%u", &id.slot, &id.generation) != 2)
		return false;
	const struct service *service = service_by_id(&daemon->registry, id.slot);
	return service && service->instance && instance_id_equal(service->instance->id, id);
}

void word_sweep(const struct daemon *daemon)
{
	const struct marks marks = marks_of(daemon);
	marks_sweep(&marks, daemon, is_known);
}

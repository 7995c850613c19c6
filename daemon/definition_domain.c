/* SPDX-License-Identifier: ISC */
/* What a definition says of the guest's domain: keys that most backends cannot take. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/devices.h"
#include "daemon/daemon.h"
#include "daemon/definition.h"

#define XEN_SCRIPTS        "/etc/xen/scripts/"
#define RUMPRUN_CONFIG_MAX 3072

/* ---- whether it can be ---- */

static bool same(const char *a, const char *b)
{
	return a && b && strcasecmp(a, b) == 0;
}

/* Hypervisors take a name, and people a UUID, for one domain's. */
static int check_unique(
	const struct registry *registry, const struct store_service *def, struct error *err)
{
	if (!def->domain_name && !def->uuid)
		return 0;
	for (uint32_t id = 0; id < registry->id_limit; id++) {
		const struct service *other = registry->by_id[id];
		if (!other || other->removed || id == def->id)
			continue;
		bool name = same(other->def.domain_name, def->domain_name);
		if (name || same(other->def.uuid, def->uuid))
			return error_set(err, -EEXIST, "%s: %s is the one of %s: choose another",
				name ? "domain_name" : "uuid", name ? def->domain_name : def->uuid,
				other->def.name);
	}
	return 0;
}

static int check_first_nic(
	const struct daemon *daemon, const struct store_service *def, struct error *err)
{
	struct nic_text first;
	const char *nics = def->nics, *bridge = daemon->config->network.bridge;
	if (!nics || !daemon->link || nic_next(&nics, &first, err) <= 0 ||
		strcmp(first.bridge, bridge) == 0)
		return 0;
	return error_set(err, -EINVAL,
		"nics: the first is to be on %s, where its address is routed to: begin with that, "
		"or set network.bridge to %s",
		bridge, first.bridge);
}

int definition_check_domain(const struct daemon *daemon, const struct store_service *def,
	const struct launcher_ops *ops, struct error *err)
{
	const struct {
		const char *key, *value;
	} keys[] = {{"domain_name", def->domain_name}, {"uuid", def->uuid}, {"nics", def->nics},
		{"disks", def->disks}, {"rumprun_config", def->rumprun_config}};
	for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]) && !ops->takes_domain; i++)
		if (keys[i].value)
			return error_set(err, -ENOTSUP,
				"%s: backend %s knows no such thing, libxl does", keys[i].key,
				ops->name);
	int rc = check_unique(&daemon->registry, def, err);
	return rc < 0 ? rc : check_first_nic(daemon, def, err);
}

/* ---- its files ---- */

/* A script of the hypervisor's own is named without its folder. */
static int check_scripts(const char *nics, struct error *err)
{
	struct nic_text nic;
	while (nics && nic_next(&nics, &nic, err) > 0) {
		char path[sizeof(nic.script) + sizeof(XEN_SCRIPTS)];
		snprintf(path, sizeof(path), "%s%s", nic.script[0] == '/' ? "" : XEN_SCRIPTS,
			nic.script);
		if (nic.script[0] && access(path, X_OK) < 0)
			return error_set(
				err, -EINVAL, "nics: cannot run %s: %s", path, strerror(errno));
	}
	return 0;
}

static int check_disks(const char *disks, struct error *err)
{
	struct disk_text disk;
	struct stat info;
	while (disks && disk_next(&disks, &disk, err) > 0) {
		if (stat(disk.path, &info) < 0)
			return error_set(err, -EINVAL, "disks: cannot use %s: %s", disk.path,
				strerror(errno));
		if (!S_ISREG(info.st_mode) && !S_ISBLK(info.st_mode))
			return error_set(err, -EINVAL,
				"disks: %s is neither a file nor a block device", disk.path);
	}
	return 0;
}

/* What rumprun reads is JSON in a value of xenstore's, which can be no longer. */
static int check_rumprun(const char *path, struct error *err)
{
	struct stat info;
	json_error_t where;
	int rc = path ? definition_check_file("rumprun_config", path, &info, err) : 0;
	if (rc < 0 || !path)
		return rc;
	if (info.st_size > RUMPRUN_CONFIG_MAX)
		return error_set(err, -EINVAL,
			"rumprun_config: %s is longer than the %d bytes that xenstore holds", path,
			RUMPRUN_CONFIG_MAX);
	json_t *json = json_load_file(path, 0, &where);
	if (!json)
		return error_set(err, -EINVAL, "rumprun_config: %s, line %d: %s", path, where.line,
			where.text);
	json_decref(json);
	return 0;
}

int definition_check_devices(const struct store_service *def, struct error *err)
{
	int rc = check_scripts(def->nics, err);
	if (rc >= 0)
		rc = check_disks(def->disks, err);
	return rc < 0 ? rc : check_rumprun(def->rumprun_config, err);
}

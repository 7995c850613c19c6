/* SPDX-License-Identifier: ISC */
#include "daemon/keys.h"

#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/cleanup.h"

CLEANUP_DEFINE(release_key, struct dns_key *, dns_key_release)

struct folder {
	char path[PATH_MAX - 300]; /* with room for a name of a file in it */
	const char *zone;
};

static int open_folder(
	const char *state_dir, const char *zone, struct folder *folder, struct error *err)
{
	folder->zone = zone;
	if ((size_t)snprintf(folder->path, sizeof(folder->path), "%s/keys", state_dir) >=
		sizeof(folder->path))
		return error_set(err, -ENAMETOOLONG, "state_dir is too long for keys");
	return 0;
}

static void key_path(const struct folder *folder, uint16_t tag, char path[PATH_MAX])
{
	snprintf(path, PATH_MAX, "%s/%s.%u.pem", folder->path, folder->zone, tag);
}

static void active_path(const struct folder *folder, const char *suffix, char path[PATH_MAX])
{
	snprintf(path, PATH_MAX, "%s/%s.active%s", folder->path, folder->zone, suffix);
}

/* The tag in "ZONE.TAG.pem"; false for any other name. */
static bool read_tag(const char *name, const char *zone, uint16_t *tag)
{
	size_t length = strlen(zone);
	unsigned number;
	int end = 0;
	if (strncmp(name, zone, length) != 0 ||
		sscanf(name + length, ".%5u.pem%n", &number, &end) != 1 || end == 0 ||
		name[length + (size_t)end] != '\0' || number > UINT16_MAX)
		return false;
	*tag = (uint16_t)number;
	return true;
}

/* The tag of the key that signs, and since when; false where there is none. */
static bool read_active(const struct folder *folder, uint16_t *tag, uint64_t *since)
{
	char path[PATH_MAX], target[400];
	struct stat status;
	active_path(folder, "", path);
	ssize_t length = readlink(path, target, sizeof(target) - 1);
	if (length < 0 || lstat(path, &status) < 0)
		return false;
	target[length] = '\0';
	*since = (uint64_t)status.st_mtime;
	return read_tag(target, folder->zone, tag);
}

static int load(
	const struct folder *folder, const char *name, struct key_set *out, struct error *err)
{
	char path[PATH_MAX];
	if (out->count == KEYS_MAX)
		return error_set(err, -ENOSPC, "%s: zone '%s' has more than %d keys", folder->path,
			folder->zone, KEYS_MAX);
	snprintf(path, sizeof(path), "%s/%.255s", folder->path, name);
	int rc = dns_key_load(path, &out->key[out->count], err);
	if (rc >= 0)
		out->count++;
	return rc;
}

static int load_all(const struct folder *folder, struct key_set *out, struct error *err)
{
	CLEANUP(closedir) DIR *dir = opendir(folder->path);
	if (!dir && errno == ENOENT)
		return 0;
	if (!dir)
		return error_set(
			err, -errno, "cannot read '%s': %s", folder->path, strerror(errno));
	int rc = 0;
	uint16_t tag;
	for (const struct dirent *entry; rc >= 0 && (entry = readdir(dir));)
		if (read_tag(entry->d_name, folder->zone, &tag))
			rc = load(folder, entry->d_name, out, err);
	return rc;
}

static struct dns_key *find(const struct key_set *set, uint16_t tag)
{
	for (size_t i = 0; i < set->count; i++)
		if (dns_key_info(set->key[i]).tag == tag)
			return set->key[i];
	return NULL;
}

static int read_set(const struct folder *folder, struct key_set *out, struct error *err)
{
	uint16_t tag;
	uint64_t since;
	*out = (struct key_set){.count = 0};
	int rc = load_all(folder, out, err);
	struct dns_key *active = NULL;
	if (rc >= 0 && out->count > 0 && read_active(folder, &tag, &since))
		active = find(out, tag);
	if (active)
		dns_key_set_active(active, true, since);
	else if (rc >= 0 && out->count > 0)
		rc = error_set(err, -EINVAL,
			"zone '%s' has keys in '%s', but %s.active does not name one of them: ln "
			"-s "
			"%s.TAG.pem there, or put the keys away",
			folder->zone, folder->path, folder->zone, folder->zone);
	if (rc < 0)
		keys_release(out);
	return rc < 0 ? rc : 0;
}

int keys_read(const char *state_dir, const char *zone, struct key_set *out, struct error *err)
{
	struct folder folder;
	int rc = open_folder(state_dir, zone, &folder, err);
	return rc < 0 ? rc : read_set(&folder, out, err);
}

void keys_release(struct key_set *set)
{
	for (size_t i = 0; i < set->count; i++)
		dns_key_release(set->key[i]);
	set->count = 0;
}

/* --- changes --- */

/* One link takes the place of another in one step. */
static int write_active(const struct folder *folder, uint16_t tag, struct error *err)
{
	char path[PATH_MAX], aside[PATH_MAX], target[300];
	active_path(folder, "", path);
	active_path(folder, ".new", aside);
	snprintf(target, sizeof(target), "%s.%u.pem", folder->zone, tag);
	unlink(aside);
	if (symlink(target, aside) < 0 || rename(aside, path) < 0)
		return error_set(err, -errno, "cannot write '%s': %s", path, strerror(errno));
	return 0;
}

/* Another tag than the other keys have: signatures tell their keys by it. */
static int make(const struct key_set *set, struct dns_key **out, struct error *err)
{
	int rc;
	do {
		dns_key_release(*out);
		*out = NULL;
		rc = dns_key_create(out, err);
	} while (rc >= 0 && find(set, dns_key_info(*out).tag));
	return rc;
}

static int add(const struct folder *folder, const struct key_set *set, struct error *err)
{
	char path[PATH_MAX];
	CLEANUP(release_key) struct dns_key *key = NULL;
	if (set->count == KEYS_MAX)
		return error_set(err, -ENOSPC, "zone '%s' has %d keys already: remove one first",
			folder->zone, KEYS_MAX);
	if (mkdir(folder->path, 0700) < 0 && errno != EEXIST)
		return error_set(
			err, -errno, "cannot make '%s': %s", folder->path, strerror(errno));
	int rc = make(set, &key, err);
	if (rc < 0)
		return rc;
	key_path(folder, dns_key_info(key).tag, path);
	/* The link first: a key that no link names would keep the zone from being served. */
	if (set->count == 0)
		rc = write_active(folder, dns_key_info(key).tag, err);
	return rc < 0 ? rc : dns_key_save(key, path, err);
}

int keys_add(const char *state_dir, const char *zone, struct error *err)
{
	struct folder folder;
	struct key_set set;
	int rc = open_folder(state_dir, zone, &folder, err);
	if (rc >= 0)
		rc = read_set(&folder, &set, err);
	if (rc < 0)
		return rc;
	rc = add(&folder, &set, err);
	keys_release(&set);
	return rc;
}

static int no_such_key(const char *zone, uint16_t tag, struct error *err)
{
	return error_set(err, -ENOENT, "zone '%s' has no key with the tag %u", zone, tag);
}

int keys_activate(const char *state_dir, const char *zone, uint16_t tag, struct error *err)
{
	struct folder folder;
	struct key_set set;
	int rc = open_folder(state_dir, zone, &folder, err);
	if (rc >= 0)
		rc = read_set(&folder, &set, err);
	if (rc < 0)
		return rc;
	const struct dns_key *key = find(&set, tag);
	if (!key)
		rc = no_such_key(zone, tag, err);
	else if (!dns_key_info(key).active)
		rc = write_active(&folder, tag, err);
	keys_release(&set);
	return rc;
}

static int remove_files(const struct folder *folder, uint16_t tag, bool active, struct error *err)
{
	char path[PATH_MAX];
	key_path(folder, tag, path);
	if (unlink(path) < 0)
		return error_set(err, -errno, "cannot remove '%s': %s", path, strerror(errno));
	active_path(folder, "", path);
	if (active)
		unlink(path);
	return 0;
}

int keys_remove(
	const char *state_dir, const char *zone, uint16_t tag, bool unsign, struct error *err)
{
	struct folder folder;
	struct key_set set;
	int rc = open_folder(state_dir, zone, &folder, err);
	if (rc >= 0)
		rc = read_set(&folder, &set, err);
	if (rc < 0)
		return rc;
	const struct dns_key *key = find(&set, tag);
	bool active = key && dns_key_info(key).active;
	if (!key)
		rc = no_such_key(zone, tag, err);
	else if (active && set.count > 1)
		rc = error_set(err, -EBUSY,
			"key %u signs the zone '%s': activate another one first", tag, zone);
	else if (active && !unsign)
		rc = error_set(err, -EBUSY,
			"key %u is the last one of zone '%s', which is not signed without it: take "
			"its DS out of the parent zone, wait for the DS's TTL, and say --unsign",
			tag, zone);
	else
		rc = remove_files(&folder, tag, active, err);
	keys_release(&set);
	return rc;
}

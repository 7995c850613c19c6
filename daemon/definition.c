/* SPDX-License-Identifier: ISC */
#include "daemon/definition.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/devices.h"
#include "base/units.h"
#include "daemon/daemon.h"
#include "daemon/names.h"
#include "daemon/needs.h"

#define MEMORY_MIN (1ull << 20)
#define MEMORY_MAX (1ull << 42)
#define VCPUS_MAX  64

/* --- from JSON --- */

struct field {
	const char *key;
	int (*read)(void *to, size_t size, const json_t *value, struct error *err);
	size_t offset, size;
};

static int read_word(void *to, size_t size, const json_t *value, struct error *err)
{
	const char *text = json_string_value(value);
	if (!text || !*text || strlen(text) >= size)
		return error_set(err, -EINVAL, "write a word of at most %zu letters", size - 1);
	strcpy(to, text);
	return 0;
}

static int read_text(void *to, size_t size, const json_t *value, struct error *err)
{
	(void)size;
	const char *text = json_string_value(value);
	if (!text || strlen(text) != json_string_length(value))
		return error_set(err, -EINVAL, "write a string");
	char *copy = strdup(text);
	if (!copy)
		return error_set(err, -ENOMEM, "out of memory");
	free(*(char **)to);
	*(char **)to = copy;
	return 0;
}

static int read_line(void *to, size_t size, const json_t *value, struct error *err)
{
	const char *text = json_string_value(value);
	for (const char *at = text; at && *at; at++)
		if ((unsigned char)*at < ' ' || *at == 0x7f)
			return error_set(err, -EINVAL, "write one line of printable text");
	if (text && strlen(text) > 2048)
		return error_set(err, -EINVAL, "write at most 2048 letters");
	return read_text(to, size, value, err);
}

static int read_path(void *to, size_t size, const json_t *value, struct error *err)
{
	const char *text = json_string_value(value);
	if (!text || text[0] != '/')
		return error_set(err, -EINVAL, "write an absolute path");
	return read_line(to, size, value, err);
}

static int read_image(void *to, size_t size, const json_t *value, struct error *err)
{
	const char *text = json_string_value(value);
	if (!text || !*text || (strchr(text, '/') && text[0] != '/') || text[0] == '.')
		return error_set(err, -EINVAL,
			"write an absolute path, or the bare name of an image of ours such as "
			"website");
	return read_line(to, size, value, err);
}

/* Words that `check` understands; none of them is as good as no such key. */
static int read_words(char **to, const json_t *value,
	int (*check)(const char *text, struct error *err), struct error *err)
{
	const char *text = json_string_value(value);
	if (!text)
		return error_set(err, -EINVAL, "write a string of words between blanks");
	int rc = check(text, err);
	if (rc < 0)
		return rc;
	free(*to);
	*to = NULL;
	return text[strspn(text, " ")] ? read_line(to, 0, value, err) : 0;
}

static int read_nics(void *to, size_t size, const json_t *value, struct error *err)
{
	(void)size;
	return read_words(to, value, nics_check, err);
}

static int read_disks(void *to, size_t size, const json_t *value, struct error *err)
{
	(void)size;
	return read_words(to, value, disks_check, err);
}

static int read_names(void *to, size_t size, const json_t *value, struct error *err)
{
	(void)size;
	char *names;
	int rc = names_parse(value, &names, err);
	if (rc < 0)
		return rc;
	free(*(char **)to);
	*(char **)to = names;
	return 0;
}

static int read_uuid(void *to, size_t size, const json_t *value, struct error *err)
{
	const char *text = json_string_value(value);
	if (!text || !uuid_is_one(text))
		return error_set(
			err, -EINVAL, "write a UUID such as 6e696eb7-09f4-484c-981b-8d34efa0304d");
	return read_line(to, size, value, err);
}

static int read_domain_name(void *to, size_t size, const json_t *value, struct error *err)
{
	static const char allowed[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
				      "0123456789-_.+";
	const char *text = json_string_value(value);
	if (!text || !*text || strlen(text) > 63 || strspn(text, allowed) != strlen(text) ||
		strspn(text, "0123456789") == strlen(text))
		return error_set(err, -EINVAL,
			"write at most 63 letters, digits and - _ . +, and not only digits");
	return read_line(to, size, value, err);
}

static int read_memory(void *to, size_t size, const json_t *value, struct error *err)
{
	(void)size;
	uint64_t bytes;
	if (json_is_integer(value) && json_integer_value(value) > 0)
		bytes = (uint64_t)json_integer_value(value);
	else if (!json_is_string(value))
		return error_set(err, -EINVAL, "write a size such as \"32MiB\", or bytes");
	else if (size_parse(json_string_value(value), &bytes, err) < 0)
		return -EINVAL;
	if (bytes < MEMORY_MIN || bytes > MEMORY_MAX)
		return error_set(err, -EINVAL, "write a size from 1MiB to 4TiB");
	*(uint64_t *)to = bytes;
	return 0;
}

static int read_vcpus(void *to, size_t size, const json_t *value, struct error *err)
{
	(void)size;
	json_int_t count = json_integer_value(value);
	if (!json_is_integer(value) || count < 1 || count > VCPUS_MAX)
		return error_set(err, -EINVAL, "write a number from 1 to %d", VCPUS_MAX);
	*(uint32_t *)to = (uint32_t)count;
	return 0;
}

#define FIELD(name, read)                                                                          \
	{                                                                                          \
#name, read, offsetof(struct store_service, name),                                 \
			sizeof(((struct store_service *)0)->name)                                  \
	}

static const struct field fields[] = {
	FIELD(backend, read_word),
	FIELD(policy, read_word),
	FIELD(image, read_image),
	FIELD(initrd, read_path),
	FIELD(cmdline, read_line),
	FIELD(kernel_line, read_line),
	FIELD(domain_xml, read_text),
	FIELD(memory, read_memory),
	FIELD(vcpus, read_vcpus),
	FIELD(ipv4, definition_read_ipv4),
	FIELD(ipv6, definition_read_ipv6),
	FIELD(names, read_names),
	FIELD(domain_name, read_domain_name),
	FIELD(uuid, read_uuid),
	FIELD(nics, read_nics),
	FIELD(disks, read_disks),
	FIELD(rumprun_config, read_path),
};

static int parse_field(
	const char *key, const json_t *value, struct store_service *def, struct error *err)
{
	for (size_t i = 0; i < sizeof(fields) / sizeof(fields[0]); i++) {
		if (strcmp(fields[i].key, key) != 0)
			continue;
		int rc = fields[i].read((char *)def + fields[i].offset, fields[i].size, value, err);
		return rc < 0 ? error_prefix(err, rc, "%s", key) : 0;
	}
	char known[512] = "addresses";
	for (size_t i = 0; i < sizeof(fields) / sizeof(fields[0]); i++) {
		strcat(known, ", ");
		strcat(known, fields[i].key);
	}
	return error_set(err, -EINVAL, "'%.40s' is no key of a service: write %s", key, known);
}

int definition_change(const json_t *json, struct store_service *def, struct error *err)
{
	const char *key;
	json_t *value;
	json_object_foreach((json_t *)(uintptr_t)json, key, value)
	{
		int rc = strcmp(key, "addresses") == 0 ? 0 : parse_field(key, value, def, err);
		if (rc < 0)
			return rc;
	}
	return definition_read_addresses(json, def, err);
}

int definition_parse(
	struct daemon *daemon, const json_t *json, struct store_service *def, struct error *err)
{
	snprintf(def->backend, sizeof(def->backend), "%s",
		backends_default(&daemon->backends, daemon->config));
	strcpy(def->policy, "default");
	return definition_change(json, def, err);
}

/* --- whether it can be served --- */

static int check_backend(struct daemon *daemon, const struct store_service *def,
	const struct policy *policy, struct error *err)
{
	struct backend *backend = backend_by_name(&daemon->backends, def->backend);
	if (!backend)
		return error_set(err, -EINVAL,
			"backend: '%s' is not configured: add backend \"%s\" {} to summond.conf",
			def->backend, def->backend);
	if (backend->ops->needs_image && !def->image && !def->domain_xml)
		return error_set(err, -EINVAL,
			"image: is missing: give a path, or one of ours: website, hello, echo");
	if (def->image && def->domain_xml && !strstr(def->domain_xml, "{kernel}"))
		return error_set(err, -EINVAL,
			"domain_xml: has no {kernel}, so image would not be used: give one of the "
			"two");
	if (def->kernel_line && def->cmdline)
		return error_set(err, -EINVAL,
			"kernel_line: is the whole command line: write what cmdline has into it");
	if (def->kernel_line && def->domain_xml)
		return error_set(err, -EINVAL,
			"kernel_line: domain_xml has the guest's own: write it there");
	int rc = definition_check_domain(daemon, def, backend->ops, err);
	return rc < 0 ? rc : backend_check_policy(backend, policy, err);
}

int definition_check_memory(uint64_t memory, uint64_t limit, struct error *err)
{
	char needed[SIZE_TEXT], most[SIZE_TEXT];
	if (limit == 0 || memory <= limit)
		return 0;
	return error_set(err, -EINVAL,
		"memory: %s is more than all guests may have together (limits.memory, %s)",
		size_print(memory, needed), size_print(limit, most));
}

int definition_check(struct daemon *daemon, const struct store_service *def, struct error *err)
{
	if (!dns_in_zone(daemon->dns, def->name))
		return error_set(err, -EINVAL,
			"'%s' is in no zone of this server: add a zone to summond.conf, or choose "
			"a name in one",
			def->name);
	int free = dns_check_service_name(daemon->dns, def->name, err);
	if (free >= 0)
		free = names_check(&daemon->registry, def, err);
	if (free < 0)
		return free;
	struct policy_entry *policy = policy_by_name(&daemon->registry, def->policy);
	if (!policy)
		return error_set(err, -EINVAL,
			"policy: there is no '%s': make it with summonctl policy set", def->policy);
	const struct registry *registry = &daemon->registry;
	if (!def->id &&
		HASH_COUNT(registry->by_name) + registry->coming >= daemon->config->limits.services)
		return error_set(err, -ENOSPC, "limits.services (%u) is reached",
			daemon->config->limits.services);
	const struct config *config = daemon->config;
	int rc = definition_check_memory(
		def->memory ? def->memory : config->guest.memory, config->limits.memory, err);
	if (rc >= 0)
		rc = needs_check(&daemon->registry, def->name, &policy->policy, err);
	return rc < 0 ? rc : check_backend(daemon, def, &policy->policy, err);
}

/* --- files --- */

int definition_check_file(const char *key, const char *path, struct stat *info, struct error *err)
{
	CLEANUP(close) int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	if (fd < 0)
		return error_set(
			err, -EINVAL, "%s: cannot read %s: %s", key, path, strerror(errno));
	if (fstat(fd, info) < 0 || !S_ISREG(info->st_mode))
		return error_set(err, -EINVAL, "%s: %s is no file", key, path);
	return 0;
}

static uint64_t mebibytes(const struct stat *info)
{
	return ((uint64_t)info->st_size + (1u << 20) - 1) >> 20;
}

uint64_t definition_size_for(const char *initrd, uint64_t memory)
{
	struct stat info;
	bool is_file = stat(initrd, &info) == 0 && S_ISREG(info.st_mode);
	return is_file ? memory + (mebibytes(&info) << 20) : 0;
}

int definition_check_files(
	struct store_service *def, const char *image, uint64_t memory, struct error *err)
{
	struct stat info;
	int rc = image ? definition_check_file("image", image, &info, err) : 0;
	if (rc >= 0)
		rc = definition_check_devices(def, err);
	if (rc < 0 || !def->initrd)
		return rc;
	rc = definition_check_file("initrd", def->initrd, &info, err);
	if (rc < 0)
		return rc;
	uint64_t mib = mebibytes(&info);
	if (def->memory == 0)
		def->memory = memory + (mib << 20);
	else if (def->memory < (mib << 20))
		return error_set(err, -EINVAL,
			"memory: the initrd alone takes %" PRIu64 "MiB: give more", mib);
	return 0;
}

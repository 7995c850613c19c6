/* SPDX-License-Identifier: ISC */
#include "summonctl/definition.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/address.h"
#include "base/cleanup.h"
#include "base/devices.h"
#include "base/units.h"
#include "summonctl/site.h"

#define XML_MAX (1u << 20)

enum form { TEXT, IMAGE, EXISTING, CONTENT, SIZE, NUMBER, ADDRESS, ADDRESS6, DISKS, NAMES };

static const struct {
	const char *option, *member;
	enum form form;
} members[] = {
	{"image", "image", IMAGE},
	{"initrd", "initrd", EXISTING},
	{"cmdline", "cmdline", TEXT},
	{"memory", "memory", SIZE},
	{"vcpus", "vcpus", NUMBER},
	{"address", "addresses", ADDRESS},
	{"address6", "addresses", ADDRESS6},
	{"backend", "backend", TEXT},
	{"policy", "policy", TEXT},
	{"xml", "domain_xml", CONTENT},
	{"kernel-line", "kernel_line", TEXT},
	{"also-name", "names", NAMES},
	{"domain-name", "domain_name", TEXT},
	{"uuid", "uuid", TEXT},
	{"nics", "nics", TEXT},
	{"disks", "disks", DISKS},
	{"rumprun-config", "rumprun_config", EXISTING},
};
#define MEMBER_COUNT (sizeof(members) / sizeof(members[0]))

const char *definition_member(size_t i)
{
	return i < MEMBER_COUNT ? members[i].member : NULL;
}

static bool is_list(enum form form)
{
	return form == NAMES || form == ADDRESS || form == ADDRESS6;
}

bool definition_takes_list(const char *option)
{
	for (size_t i = 0; i < MEMBER_COUNT; i++)
		if (strcmp(members[i].option, option) == 0)
			return is_list(members[i].form);
	return false;
}

char *path_from(const char *folder, const char *path)
{
	char *joined = NULL;
	if (!folder || path[0] == '/')
		return strdup(path);
	return asprintf(&joined, "%s/%s", folder, path) < 0 ? NULL : joined;
}

static int make_path(const char *folder, const char *value, json_t **out, struct error *err)
{
	CLEANUP(free) char *joined = path_from(folder, value);
	CLEANUP(free) char *path = joined ? realpath(joined, NULL) : NULL;
	if (!path)
		return error_set(err, -errno, "%s: %s", value, strerror(errno));
	*out = json_string(path);
	return 0;
}

static int read_content(const char *folder, const char *value, json_t **out, struct error *err)
{
	CLEANUP(free) char *path = path_from(folder, value);
	CLEANUP(fclose) FILE *file = path ? fopen(path, "re") : NULL;
	if (!file)
		return error_set(err, -errno, "%s: %s", value, strerror(errno));
	CLEANUP(free) char *text = malloc(XML_MAX + 1);
	if (!text)
		return error_set(err, -ENOMEM, "no memory");
	size_t length = fread(text, 1, XML_MAX + 1, file);
	if (ferror(file) || length > XML_MAX)
		return error_set(err, -EINVAL, "%s: cannot be read, or is larger than 1MiB", value);
	*out = json_stringn(text, length);
	return 0;
}

bool address_is_six(const char *text)
{
	return strchr(text, ':') || strcmp(text, "pool6") == 0;
}

/* As the daemon writes it; pool and pool6 are for the daemon to choose. */
static int make_address(enum form form, const char *value, json_t **out, struct error *err)
{
	struct ip_address address;
	char text[IP_ADDRESS_TEXT];
	bool wish = strcmp(value, "pool") == 0 || strcmp(value, "pool6") == 0;
	int rc = wish ? 0 : ip_address_parse(value, &address, err);
	if (rc < 0)
		return rc;
	if (form == ADDRESS6 && !address_is_six(value))
		return error_set(err, -EINVAL, "'%s' is not an IPv6 address", value);
	*out = json_string(wish ? value : ip_address_print(&address, text));
	return 0;
}

/* PATH@DEVICE ...: each path is made absolute. */
static int make_disks(const char *folder, const char *value, json_t **out, struct error *err)
{
	CLEANUP(free) char *words = strdup(value), *disks = strdup("");
	char *rest = NULL;
	if (!words || !disks)
		return error_set(err, -ENOMEM, "no memory");
	for (char *word = strtok_r(words, " ", &rest); word; word = strtok_r(NULL, " ", &rest)) {
		char *at = strrchr(word, '@'), *more = NULL;
		if (!at)
			return error_set(err, -EINVAL, "'%s': write PATH@DEVICE", word);
		*at++ = '\0';
		CLEANUP(free) char *joined = path_from(folder, word);
		CLEANUP(free) char *path = joined ? realpath(joined, NULL) : NULL;
		if (!path)
			return error_set(err, -errno, "%s: %s", word, strerror(errno));
		if (asprintf(&more, "%s%s%s@%s", disks, disks[0] ? " " : "", path, at) < 0)
			return error_set(err, -ENOMEM, "no memory");
		free(disks);
		disks = more;
	}
	*out = json_string(disks);
	return disks_check(disks, err);
}

/* Adds to those that were given before. */
static int add_words(json_t *definition, const char *member, enum form form, const char *value,
	struct error *err)
{
	CLEANUP(free) char *words = strdup(value);
	json_t *list = json_object_get(definition, member);
	char *rest = NULL;
	if (!words)
		return error_set(err, -ENOMEM, "no memory");
	if (!list) {
		list = json_array();
		json_object_set_new(definition, member, list);
	}
	for (char *word = strtok_r(words, " ", &rest); word; word = strtok_r(NULL, " ", &rest)) {
		json_t *made = NULL;
		int rc = form == NAMES ? 0 : make_address(form, word, &made, err);
		if (rc < 0)
			return rc;
		if (form == NAMES)
			made = json_string(word);
		if (!made)
			return error_set(err, -EINVAL, "is not UTF-8");
		json_array_append_new(list, made);
	}
	return 0;
}

static int make_value(
	enum form form, const char *value, const char *folder, json_t **out, struct error *err)
{
	uint64_t number;
	int rc = 0;
	switch (form) {
	case TEXT:
		*out = json_string(value);
		return 0;
	case IMAGE: /* a bare name is an image of the daemon's own */
		if (strchr(value, '/'))
			return make_path(folder, value, out, err);
		*out = json_string(value);
		return 0;
	case EXISTING:
		return make_path(folder, value, out, err);
	case CONTENT:
		return read_content(folder, value, out, err);
	case SIZE:
		rc = size_parse(value, &number, err);
		*out = rc == 0 ? json_string(value) : NULL;
		return rc;
	case NUMBER:
		rc = number_parse(value, 1, 64, &number, err);
		*out = rc == 0 ? json_integer((json_int_t)number) : NULL;
		return rc;
	case DISKS:
		return make_disks(folder, value, out, err);
	case ADDRESS: /* add_words() */
	case ADDRESS6:
	case NAMES:
		break;
	}
	return -EINVAL;
}

int definition_set(json_t *definition, const char *option, const char *value, const char *folder,
	struct error *err)
{
	for (size_t i = 0; i < MEMBER_COUNT; i++) {
		if (strcmp(members[i].option, option) != 0)
			continue;
		if (is_list(members[i].form))
			return add_words(
				definition, members[i].member, members[i].form, value, err);
		json_t *made = NULL;
		int rc = make_value(members[i].form, value, folder, &made, err);
		if (rc < 0) {
			json_decref(made);
			return rc;
		}
		if (!made)
			return error_set(err, -EINVAL, "is not UTF-8");
		json_object_set_new(definition, members[i].member, made);
		return 0;
	}
	return error_set(err, -ENOENT, "unknown option");
}

/* --- sites --- */

FILE *site_open(const char *folder, struct error *err)
{
	FILE *file = tmpfile();
	if (!file) {
		error_set(err, -errno, "cannot make a temporary file: %s", strerror(errno));
		return NULL;
	}
	if (site_pack(folder, file, err) < 0) {
		fclose(file);
		return NULL;
	}
	return file;
}

int site_upload(
	struct context *context, const char *service, FILE *site, long *status, json_t **answer)
{
	struct error err = ERROR_INIT;
	struct client_reply reply = {0};
	CLEANUP(free) char *escaped = client_escape(context->client, service);
	CLEANUP(free) char *path = NULL;
	if (!escaped || asprintf(&path, "/v1/services/%s/site", escaped) < 0)
		return fail("no memory");
	int rc = client_upload(context->client, path, "application/x-tar", site, &reply, &err);
	*status = reply.status;
	*answer = json_incref(reply.body);
	client_reply_finish(&reply);
	if (rc == -ECONNREFUSED)
		return fail_unreachable(context, &err);
	if (rc < 0)
		fail("the site was not taken: %s", err.message);
	return rc == -EPIPE ? EXIT_UNREACHABLE : rc < 0 ? EXIT_FAILED : EXIT_OK;
}

bool site_is_same(const char *folder, const char *path)
{
	CLEANUP(fclose) FILE *ours = site_open(folder, NULL);
	CLEANUP(fclose) FILE *theirs = fopen(path, "re");
	if (!ours || !theirs)
		return false;
	rewind(ours);
	for (;;) {
		char a[8192], b[8192];
		size_t n = fread(a, 1, sizeof(a), ours), m = fread(b, 1, sizeof(b), theirs);
		if (n != m || memcmp(a, b, n) != 0)
			return false;
		if (n < sizeof(a))
			return !ferror(ours) && !ferror(theirs);
	}
}

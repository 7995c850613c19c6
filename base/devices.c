/* SPDX-License-Identifier: ISC */
#include "base/devices.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#define WORD_MAX (DEVICE_PATH_MAX + 32)

/* The next word between blanks: 1, or 0 at the end. */
static int word_next(const char **at, char word[WORD_MAX + 1], struct error *err)
{
	*at += strspn(*at, " ");
	size_t length = strcspn(*at, " ");
	if (length > WORD_MAX)
		return error_set(err, -EINVAL, "'%.40s...' is too long", *at);
	memcpy(word, *at, length);
	word[length] = '\0';
	*at += length;
	return length > 0;
}

/* Interface names as Linux takes them. */
static bool is_interface(const char *name)
{
	size_t length = strlen(name);
	for (const char *c = name; *c; c++)
		if (*c <= ' ' || *c > '~' || *c == '/' || *c == ':')
			return false;
	return length > 0 && length < 16 && strcmp(name, ".") != 0 && strcmp(name, "..") != 0;
}

/* A path from the root, or a bare name. */
static bool is_script(const char *script)
{
	return script[0] == '/' || (script[0] && script[0] != '.' && !strchr(script, '/'));
}

int nic_next(const char **at, struct nic_text *nic, struct error *err)
{
	char word[WORD_MAX + 1];
	int rc = word_next(at, word, err);
	if (rc <= 0)
		return rc;
	char *script = strchr(word, '@');
	if (script)
		*script++ = '\0';
	if (!is_interface(word))
		return error_set(err, -EINVAL,
			"'%.40s' is no bridge: write BRIDGE or BRIDGE@SCRIPT, as in br0", word);
	if (script && (!is_script(script) || strlen(script) > DEVICE_PATH_MAX))
		return error_set(err, -EINVAL,
			"'%.80s' is no script: write a path from the root, or the name of a file "
			"in /etc/xen/scripts",
			script);
	snprintf(nic->bridge, sizeof(nic->bridge), "%s", word);
	snprintf(nic->script, sizeof(nic->script), "%s", script ? script : "");
	return 1;
}

/* xvda, sdb1, hdc */
static bool is_disk_device(const char *device)
{
	size_t kind = strncmp(device, "xvd", 3) == 0                                   ? 3
		      : strncmp(device, "sd", 2) == 0 || strncmp(device, "hd", 2) == 0 ? 2
										       : 0;
	size_t letters = strspn(device + kind, "abcdefghijklmnopqrstuvwxyz");
	size_t digits = strspn(device + kind + letters, "0123456789");
	return kind > 0 && letters >= 1 && letters <= 2 && digits <= 3 &&
	       !device[kind + letters + digits];
}

int disk_next(const char **at, struct disk_text *disk, struct error *err)
{
	char word[WORD_MAX + 1];
	int rc = word_next(at, word, err);
	if (rc <= 0)
		return rc;
	char *device = strrchr(word, '@'), *mode = device ? strchr(device, ':') : NULL;
	if (mode)
		*mode++ = '\0';
	if (device)
		*device++ = '\0';
	if (!device || word[0] != '/' || strlen(word) > DEVICE_PATH_MAX ||
		!is_disk_device(device) || (mode && strcmp(mode, "ro") != 0))
		return error_set(err, -EINVAL,
			"'%.80s%s%.20s' is no disk: write PATH@DEVICE or PATH@DEVICE:ro, as in "
			"/srv/data.img@xvda",
			word, device ? "@" : "", device ? device : "");
	snprintf(disk->path, sizeof(disk->path), "%s", word);
	snprintf(disk->device, sizeof(disk->device), "%s", device);
	disk->read_only = mode != NULL;
	return 1;
}

static int check_count(unsigned count, struct error *err)
{
	return count > DEVICES_MAX ? error_set(err, -EINVAL, "at most %d can be", DEVICES_MAX) : 0;
}

int nics_check(const char *text, struct error *err)
{
	struct nic_text nic;
	unsigned count = 0;
	int rc;
	while ((rc = nic_next(&text, &nic, err)) > 0)
		count++;
	return rc < 0 ? rc : check_count(count, err);
}

int disks_check(const char *text, struct error *err)
{
	struct disk_text disk;
	unsigned count = 0;
	int rc;
	while ((rc = disk_next(&text, &disk, err)) > 0)
		count++;
	return rc < 0 ? rc : check_count(count, err);
}

bool uuid_is_one(const char *text)
{
	static const char form[] = "xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx";
	for (size_t i = 0; i < sizeof(form); i++)
		if (form[i] == 'x' ? !isxdigit((unsigned char)text[i]) : text[i] != form[i])
			return false;
	return true;
}

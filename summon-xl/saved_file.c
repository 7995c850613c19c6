/* SPDX-License-Identifier: ISC */
#include "summon-xl/saved_file.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"

struct head {
	char magic[16];
	uint64_t started_at;
	uint64_t config_size;
};
#define MAGIC      "summond xl 1\n"
#define CONFIG_MAX (256 * 1024)

/* ---- names ---- */

void saved_file_name(uint64_t identity, struct guest_id id, char name[SAVED_NAME])
{
	snprintf(name, SAVED_NAME, "%016" PRIx64 "-%" PRIu32 "-%" PRIu32, identity, id.slot,
		id.generation);
}

enum saved_name saved_file_which(const char *name, uint64_t identity, struct guest_id *id)
{
	char ours[SAVED_NAME];
	uint64_t owner;
	if (sscanf(name, "%16" SCNx64 "-%" SCNu32 "-%" SCNu32, &owner, &id->slot,
		    &id->generation) != 3 ||
		owner != identity)
		return SAVED_OTHER;
	/* There are more ways to write a number than ours. */
	saved_file_name(identity, *id, ours);
	size_t length = strlen(ours);
	if (strncmp(name, ours, length) != 0)
		return SAVED_OTHER;
	if (!name[length])
		return SAVED_WHOLE;
	return strcmp(name + length, SAVED_NEW) == 0 ? SAVED_UNFINISHED : SAVED_OTHER;
}

/* ---- what is in it ---- */

static int write_all(int fd, const void *data, size_t size)
{
	for (const char *at = data; size > 0;) {
		ssize_t done = write(fd, at, size);
		if (done < 0 && errno == EINTR)
			continue;
		if (done < 0)
			return -errno;
		at += done;
		size -= (size_t)done;
	}
	return 0;
}

/* -EINVAL where there is less. */
static int read_all(int fd, void *data, size_t size, struct error *err)
{
	for (char *at = data; size > 0;) {
		ssize_t done = read(fd, at, size);
		if (done < 0 && errno == EINTR)
			continue;
		if (done < 0)
			return error_set(err, -errno, "%s", strerror(errno));
		if (done == 0)
			return error_set(err, -EINVAL, "it is cut");
		at += done;
		size -= (size_t)done;
	}
	return 0;
}

int saved_file_write(int fd, uint64_t started_at, const char *config, struct error *err)
{
	const struct head head = {
		.magic = MAGIC, .started_at = started_at, .config_size = strlen(config)};
	if (head.config_size > CONFIG_MAX)
		return error_set(err, -E2BIG, "its configuration is too long");
	int r = write_all(fd, &head, sizeof(head));
	if (r == 0)
		r = write_all(fd, config, head.config_size);
	return r < 0 ? error_set(err, r, "%s", strerror(-r)) : 0;
}

int saved_file_read(int fd, uint64_t *started_at, char **config, struct error *err)
{
	struct head head;
	int r = read_all(fd, &head, sizeof(head), err);
	if (r < 0)
		return r;
	if (strncmp(head.magic, MAGIC, sizeof(head.magic)) != 0)
		return error_set(err, -EINVAL, "it is no guest that was kept");
	if (head.config_size > CONFIG_MAX)
		return error_set(err, -EINVAL, "a configuration of %" PRIu64 " bytes: at most %d",
			head.config_size, CONFIG_MAX);
	CLEANUP(free) char *text = calloc(1, head.config_size + 1);
	if (!text)
		return error_set(err, -ENOMEM, "out of memory");
	r = read_all(fd, text, head.config_size, err);
	if (r < 0)
		return r;
	if (strlen(text) != head.config_size)
		return error_set(err, -EINVAL, "its configuration is no text");
	*started_at = head.started_at;
	*config = STEAL_POINTER(text);
	return 0;
}

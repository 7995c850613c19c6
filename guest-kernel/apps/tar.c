/* SPDX-License-Identifier: ISC */
#include "guest-kernel/apps/tar.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>

#define BLOCK 512

struct header {
	char name[100], mode[8], uid[8], gid[8], size[12], mtime[12], checksum[8];
	char type, link[100], magic[6], version[2], user[32], group[32], major[8], minor[8];
	char prefix[155], padding[12];
};

_Static_assert(sizeof(struct header) == BLOCK, "a header is one block");

/* Octal digits, with blanks in front, up to a blank, NUL or the end of the field. */
static bool read_octal(const char *field, size_t size, uint64_t *out)
{
	size_t i = 0;
	uint64_t value = 0;
	while (i < size && field[i] == ' ')
		i++;
	size_t first = i;
	for (; i < size && field[i] >= '0' && field[i] <= '7'; i++)
		value = value * 8 + (uint64_t)(field[i] - '0');
	*out = value;
	return i > first && (i == size || field[i] == ' ' || field[i] == '\0');
}

/* The sum of all bytes, those of the checksum itself taken for blanks. */
static bool checksum_is_right(const struct header *header)
{
	uint64_t wanted;
	uint32_t sum = 0;
	const uint8_t *bytes = (const uint8_t *)header;
	const size_t from = offsetof(struct header, checksum);
	for (size_t i = 0; i < BLOCK; i++)
		sum += i >= from && i < from + sizeof(header->checksum) ? ' ' : bytes[i];
	return read_octal(header->checksum, sizeof(header->checksum), &wanted) && wanted == sum;
}

/* PREFIX/NAME; neither needs to end in NUL. */
static void join_name(const struct header *header, char out[TAR_NAME_MAX])
{
	char joined[TAR_NAME_MAX];
	size_t prefix = 0;
	/* GNU tar's own format, with blanks behind the magic, keeps other things there. */
	if (memcmp(header->magic, "ustar\0", 6) == 0)
		prefix = strnlen(header->prefix, sizeof(header->prefix));
	size_t name = strnlen(header->name, sizeof(header->name));
	memcpy(joined, header->prefix, prefix);
	if (prefix)
		joined[prefix++] = '/';
	memcpy(joined + prefix, header->name, name);
	joined[prefix + name] = '\0';
	const char *start = joined;
	while (*start == '/' || (start[0] == '.' && start[1] == '/'))
		start += *start == '/' ? 1 : 2;
	memcpy(out, start, strlen(start) + 1);
}

static bool is_end(const struct header *header)
{
	static const struct header zeros;
	return memcmp(header, &zeros, sizeof(zeros)) == 0;
}

/* Header and data of one entry of whatever type; 1, 0 or -EINVAL as tar_next(). */
static int read_entry(struct tar *tar, struct tar_entry *entry, char *type, const char **why)
{
	struct header header;
	uint64_t size, mtime;
	if (tar->size - tar->at < BLOCK)
		return 0;
	memcpy(&header, tar->data + tar->at, BLOCK);
	if (is_end(&header))
		return 0;
	*why = "not a tar archive, or a damaged one";
	if (memcmp(header.magic, "ustar", 5) != 0 || !checksum_is_right(&header) ||
		!read_octal(header.size, sizeof(header.size), &size) ||
		!read_octal(header.mtime, sizeof(header.mtime), &mtime))
		return -EINVAL;
	tar->at += BLOCK;
	*why = "the archive is cut short";
	if (size > tar->size - tar->at)
		return -EINVAL;
	join_name(&header, entry->name);
	entry->data = tar->data + tar->at;
	entry->size = size;
	entry->mtime = mtime;
	*type = header.type;
	/* The last block may lack its padding. */
	size_t padded = (size + BLOCK - 1) / BLOCK * BLOCK;
	tar->at += padded < tar->size - tar->at ? padded : tar->size - tar->at;
	return 1;
}

int tar_next(struct tar *tar, struct tar_entry *entry, const char **why)
{
	char type;
	int result;
	while ((result = read_entry(tar, entry, &type, why)) > 0) {
		if (type == '0' || type == '\0')
			return 1;
		/* Extensions that rename the entry behind them; read past, they would serve a
		 * file under a wrong name. */
		if (type == 'x' || type == 'L') {
			*why = "a name is too long for ustar, or the archive is of another "
			       "format: make it with tar --format=ustar";
			return -EINVAL;
		}
	}
	return result;
}

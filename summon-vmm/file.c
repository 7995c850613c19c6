/* SPDX-License-Identifier: ISC */
#include "summon-vmm/file.h"

#include <errno.h>
#include <sys/syscall.h>
#include <unistd.h>

int file_read(int file, void *out, uint64_t size, uint64_t offset)
{
	uint8_t *bytes = out;
	for (uint64_t done = 0; done < size;) {
		ssize_t got = pread(file, bytes + done, size - done, (off_t)(offset + done));
		if (got < 0 && errno == EINTR)
			continue;
		if (got <= 0)
			return got < 0 ? -errno : -EIO;
		done += (uint64_t)got;
	}
	return 0;
}

/* Not musl's pwrite(), which is another call since version 1.2.5: pwritev2(), not to append to files that
 * were opened for that. The sandbox knows this one. */
static ssize_t write_at(int file, const void *bytes, uint64_t size, uint64_t offset)
{
	return syscall(SYS_pwrite64, file, bytes, size, offset);
}

int file_write(int file, const void *bytes, uint64_t size, uint64_t offset)
{
	const uint8_t *from = bytes;
	for (uint64_t done = 0; done < size;) {
		ssize_t put = write_at(file, from + done, size - done, offset + done);
		if (put < 0 && errno == EINTR)
			continue;
		if (put <= 0)
			return put < 0 ? -errno : -EIO;
		done += (uint64_t)put;
	}
	return 0;
}

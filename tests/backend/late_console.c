/* SPDX-License-Identifier: ISC */
/* Loaded into QEMU: it connects to its guest's console later than the guest speaks, as it does on a
 * machine that has no time for it. */
#include <dlfcn.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#define LATE_US 400000

static int (*real_connect)(int fd, const struct sockaddr *address, socklen_t size);

__attribute__((constructor)) static void find(void)
{
	*(void **)&real_connect = dlsym(RTLD_NEXT, "connect");
}

__attribute__((visibility("default"))) int connect(
	int fd, const struct sockaddr *address, socklen_t size)
{
	const struct sockaddr_un *local = (const struct sockaddr_un *)address;
	if (address->sa_family == AF_UNIX && strstr(local->sun_path, "/console/"))
		usleep(LATE_US);
	return real_connect(fd, address, size);
}

/* SPDX-License-Identifier: ISC */
#include "launcher/libvirt/embed.h"

#include <errno.h>
#include <fcntl.h>
#include <locale.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"

/* QEMU runs as we do, in our own cgroup and namespaces: each of these costs 10 to 30 ms a start,
 * and isolation is the daemon's and its unit's business. virtlogd is not wanted either. */
static const char qemu_conf[] = "user = \"root\"\n"
				"group = \"root\"\n"
				"dynamic_ownership = 0\n"
				"remember_owner = 0\n"
				"security_driver = \"none\"\n"
				"cgroup_controllers = []\n"
				"namespaces = []\n"
				"stdio_handler = \"file\"\n"
				"seccomp_sandbox = 0\n"
				"max_core = 0\n";

/*
 * libvirt starts QEMU by forking twice; between the forks it closes all descriptors and opens a few
 * of its own, from 3 on. libuv, in each forked child, closes the two descriptors of its signal pipe
 * by number and makes that pipe anew (pthread_atfork). Where these numbers are low, the second fork
 * closes libvirt's, and the start fails. So the low numbers are held from the beginning, before
 * libuv's first loop: its pipe then stays above them, in the children too.
 */
#define LOW_DESCRIPTORS 16

__attribute__((constructor)) static void low_descriptors_hold(void)
{
	int fd;
	do
		fd = open("/dev/null", O_RDWR | O_CLOEXEC);
	while (fd >= 0 && fd < LOW_DESCRIPTORS);
	if (fd >= 0)
		close(fd);
}

/*
 * What libvirt does in a child between its forks is more than a program of several threads may do there:
 * with each error it has GLib translate the text, which where the locale's letters are not UTF-8 takes
 * glibc's lock for iconv, and another thread may have held that when it forked. Such a child waits for
 * ever, with the guest's tap open. (Seen where the daemon was killed just then, which is the error.)
 */
__attribute__((constructor)) static void locale_set(void)
{
	setlocale(LC_CTYPE, "C.UTF-8");
}

static int folder_make(const char *path, struct error *err)
{
	if (mkdir(path, 0700) < 0 && errno != EEXIST)
		return error_set(err, -errno, "%s: %s", path, strerror(errno));
	return 0;
}

int embed_configure(const char *root, struct error *err)
{
	char path[512];
	int r = folder_make(root, err);
	snprintf(path, sizeof(path), "%s/etc", root);
	if (r == 0)
		r = folder_make(path, err);
	if (r < 0)
		return r;
	snprintf(path, sizeof(path), "%s/etc/qemu.conf", root);
	FILE *file = fopen(path, "we");
	if (!file)
		return error_set(err, -errno, "%s: %s", path, strerror(errno));
	int failed = fputs(qemu_conf, file) < 0;
	if (fclose(file) != 0 || failed)
		return error_set(err, -EIO, "%s: cannot be written", path);
	return 0;
}

int embed_hide_kvm(const char *root, struct error *err)
{
	char path[512];
	snprintf(path, sizeof(path), "%s/no-kvm", root);
	CLEANUP(close) int fd = open(path, O_CREAT | O_CLOEXEC | O_RDONLY, 0400);
	if (fd < 0)
		return error_set(err, -errno, "%s: %s", path, strerror(errno));
	if (unshare(CLONE_NEWNS) < 0 || mount(NULL, "/", NULL, MS_REC | MS_SLAVE, NULL) < 0 ||
		mount(path, "/dev/kvm", NULL, MS_BIND, NULL) < 0 ||
		mount(NULL, "/dev/kvm", NULL, MS_REMOUNT | MS_BIND | MS_RDONLY, NULL) < 0)
		return error_set(err, -errno, "hiding /dev/kvm: %s", strerror(errno));
	return 0;
}

/* SPDX-License-Identifier: ISC */
#include "tests/backend/libvirtd.h"

#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "tests/backend/harness.h"

#define PROGRAM "/usr/sbin/libvirtd"

static const char *path_in(const char *name)
{
	static char path[128];
	snprintf(path, sizeof(path), "%s/daemon/%s", places.state_dir, name);
	return path;
}

bool libvirtd_is_installed(void)
{
	return access(PROGRAM, X_OK) == 0;
}

void libvirtd_uri(char *uri, unsigned long size)
{
	snprintf(uri, size, "qemu+unix:///system?socket=%s", path_in("sock/libvirt-sock"));
}

static void file_write(const char *name, const char *text)
{
	CLEANUP(fclose) FILE *file = fopen(path_in(name), "we");
	if (file)
		fputs(text, file);
}

static void folders_make(void)
{
	static const char *const names[] = {"", "etc", "run", "lib", "cache", "log", "sock"};
	char conf[256];
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		mkdir(path_in(names[i]), 0755);
	file_write("no-kvm", "");
	file_write("etc/qemu.conf",
		"user = \"root\"\ngroup = \"root\"\ndynamic_ownership = 0\nremember_owner = 0\n"
		"security_driver = \"none\"\ncgroup_controllers = []\nnamespaces = []\n"
		"stdio_handler = \"file\"\nseccomp_sandbox = 0\nmax_core = 0\n");
	snprintf(conf, sizeof(conf), "unix_sock_dir = \"%s\"\nauth_unix_rw = \"none\"\n",
		path_in("sock"));
	file_write("etc/libvirtd.conf", conf);
}

/* Our folders where libvirtd looks for its own; tmpfs around them, so that nothing need be there
 * and nothing is left there. */
static bool folders_mount(void)
{
	static const char *const places_of[][3] = {{"etc", "/etc/libvirt", NULL},
		{"run", "/run/libvirt", "/run"}, {"lib", "/var/lib/libvirt", "/var/lib"},
		{"cache", "/var/cache/libvirt", "/var/cache"},
		{"log", "/var/log/libvirt", "/var/log"}};
	if (unshare(CLONE_NEWNS) < 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0)
		return false;
	for (size_t i = 0; i < sizeof(places_of) / sizeof(places_of[0]); i++) {
		const char *const *place = places_of[i];
		if (place[2] && mount("tmpfs", place[2], "tmpfs", 0, NULL) < 0)
			return false;
		mkdir(place[1], 0755);
		if (mount(path_in(place[0]), place[1], NULL, MS_BIND, NULL) < 0)
			return false;
	}
	/* A KVM that is there and does not work would keep it busy for long. */
	return access("/dev/kvm", F_OK) < 0 ||
	       (mount(path_in("no-kvm"), "/dev/kvm", NULL, MS_BIND, NULL) == 0 &&
		       mount(NULL, "/dev/kvm", NULL, MS_REMOUNT | MS_BIND | MS_RDONLY, NULL) == 0);
}

static void libvirtd_become(void)
{
	char conf[128], pid[128];
	snprintf(conf, sizeof(conf), "%s", path_in("etc/libvirtd.conf"));
	snprintf(pid, sizeof(pid), "%s", path_in("pid"));
	int out = open(path_in("output"), O_WRONLY | O_CREAT | O_APPEND, 0600);
	if (out < 0 || !folders_mount())
		_exit(1);
	dup2(out, STDOUT_FILENO);
	dup2(out, STDERR_FILENO);
	setsid();
	execl(PROGRAM, "libvirtd", "-f", conf, "-p", pid, (char *)NULL);
	_exit(1);
}

/* Its dead QEMUs come to the nearest subreaper, and it waits until they are reaped: an init that is
 * slow at that would make each destroy take 2 s. */
static void reaper_become(void)
{
	prctl(PR_SET_CHILD_SUBREAPER, 1);
	if (fork() == 0)
		libvirtd_become();
	/* The suite's pipes: they must end before us. */
	close(STDOUT_FILENO);
	close_range(3, ~0u, 0);
	while (wait(NULL) > 0)
		;
	_exit(0);
}

static bool answers(void)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	const char *path = path_in("sock/libvirt-sock");
	CLEANUP(close) int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (strlen(path) >= sizeof(address.sun_path))
		return false;
	strcpy(address.sun_path, path);
	return fd >= 0 && connect(fd, (struct sockaddr *)&address, sizeof(address)) == 0;
}

bool libvirtd_start(void)
{
	folders_make();
	pid_t child = fork();
	if (child == 0)
		reaper_become();
	for (int i = 0; child > 0 && i < 3000 && !answers(); i++) {
		if (waitpid(child, NULL, WNOHANG) == child)
			return false;
		usleep(10000);
	}
	return child > 0 && answers();
}

void libvirtd_kill(void)
{
	int pid = 0;
	CLEANUP(fclose) FILE *file = fopen(path_in("pid"), "re");
	if (file && fscanf(file, "%d", &pid) == 1 && pid > 1)
		kill(pid, SIGKILL);
}

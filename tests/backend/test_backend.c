/* SPDX-License-Identifier: ISC */
/* test_backend SUBJECT GUEST-IMAGE [CASE]: the suite, or one case of it, against one backend with
 * its settings.
 * (With two more arguments, one life of lives.c.) */
#include "tests/backend/cases.h"
#include "tests/backend/libvirtd.h"
#include "tests/backend/tap.h"

#include <dirent.h>
#include <ftw.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/cleanup.h"

#ifdef __SANITIZE_ADDRESS__
/* What libvirt's own threads hold when the process ends. */
const char *__lsan_default_suppressions(void);
const char *__lsan_default_suppressions(void)
{
	return "leak:libyajl.so\nleak:libvirt.so\nleak:libvirt_driver_qemu.so\n";
}
#endif

struct places places = {.state_dir = "/tmp/summond-backend-XXXXXX"};

static int remove_one(const char *path, const struct stat *info, int type, struct FTW *where)
{
	(void)info, (void)type, (void)where;
	return remove(path);
}

/* A case that failed may have left a hypervisor's process behind. */
static void kill_left_over(const char *pids)
{
	char folder[128], path[512];
	snprintf(folder, sizeof(folder), "%s/%s", places.state_dir, pids);
	CLEANUP(closedir) DIR *dir = opendir(folder);
	for (struct dirent *entry; dir && (entry = readdir(dir));) {
		int pid = 0;
		if (!strstr(entry->d_name, ".pid"))
			continue;
		snprintf(path, sizeof(path), "%s/%s", folder, entry->d_name);
		CLEANUP(fclose) FILE *file = fopen(path, "re");
		if (strncmp(entry->d_name, "summond-", 8) == 0 && file &&
			fscanf(file, "%d", &pid) == 1 && pid > 1)
			kill(pid, SIGKILL);
	}
}

/* Whoever listens in our folder: monitors of a case that failed. */
static void kill_listeners(void)
{
	CLEANUP(closedir) DIR *dir = opendir(places.state_dir);
	for (struct dirent *entry; dir && (entry = readdir(dir));) {
		struct sockaddr_un address = {.sun_family = AF_UNIX};
		struct ucred peer = {0};
		socklen_t size = sizeof(peer);
		CLEANUP(close) int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
		snprintf(address.sun_path, sizeof(address.sun_path), "%.60s/%.40s",
			places.state_dir, entry->d_name);
		if (connect(fd, (struct sockaddr *)&address, sizeof(address)) == 0 &&
			getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &size) == 0 &&
			peer.pid > 1 && peer.pid != getpid())
			kill(peer.pid, SIGKILL);
	}
}

/* A service of the subject's own goes on, and its folder with it. */
static void begin_afresh(const struct subject *subject)
{
	kill_listeners();
	if (subject->service_kill)
		return;
	nftw(places.state_dir, remove_one, 16, FTW_DEPTH | FTW_PHYS);
	mkdir(places.state_dir, 0700);
}

/* `only`: a case's name, or NULL for all. */
static int suite_run(const struct subject *subject, const char *only)
{
	struct CMUnitTest tests[64];
	size_t count = 0;
	for (size_t i = 0; i < backend_case_count && count < 64; i++) {
		if (only && strcmp(backend_cases[i].name, only) != 0)
			continue;
		tests[count] = backend_cases[i];
		tests[count++].initial_state = (void *)(uintptr_t)subject;
	}
	if (count == 0 || backend_case_count > 64 || !mkdtemp(places.state_dir))
		return 2;
	if (subject->prepare)
		subject->prepare();
	int failed = 0;
	const char *absent = subject->absent ? subject->absent() : NULL;
	if (absent)
		tap_skip(tests, count, absent);
	else if (subject->service_start && !subject->service_start())
		tap_skip(tests, count, "it cannot be started here");
	else
		failed = tap_run(tests, count, begin_afresh);
	if (subject->service_kill)
		subject->service_kill();
	kill_left_over("libvirt/run/qemu");
	kill_left_over(LIBVIRTD_PIDS);
	nftw(places.state_dir, remove_one, 16, FTW_DEPTH | FTW_PHYS);
	return failed;
}

int main(int argc, char **argv)
{
	const struct subject *subject = argc >= 3 ? subject_find(argv[1]) : NULL;
	if (!subject) {
		fprintf(stderr, "usage: test_backend SUBJECT GUEST-IMAGE [CASE]\n");
		return 2;
	}
	places.guest_image = realpath(argv[2], NULL);
	if (argc <= 4)
		return suite_run(subject, argc == 4 ? argv[3] : NULL);
	snprintf(places.state_dir, sizeof(places.state_dir), "%s", argv[4]);
	if (subject->prepare)
		subject->prepare();
	return life_main(subject, argv[3]);
}

/* SPDX-License-Identifier: ISC */
#include "launcher/vmm/vmm.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/cleanup.h"

/* Whether this backend suits as the one of services that name none: asked once, before the loop runs.
 * What probe.c does later, with the loop, is about the mode. */

#define PATIENCE_MS 5000

static const char *setting(const struct launcher_setting *settings, size_t count, const char *key,
	const char *fallback)
{
	for (size_t i = 0; i < count; i++)
		if (strcmp(settings[i].key, key) == 0)
			return settings[i].value;
	return fallback;
}

static int spawn_check(const char *monitor, const char *mode, int output, pid_t *child)
{
	char check[] = "--check", with_mode[32];
	char *words[] = {(char *)(uintptr_t)monitor, check, with_mode, NULL};
	char *const no_environment[] = {NULL};
	posix_spawn_file_actions_t files;
	snprintf(with_mode, sizeof(with_mode), "--mode=%s", mode);
	posix_spawn_file_actions_init(&files);
	posix_spawn_file_actions_adddup2(&files, output, STDOUT_FILENO);
	int failure = posix_spawn(child, monitor, &files, NULL, words, no_environment);
	posix_spawn_file_actions_destroy(&files);
	return -failure;
}

/* Its exit status, or a negative errno. One that does not end in time is ended. */
static int await(pid_t child)
{
	CLEANUP(close) int process = pidfd_open(child, 0);
	struct pollfd ended = {.fd = process, .events = POLLIN};
	int status;
	if (process < 0 || poll(&ended, 1, PATIENCE_MS) != 1)
		kill(child, SIGKILL);
	if (waitpid(child, &status, 0) < 0)
		return -errno;
	return WIFEXITED(status) ? WEXITSTATUS(status) : -ETIMEDOUT;
}

/* A guest that is but a process is kept less well than a machine: that is for who asks for it. */
int vmm_suits(const struct launcher_setting *settings, size_t count, struct error *err)
{
	const char *monitor = setting(settings, count, "monitor", VMM_MONITOR);
	const char *mode = setting(settings, count, "mode", "kvm");
	char line[200] = "";
	int ends[2];
	pid_t child;
	if (strcmp(mode, "process") != 0)
		mode = "kvm";
	if (pipe2(ends, O_CLOEXEC) < 0)
		return error_set(err, -errno, "pipe: %s", strerror(errno));
	CLEANUP(close) int output = ends[0];
	int r = spawn_check(monitor, mode, ends[1], &child);
	close(ends[1]);
	if (r < 0)
		return error_set(err, r, "%s: %s", monitor, strerror(-r));
	r = await(child);
	if (r == 0)
		return 0;
	ssize_t size = read(output, line, sizeof(line) - 1);
	line[size > 0 ? size : 0] = '\0';
	line[strcspn(line, "\n")] = '\0';
	return error_set(err, -ENOTSUP, "%s", line[0] ? line : "summon-vmm --check fails");
}

/* SPDX-License-Identifier: ISC */
#include "launcher/libvirt/reaper.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/cleanup.h"

void reaper_prepare(void)
{
	prctl(PR_SET_CHILD_SUBREAPER, 1);
}

/* proc(5), /proc/pid/stat: pid (comm) state ppid pgrp session ...; comm is cut at 15 letters. */
static bool is_dead_qemu(pid_t pid)
{
	char path[64], line[256], state;
	int session;
	snprintf(path, sizeof(path), "/proc/%d/stat", pid);
	CLEANUP(fclose) FILE *file = fopen(path, "re");
	if (!file || !fgets(line, sizeof(line), file))
		return false;
	const char *name = strchr(line, '('), *rest = strrchr(line, ')');
	return name && rest && strncmp(name + 1, "qemu-", 5) == 0 &&
	       sscanf(rest + 1, " %c %*d %*d %d", &state, &session) == 2 && state == 'Z' &&
	       session != getsid(0);
}

static void children_reap(const char *path)
{
	CLEANUP(fclose) FILE *file = fopen(path, "re");
	int pid;
	while (file && fscanf(file, "%d", &pid) == 1)
		if (is_dead_qemu(pid))
			waitpid(pid, NULL, WNOHANG);
}

void reaper_run(void)
{
	CLEANUP(closedir) DIR *tasks = opendir("/proc/self/task");
	for (struct dirent *entry; tasks && (entry = readdir(tasks));) {
		char path[sizeof(entry->d_name) + 32];
		snprintf(path, sizeof(path), "/proc/self/task/%s/children", entry->d_name);
		if (entry->d_name[0] != '.')
			children_reap(path);
	}
}

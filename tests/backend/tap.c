/* SPDX-License-Identifier: ISC */
#include "tests/backend/tap.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/cleanup.h"

#define REASON "# skipped: "

static void line_pass(const char *line, char reason[256])
{
	unsigned number;
	char name[128];
	if (strncmp(line, REASON, strlen(REASON)) == 0)
		snprintf(reason, 256, "%s", line + strlen(REASON));
	else if (sscanf(line, "not ok %u # SKIP %127s", &number, name) == 2)
		printf("ok %u - %s # SKIP %s", number, name, reason);
	else
		fputs(line, stdout);
	fflush(stdout);
}

int tap_filter(int (*run)(const void *ctx), const void *ctx)
{
	int pipe_fds[2];
	if (pipe(pipe_fds) < 0)
		return 2;
	pid_t child = fork();
	if (child < 0)
		return 2;
	if (child == 0) {
		dup2(pipe_fds[1], STDOUT_FILENO);
		close(pipe_fds[0]);
		close(pipe_fds[1]);
		setvbuf(stdout, NULL, _IOLBF, 0);
		exit(run(ctx));
	}
	close(pipe_fds[1]);
	CLEANUP(fclose) FILE *lines = fdopen(pipe_fds[0], "re");
	CLEANUP(free) char *line = NULL;
	size_t size = 0;
	char reason[256] = "\n";
	while (lines && getline(&line, &size, lines) >= 0)
		line_pass(line, reason);
	int status = 0;
	waitpid(child, &status, 0);
	return WIFEXITED(status) ? WEXITSTATUS(status) : 2;
}

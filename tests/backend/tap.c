/* SPDX-License-Identifier: ISC */
#include "tests/backend/tap.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/cleanup.h"

#define REASON "# skipped: "

/* A line of the one test in the child, as the test `number` of ours. */
static void line_pass(const char *line, size_t number, char reason[256])
{
	unsigned one;
	char word[4], name[128];
	if (strncmp(line, REASON, strlen(REASON)) == 0)
		snprintf(reason, 256, "%s", line + strlen(REASON));
	else if (sscanf(line, "not ok %u # SKIP %127s", &one, name) == 2)
		printf("ok %zu - %s # SKIP %s", number, name, reason);
	else if (sscanf(line, "not ok %u - %127s", &one, name) == 2)
		printf("not ok %zu - %s\n", number, name);
	else if (sscanf(line, "%3[ok] %u - %127s", word, &one, name) == 3)
		printf("ok %zu - %s\n", number, name);
	else if (line[0] == '#' && strncmp(line, "# ok", 4) != 0 &&
		 strncmp(line, "# not ok", 8) != 0)
		fputs(line, stdout);
	fflush(stdout);
}

static pid_t case_fork(const struct CMUnitTest *test, int *output)
{
	int pipe_fds[2];
	if (pipe2(pipe_fds, O_CLOEXEC) < 0)
		return -1;
	fflush(stdout);
	pid_t child = fork();
	*output = pipe_fds[0];
	if (child != 0) {
		close(pipe_fds[1]);
		return child;
	}
	dup2(pipe_fds[1], STDOUT_FILENO);
	setvbuf(stdout, NULL, _IOLBF, 0);
	exit(_cmocka_run_group_tests(test->name, test, 1, NULL, NULL));
}

static int case_run(const struct CMUnitTest *test, size_t number)
{
	int output;
	pid_t child = case_fork(test, &output);
	if (child < 0)
		return 1;
	CLEANUP(fclose) FILE *lines = fdopen(output, "re");
	CLEANUP(free) char *line = NULL;
	size_t size = 0;
	char reason[256] = "\n";
	while (lines && getline(&line, &size, lines) >= 0)
		line_pass(line, number, reason);
	int status = 0;
	waitpid(child, &status, 0);
	if (!WIFEXITED(status))
		printf("not ok %zu - %s\n# died of signal %d\n", number, test->name,
			WTERMSIG(status));
	return !WIFEXITED(status) || WEXITSTATUS(status) != 0;
}

int tap_run(const struct CMUnitTest *tests, size_t count,
	void (*after_failure)(const struct subject *subject))
{
	int failed = 0;
	setenv("CMOCKA_MESSAGE_OUTPUT", "tap", 1);
	printf("1..%zu\n", count);
	for (size_t i = 0; i < count; i++) {
		if (!case_run(&tests[i], i + 1))
			continue;
		failed++;
		after_failure(tests[i].initial_state);
	}
	return failed;
}

void tap_skip(const struct CMUnitTest *tests, size_t count, const char *why)
{
	printf("1..%zu\n", count);
	for (size_t i = 0; i < count; i++)
		printf("ok %zu - %s # SKIP %s\n", i + 1, tests[i].name, why);
}

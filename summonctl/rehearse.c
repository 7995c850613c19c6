/* SPDX-License-Identifier: ISC */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "base/cleanup.h"
#include "base/units.h"
#include "summonctl/command.h"
#include "summonctl/recorded.h"
#include "summonctl/report.h"
#include "summonctl/scene.h"

CLEANUP_DEFINE(json_decref, json_t *, json_decref)

/* --- the program that does it --- */

extern char **environ;

struct run {
	const char *trace, *label, *config; /* config: NULL for the defaults */
};

static const char *program(void)
{
	const char *given = getenv("SUMMONCTL_REHEARSE");
	return given && *given ? given : REHEARSE_PROGRAM;
}

/* With the two pipes as its input and its output. */
static int start(const struct run *run, int input, int output, pid_t *pid)
{
	const char *arguments[] = {"summond-rehearse", "--label", run->label, run->trace,
		run->config ? "--config" : NULL, run->config, NULL};
	posix_spawn_file_actions_t actions;
	posix_spawn_file_actions_init(&actions);
	posix_spawn_file_actions_adddup2(&actions, input, STDIN_FILENO);
	posix_spawn_file_actions_adddup2(&actions, output, STDOUT_FILENO);
	int rc =
		posix_spawn(pid, program(), &actions, NULL, (char **)(uintptr_t)arguments, environ);
	posix_spawn_file_actions_destroy(&actions);
	return rc == 0 ? EXIT_OK : fail("cannot run %s: %s", program(), strerror(rc));
}

/* It reads all before it writes anything. */
static json_t *talk(int *to, int *from, const json_t *scene)
{
	signal(SIGPIPE, SIG_IGN); /* where it has ended at once, it has said why */
	json_dumpfd(scene, *to, JSON_COMPACT);
	close(steal_fd(to));
	return json_loadfd(*from, 0, NULL);
}

static int rehearse(const struct run *run, const json_t *scene, json_t **report)
{
	int scene_pipe[2], report_pipe[2], status = 0;
	pid_t pid;
	if (pipe2(scene_pipe, O_CLOEXEC) < 0)
		return fail("no pipe: %s", strerror(errno));
	CLEANUP(close) int input = scene_pipe[0], to = scene_pipe[1];
	if (pipe2(report_pipe, O_CLOEXEC) < 0)
		return fail("no pipe: %s", strerror(errno));
	CLEANUP(close) int from = report_pipe[0], output = report_pipe[1];
	int rc = start(run, input, output, &pid);
	if (rc != EXIT_OK)
		return rc;
	close(steal_fd(&input));
	close(steal_fd(&output));
	*report = talk(&to, &from, scene);
	if (waitpid(pid, &status, 0) != pid || !WIFEXITED(status))
		return fail("%s has ended by signal %d", program(), WTERMSIG(status));
	if (WEXITSTATUS(status) != 0)
		return EXIT_FAILED; /* it has said why */
	return *report ? EXIT_OK : fail("the report of %s is no JSON", program());
}

/* --- the trace: a file that can be read twice --- */

static int copy(FILE *from, FILE *to)
{
	char bytes[65536];
	for (size_t got; (got = fread(bytes, 1, sizeof(bytes), from)) > 0;)
		if (fwrite(bytes, 1, got, to) != got)
			return fail("cannot keep the trace: %s", strerror(errno));
	return ferror(from) ? fail("cannot read the trace: %s", strerror(errno)) : EXIT_OK;
}

struct spool {
	FILE *file; /* or NULL */
	char path[64];
};

static int spool_open(struct spool *spool)
{
	spool->file = tmpfile();
	if (!spool->file)
		return fail("cannot make a temporary file: %s", strerror(errno));
	/* Opened anew by who is given it, it is read from its beginning. */
	snprintf(spool->path, sizeof(spool->path), "/dev/fd/%d", fileno(spool->file));
	return EXIT_OK;
}

static int spool_finish(struct spool *spool, int rc)
{
	if (rc == EXIT_OK && fflush(spool->file) != 0)
		return fail("cannot keep the trace: %s", strerror(errno));
	return rc;
}

static int take_trace(const struct arguments *arguments, const json_t *summons, struct run *run,
	struct spool *spool)
{
	const char *path = option_value(arguments, "trace");
	struct stat info;
	int rc = EXIT_OK;
	bool standard = path && strcmp(path, "-") == 0;
	run->label = standard ? "standard input" : path ? path : "the recorded summons";
	run->trace = path;
	if (path && !standard && stat(path, &info) == 0 && S_ISREG(info.st_mode))
		return EXIT_OK;
	CLEANUP(fclose) FILE *from = path ? fopen(standard ? "/dev/stdin" : path, "re") : NULL;
	if (path && !from)
		return fail("%s: %s", path, strerror(errno));
	rc = spool_open(spool);
	run->trace = spool->path;
	if (rc == EXIT_OK)
		rc = from ? copy(from, spool->file) : recorded_trace(summons, spool->file);
	return rc == EXIT_OK ? spool_finish(spool, rc) : rc;
}

/* --- what is rehearsed --- */

/* "fail_start=10% jitter=20" */
static int set_sim(json_t *scene, const char *words)
{
	json_t *sim = json_object();
	json_object_set_new(scene, "sim", sim);
	CLEANUP(free) char *copied = strdup(words ? words : "");
	for (char *rest = copied, *word; (word = strsep(&rest, " "));) {
		char *value = strchr(word, '=');
		if (*word && !value)
			return fail_usage("--sim: '%s' is no setting: write NAME=VALUE", word);
		if (!*word)
			continue;
		*value++ = '\0';
		json_object_set_new(sim, word, json_string(value));
	}
	return EXIT_OK;
}

static int set_options(json_t *scene, const struct arguments *arguments)
{
	uint64_t tail;
	struct error err = ERROR_INIT;
	const char *given = option_value(arguments, "tail");
	if (given && duration_parse(given, &tail, &err) < 0)
		return fail_usage("--tail: %s", err.message);
	json_object_set_new(scene, "tail", json_string(given ? given : "10min"));
	json_object_set_new(scene, "https", json_boolean(option_value(arguments, "https")));
	return set_sim(scene, option_value(arguments, "sim"));
}

struct rehearsal {
	struct context *context;
	const struct arguments *arguments;
	json_t *scene, *summons;
	char config[4096], told[256];
	struct spool spool;
};

/* All that the daemon knows. */
static int ask_daemon(struct rehearsal *rehearsal)
{
	CLEANUP(json_decref) json_t *status = NULL;
	/* Of a thousand, medians are as good as of all. */
	size_t most = option_value(rehearsal->arguments, "from-history") ? SIZE_MAX : 1;
	int rc = call(rehearsal->context, "GET", "/v1/status", NULL, NULL, &status);
	if (rc == EXIT_OK)
		rc = scene_of_daemon(rehearsal->context, &rehearsal->scene);
	if (rc == EXIT_OK)
		rc = recorded_summons(rehearsal->context, most, &rehearsal->summons);
	if (rc == EXIT_OK)
		snprintf(rehearsal->config, sizeof(rehearsal->config), "%s",
			text_of(status, "config"));
	return rc;
}

static int prepare(struct rehearsal *rehearsal, struct run *run)
{
	const struct arguments *arguments = rehearsal->arguments;
	const char *services = option_value(arguments, "services");
	const char *config = option_value(arguments, "config");
	int rc = EXIT_OK;
	if (services)
		rehearsal->scene = json_pack("{s:[], s:[]}", "policies", "services");
	rc = services ? scene_apply(rehearsal->scene, services) : ask_daemon(rehearsal);
	if (rc == EXIT_OK)
		rc = set_options(rehearsal->scene, arguments);
	if (rc == EXIT_OK)
		rc = scene_set_delays(rehearsal->scene, arguments, rehearsal->summons,
			rehearsal->told, sizeof(rehearsal->told));
	if (rc == EXIT_OK)
		rc = take_trace(arguments, rehearsal->summons, run, &rehearsal->spool);
	run->config = config ? config : *rehearsal->config ? rehearsal->config : NULL;
	return rc;
}

/* The same with other policies. */
static int rehearse_with(
	struct rehearsal *rehearsal, const struct run *run, const char *file, json_t **report)
{
	CLEANUP(json_decref) json_t *scene = json_deep_copy(rehearsal->scene);
	char told[256];
	int rc = scene ? scene_apply(scene, file) : fail("no memory");
	/* The services of the file have their delays, too. */
	if (rc == EXIT_OK)
		rc = scene_set_delays(
			scene, rehearsal->arguments, rehearsal->summons, told, sizeof(told));
	return rc == EXIT_OK ? rehearse(run, scene, report) : rc;
}

static int check_options(const struct arguments *arguments)
{
	bool history = option_value(arguments, "from-history");
	if (!option_value(arguments, "trace") == !history)
		return fail_usage("give a trace, with --trace FILE or --from-history");
	if (history && option_value(arguments, "services"))
		return fail_usage("--from-history asks the daemon, --services does without it");
	return EXIT_OK;
}

static int run_all(struct rehearsal *rehearsal)
{
	const struct arguments *arguments = rehearsal->arguments;
	const char *file = option_value(arguments, "policy");
	CLEANUP(json_decref) json_t *now = NULL, *with = NULL;
	struct run run = {0};
	int rc = prepare(rehearsal, &run);
	if (rc == EXIT_OK)
		rc = rehearse(&run, rehearsal->scene, &now);
	if (rc == EXIT_OK && file)
		rc = rehearse_with(rehearsal, &run, file, &with);
	if (rc != EXIT_OK)
		return rc;
	if (rehearsal->context->json) {
		CLEANUP(json_decref)
		json_t *answer = json_pack(
			"{s:s, s:O, s:O*}", "delays", rehearsal->told, "now", now, "with", with);
		print_json(rehearsal->context, answer);
		return EXIT_OK;
	}
	return report_print(now, with, file, rehearsal->told, option_value(arguments, "all"));
}

int run_rehearse(struct context *context, const struct arguments *arguments)
{
	struct rehearsal rehearsal = {.context = context, .arguments = arguments};
	int rc = check_options(arguments);
	if (rc == EXIT_OK)
		rc = run_all(&rehearsal);
	json_decref(rehearsal.scene);
	json_decref(rehearsal.summons);
	if (rehearsal.spool.file)
		fclose(rehearsal.spool.file);
	return rc;
}

/* SPDX-License-Identifier: ISC */
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/cleanup.h"
#include "base/units.h"
#include "rehearse/clock.h"
#include "rehearse/rehearsal.h"

CLEANUP_DEFINE(json_decref, json_t *, json_decref)
CLEANUP_DEFINE(trace_close, struct trace *, trace_close)

enum { EXIT_USAGE = 2 };

static const char help[] =
	"summond-rehearse: runs a trace through summond's own code, on a clock of its own\n"
	"\n"
	"usage: summond-rehearse [--config FILE] [--label TEXT] TRACE <SCENE >REPORT\n"
	"\n"
	"It is what `summonctl rehearse` runs, which makes the scene (policies and services,\n"
	"as the API gives them) and prints the report: see summonctl(1).\n";

static int fail(const struct error *err)
{
	fprintf(stderr, "summond-rehearse: %s\n", err->message);
	return EXIT_FAILURE;
}

static int read_tail(const json_t *scene, uint64_t *tail, struct error *err)
{
	const char *text = json_string_value(json_object_get(scene, "tail"));
	*tail = 0;
	return text ? duration_parse(text, tail, err) : 0;
}

static int rehearse(struct trace *trace, struct trace_event *first, const char *config,
	const json_t *scene, struct error *err)
{
	static struct rehearsal rehearsal; /* main's: handles of the loop live in it */
	uint64_t tail;
	int rc = read_tail(scene, &tail, err);
	if (rc < 0)
		return rc;
	/* libuv's timers have milliseconds: those of the trace begin with a whole one. */
	rehearsal_clock_begin(first->at - first->at % NS_PER_MS);
	rc = rehearsal_init(&rehearsal, config, scene, err);
	if (rc >= 0)
		rc = rehearsal_run(&rehearsal, trace, first, tail, err);
	if (rc >= 0) {
		CLEANUP(json_decref) json_t *report = rehearsal_report(&rehearsal);
		if (!report ||
			json_dumpf(report, stdout, JSON_INDENT(1) | JSON_REAL_PRECISION(12)) < 0 ||
			puts("") < 0)
			rc = error_set(err, -1, "cannot write the report");
	}
	rehearsal_finish(&rehearsal);
	return rc;
}

static int run(const char *path, const char *label, const char *config)
{
	struct error err = ERROR_INIT;
	json_error_t problem;
	CLEANUP(json_decref) json_t *scene = json_loadf(stdin, JSON_REJECT_DUPLICATES, &problem);
	CLEANUP(trace_close) struct trace *trace = NULL;
	struct trace_event first;
	if (!scene) {
		error_set(
			&err, -1, "the scene is no JSON: line %d: %s", problem.line, problem.text);
		return fail(&err);
	}
	int rc = trace_open(path, label, &trace, &err);
	if (rc >= 0)
		rc = trace_next(trace, &first, &err);
	if (rc == 0)
		rc = error_set(&err, -1, "%s: has no event", label);
	if (rc >= 0)
		rc = rehearse(trace, &first, config, scene, &err);
	return rc < 0 ? fail(&err) : EXIT_SUCCESS;
}

int main(int argc, char **argv)
{
	static const struct option longs[] = {{"config", required_argument, NULL, 'c'},
		{"label", required_argument, NULL, 'l'}, {"help", no_argument, NULL, 'h'}, {0}};
	const char *config = NULL, *label = NULL;
	int option;
	while ((option = getopt_long(argc, argv, "c:l:h", longs, NULL)) != -1) {
		switch (option) {
		case 'c':
			config = optarg;
			break;
		case 'l':
			label = optarg;
			break;
		default:
			fputs(help, option == 'h' ? stdout : stderr);
			return option == 'h' ? EXIT_SUCCESS : EXIT_USAGE;
		}
	}
	if (optind + 1 != argc) {
		fputs(help, stderr);
		return EXIT_USAGE;
	}
	return run(argv[optind], label ? label : argv[optind], config);
}

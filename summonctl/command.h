/* SPDX-License-Identifier: ISC */
#ifndef SUMMONCTL_COMMAND_H
#define SUMMONCTL_COMMAND_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "summonctl/client.h"

/* What a script may rely on; summonctl(1) has the same list. */
enum exit_code {
	EXIT_OK = 0,
	EXIT_FAILED = 1,
	EXIT_USAGE = 2,
	EXIT_NOT_FOUND = 3,
	EXIT_UNREACHABLE = 4,
	EXIT_SUMMON_FAILED = 5,
};

#define OPTIONS_MAX   24
#define ARGUMENTS_MAX 64

struct command_option {
	const char *name;  /* "site" of --site; NULL ends the list */
	char letter;       /* 'f' of -f, or 0 */
	const char *value; /* "DIR"; NULL: a switch */
	const char *help;
	bool many; /* may be given more than once */
};

struct arguments {
	const struct command_option *options;
	const char *values[OPTIONS_MAX]; /* by the option's index; "" for a switch that is set */
	struct {
		size_t option;
		const char *value;
	} more[ARGUMENTS_MAX]; /* what options were given again */
	size_t more_count;
	const char *words[ARGUMENTS_MAX];
	size_t count;
};

struct context {
	struct client *client;
	const char *socket;
	bool json; /* print what the API said */
};

struct command {
	const char *name;  /* "list", "policy set" */
	const char *words; /* of the usage line: "NAME" */
	unsigned least, most;
	const char *summary;
	const struct command_option *options; /* or NULL */
	/* Returns an enum exit_code; has printed what is wrong. */
	int (*run)(struct context *context, const struct arguments *arguments);
};

/* The value given for --name, "" for a switch, NULL where it was not given. */
const char *option_value(const struct arguments *arguments, const char *name);

/* "summonctl: ..." on stderr; returns EXIT_USAGE or EXIT_FAILED. */
int fail_usage(const char *format, ...) __attribute__((format(printf, 1, 2)));
int fail(const char *format, ...) __attribute__((format(printf, 1, 2)));
/* The same, of a daemon that cannot be asked: EXIT_UNREACHABLE. */
int fail_unreachable(const struct context *context, const struct error *err);

/* One call of the API. Gives *answer (may be NULL) to the caller: NULL for an empty one. Has said
 * why unless EXIT_OK. `body` is taken over, may be NULL. `segment` is put, percent-encoded, in the
 * place of {} in `path`. */
int call(struct context *context, const char *method, const char *path, const char *segment,
	json_t *body, json_t **answer);
/* The same, with the status (0: unreachable, which was said) instead of a message for errors. */
long call_status(struct context *context, const char *method, const char *path, const char *segment,
	json_t *body, json_t **answer);
/* Says what an answer with a status of 400 and more says; the exit code that fits. */
int say_error(long status, const json_t *answer);
/* With --json: prints `answer` and returns true. */
bool print_json(const struct context *context, const json_t *answer);

/* A member as text, "" where it is none; as a number that is not negative, 0 where it is none. */
const char *text_of(const json_t *object, const char *key);
uint64_t number_of(const json_t *object, const char *key);

int run_add(struct context *, const struct arguments *);
int run_set(struct context *, const struct arguments *);
int run_apply(struct context *, const struct arguments *);
int run_import_jitsu(struct context *, const struct arguments *);
int run_list(struct context *, const struct arguments *);
int run_show(struct context *, const struct arguments *);
int run_why(struct context *, const struct arguments *);
int run_wake(struct context *, const struct arguments *);
int run_retire(struct context *, const struct arguments *);
int run_pin(struct context *, const struct arguments *);
int run_unpin(struct context *, const struct arguments *);
int run_remove(struct context *, const struct arguments *);
int run_logs(struct context *, const struct arguments *);
int run_watch(struct context *, const struct arguments *);
int run_timeline(struct context *, const struct arguments *);
int run_summons(struct context *, const struct arguments *);
int run_policy_list(struct context *, const struct arguments *);
int run_policy_show(struct context *, const struct arguments *);
int run_policy_set(struct context *, const struct arguments *);
int run_policy_remove(struct context *, const struct arguments *);
int run_zone_list(struct context *, const struct arguments *);
int run_key_list(struct context *, const struct arguments *);
int run_key_add(struct context *, const struct arguments *);
int run_key_ds(struct context *, const struct arguments *);
int run_key_activate(struct context *, const struct arguments *);
int run_key_remove(struct context *, const struct arguments *);
int run_rehearse(struct context *, const struct arguments *);
int run_status(struct context *, const struct arguments *);
int run_check(struct context *, const struct arguments *);

#endif

/* SPDX-License-Identifier: ISC */
#include "summonctl/command.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"

CLEANUP_DEFINE(client_destroy, struct client *, client_destroy)

#define DEFAULT_SOCKET "/run/summond/control.sock"

/* Of `add`; without the first also of `set`. */
static const struct command_option add_options[] = {
	{"site", 0, "DIR", "serve the files of this folder (image: website)"},
	{"image", 0, "PATH", "the kernel, or the bare name of an image of ours"},
	{"initrd", 0, "FILE", "a file that the guest gets with its kernel"},
	{"cmdline", 0, "WORDS", "words for the guest's command line"},
	{"memory", 0, "SIZE", "as in 64MiB"},
	{"vcpus", 0, "NUMBER", "processors"},
	{"address", 0, "IP",
		"an address of it, IPv4 or IPv6, or pool or pool6; again for each; "
		"else one of the pool is given",
		.many = true},
	{"address6", 0, "IP", "an IPv6 address of it; again for each", .many = true},
	{"backend", 0, "NAME", "what runs it: libvirt, sim ..."},
	{"policy", 0, "NAME", "when it is woken and retired"},
	{"xml", 0, "FILE", "a libvirt domain of your own"},
	{"kernel-line", 0, "WORDS", "the whole command line, instead of ours and --cmdline"},
	{"also-name", 0, "NAME", "another name of the same guest; again for each", .many = true},
	{"domain-name", 0, "NAME", "what Xen calls its domain (libxl, as all below)"},
	{"uuid", 0, "UUID", "of its domain"},
	{"nics", 0, "LIST", "its interfaces: BRIDGE or BRIDGE@SCRIPT each"},
	{"disks", 0, "LIST", "its disks: PATH@DEVICE or PATH@DEVICE:ro each"},
	{"rumprun-config", 0, "FILE", "JSON text for a rumprun kernel"},
	{0},
};
static const struct command_option apply_options[] = {
	{"file", 'f', "FILE", "what to set up; - reads standard input"},
	{"dry-run", 'n', NULL, "only say what would change"},
	{0},
};
/* The letters and long names of most are Jitsu's own. */
static const struct command_option jitsu_options[] = {
	{"backend", 'x', "NAME", "libxl, or libvirt; libxl where there is a kernel"},
	{"delay", 'd', "SECONDS", "before an answer to a name that was asleep (0.1)"},
	{"ttl", 't', "SECONDS", "of answers; guests go after twice as long without use (60)"},
	{"mode", 'm', "MODE", "how they go: destroy, suspend or shutdown"},
	{"bind", 'b', "ADDRESS", "prints what belongs into summond.conf, as all up to --synjitsu"},
	{"listen", 'l', "PORT", "the DNS server's port"},
	{"connect", 'c', "URI", "libvirt's"},
	{"forwarder", 'f', "ADDRESS", "where other names are asked for"},
	{"port", 'p', "PORT", "its port"},
	{"persistdb", 0, "PATH", "where Jitsu keeps its database"},
	{"synjitsu", 0, "UUID", "what answers SYNs for it"},
	{"to", 0, "NAME", "run the guest with this backend instead"},
	{"policy", 0, "NAME", "the policy's name, instead of jitsu- and the first dns="},
	{"xml", 0, "FILE", "the libvirt domain, for a line without kernel="},
	{"dry-run", 'n', NULL, "only print what would be registered"},
	{0},
};
static const struct command_option list_options[] = {
	{"names", 0, NULL, "only the names, one a line"},
	{0},
};
static const struct command_option wake_options[] = {
	{"no-wait", 0, NULL, "do not wait until it can serve"},
	{0},
};
static const struct command_option retire_options[] = {
	{"how", 0, "HOW", "destroy, shutdown, suspend or snapshot; else what its policy says"},
	{0},
};
static const struct command_option pin_options[] = {
	{"for", 0, "DURATION", "how long, as in 2h; else until unpin"},
	{0},
};
static const struct command_option logs_options[] = {
	{"follow", 'f', NULL, "go on with what comes"},
	{0},
};
static const struct command_option summons_options[] = {
	{"limit", 'n', "NUMBER", "how many at most (20)"},
	{0},
};

static const struct command_option rehearse_options[] = {
	{"trace", 0, "FILE", "queries and packets, as CSV; - reads standard input"},
	{"from-history", 0, NULL, "the summons that the daemon remembers, as the trace"},
	{"policy", 0, "FILE", "policies and services as of apply, to compare with"},
	{"services", 0, "FILE", "the same, in the place of the daemon's"},
	{"config", 0, "FILE", "the summond.conf; else the daemon's own, or the defaults"},
	{"boot", 0, "DURATION", "how long guests boot; else as recorded, or 100ms"},
	{"resume", 0, "DURATION", "how long they take out of memory; 5ms"},
	{"restore", 0, "DURATION", "how long they take from disk; 50ms"},
	{"sim", 0, "WORDS", "more settings of the simulation, as in jitter=20"},
	{"tail", 0, "DURATION", "how long it goes on after the last event (10min)"},
	{"https", 0, NULL, "names have HTTPS records: such queries wake"},
	{"all", 0, NULL, "every service, not only those that take most"},
	{0},
};

static const struct command_option key_remove_options[] = {
	{"unsign", 0, NULL, "the last one, too: the zone is not signed any more"},
	{0},
};

static const struct command commands[] = {
	{"add", "NAME", 1, 1, "Register a service, or change its definition", add_options, run_add},
	{"set", "NAME", 1, 1, "Change parts of a service's definition", add_options + 1, run_set},
	{"apply", "-f FILE", 0, 0, "Set up the services and policies of a file", apply_options,
		run_apply},
	{"import-jitsu", "LINE ...", 1, ARGUMENTS_MAX, "Register what a line of Jitsu's says",
		jitsu_options, run_import_jitsu},
	{"list", "", 0, 0, "All services", list_options, run_list},
	{"show", "NAME", 1, 1, "All about one service", NULL, run_show},
	{"why", "NAME", 1, 1, "Why a service is in its state", NULL, run_why},
	{"wake", "NAME", 1, 1, "Wake a service", wake_options, run_wake},
	{"retire", "NAME", 1, 1, "Put a service to sleep", retire_options, run_retire},
	{"pin", "NAME", 1, 1, "Keep a service awake", pin_options, run_pin},
	{"unpin", "NAME", 1, 1, "Leave a service to its policy again", NULL, run_unpin},
	{"remove", "NAME", 1, 1, "Forget a service", NULL, run_remove},
	{"logs", "NAME", 1, 1, "What a guest has printed", logs_options, run_logs},
	{"watch", "", 0, 0, "What happens, as it happens", NULL, run_watch},
	{"summons", "[NAME]", 0, 1, "The last summons", summons_options, run_summons},
	{"timeline", "[NAME | NUMBER]", 0, 1, "The stages of the last summon, or of that one", NULL,
		run_timeline},
	{"policy list", "", 0, 0, "All policies", NULL, run_policy_list},
	{"policy show", "NAME", 1, 1, "The options of a policy", NULL, run_policy_show},
	{"policy set", "NAME OPTION=VALUE ...", 2, ARGUMENTS_MAX, "Change or make a policy", NULL,
		run_policy_set},
	{"policy remove", "NAME", 1, 1, "Forget a policy", NULL, run_policy_remove},
	{"zone list", "", 0, 0, "The zones that are served", NULL, run_zone_list},
	{"key list", "ZONE", 1, 1, "The keys that a zone is signed with", NULL, run_key_list},
	{"key add", "ZONE", 1, 1, "Make a key; the first one signs the zone", NULL, run_key_add},
	{"key ds", "ZONE", 1, 1, "The DS records for the parent zone", NULL, run_key_ds},
	{"key activate", "ZONE TAG", 2, 2, "Sign with this key from now on", NULL,
		run_key_activate},
	{"key remove", "ZONE TAG", 2, 2, "Remove a key", key_remove_options, run_key_remove},
	{"rehearse", "--trace FILE", 0, 0, "What a trace would cost, with these and other policies",
		rehearse_options, run_rehearse},
	{"status", "", 0, 0, "The daemon and its counters", NULL, run_status},
	{"check", "", 0, 0, "Is everything in order?", NULL, run_check},
};
#define COMMAND_COUNT (sizeof(commands) / sizeof(commands[0]))

/* Before or behind the command. */
static const struct command_option global_options[] = {
	{"socket", 0, "PATH", "the daemon's socket (" DEFAULT_SOCKET ", or SUMMOND_SOCKET)"},
	{"json", 0, NULL, "print the API's answer as it is"},
	{"help", 'h', NULL, "this text"},
	{"version", 0, NULL, "the version"},
	{0},
};

/* --- help --- */

static void print_options(const struct command_option *options)
{
	for (; options && options->name; options++) {
		char text[64], letter[8] = "    ";
		if (options->letter)
			snprintf(letter, sizeof(letter), "-%c, ", options->letter);
		snprintf(text, sizeof(text), "%s--%s%s%s", letter, options->name,
			options->value ? " " : "", options->value ? options->value : "");
		printf("  %-22s %s\n", text, options->help);
	}
}

static void print_usage(void)
{
	printf("usage: summonctl [--socket PATH] [--json] COMMAND ...\n\n");
	for (size_t i = 0; i < COMMAND_COUNT; i++)
		printf("  %-14s %-22s %s\n", commands[i].name, commands[i].words,
			commands[i].summary);
	printf("\n");
	print_options(global_options);
	printf("\n`summonctl COMMAND --help` shows the options of one command.\n");
}

static void print_command_usage(const struct command *command)
{
	printf("usage: summonctl %s%s%s%s\n\n%s.\n\n", command->name, *command->words ? " " : "",
		command->words, command->options ? " [OPTION ...]" : "", command->summary);
	print_options(command->options);
	print_options(global_options);
}

/* --- arguments --- */

const char *option_value(const struct arguments *arguments, const char *name)
{
	for (size_t i = 0; arguments->options && arguments->options[i].name; i++)
		if (strcmp(arguments->options[i].name, name) == 0)
			return arguments->values[i];
	return NULL;
}

/* How an argument names an option: --name, --name=value or -l. */
static bool names(const char *argument, const struct command_option *option, const char **value)
{
	*value = NULL;
	if (argument[0] == '-' && argument[1] == option->letter && option->letter && !argument[2])
		return true;
	size_t length = strlen(option->name);
	if (strncmp(argument, "--", 2) != 0 || strncmp(argument + 2, option->name, length) != 0)
		return false;
	if (argument[2 + length] == '=')
		*value = argument + 3 + length;
	return *value || !argument[2 + length];
}

/* Takes argv[*at], and the next where it is the value. 0: it is none of these options. */
static int take_option(const struct command_option *options, const char **values,
	struct arguments *arguments, char **argv, int *at)
{
	const char *value;
	for (size_t i = 0; options && options[i].name; i++) {
		if (!names(argv[*at], &options[i], &value))
			continue;
		if (options[i].value && !value)
			value = argv[++*at];
		else if (!options[i].value && value)
			return -fail_usage("--%s takes no value", options[i].name);
		if (options[i].value && !value)
			return -fail_usage(
				"--%s needs a value: %s", options[i].name, options[i].value);
		if (values[i] && !options[i].many)
			return -fail_usage("--%s is given twice", options[i].name);
		if (!values[i]) {
			values[i] = options[i].value ? value : "";
			return 1;
		}
		if (arguments->more_count == ARGUMENTS_MAX)
			return -fail_usage("too many arguments");
		arguments->more[arguments->more_count].option = i;
		arguments->more[arguments->more_count++].value = value;
		return 1;
	}
	return 0;
}

/* The command that the words begin with, and how many of them are its name. */
static const struct command *find_command(const struct arguments *arguments, size_t *used)
{
	for (size_t i = 0; i < COMMAND_COUNT; i++) {
		const char *blank = strchr(commands[i].name, ' ');
		size_t first =
			blank ? (size_t)(blank - commands[i].name) : strlen(commands[i].name);
		*used = blank ? 2 : 1;
		if (arguments->count < *used || strlen(arguments->words[0]) != first ||
			strncmp(arguments->words[0], commands[i].name, first) != 0)
			continue;
		if (!blank || strcmp(arguments->words[1], blank + 1) == 0)
			return &commands[i];
	}
	return NULL;
}

/* Sorts argv into words and options. Options of the command are known once its words were seen,
 * and so stand behind them. */
static int sort_arguments(char **argv, struct arguments *arguments, const char **globals,
	const struct command **command)
{
	size_t used = 0;
	bool only_words = false;
	*command = NULL;
	for (int i = 1; argv[i]; i++) {
		if (only_words || argv[i][0] != '-' || !argv[i][1]) {
			if (arguments->count == ARGUMENTS_MAX)
				return fail_usage("too many arguments");
			arguments->words[arguments->count++] = argv[i];
			if (!*command && (*command = find_command(arguments, &used))) {
				arguments->options = (*command)->options;
				arguments->count = 0;
			}
			continue;
		}
		if (strcmp(argv[i], "--") == 0) {
			only_words = true;
			continue;
		}
		int taken = take_option(global_options, globals, arguments, argv, &i);
		if (taken == 0)
			taken = take_option(
				arguments->options, arguments->values, arguments, argv, &i);
		if (taken < 0)
			return -taken;
		if (taken == 0)
			return fail_usage("unknown option %s: see summonctl %s --help", argv[i],
				*command ? (*command)->name : "");
	}
	return EXIT_OK;
}

static int check_words(const struct command *command, const struct arguments *arguments)
{
	if (!command && arguments->count > 0)
		return fail_usage("unknown command '%s%s%s': see summonctl --help",
			arguments->words[0], arguments->count > 1 ? " " : "",
			arguments->count > 1 ? arguments->words[1] : "");
	if (!command)
		return fail_usage("a command is missing: see summonctl --help");
	if (arguments->count < command->least || arguments->count > command->most)
		return fail_usage("usage: summonctl %s %s", command->name, command->words);
	for (size_t i = 0; i < arguments->count; i++)
		if (!*arguments->words[i])
			return fail_usage("an argument is empty: summonctl %s %s", command->name,
				command->words);
	return EXIT_OK;
}

int main(int argc, char **argv)
{
	(void)argc;
	enum { SOCKET, JSON, HELP, VERSION };
	const char *globals[OPTIONS_MAX] = {NULL};
	struct arguments arguments = {.count = 0};
	const struct command *command;
	int rc = sort_arguments(argv, &arguments, globals, &command);
	if (rc != EXIT_OK)
		return rc;
	if (globals[VERSION]) {
		printf("summonctl %s\n", SUMMOND_VERSION);
		return EXIT_OK;
	}
	if (globals[HELP]) {
		if (command)
			print_command_usage(command);
		else
			print_usage();
		return EXIT_OK;
	}
	rc = check_words(command, &arguments);
	if (rc != EXIT_OK)
		return rc;
	struct context context = {.socket = globals[SOCKET], .json = globals[JSON]};
	if (!context.socket)
		context.socket = getenv("SUMMOND_SOCKET");
	if (!context.socket || !*context.socket)
		context.socket = DEFAULT_SOCKET;
	struct error err;
	CLEANUP(client_destroy) struct client *client = NULL;
	if (client_create(context.socket, &client, &err) < 0)
		return fail("%s", err.message);
	context.client = client;
	rc = command->run(&context, &arguments);
	if (fflush(stdout) != 0 || ferror(stdout))
		return rc ? rc : fail("cannot write the output");
	return rc;
}

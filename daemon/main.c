/* SPDX-License-Identifier: ISC */
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/urgency.h"
#include "daemon/boot.h"
#include "daemon/daemon.h"
#include "daemon/reload.h"
#include "daemon/isolate.h"
#include "daemon/lifecycle_print.h"

#define DEFAULT_CONFIG "/etc/summond/summond.conf"

enum { EXIT_USAGE = 2 };

static const char help[] =
	"summond: a DNS server that boots the server you asked for\n"
	"\n"
	"usage: summond [options]\n"
	"  -c, --config FILE   the configuration (" DEFAULT_CONFIG ")\n"
	"      --check         read the configuration, say what is wrong with it, and end\n"
	"      --help-config   print every option of the configuration with its default\n"
	"      --lifecycle     print the lifecycle of a service, as Markdown with a diagram\n"
	"      --version       print the version and the backends that are built in\n"
	"  -h, --help          print this\n"
	"\n"
	"It runs in the foreground and logs to standard error. SIGHUP reads the\n"
	"configuration again; SIGTERM ends it, and guests live on.\n"
	"See summond(8), summond.conf(5) and summonctl(1).\n";

struct options {
	const char *config;
	bool check;
};

static void print_version(void)
{
	printf("summond %s\nbackends:", SUMMOND_VERSION);
	for (size_t i = 0; launcher_backends[i]; i++)
		printf(" %s", launcher_backends[i]->name);
	printf("\n");
}

/* 0 to go on, else the exit status plus one. */
static int read_options(int argc, char **argv, struct options *options)
{
	enum { OPTION_CHECK = 256, OPTION_HELP_CONFIG, OPTION_LIFECYCLE, OPTION_VERSION };
	static const struct option longs[] = {
		{"config", required_argument, NULL, 'c'},
		{"check", no_argument, NULL, OPTION_CHECK},
		{"help-config", no_argument, NULL, OPTION_HELP_CONFIG},
		{"lifecycle", no_argument, NULL, OPTION_LIFECYCLE},
		{"version", no_argument, NULL, OPTION_VERSION},
		{"help", no_argument, NULL, 'h'},
		{0},
	};
	int option;
	while ((option = getopt_long(argc, argv, "c:h", longs, NULL)) != -1) {
		switch (option) {
		case 'c':
			options->config = optarg;
			break;
		case OPTION_CHECK:
			options->check = true;
			break;
		case OPTION_HELP_CONFIG:
			config_print_options(stdout);
			return 1 + EXIT_SUCCESS;
		case OPTION_LIFECYCLE:
			lifecycle_print(stdout);
			return 1 + EXIT_SUCCESS;
		case OPTION_VERSION:
			print_version();
			return 1 + EXIT_SUCCESS;
		case 'h':
			fputs(help, stdout);
			return 1 + EXIT_SUCCESS;
		default:
			return 1 + EXIT_USAGE;
		}
	}
	if (optind == argc)
		return 0;
	fprintf(stderr, "summond: '%s' is no option: see summond --help\n", argv[optind]);
	return 1 + EXIT_USAGE;
}

static void print_problem(void *ctx, const char *problem)
{
	(void)ctx;
	fprintf(stderr, "%s\n", problem);
}

/* What reading the configuration does not tell: whether its zones are zones. */
static int check(const char *path, struct config *config)
{
	struct error err = ERROR_INIT;
	struct dns_zones *zones = NULL;
	int rc = reload_read_zones(config, &zones, &err);
	if (rc < 0)
		print_problem(NULL, err.message);
	else
		printf("%s: no problem found\n", path);
	dns_zones_destroy(zones);
	config_destroy(config);
	return rc < 0 ? EXIT_FAILURE : EXIT_SUCCESS;
}

static int run(const char *path, struct config *config)
{
	static struct daemon daemon; /* main's: handles of the loop live in it */
	struct error err = ERROR_INIT;
	urgency_raise();
	int rc = isolate(&err);
	if (rc >= 0)
		rc = daemon_init(&daemon, path, config, &err);
	if (rc >= 0)
		daemon_run(&daemon);
	else
		fprintf(stderr, "summond: %s\n", err.message);
	if (daemon.config)
		daemon_finish(&daemon);
	return rc < 0 ? EXIT_FAILURE : EXIT_SUCCESS;
}

int main(int argc, char **argv)
{
	struct options options = {.config = DEFAULT_CONFIG};
	int end = read_options(argc, argv, &options);
	if (end)
		return end - 1;
	struct error err = ERROR_INIT;
	struct config *config = NULL;
	if (config_load(options.config, print_problem, NULL, &config, &err) < 0)
		return EXIT_FAILURE;
	if (options.check)
		return check(options.config, config);
	return run(options.config, config);
}

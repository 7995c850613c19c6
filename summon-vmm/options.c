/* SPDX-License-Identifier: ISC */
#include "summon-vmm/options.h"

#include <errno.h>
#include <getopt.h>
#include <stddef.h>
#include <string.h>

#include "base/units.h"

#define DEFAULT_MEMORY (32ull << 20)

enum option_number { OPTION_MEMORY = 1, OPTION_MODE, OPTION_CHECK };

static const struct option names[] = {
	{"memory", required_argument, NULL, OPTION_MEMORY},
	{"mode", required_argument, NULL, OPTION_MODE},
	{"check", no_argument, NULL, OPTION_CHECK},
	{0},
};

static int read_mode(const struct cpu_ops **out, const char *name, struct error *err)
{
	for (size_t i = 0; i < CPU_COUNT; i++)
		if (strcmp(cpu_all[i]->name, name) == 0) {
			*out = cpu_all[i];
			return 0;
		}
	return error_set(err, -EINVAL, "\"%s\" is neither kvm nor process", name);
}

static int read_option(struct options *options, int number, const char *word, struct error *err)
{
	switch (number) {
	case OPTION_CHECK:
		options->check = true;
		return 0;
	case OPTION_MEMORY:
		return size_parse(optarg, &options->memory, err) < 0
			       ? error_prefix(err, -EINVAL, "--memory")
			       : 0;
	case OPTION_MODE:
		return read_mode(&options->cpu, optarg, err) < 0
			       ? error_prefix(err, -EINVAL, "--mode")
			       : 0;
	default:
		return error_set(err, -EINVAL,
			"\"%s\": there are --memory=SIZE, --mode=MODE and --check", word);
	}
}

int options_parse(struct options *options, int count, char **arguments, struct error *err)
{
	int number, result = 0;
	*options = (struct options){.memory = DEFAULT_MEMORY};
	opterr = 0;
	while (result == 0 && (number = getopt_long(count, arguments, "", names, NULL)) >= 0)
		result = read_option(options, number, arguments[optind - 1], err);
	if (result == 0 && optind < count)
		return error_set(err, -EINVAL, "\"%s\" is no option", arguments[optind]);
	return result;
}

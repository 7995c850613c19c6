/* SPDX-License-Identifier: ISC */
#include "summon-vmm/options.h"

#include <errno.h>
#include <getopt.h>
#include <stddef.h>

#include "base/units.h"

#define DEFAULT_MEMORY (32ull << 20)

enum option_number { OPTION_MEMORY = 1, OPTION_CHECK };

static const struct option names[] = {
	{"memory", required_argument, NULL, OPTION_MEMORY},
	{"check", no_argument, NULL, OPTION_CHECK},
	{0},
};

int options_parse(struct options *options, int count, char **arguments, struct error *err)
{
	int number;
	*options = (struct options){.memory = DEFAULT_MEMORY};
	opterr = 0;
	while ((number = getopt_long(count, arguments, "", names, NULL)) >= 0) {
		if (number == OPTION_CHECK)
			options->check = true;
		else if (number != OPTION_MEMORY)
			return error_set(err, -EINVAL,
				"\"%s\": there are --memory=SIZE and --check",
				arguments[optind - 1]);
		else if (size_parse(optarg, &options->memory, err) < 0)
			return error_prefix(err, -EINVAL, "--memory");
	}
	if (optind < count)
		return error_set(err, -EINVAL, "\"%s\" is no option", arguments[optind]);
	return 0;
}

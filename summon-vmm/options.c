/* SPDX-License-Identifier: ISC */
#include "summon-vmm/options.h"

#include <errno.h>
#include <getopt.h>
#include <string.h>

#include "base/units.h"

#define DEFAULT_MEMORY (32ull << 20)

enum option_number {
	OPTION_KERNEL = 1,
	OPTION_INITRD,
	OPTION_MEMORY,
	OPTION_CMDLINE,
	OPTION_TAP,
	OPTION_MAC,
	OPTION_SERVICE,
	OPTION_PAUSED,
	OPTION_CHECK,
};

static const struct option names[] = {
	{"kernel", required_argument, NULL, OPTION_KERNEL},
	{"initrd", required_argument, NULL, OPTION_INITRD},
	{"memory", required_argument, NULL, OPTION_MEMORY},
	{"cmdline", required_argument, NULL, OPTION_CMDLINE},
	{"tap", required_argument, NULL, OPTION_TAP},
	{"mac", required_argument, NULL, OPTION_MAC},
	{"service", required_argument, NULL, OPTION_SERVICE},
	{"paused", no_argument, NULL, OPTION_PAUSED},
	{"check", no_argument, NULL, OPTION_CHECK},
	{0},
};

static int take(struct options *options, int number, const char *value, struct error *err)
{
	switch (number) {
	case OPTION_KERNEL:
		options->kernel = value;
		break;
	case OPTION_INITRD:
		options->initrd = value;
		break;
	case OPTION_MEMORY:
		return size_parse(value, &options->memory, err);
	case OPTION_CMDLINE:
		options->command_line = value;
		break;
	case OPTION_TAP:
		options->tap = value;
		break;
	case OPTION_MAC:
		return mac_address_parse(value, &options->mac, err);
	case OPTION_SERVICE:
		options->service = value;
		break;
	case OPTION_PAUSED:
		options->paused = true;
		break;
	case OPTION_CHECK:
		options->check = true;
		break;
	default:
		return error_set(err, -EINVAL, "an option that there is not, or without its value");
	}
	return 0;
}

int options_parse(struct options *options, int count, char **arguments, struct error *err)
{
	int option, index = 0;
	*options = (struct options){.command_line = "", .service = "", .memory = DEFAULT_MEMORY};
	opterr = 0;
	while ((option = getopt_long(count, arguments, "", names, &index)) >= 0) {
		int result = take(options, option, optarg, err);
		if (result < 0)
			return error_prefix(
				err, result, "--%s", option == '?' ? "" : names[index].name);
	}
	if (optind < count)
		return error_set(err, -EINVAL, "\"%s\" is no option", arguments[optind]);
	if (!options->kernel && !options->check)
		return error_set(err, -EINVAL, "--kernel=FILE is missing");
	return 0;
}

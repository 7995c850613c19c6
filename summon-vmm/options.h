/* SPDX-License-Identifier: ISC */
#ifndef SUMMON_VMM_OPTIONS_H
#define SUMMON_VMM_OPTIONS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/address.h"
#include "base/error.h"

/* What summon-vmm was started with. Texts are those of the command line. */
struct options {
	const char *kernel, *initrd; /* paths; initrd may be NULL */
	const char *command_line;    /* "" for none */
	const char *service;         /* whose guest it is, for its finder */
	const char *tap;             /* NULL: no network */
	struct mac_address mac;
	uint64_t memory; /* bytes */
	bool paused, check;
};

#define OPTIONS_USAGE                                                                              \
	"usage: summon-vmm --kernel=FILE [--initrd=FILE] [--memory=SIZE] [--cmdline=TEXT]\n"       \
	"                  [--tap=NAME --mac=ADDRESS] [--service=NAME] [--paused]\n"               \
	"       summon-vmm --check\n"                                                              \
	"The first runs a guest; descriptor 3 is its control socket (see\n"                        \
	"summon-vmm/include/protocol.h). The second says whether this host can run guests.\n"

/* -EINVAL names the option and what would be right. */
int options_parse(struct options *options, int count, char **arguments, struct error *err);

#endif

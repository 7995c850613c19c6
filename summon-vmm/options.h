/* SPDX-License-Identifier: ISC */
#ifndef SUMMON_VMM_OPTIONS_H
#define SUMMON_VMM_OPTIONS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"

/* What summon-vmm was started with. */
struct options {
	uint64_t memory; /* bytes: the most that its guest can have */
	bool check;
};

#define OPTIONS_USAGE                                                                              \
	"usage: summon-vmm [--memory=SIZE]\n"                                                      \
	"       summon-vmm --check\n"                                                              \
	"The first waits on its control socket, descriptor 3, for a guest to run (see\n"           \
	"summon-vmm/include/protocol.h). The second says whether this host can run guests.\n"

/* -EINVAL names the option and what would be right. */
int options_parse(struct options *options, int count, char **arguments, struct error *err);

#endif

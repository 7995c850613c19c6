/* SPDX-License-Identifier: ISC */
#ifndef SUMMON_VMM_OPTIONS_H
#define SUMMON_VMM_OPTIONS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"
#include "summon-vmm/cpu.h"

/* What summon-vmm was started with. */
struct options {
	uint64_t memory;           /* bytes: the most that its guest can have */
	const struct cpu_ops *cpu; /* what is to run it; NULL: not said */
	bool check;
};

#define OPTIONS_USAGE                                                                              \
	"usage: summon-vmm [--memory=SIZE] [--mode=kvm|process]\n"                                 \
	"       summon-vmm --check [--mode=kvm|process]\n"                                         \
	"The first waits on its control socket, descriptor 3, for a guest to run (see\n"           \
	"summon-vmm/include/protocol.h): in a virtual machine (kvm, if nothing is said), or as\n"  \
	"a part of its own process, which needs no KVM and keeps a guest less well. The second\n"  \
	"says of one of these, or of both, whether this host can run guests so.\n"

/* -EINVAL names the option and what would be right. */
int options_parse(struct options *options, int count, char **arguments, struct error *err);

#endif

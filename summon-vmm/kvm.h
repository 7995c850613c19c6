/* SPDX-License-Identifier: ISC */
#ifndef SUMMON_VMM_KVM_H
#define SUMMON_VMM_KVM_H

#include <linux/kvm.h>
#include <stdbool.h>
#include <stddef.h>

#include "summon-vmm/machine.h"

struct kvm {
	int device, vm, vcpu; /* -1: not open */
	struct kvm_run *run;
	size_t run_size;
	struct kvm_sregs reset; /* as the CPU was at first */
	enum machine_tables tables;
	bool is_set; /* all but its general registers */
};

#endif

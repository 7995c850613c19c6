/* SPDX-License-Identifier: ISC */
#include "summon-vmm/cpu.h"

const struct cpu_ops *const cpu_all[CPU_COUNT] = {&cpu_kvm, &cpu_process};

int cpu_reserve(const struct cpu_ops *cpu, struct memory *memory, uint64_t size, struct error *err)
{
	return cpu->in_process ? memory_init_in_place(memory, size, err)
			       : memory_init(memory, size, err);
}

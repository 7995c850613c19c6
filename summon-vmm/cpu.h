/* SPDX-License-Identifier: ISC */
#ifndef SUMMON_VMM_CPU_H
#define SUMMON_VMM_CPU_H

#include <signal.h>

#include "summon-vmm/image.h"
#include "summon-vmm/kvm.h"
#include "summon-vmm/process.h"

/* What runs the guest's instructions. The monitor's loop is the same for each. */

enum cpu_stop {
	CPU_INTERRUPTED, /* by CPU_SIGNAL */
	CPU_CALL,        /* call, argument */
	CPU_EXCEPTION,   /* ops->exception() has it */
	CPU_BROKEN,      /* *err says why; the guest cannot go on */
};

struct cpu_call {
	uint64_t number, argument;
};

struct cpu {
	const struct cpu_ops *ops;
	uint64_t tsc_hz; /* the guest's; 0: not known */
	union {
		struct kvm kvm;
		struct process process;
	};
};

/* Comes in while the guest runs, and only then; has to be blocked before open(). While it is
 * pending, run() returns at once. */
#define CPU_SIGNAL SIGIO

struct cpu_ops {
	const char *name, *summary;
	bool in_process; /* the guest's memory is to be in place: it is part of our process */
	/* Opens all that it ever opens, and takes the memory for the guest's. The cpu can be
	 * finished, whether that succeeds or not. */
	int (*open)(struct cpu *cpu, const struct memory *memory, struct error *err);
	void (*finish)(struct cpu *cpu);
	/* Ahead of time, before the memory is filled: what the first run() would take longer for. NULL
	 * where there is nothing of the kind. */
	void (*rehearse)(struct cpu *cpu, const struct memory *memory);
	/* Makes the guest's address space, once its memory is filled, the boot page too, which from
	 * then on cannot be written. -EINVAL where the image cannot be run so. */
	int (*build)(struct cpu *cpu, const struct memory *memory, const struct image *image,
		struct error *err);
	/* Instead, and before the boot page is filled; build() may still follow, for another image. Has
	 * the CPU look at what is used of the memory, which takes time that run() then does not. NULL
	 * where there is nothing to be won. */
	int (*build_ahead)(struct cpu *cpu, const struct memory *memory, const struct image *image,
		const struct memory_piece *used, unsigned count, struct error *err);
	/* Sets the CPU to `entry` with `argument` in rdi, as summon_abi.h has it. Also after an
	 * exception, to have the guest say what it knows. */
	int (*enter)(struct cpu *cpu, const struct summon_note *note, uint64_t entry,
		uint64_t argument, struct error *err);
	/* Runs the guest until it needs something. */
	enum cpu_stop (*run)(struct cpu *cpu, struct cpu_call *call, struct error *err);
	/* What the CPU knew at the exception that run() has just returned. Until enter(), the boot
	 * page can be written again. */
	int (*exception)(struct cpu *cpu, const struct memory *memory, struct summon_exception *out,
		struct error *err);
};

/* kvm.c: a virtual machine with one CPU (Linux, Documentation/virt/kvm/api.rst). */
extern const struct cpu_ops cpu_kvm;
/* process.c: a part of our process, on hosts without KVM. */
extern const struct cpu_ops cpu_process;

#define CPU_COUNT 2
/* cpu.c: all of them, the better ones first. */
extern const struct cpu_ops *const cpu_all[CPU_COUNT];
/* Reserves memory where this one wants it. */
int cpu_reserve(const struct cpu_ops *cpu, struct memory *memory, uint64_t size, struct error *err);

#endif

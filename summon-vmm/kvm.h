/* SPDX-License-Identifier: ISC */
#ifndef SUMMON_VMM_KVM_H
#define SUMMON_VMM_KVM_H

#include <stdbool.h>
#include <stddef.h>

#include "summon-vmm/image.h"

/* One virtual machine with one CPU (Linux, Documentation/virt/kvm/api.rst). */
struct kvm {
	int device, vm, vcpu; /* -1: not open */
	struct kvm_run *run;
	size_t run_size;
};

enum kvm_stop {
	KVM_INTERRUPTED, /* by the signal of kvm_open(), which stays pending */
	KVM_CALL,        /* call, argument */
	KVM_EXCEPTION,   /* kvm_exception() has it */
	KVM_BROKEN,      /* *err says why; the guest cannot go on */
};

struct kvm_call {
	uint64_t number, argument;
};

void kvm_init(struct kvm *kvm);
/* Opens KVM and gives it the memory; *tsc_hz is the guest's, or 0 where KVM does not know. `signal`
 * has to be blocked; while it is pending, kvm_run() returns at once. */
int kvm_open(struct kvm *kvm, const struct memory *memory, int signal, uint64_t *tsc_hz,
	struct error *err);
void kvm_finish(struct kvm *kvm);

/* Sets the CPU to `entry` with `argument` in rdi, as summon_abi.h has it. Requires the tables of
 * machine_build(). Also after an exception, to have the guest say what it knows. */
int kvm_enter(struct kvm *kvm, const struct summon_note *note, uint64_t entry, uint64_t argument,
	struct error *err);

/* Runs the guest until it needs something. */
enum kvm_stop kvm_run(struct kvm *kvm, struct kvm_call *call, struct error *err);

/* What the CPU knew at the exception that kvm_run() has just returned. */
int kvm_exception(struct kvm *kvm, const struct memory *memory, struct summon_exception *out,
	struct error *err);

#endif

/* SPDX-License-Identifier: ISC */
#ifndef SUMMON_VMM_PROCESS_STATE_H
#define SUMMON_VMM_PROCESS_STATE_H

/* What process_switch.S and process.c know of a guest that shares the monitor's process. The
 * assembly goes by these offsets. */
#define PROCESS_MONITOR_STACK  0
#define PROCESS_MONITOR_THREAD 8
#define PROCESS_GUEST_THREAD   16
#define PROCESS_GUEST_STACK    24
#define PROCESS_RBX            32
#define PROCESS_RBP            40
#define PROCESS_R12            48
#define PROCESS_R13            56
#define PROCESS_R14            64
#define PROCESS_R15            72
#define PROCESS_ARGUMENT       80
#define PROCESS_IN_GUEST       88
#define PROCESS_INTERRUPTED    92
#define PROCESS_HAS_FSGSBASE   96

/* Why the guest does not run, besides the numbers of its calls. */
#define PROCESS_STOP_SIGNAL    64
#define PROCESS_STOP_EXCEPTION 65

#ifndef __ASSEMBLER__
#include <signal.h>
#include <stddef.h>
#include <stdint.h>
#include <ucontext.h>

struct process_state {
	uint64_t monitor_stack, monitor_thread; /* thread: what the FS base is */
	uint64_t guest_thread;
	/* At a call: what the guest expects to find again, and the call's argument. */
	uint64_t guest_stack, rbx, rbp, r12, r13, r14, r15, argument;
	uint32_t in_guest;     /* whoever faults now, it is the guest */
	uint32_t interrupted;  /* the signal came while the monitor ran */
	uint32_t has_fsgsbase; /* the FS base can be set without the kernel */
	/* From where the guest goes on, with our signals blocked until then; NULL: where its last
	 * call returns. After a signal it is the frame that the kernel has made on our stack. */
	ucontext_t *context;
	ucontext_t first; /* where it begins */
};

#define CHECK(field, offset)                                                                       \
	_Static_assert(offsetof(struct process_state, field) == (offset), #field)
CHECK(monitor_stack, PROCESS_MONITOR_STACK);
CHECK(monitor_thread, PROCESS_MONITOR_THREAD);
CHECK(guest_thread, PROCESS_GUEST_THREAD);
CHECK(guest_stack, PROCESS_GUEST_STACK);
CHECK(rbx, PROCESS_RBX);
CHECK(rbp, PROCESS_RBP);
CHECK(r12, PROCESS_R12);
CHECK(r13, PROCESS_R13);
CHECK(r14, PROCESS_R14);
CHECK(r15, PROCESS_R15);
CHECK(argument, PROCESS_ARGUMENT);
CHECK(in_guest, PROCESS_IN_GUEST);
CHECK(interrupted, PROCESS_INTERRUPTED);
CHECK(has_fsgsbase, PROCESS_HAS_FSGSBASE);
#undef CHECK

/* process_switch.S. Both run the guest, and return why it stopped. */
uint32_t process_return(struct process_state *state);
uint32_t process_continue(struct process_state *state, const ucontext_t *context);
/* Where the call page jumps to: eax: which call, rdi: its argument, r11: the state. */
void process_call(void);
/* The signals' handler, on an alternate stack that ends where the state begins. */
void process_signal(int number, siginfo_t *info, void *context);
/* From where on the guest's registers are being loaded, up to where it runs; and what is to be done
 * there instead where the signal came in between, with the state in rdi. */
extern const char process_window[], process_window_end[], process_interrupted[];

/* process.c: what a signal means: why to stop, or 0 to go on. */
uint32_t process_on_signal(
	int number, const siginfo_t *info, ucontext_t *context, struct process_state *state);
#endif

#endif

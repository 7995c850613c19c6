/* SPDX-License-Identifier: ISC */
#include "summon-vmm/process_state.h"

/*
 * From the monitor to a guest in its process, and back: a change of stack and of FS base, as between
 * two threads. in_guest is set before anything of the guest's is loaded and cleared before anything
 * of it is saved, so that a fault in between counts as the guest's; and the signals' handler sets the
 * FS base on its own, so that it may come at any instruction.
 */
#define SYS_rt_sigreturn 15
#define SYS_arch_prctl 158
#define ARCH_SET_FS 0x1002
#define UC_STACK_SP 16
#define UC_STACK_SIZE 32
#define RFLAGS 2

/* r8: the state. Changes rax, rcx, rsi, rdi, r11. */
	.macro SET_THREAD which
	movq \which(%r8), %rsi
	cmpl $0, PROCESS_HAS_FSGSBASE(%r8)
	je 1f
	wrfsbase %rsi
	jmp 2f
1:	movl $ARCH_SET_FS, %edi
	movl $SYS_arch_prctl, %eax
	syscall
2:
	.endm

	.macro LEAVE_MONITOR
	pushq %rbx
	pushq %rbp
	pushq %r12
	pushq %r13
	pushq %r14
	pushq %r15
	movq %rdi, %r8
	movq %rsp, PROCESS_MONITOR_STACK(%r8)
	.endm

	.text
	.globl process_return, process_continue, process_call, process_signal
	.globl process_window, process_window_end, process_interrupted
	.hidden process_return, process_continue, process_call, process_signal
	.hidden process_window, process_window_end, process_interrupted

/* rdi: the state. The guest goes on where its last call returns. */
	.type process_return, @function
process_return:
	LEAVE_MONITOR
process_window:
	movl $1, PROCESS_IN_GUEST(%r8)
	SET_THREAD PROCESS_GUEST_THREAD
	cmpl $0, PROCESS_INTERRUPTED(%r8)
	movq %r8, %rdi
	jne process_interrupted
	movq PROCESS_RBX(%r8), %rbx
	movq PROCESS_RBP(%r8), %rbp
	movq PROCESS_R12(%r8), %r12
	movq PROCESS_R13(%r8), %r13
	movq PROCESS_R14(%r8), %r14
	movq PROCESS_R15(%r8), %r15
	movq PROCESS_GUEST_STACK(%r8), %rsp
	ret
process_window_end:
	.size process_return, . - process_return

process_interrupted:
	movq %rdi, %r8
	movl $PROCESS_STOP_SIGNAL, %r9d
	jmp enter_monitor

/* rdi: the state, rsi: the context to continue, as the kernel has or would have made it. */
	.type process_continue, @function
process_continue:
	LEAVE_MONITOR
	movq %rsi, %rdx
	movl $1, PROCESS_IN_GUEST(%r8)
	SET_THREAD PROCESS_GUEST_THREAD
	movq %rdx, %rsp
	movl $SYS_rt_sigreturn, %eax
	syscall
	ud2
	.size process_continue, . - process_continue

/* What C keeps over a call is kept; the return address waits on the guest's stack. */
	.type process_call, @function
process_call:
	movl $0, PROCESS_IN_GUEST(%r11)
	movq %rsp, PROCESS_GUEST_STACK(%r11)
	movq %rbx, PROCESS_RBX(%r11)
	movq %rbp, PROCESS_RBP(%r11)
	movq %r12, PROCESS_R12(%r11)
	movq %r13, PROCESS_R13(%r11)
	movq %r14, PROCESS_R14(%r11)
	movq %r15, PROCESS_R15(%r11)
	movq %rdi, PROCESS_ARGUMENT(%r11)
	movq %r11, %r8
	movl %eax, %r9d
/* r8: the state, r9d: why. */
enter_monitor:
	movl $0, PROCESS_IN_GUEST(%r8)
	movq PROCESS_MONITOR_STACK(%r8), %rsp
	pushq $RFLAGS
	popfq
	SET_THREAD PROCESS_MONITOR_THREAD
	movl %r9d, %eax
	popq %r15
	popq %r14
	popq %r13
	popq %r12
	popq %rbp
	popq %rbx
	ret
	.size process_call, . - process_call

/* rdi: the signal, rsi: its siginfo_t, rdx: the ucontext_t. The stack's end is the state's address.
 * To go on is to return, into the C library's rt_sigreturn(). */
	.type process_signal, @function
process_signal:
	pushq $RFLAGS
	popfq
	movq UC_STACK_SP(%rdx), %r8
	addq UC_STACK_SIZE(%rdx), %r8
	movl %edi, %r12d
	movq %rsi, %r13
	movq %r8, %r14
	SET_THREAD PROCESS_MONITOR_THREAD
	movl %r12d, %edi
	movq %r13, %rsi
	movq %r14, %rcx
	subq $8, %rsp
	call process_on_signal
	addq $8, %rsp
	movq %r14, %r8
	movl %eax, %r9d
	testl %eax, %eax
	jnz enter_monitor
	ret
	.size process_signal, . - process_signal

	.section .note.GNU-stack, "", @progbits

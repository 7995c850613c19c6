/* SPDX-License-Identifier: ISC */
#include <asm/prctl.h>
#include <errno.h>
#include <linux/audit.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "summon-vmm/cpu.h"
#include "summon-vmm/process_state.h"
#include "summon-vmm/rights.h"

/*
 * The guest as a part of this process, in memory at its own addresses: where there is no KVM. Its
 * exceptions are our signals, and its calls jump to us. What keeps it is the kernel's seccomp filter
 * (sandbox.c) and nothing else: a guest that was taken over can write all of our memory.
 */

#define SIGNAL_STACK    (64ull << 10) /* several times a frame with AVX-512's registers */
#define HWCAP2_FSGSBASE 2             /* Linux, Documentation/arch/x86/x86_64/fsgs.rst */
#define LARGE_PAGE      0x200000ull

/* Linux, arch/x86/include/asm/segment.h */
#define USER_CODE 0x33ull
#define USER_DATA 0x2bull

/* What a machine makes of system calls, having none: SYSCALL is no instruction; int 0x80 has no gate. */
#define OPCODE           6
#define PROTECTION       13
#define INT_80_CODE      0x402
#define SYSTEM_CALL_SIZE 2

static const int signals[] = {CPU_SIGNAL, SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGTRAP, SIGSYS};

static int failed(struct error *err, const char *what)
{
	return error_set(err, -errno, "process: %s: %s", what, strerror(errno));
}

/* ---- signals ---- */

static void refuse_system_call(const siginfo_t *info, greg_t *registers)
{
	bool is_int_80 = info->si_arch != AUDIT_ARCH_X86_64;
	registers[REG_TRAPNO] = is_int_80 ? PROTECTION : OPCODE;
	registers[REG_ERR] = is_int_80 ? INT_80_CODE : 0;
	registers[REG_RIP] -= SYSTEM_CALL_SIZE;
}

uint32_t process_on_signal(
	int number, const siginfo_t *info, ucontext_t *context, struct process_state *state)
{
	greg_t *registers = context->uc_mcontext.gregs;
	if (!state->in_guest && number == CPU_SIGNAL) {
		state->interrupted = 1;
		return 0;
	}
	if (!state->in_guest) {
		/* A fault of our own: it comes again, and blocked it ends the process. */
		sigaddset(&context->uc_sigmask, number);
		return 0;
	}
	uintptr_t at = (uintptr_t)registers[REG_RIP];
	if (number == CPU_SIGNAL && at >= (uintptr_t)process_window &&
		at < (uintptr_t)process_window_end) {
		registers[REG_RIP] = (greg_t)process_interrupted;
		registers[REG_RDI] = (greg_t)state;
		return 0;
	}
	if (number == SIGSYS)
		refuse_system_call(info, registers);
	state->context = context;
	return number == CPU_SIGNAL ? PROCESS_STOP_SIGNAL : PROCESS_STOP_EXCEPTION;
}

static int handle_signals(struct process_state *state, struct error *err)
{
	const stack_t stack = {.ss_sp = (uint8_t *)state - SIGNAL_STACK, .ss_size = SIGNAL_STACK};
	struct sigaction action = {
		.sa_sigaction = process_signal, .sa_flags = SA_SIGINFO | SA_ONSTACK | SA_RESTART};
	sigemptyset(&action.sa_mask);
	for (size_t i = 0; i < sizeof(signals) / sizeof(signals[0]); i++)
		sigaddset(&action.sa_mask, signals[i]);
	state->first.uc_stack = stack;
	if (sigaltstack(&stack, NULL) < 0)
		return failed(err, "a stack for signals");
	for (size_t i = 0; i < sizeof(signals) / sizeof(signals[0]); i++)
		if (sigaction(signals[i], &action, NULL) < 0)
			return failed(err, "signals");
	return 0;
}

/* ---- its beginning and end ---- */

#define STATE_SIZE (PAGE + SIGNAL_STACK + PAGE) /* a page that ends an overflow; stack; state */

_Static_assert(sizeof(struct process_state) <= PAGE, "the state has one page");

static int process_open(struct cpu *cpu, const struct memory *memory, struct error *err)
{
	struct process *process = &cpu->process;
	*process = (struct process){.mapped = memory->size};
	uint8_t *place = mmap(NULL, STATE_SIZE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (place == MAP_FAILED)
		return failed(err, "memory");
	process->state = (struct process_state *)(place + PAGE + SIGNAL_STACK);
	if (mprotect(place + PAGE, STATE_SIZE - PAGE, PROT_READ | PROT_WRITE) < 0)
		return failed(err, "memory");
	process->state->has_fsgsbase = (getauxval(AT_HWCAP2) & HWCAP2_FSGSBASE) != 0;
	if (syscall(SYS_arch_prctl, ARCH_GET_FS, &process->state->monitor_thread) < 0)
		return failed(err, "the FS base");
	return handle_signals(process->state, err);
}

/* The signals' handlers stay, and are of no use without a guest. */
static void process_finish(struct cpu *cpu)
{
	const stack_t none = {.ss_flags = SS_DISABLE};
	uint8_t *state = (uint8_t *)cpu->process.state;
	if (!state)
		return;
	sigaltstack(&none, NULL);
	munmap(state - SIGNAL_STACK - PAGE, STATE_SIZE);
	cpu->process = (struct process){0};
}

/* ---- the guest's address space ---- */

/* mov eax, n; mov r11, state; mov r10, process_call; jmp r10 */
static void write_calls(const struct memory *memory, struct process_state *state)
{
	uint8_t *page = memory_at(memory, LAYOUT_CALLS, PAGE);
	const uint64_t where = (uintptr_t)state, door = (uintptr_t)process_call;
	memset(page, 0xcc, PAGE);
	for (uint32_t i = 0; i < SUMMON_CALL_COUNT; i++) {
		uint8_t *code = page + i * SUMMON_CALL_SIZE;
		*code++ = 0xb8;
		code = mempcpy(code, &i, sizeof(i));
		code = mempcpy(mempcpy(code, "\x49\xbb", 2), &where, sizeof(where));
		code = mempcpy(mempcpy(code, "\x49\xba", 2), &door, sizeof(door));
		memcpy(code, "\x41\xff\xe2", 3);
	}
}

#define AS_MAPPED (RIGHT_READ | RIGHT_WRITE)

static int protect(uint64_t start, uint64_t end, unsigned rights, struct error *err)
{
	int protection = (rights & RIGHT_READ ? PROT_READ : 0) |
			 (rights & RIGHT_WRITE ? PROT_WRITE : 0) |
			 (rights & RIGHT_EXECUTE ? PROT_EXEC : 0);
	if (start == end || mprotect((void *)(uintptr_t)start, end - start, protection) == 0)
		return 0;
	return failed(err, "the guest's rights to its memory");
}

/* As far as rights differ, run by run; behind that all is as it was mapped. */
static int protect_all(const struct memory *memory, const struct image *image, struct error *err)
{
	uint64_t end = (image->end + LARGE_PAGE - 1) & ~(LARGE_PAGE - 1), start = memory->start;
	unsigned rights = rights_of(image, start);
	int result = 0;
	if (end > memory->size)
		end = memory->size;
	for (uint64_t at = start; result == 0 && at < end; at += PAGE) {
		unsigned here = rights_of(image, at);
		if (here == rights)
			continue;
		if (rights != AS_MAPPED)
			result = protect(start, at, rights, err);
		start = at;
		rights = here;
	}
	return result < 0 || rights == AS_MAPPED ? result : protect(start, end, rights, err);
}

static int process_build(
	struct cpu *cpu, const struct memory *memory, const struct image *image, struct error *err)
{
	write_calls(memory, cpu->process.state);
	int result = protect_all(memory, image, err);
	return result < 0 ? result : protect(memory->size, cpu->process.mapped, 0, err);
}

/* ---- its life ---- */

/* As rt_sigreturn() wants it, with x87 and SSE as they are after a reset. No signal is blocked. */
static void reset_context(ucontext_t *context, uint64_t entry, uint64_t argument)
{
	greg_t *registers = context->uc_mcontext.gregs;
	memset(registers, 0, sizeof(context->uc_mcontext.gregs));
	registers[REG_RIP] = (greg_t)entry;
	registers[REG_RDI] = (greg_t)argument;
	registers[REG_EFL] = 2;
	registers[REG_CSGSFS] = USER_CODE | USER_DATA << 48;
	context->uc_mcontext.fpregs = NULL;
	sigemptyset(&context->uc_sigmask);
}

static int process_enter(struct cpu *cpu, const struct summon_note *note, uint64_t entry,
	uint64_t argument, struct error *err)
{
	struct process_state *state = cpu->process.state;
	state->guest_thread = note->thread;
	bool is_exception = state->context;
	if (!is_exception)
		state->context = &state->first;
	reset_context(state->context, entry, argument);
	return is_exception ? protect(LAYOUT_BOOT, LAYOUT_BOOT + PAGE, RIGHT_READ, err) : 0;
}

static enum cpu_stop process_run(struct cpu *cpu, struct cpu_call *call, struct error *err)
{
	struct process_state *state = cpu->process.state;
	const ucontext_t *context = state->context;
	state->context = NULL;
	uint32_t why = context ? process_continue(state, context) : process_return(state);
	if (why == PROCESS_STOP_SIGNAL) {
		state->interrupted = 0;
		return CPU_INTERRUPTED;
	}
	if (why == PROCESS_STOP_EXCEPTION)
		return CPU_EXCEPTION;
	if (why >= SUMMON_CALL_COUNT) {
		error_set(err, -EPROTO, "the guest made a call that there is not");
		return CPU_BROKEN;
	}
	*call = (struct cpu_call){why, state->argument};
	return CPU_CALL;
}

static int process_exception(struct cpu *cpu, const struct memory *memory,
	struct summon_exception *out, struct error *err)
{
	const greg_t *r = cpu->process.state->context->uc_mcontext.gregs;
	(void)memory;
#define REGISTER(name) (uint64_t) r[REG_##name]
	*out = (struct summon_exception){.cr2 = REGISTER(CR2),
		.r15 = REGISTER(R15),
		.r14 = REGISTER(R14),
		.r13 = REGISTER(R13),
		.r12 = REGISTER(R12),
		.r11 = REGISTER(R11),
		.r10 = REGISTER(R10),
		.r9 = REGISTER(R9),
		.r8 = REGISTER(R8),
		.rbp = REGISTER(RBP),
		.rdi = REGISTER(RDI),
		.rsi = REGISTER(RSI),
		.rdx = REGISTER(RDX),
		.rcx = REGISTER(RCX),
		.rbx = REGISTER(RBX),
		.rax = REGISTER(RAX),
		.vector = REGISTER(TRAPNO),
		.code = REGISTER(ERR),
		.rip = REGISTER(RIP),
		.cs = REGISTER(CSGSFS) & UINT16_MAX,
		.rflags = REGISTER(EFL),
		.rsp = REGISTER(RSP),
		.ss = REGISTER(CSGSFS) >> 48};
#undef REGISTER
	return protect(LAYOUT_BOOT, LAYOUT_BOOT + PAGE, RIGHT_READ | RIGHT_WRITE, err);
}

const struct cpu_ops cpu_process = {
	.name = "process",
	.summary = "a guest is a process, kept by seccomp alone",
	.in_process = true,
	.open = process_open,
	.finish = process_finish,
	.build = process_build,
	.enter = process_enter,
	.run = process_run,
	.exception = process_exception,
};

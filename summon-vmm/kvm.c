/* SPDX-License-Identifier: ISC */
#include "summon-vmm/cpu.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/kvm.h>
#include <signal.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "summon-vmm/machine.h"

#define CR0           0x80050033ull /* PG, AM, WP, NE, ET, MP, PE */
#define CR4           0x620ull      /* OSXMMEXCPT, OSFXSR, PAE */
#define EFER          0xd00ull      /* NXE, LMA, LME; without SCE there is no SYSCALL */
#define RFLAGS        2ull          /* no interrupts, no I/O privilege */
#define HZ_PER_KHZ    1000ull
#define CALL_DOOR     (MEMORY_MAX + LAYOUT_CALL_DOOR)
#define TRAP_DOOR     (MEMORY_MAX + LAYOUT_TRAP_DOOR)
#define ARGUMENT_SIZE 8

static int failed(struct error *err, const char *what)
{
	return error_set(err, -errno, "KVM: %s: %s", what, strerror(errno));
}

static int create_vm(int device)
{
	int vm;
	do
		vm = ioctl(device, KVM_CREATE_VM, 0);
	while (vm < 0 && errno == EINTR);
	return vm;
}

static int kvm_enter(struct cpu *cpu, const struct summon_note *note, uint64_t entry,
	uint64_t argument, struct error *err);
static enum cpu_stop kvm_run(struct cpu *cpu, struct cpu_call *call, struct error *err);

/* Enters the kernel, but not the guest: it completes what the last exit has left open. The very first
 * time it sets up what takes 0.1 ms; newer kernels start a thread of theirs for the machine then, which
 * the limits of the sandbox would refuse. */
static int complete_run(struct kvm *kvm)
{
	kvm->run->immediate_exit = 1;
	int result = ioctl(kvm->vcpu, KVM_RUN, 0);
	kvm->run->immediate_exit = 0;
	return result < 0 && errno != EINTR ? -1 : 0;
}

/* A call that nobody hears, from the call page itself. What KVM makes when a machine first runs, page
 * tables of its own above all, is then there before the guest is; it takes 0.2 ms. The addresses of
 * the image are not mapped yet, so there is nothing about them that would have to be forgotten. A
 * machine that cannot do this cannot run a guest either, which shows soon enough. */
static void kvm_rehearse(struct cpu *cpu, const struct memory *memory)
{
	static const struct summon_note note = {0};
	struct cpu_call call;
	struct error err;
	machine_prepare(memory);
	if (kvm_enter(cpu, &note, LAYOUT_CALLS + SUMMON_CALL_KICK * SUMMON_CALL_SIZE, 0, &err) == 0)
		kvm_run(cpu, &call, &err);
	complete_run(&cpu->kvm);
}

/* Blocked all of the time, and let in by KVM_RUN only: so it cannot come too early to be noticed. */
static int let_signal_in(int vcpu)
{
	const struct kvm_signal_mask mask = {.len = sizeof(uint64_t)};
	const uint64_t blocked = ~(1ull << (CPU_SIGNAL - 1));
	uint8_t bytes[sizeof(mask) + sizeof(blocked)]; /* the set follows the length */
	memcpy(mempcpy(bytes, &mask, sizeof(mask)), &blocked, sizeof(blocked));
	return ioctl(vcpu, KVM_SET_SIGNAL_MASK, bytes);
}

static int kvm_open(struct cpu *cpu, const struct memory *memory, struct error *err)
{
	struct kvm *kvm = &cpu->kvm;
	struct kvm_userspace_memory_region region = {
		.memory_size = memory->size, .userspace_addr = (uintptr_t)memory->bytes};
	*kvm = (struct kvm){.vm = -1, .vcpu = -1};
	kvm->device = open("/dev/kvm", O_RDWR | O_CLOEXEC);
	if (kvm->device < 0)
		return failed(err, "/dev/kvm");
	kvm->vm = create_vm(kvm->device);
	if (kvm->vm < 0)
		return failed(err, "no virtual machine");
	if (ioctl(kvm->vm, KVM_SET_USER_MEMORY_REGION, &region) < 0)
		return failed(err, "no memory for the virtual machine");
	kvm->vcpu = ioctl(kvm->vm, KVM_CREATE_VCPU, 0);
	if (kvm->vcpu < 0)
		return failed(err, "no virtual CPU");
	if (let_signal_in(kvm->vcpu) < 0)
		return failed(err, "a CPU's signals");
	int size = ioctl(kvm->device, KVM_GET_VCPU_MMAP_SIZE, 0);
	if (size < 0)
		return failed(err, "its shared page");
	if (size < (int)sizeof(struct kvm_run))
		return error_set(err, -ENODEV, "KVM: its shared page is too small");
	void *run = mmap(NULL, (size_t)size, PROT_READ | PROT_WRITE, MAP_SHARED, kvm->vcpu, 0);
	if (run == MAP_FAILED)
		return failed(err, "its shared page");
	kvm->run = run;
	kvm->run_size = (size_t)size;
	if (complete_run(kvm) < 0)
		return failed(err, "a CPU that runs");
	/* Of the rest, nothing changes: it is asked for once. */
	if (ioctl(kvm->vcpu, KVM_GET_SREGS, &kvm->reset) < 0)
		return failed(err, "a CPU's registers");
	int khz = ioctl(kvm->vcpu, KVM_GET_TSC_KHZ, 0);
	cpu->tsc_hz = khz > 0 ? (uint64_t)khz * HZ_PER_KHZ : 0;
	return 0;
}

static void kvm_finish(struct cpu *cpu)
{
	struct kvm *kvm = &cpu->kvm;
	if (kvm->run)
		munmap(kvm->run, kvm->run_size);
	const int open[] = {kvm->vcpu, kvm->vm, kvm->device};
	for (size_t i = 0; i < sizeof(open) / sizeof(open[0]); i++)
		if (open[i] >= 0)
			close(open[i]);
	*kvm = (struct kvm){.device = -1, .vm = -1, .vcpu = -1};
}

static int kvm_build(
	struct cpu *cpu, const struct memory *memory, const struct image *image, struct error *err)
{
	cpu->kvm.tables = MACHINE_TABLES;
	cpu->kvm.is_set = false;
	return machine_build(memory, image, MACHINE_TABLES, err);
}

static int set_special(struct kvm *kvm, uint64_t thread, struct error *err)
{
	const struct kvm_segment data = {.limit = UINT32_MAX,
		.selector = MACHINE_DATA3,
		.type = 3,
		.present = 1,
		.dpl = 3,
		.db = 1,
		.s = 1,
		.g = 1};
	struct kvm_sregs s = kvm->reset;
	s.ds = s.es = s.ss = s.fs = s.gs = s.cs = data;
	s.fs.base = thread;
	s.cs.selector = MACHINE_CODE3;
	s.cs.type = 11;
	s.cs.db = 0;
	s.cs.l = 1;
	s.tr = (struct kvm_segment){.base = MACHINE_TSS,
		.limit = MACHINE_TSS_SIZE - 1,
		.selector = MACHINE_TASK,
		.type = 11,
		.present = 1};
	s.ldt = (struct kvm_segment){.unusable = 1};
	s.gdt = (struct kvm_dtable){.base = MACHINE_GDT, .limit = MACHINE_GDT_SIZE - 1};
	s.idt = (struct kvm_dtable){.base = MACHINE_IDT, .limit = MACHINE_IDT_SIZE - 1};
	s.cr0 = CR0;
	s.cr3 = machine_page_table(kvm->tables);
	s.cr4 = CR4;
	s.efer = EFER;
	return ioctl(kvm->vcpu, KVM_SET_SREGS, &s) < 0 ? failed(err, "a CPU in 64-bit mode") : 0;
}

static int kvm_enter(struct cpu *cpu, const struct summon_note *note, uint64_t entry,
	uint64_t argument, struct error *err)
{
	struct kvm *kvm = &cpu->kvm;
	const struct kvm_regs regs = {.rip = entry, .rdi = argument, .rflags = RFLAGS};
	int result = kvm->is_set ? 0 : set_special(kvm, note->thread, err);
	kvm->is_set = false;
	if (result == 0 && ioctl(kvm->vcpu, KVM_SET_REGS, &regs) < 0)
		result = failed(err, "a CPU's registers");
	return result;
}

/* Has the CPU look at these pages, so that KVM maps them. False where it cannot, or has no time. */
static bool touch(struct cpu *cpu, uint64_t toucher, const struct memory_piece *piece)
{
	struct cpu_call call;
	struct error err;
	const struct kvm_regs regs = {
		.rip = toucher, .rdi = piece->start, .rsi = piece->end, .rflags = RFLAGS};
	return ioctl(cpu->kvm.vcpu, KVM_SET_REGS, &regs) == 0 &&
	       kvm_run(cpu, &call, &err) == CPU_CALL && complete_run(&cpu->kvm) == 0;
}

/* Without nested paging, a page that is touched for the first time takes 10 us. */
static int kvm_build_ahead(struct cpu *cpu, const struct memory *memory, const struct image *image,
	const struct memory_piece *used, unsigned count, struct error *err)
{
	struct kvm *kvm = &cpu->kvm;
	kvm->tables = MACHINE_TABLES_AHEAD;
	int result = machine_build(memory, image, MACHINE_TABLES_AHEAD, err);
	if (result == 0)
		result = set_special(kvm, image->note.thread, err);
	if (result < 0)
		return result;
	uint64_t toucher = machine_add_toucher(memory);
	for (unsigned i = 0; i < count && touch(cpu, toucher, &used[i]);)
		i++;
	machine_prepare(memory);
	/* Once more: an exception would have left something behind. */
	result = set_special(kvm, image->note.thread, err);
	kvm->is_set = result == 0;
	return result;
}

/* A call is a write of eight bytes to its place behind the call door, which the call page makes;
 * another access there is made by a guest that does as it likes. */
static enum cpu_stop through_a_door(
	const struct kvm_run *run, struct cpu_call *call, struct error *err)
{
	uint64_t address = run->mmio.phys_addr;
	uint64_t number = (address - CALL_DOOR) / ARGUMENT_SIZE;
	if (run->mmio.is_write && address == TRAP_DOOR)
		return CPU_EXCEPTION;
	if (!run->mmio.is_write || run->mmio.len != ARGUMENT_SIZE || address % ARGUMENT_SIZE ||
		address < CALL_DOOR || number >= SUMMON_CALL_COUNT) {
		error_set(err, -EPROTO, "the guest made a call that there is not");
		return CPU_BROKEN;
	}
	call->number = number;
	memcpy(&call->argument, run->mmio.data, sizeof(call->argument));
	return CPU_CALL;
}

static enum cpu_stop kvm_run(struct cpu *cpu, struct cpu_call *call, struct error *err)
{
	const struct kvm_run *run = cpu->kvm.run;
	if (ioctl(cpu->kvm.vcpu, KVM_RUN, 0) < 0) {
		if (errno == EINTR || errno == EAGAIN)
			return CPU_INTERRUPTED;
		failed(err, "the guest cannot go on");
		return CPU_BROKEN;
	}
	switch (run->exit_reason) {
	case KVM_EXIT_MMIO:
		return through_a_door(run, call, err);
	case KVM_EXIT_SHUTDOWN:
		error_set(err, -EPROTO, "the guest's CPU shut down (triple fault)");
		break;
	case KVM_EXIT_INTERNAL_ERROR:
		error_set(err, -EPROTO, "KVM could not go on with the guest (internal error %u)",
			run->internal.suberror);
		break;
	default:
		error_set(err, -EPROTO, "the guest left in a way that it should not have (%u)",
			run->exit_reason);
	}
	return CPU_BROKEN;
}

static int kvm_exception(struct cpu *cpu, const struct memory *memory, struct summon_exception *out,
	struct error *err)
{
	struct kvm *kvm = &cpu->kvm;
	struct kvm_regs r;
	struct kvm_sregs s;
	/* The write through the door is complete only once KVM_RUN was called again. */
	complete_run(kvm);
	if (ioctl(kvm->vcpu, KVM_GET_REGS, &r) < 0 || ioctl(kvm->vcpu, KVM_GET_SREGS, &s) < 0)
		return failed(err, "a CPU's registers");
	const struct machine_trap *trap = memory_at(memory, r.rsp, sizeof(*trap));
	if (!trap || r.rsp < LAYOUT_CPU_STACK || r.rsp > LAYOUT_CPU_STACK + PAGE - sizeof(*trap))
		return error_set(err, -EPROTO, "an exception left no trace");
	*out = (struct summon_exception){.cr2 = s.cr2,
		.r15 = r.r15,
		.r14 = r.r14,
		.r13 = r.r13,
		.r12 = r.r12,
		.r11 = r.r11,
		.r10 = r.r10,
		.r9 = r.r9,
		.r8 = r.r8,
		.rbp = r.rbp,
		.rdi = r.rdi,
		.rsi = r.rsi,
		.rdx = r.rdx,
		.rcx = r.rcx,
		.rbx = r.rbx,
		.rax = r.rax,
		.vector = trap->vector,
		.code = trap->code,
		.rip = trap->rip,
		.cs = trap->cs,
		.rflags = trap->rflags,
		.rsp = trap->rsp,
		.ss = trap->ss};
	return 0;
}

const struct cpu_ops cpu_kvm = {
	.name = "kvm",
	.summary = "guest code runs natively at CPL 3",
	.open = kvm_open,
	.finish = kvm_finish,
	.rehearse = kvm_rehearse,
	.build = kvm_build,
	.build_ahead = kvm_build_ahead,
	.enter = kvm_enter,
	.run = kvm_run,
	.exception = kvm_exception,
};

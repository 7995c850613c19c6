/* SPDX-License-Identifier: ISC */
#include "launcher/libvirt/probe.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/kvm.h>
#include <signal.h>
#include <stdint.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/units.h"

#define MEMORY_SIZE 0x10000
#define CODE        0x1000
#define TIME_LIMIT  (500 * NS_PER_MS)
/* 2 x 200000 instructions: 0.1 ms on a processor, 400 ms where each is emulated in 1 us. */
#define LOOPS       200000
#define RUN_LIMIT   (50 * NS_PER_MS)

/* The child's exit status: the step that failed. */
enum step {
	STEP_OK,
	STEP_OPEN,
	STEP_VM,
	STEP_MEMORY,
	STEP_VCPU,
	STEP_REGISTERS,
	STEP_RUN,
	STEP_EXIT,
	STEP_RESULT,
	STEP_SLOW,
	STEP_COUNT
};

static const char *const step_text[STEP_COUNT] = {
	[STEP_OPEN] = "/dev/kvm cannot be opened",
	[STEP_VM] = "no virtual machine can be made",
	[STEP_MEMORY] = "a virtual machine gets no memory",
	[STEP_VCPU] = "a virtual machine gets no processor",
	[STEP_REGISTERS] = "a processor's registers cannot be set",
	[STEP_RUN] = "a processor cannot be run",
	[STEP_EXIT] = "ordinary guest code (with an SSE instruction) does not run to its end",
	[STEP_RESULT] = "guest code computes a wrong result",
	[STEP_SLOW] = "guest code is emulated, not run by the processor",
};

/* 32-bit flat code at CPL 0:
 *   mov ecx, LOOPS; 1: dec ecx; jnz 1b        (speed)
 *   mov eax, cr4; or eax, 0x200; mov cr4, eax (OSFXSR)
 *   pcmpeqd xmm0, xmm0; movd eax, xmm0; hlt   (eax = -1) */
static const uint8_t code[] = {0xb9, LOOPS & 0xff, LOOPS >> 8 & 0xff, LOOPS >> 16 & 0xff, 0, 0x49,
	0x75, 0xfd, 0x0f, 0x20, 0xe0, 0x0d, 0x00, 0x02, 0x00, 0x00, 0x0f, 0x22, 0xe0, 0x66, 0x0f,
	0x76, 0xc0, 0x66, 0x0f, 0x7e, 0xc0, 0xf4};

static int vcpu_prepare(int vcpu)
{
	struct kvm_sregs sregs;
	if (ioctl(vcpu, KVM_GET_SREGS, &sregs) < 0)
		return -1;
	struct kvm_segment flat = {.base = 0,
		.limit = 0xffffffff,
		.selector = 8,
		.type = 11,
		.present = 1,
		.db = 1,
		.s = 1,
		.g = 1};
	sregs.cs = flat;
	flat.type = 3;
	flat.selector = 16;
	sregs.ds = sregs.es = sregs.fs = sregs.gs = sregs.ss = flat;
	sregs.cr0 = 0x33; /* PE, MP, ET, NE: no emulation, no task switched */
	struct kvm_regs regs = {.rip = CODE, .rsp = MEMORY_SIZE, .rflags = 2};
	return ioctl(vcpu, KVM_SET_SREGS, &sregs) < 0 || ioctl(vcpu, KVM_SET_REGS, &regs) < 0 ? -1
											      : 0;
}

static enum step vcpu_run(int vcpu, const struct kvm_run *run)
{
	struct kvm_regs regs;
	uint64_t began = clock_monotonic();
	while (ioctl(vcpu, KVM_RUN, 0) < 0)
		if (errno != EINTR)
			return STEP_RUN;
	uint64_t took = clock_monotonic() - began;
	if (run->exit_reason != KVM_EXIT_HLT)
		return STEP_EXIT;
	if (ioctl(vcpu, KVM_GET_REGS, &regs) < 0 || (uint32_t)regs.rax != UINT32_MAX || regs.rcx)
		return STEP_RESULT;
	return took > RUN_LIMIT ? STEP_SLOW : STEP_OK;
}

/* In the child: system calls only. Everything goes with the process. */
static enum step guest_run(void)
{
	int kvm = open("/dev/kvm", O_RDWR | O_CLOEXEC);
	if (kvm < 0)
		return STEP_OPEN;
	int vm = ioctl(kvm, KVM_CREATE_VM, 0);
	if (vm < 0)
		return STEP_VM;
	uint8_t *memory =
		mmap(NULL, MEMORY_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	struct kvm_userspace_memory_region region = {
		.memory_size = MEMORY_SIZE, .userspace_addr = (uintptr_t)memory};
	if (memory == MAP_FAILED || ioctl(vm, KVM_SET_USER_MEMORY_REGION, &region) < 0)
		return STEP_MEMORY;
	memcpy(memory + CODE, code, sizeof(code));
	int vcpu = ioctl(vm, KVM_CREATE_VCPU, 0);
	int size = ioctl(kvm, KVM_GET_VCPU_MMAP_SIZE, 0);
	if (vcpu < 0 || size < (int)sizeof(struct kvm_run))
		return STEP_VCPU;
	struct kvm_run *run = mmap(NULL, (size_t)size, PROT_READ, MAP_SHARED, vcpu, 0);
	if (run == MAP_FAILED)
		return STEP_VCPU;
	if (vcpu_prepare(vcpu) < 0)
		return STEP_REGISTERS;
	return vcpu_run(vcpu, run);
}

/* The child's wait status, or -ETIME. */
static int child_wait(pid_t child)
{
	uint64_t limit = clock_monotonic() + TIME_LIMIT;
	int status;
	while (clock_monotonic() < limit) {
		if (waitpid(child, &status, WNOHANG) == child)
			return status;
		usleep(500);
	}
	kill(child, SIGKILL);
	/* A processor that hangs in the kernel does not even die; do not wait for it for ever. */
	for (int i = 0; i < 100 && waitpid(child, &status, WNOHANG) == 0; i++)
		usleep(1000);
	return -ETIME;
}

int kvm_probe(struct error *err)
{
	if (access("/dev/kvm", R_OK | W_OK) < 0)
		return error_set(err, -errno, "/dev/kvm: %s", strerror(errno));
	pid_t child = fork();
	if (child < 0)
		return error_set(err, -errno, "fork: %s", strerror(errno));
	if (child == 0) {
		/* Nothing of ours outlives us in it: the doorbell and the sockets are the next one's. */
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		close_range(STDERR_FILENO + 1, UINT32_MAX, 0);
		_exit(guest_run());
	}
	int status = child_wait(child);
	if (status < 0)
		return error_set(err, -ETIME, "KVM: guest code does not come to its end in 500 ms");
	int step = WIFEXITED(status) ? WEXITSTATUS(status) : STEP_RUN;
	if (step == STEP_OK)
		return 0;
	return error_set(
		err, -ENODEV, "KVM: %s", step < STEP_COUNT ? step_text[step] : "the probe died");
}

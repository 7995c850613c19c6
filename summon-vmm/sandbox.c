/* SPDX-License-Identifier: ISC */
#include "summon-vmm/sandbox.h"

#include <asm/prctl.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/audit.h>
#include <linux/capability.h>
#include <linux/filter.h>
#include <linux/kvm.h>
#include <linux/seccomp.h>
#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "summon-vmm/include/protocol.h"
#include "summon-vmm/memory.h"

/* ---- what is done while a guest lives ---- */

enum wanted { ANYTHING, EXACTLY, OUR_TAP, OURSELVES };

/* One argument of a call, all 64 bits of it. */
struct check {
	enum wanted wanted;
	unsigned argument;
	uint64_t value; /* EXACTLY */
};

#define CHECKS 3

struct allowed {
	uint32_t number;
	unsigned whose; /* a mask of enum sandbox_of */
	struct check checks[CHECKS];
};

#define ALL     (SANDBOX_MACHINE | SANDBOX_SHELL | SANDBOX_GUEST)
#define MONITOR (SANDBOX_MACHINE | SANDBOX_SHELL)
#define PROCESS (SANDBOX_SHELL | SANDBOX_GUEST)
#define IS(n, what)                                                                                \
	{                                                                                          \
		EXACTLY, n, what                                                                   \
	}

static const struct allowed table[] = {
	/* The order is that of frequency: the filter is asked from the top. */
	{SYS_ioctl, SANDBOX_MACHINE, {IS(1, KVM_RUN)}}, /* run the guest */
	{SYS_ppoll, ALL, {}},                           /* wait for frames, requests, a deadline */
	{SYS_read, MONITOR, {}}, /* frames from the tap; nothing else open has much to say */
	{SYS_read, SANDBOX_GUEST, {{OUR_TAP, 0, 0}}},
	{SYS_writev, MONITOR, {}}, /* frames to the tap, */
	{SYS_writev, SANDBOX_GUEST, {{OUR_TAP, 0, 0}}},
	{SYS_write, MONITOR, {}},      /* last words of our own to stderr */
	{SYS_recvmsg, ALL, {}},        /* requests */
	{SYS_sendto, ALL, {IS(4, 0)}}, /* news, console output; to whom it is connected, no other */
	{SYS_rt_sigreturn, PROCESS, {}}, /* let the guest go on where a signal stopped it */
	{SYS_arch_prctl, PROCESS,
		{IS(0, ARCH_SET_FS)}},     /* its FS base and ours, on older kernels */
	{SYS_rt_sigtimedwait, ALL, {}},    /* take back the signal that interrupted the guest */
	{SYS_mprotect, SANDBOX_SHELL, {}}, /* the guest's rights to its memory, once, */
	{SYS_getpid, SANDBOX_SHELL, {}},   /* which process the filter means, */
	{SYS_seccomp, SANDBOX_SHELL, {}},  /* and what both may do from then on */
	{SYS_pread64, MONITOR, {}}, /* the image and the initrd that a request has brought, */
	{SYS_pread64, SANDBOX_GUEST, {IS(0, MEMORY_PAGEMAP)}}, /* which pages there are to keep, */
	{SYS_lseek, MONITOR, {}},                              /* the size of the latter, */
	/* a kept guest's memory, shared with others until it is changed, */
	{SYS_mmap, MONITOR, {IS(2, PROT_READ | PROT_WRITE), IS(3, MAP_PRIVATE | MAP_FIXED)}},
	{SYS_getrandom, MONITOR, {}}, /* and its guest's random seed */
	{SYS_pwrite64, ALL, {}},      /* keep a guest in a file that a request has brought */
	{SYS_madvise, ALL,
		{IS(2, MADV_DONTNEED)}},         /* give back what a paused guest does not need, */
	{SYS_madvise, ALL, {IS(2, MADV_COLD)}},  /* or not soon */
	{SYS_accept4, ALL, {IS(0, CONTROL_FD)}}, /* a daemon that was restarted comes back; */
	{SYS_fcntl, ALL, {IS(1, F_SETFL)}},      /* have its requests signalled, */
	{SYS_fcntl, ALL, {IS(1, F_SETOWN), {OURSELVES, 2, 0}}}, /* to nobody else */
	{SYS_close, ALL, {}}, /* forget files that were read, and a daemon that is gone */
	{SYS_ioctl, SANDBOX_MACHINE, {IS(1, KVM_GET_REGS)}},  /* a crash: what the CPU knew, */
	{SYS_ioctl, SANDBOX_MACHINE, {IS(1, KVM_GET_SREGS)}}, /* its CR2, */
	{SYS_ioctl, SANDBOX_MACHINE, {IS(1, KVM_SET_REGS)}},  /* and the guest's own report of it */
	{SYS_ioctl, SANDBOX_MACHINE, {IS(1, KVM_SET_SREGS)}}, /* likewise */
	/* A crash without KVM: the same goes through the boot page. */
	{SYS_mprotect, SANDBOX_GUEST,
		{IS(0, LAYOUT_BOOT), IS(1, PAGE), IS(2, PROT_READ | PROT_WRITE)}},
	{SYS_mprotect, SANDBOX_GUEST, {IS(0, LAYOUT_BOOT), IS(1, PAGE), IS(2, PROT_READ)}},
	{SYS_clock_gettime, ALL, {}},   /* where the vDSO cannot tell the time */
	{SYS_restart_syscall, ALL, {}}, /* a wait that was stopped (SIGSTOP) and continued */
	{SYS_exit_group, ALL, {}},      /* the end */
};

/* ---- the filter (Linux, Documentation/userspace-api/seccomp_filter.rst) ---- */

#define RULES       (sizeof(table) / sizeof(table[0]))
#define RULE_MAX    (3 + 4 * CHECKS)
#define PROGRAM_MAX (8 + RULE_MAX * RULES)

#define LOAD(offset) (struct sock_filter) BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offset)
/* Skips `otherwise` statements where the loaded word is not `value`. */
#define IF_EQUAL(value, otherwise)                                                                 \
	(struct sock_filter) BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, value, 0, otherwise)
#define RETURN(what) (struct sock_filter) BPF_STMT(BPF_RET | BPF_K, what)

#define NUMBER  offsetof(struct seccomp_data, nr)
#define ARCH    offsetof(struct seccomp_data, arch)
#define PC_HIGH (offsetof(struct seccomp_data, instruction_pointer) + sizeof(uint32_t))

static uint64_t wanted_value(const struct check *check, int tap)
{
	switch (check->wanted) {
	case OUR_TAP:
		return tap < 0 ? UINT64_MAX : (uint64_t)tap;
	case OURSELVES:
		return (uint64_t)getpid();
	default:
		return check->value;
	}
}

static unsigned count_checks(const struct allowed *rule)
{
	unsigned count = 0;
	while (count < CHECKS && rule->checks[count].wanted != ANYTHING)
		count++;
	return count;
}

static unsigned add_rule(struct sock_filter *out, const struct allowed *rule, int tap)
{
	unsigned n = 0, checks = count_checks(rule);
	uint8_t left =
		(uint8_t)(4 * checks + 1); /* statements up to the next rule's, or the reload */
	out[n++] = IF_EQUAL(rule->number, checks ? left + 1 : left);
	for (unsigned i = 0; i < checks; i++, left -= 4) {
		const struct check *check = &rule->checks[i];
		uint64_t value = wanted_value(check, tap);
		size_t at = offsetof(struct seccomp_data, args) + check->argument * sizeof(value);
		out[n++] = LOAD(at);
		out[n++] = IF_EQUAL((uint32_t)value, left - 2);
		out[n++] = LOAD(at + sizeof(uint32_t));
		out[n++] = IF_EQUAL((uint32_t)(value >> 32), left - 4);
	}
	out[n++] = RETURN(SECCOMP_RET_ALLOW);
	if (checks)
		out[n++] = LOAD(NUMBER);
	return n;
}

/* All that a guest can run lies below 4 GiB, and nothing of ours does. */
static int filter_calls(enum sandbox_of whose, int tap)
{
	struct sock_filter program[PROGRAM_MAX];
	unsigned n = 0;
	if (whose & PROCESS) {
		program[n++] = LOAD(PC_HIGH);
		program[n++] = IF_EQUAL(0, 1);
		program[n++] = RETURN(SECCOMP_RET_TRAP);
	}
	program[n++] = LOAD(ARCH);
	program[n++] = IF_EQUAL(AUDIT_ARCH_X86_64, 1);
	program[n++] = (struct sock_filter)BPF_STMT(BPF_JMP | BPF_JA, 1);
	program[n++] = RETURN(SECCOMP_RET_KILL_PROCESS);
	program[n++] = LOAD(NUMBER);
	for (size_t i = 0; i < RULES; i++)
		if (table[i].whose & whose)
			n += add_rule(program + n, &table[i], tap);
	program[n++] = RETURN(SECCOMP_RET_KILL_PROCESS);
	const struct sock_fprog filter = {(unsigned short)n, program};
	return (int)syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &filter);
}

/* ---- the rest ---- */

static int failed(struct error *err, const char *what)
{
	return error_set(err, -errno, "sandbox: %s: %s", what, strerror(errno));
}

/* A user that nothing else belongs to. Only where we could end processes of other users: then our
 * starter, of whom we have that, can end us. User ids above 0x70000000 are nobody's
 * (systemd, docs/UIDS-GIDS.md). */
#define USERS 0x70000000u

static void drop_user(void)
{
	struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
	struct __user_cap_data_struct ours[_LINUX_CAPABILITY_U32S_3] = {0};
	const uint32_t needed = 1u << CAP_KILL | 1u << CAP_SETUID | 1u << CAP_SETGID;
	unsigned id = USERS + (unsigned)getpid();
	if (syscall(SYS_capget, &header, ours) < 0 || (ours[0].effective & needed) != needed)
		return;
	/* A namespace may not have this user: then we stay who we are. */
	if (syscall(SYS_setgroups, 0, NULL) == 0 && syscall(SYS_setresgid, id, id, id) == 0)
		(void)!syscall(SYS_setresuid, id, id, id);
}

static int drop_capabilities(void)
{
	struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
	const struct __user_cap_data_struct none[_LINUX_CAPABILITY_U32S_3] = {0};
	return (int)syscall(SYS_capset, &header, none);
}

static const struct {
	int resource;
	rlim_t most;
} limits[] = {
	{RLIMIT_CORE, 0},    /* it would be the guest's memory, in a file */
	{RLIMIT_NOFILE, 16}, /* what is open, and what comes with a request */
	{RLIMIT_NPROC, 0},
};

static int limit_resources(void)
{
	for (size_t i = 0; i < sizeof(limits) / sizeof(limits[0]); i++) {
		struct rlimit limit;
		if (getrlimit(limits[i].resource, &limit) < 0)
			return -1;
		if (limit.rlim_cur > limits[i].most)
			limit.rlim_cur = limits[i].most;
		limit.rlim_max = limit.rlim_cur;
		if (setrlimit(limits[i].resource, &limit) < 0)
			return -1;
	}
	return 0;
}

int sandbox_close_inherited(int last, struct error *err)
{
	return close_range((unsigned)last + 1, UINT32_MAX, 0) < 0 ? failed(err, "close_range") : 0;
}

int sandbox_enter(enum sandbox_of whose, struct error *err)
{
	if (limit_resources() < 0)
		return failed(err, "setrlimit");
	drop_user();
	if (drop_capabilities() < 0)
		return failed(err, "capset");
	if (prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) < 0)
		return failed(err, "not to be looked at");
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		return failed(err, "no new privileges");
	return filter_calls(whose, -1) < 0 ? failed(err, "seccomp") : 0;
}

int sandbox_enter_guest(int tap, struct error *err)
{
	/* Standard error is somebody else's file too, with its flags. */
	for (int fd = 0; fd <= STDERR_FILENO; fd++)
		close(fd);
	return filter_calls(SANDBOX_GUEST, tap) < 0 ? failed(err, "seccomp") : 0;
}

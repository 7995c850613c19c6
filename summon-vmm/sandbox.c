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

enum wanted { ANYTHING, EXACTLY, REQUEST, OUR_TAP, OURSELVES };

/* One argument of a call, all 64 bits of it; but of a REQUEST of ioctl() only those that the kernel looks
 * at: in the others, musl has the sign of the rest. */
struct check {
	enum wanted wanted;
	unsigned argument;
	uint64_t value; /* EXACTLY, REQUEST */
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
#define ASKS(what)                                                                                 \
	{                                                                                          \
		REQUEST, 1, what                                                                   \
	}
#define IS(n, what)                                                                                \
	{                                                                                          \
		EXACTLY, n, what                                                                   \
	}

static const struct allowed table[] = {
	{SYS_ioctl, SANDBOX_MACHINE, {ASKS(KVM_RUN)}}, /* run the guest */
	{SYS_ppoll, ALL, {}},                          /* wait for frames, requests, a deadline */
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
	{SYS_madvise, MONITOR, {IS(2, MADV_POPULATE_WRITE)}},  /* backed before they are touched, */
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
	{SYS_ioctl, SANDBOX_MACHINE, {ASKS(KVM_GET_REGS)}},  /* a crash: what the CPU knew, */
	{SYS_ioctl, SANDBOX_MACHINE, {ASKS(KVM_GET_SREGS)}}, /* its CR2, */
	{SYS_ioctl, SANDBOX_MACHINE, {ASKS(KVM_SET_REGS)}},  /* and the guest's own report of it */
	{SYS_ioctl, SANDBOX_MACHINE, {ASKS(KVM_SET_SREGS)}}, /* likewise */
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
#define RULE_MAX    (5 + 4 * CHECKS) /* with what leads to it */
#define PROGRAM_MAX (8 + RULE_MAX * RULES)

#define LOAD(offset) (struct sock_filter) BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offset)
/* Skips `otherwise` statements where the loaded word is not `value`. */
#define IF_EQUAL(value, otherwise)                                                                 \
	(struct sock_filter) BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, value, 0, otherwise)
#define SKIP(statements) (struct sock_filter) BPF_STMT(BPF_JMP | BPF_JA, statements)
/* Skips the statement that follows where the loaded word is smaller. */
#define IF_FROM(value)   (struct sock_filter) BPF_JUMP(BPF_JMP | BPF_JGE | BPF_K, value, 0, 1)
#define RETURN(what)     (struct sock_filter) BPF_STMT(BPF_RET | BPF_K, what)

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

static unsigned statements_of(const struct check *check)
{
	return check->wanted == REQUEST ? 2 : 4;
}

/* Once the number is the right one. */
static unsigned add_rule(struct sock_filter *out, const struct allowed *rule, int tap)
{
	unsigned n = 0, checks = count_checks(rule), end = 1;
	for (unsigned i = 0; i < checks; i++)
		end += statements_of(&rule->checks[i]);
	for (unsigned i = 0; i < checks; i++) {
		const struct check *check = &rule->checks[i];
		uint64_t value = wanted_value(check, tap);
		size_t at = offsetof(struct seccomp_data, args) + check->argument * sizeof(value);
		out[n++] = LOAD(at);
		out[n] = IF_EQUAL((uint32_t)value, (uint8_t)(end - n - 1));
		n++;
		if (check->wanted == REQUEST)
			continue;
		out[n++] = LOAD(at + sizeof(uint32_t));
		out[n] = IF_EQUAL((uint32_t)(value >> 32), (uint8_t)(end - n - 1));
		n++;
	}
	out[n++] = RETURN(SECCOMP_RET_ALLOW);
	return n;
}

struct rules {
	const struct allowed *rule[RULES]; /* in the order of their numbers */
	int tap;
};

/* Those of one number; then the others are no concern. */
static unsigned add_number(
	struct sock_filter *out, const struct rules *rules, unsigned first, unsigned end)
{
	unsigned n = 1;
	for (unsigned i = first; i < end; i++)
		n += add_rule(out + n, rules->rule[i], rules->tap);
	out[0] = IF_EQUAL(rules->rule[first]->number, (uint8_t)(n - 1));
	out[n++] = RETURN(SECCOMP_RET_KILL_PROCESS);
	return n;
}

/* A tree: the filter is gone through for each call that is not allowed whatever its arguments are, and
 * once for each number that there is when the kernel takes it. */
static unsigned add_tree(
	struct sock_filter *out, const struct rules *rules, unsigned first, unsigned end)
{
	unsigned middle = (first + end) / 2;
	while (middle > first && rules->rule[middle]->number == rules->rule[middle - 1]->number)
		middle--;
	if (middle == first)
		for (middle++; middle < end &&
			       rules->rule[middle]->number == rules->rule[middle - 1]->number;)
			middle++;
	if (middle == end)
		return add_number(out, rules, first, end);
	unsigned n = 2 + add_tree(out + 2, rules, first, middle);
	out[0] = IF_FROM(rules->rule[middle]->number);
	out[1] = SKIP(n - 2);
	return n + add_tree(out + n, rules, middle, end);
}

static unsigned sort_rules(enum sandbox_of whose, struct rules *out)
{
	unsigned count = 0;
	for (size_t i = 0; i < RULES; i++) {
		unsigned place = count;
		if (!(table[i].whose & whose))
			continue;
		for (; place > 0 && out->rule[place - 1]->number > table[i].number; place--)
			out->rule[place] = out->rule[place - 1];
		out->rule[place] = &table[i];
		count++;
	}
	return count;
}

/* All that a guest can run lies below 4 GiB, and nothing of ours does. */
static int filter_calls(enum sandbox_of whose, int tap)
{
	struct sock_filter program[PROGRAM_MAX];
	struct rules rules = {.tap = tap};
	unsigned n = 0;
	if (whose & PROCESS) {
		program[n++] = LOAD(PC_HIGH);
		program[n++] = IF_EQUAL(0, 1);
		program[n++] = RETURN(SECCOMP_RET_TRAP);
	}
	program[n++] = LOAD(ARCH);
	program[n++] = IF_EQUAL(AUDIT_ARCH_X86_64, 1);
	program[n++] = SKIP(1);
	program[n++] = RETURN(SECCOMP_RET_KILL_PROCESS);
	program[n++] = LOAD(NUMBER);
	unsigned count = sort_rules(whose, &rules);
	n += add_tree(program + n, &rules, 0, count);
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

#ifndef CLOSE_RANGE_UNSHARE /* musl 1.2.3 does not know it */
static int close_range(unsigned first, unsigned last, int flags)
{
	return (int)syscall(SYS_close_range, first, last, flags);
}
#endif

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

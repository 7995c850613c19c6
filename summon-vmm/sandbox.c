/* SPDX-License-Identifier: ISC */
#include "summon-vmm/sandbox.h"

#include <errno.h>
#include <linux/audit.h>
#include <linux/capability.h>
#include <linux/filter.h>
#include <linux/kvm.h>
#include <linux/seccomp.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

/* ---- what a monitor does while its guest lives ---- */

struct allowed {
	uint32_t number;
	bool checks; /* the second argument has to be `argument` */
	uint32_t argument;
};

static const struct allowed table[] = {
	/* The order is that of frequency: the filter is asked from the top. */
	{SYS_ioctl, true, KVM_RUN}, /* run the guest */
	{SYS_ppoll, false, 0},      /* wait for frames, requests, a deadline */
	{SYS_read, false, 0},       /* frames from the tap; nothing else open has much to say */
	{SYS_write, false, 0},      /* frames to the tap; last words of our own to stderr */
	{SYS_recvmsg, false, 0},    /* requests */
	{SYS_sendto, false, 0},     /* news, console output */
	{SYS_rt_sigtimedwait, false, 0}, /* take back the signal that interrupted the guest */
	{SYS_pread64, false, 0},         /* the image and the initrd that a request has brought, */
	{SYS_lseek, false, 0},           /* the size of the latter, */
	{SYS_getrandom, false, 0},       /* and its guest's random seed */
	{SYS_accept4, false, 0},         /* a daemon that was restarted comes back */
	{SYS_fcntl, false, 0},           /* have its requests signalled */
	{SYS_close, false, 0}, /* forget files that were read, and a daemon that is gone */
	{SYS_ioctl, true, KVM_GET_REGS},  /* a crash: what the CPU knew, */
	{SYS_ioctl, true, KVM_GET_SREGS}, /* its CR2, */
	{SYS_ioctl, true, KVM_SET_REGS},  /* and the guest's own report of it */
	{SYS_ioctl, true, KVM_SET_SREGS}, /* likewise */
	{SYS_clock_gettime, false, 0},    /* where the vDSO cannot tell the time */
	{SYS_restart_syscall, false, 0},  /* a wait that was stopped (SIGSTOP) and continued */
	{SYS_exit_group, false, 0},       /* the end */
};

/* ---- the filter (Linux, Documentation/userspace-api/seccomp_filter.rst) ---- */

#define RULES       (sizeof(table) / sizeof(table[0]))
#define PROGRAM_MAX (6 + 5 * RULES)

#define LOAD(field)                                                                                \
	(struct sock_filter)                                                                       \
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, field))
/* Skips `otherwise` statements where the loaded word is not `value`. */
#define IF_EQUAL(value, otherwise)                                                                 \
	(struct sock_filter) BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, value, 0, otherwise)
#define RETURN(what) (struct sock_filter) BPF_STMT(BPF_RET | BPF_K, what)

static unsigned add_rule(struct sock_filter *out, const struct allowed *rule)
{
	unsigned n = 0;
	out[n++] = IF_EQUAL(rule->number, rule->checks ? 4 : 1);
	if (rule->checks) {
		out[n++] = LOAD(args[1]); /* the low half: a request of ioctl() is 32 bits wide */
		out[n++] = IF_EQUAL(rule->argument, 1);
	}
	out[n++] = RETURN(SECCOMP_RET_ALLOW);
	if (rule->checks)
		out[n++] = LOAD(nr);
	return n;
}

static int filter_calls(void)
{
	struct sock_filter program[PROGRAM_MAX];
	unsigned n = 0;
	program[n++] = LOAD(arch);
	program[n++] = IF_EQUAL(AUDIT_ARCH_X86_64, 1);
	program[n++] = (struct sock_filter)BPF_STMT(BPF_JMP | BPF_JA, 1);
	program[n++] = RETURN(SECCOMP_RET_KILL_PROCESS);
	program[n++] = LOAD(nr);
	for (size_t i = 0; i < RULES; i++)
		n += add_rule(program + n, &table[i]);
	program[n++] = RETURN(SECCOMP_RET_KILL_PROCESS);
	const struct sock_fprog filter = {(unsigned short)n, program};
	return (int)syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &filter);
}

/* ---- the rest ---- */

static int drop_capabilities(void)
{
	struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
	const struct __user_cap_data_struct none[_LINUX_CAPABILITY_U32S_3] = {0};
	return (int)syscall(SYS_capset, &header, none);
}

static int failed(struct error *err, const char *what)
{
	return error_set(err, -errno, "sandbox: %s: %s", what, strerror(errno));
}

int sandbox_close_inherited(int last, struct error *err)
{
	return close_range((unsigned)last + 1, UINT32_MAX, 0) < 0 ? failed(err, "close_range") : 0;
}

int sandbox_enter(struct error *err)
{
	const struct rlimit no_core = {0, 0};
	/* A core file would be the guest's memory, in a file. */
	if (setrlimit(RLIMIT_CORE, &no_core) < 0)
		return failed(err, "setrlimit");
	if (drop_capabilities() < 0)
		return failed(err, "capset");
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		return failed(err, "no new privileges");
	return filter_calls() < 0 ? failed(err, "seccomp") : 0;
}

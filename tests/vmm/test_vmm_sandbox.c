/* SPDX-License-Identifier: ISC */
/* Each attempt is a child that has entered the sandbox: what it may not do ends it with SIGSYS. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <fcntl.h>
#include <linux/kvm.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "summon-vmm/sandbox.h"

enum { DONE = 33, NO_SANDBOX = 34 };

static void opens_a_file(void)
{
	syscall(SYS_openat, AT_FDCWD, "/etc/passwd", O_RDONLY);
}

static void makes_a_socket(void)
{
	syscall(SYS_socket, AF_INET, SOCK_STREAM, 0);
}

static void runs_a_program(void)
{
	char *const none[] = {NULL};
	syscall(SYS_execve, "/bin/true", none, none);
}

static void makes_a_process(void)
{
	syscall(SYS_fork);
}

static void makes_memory_executable(void)
{
	syscall(SYS_mprotect, 0, 4096, PROT_EXEC);
}

static void makes_a_virtual_machine(void)
{
	syscall(SYS_ioctl, 0, KVM_CREATE_VM, 0);
}

static void sets_up_a_tap(void)
{
	syscall(SYS_ioctl, 0, 0x400454ca /* TUNSETIFF */, 0);
}

static void kills_its_parent(void)
{
	syscall(SYS_kill, getppid(), SIGTERM);
}

static void traces(void)
{
	syscall(SYS_ptrace, 0, 0, 0, 0);
}

/* x32 has the same calls under numbers of its own. */
static void calls_as_x32(void)
{
	syscall(0x40000000 + SYS_read, 0, NULL, 0);
}

static void works(void)
{
	const struct timespec now = {0};
	char byte;
	(void)!read(-1, &byte, 1);
	(void)!write(-1, &byte, 1);
	ppoll(NULL, 0, &now, NULL);
	ioctl(-1, KVM_RUN, 0);
	close(-1);
}

static int attempt(void (*deed)(void))
{
	int status;
	pid_t child = fork();
	assert_true(child >= 0);
	if (child == 0) {
		if (sandbox_enter(NULL) < 0)
			_exit(NO_SANDBOX);
		deed();
		syscall(SYS_exit_group, DONE); /* a sanitizer has hooks in _exit() */
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	return WIFSIGNALED(status) ? -WTERMSIG(status) : WEXITSTATUS(status);
}

static void ends_what_is_not_allowed(void **state)
{
	(void)state;
	static void (*const deeds[])(void) = {opens_a_file, makes_a_socket, runs_a_program,
		makes_a_process, makes_memory_executable, makes_a_virtual_machine, sets_up_a_tap,
		kills_its_parent, traces, calls_as_x32};
	for (size_t i = 0; i < sizeof(deeds) / sizeof(deeds[0]); i++)
		if (attempt(deeds[i]) != -SIGSYS)
			fail_msg("deed %zu was let through", i);
}

static void lets_it_work(void **state)
{
	(void)state;
	assert_int_equal(attempt(works), DONE);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(ends_what_is_not_allowed),
		cmocka_unit_test(lets_it_work),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

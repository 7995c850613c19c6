/* SPDX-License-Identifier: ISC */
/* Each attempt is a child that has entered the sandbox: what it may not do ends it with SIGSYS. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <fcntl.h>
#include <linux/kvm.h>
#include <linux/seccomp.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "guest-kernel/include/summon_abi.h"
#include "summon-vmm/memory.h"
#include "summon-vmm/sandbox.h"

enum { DONE = 33, NO_SANDBOX = 34 };

#define TAP 900 /* no such file is open */

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

static void signals_somebody(void)
{
	fcntl(0, F_SETOWN, getppid());
}

static void sends_to_somebody(void)
{
	const struct sockaddr where = {.sa_family = AF_UNIX};
	sendto(0, "?", 1, 0, &where, sizeof(where));
}

static void listens_elsewhere(void)
{
	accept4(0, NULL, NULL, 0);
}

/* What a monitor without KVM may do until there is a guest, and a guest may not. */

static void makes_its_code_writable(void)
{
	syscall(SYS_mprotect, SUMMON_IMAGE_MIN, PAGE, PROT_READ | PROT_WRITE);
}

static void makes_the_boot_page_executable(void)
{
	syscall(SYS_mprotect, LAYOUT_BOOT, PAGE, PROT_READ | PROT_EXEC);
}

static void protects_far_away(void)
{
	syscall(SYS_mprotect, LAYOUT_BOOT | 1ull << 32, PAGE, PROT_READ);
}

static void reads_what_is_not_its_tap(void)
{
	char byte;
	(void)!read(TAP + 1, &byte, 1);
}

static void writes_to_the_log(void)
{
	(void)!write(STDERR_FILENO, "x", 1);
}

static void changes_its_sandbox(void)
{
	syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, NULL);
}

static void reads_a_file(void)
{
	char byte;
	(void)!pread(TAP, &byte, 1, 0);
}

/* ---- what each has to do ---- */

static pid_t ourselves; /* not to be asked for in there */

static void lives(void)
{
	const struct timespec now = {0};
	char byte;
	(void)!read(TAP, &byte, 1);
	(void)!writev(TAP, &(const struct iovec){&byte, 1}, 1);
	ppoll(NULL, 0, &now, NULL);
	fcntl(TAP, F_SETOWN, ourselves);
	close(TAP);
}

static void runs_a_machine(void)
{
	lives();
	ioctl(-1, KVM_RUN, 0);
	ioctl(-1, KVM_GET_REGS, 0);
}

static void runs_a_guest(void)
{
	lives();
	syscall(SYS_mprotect, LAYOUT_BOOT, PAGE, PROT_READ | PROT_WRITE);
	syscall(SYS_mprotect, LAYOUT_BOOT, PAGE, PROT_READ);
}

static int enter(enum sandbox_of whose)
{
	if (whose == SANDBOX_MACHINE)
		return sandbox_enter(whose, NULL);
	int result = sandbox_enter(SANDBOX_SHELL, NULL);
	return whose == SANDBOX_GUEST && result == 0 ? sandbox_enter_guest(TAP, NULL) : result;
}

static int attempt(enum sandbox_of whose, void (*deed)(void))
{
	int status;
	pid_t child = fork();
	assert_true(child >= 0);
	if (child == 0) {
		ourselves = getpid();
		if (enter(whose) < 0)
			syscall(SYS_exit_group, NO_SANDBOX);
		deed();
		syscall(SYS_exit_group, DONE); /* a sanitizer has hooks in _exit() */
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	return WIFSIGNALED(status) ? -WTERMSIG(status) : WEXITSTATUS(status);
}

static void expect_end(enum sandbox_of whose, void (*const *deeds)(void), size_t count)
{
	for (size_t i = 0; i < count; i++)
		if (attempt(whose, deeds[i]) != -SIGSYS)
			fail_msg("sandbox %d lets deed %zu through", whose, i);
}

static void ends_what_is_not_allowed(void **state)
{
	(void)state;
	static void (*const deeds[])(void) = {opens_a_file, makes_a_socket, runs_a_program,
		makes_a_process, makes_a_virtual_machine, sets_up_a_tap, kills_its_parent, traces,
		calls_as_x32, signals_somebody, sends_to_somebody, listens_elsewhere};
	static const enum sandbox_of all[] = {SANDBOX_MACHINE, SANDBOX_SHELL, SANDBOX_GUEST};
	for (size_t i = 0; i < 3; i++)
		expect_end(all[i], deeds, sizeof(deeds) / sizeof(deeds[0]));
}

static void gives_a_machine_no_executable_memory(void **state)
{
	(void)state;
	assert_int_equal(attempt(SANDBOX_MACHINE, makes_memory_executable), -SIGSYS);
}

static void ends_what_a_guest_tries(void **state)
{
	(void)state;
	static void (*const deeds[])(void) = {makes_memory_executable, makes_its_code_writable,
		makes_the_boot_page_executable, protects_far_away, reads_what_is_not_its_tap,
		writes_to_the_log, changes_its_sandbox, reads_a_file};
	expect_end(SANDBOX_GUEST, deeds, sizeof(deeds) / sizeof(deeds[0]));
}

static void lets_each_work(void **state)
{
	(void)state;
	assert_int_equal(attempt(SANDBOX_MACHINE, runs_a_machine), DONE);
	assert_int_equal(attempt(SANDBOX_SHELL, reads_a_file), DONE);
	assert_int_equal(attempt(SANDBOX_SHELL, runs_a_guest), DONE);
	assert_int_equal(attempt(SANDBOX_GUEST, runs_a_guest), DONE);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(ends_what_is_not_allowed),
		cmocka_unit_test(gives_a_machine_no_executable_memory),
		cmocka_unit_test(ends_what_a_guest_tries),
		cmocka_unit_test(lets_each_work),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

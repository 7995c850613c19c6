/* SPDX-License-Identifier: ISC */
#include "launcher/vmm/vmm.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <sched.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/cleanup.h"

#define BACKLOG 4

__attribute__((format(printf, 4, 5))) static int make_address(
	const struct vmm *vmm, struct sockaddr_un *out, struct error *err, const char *format, ...)
{
	char name[64];
	va_list values;
	va_start(values, format);
	vsnprintf(name, sizeof(name), format, values);
	va_end(values);
	*out = (struct sockaddr_un){.sun_family = AF_UNIX};
	int length = snprintf(out->sun_path, sizeof(out->sun_path), "%s/%s-%s", vmm->run_dir,
		vmm->identity, name);
	if (length < 0 || (size_t)length >= sizeof(out->sun_path))
		return error_set(
			err, -ENAMETOOLONG, "%s: too long a path for a socket's", vmm->run_dir);
	return 0;
}

int vmm_socket_address(
	const struct vmm *vmm, struct instance_id id, struct sockaddr_un *out, struct error *err)
{
	return make_address(vmm, out, err, "%" PRIu32 "-%" PRIu32 ".sock", id.slot, id.generation);
}

int vmm_record_address(
	const struct vmm *vmm, struct instance_id id, struct sockaddr_un *out, struct error *err)
{
	return make_address(vmm, out, err, "%" PRIu32 "-%" PRIu32 ".tap", id.slot, id.generation);
}

int vmm_shell_address(
	const struct vmm *vmm, uint32_t number, struct sockaddr_un *out, struct error *err)
{
	return make_address(vmm, out, err, "shell-%" PRIu32 ".sock", number);
}

/* ---- the process ---- */

/* The child shares our memory until it is another program: no page table is copied, and this thread
 * waits. */
#define CLONE_FLAGS (CLONE_VM | CLONE_VFORK | CLONE_PIDFD | SIGCHLD)
#define STACK_SIZE  (16u << 10)

struct child {
	const struct vmm_guest *guest;
	char **words;
	int failure;
};

/* In a session of its own, so that what ends the daemon's does not end the guest; with nothing of the
 * daemon's but its standard error. Signals stay blocked: a handler of ours would run in our memory. It
 * lets in itself what it wants. */
static int begin(void *argument)
{
	char *const no_environment[] = {NULL};
	struct child *child = argument;
	int null = child->guest->vmm->null, listener = child->guest->spawn.listener;
	signal(SIGPIPE, SIG_DFL);
	setsid();
	bool done = dup2(null, STDIN_FILENO) >= 0 && dup2(null, STDOUT_FILENO) >= 0 &&
		    (listener == CONTROL_FD ? fcntl(listener, F_SETFD, 0)
					    : dup2(listener, CONTROL_FD)) >= 0;
	if (done)
		execve(child->words[0], child->words, no_environment);
	child->failure = -errno;
	return EXIT_FAILURE;
}

/* A pidfd. */
static int spawn(struct child *child, pid_t *pid)
{
	_Alignas(16) char stack[STACK_SIZE];
	sigset_t all, before;
	int process = -1;
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	*pid = clone(begin, stack + sizeof(stack), CLONE_FLAGS, child, &process);
	int result = *pid < 0 ? -errno : 0;
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	if (result == 0 && child->failure == 0)
		return process;
	if (result < 0)
		return result;
	waitid(P_PIDFD, (id_t)process, &(siginfo_t){0}, WEXITED);
	close(process);
	return child->failure;
}

static int open_socket(void)
{
	return socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
}

/* The monitor's end of the socket, bound and with our connection waiting in it: so that requests
 * can be sent before the monitor runs. */
static int connect_before(struct vmm_guest *guest, const struct sockaddr_un *address, int *listener)
{
	const struct sockaddr *name = (const struct sockaddr *)address;
	*listener = open_socket();
	guest->socket = open_socket();
	if (*listener < 0 || guest->socket < 0 || bind(*listener, name, sizeof(*address)) < 0)
		return -errno;
	if (listen(*listener, BACKLOG) < 0 || connect(guest->socket, name, sizeof(*address)) < 0) {
		int failure = -errno;
		unlink(address->sun_path);
		return failure;
	}
	return 0;
}

int vmm_spawn(const struct vmm_guest *guest, pid_t *pid, struct error *err)
{
	char memory[48], mode[32];
	char *words[] = {guest->vmm->monitor, memory, guest->vmm->mode ? mode : NULL, NULL};
	struct child child = {.guest = guest, .words = words};
	snprintf(memory, sizeof(memory), "--memory=%" PRIu64 "B", guest->memory);
	snprintf(mode, sizeof(mode), "--mode=%s", guest->vmm->mode ? guest->vmm->mode : "");
	int process = spawn(&child, pid);
	return process < 0 ? error_set(err, process, "%s cannot be started: %s",
				     guest->vmm->monitor, strerror(-process))
			   : process;
}

int vmm_spawn_prepare(struct vmm_guest *guest, struct error *err)
{
	struct sockaddr_un address;
	CLEANUP(close) int listener = -1;
	int r = vmm_shell_address(guest->vmm, guest->number, &address, err);
	if (r < 0)
		return r;
	r = connect_before(guest, &address, &listener);
	if (r < 0)
		return error_set(err, r, "%s: %s", address.sun_path, strerror(-r));
	guest->spawn.listener = steal_fd(&listener);
	return 0;
}

int vmm_connect(struct vmm_guest *guest, const struct sockaddr_un *address)
{
	struct ucred peer = {0};
	socklen_t size = sizeof(peer);
	guest->socket = open_socket();
	if (guest->socket < 0 ||
		connect(guest->socket, (const struct sockaddr *)address, sizeof(*address)) < 0 ||
		getsockopt(guest->socket, SOL_SOCKET, SO_PEERCRED, &peer, &size) < 0)
		return -errno;
	guest->process = pidfd_open(peer.pid, 0);
	guest->pid = peer.pid;
	return guest->process < 0 ? -errno : 0;
}

void vmm_reap(const struct vmm_guest *guest, char *text, size_t size)
{
	siginfo_t info = {0};
	snprintf(text, size, "summon-vmm ended without a word");
	if (!guest->is_child || waitid(P_PIDFD, (id_t)guest->process, &info, WEXITED) < 0)
		return;
	if (info.si_code == CLD_EXITED)
		snprintf(text, size, "summon-vmm ended with status %d", info.si_status);
	else
		snprintf(text, size, "summon-vmm was ended by signal %d (%s)", info.si_status,
			strsignal(info.si_status));
}

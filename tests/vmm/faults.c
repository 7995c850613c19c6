/* SPDX-License-Identifier: ISC */
#include "tests/vmm/faults.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

/* What is called has no context that could be passed on. */
static struct fault_plan *plan;
static enum fault_side our_side;

bool fault_strikes(const char *call)
{
	if (!plan || plan->side != our_side || strcmp(call, plan->call) != 0)
		return false;
	if (__atomic_add_fetch(&plan->count, 1, __ATOMIC_RELAXED) != plan->when)
		return false;
	errno = plan->error;
	return true;
}

struct fault_plan *faults_follow(const char *path, enum fault_side side)
{
	int file = open(path, O_RDWR | O_CLOEXEC);
	if (file < 0)
		return NULL;
	void *place = mmap(NULL, sizeof(*plan), PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
	close(file);
	if (place == MAP_FAILED)
		return NULL;
	our_side = side;
	plan = place;
	return plan;
}

static void make_path(const char *link, char path[256])
{
	snprintf(path, 256, "%s" FAULT_PLAN, link);
}

struct fault_plan *faults_make(const char *link, const char *monitor)
{
	char path[256];
	make_path(link, path);
	int file = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	if (file < 0)
		return NULL;
	bool done = symlink(monitor, link) == 0 && ftruncate(file, sizeof(*plan)) == 0;
	close(file);
	return done ? faults_follow(path, FAULT_LAUNCHER) : NULL;
}

void faults_remove(const char *link)
{
	char path[256];
	make_path(link, path);
	unlink(link);
	unlink(path);
}

void faults_plan(struct fault_plan *out, const struct fault *fault, unsigned when)
{
	snprintf(out->call, sizeof(out->call), "%s", fault->call);
	out->error = fault->error;
	out->when = when;
	out->count = 0;
}

/* By the names that the linker sees: those with 64 have large offsets. */
#define FAILS(name) FAULT_WRAP(name, -1)
FAILS(accept4)
FAILS(bind)
FAILS(clone)
FAILS(close_range)
FAILS(connect)
FAILS(dup3)
FAILS(fcntl64)
FAILS(getrlimit64)
FAILS(getrandom)
FAILS(ioctl)
FAILS(listen)
FAILS(lseek64)
FAILS(madvise)
FAILS(mmap64)
FAILS(mprotect)
FAILS(open64)
FAILS(ppoll)
FAILS(prctl)
FAILS(pread64)
FAILS(recvmsg)
FAILS(rename)
FAILS(send)
FAILS(sendmsg)
FAILS(setrlimit64)
FAILS(sigaction)
FAILS(sigaltstack)
FAILS(sigprocmask)
FAILS(socket)
FAILS(symlink)
FAILS(syscall)

/* SPDX-License-Identifier: ISC */
#include "summon-vmm/check.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/units.h"
#include "summon-vmm/sandbox.h"

#define LIMIT_S  5
#define CALLS    200
#define LOOPS    1000000 /* a millisecond on a processor, a second where each is emulated */
#define SLOWEST  (300 * NS_PER_MS)
#define EXPECTED 0x5a5aull

/* mov ecx, LOOPS; 1: dec ecx; jnz 1b; mov edi, EXPECTED; movq xmm0, rdi; movq rbx, xmm0;
 * 2: mov edi, ebx; mov eax, LAYOUT_CALLS + SUMMON_CALL_KICK * SUMMON_CALL_SIZE; call rax; inc ebx;
 * cmp ebx, EXPECTED + CALLS; jne 2b; ud2 */
#define WORD(n) (n) & 0xff, (n) >> 8 & 0xff, (n) >> 16 & 0xff, (n) >> 24 & 0xff
static const uint8_t code[] = {0xb9, WORD(LOOPS), 0xff, 0xc9, 0x75, 0xfc, 0xbf, WORD(EXPECTED),
	0x66, 0x48, 0x0f, 0x6e, 0xc7, 0x66, 0x48, 0x0f, 0x7e, 0xc3, 0x89, 0xdf, 0xb8,
	WORD(LAYOUT_CALLS + SUMMON_CALL_KICK * SUMMON_CALL_SIZE), 0xff, 0xd0, 0xff, 0xc3, 0x81,
	0xfb, WORD(EXPECTED + CALLS), 0x75, 0xed, 0x0f, 0x0b};

#define STACK_TOP (SUMMON_IMAGE_MIN + 3 * PAGE)
#define EXCEPTION 6 /* of ud2 */

struct check {
	struct memory memory;
	struct image image;
	struct cpu cpu;
	uint64_t first_ns, calls_ns;
};

static int build(struct check *c, struct error *err)
{
	c->image = (struct image){
		.segments = {{SUMMON_IMAGE_MIN, SUMMON_IMAGE_MIN + PAGE, false, true}},
		.count = 1,
		.end = SUMMON_IMAGE_MIN + PAGE,
		.note = {.version = SUMMON_ABI_VERSION, .entry = SUMMON_IMAGE_MIN},
	};
	int result = cpu_reserve(c->cpu.ops, &c->memory, MEMORY_MIN, err);
	if (result < 0)
		return result;
	/* mov esp, STACK_TOP; then the code */
	uint8_t *out = memory_at(&c->memory, SUMMON_IMAGE_MIN, PAGE);
	const uint8_t stack[] = {0xbc, WORD(STACK_TOP)};
	memcpy(mempcpy(out, stack, sizeof(stack)), code, sizeof(code));
	return 0;
}

static int run_calls(struct check *c, struct error *err)
{
	struct cpu_call call;
	uint64_t begin = clock_monotonic();
	for (uint64_t i = 0; i < CALLS; i++) {
		if (c->cpu.ops->run(&c->cpu, &call, err) != CPU_CALL)
			return error_set(err, -ENODEV, "guest code makes no calls");
		if (call.number != SUMMON_CALL_KICK || call.argument != EXPECTED + i)
			return error_set(err, -ENODEV, "guest code computes a wrong result");
		if (i > 0)
			continue;
		c->first_ns = clock_monotonic() - begin;
		begin += c->first_ns;
	}
	c->calls_ns = clock_monotonic() - begin;
	if (c->first_ns > SLOWEST)
		return error_set(err, -ENODEV, "guest code is emulated, not run by the processor");
	return 0;
}

static int run_exception(struct check *c, struct error *err)
{
	struct cpu_call call;
	struct summon_exception exception;
	if (c->cpu.ops->run(&c->cpu, &call, err) != CPU_EXCEPTION ||
		c->cpu.ops->exception(&c->cpu, &c->memory, &exception, err) < 0 ||
		exception.vector != EXCEPTION)
		return error_set(err, -ENODEV, "an exception of guest code does not arrive");
	return 0;
}

static int run(struct check *c, struct error *err)
{
	const struct cpu_ops *ops = c->cpu.ops;
	int result = ops->open(&c->cpu, &c->memory, err);
	if (result == 0 && ops->in_process)
		result = sandbox_enter(SANDBOX_SHELL, err);
	if (result == 0)
		result = ops->build(&c->cpu, &c->memory, &c->image, err);
	if (result == 0 && ops->in_process)
		result = sandbox_enter_guest(-1, err);
	if (result == 0)
		result = ops->enter(&c->cpu, &c->image.note, c->image.note.entry, 0, err);
	if (result == 0)
		result = run_calls(c, err);
	return result < 0 ? result : run_exception(c, err);
}

/* What the child that does the check leaves to us. */
struct verdict {
	bool is_done;
	uint64_t call_ns;
	struct error error;
};

static void check(const struct cpu_ops *cpu, struct verdict *verdict)
{
	struct check c = {.cpu.ops = cpu};
	alarm(LIMIT_S);
	if (build(&c, &verdict->error) == 0 && run(&c, &verdict->error) == 0)
		verdict->call_ns = c.calls_ns / (CALLS - 1);
	verdict->is_done = true;
}

static int judge(const struct cpu_ops *cpu, const struct verdict *verdict, int status,
	char facts[CHECK_FACTS], struct error *err)
{
	if (!verdict->is_done)
		return error_set(err, -ENODEV, "a small guest was ended by signal %d (%s)",
			WTERMSIG(status), strsignal(WTERMSIG(status)));
	if (verdict->error.code < 0)
		return error_set(err, verdict->error.code, "%s", verdict->error.message);
	snprintf(facts, CHECK_FACTS, "%s; a call takes %" PRIu64 " ns", cpu->summary,
		verdict->call_ns);
	return 0;
}

int check_cpu(const struct cpu_ops *cpu, char facts[CHECK_FACTS], struct error *err)
{
	int status = 0;
	struct verdict *verdict = mmap(
		NULL, sizeof(*verdict), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (verdict == MAP_FAILED)
		return error_set(err, -errno, "no memory: %s", strerror(errno));
	pid_t child = fork();
	if (child == 0) {
		check(cpu, verdict);
		syscall(SYS_exit_group, 0); /* of which alone the sandbox knows */
	}
	int result = child < 0 || waitpid(child, &status, 0) < 0
			     ? error_set(err, -errno, "no process: %s", strerror(errno))
			     : judge(cpu, verdict, status, facts, err);
	munmap(verdict, sizeof(*verdict));
	return result;
}

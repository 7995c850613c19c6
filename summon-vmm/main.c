/* SPDX-License-Identifier: ISC */
#include <stdio.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "summon-vmm/check.h"
#include "summon-vmm/monitor.h"
#include "summon-vmm/options.h"
#include "summon-vmm/sandbox.h"

/* summon-vmm: one process, one guest. Everything is opened, then the sandbox closes, then a guest
 * comes and runs. */

static int fail(struct monitor *m, const struct error *err)
{
	fprintf(stderr, "summon-vmm: %s\n", err->message);
	control_reach(&m->control, CONTROL_FD);
	monitor_fail(m, err);
	return EXIT_FAILURE;
}

static int serve(struct monitor *m, const struct options *options)
{
	const struct cpu_ops *cpu = options->cpu ? options->cpu : cpu_all[0];
	struct error err = ERROR_INIT;
	if (sandbox_close_inherited(CONTROL_FD, &err) < 0 ||
		control_open(&m->control, CONTROL_FD, &err) < 0 ||
		control_take_connection(&m->control, &err) < 0)
		return fail(m, &err);
	if (monitor_create(m, cpu, options->memory, &err) < 0 ||
		sandbox_enter(cpu->in_process ? SANDBOX_SHELL : SANDBOX_MACHINE, &err) < 0 ||
		control_own(&m->control, &err) < 0)
		return fail(m, &err);
	monitor_run(m);
	return EXIT_SUCCESS;
}

/* "NAME works: FACTS" or "NAME does not work: WHY", a line each. */
static int check(const struct cpu_ops *only)
{
	int status = EXIT_FAILURE;
	for (size_t i = 0; i < CPU_COUNT; i++) {
		char facts[CHECK_FACTS];
		struct error err = ERROR_INIT;
		const struct cpu_ops *cpu = cpu_all[i];
		if (only && cpu != only)
			continue;
		int result = check_cpu(cpu, facts, &err);
		printf("%s %s: %s\n", cpu->name, result < 0 ? "does not work" : "works",
			result < 0 ? err.message : facts);
		if (result == 0)
			status = EXIT_SUCCESS;
	}
	return status;
}

int main(int count, char **arguments)
{
	static struct monitor monitor = {.control = {.listener = -1, .peer = -1}};
	struct options options;
	struct error err = ERROR_INIT;
	if (options_parse(&options, count, arguments, &err) < 0) {
		fprintf(stderr, "summon-vmm: %s\n" OPTIONS_USAGE, err.message);
		return 2;
	}
	if (options.check)
		return check(options.cpu);
	int status = serve(&monitor, &options);
	/* Any other way out (atexit(), a sanitizer's hooks) would need more than the sandbox allows. */
	syscall(SYS_exit_group, status);
	return status;
}

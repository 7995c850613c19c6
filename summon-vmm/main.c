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
	monitor_fail(m, err);
	return EXIT_FAILURE;
}

static int serve(struct monitor *m, uint64_t memory)
{
	struct error err = ERROR_INIT;
	if (sandbox_close_inherited(CONTROL_FD, &err) < 0 ||
		control_open(&m->control, CONTROL_FD, &err) < 0)
		return fail(m, &err);
	control_take_connection(&m->control);
	if (monitor_create(m, &cpu_kvm, memory, &err) < 0 || sandbox_enter(&err) < 0)
		return fail(m, &err);
	monitor_run(m);
	return EXIT_SUCCESS;
}

static int check(void)
{
	char facts[128];
	struct error err = ERROR_INIT;
	int result = check_kvm(facts, sizeof(facts), &err);
	puts(result < 0 ? err.message : facts);
	return result < 0 ? EXIT_FAILURE : EXIT_SUCCESS;
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
		return check();
	int status = serve(&monitor, options.memory);
	/* Any other way out (atexit(), a sanitizer's hooks) would need more than the sandbox allows. */
	syscall(SYS_exit_group, status);
	return status;
}

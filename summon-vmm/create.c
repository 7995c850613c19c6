/* SPDX-License-Identifier: ISC */
#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/resource.h>

#include "summon-vmm/include/snapshot.h"
#include "summon-vmm/monitor.h"

/* A guest in our process could write to the file that it is to be kept in, until the disk is full. */
static int limit_file(uint64_t memory, struct error *err)
{
	const struct rlimit limit = {SNAPSHOT_DATA + memory, SNAPSHOT_DATA + memory};
	signal(SIGXFSZ, SIG_IGN);
	return setrlimit(RLIMIT_FSIZE, &limit) < 0
		       ? error_set(err, -errno, "a limit to files: %s", strerror(errno))
		       : 0;
}

int monitor_create(struct monitor *m, const struct cpu_ops *cpu, uint64_t memory, struct error *err)
{
	m->rings.tap = m->keep_file = -1;
	m->cpu.ops = cpu;
	int result = cpu->in_process ? limit_file(memory, err) : 0;
	if (result == 0)
		result = cpu_reserve(cpu, &m->memory, memory, err);
	if (result < 0)
		return result;
	/* Whoever waits already is kept waiting for nothing that a guest can do without. */
	bool in_haste = control_is_asked(&m->control, CONTROL_BOOT);
	memory_populate(&m->memory);
	if (!in_haste)
		memory_populate_image(&m->memory);
	result = cpu->open(&m->cpu, &m->memory, err);
	if (result < 0)
		return result;
	if (!in_haste && cpu->rehearse)
		cpu->rehearse(&m->cpu, &m->memory);
	ticks_begin(&m->ticks);
	memory_watch(&m->memory);
	return 0;
}

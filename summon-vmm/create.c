/* SPDX-License-Identifier: ISC */
#include <errno.h>
#include <signal.h>
#include <string.h>
#include <x86intrin.h>

#include "base/units.h"
#include "summon-vmm/monitor.h"

#define MEASURE_NS (2 * NS_PER_MS)

/* Where the CPU does not know the frequency, it is measured: the guest's is the host's. */
static uint64_t measure_tsc(void)
{
	uint64_t begin = clock_monotonic(), first = __rdtsc(), now;
	while ((now = clock_monotonic()) - begin < MEASURE_NS)
		;
	return (uint64_t)((unsigned __int128)(__rdtsc() - first) * NS_PER_S / (now - begin));
}

static int block_signal(struct error *err)
{
	sigset_t set;
	sigemptyset(&set);
	sigaddset(&set, CPU_SIGNAL);
	return sigprocmask(SIG_BLOCK, &set, NULL) < 0
		       ? error_set(err, -errno, "SIGIO: %s", strerror(errno))
		       : 0;
}

int monitor_create(struct monitor *m, const struct cpu_ops *cpu, uint64_t memory, struct error *err)
{
	m->rings.tap = -1;
	m->cpu.ops = cpu;
	int result = block_signal(err);
	if (result == 0)
		result = memory_init(&m->memory, memory, err);
	if (result == 0)
		result = cpu->open(&m->cpu, &m->memory, err);
	if (result < 0)
		return result;
	memory_populate(&m->memory);
	if (!m->cpu.tsc_hz)
		m->cpu.tsc_hz = measure_tsc();
	return 0;
}

/* SPDX-License-Identifier: ISC */
#include "guest-kernel/kernel/clock.h"

#include <string.h>

#include "guest-kernel/kernel/cpu.h"
#include "guest-kernel/platform/platform.h"

#define NS_PER_S                 1000000000ull
#define MEASURE_NS               1000000ull
#define SAMPLE_TRIES             3
#define MSR_KVM_SYSTEM_TIME      0x4b564d01u
#define KVM_FEATURE_CLOCKSOURCE2 (1u << 3)

extern const uint64_t start_tsc; /* kernel/start.S */

struct sample {
	uint64_t ns, tsc;
};

static struct {
	uint64_t hz; /* 0 until it is known */
	struct sample first;
	uint64_t kept_at; /* what it was when the guest was kept */
	uint64_t last;    /* reading */
} clock;

/* Linux, Documentation/virt/kvm/x86/msr.rst */
struct kvm_time {
	uint32_t version, pad0;
	uint64_t tsc_timestamp, system_time;
	uint32_t tsc_to_system_mul;
	int8_t tsc_shift;
	uint8_t flags, pad[2];
};

static uint64_t hz_from_kvm(void)
{
	static volatile struct kvm_time time __attribute__((aligned(64)));
	if (!(cpuid(0x40000001).a & KVM_FEATURE_CLOCKSOURCE2))
		return 0;
	wrmsr(MSR_KVM_SYSTEM_TIME, (uintptr_t)&time | 1);
	uint32_t multiplier = time.tsc_to_system_mul;
	int shift = time.tsc_shift;
	wrmsr(MSR_KVM_SYSTEM_TIME, 0);
	if (!multiplier)
		return 0;
	/* ns = (ticks << shift) * multiplier >> 32, solved for one second */
	uint64_t hz = (NS_PER_S << 32) / multiplier;
	return shift < 0 ? hz << -shift : hz >> shift;
}

static uint64_t hz_from_hypervisor(void)
{
	if (!cpu_has_hypervisor_leaves())
		return 0;
	struct cpuid leaf = cpuid(0x40000000);
	if (leaf.a >= 0x40000010 && cpuid(0x40000010).a)
		return cpuid(0x40000010).a * 1000ull;
	uint32_t signature[3] = {leaf.b, leaf.c, leaf.d};
	return memcmp(signature, "KVMKVMKVM\0\0", sizeof(signature)) == 0 ? hz_from_kvm() : 0;
}

/* Leaf 0x15: crystal clock and its ratio. Leaf 0x16, the base frequency in MHz, is only a marketing
 * figure, and off by up to a percent: the measure is better. */
static uint64_t hz_from_cpu(void)
{
	if (cpuid(0).a < 0x15)
		return 0;
	struct cpuid leaf = cpuid(0x15);
	return leaf.a && leaf.b && leaf.c ? (uint64_t)leaf.c * leaf.b / leaf.a : 0;
}

/* The reference and the counter at one instant. Reading the reference leaves the virtual machine,
 * which can take long when the host is busy: the quickest of a few readings is the one to trust. */
static struct sample take_sample(void)
{
	struct sample best = {0};
	uint64_t best_took = UINT64_MAX;
	for (int i = 0; i < SAMPLE_TRIES; i++) {
		uint64_t before = rdtsc();
		uint64_t ns = platform()->reference_ns();
		uint64_t took = rdtsc() - before;
		if (took < best_took) {
			best = (struct sample){ns, before + took / 2};
			best_took = took;
		}
	}
	return best;
}

void clock_init(void)
{
	if (platform()->tsc_hz)
		clock.hz = platform()->tsc_hz();
	if (!clock.hz)
		clock.hz = hz_from_hypervisor();
	if (!clock.hz)
		clock.hz = hz_from_cpu();
	if (!clock.hz)
		clock.first = take_sample();
}

static void finish_measure(void)
{
	struct sample now = take_sample();
	while (now.ns - clock.first.ns < MEASURE_NS) {
		cpu_relax();
		now = take_sample();
	}
	uint64_t ticks = now.tsc - clock.first.tsc;
	clock.hz = (uint64_t)((unsigned __int128)ticks * NS_PER_S / (now.ns - clock.first.ns));
}

uint64_t clock_now(void)
{
	if (!clock.hz)
		finish_measure();
	clock.last = clock.kept_at +
		     (uint64_t)((unsigned __int128)(rdtsc() - start_tsc) * NS_PER_S / clock.hz);
	return clock.last;
}

void clock_resume(void)
{
	clock.kept_at = clock.last;
	clock.hz = platform()->tsc_hz();
}

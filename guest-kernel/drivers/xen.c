/* SPDX-License-Identifier: ISC */
/* Numbers and layouts: Xen, public/xen.h, arch-x86/cpuid.h, memory.h, sched.h, event_channel.h,
 * grant_table.h, hvm/hvm_op.h. */
#include "guest-kernel/drivers/xen.h"

#include <string.h>

#include "guest-kernel/kernel/cpu.h"
#include "guest-kernel/kernel/paging.h"

#define CPUID_FIRST 0x40000000u
#define CPUID_LAST  0x40010000u
#define CPUID_STEP  0x100u

enum hypercall { MEMORY_OP = 12, SCHED_OP = 29, EVENT_CHANNEL_OP = 32, HVM_OP = 34 };
enum { SCHED_SHUTDOWN = 2, SCHED_POLL = 3 };
enum { SHUTDOWN_SUSPEND = 2 };
enum { EVENT_SEND = 4, EVENT_ALLOC_UNBOUND = 6 };
enum { MEMORY_ADD_TO_PHYSMAP = 7, HVM_GET_PARAM = 1 };
enum { SPACE_SHARED_INFO = 0, SPACE_GRANT_TABLE = 1 };

#define DOMAIN_SELF     0x7ff0
#define PAGE_SHIFT      12
#define PAGE_SIZE       4096u
#define PORTS           4096
#define NS_PER_S        1000000000ull
#define GRANTS_RESERVED 8
#define GRANT_ACCESS    1
#define GRANT_READONLY  4

struct time_info {
	uint32_t version, pad;
	uint64_t tsc_timestamp, system_time;
	uint32_t tsc_to_system_mul;
	int8_t tsc_shift;
	uint8_t flags, pad2[2];
};

struct vcpu_info {
	uint8_t upcall_pending, upcall_mask;
	uint64_t pending_selector, arch[2];
	struct time_info time;
};

struct shared_info {
	struct vcpu_info vcpu[32];
	uint64_t pending[PORTS / 64], mask[PORTS / 64];
	uint8_t rest[PAGE_SIZE - 32 * sizeof(struct vcpu_info) - PORTS / 4];
};

struct grant {
	uint16_t flags, domain;
	uint32_t frame;
};

static _Alignas(PAGE_SIZE) struct shared_info shared;
static _Alignas(PAGE_SIZE) struct grant grants[PAGE_SIZE / sizeof(struct grant)];
static uint32_t grants_used = GRANTS_RESERVED;
static bool is_amd;

/* The instruction is the CPU's maker's, so that no page of Xen's code has to be mapped. */
static long call(enum hypercall number, unsigned long operation, void *argument)
{
	long result = number;
	if (is_amd)
		__asm__ volatile("vmmcall"
				 : "+a"(result), "+D"(operation), "+S"(argument)
				 :
				 : "memory");
	else
		__asm__ volatile("vmcall"
				 : "+a"(result), "+D"(operation), "+S"(argument)
				 :
				 : "memory");
	return result;
}

bool xen_detect(void)
{
	if (!cpu_has_hypervisor_leaves())
		return false;
	for (uint32_t leaf = CPUID_FIRST; leaf < CPUID_LAST; leaf += CPUID_STEP) {
		struct cpuid r = cpuid(leaf);
		uint32_t signature[3] = {r.b, r.c, r.d};
		if (memcmp(signature, "XenVMMXenVMM", sizeof(signature)) == 0)
			return true;
		if (leaf == CPUID_FIRST && r.a < CPUID_FIRST)
			return false; /* no leaves at all */
	}
	return false;
}

static void map(unsigned space, const void *page)
{
	struct {
		uint16_t domain, size;
		uint32_t space;
		uint64_t index, frame;
	} request = {.domain = DOMAIN_SELF, .space = space, .frame = (uintptr_t)page >> PAGE_SHIFT};
	call(MEMORY_OP, MEMORY_ADD_TO_PHYSMAP, &request);
}

static void map_all(void)
{
	map(SPACE_SHARED_INFO, &shared);
	map(SPACE_GRANT_TABLE, grants);
}

void xen_init(void)
{
	struct cpuid maker = cpuid(0);
	is_amd = maker.c == 0x444d4163 || maker.c == 0x656e6975; /* "cAMD", "uine" of Hygon's */
	map_all();
}

uint64_t xen_parameter(enum xen_parameter which)
{
	struct {
		uint16_t domain;
		uint32_t index;
		uint64_t value;
	} request = {.domain = DOMAIN_SELF, .index = which};
	return call(HVM_OP, HVM_GET_PARAM, &request) == 0 ? request.value : 0;
}

void *xen_special_page(uint64_t frame)
{
	uintptr_t address = frame << PAGE_SHIFT;
	paging_cache(address);
	return (void *)address;
}

/* ---- time ---- */

static struct time_info read_time(void)
{
	const volatile struct time_info *time = &shared.vcpu[0].time;
	struct time_info copy;
	do {
		copy.version = time->version;
		xen_barrier();
		copy.tsc_timestamp = time->tsc_timestamp;
		copy.system_time = time->system_time;
		copy.tsc_to_system_mul = time->tsc_to_system_mul;
		copy.tsc_shift = time->tsc_shift;
		xen_barrier();
	} while (copy.version & 1 || copy.version != time->version);
	return copy;
}

uint64_t xen_tsc_hz(void)
{
	struct time_info time = read_time();
	if (!time.tsc_to_system_mul)
		return 0;
	/* ns = (ticks << shift) * multiplier >> 32, solved for one second */
	uint64_t hz = (NS_PER_S << 32) / time.tsc_to_system_mul;
	return time.tsc_shift < 0 ? hz << -time.tsc_shift : hz >> time.tsc_shift;
}

static uint64_t system_time(void)
{
	struct time_info time = read_time();
	uint64_t ticks = rdtsc() - time.tsc_timestamp;
	ticks = time.tsc_shift < 0 ? ticks >> -time.tsc_shift : ticks << time.tsc_shift;
	return time.system_time +
	       (uint64_t)((unsigned __int128)ticks * time.tsc_to_system_mul >> 32);
}

/* ---- events ---- */

uint32_t xen_port_create(uint16_t domain)
{
	struct {
		uint16_t self, remote;
		uint32_t port;
	} request = {.self = DOMAIN_SELF, .remote = domain};
	return call(EVENT_CHANNEL_OP, EVENT_ALLOC_UNBOUND, &request) == 0 ? request.port : 0;
}

void xen_notify(uint32_t port)
{
	call(EVENT_CHANNEL_OP, EVENT_SEND, &port);
}

/* An event that came before is still pending, and ends the wait at once. It is taken after the wait
 * and before anybody looks at a ring, so that none is lost. */
void xen_wait(const uint32_t *ports, size_t count, uint64_t ns)
{
	struct {
		const uint32_t *ports;
		uint32_t count;
		uint64_t until;
	} request = {ports, (uint32_t)count, 0};
	if (ns != UINT64_MAX) {
		uint64_t now = system_time();
		request.until = ns < UINT64_MAX - now ? now + ns : 0;
	}
	call(SCHED_OP, SCHED_POLL, &request);
	for (size_t i = 0; i < count; i++)
		__atomic_and_fetch(
			&shared.pending[ports[i] / 64], ~(1ull << ports[i] % 64), __ATOMIC_SEQ_CST);
}

uint32_t xen_grant(uint16_t domain, const void *page, bool writable)
{
	if (grants_used == sizeof(grants) / sizeof(grants[0]))
		return 0;
	struct grant *grant = &grants[grants_used];
	grant->domain = domain;
	grant->frame = (uint32_t)((uintptr_t)page >> PAGE_SHIFT);
	xen_barrier();
	__atomic_store_n(&grant->flags, writable ? GRANT_ACCESS : GRANT_ACCESS | GRANT_READONLY,
		__ATOMIC_RELEASE);
	return grants_used++;
}

/* Another domain's grants are its builder's, and none of ours. */
bool xen_suspend(void)
{
	static struct grant kept[sizeof(grants) / sizeof(grants[0])];
	uint32_t reason = SHUTDOWN_SUSPEND;
	memcpy(kept, grants, sizeof(kept));
	call(SCHED_OP, SCHED_SHUTDOWN, &reason);
	map_all();
	if (grants_used > GRANTS_RESERVED && grants[GRANTS_RESERVED].flags)
		return false;
	for (uint32_t i = GRANTS_RESERVED; i < grants_used; i++) {
		grants[i].domain = kept[i].domain;
		grants[i].frame = kept[i].frame;
		xen_barrier();
		__atomic_store_n(&grants[i].flags, kept[i].flags & (GRANT_ACCESS | GRANT_READONLY),
			__ATOMIC_RELEASE);
	}
	return true;
}

void xen_shutdown(enum xen_shutdown how)
{
	uint32_t reason = how;
	for (;;)
		call(SCHED_OP, SCHED_SHUTDOWN, &reason);
}

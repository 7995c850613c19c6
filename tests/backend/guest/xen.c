/* SPDX-License-Identifier: ISC */
/* Numbers and layouts: Xen, public/xen.h, sched.h, event_channel.h, memory.h, hvm/params.h,
 * io/console.h, io/xs_wire.h; as a 32-bit guest sees them. */
#include "xen.h"

#include <stddef.h>
#include <stdint.h>

#define CPUID_FIRST 0x40000000u
#define CPUID_LAST  0x40010000u
#define CPUID_STEP  0x100u

enum { MEMORY_OP = 12, SCHED_OP = 29, EVTCHN_OP = 32, HVM_OP = 34 };
enum { SCHEDOP_SHUTDOWN = 2, SCHEDOP_POLL = 3 };
enum { EVTCHNOP_SEND = 4, XENMEM_ADD_TO_PHYSMAP = 7, HVMOP_GET_PARAM = 1 };
enum { STORE_PFN = 1, STORE_EVTCHN = 2, CONSOLE_PFN = 17, CONSOLE_EVTCHN = 18 };
enum { XS_READ = 2, XS_WATCH = 4, XS_WRITE = 11, XS_WATCH_EVENT = 15 };
enum { REASON_OFF = 0, REASON_SUSPEND = 2 };

#define DOMID_SELF     0x7ff0
#define PENDING_OFFSET 2048 /* in the shared page, of a 32-bit guest */

static uint8_t hypercall_page[4096] __attribute__((aligned(4096)));
static uint8_t shared_page[4096] __attribute__((aligned(4096)));

struct console_ring {
	char in[1024], out[2048];
	uint32_t in_cons, in_prod, out_cons, out_prod;
};

struct store_ring {
	char req[1024], rsp[1024];
	uint32_t req_cons, req_prod, rsp_cons, rsp_prod;
};

static volatile struct console_ring *console;
static volatile struct store_ring *store;
static uint32_t console_port, store_port;

static long call(unsigned number, unsigned long operation, const void *argument)
{
	long result;
	uint8_t *entry = hypercall_page + 32 * number;
	__asm__ volatile("call *%1"
			 : "=a"(result), "+r"(entry), "+b"(operation), "+c"(argument)
			 :
			 : "edx", "memory");
	return result;
}

static void cpuid(uint32_t leaf, uint32_t out[4])
{
	__asm__ volatile("cpuid"
			 : "=a"(out[0]), "=b"(out[1]), "=c"(out[2]), "=d"(out[3])
			 : "a"(leaf), "c"(0));
}

static uint32_t find_leaf(void)
{
	for (uint32_t leaf = CPUID_FIRST; leaf < CPUID_LAST; leaf += CPUID_STEP) {
		uint32_t out[4];
		cpuid(leaf, out);
		if (out[1] == 0x566e6558 && out[2] == 0x65584d4d && out[3] == 0x4d4d566e)
			return leaf; /* "XenVMMXenVMM" */
	}
	return 0;
}

static uint32_t parameter(uint32_t index)
{
	struct {
		uint16_t domain;
		uint32_t index;
		uint64_t value;
	} request = {.domain = DOMID_SELF, .index = index};
	call(HVM_OP, HVMOP_GET_PARAM, &request);
	return (uint32_t)request.value;
}

static void map_shared_page(void)
{
	const struct {
		uint16_t domain, size;
		uint32_t space, index, frame;
	} request = {.domain = DOMID_SELF, .frame = (uint32_t)(uintptr_t)shared_page >> 12};
	call(MEMORY_OP, XENMEM_ADD_TO_PHYSMAP, &request);
}

/* What a domain has of its own: again in each that this guest comes back in. */
static void settle(void)
{
	map_shared_page();
	console = (void *)(uintptr_t)(parameter(CONSOLE_PFN) << 12);
	store = (void *)(uintptr_t)(parameter(STORE_PFN) << 12);
	console_port = parameter(CONSOLE_EVTCHN);
	store_port = parameter(STORE_EVTCHN);
}

static void notify(uint32_t port)
{
	call(EVTCHN_OP, EVTCHNOP_SEND, &port);
}

/* The bit is cleared after the wait: what came before it is then seen by whoever asked. */
static void wait_for(uint32_t port)
{
	volatile uint32_t *pending = (volatile uint32_t *)(shared_page + PENDING_OFFSET);
	const uint32_t *ports = &port;
	const struct {
		const uint32_t *ports;
		uint32_t count;
		uint64_t timeout;
	} request = {ports, 1, 0};
	call(SCHED_OP, SCHEDOP_POLL, &request);
	__atomic_and_fetch(&pending[port / 32], ~(1u << port % 32), __ATOMIC_SEQ_CST);
}

void xen_print(const char *text)
{
	for (; *text; text++) {
		while (console->out_prod - console->out_cons >= sizeof(console->out)) {
			notify(console_port);
			wait_for(console_port);
		}
		console->out[console->out_prod % sizeof(console->out)] = *text;
		__atomic_thread_fence(__ATOMIC_SEQ_CST);
		console->out_prod++;
	}
	notify(console_port);
}

void xen_power_off(void)
{
	const uint32_t reason = REASON_OFF;
	call(SCHED_OP, SCHEDOP_SHUTDOWN, &reason);
}

/* ---- xenstore ---- */

struct store_head {
	uint32_t type, request, transaction, length;
};

static void store_put(const void *data, size_t size)
{
	for (const char *byte = data; size-- > 0; byte++) {
		while (store->req_prod - store->req_cons >= sizeof(store->req))
			wait_for(store_port);
		store->req[store->req_prod % sizeof(store->req)] = *byte;
		__atomic_thread_fence(__ATOMIC_SEQ_CST);
		store->req_prod++;
	}
}

static void store_get(void *data, size_t size)
{
	for (char *byte = data; size-- > 0; byte++) {
		while (store->rsp_prod == store->rsp_cons)
			wait_for(store_port);
		*byte = store->rsp[store->rsp_cons % sizeof(store->rsp)];
		__atomic_thread_fence(__ATOMIC_SEQ_CST);
		store->rsp_cons++;
	}
	notify(store_port);
}

static void store_ask(uint32_t type, const char *text, uint32_t size)
{
	const struct store_head head = {.type = type, .length = size};
	store_put(&head, sizeof(head));
	store_put(text, size);
	notify(store_port);
}

/* The next answer's or event's type; the beginning of its text. */
static uint32_t store_take(char text[64])
{
	struct store_head head;
	char byte;
	store_get(&head, sizeof(head));
	for (uint32_t i = 0; i < head.length; i++)
		store_get(i < 64 ? &text[i] : &byte, 1);
	return head.type;
}

static const char shutdown_key[] = "control/shutdown";

static void store_watch_shutdown(void)
{
	static const char watch[] = "control/shutdown\0w";
	store_ask(XS_WATCH, watch, sizeof(watch));
}

static void tell_able(void)
{
	static const char able[] = "control/feature-suspend\0001";
	char text[64];
	store_ask(XS_WRITE, able, sizeof(able) - 1);
	while (store_take(text) == XS_WATCH_EVENT)
		;
}

/* To go on in another domain, or in this one, where nothing came of it. */
static void suspend(void)
{
	const uint32_t reason = REASON_SUSPEND;
	char text[64];
	store_ask(XS_WRITE, shutdown_key, sizeof(shutdown_key)); /* with nothing in it: heard */
	while (store_take(text) != XS_WRITE)
		;
	call(SCHED_OP, SCHEDOP_SHUTDOWN, &reason);
	settle();
	tell_able();
	store_watch_shutdown();
}

bool xen_open(void)
{
	uint32_t leaf = find_leaf(), out[4];
	if (!leaf)
		return false;
	cpuid(leaf + 2, out);
	__asm__ volatile("wrmsr" : : "c"(out[1]), "a"(hypercall_page), "d"(0) : "memory");
	settle();
	tell_able();
	return true;
}

void xen_wait(bool obeys)
{
	store_watch_shutdown();
	for (;;) {
		char text[64] = "";
		uint32_t type = store_take(text);
		if (type == XS_WATCH_EVENT)
			store_ask(XS_READ, shutdown_key, sizeof(shutdown_key));
		if (type == XS_READ && text[0] == 'p' && obeys)
			return;
		if (type == XS_READ && text[0] == 's')
			suspend();
	}
}

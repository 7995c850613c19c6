/* SPDX-License-Identifier: ISC */
#ifndef DRIVERS_XEN_H
#define DRIVERS_XEN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * Xen as a PVH guest sees it: hypercalls, event channels, grants. Events are polled: they end a
 * wait, and carry no meaning otherwise.
 */

/* True where CPUID says that this is Xen. */
bool xen_detect(void);
/* Maps the page that is shared with the hypervisor, and the grant table. */
void xen_init(void);

/* Parameters of the domain (Xen, public/hvm/params.h). */
enum xen_parameter {
	XEN_STORE_FRAME = 1,
	XEN_STORE_PORT = 2,
	XEN_CONSOLE_FRAME = 17,
	XEN_CONSOLE_PORT = 18,
};
uint64_t xen_parameter(enum xen_parameter which);
/* The page of a frame that the domain's builder has made, near 4 GiB. */
void *xen_special_page(uint64_t frame);

uint64_t xen_tsc_hz(void);

/* A port for `domain` to bind to; 0 where there is none. */
uint32_t xen_port_create(uint16_t domain);
void xen_notify(uint32_t port);
/* Waits until an event is pending on one of the ports, or for `ns` nanoseconds (UINT64_MAX: for
 * good), and takes the events. */
#define XEN_PORTS_MAX 4
void xen_wait(const uint32_t *ports, size_t count, uint64_t ns);

/* Lets `domain` use a page of ours, for good; 0 where there is no entry left. */
uint32_t xen_grant(uint16_t domain, const void *page, bool writable);

/* Suspends the domain, until its memory goes on in another one: true. There the grants are as they
 * were; ports are to be made anew and parameters read again. False where nothing came of it. */
bool xen_suspend(void);

enum xen_shutdown { XEN_SHUTDOWN_OFF = 0, XEN_SHUTDOWN_CRASH = 3 };
void xen_shutdown(enum xen_shutdown how) __attribute__((__noreturn__));

/* What the other side writes and reads too. */
static inline uint32_t xen_load(const uint32_t *counter)
{
	return __atomic_load_n(counter, __ATOMIC_ACQUIRE);
}

static inline void xen_store(uint32_t *counter, uint32_t value)
{
	__atomic_store_n(counter, value, __ATOMIC_RELEASE);
}

static inline void xen_barrier(void)
{
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
}

#endif

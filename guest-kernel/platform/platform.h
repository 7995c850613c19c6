/* SPDX-License-Identifier: ISC */
#ifndef PLATFORM_PLATFORM_H
#define PLATFORM_PLATFORM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct net_device;

enum power_off { POWER_OFF_DONE, POWER_OFF_FAILED };

/*
 * What differs between the machines that one image boots on. There is one table a platform; the
 * kernel calls nothing else of it. Everything runs on the one CPU with interrupts disabled, which
 * only `wait` lifts.
 */
struct platform {
	const char *name;

	/* True where this machine is one of the platform's own; touches nothing that another
	 * machine could mistake. */
	bool (*detect)(void);

	/* Brings the machine's interrupt controller and timer into a known state. */
	void (*init)(const char *command_line);

	/* Writes the whole text, or drops the rest where the other side does not take it. */
	void (*console_write)(const char *text, size_t size);

	/* The frequency of the time stamp counter; NULL where it is for the kernel to find out. */
	uint64_t (*tsc_hz)(void);

	/* A counter that runs at a known rate from init() on, to measure the time stamp counter
	 * against where neither the platform nor the CPU tells its frequency. */
	uint64_t (*reference_ns)(void);

	/* Random bytes for this guest alone; NULL where there are none. */
	const uint8_t *(*random_seed)(size_t *size);

	/* The first network device, brought up; NULL where there is none, with *why (constant
	 * text) saying what was missing. Called once, and again in a guest that was kept. */
	struct net_device *(*find_network)(const char *command_line, const char **why);

	/* Told once, when the application serves; NULL where nobody listens but to the console. */
	void (*report_ready)(void);

	/* Halts the CPU until an interrupt comes or `ns` nanoseconds have passed. May return
	 * early. */
	void (*wait)(uint64_t ns);

	/* True once whoever runs the machine has asked it to power off. Cheap enough for every
	 * turn of the main loop. */
	bool (*stop_requested)(void);

	void (*power_off)(enum power_off how) __attribute__((__noreturn__));
};

/* The platform that this machine is, found on the first call. */
const struct platform *platform(void);

extern const struct platform platform_qemu, platform_vmm, platform_xen;

#endif

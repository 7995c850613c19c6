/* SPDX-License-Identifier: ISC */
#ifndef SUMMON_VMM_PROTOCOL_H
#define SUMMON_VMM_PROTOCOL_H

/*
 * What a summon-vmm and whoever started it say to each other, over a unix socket of type SEQPACKET.
 * The monitor listens on the socket that it was given (bound by its starter, who may connect before
 * the monitor exists) and serves one connection: a new one replaces the old, so that a daemon that
 * was restarted finds its guests by connecting again. A monitor begins as a shell: everything that
 * it ever opens is open, its sandbox is closed, and what its guest is made of comes with a request.
 * A shell that loses its connection ends.
 *
 * Requests are done in the order in which they came; the flags of RESUME, PAUSE and KEEP come back
 * in their answers. One packet is one message; the text takes the
 * rest of it and is not ended by NUL. Types and flags are only ever added, and unknown ones are
 * ignored: a daemon meets monitors that are older or younger than itself.
 */
#include <stdint.h>

#define CONTROL_TEXT_MAX 4096

/* The descriptor on which the monitor finds its socket. */
#define CONTROL_FD 3

enum control_type {
	/* requests */
	CONTROL_BOOT = 1, /* become a guest: struct control_boot; answered by CREATED or FAILED */
	CONTROL_RESUME,   /* run; answered by RESUMED, also where it runs already */
	CONTROL_PAUSE,    /* stop running, keep memory; answered by PAUSED, likewise */
	CONTROL_SHUTDOWN, /* ask the guest to power off; a paused one is ended */
	CONTROL_ASK,      /* answered by FACTS */
	/* Write the guest to the file that comes along, once it waits; answered by KEPT. One that was
	 * paused in the middle of something runs on until then, and is paused again; one that was
	 * paused before it has run is refused. A RESUME, a PAUSE, an ASK or another KEEP that comes
	 * first calls it off. */
	CONTROL_KEEP,
	CONTROL_MEASURE, /* answered by MEASURED */
	/* Of a shell, once: have ready what a BOOT is expected to bring. The text is a struct
	 * control_boot, of which memory and the flag KEPT count, and the key with its NUL; the image
	 * comes along. Answered by LOADED. A BOOT that brings another image is obeyed all the same. */
	CONTROL_LOAD,

	/* answers and news */
	CONTROL_CREATED = 64, /* the guest exists, and has not run */
	CONTROL_FAILED,       /* it does not: code, text; the monitor ends */
	CONTROL_RESUMED,
	CONTROL_PAUSED,
	CONTROL_READY,  /* the guest says that it serves; flags: nanoseconds since it first ran */
	CONTROL_OUTPUT, /* text: bytes of the console, in order, cut anywhere */
	CONTROL_EXITED, /* code: enum control_exit; text: why, where it crashed; the monitor ends */
	CONTROL_FACTS,  /* flags, started_at; text: service, NUL, tap ("" for none), NUL */
	CONTROL_KEPT,   /* code: 0, or a negative errno value; text: why not */
	CONTROL_MEASURED, /* text: struct control_figures */
	CONTROL_LOADED,   /* code: 0, or a negative errno value; text: why not */
};

/* Since the guest began, or went on from a file. It only ever grows at its end: what a shorter one
 * lacks is zero. Frames are counted as the guest sees them: a large one is one. */
struct control_figures {
	uint64_t frames_in, bytes_in;   /* to the guest */
	uint64_t frames_out, bytes_out; /* from it */
	uint64_t frames_lost; /* from it, which were none, or which its tap did not take */
	uint64_t exits;       /* how often it left for its monitor */
};

/* What the text of BOOT begins with. It is followed by texts that each end with NUL: the service's
 * name, the tap's name ("": no network), the command line, and the key: what the guest is made of, in
 * any words. With the packet come descriptors (SCM_RIGHTS): the image, then what the flags name in
 * their order. */
struct control_boot {
	uint64_t memory; /* bytes, at most as many as the monitor was started with */
	uint8_t mac[6];
	uint16_t flags; /* enum control_boot_flag */
};

enum control_boot_flag {
	CONTROL_BOOT_INITRD = 1,
	CONTROL_BOOT_TAP = 2, /* non-blocking, frames without a header */
	CONTROL_BOOT_PAUSED = 4,
	/* Keep the guest in a file once it is ready, and has gone on to wait; told by KEPT. */
	CONTROL_BOOT_KEEP = 8,
	/* What comes as the image is a guest that was kept (snapshot.h), with the same key. */
	CONTROL_BOOT_KEPT = 16,
	/* The tap's frames have a header: IFF_VNET_HDR, of the usual size. They may be large and
	 * without checksum both ways (TUNSETOFFLOAD with TUN_F_CSUM, TUN_F_TSO4, TUN_F_TSO6). */
	CONTROL_BOOT_TAP_HEADER = 32,
	/* No image comes along: it is the one of a LOAD that was answered with 0. Memory and KEPT are
	 * as they were there. */
	CONTROL_BOOT_LOADED = 64,
};

/* Of KEEP: do not run on, unless it fails. The other bits have no meaning here. */
#define CONTROL_KEEP_PAUSE 1u

#define CONTROL_FDS_MAX 4

enum control_exit { CONTROL_EXIT_SHUTDOWN, CONTROL_EXIT_DESTROYED, CONTROL_EXIT_CRASHED };

enum control_flag {
	CONTROL_IS_PAUSED = 1,
	CONTROL_HAS_RUN = 2,
	CONTROL_IS_READY = 4,
};

struct control_message {
	uint32_t type; /* enum control_type */
	int32_t code;  /* FAILED: a negative errno value */
	uint64_t flags;
	uint64_t started_at; /* nanoseconds of real time */
	char text[CONTROL_TEXT_MAX];
};

#endif

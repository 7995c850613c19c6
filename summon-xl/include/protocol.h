/* SPDX-License-Identifier: ISC */
#ifndef SUMMON_XL_PROTOCOL_H
#define SUMMON_XL_PROTOCOL_H

/*
 * What summon-xl and the daemon that started it say to each other, over a unix socket of type
 * SEQPACKET. One packet is one message; its text takes the rest of it and is not ended by NUL.
 *
 * summon-xl keeps nothing but what Xen or its folder of saved guests knows too: it may be killed at
 * any instant, and the next one finds the guests. So every request may be asked again of the next
 * one, and is answered as if it were new. A domain is known by its UUID (identity.h), which is the
 * database's identity and the instance's id.
 *
 * LIST is the first request of a connection. Requests on several instances are done at the same
 * time; those on one are to be sent one after the other's answer. Where the daemon closes the
 * socket, what is under way is brought to its end, and summon-xl ends; domains stay.
 *
 * Both sides are of one build: the protocol has no versions.
 */
#include <stdint.h>

#define XL_TEXT_MAX 8192

/* The descriptor on which summon-xl finds its socket. */
#define XL_FD 3

enum xl_type {
	/* requests; all but LIST are answered by one DONE or FAILED, or overtaken by EXITED */
	XL_LIST = 1, /* answered by FOUND for each domain, then LISTED */
	XL_START,    /* struct xl_start */
	XL_RESUME,   /* also of one that runs */
	XL_PAUSE,    /* stop running, keep memory; also of one that is paused */
	XL_SHUTDOWN, /* ask the guest to power off; DONE: it was asked */
	XL_DESTROY,  /* answered by EXITED, or FAILED */
	XL_SAVE,     /* keep memory on disk, and nothing else; also of one that is there. RESUME is
		      * what brings it back, as the same instance */

	/* answers and news */
	XL_DONE = 64,
	XL_FAILED, /* code, text; the domain is as it was; after START there is none */
	XL_OUTPUT, /* text: bytes of the console, in order, cut anywhere */
	XL_EXITED, /* code: enum xl_exit; text: why, where it crashed; the domain is no more */
	XL_FOUND,  /* flags, started_at; text: service, NUL, network device ("": none), NUL */
	XL_READY,  /* the key that START named is there */
	XL_LISTED, /* code, text: 0 and facts about the host and about guests on disk that cannot be
		    * read, or an error */
};

enum xl_exit { XL_EXIT_SHUTDOWN, XL_EXIT_DESTROYED, XL_EXIT_CRASHED };

enum xl_kind {
	XL_KIND_AUTO, /* what the kernel's ELF notes say; PVH where it can be both */
	XL_KIND_PVH,
	XL_KIND_PV,
};

enum xl_flag {
	XL_PAUSED = 1,  /* START: leave it paused. FOUND: it is */
	XL_HAS_RUN = 2, /* FOUND */
	XL_ON_DISK = 4, /* FOUND */
};

/* What the text of START begins with. It is followed by XL_START_TEXTS texts that each end with
 * NUL, and may be "" for none: the service's name; the kernel's path; the initrd's; the name of the
 * first network device, or that libxl is to give; the bridge that this becomes a port of; the
 * command line; the domain's name and UUID, if not ours; network interfaces and disks
 * (base/devices.h); the path of what goes to rumprun/cfg in xenstore; the key that tells that the
 * guest is ready. Without interfaces a network device's name stands for one on the bridge. */
struct xl_start {
	uint64_t memory; /* bytes */
	uint32_t vcpus, kind;
	uint8_t mac[6], unused[2];
};
#define XL_START_TEXTS 12

struct xl_message {
	uint32_t type; /* enum xl_type */
	int32_t code;  /* a negative errno value, or as the type says */
	uint32_t slot, generation;
	uint64_t flags;
	uint64_t started_at; /* nanoseconds of real time */
	char text[XL_TEXT_MAX];
};

#endif

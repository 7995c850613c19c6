/* SPDX-License-Identifier: ISC */
#ifndef SUMMON_ABI_H
#define SUMMON_ABI_H

/*
 * The contract between summon-vmm and its guest. Nothing but stdint.h is included, so that any
 * kernel can be written against this file alone.
 *
 * The guest is an x86-64 ELF executable whose segments lie between SUMMON_IMAGE_MIN and its memory's
 * end, with a note that says where to enter it. It runs as a program does: in 64-bit mode at CPL 3,
 * without privileged instructions, interrupts or devices. Its address space is made for it and
 * cannot be changed by it: addresses are physical ones, each segment has the rights that its program
 * header asks for, memory that is no segment is readable and writable, and everything below the
 * image is unmapped but for what the boot page names.
 *
 * It is entered at `entry` with the boot page's address in rdi, no stack, the direction flag clear,
 * SSE and x87 enabled and in their reset state, and the FS base at `thread`.
 *
 * An exception ends the guest. If the note names an `exception_entry`, the guest is entered there
 * once, with the address of a struct summon_exception in rdi and no stack, to say on its console
 * what it knows, and to exit; an exception there ends it at once.
 *
 * A guest whose note names a `resume_entry` can be kept in a file, as it is while it waits, and be
 * gone on with later: in another process, on another day, more than once from one file. It is then
 * entered at `resume_entry` as it was at `entry`, with no stack. Its memory is as it was, and the
 * initrd where it was; the boot page, what is shared and the rings are new, and may say something
 * else: the addresses and the name (the words ip=, gw=, ip6=, gw6=, name=), the MAC, the time and
 * tsc_hz. The seed always does. What was random before is known to others who went on from the same
 * file: it has to be drawn anew.
 */
#include <stdint.h>

#define SUMMON_ABI_VERSION 3

/* ---- the note ---- */

/* The ELF note's name (with its NUL) and type; its description is a struct summon_note. */
#define SUMMON_NOTE_NAME "summond"
#define SUMMON_NOTE_TYPE 1

#define SUMMON_GUARDS 2

struct summon_note {
	uint32_t version; /* SUMMON_ABI_VERSION */
	uint32_t reserved;
	uint64_t entry;
	uint64_t exception_entry;       /* 0: none */
	uint64_t resume_entry;          /* 0: it can only be started anew */
	uint64_t thread;                /* what the FS base is to be */
	uint64_t guards[SUMMON_GUARDS]; /* pages to leave unmapped, e.g. below stacks; 0: none */
};

#define SUMMON_IMAGE_MIN 0x100000ull

/* ---- the boot page: read-only for the guest ---- */

#define SUMMON_BOOT_MAGIC   0x6d6d7573u /* "summ" */
#define SUMMON_COMMAND_LINE 2048
#define SUMMON_SEED         32

/* What the CPU knew at an exception (Intel SDM volume 3, 6.12), in the order in which a handler
 * would have pushed it. */
struct summon_exception {
	uint64_t cr2;
	uint64_t r15, r14, r13, r12, r11, r10, r9, r8;
	uint64_t rbp, rdi, rsi, rdx, rcx, rbx, rax;
	uint64_t vector, code;
	uint64_t rip, cs, rflags, rsp, ss;
};

enum summon_feature {
	/* The network finishes what frames leave open, and leaves it open in what it delivers:
	 * struct summon_frame_header counts, and frames may be as large as SUMMON_FRAME_MAX. */
	SUMMON_FEATURE_OFFLOAD = 1,
};

struct summon_boot {
	uint32_t magic, version;
	uint64_t free_start, free_end; /* memory that neither the image nor the initrd takes */
	uint64_t initrd, initrd_size;  /* 0, 0: none */
	uint64_t calls;                /* the call page */
	uint64_t shared;               /* struct summon_shared */
	uint64_t receive, transmit;    /* struct summon_ring each; 0, 0: no network */
	uint64_t tsc_hz;               /* of the time stamp counter */
	uint64_t real_ns;              /* the real time at entry, since 1970 */
	uint8_t seed[SUMMON_SEED];     /* random, for this guest alone */
	uint8_t mac[6];
	uint16_t features;                 /* enum summon_feature */
	struct summon_exception exception; /* filled in before `exception_entry` */
	/* Ended by NUL. The addresses are words of it: ip=, gw=, ip6=, gw6=. A guest with several of a
	 * family has ip= or ip6= as many times, at most four; one that takes the first of them alone
	 * answers at that one. */
	char command_line[SUMMON_COMMAND_LINE];
};

/* ---- calls ---- */

/* Call number n is a function at calls + n * SUMMON_CALL_SIZE, called as C calls one, with one
 * argument and no result. How it leaves the guest is the call page's business. Leaving is what costs
 * time, so whichever it is, what waits in shared memory is done first, in this order: `ready`
 * is passed on, the frames in the transmit ring are sent, and the text on the console is printed. */
#define SUMMON_CALL_SIZE 64

enum summon_call {
	SUMMON_CALL_EXIT, /* status, 0 for a clean end; does not return */
	SUMMON_CALL_KICK, /* 0: nothing but that, for a guest that goes on working */
	/* Nanoseconds, UINT64_MAX for ever: waits until there is a frame to receive, a stop is
	 * requested, or the time is over; it may return early. What has arrived is then in the
	 * ring: this is the one call a guest needs to receive. */
	SUMMON_CALL_WAIT,
	SUMMON_CALL_COUNT
};

/* ---- shared memory: both sides write ---- */

#define SUMMON_CONSOLE 2048

/* The state of a ring. The counters run freely and wrap; number n is in place n % (size of the
 * ring), and those from `consumed` up to `produced` wait. Each side writes its own counter only,
 * after (release) it has written or read what it counts; the other reads it first (acquire). A ring
 * whose counters cannot be true ends the guest. */
struct summon_counters {
	uint32_t produced, reserved0[15];
	uint32_t consumed, reserved1[15];
};

struct summon_shared {
	uint32_t stop_requested; /* set to 1 by the monitor: power off, please */
	uint32_t ready;          /* set to 1 by the guest: it serves */
	uint32_t reserved[14];
	struct summon_counters receive, transmit, printed;
	char console[SUMMON_CONSOLE]; /* a ring of bytes that the guest produces */
};

/* ---- rings: Ethernet frames in one direction ---- */

#define SUMMON_RING_FRAMES 256
#define SUMMON_RING_DATA   (256 * 1024 - 16 * SUMMON_RING_FRAMES)

/* What is in front of every frame: struct virtio_net_hdr (VIRTIO 1.1, 5.1.6), little endian. All
 * zero, and not looked at, without SUMMON_FEATURE_OFFLOAD. */
struct summon_frame_header {
	uint8_t flags;         /* enum summon_frame_flag */
	uint8_t segments;      /* enum summon_frame_segments */
	uint16_t headers_size; /* of a frame of several segments: bytes that each repeats */
	uint16_t segment_size; /* bytes of TCP's data in each */
	uint16_t checksum_start, checksum_offset;
};

enum summon_frame_flag {
	/* The checksum at checksum_start + checksum_offset holds the sum of the pseudo header, and
	 * that of everything from checksum_start on is missing. */
	SUMMON_FRAME_NEEDS_CHECKSUM = 1,
	SUMMON_FRAME_IS_CHECKED = 2, /* of a frame to receive: its checksum is right */
};

/* A large frame stands for segments with data of segment_size each but the last one. It needs its
 * checksum, too. */
enum summon_frame_segments {
	SUMMON_FRAME_WHOLE = 0,
	SUMMON_FRAME_TCP4 = 1,
	SUMMON_FRAME_TCP6 = 4,
};

/* Header, Ethernet header with a VLAN's tag, and the largest packet of IP; a multiple of 8. Without
 * SUMMON_FEATURE_OFFLOAD the network takes and delivers what fits its MTU. */
#define SUMMON_FRAME_MAX 65568

/* Where in `data` a frame with its header lies. The one that produces chooses, and leaves frames that
 * wait alone. A frame to send may go on elsewhere in the guest's memory, from SUMMON_IMAGE_MIN on:
 * what the guest has there need not be copied. */
struct summon_frame {
	uint32_t offset, size;
	uint32_t tail, tail_size; /* an address; 0, 0: none */
};

struct summon_ring {
	struct summon_frame frame[SUMMON_RING_FRAMES];
	uint8_t data[SUMMON_RING_DATA];
};

_Static_assert(sizeof(struct summon_note) == 56, "assembly writes it");
_Static_assert(sizeof(struct summon_boot) <= 4096, "the boot page is one page");
_Static_assert(sizeof(struct summon_shared) <= 4096, "so is what is shared");
_Static_assert(sizeof(struct summon_frame_header) == 10, "as the kernel's taps have it");
_Static_assert(sizeof(struct summon_ring) == 256 * 1024, "in whole pages");

#endif

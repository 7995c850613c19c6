/* SPDX-License-Identifier: ISC */
#ifndef LAUNCHER_LAUNCHER_H
#define LAUNCHER_LAUNCHER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <uv.h>

#include "base/address.h"
#include "base/error.h"

/*
 * The contract between the daemon and whatever runs guests.
 *
 * Operations run on the loop thread, never block, and never call back before they return: every
 * result is an event, delivered in a later turn of the loop. An operation that returns an error
 * has done nothing and no event follows; -ESRCH means that there is no such instance.
 *
 * An instance is named by value. `slot` is the service's number, `generation` grows with every
 * start, so that a late result of an old life is recognised. The backend never reuses an id.
 *
 * Promises of a backend:
 *   - each accepted `start` yields exactly one STARTED or START_FAILED;
 *   - each started or found guest yields exactly one EXITED, at the end of its life, whoever ended
 *     it; after START_FAILED nothing of it is left and no EXITED comes;
 *   - each accepted `resume` yields one RESUMED, `suspend` one SUSPENDED, or OPERATION_FAILED (the
 *     guest is then as it was), unless EXITED comes first and ends all that was asked of it;
 *   - `stop` may come at any time after `start`, before STARTED too: then START_FAILED with
 *     -ECANCELED, or STARTED followed by EXITED, and no guest is left;
 *   - OUTPUT and READY may come before STARTED: a guest can be quicker than its creator's return;
 *   - operations on one instance take effect in the order in which they were asked;
 *   - a guest that this backend did not make for this identity is never listed and never touched;
 *   - guests outlive the daemon, where the capability says so.
 */

struct instance_id {
	uint32_t slot, generation;
};

static inline bool instance_id_equal(struct instance_id a, struct instance_id b)
{
	return a.slot == b.slot && a.generation == b.generation;
}

enum launcher_capability {
	LAUNCHER_CAN_PREPARE = 1,   /* start paused, before the first instruction; resume */
	LAUNCHER_CAN_SUSPEND = 2,   /* pause with memory kept; resume */
	LAUNCHER_CAN_SHUTDOWN = 4,  /* ask the guest to power off */
	LAUNCHER_CAN_CONSOLE = 8,   /* OUTPUT */
	LAUNCHER_CAN_OUTLIVE = 16,  /* guests survive the daemon; `list` finds them */
	LAUNCHER_CAN_SNAPSHOT = 32, /* keep memory on disk, with nothing running; resume restores.
				     * Where a guest has to help, check() tells which cannot */
	LAUNCHER_CAN_KEY = 64, /* READY when spec.ready_key is in the guest's xenstore folder */
};
/* "prepare, suspend" of a mask, for a person; `text` holds at least 80 bytes. */
const char *launcher_capabilities_print(unsigned mask, char text[80]);

/* How a backend wants a guest's tap. A tap that is held open has its carrier, and its bridge forwards
 * to it, before any guest is there to lose a frame. */
enum launcher_tap {
	LAUNCHER_TAP_BY_NAME, /* held by nobody: the hypervisor opens it, and sets it up as it likes */
	LAUNCHER_TAP_PLAIN,   /* held open, frames as they are */
	LAUNCHER_TAP_HEADERS, /* held open, each frame behind a virtio-net header (IFF_VNET_HDR); its
			       * size and offloads are as the kernel makes a tap, the backend sets them */
	LAUNCHER_TAP_MADE,    /* none: the hypervisor makes the device, and the backend gives it the
			       * name and makes it a port of spec.bridge */
};

/* What the user wants of the guest's domain besides; for backends with `takes_domain`. NULL: nothing
 * of that kind. */
struct guest_domain {
	const char *name; /* what the hypervisor calls it */
	const char *uuid; /* base/devices.h, as for the next two */
	const char *nics; /* its interfaces; the first is the one of spec.tap and spec.mac */
	const char *disks;
	const char *rumprun_config; /* path of the JSON text that a rumprun kernel reads */
};

/* What is to be started. Borrowed for the call of `start`; a backend copies what it keeps. */
struct guest_spec {
	const char *service;    /* its name, for the guest's own name and for a person */
	const char *kernel;     /* a path; NULL where domain_xml is given */
	const char *initrd;     /* a path or NULL */
	const char *cmdline;    /* complete: addresses and the user's words; "" for none */
	const char *domain_xml; /* libvirt: the user's template, or NULL */
	uint64_t memory;        /* bytes */
	unsigned vcpus;
	const char *tap; /* a tap device that exists (but see ops->tap), or NULL for no network */
	const char *bridge; /* LAUNCHER_TAP_MADE: what the device becomes a port of */
	int tap_fd; /* it, open and non-blocking as ops->tap says; -1: to be opened by its name.
			  * The caller's: a backend that keeps it after `start` duplicates it */
	/* Begin from what an earlier guest of the same image, initrd, memory and command line (but
	 * for addresses and name) was when it became ready; keep this one's state where there is
	 * none. A backend that cannot does not look at it. */
	bool from_template;
	/* So many starts of guests of its kin may come at once: a backend with `expect` makes that much
	 * ready for them in particular, what started last first. Kin is the same pointer, which is
	 * looked at by nobody. 0: for anybody. */
	unsigned expected;
	const void *kin;
	const char *ready_key; /* LAUNCHER_CAN_KEY: READY when it is there; NULL: nobody asks */
	struct guest_domain domain;
	struct mac_address mac;
	struct ip_address ipv4, ipv6; /* the first of each family; cmdline has all */
};

enum launcher_start { LAUNCHER_START_RUNNING, LAUNCHER_START_PAUSED };
enum launcher_rest { LAUNCHER_REST_MEMORY, LAUNCHER_REST_DISK };
enum launcher_stop { LAUNCHER_STOP_SHUTDOWN, LAUNCHER_STOP_DESTROY };

enum launcher_event_type {
	LAUNCHER_STARTED,
	LAUNCHER_START_FAILED, /* error */
	LAUNCHER_RESUMED,
	LAUNCHER_SUSPENDED,
	LAUNCHER_OPERATION_FAILED, /* error */
	LAUNCHER_EXITED,           /* exit, error where it crashed */
	LAUNCHER_OUTPUT,           /* data, length: console bytes, in order, cut anywhere */
	LAUNCHER_READY,            /* the guest has said that it serves; boot_ns */
	LAUNCHER_MEASURED,         /* figures */
	LAUNCHER_FOUND,            /* found: a guest of an earlier life, now known under its id */
	LAUNCHER_LISTED,           /* the end of `list`; error.code < 0 where it failed */
	LAUNCHER_LOST,             /* the hypervisor's service went away; guests may live on */
	LAUNCHER_REGAINED, /* it is back; guests that ended meanwhile have had their EXITED */
};

enum launcher_exit {
	LAUNCHER_EXIT_SHUTDOWN,  /* the guest powered off */
	LAUNCHER_EXIT_DESTROYED, /* we ended it */
	LAUNCHER_EXIT_CRASHED,   /* the guest or its hypervisor process died */
};

struct launcher_found {
	const char *service;
	const char *tap; /* "" for none */
	bool paused;
	bool booted;         /* paused after it had run: suspended; else prepared */
	bool unready;        /* it runs, and has not said yet that it serves, as far as is known */
	bool on_disk;        /* so it is kept: nothing of it runs */
	uint64_t started_at; /* real time; 0: unknown */
};

/* How a guest does, since it began or came back from disk; for a person. */
struct launcher_figures {
	const char *mode;               /* what runs it */
	uint64_t frames_in, bytes_in;   /* to the guest */
	uint64_t frames_out, bytes_out; /* from it */
	uint64_t frames_lost;           /* from it, which went nowhere */
	uint64_t exits;                 /* how often it left for what runs it */
	uint64_t resident;              /* bytes of the host's memory, with what is shared */
	uint64_t cpu_ns;                /* of the host's processors */
};

/* Borrowed for the call. */
struct launcher_event {
	enum launcher_event_type type;
	struct instance_id id;
	struct error error;
	enum launcher_exit exit;
	const uint8_t *data;
	size_t length;
	struct launcher_found found;
	uint64_t boot_ns; /* since its first instruction; 0: unknown */
	struct launcher_figures figures;
};

typedef void (*launcher_event_fn)(void *ctx, const struct launcher_event *event);

/* "key=value" settings of one backend from the configuration: borrowed for `create`. */
struct launcher_setting {
	const char *key, *value;
};

struct launcher_config {
	uv_loop_t *loop;
	const char *identity;  /* marks the guests of this daemon's database */
	const char *state_dir; /* this backend's own folder, exists */
	const char *run_dir;   /* likewise, for what does not outlive the machine's uptime */
	const struct launcher_setting *settings;
	size_t setting_count;
	launcher_event_fn on_event;
	void *ctx;
};

struct launcher; /* one backend's instance; each backend embeds it first in its own struct */

struct launcher_ops {
	const char *name;
	const char *summary; /* one line, for `summonctl check` */
	bool needs_image;    /* a service must have an image or a domain_xml */
	bool takes_domain;   /* spec.domain */
	enum launcher_tap tap;
	/* 0 where its guests run well on this host; else why not. It may take some ms, and is for the
	 * time before the loop runs. NULL: there is no need to ask. */
	int (*suits)(const struct launcher_setting *settings, size_t count, struct error *err);
	/* Whether a guest of this image, domain_xml and number of CPUs could ever start (the rest of
	 * the spec is not looked at), and do what its policy asks of it, a mask of capabilities that
	 * the backend has: 0, or -EINVAL, which names the key of the service and what would be right.
	 * Reads files, on any thread. NULL: no more is known than that they are there. */
	int (*check)(const struct guest_spec *spec, unsigned asked, struct error *err);
	/* Checks the settings (-EINVAL names the key and what would be right) and starts up without
	 * blocking; work before it is connected is queued. */
	int (*create)(
		const struct launcher_config *config, struct launcher **out, struct error *err);
	/* Stops nothing: guests live on where they can outlive. No event comes any more; `closed`
	 * is called in a later turn, when all memory is gone. */
	void (*destroy)(struct launcher *launcher, void (*closed)(void *ctx), void *ctx);
	/* Known after LISTED; before it what is known without asking. */
	unsigned (*capabilities)(const struct launcher *launcher);
	/* Once, before any start: FOUND for each guest of an earlier life, then LISTED. */
	int (*list)(struct launcher *launcher, struct error *err);
	/* -EINVAL for a spec that can never start, e.g. an image that cannot be read. */
	int (*start)(struct launcher *launcher, struct instance_id id,
		const struct guest_spec *spec, enum launcher_start how, struct error *err);
	/* So many starts of guests with at most so much memory may come at once: what can be made
	 * ready for them, is, off the path. A wish, and the last one counts. NULL: nothing can be. */
	void (*expect)(struct launcher *launcher, unsigned starts, uint64_t memory);
	int (*resume)(struct launcher *launcher, struct instance_id id, struct error *err);
	/* From memory a resume is quick; on disk (LAUNCHER_CAN_SNAPSHOT) nothing of the guest runs
	 * and no memory is used. Either way SUSPENDED follows, the guest is still this instance, and
	 * resume is what brings it back; `stop` then removes what is kept of it, and EXITED follows. */
	int (*suspend)(struct launcher *launcher, struct instance_id id, enum launcher_rest where,
		struct error *err);
	int (*stop)(struct launcher *launcher, struct instance_id id, enum launcher_stop how,
		struct error *err);
	/* MEASURED follows, of a guest that runs or is suspended in memory, unless it ends first or what
	 * runs it does not answer. NULL: its figures are not known. */
	int (*measure)(struct launcher *launcher, struct instance_id id, struct error *err);
	/* Whether such a guest would begin from a template; NULL where there never are any. */
	bool (*has_template)(struct launcher *launcher, const struct guest_spec *spec);
	/* One line of facts for a person (version, URI, domain type and why). */
	void (*describe)(const struct launcher *launcher, char *text, size_t size);
};

struct launcher {
	const struct launcher_ops *ops;
};

/* The backends that were built in, ended by NULL; and one of them by name, or NULL. */
extern const struct launcher_ops *const launcher_backends[];
const struct launcher_ops *launcher_backend_find(const char *name);

#endif

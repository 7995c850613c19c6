/* SPDX-License-Identifier: ISC */
#ifndef DAEMON_INSTANCE_H
#define DAEMON_INSTANCE_H

#include <net/if.h>
#include <stdbool.h>
#include <stdint.h>

#include "daemon/timer.h"
#include "launcher/launcher.h"
#include "launcher/link/link.h"
#include "launcher/link/readiness.h"
#include "policies/policy.h"

/* One guest, from before it exists until after it is gone: its id, its link, the watches on it.
 * What it is made from is copied, because the definition may change while it lives. */
struct service;
struct config;

/* What it is sent away for, while its door is closed for the last look. */
enum leaving {
	LEAVING_NOT,
	LEAVING_IDLE,    /* use calls it off */
	LEAVING_EVICTED, /* for its memory; so does this */
	LEAVING_ORDERED, /* nothing does: what comes meanwhile is for its next life */
};

struct instance {
	struct instance_id id;
	char tap[IFNAMSIZ]; /* "" for none */
	int tap_fd;         /* until its start has settled; -1 */
	union {             /* base/address.h */
		struct ip_address addresses[ADDRESSES_MAX];
		struct {
			struct ip_address ipv4, ipv6; /* the first of each family */
		};
	};
	uint64_t started_at;     /* real time */
	bool linked;             /* its neighbour entry is there */
	bool open;               /* its route is there: packets do not ring (door.h) */
	bool found;              /* of an earlier life of the daemon */
	bool found_booting;      /* in the midst of its start */
	bool outdated;           /* it was started from a definition that has changed since */
	enum policy_ready ready; /* how it is watched for; the policy may change meanwhile */
	struct readiness *readiness[ADDRESSES_MAX];
	struct timer *delay;  /* policy ready = delay */
	struct timer *limit;  /* readiness has a limit */
	struct timer *grace;  /* so has a shutdown */
	struct timer *settle; /* instance_settle_after() */
	struct timer *rest;   /* the next look at idleness */
	int usage;            /* counts frames (link/usage.h); -1: not yet, or it cannot be */
	bool on_disk;         /* at rest: where */
	struct timer *tier;   /* at rest: the next deeper one */
	enum leaving leaving;
	enum policy_retire leave_how; /* EVICTED, ORDERED */
	uint64_t leave_by;            /* ORDERED: open exchanges may end until then (monotonic) */
	bool flowed;                  /* something may have, since it was last asked (door_ask) */
	bool unanswered;              /* it was asked, and has not answered yet */
	struct claims *claims;        /* what it says while its door is closed; NULL: not heard */
	uint64_t asked_at; /* monotonic: when its connections were asked for; 0: they were not */
};

/* How a backend wants its guests' taps. */
enum link_tap_use instance_tap_use(const struct launcher_ops *backend);
/* A new generation with a tap of its own. Its link is down. */
int instance_create(struct service *service, struct instance **out, struct error *err);
/* One that lives already. */
int instance_adopt(struct service *service, const struct launcher_event *found,
	struct instance **out, struct error *err);
/* Gives the tap back; ends all watches. NULL is fine. */
void instance_destroy(struct service *service, struct instance *instance);
/* After a start, and once it is awake: later than what somebody waits for. Its backend has the tap
 * then, where it wants it open; and neighbours learn whose the address is, and its traffic counts. */
void instance_settle_after(struct service *service, uint64_t wait);
/* The daemon ends: what the guest needs stays. */
void instance_forget(struct instance *instance);

/* What the backend is told to start; `texts` is where it points into. Without an instance, all but
 * its tap and its addresses. */
struct instance_texts {
	char cmdline[4096], kernel[4096];
};
void instance_spec(
	const struct service *service, struct guest_spec *spec, struct instance_texts *texts);
/* Whether it begins from what a guest like it was: it then starts as quickly as it would wake, and
 * nothing has to be there for it meanwhile. */
bool instance_has_template(const struct service *service);
/* The path of an image: as given, or of one of ours where it is a bare name. */
const char *instance_image_path(
	const struct config *config, const char *image, char *path, size_t size);

/* The host knows the guest's MAC; its door is still closed. */
int instance_link_up(struct service *service, struct error *err);
/* Closes the door and forgets the MAC. */
void instance_link_down(struct service *service);

/* Watches for readiness as the policy says; posts READY or READY_TIMEOUT. Not before this is its
 * console looked at for the ready line. */
int instance_watch(struct service *service, struct error *err);
void instance_unwatch(struct service *service);

/* Its monitor has heard that it serves, boot_ns after its first instruction (0: unknown). */
void instance_said_ready(struct service *service, uint64_t boot_ns);

/* Console bytes of the guest. */
void instance_output(struct service *service, const uint8_t *data, size_t length);

#endif

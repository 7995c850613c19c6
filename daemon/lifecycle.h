/* SPDX-License-Identifier: ISC */
#ifndef DAEMON_LIFECYCLE_H
#define DAEMON_LIFECYCLE_H

#include <stdbool.h>
#include <stddef.h>

/*
 * The life of a service's instance as one table. lifecycle_step() is pure; service.c is the only
 * caller that writes a state, and runs the effects. Policies decide before an event is made, so
 * no row has a condition.
 */

enum lifecycle_state {
	STATE_ASLEEP,     /* nothing exists */
	STATE_PREPARING,  /* a paused, unbooted guest is being created off the path */
	STATE_PREPARED,   /* it is there */
	STATE_HURRYING,   /* it was wanted while being created: resume it as soon as it is there */
	STATE_WARMING,    /* a guest boots off the path, to be suspended when ready */
	STATE_SUSPENDING, /* a pause was asked for; its memory stays */
	STATE_SUSPENDED,  /* in memory or on disk */
	STATE_DEEPENING,  /* at rest, and on its way to a deeper one */
	STATE_RECALLED,   /* wanted meanwhile: resume it as soon as that is over */
	STATE_CREATING,   /* wanted: a start was asked for, the backend has not said STARTED */
	STATE_UNPAUSING,  /* wanted: a prepared guest was told to begin */
	STATE_RESUMING,   /* wanted: a suspended guest was told to go on */
	STATE_BOOTING,    /* wanted: it runs, and has not been seen ready */
	STATE_AWAKE,      /* it serves */
	STATE_STOPPING,   /* on its way down */
	STATE_RESTARTING, /* on its way down, and wanted again: start as soon as it is down */
	STATE_COUNT,
};

enum lifecycle_event {
	EVENT_DEMAND,  /* policies admitted a wake */
	EVENT_PREPARE, /* policies want an unbooted guest ahead of demand */
	EVENT_WARM,    /* policies want a suspended guest ahead of demand */
	EVENT_STARTED, /* the backend's answers, see launcher.h */
	EVENT_START_FAILED,
	EVENT_RESUMED,
	EVENT_SUSPENDED,
	EVENT_OPERATION_FAILED,
	EVENT_EXITED,
	EVENT_READY,         /* the guest can serve */
	EVENT_READY_TIMEOUT, /* it did not say so in time */
	EVENT_GRACE_OVER,    /* it did not shut down in time */
	EVENT_RETIRE,        /* stop it, in the way that service->stop_how says */
	EVENT_REST,          /* suspend it */
	EVENT_DEEPEN,        /* rest where service->rest_where says, without being woken for it */
	EVENT_FOUND_AWAKE,   /* after a restart of the daemon */
	EVENT_FOUND_BOOTING,
	EVENT_FOUND_PREPARED,
	EVENT_FOUND_SUSPENDED,
	EVENT_COUNT,
};

/* What is done, in the order in which a row lists it. effects.c has a function for each. */
enum lifecycle_effect {
	EFFECT_NONE,
	EFFECT_NEW_INSTANCE, /* a generation, a tap */
	EFFECT_LINK_UP,      /* the host knows the guest's MAC */
	EFFECT_LINK_DOWN,    /* and no longer; its door is closed */
	EFFECT_OPEN,         /* route to the guest; the packets that waited are handed over */
	EFFECT_REFUSE,       /* those who sent them hear that there is no guest */
	EFFECT_WATCH,        /* wait for readiness, with a time limit */
	EFFECT_UNWATCH,
	EFFECT_START,        /* ask the backend: running */
	EFFECT_START_PAUSED, /* ask the backend: paused */
	EFFECT_RESUME,
	EFFECT_SUSPEND, /* begins to rest, as service->rest_where says */
	EFFECT_DEEPEN,  /* the same for one at rest */
	EFFECT_SETTLE,  /* it is at rest: watch for the time of the next tier */
	EFFECT_REMAIN,  /* it could not go deeper: it is tried again after a while */
	EFFECT_STOP,    /* as service->stop_how says; arms the grace of a shutdown */
	EFFECT_DESTROY,
	EFFECT_TRY_AGAIN,     /* a stop has failed: destroy after a while */
	EFFECT_ANSWER,        /* the summon has succeeded: answer its waiters */
	EFFECT_FAIL,          /* the summon has failed: tell its waiters */
	EFFECT_COUNT_FAILURE, /* for backoff */
	EFFECT_LIVE,          /* its life as an awake guest begins: watch for idleness */
	EFFECT_END_LIFE,      /* stop watching */
	EFFECT_DROP_INSTANCE, /* it is gone: give back the tap, forget it */
	EFFECT_CONSIDER, /* ask policies what should be ready ahead, or whether a pin wants it */
	EFFECT_COUNT,
};

#define LIFECYCLE_EFFECTS_MAX 8

struct lifecycle_row {
	enum lifecycle_state state;
	enum lifecycle_event event;
	enum lifecycle_state next;
	enum lifecycle_effect effects[LIFECYCLE_EFFECTS_MAX]; /* ended by EFFECT_NONE */
};

/* A cell of the table that is meant to have no row. */
struct lifecycle_ignored {
	enum lifecycle_event event;
	unsigned states; /* 1 << state */
	const char *reason;
};

/* The row of this cell, or NULL where the event is ignored. */
const struct lifecycle_row *lifecycle_step(enum lifecycle_state state, enum lifecycle_event event);
/* An effect that cannot be carried out ends its step; what then happened. `is_gone`: it is because
 * the backend knows of no such guest. */
enum lifecycle_event lifecycle_failure(
	const struct lifecycle_row *row, enum lifecycle_effect failed, bool is_gone);
/* The reason why it is ignored, or NULL where it is not. */
const char *lifecycle_ignored(enum lifecycle_state state, enum lifecycle_event event);

const char *lifecycle_state_name(enum lifecycle_state state);
const char *lifecycle_event_name(enum lifecycle_event event);
const char *lifecycle_effect_name(enum lifecycle_effect effect);

/* The tables themselves, for the test that covers them and the printer of the diagram. */
extern const struct lifecycle_row lifecycle_rows[];
extern const size_t lifecycle_row_count;
extern const struct lifecycle_ignored lifecycle_ignored_cells[];
extern const size_t lifecycle_ignored_count;

#endif

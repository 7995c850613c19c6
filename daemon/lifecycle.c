/* SPDX-License-Identifier: ISC */
#include "daemon/lifecycle.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

#define DO(...)                                                                                    \
	{                                                                                          \
		__VA_ARGS__                                                                        \
	}
#define NOTHING                                                                                    \
	{                                                                                          \
		EFFECT_NONE                                                                        \
	}

/* clang-format off */
#define FORGET       EFFECT_UNWATCH, EFFECT_LINK_DOWN, EFFECT_DROP_INSTANCE
/* Its way to the guest is made while it boots. */
#define START_COLD   EFFECT_NEW_INSTANCE, EFFECT_WATCH, EFFECT_START, EFFECT_LINK_UP
#define BEGIN_AGAIN  EFFECT_UNWATCH, EFFECT_DROP_INSTANCE, START_COLD

const struct lifecycle_row lifecycle_rows[] = {
	/* state            event                   next              effects */
	{STATE_ASLEEP,     EVENT_DEMAND,           STATE_CREATING,   DO(START_COLD)},
	{STATE_ASLEEP,     EVENT_PREPARE,          STATE_PREPARING,  DO(EFFECT_NEW_INSTANCE, EFFECT_START_PAUSED)},
	{STATE_ASLEEP,     EVENT_WARM,             STATE_WARMING,    DO(START_COLD)},
	{STATE_ASLEEP,     EVENT_FOUND_AWAKE,      STATE_AWAKE,      DO(EFFECT_LINK_UP, EFFECT_OPEN, EFFECT_LIVE)},
	{STATE_ASLEEP,     EVENT_FOUND_BOOTING,    STATE_BOOTING,    DO(EFFECT_WATCH, EFFECT_LINK_UP)},
	{STATE_ASLEEP,     EVENT_FOUND_PREPARED,   STATE_PREPARED,   NOTHING},
	{STATE_ASLEEP,     EVENT_FOUND_SUSPENDED,  STATE_SUSPENDED,  DO(EFFECT_SETTLE)},

	{STATE_PREPARING,  EVENT_STARTED,          STATE_PREPARED,   NOTHING},
	{STATE_PREPARING,  EVENT_START_FAILED,     STATE_ASLEEP,     DO(FORGET, EFFECT_COUNT_FAILURE, EFFECT_CONSIDER)},
	{STATE_PREPARING,  EVENT_DEMAND,           STATE_HURRYING,   NOTHING},
	{STATE_PREPARING,  EVENT_RETIRE,           STATE_STOPPING,   DO(EFFECT_DESTROY)},

	{STATE_HURRYING,   EVENT_STARTED,          STATE_UNPAUSING,  DO(EFFECT_WATCH, EFFECT_RESUME, EFFECT_LINK_UP)},
	{STATE_HURRYING,   EVENT_START_FAILED,     STATE_ASLEEP,     DO(FORGET, EFFECT_COUNT_FAILURE, EFFECT_FAIL, EFFECT_REFUSE, EFFECT_CONSIDER)},
	{STATE_HURRYING,   EVENT_RETIRE,           STATE_STOPPING,   DO(EFFECT_FAIL, EFFECT_REFUSE, EFFECT_DESTROY)},

	{STATE_PREPARED,   EVENT_DEMAND,           STATE_UNPAUSING,  DO(EFFECT_WATCH, EFFECT_RESUME, EFFECT_LINK_UP)},
	{STATE_PREPARED,   EVENT_EXITED,           STATE_ASLEEP,     DO(FORGET, EFFECT_COUNT_FAILURE, EFFECT_CONSIDER)},
	{STATE_PREPARED,   EVENT_RETIRE,           STATE_STOPPING,   DO(EFFECT_DESTROY)},

	{STATE_WARMING,    EVENT_READY,            STATE_SUSPENDING, DO(EFFECT_UNWATCH, EFFECT_LINK_DOWN, EFFECT_SUSPEND)},
	{STATE_WARMING,    EVENT_DEMAND,           STATE_BOOTING,    NOTHING},
	{STATE_WARMING,    EVENT_START_FAILED,     STATE_ASLEEP,     DO(FORGET, EFFECT_COUNT_FAILURE, EFFECT_CONSIDER)},
	{STATE_WARMING,    EVENT_EXITED,           STATE_ASLEEP,     DO(FORGET, EFFECT_COUNT_FAILURE, EFFECT_CONSIDER)},
	{STATE_WARMING,    EVENT_READY_TIMEOUT,    STATE_STOPPING,   DO(EFFECT_COUNT_FAILURE, EFFECT_DESTROY)},
	{STATE_WARMING,    EVENT_RETIRE,           STATE_STOPPING,   DO(EFFECT_UNWATCH, EFFECT_DESTROY)},

	{STATE_SUSPENDING, EVENT_SUSPENDED,        STATE_SUSPENDED,  DO(EFFECT_SETTLE)},
	/* Operations take effect in order, so a resume may be queued behind the pause. */
	{STATE_SUSPENDING, EVENT_DEMAND,           STATE_RESUMING,   DO(EFFECT_RESUME, EFFECT_LINK_UP)},
	{STATE_SUSPENDING, EVENT_OPERATION_FAILED, STATE_STOPPING,   DO(EFFECT_DESTROY)},
	{STATE_SUSPENDING, EVENT_EXITED,           STATE_ASLEEP,     DO(FORGET, EFFECT_CONSIDER)},
	{STATE_SUSPENDING, EVENT_RETIRE,           STATE_STOPPING,   DO(EFFECT_DESTROY)},

	{STATE_SUSPENDED,  EVENT_DEMAND,           STATE_RESUMING,   DO(EFFECT_RESUME, EFFECT_LINK_UP)},
	{STATE_SUSPENDED,  EVENT_EXITED,           STATE_ASLEEP,     DO(FORGET, EFFECT_CONSIDER)},
	{STATE_SUSPENDED,  EVENT_DEEPEN,           STATE_DEEPENING,  DO(EFFECT_DEEPEN)},
	{STATE_SUSPENDED,  EVENT_RETIRE,           STATE_STOPPING,   DO(EFFECT_DESTROY)},

	{STATE_DEEPENING,  EVENT_SUSPENDED,        STATE_SUSPENDED,  DO(EFFECT_SETTLE)},
	{STATE_DEEPENING,  EVENT_OPERATION_FAILED, STATE_SUSPENDED,  DO(EFFECT_REMAIN)},
	/* Not queued behind it: if that fails, there still is a guest to be resumed. */
	{STATE_DEEPENING,  EVENT_DEMAND,           STATE_RECALLED,   NOTHING},
	{STATE_DEEPENING,  EVENT_EXITED,           STATE_ASLEEP,     DO(FORGET, EFFECT_CONSIDER)},
	{STATE_DEEPENING,  EVENT_RETIRE,           STATE_STOPPING,   DO(EFFECT_DESTROY)},

	{STATE_RECALLED,   EVENT_SUSPENDED,        STATE_RESUMING,   DO(EFFECT_RESUME, EFFECT_LINK_UP)},
	{STATE_RECALLED,   EVENT_OPERATION_FAILED, STATE_RESUMING,   DO(EFFECT_RESUME, EFFECT_LINK_UP)},
	{STATE_RECALLED,   EVENT_EXITED,           STATE_CREATING,   DO(BEGIN_AGAIN)},
	{STATE_RECALLED,   EVENT_RETIRE,           STATE_STOPPING,   DO(EFFECT_FAIL, EFFECT_REFUSE, EFFECT_DESTROY)},

	{STATE_CREATING,   EVENT_STARTED,          STATE_BOOTING,    NOTHING},
	{STATE_CREATING,   EVENT_READY,            STATE_AWAKE,      DO(EFFECT_ANSWER, EFFECT_OPEN, EFFECT_UNWATCH, EFFECT_LIVE)},
	{STATE_CREATING,   EVENT_START_FAILED,     STATE_ASLEEP,     DO(FORGET, EFFECT_COUNT_FAILURE, EFFECT_FAIL, EFFECT_REFUSE, EFFECT_CONSIDER)},
	{STATE_CREATING,   EVENT_READY_TIMEOUT,    STATE_STOPPING,   DO(EFFECT_LINK_DOWN, EFFECT_COUNT_FAILURE, EFFECT_FAIL, EFFECT_REFUSE, EFFECT_DESTROY)},
	{STATE_CREATING,   EVENT_RETIRE,           STATE_STOPPING,   DO(EFFECT_UNWATCH, EFFECT_LINK_DOWN, EFFECT_FAIL, EFFECT_REFUSE, EFFECT_DESTROY)},

	{STATE_UNPAUSING,  EVENT_RESUMED,          STATE_BOOTING,    NOTHING},
	{STATE_UNPAUSING,  EVENT_READY,            STATE_AWAKE,      DO(EFFECT_ANSWER, EFFECT_OPEN, EFFECT_UNWATCH, EFFECT_LIVE)},
	/* A guest that cannot be resumed is replaced by a cold start; the waiters wait on. */
	{STATE_UNPAUSING,  EVENT_OPERATION_FAILED, STATE_RESTARTING, DO(EFFECT_UNWATCH, EFFECT_DESTROY)},
	{STATE_UNPAUSING,  EVENT_EXITED,           STATE_CREATING,   DO(BEGIN_AGAIN)},
	{STATE_UNPAUSING,  EVENT_READY_TIMEOUT,    STATE_STOPPING,   DO(EFFECT_LINK_DOWN, EFFECT_COUNT_FAILURE, EFFECT_FAIL, EFFECT_REFUSE, EFFECT_DESTROY)},
	{STATE_UNPAUSING,  EVENT_RETIRE,           STATE_STOPPING,   DO(EFFECT_UNWATCH, EFFECT_LINK_DOWN, EFFECT_FAIL, EFFECT_REFUSE, EFFECT_DESTROY)},

	{STATE_RESUMING,   EVENT_RESUMED,          STATE_AWAKE,      DO(EFFECT_ANSWER, EFFECT_OPEN, EFFECT_LIVE)},
	{STATE_RESUMING,   EVENT_OPERATION_FAILED, STATE_RESTARTING, DO(EFFECT_DESTROY)},
	{STATE_RESUMING,   EVENT_EXITED,           STATE_CREATING,   DO(BEGIN_AGAIN)},
	{STATE_RESUMING,   EVENT_RETIRE,           STATE_STOPPING,   DO(EFFECT_LINK_DOWN, EFFECT_FAIL, EFFECT_REFUSE, EFFECT_DESTROY)},

	{STATE_BOOTING,    EVENT_READY,            STATE_AWAKE,      DO(EFFECT_ANSWER, EFFECT_OPEN, EFFECT_UNWATCH, EFFECT_LIVE)},
	{STATE_BOOTING,    EVENT_READY_TIMEOUT,    STATE_STOPPING,   DO(EFFECT_LINK_DOWN, EFFECT_COUNT_FAILURE, EFFECT_FAIL, EFFECT_REFUSE, EFFECT_DESTROY)},
	{STATE_BOOTING,    EVENT_START_FAILED,     STATE_ASLEEP,     DO(FORGET, EFFECT_COUNT_FAILURE, EFFECT_FAIL, EFFECT_REFUSE, EFFECT_CONSIDER)},
	{STATE_BOOTING,    EVENT_EXITED,           STATE_ASLEEP,     DO(FORGET, EFFECT_COUNT_FAILURE, EFFECT_FAIL, EFFECT_REFUSE, EFFECT_CONSIDER)},
	{STATE_BOOTING,    EVENT_RETIRE,           STATE_STOPPING,   DO(EFFECT_UNWATCH, EFFECT_LINK_DOWN, EFFECT_FAIL, EFFECT_REFUSE, EFFECT_DESTROY)},

	{STATE_AWAKE,      EVENT_RETIRE,           STATE_STOPPING,   DO(EFFECT_END_LIFE, EFFECT_LINK_DOWN, EFFECT_STOP)},
	{STATE_AWAKE,      EVENT_REST,             STATE_SUSPENDING, DO(EFFECT_END_LIFE, EFFECT_LINK_DOWN, EFFECT_SUSPEND)},
	{STATE_AWAKE,      EVENT_EXITED,           STATE_ASLEEP,     DO(EFFECT_END_LIFE, FORGET, EFFECT_CONSIDER)},
	/* Ready was seen, and yet the backend could not finish: it has left nothing behind. */
	{STATE_AWAKE,      EVENT_START_FAILED,     STATE_ASLEEP,     DO(EFFECT_END_LIFE, FORGET, EFFECT_COUNT_FAILURE, EFFECT_CONSIDER)},

	{STATE_STOPPING,   EVENT_EXITED,           STATE_ASLEEP,     DO(FORGET, EFFECT_CONSIDER)},
	{STATE_STOPPING,   EVENT_START_FAILED,     STATE_ASLEEP,     DO(FORGET, EFFECT_CONSIDER)},
	{STATE_STOPPING,   EVENT_DEMAND,           STATE_RESTARTING, NOTHING},
	{STATE_STOPPING,   EVENT_GRACE_OVER,       STATE_STOPPING,   DO(EFFECT_DESTROY)},
	{STATE_STOPPING,   EVENT_OPERATION_FAILED, STATE_STOPPING,   DO(EFFECT_TRY_AGAIN)},
	{STATE_STOPPING,   EVENT_RETIRE,           STATE_STOPPING,   DO(EFFECT_STOP)},

	{STATE_RESTARTING, EVENT_EXITED,           STATE_CREATING,   DO(BEGIN_AGAIN)},
	{STATE_RESTARTING, EVENT_START_FAILED,     STATE_CREATING,   DO(BEGIN_AGAIN)},
	{STATE_RESTARTING, EVENT_GRACE_OVER,       STATE_RESTARTING, DO(EFFECT_DESTROY)},
	{STATE_RESTARTING, EVENT_OPERATION_FAILED, STATE_RESTARTING, DO(EFFECT_TRY_AGAIN)},
	{STATE_RESTARTING, EVENT_RETIRE,           STATE_STOPPING,   DO(EFFECT_FAIL, EFFECT_REFUSE, EFFECT_DESTROY)},
};
const size_t lifecycle_row_count = COUNT(lifecycle_rows);

#define IN(state)   (1u << STATE_##state)
#define DOWN        (IN(ASLEEP))
#define QUIET       (IN(PREPARED) | IN(SUSPENDED))
#define RESTING     (IN(DEEPENING) | IN(RECALLED))
#define WANTED      (IN(HURRYING) | IN(RECALLED) | IN(CREATING) | IN(UNPAUSING) | IN(RESUMING) | IN(BOOTING))
#define GOING_DOWN  (IN(STOPPING) | IN(RESTARTING))
#define EVERY       ((1u << STATE_COUNT) - 1)

const struct lifecycle_ignored lifecycle_ignored_cells[] = {
	{EVENT_DEMAND, WANTED | IN(AWAKE) | IN(RESTARTING),
		"what was asked for is under way or there; the query is among the waiters or answered"},
	{EVENT_PREPARE, EVERY & ~DOWN, "something is in being already"},
	{EVENT_WARM, EVERY & ~DOWN, "something is in being already"},
	{EVENT_STARTED, DOWN | QUIET | RESTING | IN(UNPAUSING) | IN(RESUMING) | IN(SUSPENDING),
		"no start of this life is open; a warmed guest's came before its readiness mattered"},
	{EVENT_STARTED, IN(WARMING) | IN(BOOTING) | IN(AWAKE),
		"readiness is what counts; a guest can be ready before its creator has returned"},
	{EVENT_STARTED, GOING_DOWN, "a stop is queued behind the start; EXITED will follow"},
	{EVENT_START_FAILED, DOWN | QUIET | RESTING | IN(UNPAUSING) | IN(RESUMING) | IN(SUSPENDING),
		"no start of this life is open"},
	{EVENT_RESUMED, EVERY & ~(IN(UNPAUSING) | IN(RESUMING)),
		"late: readiness was quicker, or a stop is queued behind the resume"},
	{EVENT_SUSPENDED, EVERY & ~(IN(SUSPENDING) | RESTING),
		"late: a resume or a stop is queued behind the pause"},
	{EVENT_OPERATION_FAILED, DOWN | QUIET | IN(PREPARING) | IN(HURRYING) | IN(WARMING) |
			IN(CREATING) | IN(BOOTING),
		"nothing that can fail in this way is open"},
	{EVENT_OPERATION_FAILED, IN(AWAKE), "the guest serves, whatever its resume reported"},
	{EVENT_EXITED, DOWN | IN(PREPARING) | IN(HURRYING) | IN(CREATING),
		"only a started guest exits; nothing has been started yet"},
	{EVENT_READY, DOWN | IN(PREPARING) | IN(HURRYING) | QUIET | RESTING | IN(SUSPENDING) |
			IN(RESUMING),
		"nobody watches; a resumed guest is ready when it runs"},
	{EVENT_READY, IN(AWAKE), "known"},
	{EVENT_READY, GOING_DOWN, "too late: it is being stopped"},
	{EVENT_READY_TIMEOUT, EVERY & ~(IN(WARMING) | IN(CREATING) | IN(UNPAUSING) | IN(BOOTING)),
		"the watch has ended"},
	{EVENT_GRACE_OVER, EVERY & ~GOING_DOWN, "no shutdown is under way"},
	{EVENT_RETIRE, DOWN, "nothing is in being"},
	{EVENT_REST, EVERY & ~IN(AWAKE), "only an awake guest is suspended"},
	{EVENT_DEEPEN, EVERY & ~IN(SUSPENDED), "it is at rest no more, or on its way already"},
	{EVENT_FOUND_AWAKE, EVERY & ~DOWN, "adoption comes before anything is started"},
	{EVENT_FOUND_BOOTING, EVERY & ~DOWN, "adoption comes before anything is started"},
	{EVENT_FOUND_PREPARED, EVERY & ~DOWN, "adoption comes before anything is started"},
	{EVENT_FOUND_SUSPENDED, EVERY & ~DOWN, "adoption comes before anything is started"},
};
const size_t lifecycle_ignored_count = COUNT(lifecycle_ignored_cells);

static const char *const state_names[] = {
	[STATE_ASLEEP] = "asleep",
	[STATE_PREPARING] = "preparing",
	[STATE_PREPARED] = "prepared",
	[STATE_HURRYING] = "hurrying",
	[STATE_WARMING] = "warming",
	[STATE_SUSPENDING] = "suspending",
	[STATE_SUSPENDED] = "suspended",
	[STATE_DEEPENING] = "deepening",
	[STATE_RECALLED] = "recalled",
	[STATE_CREATING] = "creating",
	[STATE_UNPAUSING] = "unpausing",
	[STATE_RESUMING] = "resuming",
	[STATE_BOOTING] = "booting",
	[STATE_AWAKE] = "awake",
	[STATE_STOPPING] = "stopping",
	[STATE_RESTARTING] = "restarting",
};

static const char *const event_names[] = {
	[EVENT_DEMAND] = "demand",
	[EVENT_PREPARE] = "prepare",
	[EVENT_WARM] = "warm",
	[EVENT_STARTED] = "started",
	[EVENT_START_FAILED] = "start-failed",
	[EVENT_RESUMED] = "resumed",
	[EVENT_SUSPENDED] = "suspended",
	[EVENT_OPERATION_FAILED] = "operation-failed",
	[EVENT_EXITED] = "exited",
	[EVENT_READY] = "ready",
	[EVENT_READY_TIMEOUT] = "ready-timeout",
	[EVENT_GRACE_OVER] = "grace-over",
	[EVENT_RETIRE] = "retire",
	[EVENT_REST] = "rest",
	[EVENT_DEEPEN] = "deepen",
	[EVENT_FOUND_AWAKE] = "found-awake",
	[EVENT_FOUND_BOOTING] = "found-booting",
	[EVENT_FOUND_PREPARED] = "found-prepared",
	[EVENT_FOUND_SUSPENDED] = "found-suspended",
};

static const char *const effect_names[] = {
	[EFFECT_NONE] = "none",
	[EFFECT_NEW_INSTANCE] = "new-instance",
	[EFFECT_LINK_UP] = "link-up",
	[EFFECT_LINK_DOWN] = "link-down",
	[EFFECT_OPEN] = "open",
	[EFFECT_REFUSE] = "refuse",
	[EFFECT_WATCH] = "watch",
	[EFFECT_UNWATCH] = "unwatch",
	[EFFECT_START] = "start",
	[EFFECT_START_PAUSED] = "start-paused",
	[EFFECT_RESUME] = "resume",
	[EFFECT_SUSPEND] = "suspend",
	[EFFECT_DEEPEN] = "deepen",
	[EFFECT_SETTLE] = "settle",
	[EFFECT_REMAIN] = "remain",
	[EFFECT_STOP] = "stop",
	[EFFECT_DESTROY] = "destroy",
	[EFFECT_TRY_AGAIN] = "try-again",
	[EFFECT_ANSWER] = "answer",
	[EFFECT_FAIL] = "fail",
	[EFFECT_COUNT_FAILURE] = "count-failure",
	[EFFECT_LIVE] = "live",
	[EFFECT_END_LIFE] = "end-life",
	[EFFECT_DROP_INSTANCE] = "drop-instance",
	[EFFECT_CONSIDER] = "consider",
};
/* clang-format on */

_Static_assert(COUNT(state_names) == STATE_COUNT, "every state has a name");
_Static_assert(COUNT(event_names) == EVENT_COUNT, "every event has a name");
_Static_assert(COUNT(effect_names) == EFFECT_COUNT, "every effect has a name");

const struct lifecycle_row *lifecycle_step(enum lifecycle_state state, enum lifecycle_event event)
{
	for (size_t i = 0; i < COUNT(lifecycle_rows); i++)
		if (lifecycle_rows[i].state == state && lifecycle_rows[i].event == event)
			return &lifecycle_rows[i];
	return NULL;
}

enum lifecycle_event lifecycle_failure(
	const struct lifecycle_row *row, enum lifecycle_effect failed, bool is_gone)
{
	bool starts = false, has_failed = false;
	if (failed == EFFECT_STOP || failed == EFFECT_DESTROY)
		return is_gone ? EVENT_EXITED : EVENT_OPERATION_FAILED;
	for (size_t i = 0; row->effects[i]; i++) {
		has_failed |= row->effects[i] == failed;
		if (row->effects[i] != EFFECT_START && row->effects[i] != EFFECT_START_PAUSED)
			continue;
		/* There is a guest, which nobody can reach: it never gets ready. */
		if (!has_failed)
			return EVENT_READY_TIMEOUT;
		starts = true;
	}
	return starts ? EVENT_START_FAILED : EVENT_OPERATION_FAILED;
}

const char *lifecycle_ignored(enum lifecycle_state state, enum lifecycle_event event)
{
	for (size_t i = 0; i < COUNT(lifecycle_ignored_cells); i++)
		if (lifecycle_ignored_cells[i].event == event &&
			(lifecycle_ignored_cells[i].states & (1u << state)))
			return lifecycle_ignored_cells[i].reason;
	return NULL;
}

const char *lifecycle_state_name(enum lifecycle_state state)
{
	return state_names[state];
}

const char *lifecycle_event_name(enum lifecycle_event event)
{
	return event_names[event];
}

const char *lifecycle_effect_name(enum lifecycle_effect effect)
{
	return effect_names[effect];
}

/* SPDX-License-Identifier: ISC */
#ifndef POLICIES_POLICY_H
#define POLICIES_POLICY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/address.h"
#include "base/error.h"
#include "policies/budget.h"

#define POLICY_NAME_MAX  63
#define POLICY_VALUE_MAX 255 /* longest text of one option's value */
/* Ten years keep every sum of two spans and a clock far from the end of uint64_t. */
#define POLICY_SPAN_MAX  (3650 * 24 * 3600 * 1000000000ull)

/* How a sleeping service rests, and so what a summon has to do. */
enum policy_start {
	POLICY_START_COLD,      /* nothing exists: create and boot */
	POLICY_START_PREPARED,  /* a created, never booted guest waits: boot */
	POLICY_START_SUSPENDED, /* a booted guest is paused: resume */
	POLICY_START_SNAPSHOT,  /* a booted guest lies on disk: restore */
};

/* How the daemon learns that a guest can serve. */
enum policy_ready {
	POLICY_READY_GUEST, /* it says so: to its monitor, or by a line that contains ready_line */
	POLICY_READY_CONSOLE, /* the guest prints a line that contains ready_line */
	POLICY_READY_FRAME,   /* the first frame from the guest's MAC is seen on its link */
	POLICY_READY_TCP,     /* ready_port of its address accepts a connection */
	POLICY_READY_DELAY,   /* ready_delay after it was started */
	POLICY_READY_KEY,     /* ready_key of its xenstore folder is there */
};

enum policy_retire {
	POLICY_RETIRE_DESTROY,  /* at once */
	POLICY_RETIRE_SHUTDOWN, /* ask it to power off; destroy after shutdown_grace */
	POLICY_RETIRE_SUSPEND,  /* keep its memory, pause it */
	POLICY_RETIRE_SNAPSHOT, /* write its memory to disk; nothing runs */
};

/* What becomes of a guest at rest, and how long after it went to rest: each is deeper and later than
 * the one before. */
#define POLICY_TIERS_MAX 2
struct policy_tiers {
	unsigned count;
	struct {
		enum policy_retire how; /* SNAPSHOT or DESTROY */
		uint64_t after;
	} list[POLICY_TIERS_MAX];
};

/* Hours of days in local time; see hours.h. */
#define POLICY_HOURS_MAX 12
struct policy_hours {
	unsigned count;
	struct policy_span {
		uint32_t dates;    /* 1 << date, from 1 on */
		uint16_t months;   /* 1 << month, 0 for January */
		uint8_t days;      /* 1 << day, 0 for Monday */
		uint16_t from, to; /* minutes since midnight */
	} list[POLICY_HOURS_MAX];
};
#define POLICY_ZONE_MAX 63

/* What is answered when a held query's time is up and the guest is not ready. */
enum policy_deadline {
	POLICY_DEADLINE_ADDRESS, /* the reserved address */
	POLICY_DEADLINE_SERVFAIL,
};

enum policy_wake { POLICY_WAKE_A = 1, POLICY_WAKE_AAAA = 2, POLICY_WAKE_HTTPS = 4 };
enum policy_activity {
	POLICY_ACTIVITY_QUERIES = 1,
	POLICY_ACTIVITY_TRAFFIC = 2,
	POLICY_ACTIVITY_CONNECTIONS = 4, /* open TCP connections, where the kernel tracks them */
};

/* When a query that wakes the service is answered. */
enum policy_answer {
	POLICY_ANSWER_WHEN_READY,
	POLICY_ANSWER_AT_ONCE, /* with the address; packets to it wait at the doorbell */
};

enum policy_switch { POLICY_NO, POLICY_YES };

/* How many machines a service has, and who gets which; see instances.h. */
enum policy_sharing {
	POLICY_ONE,
	POLICY_PER_CLIENT, /* each client one of its own */
	POLICY_SHARED,     /* each client the same one each time */
};
#define POLICY_INSTANCES_MAX 64
struct policy_instances {
	enum policy_sharing how;
	uint32_t count; /* 1 with POLICY_ONE */
};

/* Ports of a protocol: ranges in ascending order that neither overlap nor touch. */
#define POLICY_PORTS_MAX 16
struct policy_ports {
	unsigned count;
	struct {
		uint16_t first, last;
	} ranges[POLICY_PORTS_MAX];
};

/* Addresses, in the order in which they were given. */
#define POLICY_PREFIXES_MAX 12
struct policy_prefixes {
	bool any; /* everybody; then there are no others */
	unsigned count;
	struct ip_prefix list[POLICY_PREFIXES_MAX];
};

/* What a policy asks of a backend: a mask, for registration to compare with what it can do. */
enum policy_need {
	POLICY_NEEDS_PREPARE = 1,
	POLICY_NEEDS_SUSPEND = 2,
	POLICY_NEEDS_SHUTDOWN = 4,
	POLICY_NEEDS_CONSOLE = 8,
	POLICY_NEEDS_SNAPSHOT = 16,
	POLICY_NEEDS_KEY = 32,
};

/* Times in nanoseconds; 0 means "never" for idle_after and max_life. The fields are the options of
 * policy_options by the same names. */
struct policy {
	char name[POLICY_NAME_MAX + 1];
	unsigned wake_on;                 /* enum policy_wake */
	char https[POLICY_VALUE_MAX + 1]; /* parameters of an HTTPS record; "none": it has none */
	enum policy_start start;
	uint16_t shells; /* how many starts may come at once, to be as quick as can be */
	enum policy_ready ready;
	char ready_line[POLICY_VALUE_MAX + 1];
	uint16_t ready_port;
	uint64_t ready_delay;
	char ready_key[POLICY_VALUE_MAX + 1];
	uint64_t ready_settle;  /* between what is seen of it and its counting as ready */
	uint64_t ready_timeout; /* from the start of the boot; then the start has failed */
	uint64_t hold;          /* how long an answer is held at most */
	enum policy_deadline at_deadline;
	enum policy_answer answer;
	struct policy_ports ring_tcp, ring_udp;
	enum policy_switch ring_ping;
	struct policy_prefixes ring_from;
	struct budget_rate ring_rate;
	uint64_t ttl;      /* whole seconds, of the answers */
	unsigned activity; /* enum policy_activity: what counts as use */
	uint64_t idle_after;
	uint64_t min_life;
	uint64_t max_life;
	enum policy_retire retire;
	struct policy_tiers tiers;
	uint64_t shutdown_grace;
	char needs[POLICY_VALUE_MAX + 1]; /* names of services, between blanks; lists.h */
	struct policy_hours keep_awake, keep_asleep;
	char time_zone[POLICY_ZONE_MAX + 1];
	uint64_t backoff_first; /* after the first failure; doubles with each */
	uint64_t backoff_max;
	struct policy_instances instances;
};

/* The options in the order in which they are printed. `help` is one line without a final stop. */
struct policy_option {
	const char *name;
	const char *fallback; /* the default, as text */
	const char *values; /* what may be written, for help and errors: "cold | prepared | ..." */
	const char *help;
	/* the rest is policy.c's own */
	int kind;
	size_t offset;
	const void *detail;
};
extern const struct policy_option policy_options[];
extern const size_t policy_option_count;

/* All defaults: they suit a small web site. The name is cut at POLICY_NAME_MAX. */
void policy_init(struct policy *policy, const char *name);

/* 1 to POLICY_NAME_MAX of a-z 0-9 - _ . and not a dot first. */
int policy_check_name(const char *name, struct error *err);

/* Sets one option from text. Names what is wrong and what would be right; changes nothing then. */
int policy_set(struct policy *policy, const char *option, const char *value, struct error *err);

/* The option's value as text that policy_set reads back; -ENOENT for no such option. */
int policy_get(const struct policy *policy, const char *option, char value[POLICY_VALUE_MAX + 1],
	struct error *err);

/* Whether the options fit together (ttl under idle_after, hold under ready_timeout ...). */
int policy_validate(const struct policy *policy, struct error *err);

/* enum policy_need of this policy; policy_need_reason names the option that asks for one. */
unsigned policy_needs(const struct policy *policy);
const char *policy_need_reason(enum policy_need need);

#endif

/* SPDX-License-Identifier: ISC */
#ifndef REHEARSE_FIGURES_H
#define REHEARSE_FIGURES_H

#include <jansson.h>

#include "rehearse/spread.h"

/* What a rehearsal counts: of one service, or of all. */
enum figure {
	QUERIES,          /* of services' names */
	QUERIES_AT_ONCE,  /* answered with the address, as it was awake, or answer = at-once */
	QUERIES_NO_WAKE,  /* of a type that does not wake it: answered without */
	QUERIES_WAITED,   /* answered when it was ready */
	QUERIES_DEADLINE, /* answered as the policy says when the time was up */
	QUERIES_FAILED,   /* answered when the start had failed */
	QUERIES_REFUSED,
	QUERIES_OPEN, /* not answered before the rehearsal's end */
	PACKETS,      /* to services' addresses */
	PACKETS_AT_ONCE,
	PACKETS_WAITED,
	PACKETS_FAILED, /* waited for a guest that did not come */
	PACKETS_REFUSED,
	PACKETS_OPEN,
	STARTS_COLD,     /* for demand: booted */
	STARTS_PREPARED, /* for demand: of a created guest that only had to boot */
	STARTS_RESUMED,  /* for demand: out of memory */
	STARTS_RESTORED, /* for demand: from disk */
	STARTS_AHEAD,    /* off the path, to be prepared or suspended */
	STARTS_FAILED,
	FIGURE_COUNT,
};

/* Where the time goes. A guest takes memory in all of these but the last. */
enum spell {
	SPELL_STARTING,
	SPELL_AWAKE,
	SPELL_STOPPING,
	SPELL_PREPARED,
	SPELL_SUSPENDED,
	SPELL_NOTHING, /* asleep, or on disk */
	SPELL_COUNT,
};

/* Reasons of refusals: the policies' words. Few; what is beyond is counted as "other". */
#define REASONS_MAX 32
struct reasons {
	char *words[REASONS_MAX];
	unsigned count;
};
void reasons_finish(struct reasons *reasons);
/* Its number. */
unsigned reasons_find(struct reasons *reasons, const char *word);

struct figures {
	uint64_t counts[FIGURE_COUNT];
	uint64_t spells[SPELL_COUNT]; /* ns */
	double memory[SPELL_COUNT];   /* byte seconds */
	uint64_t *refusals;           /* by reason; NULL: none */
	struct spread answers;        /* how long queries waited that were answered */
	struct spread packets;        /* how long packets waited until the guest had them */
};

void figures_finish(struct figures *figures);
void figures_refuse(struct figures *figures, unsigned reason);
/* The spells, their memory and the counts of a service, into those of all. */
void figures_sum(struct figures *all, const struct figures *one);
/* NULL: no memory. */
json_t *figures_json(const struct figures *figures, const struct reasons *reasons);

#endif

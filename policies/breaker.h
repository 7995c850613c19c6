/* SPDX-License-Identifier: ISC */
#ifndef POLICIES_BREAKER_H
#define POLICIES_BREAKER_H

#include <stdbool.h>
#include <stdint.h>

/*
 * A circuit breaker for what many services share: where start after start fails, whichever service
 * it is for, it is the shared thing that is broken, and more starts only burden it. It then is left
 * alone for a while, after which one start at a time tries whether it works again. Pure, as in
 * policies/decide.h.
 */
struct breaker_rule {
	unsigned failures; /* in a row, no two running of the same service; 0: it never opens */
	uint64_t span;     /* ns for which nothing is tried */
};

/* All zero is a closed one: everything is admitted. */
struct breaker {
	unsigned failures;
	uint32_t last;       /* whose start failed last */
	uint64_t open_until; /* 0: closed */
	uint64_t tried_at;   /* open: when the one try began; 0: there is none */
};

/* 0, or when to ask again. Takes the try of an open one where its time has come: one that tells of no
 * end within another span counts as lost. */
uint64_t breaker_admit(struct breaker *breaker, const struct breaker_rule *rule, uint64_t now);
/* When starts are tried again; 0 where it is closed. Takes nothing. */
uint64_t breaker_open_until(const struct breaker *breaker);
/* Whether it has opened by this. */
bool breaker_fail(
	struct breaker *breaker, const struct breaker_rule *rule, uint32_t whose, uint64_t now);
void breaker_succeed(struct breaker *breaker);

#endif

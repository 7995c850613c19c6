/* SPDX-License-Identifier: ISC */
#ifndef DNS_SOURCE_H
#define DNS_SOURCE_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>

/* The network that a client is counted under: its /24 (IPv4) or /56 (IPv6, what one customer is
 * given at least), as one number. */
uint64_t source_network(const struct sockaddr *source);

/* A number of `network` that nobody can foresee without `secret`. */
static inline uint64_t source_hash(uint64_t network, uint64_t secret)
{
	/* The finisher of SplitMix64: every bit of the input moves every bit of the result. */
	uint64_t z = network ^ secret;
	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
	z = (z ^ z >> 27) * 0x94d049bb133111ebu;
	return z ^ z >> 31;
}

/*
 * How much each network has of something: open connections, waiting queries. Of a fixed size:
 * networks whose hashes fall together share a count, so that a limit may strike a little early, and
 * never late. All zero but for `secret` is empty.
 */
#define SOURCE_COUNTS 4096
struct source_counts {
	uint64_t secret;
	uint32_t max; /* of each; 0: no limit */
	uint32_t count[SOURCE_COUNTS];
};

void source_counts_init(struct source_counts *counts, uint32_t max);
/* Whether one more is within the limit. */
bool source_has_room(const struct source_counts *counts, uint64_t network);
void source_enter(struct source_counts *counts, uint64_t network);
/* Once for each source_enter. */
void source_leave(struct source_counts *counts, uint64_t network);

#endif

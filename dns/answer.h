/* SPDX-License-Identifier: ISC */
#ifndef DNS_ANSWER_H
#define DNS_ANSWER_H

#include "dns/dns.h"
#include "dns/edns.h"
#include "dns/block.h"
#include "dns/packet.h"

/* What we say we take over UDP, and the most we send: no fragments (RFC 9715). */
#define ANSWER_MAX_UDP 1232
/* The most over TCP: header, question and OPT with an explanation fit beside any block. */
#define ANSWER_MAX_TCP 8192

enum section { SECTION_ANSWER, SECTION_AUTHORITY, SECTION_ADDITIONAL };

/* Whose records a part is. */
struct part_owner {
	uint8_t part;    /* 0: the question's name or one above; else a name in that part, from 1 */
	uint16_t offset; /* of the name: in the question's name, or in that part's block */
};

struct part {
	const struct block *block;
	struct part_owner owner;
	uint8_t section;
	bool optional; /* is left out without a word where it does not fit */
};

/* A chain of aliases, or a delegation with the addresses of its servers. */
#define ANSWER_MAX_PARTS 48

/* A chain of aliases, each with a signature, and a denial; or the signatures of many keys. */
#define ANSWER_SCRATCH 8192

struct service;

/* What a query comes to. */
struct answer {
	uint16_t rcode;
	bool authoritative;
	bool truncated;           /* nothing but TC is said */
	uint8_t count;            /* of parts */
	bool may_sign;            /* in: signatures that are not known yet may be made */
	bool unsigned_yet;        /* out: it failed for want of one */
	const struct service *as; /* in: whose addresses stand for the service's; NULL: its own */
	const struct service *service; /* is to be asked before the parts may be said */
	struct part part[ANSWER_MAX_PARTS];
	/* Where blocks of this one answer are: signatures and denials. */
	size_t scratch_used;
	_Alignas(struct block) uint8_t scratch[ANSWER_SCRATCH];
};

/* Makes it an answer without records. */
void answer_init(struct answer *answer, uint16_t rcode);
/* Adds a part; false where there are too many. */
bool answer_add(struct answer *answer, const struct block *block, struct part_owner owner,
	enum section section);
bool answer_has_records(const struct answer *answer);

/* The most bytes that an answer may have. */
size_t answer_limit(const struct query *query, bool tcp);

/* Writes the answer, at most `limit` bytes of it, truncated with TC where it does not fit, and returns
 * its size. The question, OPT and a cookie are always there, even beyond the limit. */
size_t answer_write(const struct query *query, const struct answer *answer,
	const struct edns_reply *edns, size_t limit, uint8_t *out);

#endif

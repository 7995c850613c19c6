/* SPDX-License-Identifier: ISC */
#ifndef DNS_ZONE_H
#define DNS_ZONE_H

#include "dns/block.h"
#include "dns/dns.h"
#include "dns/name.h"
#include "dns/records.h"

/* With names of full length these still fit a block. */
#define ZONE_MAX_SERVERS 16

/* Types of one name: a denial names them all. */
#define ZONE_MAX_TYPES 48

/* Two at most are needed, while one takes the place of another. */
#define ZONE_MAX_KEYS 4

/* RFC 2181 section 8. */
#define TTL_MAX 0x7fffffffu

/* All records of one owner and type. */
struct rrset {
	uint16_t type;
	uint32_t count;
	struct record *const *records; /* within the zone's */
	struct block *block;
};

/* One zone, compiled. */
struct zone {
	struct name origin;
	struct records records; /* sorted; the SOA is the apex's */
	struct rrset *sets;     /* of these, in their order */
	size_t set_count;
	struct block *negative; /* the SOA with the TTL of negative answers (RFC 2308 section 3) */
	struct block *any;      /* RFC 8482: a HINFO for whoever asks for everything */
	uint32_t serial, soa_ttl;
	struct dns_key *keys[ZONE_MAX_KEYS]; /* the active one first */
	size_t key_count;                    /* 0: the zone is not signed */
	struct name *transfer;               /* names of the TSIG keys that may have it all */
	size_t transfer_count;
	struct sockaddr_storage *notify; /* who hears of changes */
	size_t notify_count;
	bool changed;    /* the serial is not that of the zone before it */
	unsigned users;  /* beside the first: transfers; loop thread only */
	bool own_serial; /* the SOA is from the configuration: its serial is ours to set */
};

/* Reads the zone's file, where it has one, and compiles all; any thread. -EINVAL, or the errno of
 * reading, says what is wrong. */
int zone_create(const struct dns_zone_config *config, struct zone **out, struct error *err);
void zone_destroy(struct zone *zone);
/* Keeps it from being freed by the next zone_destroy(). */
struct zone *zone_keep(struct zone *zone);

/* Whether both have the same records, whatever their serials are. */
bool zone_same_records(const struct zone *a, const struct zone *b);
void zone_set_serial(struct zone *zone, uint32_t serial);

/* zone_check.c: whether sorted records make a zone. -EINVAL names the record and the reason. */
int zone_check(const struct records *records, const struct name *origin, struct error *err);

/* NULL: there is none. */
const struct record *zone_find_record(
	const struct records *records, const uint8_t *owner, uint16_t type);

#endif

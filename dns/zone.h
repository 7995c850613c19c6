/* SPDX-License-Identifier: ISC */
#ifndef DNS_ZONE_H
#define DNS_ZONE_H

#include "dns/block.h"
#include "dns/dns.h"
#include "dns/name.h"

/* With names of full length these still fit a block. */
#define ZONE_MAX_SERVERS 16

/* RFC 2181 section 8. */
#define TTL_MAX 0x7fffffffu

struct zone_server {
	struct name name;
	bool inside;                  /* the name is the zone's own to answer for */
	struct ip_address address[2]; /* IPv4, IPv6: glue, only where `inside`; or "none" */
	struct block *block[2];       /* the answer with that address; NULL without */
};

/* One zone, compiled. */
struct zone {
	struct name origin;
	struct block *soa;      /* the apex's SOA as an answer */
	struct block *ns;       /* the apex's NS as an answer, with glue */
	struct block *negative; /* the SOA in the authority section, for NODATA and NXDOMAIN */
	struct block *any;      /* RFC 8482: a HINFO for whoever asks for everything */
	struct zone_server *servers;
	size_t server_count;
};

/* -EINVAL says which part of the configuration is wrong. */
int zone_create(const struct dns_zone_config *config, struct zone **out, struct error *err);
void zone_destroy(struct zone *zone);

#endif

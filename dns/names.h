/* SPDX-License-Identifier: ISC */
#ifndef DNS_NAMES_H
#define DNS_NAMES_H

#include "dns/block.h"
#include "dns/dns.h"
#include "dns/table.h"
#include "dns/tsig.h"
#include "dns/zone.h"
#include "dns/zones.h"

/* A service's names and its compiled answers. */
struct service {
	uint32_t number;
	struct ip_address address[ADDRESSES_MAX]; /* or "none" */
	struct block *block[2];                   /* A, AAAA; NULL without */
	struct block *ptr;                        /* its name, for whoever asks for an address */
	struct block *https;                      /* NULL: none */
	uint8_t name[NAME_MAX_SIZE];
	uint8_t (*also)[NAME_MAX_SIZE]; /* its other names; also_count of them */
	size_t also_count;
	bool nameless; /* a further machine of the service that `name` is of: no node leads here */
};

/* All that can be asked for: the zones, the services, and the table of their names. */
struct names {
	struct table table;
	struct zone **zones;
	size_t zone_count;
	void *services; /* a tsearch tree by number */
	struct signatures *signatures;
	struct tsig_keys tsig_keys;
};

int names_init(struct names *names); /* 0 or -ENOMEM */
void names_finish(struct names *names);

/* These do as the functions of dns/dns.h. */
int names_use_zones(struct names *names, struct dns_zones *zones, struct error *err);
int names_set_zones(struct names *names, const struct dns_zone_config *configs, size_t count,
	struct error *err);
int names_check_service(const struct names *names, const char *text, struct error *err);
int names_put_service(struct names *names, uint32_t number, const char *text,
	const struct ip_address *addresses, size_t count, uint32_t ttl, struct error *err);
int names_set_service_names(struct names *names, uint32_t number, const char *const *texts,
	size_t count, struct error *err);
int names_put_instance(struct names *names, uint32_t number, uint32_t of,
	const struct ip_address *addresses, size_t count, uint32_t ttl, struct error *err);
int names_set_service_https(struct names *names, uint32_t number, const char *parameters,
	uint32_t ttl, struct error *err);
void names_remove_service(struct names *names, uint32_t number);

/* NULL: there is none of this number. */
const struct service *names_find_service(const struct names *names, uint32_t number);

/* The set of a type among a node's static records; NULL: none. */
const struct rrset *node_find_set(const struct node *node, uint16_t type);

#endif

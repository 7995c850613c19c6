/* SPDX-License-Identifier: ISC */
#ifndef DNS_ZONES_H
#define DNS_ZONES_H

#include "dns/dns.h"
#include "dns/table.h"
#include "dns/zone.h"

/* Zones that were read and compiled, with the table of their names, but do not serve yet. */
struct dns_zones {
	struct table table;
	struct zone **zones;
	size_t count;
};

#endif

/* SPDX-License-Identifier: ISC */
#include "dns/source.h"

#include <endian.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/random.h>

#include "base/units.h"

#define NETWORK_IPV4 (1ull << 63)

uint64_t source_network(const struct sockaddr *source)
{
	if (source->sa_family == AF_INET) {
		const struct sockaddr_in *in = (const struct sockaddr_in *)(const void *)source;
		return NETWORK_IPV4 | ntohl(in->sin_addr.s_addr) >> 8;
	}
	if (source->sa_family != AF_INET6)
		return 0;
	const struct sockaddr_in6 *in6 = (const struct sockaddr_in6 *)(const void *)source;
	uint64_t network;
	memcpy(&network, in6->sin6_addr.s6_addr, sizeof(network));
	return be64toh(network) >> 8;
}

void source_counts_init(struct source_counts *counts, uint32_t max)
{
	*counts = (struct source_counts){.max = max, .secret = clock_real()};
	/* Early in a boot there may be no randomness yet, and then the clock has to do. */
	ssize_t got = getrandom(&counts->secret, sizeof(counts->secret), GRND_NONBLOCK);
	(void)got;
}

static uint32_t slot_of(const struct source_counts *counts, uint64_t network)
{
	return source_hash(network, counts->secret) % SOURCE_COUNTS;
}

bool source_has_room(const struct source_counts *counts, uint64_t network)
{
	return counts->max == 0 || counts->count[slot_of(counts, network)] < counts->max;
}

void source_enter(struct source_counts *counts, uint64_t network)
{
	counts->count[slot_of(counts, network)]++;
}

void source_leave(struct source_counts *counts, uint64_t network)
{
	counts->count[slot_of(counts, network)]--;
}

/* SPDX-License-Identifier: ISC */
#include <stdio.h>
#include <stdlib.h>

#include "db/store.h"

/*
 * For tests/bench/dns: makes a store with many services, as summond would have after as many `add`.
 *
 *     dns_fill STORE FORMAT COUNT
 *
 * FORMAT is a name with one %u. Their policy `still` wakes on nothing, so that a query for any of
 * them is answered at once and starts nothing.
 */
static void fail(const struct error *err)
{
	fprintf(stderr, "dns_fill: %s\n", err->message);
	exit(1);
}

int main(int argc, char **argv)
{
	struct error err = ERROR_INIT;
	struct store *store;
	struct policy policy;
	if (argc != 4) {
		fprintf(stderr, "usage: dns_fill STORE FORMAT COUNT\n");
		return 2;
	}
	policy_init(&policy, "still");
	if (policy_set(&policy, "wake_on", "none", &err) < 0 ||
		store_open(argv[1], &store, &err) < 0 || store_put_policy(store, &policy, &err) < 0)
		fail(&err);
	uint32_t count = (uint32_t)strtoul(argv[3], NULL, 10);
	for (uint32_t i = 0; i < count; i++) {
		uint32_t host = i + 1;
		struct store_service service = {
			.backend = "sim",
			.policy = "still",
			.ipv4 = {AF_INET,
				{11, (uint8_t)(host >> 16), (uint8_t)(host >> 8), (uint8_t)host}},
		};
		snprintf(service.name, sizeof(service.name), argv[2], i);
		if (store_put_service(store, &service, &err) < 0)
			fail(&err);
	}
	store_close(store);
	return 0;
}

/* SPDX-License-Identifier: ISC */
#include "policies/instances.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "base/units.h"

/* --- as text --- */

static const struct {
	const char *word;
	enum policy_sharing how;
} words[] = {{"per-client:", POLICY_PER_CLIENT}, {"shared:", POLICY_SHARED}};
#define WORDS (sizeof(words) / sizeof(words[0]))

bool instances_parse(const char *text, struct policy_instances *out)
{
	if (strcasecmp(text, "one") == 0) {
		*out = (struct policy_instances){POLICY_ONE, 1};
		return true;
	}
	for (size_t i = 0; i < WORDS; i++) {
		uint64_t count;
		size_t length = strlen(words[i].word);
		if (strncasecmp(text, words[i].word, length) != 0)
			continue;
		if (number_parse(text + length, 1, POLICY_INSTANCES_MAX, &count, NULL) < 0)
			return false;
		*out = (struct policy_instances){words[i].how, (uint32_t)count};
		return true;
	}
	return false;
}

bool instances_print(const struct policy_instances *instances, char text[POLICY_VALUE_MAX + 1])
{
	if (instances->count < 1 || instances->count > POLICY_INSTANCES_MAX)
		return false;
	if (instances->how == POLICY_ONE) {
		strcpy(text, "one");
		return instances->count == 1;
	}
	for (size_t i = 0; i < WORDS; i++) {
		if (words[i].how != instances->how)
			continue;
		snprintf(text, POLICY_VALUE_MAX + 1, "%s%u", words[i].word, instances->count);
		return true;
	}
	return false;
}

/* --- clients --- */

struct ip_address instances_client(const struct ip_address *address)
{
	struct ip_address client = *address;
	if (client.family == AF_INET6)
		memset(client.bytes + 8, 0, 8);
	return client;
}

static bool is_of(const struct seat *seat, const struct ip_address *client)
{
	return ip_address_is_set(&seat->client) && ip_address_equal(&seat->client, client);
}

/* The seat of this client; `count` where it has none. */
static unsigned find(const struct seat *seats, unsigned count, const struct ip_address *client)
{
	unsigned i = 0;
	while (i < count && !is_of(&seats[i], client))
		i++;
	return i;
}

/* --- per-client --- */

static bool is_free(const struct seat *seat)
{
	return !ip_address_is_set(&seat->client);
}

static bool rests(const struct seat *seat)
{
	return !is_free(seat) && seat->state == LOAD_ASLEEP;
}

/* Smaller is better: what it had last, then what can be started, then what was left long ago. */
struct rank {
	bool others, failing;
	uint64_t used_at;
};

static struct rank rank(const struct seat *seat, const struct ip_address *client)
{
	bool its = ip_address_is_set(&seat->before) && ip_address_equal(&seat->before, client);
	return (struct rank){!its, !its && seat->failing, seat->used_at};
}

static bool is_better(struct rank a, struct rank b)
{
	if (a.others != b.others)
		return b.others;
	if (a.failing != b.failing)
		return b.failing;
	return a.used_at < b.used_at;
}

/* The best of those that are eligible; `count` where none is. */
static unsigned best(const struct seat *seats, unsigned count, const struct ip_address *client,
	bool (*eligible)(const struct seat *seat))
{
	unsigned found = count;
	for (unsigned i = 0; i < count; i++)
		if (eligible(&seats[i]) && (found == count || is_better(rank(&seats[i], client),
								      rank(&seats[found], client))))
			found = i;
	return found;
}

static struct seating seat_alone(
	const struct seat *seats, unsigned count, const struct ip_address *client)
{
	unsigned index = find(seats, count, client);
	if (index == count)
		index = best(seats, count, client, is_free);
	if (index < count)
		return (struct seating){.found = true, .index = index};
	index = best(seats, count, client, rests);
	return (struct seating){index < count, index < count, index};
}

enum visit decide_visit(
	const struct seat *seats, unsigned count, unsigned index, const struct ip_address *client)
{
	unsigned own = find(seats, count, client);
	if (own == index)
		return VISIT_WELCOME;
	if (own < count)
		return VISIT_STRANGER;
	if (is_free(&seats[index]))
		return VISIT_TAKES;
	return seats[index].direct ? VISIT_STRANGER : VISIT_WELCOME;
}

/* --- shared --- */

/* The finalizer of splitmix64: every bit of the result depends on every bit of x. */
static uint64_t mix(uint64_t x)
{
	x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9u;
	x = (x ^ x >> 27) * 0x94d049bb133111ebu;
	return x ^ x >> 31;
}

static uint64_t hash(const struct ip_address *client, uint64_t seed)
{
	uint64_t halves[2];
	memcpy(halves, client->bytes, sizeof(halves));
	return mix(mix(mix(seed + client->family) ^ halves[0]) ^ halves[1]);
}

static struct seating seat_together(
	const struct seat *seats, unsigned count, const struct ip_address *client, uint64_t seed)
{
	uint64_t base = hash(client, seed), most = 0;
	struct seating seating = {.found = false};
	bool failing = true;
	for (unsigned i = 0; i < count; i++) {
		uint64_t weight = mix(base + i * 0x9e3779b97f4a7c15u);
		bool better = failing != seats[i].failing ? failing : weight > most;
		if (seating.found && !better)
			continue;
		seating = (struct seating){.found = true, .index = i};
		failing = seats[i].failing;
		most = weight;
	}
	return seating;
}

struct seating decide_seat(enum policy_sharing how, const struct seat *seats, unsigned count,
	const struct ip_address *client, uint64_t seed)
{
	switch (how) {
	case POLICY_PER_CLIENT:
		return seat_alone(seats, count, client);
	case POLICY_SHARED:
		return seat_together(seats, count, client, seed);
	case POLICY_ONE:
		break;
	}
	return (struct seating){.found = count > 0, .index = 0};
}

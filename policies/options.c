/* SPDX-License-Identifier: ISC */
#include <stddef.h>

#include "base/units.h"
#include "policies/option.h"

/* One table says all there is to know about an option; policy.c walks it. */

static const struct word wake_words[] = {{"none", 0}, {"A", POLICY_WAKE_A},
	{"AAAA", POLICY_WAKE_AAAA}, {"HTTPS", POLICY_WAKE_HTTPS}, {0}};
static const struct word start_words[] = {{"cold", POLICY_START_COLD},
	{"prepared", POLICY_START_PREPARED}, {"suspended", POLICY_START_SUSPENDED},
	{"snapshot", POLICY_START_SNAPSHOT}, {0}};
static const struct word ready_words[] = {{"guest", POLICY_READY_GUEST},
	{"console", POLICY_READY_CONSOLE}, {"frame", POLICY_READY_FRAME}, {"tcp", POLICY_READY_TCP},
	{"delay", POLICY_READY_DELAY}, {"key", POLICY_READY_KEY}, {0}};
static const struct word deadline_words[] = {
	{"address", POLICY_DEADLINE_ADDRESS}, {"servfail", POLICY_DEADLINE_SERVFAIL}, {0}};
static const struct word answer_words[] = {
	{"when-ready", POLICY_ANSWER_WHEN_READY}, {"at-once", POLICY_ANSWER_AT_ONCE}, {0}};
static const struct word switch_words[] = {{"no", POLICY_NO}, {"yes", POLICY_YES}, {0}};
static const struct word activity_words[] = {{"none", 0}, {"queries", POLICY_ACTIVITY_QUERIES},
	{"traffic", POLICY_ACTIVITY_TRAFFIC}, {"connections", POLICY_ACTIVITY_CONNECTIONS}, {0}};
static const struct word retire_words[] = {{"destroy", POLICY_RETIRE_DESTROY},
	{"shutdown", POLICY_RETIRE_SHUTDOWN}, {"suspend", POLICY_RETIRE_SUSPEND},
	{"snapshot", POLICY_RETIRE_SNAPSHOT}, {0}};

#define NS_PER_DAY (24 * 3600 * NS_PER_S)

static const struct range any_span = {0, POLICY_SPAN_MAX, 1};
static const struct range delay_span = {0, 3600 * NS_PER_S, 1};
static const struct range timeout_span = {NS_PER_MS, 3600 * NS_PER_S, 1};
static const struct range hold_span = {0, 5 * NS_PER_S, 1};
static const struct range ttl_span = {0, NS_PER_DAY, NS_PER_S};
static const struct range shells_range = {0, 64, 1};
static const struct range port_range = {0, UINT16_MAX, 1};

#define PORTS_VALUES "up to 16 ports and ranges, as in 80 443 8000-8099; or any, none"
#define HOURS_VALUES                                                                               \
	"up to 12 times, as in \"Mon-Fri 08:00-18:00, Jan-Mar 1-7 Mon 22:00-02:00\"; or none"
#define SPAN_VALUES "a duration from 0 to 3650d, as in 60s"

#define OPTION(field, kind_, fallback_, values_, help_, detail_)                                   \
	{                                                                                          \
		.name = #field, .fallback = (fallback_), .values = (values_), .help = (help_),     \
		.kind = (kind_), .offset = offsetof(struct policy, field), .detail = (detail_)     \
	}

const struct policy_option policy_options[] = {
	OPTION(wake_on, KIND_FLAGS, "A AAAA HTTPS", "any of A, AAAA, HTTPS; or none",
		"Types of query that wake the service", wake_words),
	OPTION(start, KIND_WORD, "cold", "cold | prepared | suspended | snapshot",
		"How it rests while asleep: not at all, created but not booted, or booted and "
		"paused",
		start_words),
	OPTION(shells, KIND_NUMBER, "0", "a whole number from 0 to 64",
		"How many machines without a guest are kept ready for its services together, "
		"where the backend knows such (vmm)",
		&shells_range),
	OPTION(ready, KIND_WORD, "guest", "guest | console | frame | tcp | delay | key",
		"How it is known that the guest can serve", ready_words),
	OPTION(ready_line, KIND_TEXT, "summond: ready",
		"up to 255 printable ASCII characters, as in \"summond: ready\"",
		"What a line of the console contains when the guest is ready (ready console or "
		"guest)",
		NULL),
	OPTION(ready_port, KIND_NUMBER, "80", "a whole number from 0 to 65535",
		"The TCP port that accepts when the guest is ready (ready tcp)", &port_range),
	OPTION(ready_delay, KIND_DURATION, "1s", "a duration from 0 to 1h, as in 500ms",
		"How long after its start the guest counts as ready (ready delay)", &delay_span),
	OPTION(ready_key, KIND_TEXT, "data/summond-ready",
		"up to 255 printable ASCII characters, as in \"data/status\"",
		"The key in its folder of xenstore that is there when the guest is ready (ready "
		"key)",
		NULL),
	OPTION(ready_settle, KIND_DURATION, "0", "a duration from 0 to 1h, as in 100ms",
		"How much later than that the guest counts as ready, however it is known",
		&delay_span),
	OPTION(ready_timeout, KIND_DURATION, "10s", "a duration from 1ms to 1h, as in 10s",
		"When a start that is not ready counts as failed", &timeout_span),
	OPTION(hold, KIND_DURATION, "1.2s",
		"a duration from 0 to 5s (resolvers give up after that), as in 1.2s",
		"How long an answer waits for the guest at most", &hold_span),
	OPTION(at_deadline, KIND_WORD, "address", "address | servfail",
		"What is answered when the guest is not ready in that time", deadline_words),
	OPTION(answer, KIND_WORD, "when-ready", "when-ready | at-once",
		"Whether a query waits for the guest, or is answered while the guest starts",
		answer_words),
	OPTION(ring_tcp, KIND_PORTS, "80 443", PORTS_VALUES,
		"The TCP ports at which a connection wakes the service", NULL),
	OPTION(ring_udp, KIND_PORTS, "none", PORTS_VALUES,
		"The UDP ports at which a datagram wakes the service", NULL),
	OPTION(ring_ping, KIND_WORD, "no", "yes | no", "Whether an echo request wakes the service",
		switch_words),
	OPTION(ring_from, KIND_PREFIXES, "any",
		"up to 12 prefixes in at most 255 characters, as in 10.0.0.0/8 fd00::/8; or any, "
		"none",
		"The clients whose packets wake the service", NULL),
	OPTION(ring_rate, KIND_RATE, "30/1min",
		"how many in what time (from 1ms to 1d), as in 30/1min; or none for no limit",
		"How often packets wake the service at most", NULL),
	OPTION(ttl, KIND_DURATION, "5s", "whole seconds from 0 to 1d, as in 5s",
		"How long clients may keep an answer", &ttl_span),
	OPTION(activity, KIND_FLAGS, "queries traffic connections",
		"any of queries, traffic, connections; or none", "What counts as use",
		activity_words),
	OPTION(idle_after, KIND_DURATION, "60s", SPAN_VALUES,
		"How long without use until the guest is retired; 0 for never", &any_span),
	OPTION(min_life, KIND_DURATION, "10s", SPAN_VALUES, "How long the guest is kept at least",
		&any_span),
	OPTION(max_life, KIND_DURATION, "0", SPAN_VALUES,
		"When the guest is retired even if it is in use; 0 for never", &any_span),
	OPTION(retire, KIND_WORD, "destroy", "destroy | shutdown | suspend | snapshot",
		"What retiring does to the guest", retire_words),
	OPTION(tiers, KIND_TIERS, "none",
		"what becomes of it, and when: as in \"snapshot after 10min, destroy after 1d\"; "
		"or "
		"none",
		"Where a guest at rest (suspended or on disk) goes on to, if nothing wakes it",
		NULL),
	OPTION(shutdown_grace, KIND_DURATION, "5s", "a duration from 0 to 1h, as in 5s",
		"How long a shutdown may take before the guest is destroyed (retire shutdown)",
		&delay_span),
	OPTION(needs, KIND_NAMES, "none",
		"names of services in at most 255 characters, as in db.example.org; or none",
		"What is woken before the service, and retired after it", NULL),
	OPTION(keep_awake, KIND_HOURS, "none", HOURS_VALUES,
		"When it is kept awake, by the clock of time_zone", NULL),
	OPTION(keep_asleep, KIND_HOURS, "none", HOURS_VALUES,
		"When it is kept asleep: neither queries nor packets wake it then", NULL),
	OPTION(time_zone, KIND_ZONE, "UTC", "a zone of tzdata, as in Europe/Berlin",
		"Whose clock keep_awake and keep_asleep go by", NULL),
	OPTION(backoff_first, KIND_DURATION, "1s", SPAN_VALUES,
		"How long no start is tried after a failure; doubles with each; 0 for not at all",
		&any_span),
	OPTION(backoff_max, KIND_DURATION, "60s", SPAN_VALUES,
		"How long no start is tried after many failures", &any_span),
	OPTION(instances, KIND_INSTANCES, "one",
		"one, per-client:N or shared:N, N from 1 to 64, as in per-client:8",
		"How many machines it has: one; one for each client, N clients at most; or N that "
		"clients share",
		NULL),
	OPTION(https, KIND_TEXT, "none",
		"parameters as in zone files, as in \"alpn=h2,h3 port=8443\"; or none",
		"What an HTTPS record of its names says to browsers (RFC 9460)", NULL),
};
const size_t policy_option_count = sizeof(policy_options) / sizeof(policy_options[0]);

/* SPDX-License-Identifier: ISC */
#include "db/statements.h"

/* A journal entry is bound in one order whatever its kind (history.c). The join leaves out entries
 * whose service is gone; its WHERE keeps the grammar from reading ON CONFLICT as part of it. */
#define ENTRY                                                                                      \
	"WITH e(summon, service, at, generation, word, old, new, elapsed, waiters, detail) "       \
	"AS (VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)) "
#define OF_LIVE_SERVICE "FROM e JOIN service ON service.id = e.service WHERE true "

/* And it is read back in the same order. */
#define SUMMON_COLUMNS                                                                             \
	"SELECT id, service, at, generation, outcome, cause, '', elapsed, waiters, detail "        \
	"FROM summon "
#define TRANSITION_COLUMNS                                                                         \
	"SELECT summon, service, at, generation, event, old_state, new_state, 0, 0, detail "       \
	"FROM transition "

/* In the order of the table in service.c. */
#define SERVICE_TEXTS                                                                              \
	"image, initrd, cmdline, domain_xml, kernel_line, domain_name, uuid, nics, disks, "        \
	"rumprun_config"

/* All of a family in order, as hexadecimal digits: one column for any number. */
#define ADDRESSES_OF(size)                                                                         \
	"(SELECT group_concat(hex(address), '') FROM (SELECT address FROM address "                \
	"WHERE address.service = service.id AND length(address) = " size " ORDER BY place)) "      \
	"AS addresses"

const struct statement_text statement_texts[STATEMENT_COUNT] = {
	[META_PUT] = {"write the database's identity", "meta",
		"INSERT INTO meta (key, value) VALUES (?, ?) ON CONFLICT DO NOTHING"},
	[META_GET] = {"read the database's identity", "meta",
		"SELECT value FROM meta WHERE key = ?"},

	[SERVICE_INSERT] = {"store the service", "service",
		"INSERT INTO service (name, backend, policy, " SERVICE_TEXTS ", "
		"memory, vcpus, pinned, created_at) "
		"VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) "
		"RETURNING id"},
	[SERVICE_UPDATE] = {"store the service", "service",
		"UPDATE service SET (name, backend, policy, " SERVICE_TEXTS ", memory, vcpus) = "
		"(?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) WHERE id = ?"},
	[SERVICE_DELETE] = {"remove the service", "service", "DELETE FROM service WHERE id = ?"},
	[SERVICE_PIN] = {"pin the service", "service",
		"UPDATE service SET pinned = ?, pinned_until = ? WHERE id = ?"},
	[SERVICE_EACH] = {"read the services", "service",
		"SELECT id, name, backend, policy, " SERVICE_TEXTS ", "
		"(SELECT group_concat(name, ' ') FROM (SELECT name FROM service_name "
		"WHERE service_name.service = service.id ORDER BY name)), memory, "
		"vcpus, pinned, pinned_until, created_at, " ADDRESSES_OF("4") ", " ADDRESSES_OF(
			"16") " "
			      "FROM service ORDER BY name"},

	[NAME_OWNER] = {"look for the name", "service",
		"SELECT id, name FROM service WHERE name = ?1 UNION ALL "
		"SELECT service.id, service.name FROM service_name "
		"JOIN service ON service.id = service_name.service WHERE service_name.name = ?1"},
	[NAME_CLEAR] = {"store the service's names", "service_name",
		"DELETE FROM service_name WHERE service = ?"},
	[NAME_PUT] = {"store the service's names", "service_name",
		"INSERT INTO service_name (name, service) VALUES (?, ?) ON CONFLICT DO NOTHING"},

	[ADDRESS_RENAME] = {"store the service's addresses", "address",
		"UPDATE address SET name = ? WHERE service = ?"},
	[ADDRESS_RELEASE] = {"release the service's addresses", "address",
		"UPDATE address SET service = NULL, released_at = ? WHERE service = ?"},
	[ADDRESS_FIND] = {"look for the address", "address",
		"SELECT name, ifnull(service, 0) FROM address WHERE address = ?"},
	[ADDRESS_PUT] = {"store the service's address", "address",
		"INSERT INTO address (address, name, service, place) VALUES (?, ?, ?, ?) "
		"ON CONFLICT (address) DO UPDATE SET service = excluded.service, "
		"place = excluded.place"},
	[ADDRESS_EACH] = {"read the addresses", "address",
		"SELECT name, address FROM address "
		"ORDER BY service IS NOT NULL, CASE WHEN service IS NULL THEN released_at END, "
		"place DESC, address"},

	[POLICY_INSERT] = {"store the policy", "policy",
		"INSERT INTO policy (name) VALUES (?) ON CONFLICT DO NOTHING"},
	[POLICY_DELETE] = {"remove the policy", "policy", "DELETE FROM policy WHERE name = ?"},
	[POLICY_FIND] = {"look for the policy", "policy", "SELECT name FROM policy WHERE name = ?"},
	[POLICY_USER] = {"look for the policy's services", "service",
		"SELECT name FROM service WHERE policy = ? ORDER BY name LIMIT 1"},
	[POLICY_EACH] = {"read the policies", "policy_option",
		"SELECT policy.name, option, value FROM policy "
		"LEFT JOIN policy_option ON policy_option.policy = policy.name "
		"ORDER BY policy.name, option"},
	[OPTION_CLEAR] = {"store the policy's options", "policy_option",
		"DELETE FROM policy_option WHERE policy = ?"},
	[OPTION_INSERT] = {"store the policy's options", "policy_option",
		"INSERT INTO policy_option (policy, option, value) VALUES (?, ?, ?)"},

	[COUNTER_RAISE] = {"write the journal's counters", "counter",
		"UPDATE counter SET value = max(value, ?) WHERE name = ?"},
	[COUNTER_GET] = {"read the journal's counters", "counter",
		"SELECT value FROM counter WHERE name = ?"},
	[SUMMON_INSERT] = {"write a summon", "summon",
		ENTRY "INSERT INTO summon (id, service, at, generation, outcome, cause, elapsed, "
		      "waiters, detail) SELECT e.summon, e.service, e.at, e.generation, e.word, "
		      "e.old, e.elapsed, e.waiters, e.detail " OF_LIVE_SERVICE
		      "ON CONFLICT (id) DO NOTHING"},
	[STAGE_INSERT] = {"write a stage", "stage",
		ENTRY "INSERT INTO stage (summon, service, at, generation, name, elapsed, detail) "
		      "SELECT e.summon, e.service, e.at, e.generation, e.word, e.elapsed, "
		      "e.detail " OF_LIVE_SERVICE},
	[TRANSITION_INSERT] = {"write a transition", "transition",
		ENTRY "INSERT INTO transition (summon, service, at, generation, event, old_state, "
		      "new_state, detail) SELECT e.summon, e.service, e.at, e.generation, e.word, "
		      "e.old, e.new, e.detail " OF_LIVE_SERVICE},
	[INSTANCE_START] = {"write an instance", "instance",
		ENTRY "INSERT INTO instance (service, generation, summon, backend, started_at) "
		      "SELECT e.service, e.generation, e.summon, e.word, e.at " OF_LIVE_SERVICE
		      "ON CONFLICT (service, generation) DO NOTHING"},
	[INSTANCE_END] = {"write the end of an instance", "instance",
		ENTRY "INSERT INTO instance (service, generation, summon, backend, ended_at, "
		      "reason) SELECT e.service, e.generation, e.summon, e.word, e.at, "
		      "e.detail " OF_LIVE_SERVICE "ON CONFLICT (service, generation) "
		      "DO UPDATE SET ended_at = excluded.ended_at, reason = excluded.reason"},

	[SUMMON_BOUND] = {"trim the summons", "summon",
		"SELECT id FROM summon ORDER BY id DESC LIMIT 1 OFFSET ?"},
	[SUMMON_TRIM] = {"trim the summons", "summon",
		"DELETE FROM summon WHERE id IN "
		"(SELECT id FROM summon WHERE id <= ? ORDER BY id LIMIT ?)"},
	[STAGE_TRIM] = {"trim the stages", "stage",
		"DELETE FROM stage WHERE id IN "
		"(SELECT id FROM stage WHERE summon <= ? ORDER BY summon LIMIT ?)"},
	[TRANSITION_BOUND] = {"trim the transitions", "transition",
		"SELECT id FROM transition ORDER BY id DESC LIMIT 1 OFFSET ?"},
	[TRANSITION_TRIM] = {"trim the transitions", "transition",
		"DELETE FROM transition WHERE id IN "
		"(SELECT id FROM transition WHERE id <= ? ORDER BY id LIMIT ?)"},
	[INSTANCE_BOUND] = {"trim the instances", "instance",
		"SELECT id FROM instance WHERE ended_at IS NOT NULL "
		"ORDER BY id DESC LIMIT 1 OFFSET ?"},
	[INSTANCE_TRIM] = {"trim the instances", "instance",
		"DELETE FROM instance WHERE id IN (SELECT id FROM instance "
		"WHERE id <= ? AND ended_at IS NOT NULL ORDER BY id LIMIT ?)"},

	[SUMMON_EACH] = {"read the summons", "summon",
		SUMMON_COLUMNS "WHERE id < ? ORDER BY id DESC LIMIT ?"},
	[SUMMON_EACH_OF] = {"read the summons", "summon",
		SUMMON_COLUMNS "WHERE id < ? AND service = ? ORDER BY id DESC LIMIT ?"},
	[SUMMON_FIND] = {"read the summon", "summon", SUMMON_COLUMNS "WHERE id = ?"},
	[STAGE_EACH] = {"read the stages", "stage",
		"SELECT summon, service, at, generation, name, '', '', elapsed, 0, detail "
		"FROM stage WHERE summon = ? ORDER BY elapsed, id"},
	[TRANSITION_EACH] = {"read the transitions", "transition",
		TRANSITION_COLUMNS "ORDER BY id DESC LIMIT ?"},
	[TRANSITION_EACH_OF] = {"read the transitions", "transition",
		TRANSITION_COLUMNS "WHERE service = ? ORDER BY id DESC LIMIT ?"},
};

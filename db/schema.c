/* SPDX-License-Identifier: ISC */
#include "db/schema.h"

#include <errno.h>
#include <sqlite3.h>
#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"
#include "db/sql.h"

/* "sumd": file(1) and sqlite3_open of another program know by it whose file this is. */
#define APPLICATION_ID 0x73756d64

/*
 * Migrations: number N brings user_version from N to N+1. One that was released is never changed.
 *
 * address: a row is never deleted, so that no address is handed to a second name. A released one
 * has no service. counter: the highest ids that were ever written, whatever was trimmed since.
 * stage has no reference to summon: a summon's row is written when it ends, after its stages.
 */
static const char *const migrations[] = {
	"CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT, WITHOUT ROWID;"
	"CREATE TABLE counter (name TEXT PRIMARY KEY, value INTEGER NOT NULL) STRICT, "
	"  WITHOUT ROWID;"
	"INSERT INTO counter VALUES ('summon', 0), ('generation', 0);"

	"CREATE TABLE policy (name TEXT PRIMARY KEY) STRICT, WITHOUT ROWID;"
	"CREATE TABLE policy_option ("
	"  policy TEXT NOT NULL REFERENCES policy ON DELETE CASCADE,"
	"  option TEXT NOT NULL,"
	"  value TEXT NOT NULL,"
	"  PRIMARY KEY (policy, option)) STRICT, WITHOUT ROWID;"

	"CREATE TABLE service ("
	"  id INTEGER PRIMARY KEY AUTOINCREMENT,"
	"  name TEXT NOT NULL UNIQUE,"
	"  backend TEXT NOT NULL,"
	"  policy TEXT NOT NULL REFERENCES policy,"
	"  image TEXT, initrd TEXT, cmdline TEXT, domain_xml TEXT,"
	"  memory INTEGER NOT NULL CHECK (memory >= 0),"
	"  vcpus INTEGER NOT NULL CHECK (vcpus >= 0),"
	"  pinned INTEGER NOT NULL CHECK (pinned IN (0, 1)),"
	"  created_at INTEGER NOT NULL) STRICT;"
	"CREATE INDEX service_policy ON service (policy);"

	"CREATE TABLE address ("
	"  address BLOB PRIMARY KEY CHECK (length(address) IN (4, 16)),"
	"  name TEXT NOT NULL,"
	"  service INTEGER REFERENCES service ON DELETE SET NULL,"
	"  released_at INTEGER NOT NULL DEFAULT 0) STRICT, WITHOUT ROWID;"
	"CREATE UNIQUE INDEX address_service ON address (service, length(address))"
	"  WHERE service IS NOT NULL;"
	"CREATE INDEX address_name ON address (name);"

	"CREATE TABLE instance ("
	"  id INTEGER PRIMARY KEY,"
	"  service INTEGER NOT NULL REFERENCES service ON DELETE CASCADE,"
	"  generation INTEGER NOT NULL,"
	"  summon INTEGER NOT NULL,"
	"  backend TEXT NOT NULL,"
	"  started_at INTEGER,"
	"  ended_at INTEGER,"
	"  reason TEXT,"
	"  UNIQUE (service, generation)) STRICT;"
	"CREATE INDEX instance_ended ON instance (id) WHERE ended_at IS NOT NULL;"

	"CREATE TABLE summon ("
	"  id INTEGER PRIMARY KEY,"
	"  service INTEGER NOT NULL REFERENCES service ON DELETE CASCADE,"
	"  at INTEGER NOT NULL,"
	"  generation INTEGER NOT NULL,"
	"  outcome TEXT NOT NULL,"
	"  cause TEXT NOT NULL,"
	"  elapsed INTEGER NOT NULL,"
	"  waiters INTEGER NOT NULL,"
	"  detail TEXT NOT NULL) STRICT;"
	"CREATE INDEX summon_service ON summon (service, id);"

	"CREATE TABLE stage ("
	"  id INTEGER PRIMARY KEY,"
	"  summon INTEGER NOT NULL,"
	"  service INTEGER NOT NULL REFERENCES service ON DELETE CASCADE,"
	"  at INTEGER NOT NULL,"
	"  generation INTEGER NOT NULL,"
	"  name TEXT NOT NULL,"
	"  elapsed INTEGER NOT NULL,"
	"  detail TEXT NOT NULL) STRICT;"
	"CREATE INDEX stage_summon ON stage (summon, elapsed);"
	"CREATE INDEX stage_service ON stage (service);"

	"CREATE TABLE transition ("
	"  id INTEGER PRIMARY KEY,"
	"  service INTEGER NOT NULL REFERENCES service ON DELETE CASCADE,"
	"  at INTEGER NOT NULL,"
	"  summon INTEGER NOT NULL,"
	"  generation INTEGER NOT NULL,"
	"  event TEXT NOT NULL,"
	"  old_state TEXT NOT NULL,"
	"  new_state TEXT NOT NULL,"
	"  detail TEXT NOT NULL) STRICT;"
	"CREATE INDEX transition_service ON transition (service, id);",

	"ALTER TABLE service ADD COLUMN kernel_line TEXT;"
	"ALTER TABLE service ADD COLUMN aliases TEXT;"
	"ALTER TABLE service ADD COLUMN domain_name TEXT;"
	"ALTER TABLE service ADD COLUMN uuid TEXT;"
	"ALTER TABLE service ADD COLUMN nics TEXT;"
	"ALTER TABLE service ADD COLUMN disks TEXT;"
	"ALTER TABLE service ADD COLUMN rumprun_config TEXT;",

	/* Names become rows, so that no two services have the same one. */
	"CREATE TABLE service_name ("
	"  name TEXT PRIMARY KEY,"
	"  service INTEGER NOT NULL REFERENCES service ON DELETE CASCADE) STRICT, WITHOUT ROWID;"
	"CREATE INDEX service_name_service ON service_name (service, name);"
	"WITH RECURSIVE word (service, name, rest) AS ("
	"  SELECT id, '', aliases || ' ' FROM service WHERE aliases IS NOT NULL"
	"  UNION ALL SELECT service, substr(rest, 1, instr(rest, ' ') - 1),"
	"    substr(rest, instr(rest, ' ') + 1) FROM word WHERE rest <> '')"
	"INSERT INTO service_name SELECT name, service FROM word WHERE name <> ''"
	"  AND name NOT IN (SELECT name FROM service) ON CONFLICT DO NOTHING;"
	"ALTER TABLE service DROP COLUMN aliases;",

	/* When a pin ends; 0: it does not. */
	"ALTER TABLE service ADD COLUMN pinned_until INTEGER NOT NULL DEFAULT 0 "
	"  CHECK (pinned_until >= 0);",

	/* A service has several addresses of a family, in an order. */
	"ALTER TABLE address ADD COLUMN place INTEGER NOT NULL DEFAULT 0 CHECK (place >= 0);"
	"DROP INDEX address_service;"
	"CREATE UNIQUE INDEX address_service ON address (service, length(address), place)"
	"  WHERE service IS NOT NULL;",
};
enum { VERSION = sizeof(migrations) / sizeof(migrations[0]) };

/* The first column of the first row of a pragma as text; "" where there is no row. */
static int read_word(
	struct store *store, const char *sql, char *out, size_t size, struct error *err)
{
	sqlite3_stmt *stmt = NULL;
	int rc = 0;
	out[0] = '\0';
	int code = sqlite3_prepare_v2(store->db, sql, -1, &stmt, NULL);
	if (code == SQLITE_OK)
		code = sqlite3_step(stmt);
	if (code == SQLITE_ROW) {
		const unsigned char *text = sqlite3_column_text(stmt, 0);
		snprintf(out, size, "%s", text ? (const char *)text : "");
	} else if (code != SQLITE_DONE) {
		rc = sql_fail(store, "read the database", err);
	}
	sqlite3_finalize(stmt);
	return rc;
}

static int read_number(struct store *store, const char *sql, long *out, struct error *err)
{
	char text[32];
	int rc = read_word(store, sql, text, sizeof(text), err);
	*out = rc < 0 ? 0 : strtol(text, NULL, 10);
	return rc;
}

/* Which version this file is of; 0 for a new one. */
static int check_header(struct store *store, long *version, struct error *err)
{
	long id = 0, tables = 0;
	int rc = read_number(store, "PRAGMA application_id", &id, err);
	if (rc == 0)
		rc = read_number(store, "PRAGMA user_version", version, err);
	if (rc == 0)
		rc = read_number(store, "SELECT count(*) FROM sqlite_schema", &tables, err);
	if (rc < 0)
		return rc;
	bool is_new = id == 0 && *version == 0 && tables == 0;
	if (!is_new && (id != APPLICATION_ID || *version <= 0))
		return error_set(err, -EUCLEAN,
			"%s: this is another program's database: name another file", store->path);
	if (*version > VERSION)
		return error_set(err, -ENOTSUP,
			"%s: this database is of version %ld and this program knows up to %d: "
			"use the newer summond, or name another file",
			store->path, *version, VERSION);
	return 0;
}

static int check_integrity(struct store *store, struct error *err)
{
	char word[200];
	int rc = read_word(store, "PRAGMA quick_check(1)", word, sizeof(word), err);
	if (rc < 0)
		return rc;
	if (strcmp(word, "ok") != 0)
		return error_set(err, -EUCLEAN,
			"%s: the database is damaged (%s): put a good copy in its place, or move "
			"it away to begin anew",
			store->path, word);
	rc = read_word(store, "PRAGMA foreign_key_check", word, sizeof(word), err);
	if (rc == 0 && word[0])
		return error_set(err, -EUCLEAN,
			"%s: the database is damaged (a row of table %s refers to a row that does "
			"not exist): put a good copy in its place, or move it away to begin anew",
			store->path, word);
	return rc;
}

static int migrate(struct store *store, long from, struct error *err)
{
	for (long version = from; version < VERSION; version++) {
		CLEANUP(transaction) struct transaction transaction = {0};
		char numbers[100];
		snprintf(numbers, sizeof(numbers),
			"PRAGMA application_id = %d; PRAGMA user_version = %ld", APPLICATION_ID,
			version + 1);
		int rc = transaction_begin(&transaction, store, err);
		if (rc == 0)
			rc = sql_exec(store, "migrate the database", migrations[version], err);
		if (rc == 0)
			rc = sql_exec(store, "migrate the database", numbers, err);
		if (rc == 0)
			rc = transaction_commit(&transaction, err);
		if (rc < 0)
			return rc;
	}
	return 0;
}

static int use_wal(struct store *store, struct error *err)
{
	char mode[16];
	int rc = read_word(store, "PRAGMA journal_mode = WAL", mode, sizeof(mode), err);
	if (rc == 0 && strcmp(mode, "wal") != 0)
		return error_set(err, -ENOTSUP,
			"%s: the database cannot use a write-ahead log here (mode '%s'): put it "
			"on a local file system",
			store->path, mode);
	return rc;
}

int schema_open(struct store *store, struct error *err)
{
	long version = 0;
	/* Nothing is written to a file that may be refused, not even what its log still holds. */
	sqlite3_db_config(store->db, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, NULL);
	int rc = check_header(store, &version, err);
	if (rc == 0)
		rc = check_integrity(store, err);
	if (rc < 0)
		return rc;
	sqlite3_db_config(store->db, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 0, NULL);
	rc = use_wal(store, err);
	if (rc == 0)
		rc = migrate(store, version, err);
	return rc;
}

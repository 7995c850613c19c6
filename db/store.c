/* SPDX-License-Identifier: ISC */
#include "db/store.h"

#include <errno.h>
#include <fcntl.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "base/cleanup.h"
#include "db/schema.h"
#include "db/sql.h"

CLEANUP_DEFINE(store, struct store *, store_close)

/* SQLite would make the file with the umask's mode; it holds command lines and domain templates.
 * An existing file is not opened here: to close it would drop this process's locks on it. */
static int create_file(const char *path, struct error *err)
{
	int fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (fd < 0 && errno != EEXIST)
		return error_set(
			err, -errno, "%s: cannot make the database: %s", path, strerror(errno));
	if (fd >= 0)
		close(fd);
	return 0;
}

/* Rows, and the schema itself, may come from elsewhere: nothing in the file may run code, and no
 * value may be larger than we ever write. */
static void distrust(sqlite3 *db)
{
	sqlite3_db_config(db, SQLITE_DBCONFIG_DEFENSIVE, 1, NULL);
	sqlite3_db_config(db, SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0, NULL);
	sqlite3_db_config(db, SQLITE_DBCONFIG_ENABLE_TRIGGER, 0, NULL);
	sqlite3_db_config(db, SQLITE_DBCONFIG_ENABLE_VIEW, 0, NULL);
	sqlite3_limit(db, SQLITE_LIMIT_LENGTH, 16 << 20);
	sqlite3_limit(db, SQLITE_LIMIT_ATTACHED, 0);
}

/* locking_mode EXCLUSIVE: the lock is taken by the first look at the file and kept, so that a
 * second summond is refused, and kept out even while this one only reads. temp_store: what a large
 * batch may have to take back is kept in memory, not in a file of some other file system. */
static const char pragmas[] = "PRAGMA locking_mode = EXCLUSIVE;"
			      "PRAGMA cell_size_check = ON;"
			      "PRAGMA foreign_keys = ON;"
			      "PRAGMA synchronous = FULL;"
			      "PRAGMA temp_store = MEMORY;"
			      "PRAGMA journal_size_limit = 16777216;";

static int connect_file(struct store *store, struct error *err)
{
	int code = sqlite3_open_v2(store->path, &store->db,
		SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_EXRESCODE, NULL);
	if (!store->db)
		return error_set(
			err, -ENOMEM, "%s: cannot open the database: out of memory", store->path);
	if (code != SQLITE_OK)
		return sql_fail(store, "open the database", err);
	/* SQLite falls back to reading where it may not write. */
	if (sqlite3_db_readonly(store->db, "main") == 1)
		return error_set(err, -EROFS,
			"%s: the database cannot be written: look at its owner, mode and file "
			"system",
			store->path);
	distrust(store->db);
	/* A predecessor that is just closing is waited for. */
	sqlite3_busy_timeout(store->db, 1000);
	return sql_exec(store, "open the database", pragmas, err);
}

static int make_identity(struct store *store, struct error *err)
{
	CLEANUP(query) struct query query = {0};
	unsigned char bytes[STORE_IDENTITY_LENGTH / 2];
	char text[STORE_IDENTITY_LENGTH + 1];
	if (getrandom(bytes, sizeof(bytes), 0) != (ssize_t)sizeof(bytes))
		return error_set(err, -EIO, "%s: the system gives no random bytes", store->path);
	for (size_t i = 0; i < sizeof(bytes); i++)
		snprintf(text + 2 * i, 3, "%02x", bytes[i]);
	query_begin(&query, store, META_PUT);
	bind_text(&query, "identity");
	bind_text(&query, text);
	int rc = query_run(&query, err);
	return rc < 0 ? rc : 0;
}

/* 1 where there is one. */
static int read_identity(struct store *store, struct error *err)
{
	CLEANUP(query) struct query query = {0};
	query_begin(&query, store, META_GET);
	bind_text(&query, "identity");
	int rc = query_next(&query, err);
	if (rc <= 0)
		return rc;
	take_text(&query, store->identity, sizeof(store->identity));
	rc = query_check(&query, err);
	if (rc == 0 && strspn(store->identity, "0123456789abcdef") != STORE_IDENTITY_LENGTH)
		rc = query_damaged(&query, "an identity is 32 hexadecimal digits", err);
	return rc < 0 ? rc : 1;
}

static int seed_policy(struct store *store, struct error *err)
{
	CLEANUP(query) struct query query = {0};
	query_begin(&query, store, POLICY_INSERT);
	bind_text(&query, "default");
	int rc = query_run(&query, err);
	return rc < 0 ? rc : 0;
}

/* What every store has. */
static int seed(struct store *store, struct error *err)
{
	CLEANUP(transaction) struct transaction transaction = {0};
	int rc = transaction_begin(&transaction, store, err);
	if (rc == 0)
		rc = seed_policy(store, err);
	if (rc == 0)
		rc = read_identity(store, err);
	if (rc == 0)
		rc = make_identity(store, err);
	if (rc == 0)
		rc = read_identity(store, err);
	if (rc < 0)
		return rc;
	return transaction_commit(&transaction, err);
}

int store_open(const char *path, struct store **out, struct error *err)
{
	CLEANUP(store) struct store *store = calloc(1, sizeof(*store));
	if (!store)
		return error_set(err, -ENOMEM, "%s: out of memory", path);
	int rc = create_file(path, err);
	if (rc < 0)
		return rc;
	/* An absolute path is never one of SQLite's special names (":memory:", "file:..."). */
	store->path = realpath(path, NULL);
	if (!store->path)
		return error_set(
			err, -errno, "%s: cannot find the database: %s", path, strerror(errno));
	rc = connect_file(store, err);
	if (rc == 0)
		rc = schema_open(store, err);
	if (rc == 0)
		rc = statements_prepare(store, err);
	if (rc == 0)
		rc = seed(store, err);
	if (rc < 0)
		return rc;
	*out = STEAL_POINTER(store);
	return 0;
}

void store_close(struct store *store)
{
	if (!store)
		return;
	statements_finish(store);
	sqlite3_close(store->db);
	free(store->path);
	free(store);
}

const char *store_identity(const struct store *store)
{
	return store->identity;
}

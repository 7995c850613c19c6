/* SPDX-License-Identifier: ISC */
#include "db/sql.h"

#include <errno.h>
#include <sqlite3.h>
#include <stdlib.h>
#include <string.h>

/* --- errors --- */

static const struct failure {
	int code; /* a primary result code of SQLite; 0 ends the table: anything else */
	int error;
	const char *advice; /* NULL: SQLite's own words */
} failures[] = {
	{SQLITE_FULL, -ENOSPC, "the disk is full: make room"},
	{SQLITE_READONLY, -EROFS, "it cannot be written: look at its owner, mode and file system"},
	{SQLITE_PERM, -EACCES, "access is denied: look at its owner and mode"},
	{SQLITE_AUTH, -EACCES, "access is denied"},
	{SQLITE_BUSY, -EBUSY,
		"another process uses it: stop the other summond or sqlite3, or name another "
		"database"},
	{SQLITE_LOCKED, -EBUSY, "it is in use by the same process"},
	{SQLITE_NOMEM, -ENOMEM, "out of memory"},
	{SQLITE_NOTADB, -EUCLEAN,
		"the file is no database: name another, or move it away to begin anew"},
	{SQLITE_CORRUPT, -EUCLEAN,
		"the database is damaged: put a good copy in its place, or move it away to begin "
		"anew"},
	{SQLITE_TOOBIG, -E2BIG, "a value is too long"},
	{SQLITE_CONSTRAINT, -EUCLEAN, NULL},
	{SQLITE_ERROR, -EUCLEAN, NULL},
	{0, -EIO, NULL},
};

int sql_fail(struct store *store, const char *what, struct error *err)
{
	const struct failure *failure = failures;
	int code = sqlite3_errcode(store->db) & 0xff;
	while (failure->code && failure->code != code)
		failure++;
	int cause = sqlite3_system_errno(store->db);
	bool has_cause =
		!failure->advice && cause && (code == SQLITE_IOERR || code == SQLITE_CANTOPEN);
	return error_set(err, failure->error, "%s: cannot %s: %s%s%s", store->path, what,
		failure->advice ? failure->advice : sqlite3_errmsg(store->db),
		has_cause ? ": " : "", has_cause ? strerror(cause) : "");
}

int sql_exec(struct store *store, const char *what, const char *sql, struct error *err)
{
	if (sqlite3_exec(store->db, sql, NULL, NULL, NULL) != SQLITE_OK)
		return sql_fail(store, what, err);
	return 0;
}

/* --- the table of statements --- */

int statements_prepare(struct store *store, struct error *err)
{
	for (size_t i = 0; i < STATEMENT_COUNT; i++) {
		int code = sqlite3_prepare_v3(store->db, statement_texts[i].sql, -1,
			SQLITE_PREPARE_PERSISTENT, &store->statements[i], NULL);
		if (code != SQLITE_OK)
			return sql_fail(store, statement_texts[i].what, err);
	}
	return 0;
}

void statements_finish(struct store *store)
{
	for (size_t i = 0; i < STATEMENT_COUNT; i++)
		sqlite3_finalize(store->statements[i]);
}

/* --- binding and running --- */

void query_begin(struct query *query, struct store *store, enum statement which)
{
	*query = (struct query){.store = store, .which = which};
	/* A caller's `each` that reads the same thing again would restart the outer reading. */
	if (sqlite3_stmt_busy(store->statements[which]))
		query->error = -EDEADLK;
	else
		query->stmt = store->statements[which];
}

void query_end(struct query *query)
{
	if (!query->stmt)
		return;
	sqlite3_reset(query->stmt);
	sqlite3_clear_bindings(query->stmt);
	query->stmt = NULL;
}

static void bound(struct query *query, int code)
{
	if (code != SQLITE_OK && !query->error)
		query->error = code == SQLITE_NOMEM    ? -ENOMEM
			       : code == SQLITE_TOOBIG ? -E2BIG
						       : -EINVAL;
}

void bind_u64(struct query *query, uint64_t value)
{
	query->parameter++;
	if (value > INT64_MAX && !query->error)
		query->error = -ERANGE;
	if (!query->error)
		bound(query, sqlite3_bind_int64(query->stmt, query->parameter, (int64_t)value));
}

static void bind_bytes(struct query *query, const char *text, size_t length)
{
	query->parameter++;
	if (!query->error)
		bound(query, sqlite3_bind_text64(query->stmt, query->parameter, text, length,
				     SQLITE_STATIC, SQLITE_UTF8));
}

void bind_text(struct query *query, const char *text)
{
	bind_bytes(query, text, text ? strlen(text) : 0);
}

void bind_array(struct query *query, const char *text, size_t size)
{
	bind_bytes(query, text, strnlen(text, size));
}

void bind_address(struct query *query, const struct ip_address *address)
{
	size_t size = ip_address_size(address);
	query->parameter++;
	if (!query->error)
		bound(query, sqlite3_bind_blob64(query->stmt, query->parameter,
				     size ? address->bytes : NULL, size, SQLITE_STATIC));
}

int query_next(struct query *query, struct error *err)
{
	const char *what = statement_texts[query->which].what;
	query->column = query->bad_column = 0;
	if (query->error)
		return error_set(err, query->error, "%s: cannot %s: %s", query->store->path, what,
			strerror(-query->error));
	switch (sqlite3_step(query->stmt)) {
	case SQLITE_ROW:
		return 1;
	case SQLITE_DONE:
		return 0;
	default:
		return sql_fail(query->store, what, err);
	}
}

int query_run(struct query *query, struct error *err)
{
	int rc;
	do
		rc = query_next(query, err);
	while (rc > 0);
	return rc < 0 ? rc : sqlite3_changes(query->store->db);
}

/* --- taking columns --- */

static void bad(struct query *query)
{
	if (!query->bad_column)
		query->bad_column = query->column;
}

uint64_t take_u64(struct query *query, uint64_t max)
{
	int column = query->column++;
	int64_t value = sqlite3_column_int64(query->stmt, column);
	if (sqlite3_column_type(query->stmt, column) == SQLITE_INTEGER && value >= 0 &&
		(uint64_t)value <= max)
		return (uint64_t)value;
	bad(query);
	return 0;
}

/* NULL for anything but text without a NUL inside. */
static const char *take_bytes(struct query *query, size_t *length)
{
	int column = query->column++;
	if (sqlite3_column_type(query->stmt, column) != SQLITE_TEXT) {
		bad(query);
		return NULL;
	}
	const char *text = (const char *)sqlite3_column_text(query->stmt, column);
	*length = (size_t)sqlite3_column_bytes(query->stmt, column);
	if (!text)
		query->out_of_memory = true;
	else if (strlen(text) != *length)
		bad(query), text = NULL;
	return text;
}

void take_text(struct query *query, char *text, size_t size)
{
	size_t length = 0;
	const char *bytes = take_bytes(query, &length);
	text[0] = '\0';
	if (bytes && length < size)
		memcpy(text, bytes, length + 1);
	else
		bad(query);
}

bool take_null(struct query *query)
{
	if (sqlite3_column_type(query->stmt, query->column) != SQLITE_NULL)
		return false;
	query->column++;
	return true;
}

char *take_copy(struct query *query)
{
	size_t length = 0;
	if (take_null(query))
		return NULL;
	const char *bytes = take_bytes(query, &length);
	char *copy = bytes ? strdup(bytes) : NULL;
	if (bytes && !copy)
		query->out_of_memory = true;
	return copy;
}

/* The value of a digit as hex() writes it; 16 for what is none. */
static unsigned digit(char c)
{
	return c >= '0' && c <= '9'   ? (unsigned)(c - '0')
	       : c >= 'A' && c <= 'F' ? (unsigned)(c - 'A' + 10)
				      : 16;
}

size_t take_hex(struct query *query, uint8_t *out, size_t size)
{
	size_t length = 0;
	if (take_null(query))
		return 0;
	const char *text = take_bytes(query, &length);
	bool good = text && length % 2 == 0 && length / 2 <= size;
	for (size_t i = 0; good && i < length; i += 2) {
		unsigned high = digit(text[i]), low = digit(text[i + 1]);
		good = high < 16 && low < 16;
		out[i / 2] = (uint8_t)(high << 4 | low);
	}
	if (!good)
		bad(query);
	return good ? length / 2 : 0;
}

struct ip_address take_address(struct query *query)
{
	struct ip_address address = {0};
	int column = query->column++;
	const void *bytes = sqlite3_column_blob(query->stmt, column);
	size_t length = (size_t)sqlite3_column_bytes(query->stmt, column);
	if (sqlite3_column_type(query->stmt, column) != SQLITE_BLOB || !bytes ||
		(length != 4 && length != 16)) {
		bad(query);
		return address;
	}
	address.family = length == 4 ? AF_INET : AF_INET6;
	memcpy(address.bytes, bytes, length);
	return address;
}

int query_damaged(struct query *query, const char *why, struct error *err)
{
	char row[61] = "";
	const unsigned char *text = sqlite3_column_text(query->stmt, 0);
	for (size_t i = 0; text && text[i] && i < sizeof(row) - 1; i++)
		row[i] = text[i] >= 0x20 && text[i] < 0x7f ? (char)text[i] : '?', row[i + 1] = '\0';
	return error_set(err, -EUCLEAN, "%s: table %s, row '%s': %s", query->store->path,
		statement_texts[query->which].table, row, why);
}

int query_check(struct query *query, struct error *err)
{
	char why[100];
	if (query->out_of_memory)
		return error_set(err, -ENOMEM, "%s: cannot %s: out of memory", query->store->path,
			statement_texts[query->which].what);
	if (!query->bad_column)
		return 0;
	sqlite3_snprintf(sizeof(why), why, "column %.40s holds what cannot be",
		sqlite3_column_name(query->stmt, query->bad_column - 1));
	return query_damaged(query, why, err);
}

/* --- transactions --- */

int transaction_begin(struct transaction *transaction, struct store *store, struct error *err)
{
	transaction->inner = !sqlite3_get_autocommit(store->db);
	if (transaction->inner)
		return 0;
	int rc = sql_exec(store, "begin a transaction", "BEGIN IMMEDIATE", err);
	transaction->store = rc < 0 ? NULL : store;
	return rc;
}

int transaction_commit(struct transaction *transaction, struct error *err)
{
	if (transaction->inner)
		return 0;
	int rc = sql_exec(transaction->store, "commit to the disk", "COMMIT", err);
	if (rc == 0)
		transaction->store = NULL;
	return rc;
}

void transaction_end(struct transaction *transaction)
{
	/* SQLite has rolled back by itself after some failures (a full disk among them). */
	if (transaction->store && !sqlite3_get_autocommit(transaction->store->db))
		sqlite3_exec(transaction->store->db, "ROLLBACK", NULL, NULL, NULL);
	transaction->store = NULL;
}

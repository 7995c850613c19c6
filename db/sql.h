/* SPDX-License-Identifier: ISC */
#ifndef DB_SQL_H
#define DB_SQL_H

#include <stdbool.h>
#include <stdint.h>

#include "base/address.h"
#include "base/error.h"
#include "db/statements.h"

/*
 * What the files of db/ share: the store itself, statements that are run, transactions, and errors
 * that a person can act on. Private to db/; SQLite's types are only named here, so that its header
 * stays in the .c files.
 */

struct sqlite3;
struct sqlite3_stmt;

#define STORE_IDENTITY_LENGTH 32

struct store {
	char *path;
	struct sqlite3 *db;
	struct sqlite3_stmt *statements[STATEMENT_COUNT];
	char identity[STORE_IDENTITY_LENGTH + 1];
};

/* Fills err from the connection's last failure, as "<path>: cannot <what>: <why and what to do>". */
int sql_fail(struct store *store, const char *what, struct error *err);
/* Runs SQL text without results. */
int sql_exec(struct store *store, const char *what, const char *sql, struct error *err);

int statements_prepare(struct store *store, struct error *err);
void statements_finish(struct store *store);

/* --- one run of a prepared statement --- */

/*
 * CLEANUP(query) struct query query = {0}; query_begin(&query, store, ...); then bind_* for each
 * parameter in order; then query_run, or query_next and take_* for each column in order.
 * The first failure to bind is kept and returned by query_run and query_next.
 */
struct query {
	struct store *store;
	struct sqlite3_stmt *stmt;
	enum statement which;
	int parameter;  /* the last that was bound */
	int column;     /* the next to be taken */
	int error;      /* a negative errno value of a bind_* or query_begin */
	int bad_column; /* the first that held what it may not, counted from 1; 0: none */
	bool out_of_memory;
};

void query_begin(struct query *query, struct store *store, enum statement which);
void query_end(struct query *query);
static inline void cleanup_query(struct query *query)
{
	query_end(query);
}

/* Texts and blobs must live until query_end. NULL, or an address that is "none", binds NULL. */
void bind_u64(struct query *query, uint64_t value); /* above INT64_MAX: -ERANGE */
void bind_text(struct query *query, const char *text);
void bind_array(struct query *query, const char *text, size_t size); /* ends at NUL or size */
void bind_address(struct query *query, const struct ip_address *address);

/* Runs to the end; the number of rows that were changed, or negative. */
int query_run(struct query *query, struct error *err);
/* 1 with a row to take, 0 after the last, or negative. */
int query_next(struct query *query, struct error *err);

/* A file is as hostile as a packet: a value of the wrong type, range or length is remembered (and
 * gives 0, "" or NULL), and query_check then names its table and row, -EUCLEAN. */
uint64_t take_u64(struct query *query, uint64_t max);
void take_text(struct query *query, char *text, size_t size);
bool take_null(struct query *query);  /* true for NULL, which it skips */
char *take_copy(struct query *query); /* NULL for NULL; the caller frees it */
/* The bytes of a text of hexadecimal digits, at most `size` of them; 0 for NULL. */
size_t take_hex(struct query *query, uint8_t *out, size_t size);
struct ip_address take_address(struct query *query);
int query_check(struct query *query, struct error *err);
/* The row cannot be what it should be, for a reason that its values alone do not show. */
int query_damaged(struct query *query, const char *why, struct error *err);

/* --- transactions --- */

/* CLEANUP(transaction): rolled back at the end of the scope unless committed. One within another is
 * part of that: it comes to nothing where the outer one is rolled back. */
struct transaction {
	struct store *store;
	bool inner;
};

int transaction_begin(struct transaction *transaction, struct store *store, struct error *err);
int transaction_commit(struct transaction *transaction, struct error *err);
void transaction_end(struct transaction *transaction);
static inline void cleanup_transaction(struct transaction *transaction)
{
	transaction_end(transaction);
}

#endif

/* SPDX-License-Identifier: ISC */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>
#include <errno.h>
#include <signal.h>
#include <sqlite3.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "base/units.h"
#include "tests/unit/stores.h"

/* The store's file: new, another's, damaged, hostile, in use, without room. */

static void assert_refused(const struct scratch *scratch, int code, const char *says)
{
	struct store *store = NULL;
	struct error err = ERROR_INIT;
	assert_int_equal(store_open(scratch->path, &store, &err), code);
	assert_null(store);
	assert_contains(err.message, says);
	assert_contains(err.message, scratch->path);
}

static void new_file(void **state)
{
	struct scratch *scratch = *state;
	char identity[40];
	struct stat st;
	umask(0);
	struct store *store = open_store(scratch);
	assert_int_equal(stat(scratch->path, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0600);
	strcpy(identity, store_identity(store));
	assert_int_equal(strlen(identity), 32);
	store_close(store);
	store = open_store(scratch);
	assert_string_equal(store_identity(store), identity);
	store_close(store);
	unlink(scratch->path);
	store = open_store(scratch);
	assert_string_not_equal(store_identity(store), identity);
	store_close(store);
	store_close(NULL);
}

static void no_directory(void **state)
{
	(void)state;
	struct store *store;
	struct error err = ERROR_INIT;
	assert_int_equal(store_open("/tmp/summond-no-such-directory/db", &store, &err), -ENOENT);
	assert_contains(err.message, "/tmp/summond-no-such-directory/db");
	assert_true(store_open("/tmp", &store, &err) < 0);
}

static size_t read_file(const char *path, char *bytes, size_t size)
{
	FILE *file = fopen(path, "rb");
	assert_non_null(file);
	size_t length = fread(bytes, 1, size, file);
	fclose(file);
	return length;
}

static void write_file(const char *path, const char *bytes, size_t size)
{
	FILE *file = fopen(path, "wb");
	assert_non_null(file);
	assert_int_equal(fwrite(bytes, 1, size, file), size);
	assert_int_equal(fclose(file), 0);
}

static void garbage(void **state)
{
	struct scratch *scratch = *state;
	char bytes[8192], after[8193];
	memset(bytes, 'x', sizeof(bytes));
	write_file(scratch->path, bytes, sizeof(bytes));
	assert_refused(scratch, -EUCLEAN, "no database");
	assert_int_equal(read_file(scratch->path, after, sizeof(after)), sizeof(bytes));
	assert_memory_equal(bytes, after, sizeof(bytes));
}

static void foreign_database(void **state)
{
	struct scratch *scratch = *state;
	tamper(scratch, "CREATE TABLE cake (layers INTEGER)");
	assert_refused(scratch, -EUCLEAN, "another program's");
	tamper(scratch, "PRAGMA application_id = 1; PRAGMA user_version = 1");
	assert_refused(scratch, -EUCLEAN, "another program's");
	tamper(scratch, "SELECT layers FROM cake");
}

static void newer_database(void **state)
{
	struct scratch *scratch = *state;
	static char before[1 << 20], after[1 << 20];
	store_close(open_store(scratch));
	tamper(scratch, "PRAGMA user_version = 99");
	size_t size = read_file(scratch->path, before, sizeof(before));
	assert_refused(scratch, -ENOTSUP, "version 99");
	assert_int_equal(read_file(scratch->path, after, sizeof(after)), size);
	assert_memory_equal(before, after, size);
}

/* Every page is destroyed once: nothing crashes, and what is opened at all can be read. */
static void damaged_pages(void **state)
{
	struct scratch *scratch = *state;
	static char good[1 << 20];
	struct store *store = open_store(scratch);
	struct store_service s = service("a.example", "10.0.0.1");
	assert_int_equal(store_put_service(store, &s, NULL), 0);
	store_close(store);
	size_t size = read_file(scratch->path, good, sizeof(good));
	unsigned refused = 0;
	assert_true(size > 4096 && size < sizeof(good));
	for (size_t page = 0; page < size; page += 4096) {
		struct found found = {0};
		struct error err = ERROR_INIT;
		char saved[4096];
		memcpy(saved, good + page, sizeof(saved));
		memset(good + page, 0xa5, sizeof(saved));
		write_file(scratch->path, good, size);
		memcpy(good + page, saved, sizeof(saved));
		store = NULL;
		int rc = store_open(scratch->path, &store, &err);
		if (rc == 0)
			rc = store_each_service(store, keep_service, &found, &err);
		if (rc < 0) {
			refused++;
			assert_int_equal(rc, -EUCLEAN);
			assert_contains(err.message, scratch->path);
		}
		store_service_finish(&found.last);
		store_close(store);
	}
	assert_int_equal(refused, size / 4096);
}

/* In a process of its own: opens the store, says so, and keeps it until it is killed. */
static pid_t another_daemon(const struct scratch *scratch)
{
	int fds[2];
	char byte;
	assert_int_equal(pipe(fds), 0);
	pid_t child = fork();
	assert_true(child >= 0);
	if (child == 0) {
		struct store *store;
		close(fds[0]);
		if (store_open(scratch->path, &store, NULL) < 0 || write(fds[1], "x", 1) != 1)
			_exit(1);
		for (;;)
			pause();
	}
	close(fds[1]);
	assert_int_equal(read(fds[0], &byte, 1), 1);
	close(fds[0]);
	return child;
}

static void in_use(void **state)
{
	struct scratch *scratch = *state;
	pid_t other = another_daemon(scratch);
	assert_refused(scratch, -EBUSY, "another process uses it");
	assert_int_equal(kill(other, SIGKILL), 0);
	assert_int_equal(waitpid(other, NULL, 0), other);
	struct store *store = open_store(scratch);
	assert_refused(scratch, -EBUSY, "another process uses it");
	/* The one that was refused took nothing from the one that has it. */
	struct store_service s = service("a.example", NULL);
	assert_int_equal(store_put_service(store, &s, NULL), 0);
	store_close(store);
	store_close(open_store(scratch));
}

/* As root every mode can be written: become somebody else for as long as it takes. */
static void read_only(void **state)
{
	struct scratch *scratch = *state;
	bool is_root = geteuid() == 0;
	store_close(open_store(scratch));
	assert_int_equal(chmod(scratch->path, 0444), 0);
	assert_int_equal(chmod(scratch->directory, 0755), 0);
	if (is_root)
		assert_int_equal(seteuid(65534), 0);
	struct store *store = NULL;
	struct error err = ERROR_INIT;
	int rc = store_open(scratch->path, &store, &err);
	if (is_root)
		assert_int_equal(seteuid(0), 0);
	assert_int_equal(rc, -EROFS);
	assert_contains(err.message, "cannot be written");
}

static void missing_table(void **state)
{
	struct scratch *scratch = *state;
	store_close(open_store(scratch));
	tamper(scratch, "DROP TABLE transition");
	assert_refused(scratch, -EUCLEAN, "no such table: transition");
}

static void dangling_reference(void **state)
{
	struct scratch *scratch = *state;
	store_close(open_store(scratch));
	tamper(scratch, "PRAGMA foreign_keys = OFF;"
			"INSERT INTO policy_option VALUES ('ghost', 'ttl', '1s')");
	assert_refused(scratch, -EUCLEAN, "policy_option refers");
}

/* Rows that a hostile hand wrote: each names its table, row and column. */
static void hostile_rows(void **state)
{
	struct scratch *scratch = *state;
	static const struct {
		const char *sql, *says;
	} cases[] = {
		{"UPDATE service SET name = 'A.EXAMPLE'", "table service, row '1'"},
		{"UPDATE service SET name = CAST(zeroblob(300) AS TEXT)", "column name"},
		{"UPDATE service SET name = printf('%.*c', 300, 'x')", "column name"},
		{"UPDATE service SET backend = 'a_backend_without_end'", "column backend"},
		{"UPDATE service SET backend = ''", "a backend of 1 to"},
		{"UPDATE service SET created_at = -1", "column created_at"},
		{"UPDATE service SET vcpus = 4294967296", "column vcpus"},
		{"UPDATE service SET id = 4294967296", "column id"},
		{"UPDATE service SET image = 'a' || char(0) || 'b'", "column image"},
		{"WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 5) "
		 "INSERT INTO address (address, name, service, place) "
		 "SELECT CAST('abc' || i AS BLOB), 'a.example', 1, i FROM n",
			"column addresses"},
		{"UPDATE service SET cmdline = printf('%.*c', 2000000, 'x')", "command line"},
	};
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct store *store = open_store(scratch);
		struct store_service s = service("a.example", NULL);
		struct found found = {0};
		struct error err = ERROR_INIT;
		assert_int_equal(store_put_service(store, &s, NULL), 0);
		store_close(store);
		tamper(scratch, cases[i].sql);
		store = open_store(scratch);
		assert_int_equal(store_each_service(store, keep_service, &found, &err), -EUCLEAN);
		assert_contains(err.message, cases[i].says);
		assert_contains(err.message, "table service");
		store_service_finish(&found.last);
		store_close(store);
		unlink(scratch->path);
	}
}

/* A loose table in the place of a strict one holds any type. */
static void hostile_schema(void **state)
{
	struct scratch *scratch = *state;
	struct error err = ERROR_INIT;
	unsigned count = 0;
	store_close(open_store(scratch));
	tamper(scratch, "DROP TABLE address;"
			"CREATE TABLE address (address PRIMARY KEY, name, service, released_at, "
			"place);"
			"INSERT INTO address VALUES (x'0102030405', 'n', NULL, 0, 0);"
			"DROP TABLE policy_option;"
			"CREATE TABLE policy_option (policy, option, value);"
			"INSERT INTO policy_option VALUES ('default', 'ttl', 5)");
	struct store *store = open_store(scratch);
	assert_int_equal(store_each_reserved(store, count_address, &count, &err), -EUCLEAN);
	assert_contains(err.message, "table address, row 'n': column address");
	assert_int_equal(store_each_policy(store, count_policy, &count, &err), -EUCLEAN);
	assert_contains(err.message, "table policy_option, row 'default': column value");
	assert_int_equal(count, 0);
	store_close(store);
	tamper(scratch, "UPDATE policy_option SET option = 'tll', value = '1s'");
	store = open_store(scratch);
	assert_int_equal(store_each_policy(store, count_policy, &count, &err), -EUCLEAN);
	assert_contains(err.message, "did you mean 'ttl'");
	store_close(store);
	tamper(scratch, "UPDATE meta SET value = 'me'");
	assert_refused(scratch, -EUCLEAN, "hexadecimal");
}

/* What equals the default is not in the file, so that a default of a later version reaches it. */
static void only_differences_are_stored(void **state)
{
	struct scratch *scratch = *state;
	struct store *store = open_store(scratch);
	struct policy p;
	sqlite3 *db;
	sqlite3_stmt *stmt;
	policy_init(&p, "fast"), p.ttl = NS_PER_S;
	assert_int_equal(store_put_policy(store, &p, NULL), 0);
	store_close(store);
	assert_int_equal(sqlite3_open(scratch->path, &db), SQLITE_OK);
	sqlite3_prepare_v2(db, "SELECT group_concat(policy || option || value) FROM policy_option",
		-1, &stmt, NULL);
	assert_int_equal(sqlite3_step(stmt), SQLITE_ROW);
	assert_string_equal(sqlite3_column_text(stmt, 0), "fastttl1s");
	sqlite3_finalize(stmt);
	sqlite3_close(db);
}

static void full_disk(void **state)
{
	struct scratch *scratch = *state;
	struct store *store = open_store(scratch);
	struct error err = ERROR_INIT;
	struct rlimit limit, small;
	static char xml[900000];
	struct store_service a = service("a.example", NULL), b = service("b.example", NULL);
	assert_int_equal(store_put_service(store, &a, NULL), 0);
	memset(xml, 'x', sizeof(xml) - 1);
	b.domain_xml = xml;
	signal(SIGXFSZ, SIG_IGN);
	assert_int_equal(getrlimit(RLIMIT_FSIZE, &limit), 0);
	small = limit, small.rlim_cur = 300000;
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
	int rc = store_put_service(store, &b, &err);
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
	assert_true(rc == -ENOSPC || rc == -EIO);
	assert_contains(err.message, scratch->path);
	assert_int_equal(b.id, 0);
	assert_services(store, "a.example ");
	assert_int_equal(store_put_service(store, &b, NULL), 0);
	store_close(store);
	store = open_store(scratch);
	assert_services(store, "a.example b.example ");
	store_close(store);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		SCRATCH_TEST(new_file),
		SCRATCH_TEST(no_directory),
		SCRATCH_TEST(garbage),
		SCRATCH_TEST(foreign_database),
		SCRATCH_TEST(newer_database),
		SCRATCH_TEST(damaged_pages),
		SCRATCH_TEST(in_use),
		SCRATCH_TEST(read_only),
		SCRATCH_TEST(missing_table),
		SCRATCH_TEST(dangling_reference),
		SCRATCH_TEST(hostile_rows),
		SCRATCH_TEST(hostile_schema),
		SCRATCH_TEST(only_differences_are_stored),
		SCRATCH_TEST(full_disk),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

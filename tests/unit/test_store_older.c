/* SPDX-License-Identifier: ISC */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "tests/unit/stores.h"

/* Files of older versions: what they have is there, and what they had not can be from now on. */

/* What version 5 brought, taken back. */
#define WITHOUT_PLACES                                                                             \
	"DROP INDEX address_service;"                                                              \
	"ALTER TABLE address DROP COLUMN place;"                                                   \
	"CREATE UNIQUE INDEX address_service ON address (service, length(address)) "               \
	"WHERE service IS NOT NULL;"

/* What a store of version 3 had is there, and no pin of it ends. */
static void older_database(void **state)
{
	struct scratch *scratch = *state;
	struct store *store = open_store(scratch);
	struct store_service s = service("a.example", "10.77.0.5");
	struct found found = {0};
	s.pinned = true;
	assert_int_equal(store_put_service(store, &s, NULL), 0);
	store_close(store);
	tamper(scratch, WITHOUT_PLACES
		"ALTER TABLE service DROP COLUMN pinned_until; PRAGMA user_version = 3");
	store = open_store(scratch);
	assert_int_equal(store_each_service(store, keep_service, &found, NULL), 0);
	assert_string_equal(found.last.name, "a.example");
	assert_true(found.last.pinned);
	assert_int_equal(found.last.pinned_until, 0);
	assert_int_equal(store_set_pinned(store, s.id, true, 5, NULL), 0);
	store_service_finish(&found.last);
	store_close(store);
}

/* What version 1 did not have is not given, and can be from now on. */
static void an_older_file_is_migrated(void **state)
{
	struct scratch *scratch = *state;
	struct store *store = open_store(scratch);
	struct store_service s = service("old.example", "10.77.0.5");
	struct found found = {0};
	char names[] = "other.example";
	assert_int_equal(store_put_service(store, &s, NULL), 0);
	store_close(store);
	tamper(scratch, WITHOUT_PLACES "ALTER TABLE service DROP COLUMN kernel_line;"
				       "DROP TABLE service_name;"
				       "ALTER TABLE service DROP COLUMN domain_name;"
				       "ALTER TABLE service DROP COLUMN uuid;"
				       "ALTER TABLE service DROP COLUMN nics;"
				       "ALTER TABLE service DROP COLUMN disks;"
				       "ALTER TABLE service DROP COLUMN rumprun_config;"
				       "ALTER TABLE service DROP COLUMN pinned_until;"
				       "PRAGMA user_version = 1");
	store = open_store(scratch);
	assert_int_equal(store_each_service(store, keep_service, &found, NULL), 0);
	assert_string_equal(found.last.name, "old.example");
	assert_null(found.last.names);
	s.names = names;
	assert_int_equal(store_put_service(store, &s, NULL), 0);
	assert_int_equal(store_each_service(store, keep_service, &found, NULL), 0);
	assert_string_equal(found.last.names, names);
	store_service_finish(&found.last);
	store_close(store);
}

/* Version 2 had them in a column, where nobody kept them from being another's, too. */
static void names_become_rows(void **state)
{
	struct scratch *scratch = *state;
	struct store *store = open_store(scratch);
	struct store_service a = service("a.example", "10.77.0.5"),
			     b = service("b.example", "10.77.0.6"), c = service("c.example", NULL);
	struct found found = {0};
	assert_int_equal(store_put_service(store, &a, NULL), 0);
	assert_int_equal(store_put_service(store, &b, NULL), 0);
	assert_int_equal(store_put_service(store, &c, NULL), 0);
	store_close(store);
	tamper(scratch,
		WITHOUT_PLACES "DROP TABLE service_name;"
			       "ALTER TABLE service DROP COLUMN pinned_until;"
			       "ALTER TABLE service ADD COLUMN aliases TEXT;"
			       "UPDATE service SET aliases = 'z.example b.example y.example' "
			       "WHERE name = 'a.example';"
			       "UPDATE service SET aliases = 'x.example' WHERE name = 'c.example';"
			       "PRAGMA user_version = 2");
	store = open_store(scratch);
	assert_int_equal(store_each_service(store, keep_service, &found, NULL), 0);
	assert_int_equal(found.count, 3);
	assert_string_equal(found.last.names, "x.example");
	char names[] = "y.example";
	b.names = names;
	struct error err = ERROR_INIT;
	assert_int_equal(store_put_service(store, &b, &err), -EEXIST);
	assert_contains(err.message, "y.example is another name of a.example");
	assert_int_equal(store_remove_service(store, c.id, NULL), 0);
	assert_int_equal(store_remove_service(store, b.id, NULL), 0);
	assert_int_equal(store_each_service(store, keep_service, &found, NULL), 0);
	assert_string_equal(found.last.names, "y.example z.example");
	store_service_finish(&found.last);
	store_close(store);
}

/* Version 4 had one address of a family: it is the first, and others can be beside it. */
static void addresses_become_lists(void **state)
{
	struct scratch *scratch = *state;
	struct store *store = open_store(scratch);
	struct store_service s = service("a.example", "10.77.0.5"),
			     gone = service("b.example", "10.77.0.6");
	struct found found = {0};
	struct error err = ERROR_INIT;
	s.ipv6 = ip("fd00::5");
	assert_int_equal(store_put_service(store, &s, NULL), 0);
	assert_int_equal(store_put_service(store, &gone, NULL), 0);
	assert_int_equal(store_remove_service(store, gone.id, NULL), 0);
	store_close(store);
	tamper(scratch, WITHOUT_PLACES "PRAGMA user_version = 4");
	store = open_store(scratch);
	assert_int_equal(store_each_service(store, keep_service, &found, NULL), 0);
	assert_memory_equal(found.last.addresses, s.addresses, sizeof(s.addresses));
	s.addresses[2] = ip("10.77.0.6");
	assert_int_equal(store_put_service(store, &s, &err), -EEXIST);
	assert_contains(err.message, "10.77.0.6 was b.example's and stays reserved");
	s.addresses[2] = ip("10.77.0.4");
	assert_int_equal(store_put_service(store, &s, NULL), 0);
	assert_int_equal(store_each_service(store, keep_service, &found, NULL), 0);
	assert_memory_equal(found.last.addresses, s.addresses, sizeof(s.addresses));
	store_service_finish(&found.last);
	store_close(store);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		SCRATCH_TEST(an_older_file_is_migrated),
		SCRATCH_TEST(names_become_rows),
		SCRATCH_TEST(older_database),
		SCRATCH_TEST(addresses_become_lists),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: ISC */
#ifndef TESTS_UNIT_STORES_H
#define TESTS_UNIT_STORES_H

#include <sqlite3.h>

#include "db/store.h"
#include "tests/unit/scratch.h"

/* What the tests of the store have in common; include after cmocka.h. */

static inline void assert_contains(const char *text, const char *part)
{
	if (!strstr(text, part))
		fail_msg("\"%s\" does not say \"%s\"", text, part);
}

static inline struct store *open_store(const struct scratch *scratch)
{
	struct store *store = NULL;
	struct error err = ERROR_INIT;
	if (store_open(scratch->path, &store, &err) < 0)
		fail_msg("%s", err.message);
	return store;
}

/* Another program has the file, and does this to it. */
static inline void tamper(const struct scratch *scratch, const char *sql)
{
	sqlite3 *db;
	char *message = NULL;
	assert_int_equal(sqlite3_open(scratch->path, &db), SQLITE_OK);
	sqlite3_exec(db, sql, NULL, NULL, &message);
	if (message)
		fail_msg("%s", message);
	sqlite3_close(db);
}

static inline struct ip_address ip(const char *text)
{
	struct ip_address address;
	assert_int_equal(ip_address_parse(text, &address, NULL), 0);
	return address;
}

/* The texts are not owned: never finished. */
static inline struct store_service service(const char *name, const char *ipv4)
{
	struct store_service s = {.memory = 32u << 20, .vcpus = 1};
	snprintf(s.name, sizeof(s.name), "%s", name);
	strcpy(s.backend, "sim");
	strcpy(s.policy, "default");
	if (ipv4)
		s.ipv4 = ip(ipv4);
	return s;
}

struct found {
	unsigned count;
	struct store_service last;
	char names[200];
};

static inline int keep_service(void *ctx, const struct store_service *s)
{
	struct found *found = ctx;
	found->count++;
	strcat(strcat(found->names, s->name), " ");
	store_service_finish(&found->last);
	return store_service_copy(&found->last, s);
}

static inline void assert_services(struct store *store, const char *names)
{
	struct found found = {0};
	assert_int_equal(store_each_service(store, keep_service, &found, NULL), 0);
	assert_string_equal(found.names, names);
	store_service_finish(&found.last);
}

static inline int count_address(void *ctx, const char *name, const struct ip_address *address)
{
	(void)name;
	assert_true(ip_address_is_set(address));
	++*(unsigned *)ctx;
	return 0;
}

static inline int count_policy(void *ctx, const struct policy *policy)
{
	assert_int_equal(policy_check_name(policy->name, NULL), 0);
	++*(unsigned *)ctx;
	return 0;
}

#endif

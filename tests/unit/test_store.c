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

#include "base/units.h"
#include "tests/unit/stores.h"

/* --- services --- */

static void put_and_read(void **state)
{
	struct scratch *scratch = *state;
	struct store *store = open_store(scratch);
	char image[] = "hello", cmdline[] = "a=b 'c'; DROP TABLE service", xml[] = "<domain/>";
	struct store_service s = service("web.example", "10.77.0.5");
	struct found found = {0};
	char line[] = "", names[] = "b.example a.example", disks[] = "/a@xvda", rump[] = "/r";
	s.image = image, s.cmdline = cmdline, s.domain_xml = xml;
	s.kernel_line = line, s.names = names, s.disks = disks, s.rumprun_config = rump;
	s.ipv6 = ip("fd00::5"), s.pinned = true, s.vcpus = 2;
	assert_int_equal(store_put_service(store, &s, NULL), 0);
	assert_int_equal(s.id, 1);
	assert_true(s.created_at > 1500000000 * NS_PER_S);
	store_close(store);
	store = open_store(scratch);
	assert_int_equal(store_each_service(store, keep_service, &found, NULL), 0);
	assert_int_equal(found.count, 1);
	const struct store_service *r = &found.last;
	assert_int_equal(r->id, 1);
	assert_string_equal(r->name, "web.example");
	assert_string_equal(r->backend, "sim");
	assert_string_equal(r->policy, "default");
	assert_string_equal(r->image, image);
	assert_null(r->initrd);
	assert_string_equal(r->cmdline, cmdline);
	assert_string_equal(r->domain_xml, xml);
	assert_string_equal(r->kernel_line, line);
	assert_string_equal(r->names, "a.example b.example");
	assert_null(r->domain_name);
	assert_null(r->uuid);
	assert_null(r->nics);
	assert_string_equal(r->disks, disks);
	assert_string_equal(r->rumprun_config, rump);
	assert_int_equal(r->memory, 32u << 20);
	assert_int_equal(r->vcpus, 2);
	assert_true(r->pinned);
	assert_int_equal(r->created_at, s.created_at);
	assert_true(ip_address_equal(&r->ipv4, &s.ipv4));
	assert_true(ip_address_equal(&r->ipv6, &s.ipv6));
	assert_int_equal(r->pinned_until, 0);
	assert_int_equal(store_set_pinned(store, 1, true, 7, NULL), 0);
	assert_int_equal(store_each_service(store, keep_service, &found, NULL), 0);
	assert_int_equal(found.last.pinned_until, 7);
	assert_int_equal(store_set_pinned(store, 1, false, 7, NULL), 0);
	assert_int_equal(store_each_service(store, keep_service, &found, NULL), 0);
	assert_false(found.last.pinned);
	assert_int_equal(found.last.pinned_until, 0);
	/* A put that was begun before the pin changed does not change it back. */
	assert_int_equal(store_put_service(store, &s, NULL), 0);
	assert_int_equal(store_each_service(store, keep_service, &found, NULL), 0);
	assert_false(found.last.pinned);
	store_service_finish(&found.last);
	store_close(store);
}

static void refused_definitions(void **state)
{
	struct store *store = open_store(*state);
	struct error err = ERROR_INIT;
	struct store_service s = service("a.example", "10.0.0.1"), bad;
	assert_int_equal(store_put_service(store, &s, NULL), 0);
	static const char *const names[] = {"", "a.", "A", "a b", "\xff", "a\n"};
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		bad = service(names[i], NULL);
		assert_int_equal(store_put_service(store, &bad, &err), -EINVAL);
		assert_contains(err.message, "name");
	}
	bad = service("b.example", NULL), memset(bad.name, 'x', sizeof(bad.name));
	assert_int_equal(store_put_service(store, &bad, NULL), -EINVAL);
	bad = service("a.example", NULL);
	assert_int_equal(store_put_service(store, &bad, &err), -EEXIST);
	assert_contains(err.message, "a.example");
	bad = service("b.example", "10.0.0.1");
	assert_int_equal(store_put_service(store, &bad, &err), -EEXIST);
	assert_contains(err.message, "10.0.0.1 is in use by a.example");
	assert_int_equal(bad.id, 0);
	bad = service("b.example", NULL), strcpy(bad.policy, "ghost");
	assert_int_equal(store_put_service(store, &bad, &err), -ENOENT);
	assert_contains(err.message, "'ghost'");
	bad = service("b.example", NULL), bad.ipv4 = ip("::1");
	assert_int_equal(store_put_service(store, &bad, &err), -EINVAL);
	assert_contains(err.message, "'::1' is not an IPv4 address");
	bad = service("b.example", NULL), bad.memory = UINT64_MAX;
	assert_int_equal(store_put_service(store, &bad, NULL), -ERANGE);
	bad = service("b.example", NULL), bad.backend[0] = '\0';
	assert_int_equal(store_put_service(store, &bad, NULL), -EINVAL);
	bad = service("b.example", NULL), bad.id = 77;
	assert_int_equal(store_put_service(store, &bad, &err), -ENOENT);
	assert_contains(err.message, "77");
	assert_int_equal(store_remove_service(store, 77, NULL), -ENOENT);
	assert_int_equal(store_set_pinned(store, 77, true, 0, NULL), -ENOENT);
	assert_services(store, "a.example ");
	store_close(store);
}

static void replace(void **state)
{
	struct store *store = open_store(*state);
	struct store_service a = service("a.example", "10.0.0.1"), other;
	struct store_service b = service("b.example", "10.0.0.2");
	assert_int_equal(store_put_service(store, &a, NULL), 0);
	assert_int_equal(store_put_service(store, &b, NULL), 0);
	/* A failed replacement changes nothing, although the address was seen last. */
	other = a, strcpy(other.name, "c.example"), other.ipv4 = ip("10.0.0.2");
	assert_int_equal(store_put_service(store, &other, NULL), -EEXIST);
	assert_services(store, "a.example b.example ");
	/* A renamed service keeps its address, and its name is free. */
	strcpy(a.name, "c.example");
	assert_int_equal(store_put_service(store, &a, NULL), 0);
	assert_services(store, "b.example c.example ");
	other = service("a.example", "10.0.0.1");
	assert_int_equal(store_put_service(store, &other, NULL), -EEXIST);
	other = service("a.example", "10.0.0.3");
	assert_int_equal(store_put_service(store, &other, NULL), 0);
	assert_int_equal(other.id, 3);
	store_close(store);
}

static void names_are_one_services(void **state)
{
	struct store *store = open_store(*state);
	char also[] = "x.example y.example", only_y[] = "y.example", a_own[] = "a.example",
	     upper[] = "X.example", blanks[] = "x.example  y.example",
	     many[(STORE_NAMES_MAX + 1) * 4 + 1] = "";
	struct store_service a = service("a.example", NULL), b = service("b.example", NULL),
			     x = service("x.example", NULL);
	struct error err = ERROR_INIT;
	a.names = also;
	assert_int_equal(store_put_service(store, &a, NULL), 0);
	b.names = only_y;
	assert_int_equal(store_put_service(store, &b, &err), -EEXIST);
	assert_contains(err.message, "y.example is another name of a.example");
	b.names = a_own;
	assert_int_equal(store_put_service(store, &b, &err), -EEXIST);
	assert_contains(err.message, "there is a service named a.example already");
	assert_int_equal(store_put_service(store, &x, &err), -EEXIST);
	assert_contains(err.message, "x.example is another name of a.example");
	for (int i = 0; i <= STORE_NAMES_MAX; i++)
		sprintf(many + strlen(many), "%sa%02d", i ? " " : "", i);
	char *const bad[] = {a_own, upper, blanks, many};
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		a.names = bad[i];
		assert_int_equal(store_put_service(store, &a, NULL), -EINVAL);
	}
	/* What is given up is free, at once and with its service. */
	a.names = only_y;
	assert_int_equal(store_put_service(store, &a, NULL), 0);
	assert_int_equal(store_put_service(store, &x, NULL), 0);
	assert_int_equal(store_remove_service(store, a.id, NULL), 0);
	b.names = only_y;
	assert_int_equal(store_put_service(store, &b, NULL), 0);
	assert_services(store, "b.example x.example ");
	store_close(store);
}

/* Appends it to the text. */
static int list_address(void *ctx, const char *name, const struct ip_address *address)
{
	char *list = ctx, text[IP_ADDRESS_TEXT];
	(void)name;
	sprintf(list + strlen(list), "%s ", ip_address_print(address, text));
	return 0;
}

static void assert_reserved(struct store *store, const char *expected)
{
	char list[512] = "";
	assert_int_equal(store_each_reserved(store, list_address, list, NULL), 0);
	assert_string_equal(list, expected);
}

static void reserved_addresses(void **state)
{
	struct store *store = open_store(*state);
	struct error err = ERROR_INIT;
	struct store_service a = service("a.example", "10.0.0.1"), other;
	a.ipv6 = ip("fd00::1");
	assert_int_equal(store_put_service(store, &a, NULL), 0);
	assert_int_equal(store_remove_service(store, a.id, NULL), 0);
	assert_services(store, "");
	other = service("b.example", "10.0.0.1");
	assert_int_equal(store_put_service(store, &other, &err), -EEXIST);
	assert_contains(err.message, "reserved");
	assert_contains(err.message, "a.example");
	/* The same name may have it back, under a new id. */
	a.id = 0;
	assert_int_equal(store_put_service(store, &a, NULL), 0);
	assert_int_equal(a.id, 2);
	/* A changed address stays reserved; those in use come last, after the last that was given up. */
	a.ipv4 = ip("10.0.0.9");
	assert_int_equal(store_put_service(store, &a, NULL), 0);
	a.ipv4 = ip("10.0.0.5");
	assert_int_equal(store_put_service(store, &a, NULL), 0);
	assert_reserved(store, "10.0.0.1 10.0.0.9 fd00::1 10.0.0.5 ");
	a.addresses[2] = ip("10.0.0.7");
	assert_int_equal(store_put_service(store, &a, NULL), 0);
	assert_int_equal(store_remove_service(store, a.id, NULL), 0);
	assert_reserved(store, "10.0.0.1 10.0.0.9 10.0.0.7 fd00::1 10.0.0.5 ");
	store_close(store);
}

/* In order, and each as if it were alone. */
static void several_addresses(void **state)
{
	struct store *store = open_store(*state);
	struct error err = ERROR_INIT;
	struct found found = {0};
	unsigned count = 0;
	struct store_service a = service("a.example", "10.0.0.9"), b = service("b.example", NULL),
			     bad;
	const char *const more[] = {"10.0.0.1", "fd00::1", "10.0.0.200", "fd00::9"};
	a.ipv6 = ip("fd00::5");
	for (size_t i = 0; i < 4; i++)
		a.addresses[2 + i] = ip(more[i]);
	assert_int_equal(store_put_service(store, &a, NULL), 0);
	assert_int_equal(store_each_service(store, keep_service, &found, NULL), 0);
	assert_true(ip_address_equal(&found.last.ipv4, &a.ipv4));
	assert_true(ip_address_equal(&found.last.ipv6, &a.ipv6));
	/* The order is that of each family. */
	const char *const kept[] = {"10.0.0.1", "10.0.0.200", "fd00::1", "fd00::9"};
	for (size_t i = 0; i < 4; i++) {
		char text[IP_ADDRESS_TEXT];
		assert_string_equal(ip_address_print(&found.last.addresses[2 + i], text), kept[i]);
	}
	for (size_t i = 0; i < 4; i++) {
		b.addresses[7] = ip(more[i]);
		assert_int_equal(store_put_service(store, &b, &err), -EEXIST);
		assert_contains(err.message, more[i]);
		assert_contains(err.message, "in use by a.example");
	}
	bad = a, bad.addresses[6] = ip("10.0.0.1");
	assert_int_equal(store_put_service(store, &bad, &err), -EINVAL);
	assert_contains(err.message, "address 10.0.0.1 is given twice");
	bad = a, bad.addresses[6] = ip("10.0.0.2"), bad.addresses[7] = ip("10.0.0.3");
	assert_int_equal(store_put_service(store, &bad, &err), -EINVAL);
	assert_contains(err.message, "at most 4 addresses of a family");
	/* The second one comes first now, and those that it gives up stay its name's. */
	a.addresses[2] = a.ipv4, a.ipv4 = ip("10.0.0.1");
	memset(a.addresses + 3, 0, 5 * sizeof(a.addresses[0]));
	assert_int_equal(store_put_service(store, &a, NULL), 0);
	assert_int_equal(store_each_service(store, keep_service, &found, NULL), 0);
	assert_memory_equal(found.last.addresses, a.addresses, sizeof(a.addresses));
	b.addresses[7] = ip("fd00::9");
	assert_int_equal(store_put_service(store, &b, &err), -EEXIST);
	assert_contains(err.message, "stays reserved");
	assert_int_equal(store_each_reserved(store, count_address, &count, NULL), 0);
	assert_int_equal(count, 6);
	store_service_finish(&found.last);
	store_close(store);
}

static int stop_at_once(void *ctx, const struct store_service *s)
{
	(void)s;
	++*(unsigned *)ctx;
	return -ECANCELED;
}

static int read_again(void *ctx, const struct store_service *s)
{
	struct found found = {0};
	(void)s;
	assert_int_equal(store_each_service(ctx, keep_service, &found, NULL), -EDEADLK);
	return store_set_pinned(ctx, s->id, true, 1234, NULL);
}

static void callers_of_each(void **state)
{
	struct store *store = open_store(*state);
	struct store_service a = service("a.example", NULL), b = service("b.example", NULL);
	struct found found = {0};
	unsigned calls = 0;
	assert_int_equal(store_put_service(store, &a, NULL), 0);
	assert_int_equal(store_put_service(store, &b, NULL), 0);
	assert_int_equal(store_each_service(store, stop_at_once, &calls, NULL), -ECANCELED);
	assert_int_equal(calls, 1);
	assert_int_equal(store_each_service(store, read_again, store, NULL), 0);
	assert_int_equal(store_each_service(store, keep_service, &found, NULL), 0);
	assert_true(found.last.pinned);
	store_service_finish(&found.last);
	store_close(store);
}

/* --- policies --- */

static int keep_policy(void *ctx, const struct policy *policy)
{
	struct policy *kept = ctx;
	if (strcmp(policy->name, kept->name) == 0)
		*kept = *policy;
	return 0;
}

static void policies(void **state)
{
	struct scratch *scratch = *state;
	struct store *store = open_store(scratch);
	struct error err = ERROR_INIT;
	struct policy p, read = {.name = "fast"};
	struct store_service s = service("a.example", NULL);
	unsigned count = 0;
	assert_int_equal(store_each_policy(store, count_policy, &count, NULL), 0);
	assert_int_equal(count, 1);
	policy_init(&p, "fast");
	p.start = POLICY_START_SUSPENDED, p.ttl = NS_PER_S, p.wake_on = 0;
	assert_int_equal(policy_set(&p, "ready_line", "it's up", NULL), 0);
	assert_int_equal(store_put_policy(store, &p, NULL), 0);
	assert_int_equal(store_each_policy(store, keep_policy, &read, NULL), 0);
	assert_memory_equal(&read, &p, sizeof(p));
	p.ttl = 2 * NS_PER_S, p.wake_on = POLICY_WAKE_A;
	assert_int_equal(store_put_policy(store, &p, NULL), 0);
	assert_int_equal(store_each_policy(store, keep_policy, &read, NULL), 0);
	assert_memory_equal(&read, &p, sizeof(p));
	p.ttl = 60 * NS_PER_S;
	assert_int_equal(store_put_policy(store, &p, &err), -EINVAL);
	assert_contains(err.message, "idle_after");
	strcpy(s.policy, "fast");
	assert_int_equal(store_put_service(store, &s, NULL), 0);
	assert_int_equal(store_remove_policy(store, "fast", &err), -EBUSY);
	assert_contains(err.message, "a.example");
	assert_int_equal(store_remove_policy(store, "default", &err), -EPERM);
	assert_int_equal(store_remove_policy(store, "ghost", &err), -ENOENT);
	assert_contains(err.message, "'ghost'");
	assert_int_equal(store_remove_service(store, s.id, NULL), 0);
	assert_int_equal(store_remove_policy(store, "fast", NULL), 0);
	count = 0;
	assert_int_equal(store_each_policy(store, count_policy, &count, NULL), 0);
	assert_int_equal(count, 1);
	policy_init(&p, "default"), p.retire = POLICY_RETIRE_SHUTDOWN;
	assert_int_equal(store_put_policy(store, &p, NULL), 0);
	store_close(store);
	store = open_store(scratch);
	strcpy(read.name, "default");
	assert_int_equal(store_each_policy(store, keep_policy, &read, NULL), 0);
	assert_memory_equal(&read, &p, sizeof(p));
	store_close(store);
}

static int put_two(struct store *store, void *ctx, struct error *err)
{
	const char *const *names = ctx;
	struct store_service first = service(names[0], "10.77.0.8");
	struct store_service second = service(names[1], "10.77.0.9");
	struct policy policy;
	policy_init(&policy, "both");
	int rc = store_put_policy(store, &policy, err);
	if (rc == 0)
		rc = store_put_service(store, &first, err);
	return rc < 0 ? rc : store_put_service(store, &second, err);
}

static void several_as_one(void **state)
{
	struct store *store = open_store(*state);
	const char *const bad[] = {"a.example", "not a name"}, *const good[] = {
								       "a.example", "a.example#2"};
	struct error err = ERROR_INIT;
	unsigned policies = 0, addresses = 0;
	assert_int_equal(store_together(store, put_two, (void *)(uintptr_t)bad, &err), -EINVAL);
	assert_contains(err.message, "0x20");
	assert_services(store, "");
	assert_int_equal(store_each_policy(store, count_policy, &policies, NULL), 0);
	assert_int_equal(store_each_reserved(store, count_address, &addresses, NULL), 0);
	assert_int_equal(policies, 1);
	assert_int_equal(addresses, 0);
	assert_int_equal(store_together(store, put_two, (void *)(uintptr_t)good, NULL), 0);
	assert_services(store, "a.example a.example#2 ");
	store_close(store);
	store = open_store(*state);
	assert_services(store, "a.example a.example#2 ");
	store_close(store);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		SCRATCH_TEST(put_and_read),
		SCRATCH_TEST(refused_definitions),
		SCRATCH_TEST(replace),
		SCRATCH_TEST(names_are_one_services),
		SCRATCH_TEST(reserved_addresses),
		SCRATCH_TEST(several_addresses),
		SCRATCH_TEST(callers_of_each),
		SCRATCH_TEST(policies),
		SCRATCH_TEST(several_as_one),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: ISC */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>
#include <errno.h>
#include <string.h>

#include "daemon/addresses.h"

static const struct ip_address nothing[ADDRESSES_MAX];

static struct addresses make(const char *pool)
{
	struct addresses addresses;
	struct ip_prefix prefix;
	assert_int_equal(ip_prefix_parse(pool, &prefix, NULL), 0);
	addresses_init(&addresses, &prefix);
	return addresses;
}

static struct ip_address ip(const char *text)
{
	struct ip_address address;
	assert_int_equal(ip_address_parse(text, &address, NULL), 0);
	return address;
}

static void assert_given(struct addresses *addresses, const char *name, const char *expected)
{
	struct ip_address address;
	char text[IP_ADDRESS_TEXT];
	assert_int_equal(addresses_give(addresses, name, nothing, &address, NULL), 0);
	assert_string_equal(ip_address_print(&address, text), expected);
}

static void addresses_are_given_once(void **state)
{
	(void)state;
	struct addresses addresses = make("10.0.0.0/29");
	struct ip_address gateway = ip("10.0.0.1"), taken = ip("10.0.0.3"), none;
	struct error err = ERROR_INIT;
	assert_int_equal(addresses_reserve(&addresses, &gateway, "(the gateway)", NULL), 0);
	assert_int_equal(addresses_reserve(&addresses, &taken, "c", NULL), 0);
	assert_int_equal(addresses_reserve(&addresses, &taken, "c", NULL), 0);
	assert_int_equal(addresses_reserve(&addresses, &taken, "d", &err), -EEXIST);
	assert_non_null(strstr(err.message, "belongs to c"));
	assert_given(&addresses, "a", "10.0.0.2");
	assert_given(&addresses, "b", "10.0.0.4");
	assert_given(&addresses, "c", "10.0.0.3"); /* its own again */
	assert_given(&addresses, "a", "10.0.0.2");
	assert_given(&addresses, "e", "10.0.0.5");
	assert_given(&addresses, "f", "10.0.0.6");
	/* .7 is the broadcast address */
	assert_int_equal(addresses_give(&addresses, "g", nothing, &none, &err), -ENOSPC);
	struct ip_address b = ip("10.0.0.4");
	addresses_release(&addresses, &b);
	assert_given(&addresses, "g", "10.0.0.4");
	addresses_finish(&addresses);
}

/* What a put that failed gives back is free only if nobody else counts on it. */
static void claims_are_counted(void **state)
{
	(void)state;
	struct addresses addresses = make("10.0.0.0/28");
	struct ip_address two = ip("10.0.0.2"), nine = ip("10.0.0.9");
	assert_int_equal(addresses_reserve(&addresses, &two, "a", NULL), 0);
	assert_given(&addresses, "a", "10.0.0.2");
	addresses_release(&addresses, &two); /* it is stored */
	assert_given(&addresses, "b", "10.0.0.1");
	assert_given(&addresses, "c", "10.0.0.3");
	assert_given(&addresses, "c", "10.0.0.3");
	struct ip_address three = ip("10.0.0.3");
	addresses_release(&addresses, &three); /* the other put is still under way */
	assert_given(&addresses, "d", "10.0.0.4");
	addresses_keep(&addresses, &three);
	assert_given(&addresses, "c", "10.0.0.3");
	addresses_release(&addresses, &three);
	assert_given(&addresses, "e", "10.0.0.5");
	/* A claim of another address that comes to nothing does not lose the name its own. */
	assert_int_equal(addresses_claim(&addresses, &nine, "a", NULL), 0);
	addresses_release(&addresses, &nine);
	assert_given(&addresses, "a", "10.0.0.2");
	addresses_finish(&addresses);
}

static void both_families(void **state)
{
	(void)state;
	struct addresses addresses = make("fd00::/126");
	assert_given(&addresses, "a", "fd00::1");
	assert_given(&addresses, "b", "fd00::2");
	assert_given(&addresses, "c", "fd00::3");
	struct ip_address none;
	assert_int_equal(addresses_give(&addresses, "d", nothing, &none, NULL), -ENOSPC);
	addresses_finish(&addresses);
}

/* There are no two to leave out of one or two. */
static void small_pools(void **state)
{
	(void)state;
	static const struct {
		const char *pool, *first, *last;
	} cases[] = {
		{"10.0.0.4/31", "10.0.0.4", "10.0.0.5"},
		{"10.0.0.4/30", "10.0.0.5", "10.0.0.6"},
		{"10.0.0.9/32", "10.0.0.9", NULL},
		{"fd00::4/127", "fd00::4", "fd00::5"},
		{"fd00::9/128", "fd00::9", NULL},
	};
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct addresses addresses = make(cases[i].pool);
		struct ip_address none;
		struct error err = ERROR_INIT;
		assert_given(&addresses, "a", cases[i].first);
		if (cases[i].last)
			assert_given(&addresses, "b", cases[i].last);
		assert_int_equal(addresses_give(&addresses, "c", nothing, &none, &err), -ENOSPC);
		assert_non_null(strstr(err.message,
			strchr(cases[i].pool, ':') ? "network.pool6 " : "network.pool "));
		addresses_finish(&addresses);
	}
}

/* More than one for a name: what it has or had first, and each once. */
static void several_are_given(void **state)
{
	(void)state;
	struct addresses addresses = make("10.0.0.0/29");
	struct ip_address list[ADDRESSES_MAX] = {0};
	const char *const expected[] = {"10.0.0.4", "10.0.0.1", "10.0.0.2", "10.0.0.5"};
	const char *const reserved[][2] = {{"10.0.0.1", "a"}, {"10.0.0.3", "b"}, {"10.0.0.4", "a"}};
	char text[IP_ADDRESS_TEXT];
	for (size_t i = 0; i < 3; i++) {
		struct ip_address address = ip(reserved[i][0]);
		assert_int_equal(addresses_reserve(&addresses, &address, reserved[i][1], NULL), 0);
	}
	for (size_t i = 0; i < 4; i++) {
		assert_int_equal(addresses_give(&addresses, "a", list, &list[i], NULL), 0);
		assert_string_equal(ip_address_print(&list[i], text), expected[i]);
	}
	/* What was not stored is free again, what was had before stays. */
	for (size_t i = 0; i < 4; i++)
		addresses_release(&addresses, &list[i]);
	assert_null(addresses_owner(&addresses, &list[2]));
	assert_string_equal(addresses_owner(&addresses, &list[1]), "a");
	addresses_finish(&addresses);
}

/* Also one that stands further on in the list, and has no claim yet. */
static void what_is_asked_for_is_not_given(void **state)
{
	(void)state;
	struct addresses addresses = make("10.0.0.0/29");
	struct ip_address list[ADDRESSES_MAX] = {[2] = ip("10.0.0.1")};
	char text[IP_ADDRESS_TEXT];
	assert_int_equal(addresses_give(&addresses, "a", list, &list[0], NULL), 0);
	assert_string_equal(ip_address_print(&list[0], text), "10.0.0.2");
	addresses_release(&addresses, &list[0]);
	assert_given(&addresses, "b", "10.0.0.1");
	addresses_finish(&addresses);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(addresses_are_given_once),
		cmocka_unit_test(claims_are_counted),
		cmocka_unit_test(both_families),
		cmocka_unit_test(small_pools),
		cmocka_unit_test(several_are_given),
		cmocka_unit_test(what_is_asked_for_is_not_given),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: ISC */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>
#include <errno.h>
#include <netinet/in.h>
#include <string.h>

#include "base/address.h"
#include "base/error.h"
#include "base/units.h"

static void errors_travel(void **state)
{
	(void)state;
	struct error err = ERROR_INIT;
	assert_int_equal(error_set(NULL, -EINVAL, "nobody hears"), -EINVAL);
	assert_int_equal(error_set(&err, -ENOENT, "no %s", "cake"), -ENOENT);
	assert_string_equal(err.message, "no cake");
	assert_int_equal(error_prefix(&err, -1, "kitchen"), -ENOENT);
	assert_string_equal(err.message, "kitchen: no cake");
}

static void durations(void **state)
{
	(void)state;
	static const struct {
		const char *text;
		uint64_t ns;
		const char *printed;
	} good[] = {
		{"0", 0, "0"},
		{"1.2s", 1200 * NS_PER_MS, "1200ms"},
		{"90s", 90 * NS_PER_S, "90s"},
		{"10min", 600 * NS_PER_S, "10min"},
		{"10 m", 600 * NS_PER_S, "10min"},
		{"48h", 48 * 3600 * NS_PER_S, "2d"},
		{"250us", 250 * NS_PER_US, "250us"},
		{"0.5ms", 500 * NS_PER_US, "500us"},
	};
	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
		uint64_t ns = 1;
		char text[DURATION_TEXT];
		assert_int_equal(duration_parse(good[i].text, &ns, NULL), 0);
		assert_int_equal(ns, good[i].ns);
		assert_string_equal(duration_print(ns, text), good[i].printed);
	}
	static const char *const bad[] = {"", "s", "5", "-1s", "1.s", "1 parsec", "1.5ns", "1s2",
		"99999999999999999999s", "999999999999d", "1.0000000001s"};
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		uint64_t ns = 7;
		struct error err = ERROR_INIT;
		assert_int_equal(duration_parse(bad[i], &ns, &err), -EINVAL);
		assert_int_equal(ns, 7);
		assert_non_null(strstr(err.message, "is not a duration"));
	}
}

static void sizes(void **state)
{
	(void)state;
	uint64_t bytes;
	char text[SIZE_TEXT];
	assert_int_equal(size_parse("32M", &bytes, NULL), 0);
	assert_int_equal(bytes, 32u << 20);
	assert_string_equal(size_print(bytes, text), "32MiB");
	assert_int_equal(size_parse("1.5GiB", &bytes, NULL), 0);
	assert_string_equal(size_print(bytes, text), "1536MiB");
	assert_int_equal(size_parse("32", &bytes, NULL), -EINVAL);
	assert_int_equal(size_parse("16777216TiB", &bytes, NULL), -EINVAL);
}

static void addresses(void **state)
{
	(void)state;
	struct ip_address a, b;
	struct ip_prefix p;
	char text[IP_PREFIX_TEXT];
	assert_int_equal(ip_address_parse("10.77.0.5", &a, NULL), 0);
	assert_string_equal(ip_address_print(&a, text), "10.77.0.5");
	assert_int_equal(ip_address_parse("10.77.0", &b, NULL), -EINVAL);
	assert_int_equal(ip_prefix_parse("10.77.0.1/16", &p, NULL), 0);
	assert_string_equal(ip_prefix_print(&p, text), "10.77.0.1/16");
	assert_true(ip_prefix_contains(&p, &a));
	assert_int_equal(ip_address_parse("10.78.0.5", &b, NULL), 0);
	assert_false(ip_prefix_contains(&p, &b));
	assert_true(ip_prefix_nth(&p, 258, &b));
	assert_string_equal(ip_address_print(&b, text), "10.77.1.2");
	assert_true(ip_prefix_nth(&p, 65535, &b));
	assert_false(ip_prefix_nth(&p, 65536, &b));
	assert_true(ip_prefix_reserves(&p, &b)); /* 10.77.255.255 */
	assert_false(ip_prefix_reserves(&p, &a));
	assert_int_equal(ip_prefix_parse("fd00::1/64", &p, NULL), 0);
	assert_false(ip_prefix_reserves(&p, &b)); /* none of its own */
	assert_true(ip_prefix_nth(&p, 0, &b) && ip_prefix_reserves(&p, &b));
	assert_true(ip_prefix_nth(&p, UINT64_MAX, &b) && !ip_prefix_reserves(&p, &b));
	assert_true(ip_prefix_nth(&p, 511, &b));
	assert_string_equal(ip_address_print(&b, text), "fd00::1ff");
	assert_int_equal(ip_prefix_parse("10.0.0.0/33", &p, NULL), -EINVAL);
	assert_int_equal(ip_prefix_parse("10.0.0.0/", &p, NULL), -EINVAL);
}

static void endpoints(void **state)
{
	(void)state;
	static const struct {
		const char *text, *address;
		uint16_t port;
	} good[] = {
		{"127.0.0.1", "127.0.0.1", 53},
		{"127.0.0.1@5300", "127.0.0.1", 5300},
		{"127.0.0.1:5300", "127.0.0.1", 5300},
		{"::1", "::1", 53},
		{"::1@5300", "::1", 5300},
		{"[::1]:5300", "::1", 5300},
		{"[::1]", "::1", 53},
	};
	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
		struct sockaddr_storage storage;
		assert_int_equal(ip_endpoint_parse(good[i].text, 53, &storage, NULL), 0);
		struct ip_address a = ip_address_from_sockaddr((struct sockaddr *)&storage);
		char text[IP_ADDRESS_TEXT];
		assert_string_equal(ip_address_print(&a, text), good[i].address);
		assert_int_equal(ntohs(((struct sockaddr_in *)&storage)->sin_port), good[i].port);
	}
	static const char *const bad[] = {
		"", "localhost", "1.2.3.4@", "1.2.3.4@65536", "[::1", "@53"};
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct sockaddr_storage storage;
		assert_int_equal(ip_endpoint_parse(bad[i], 53, &storage, NULL), -EINVAL);
	}
}

static void macs(void **state)
{
	(void)state;
	struct mac_address mac;
	char text[MAC_ADDRESS_TEXT];
	assert_int_equal(mac_address_parse("02:ab:00:10:ff:01", &mac, NULL), 0);
	assert_string_equal(mac_address_print(&mac, text), "02:ab:00:10:ff:01");
	assert_int_equal(mac_address_parse("02:ab:00:10:ff", &mac, NULL), -EINVAL);
	assert_int_equal(mac_address_parse("02:ab:00:10:ff:01:02", &mac, NULL), -EINVAL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(errors_travel),
		cmocka_unit_test(durations),
		cmocka_unit_test(sizes),
		cmocka_unit_test(addresses),
		cmocka_unit_test(endpoints),
		cmocka_unit_test(macs),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

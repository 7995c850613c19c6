/* SPDX-License-Identifier: ISC */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <errno.h>
#include <string.h>

#include "base/devices.h"

static void nics(void **state)
{
	(void)state;
	const char *at = "br0  br1@vif-nat xenbr2@/srv/my-vif ";
	struct nic_text nic;
	assert_int_equal(nics_check(at, NULL), 0);
	assert_int_equal(nic_next(&at, &nic, NULL), 1);
	assert_string_equal(nic.bridge, "br0");
	assert_string_equal(nic.script, "");
	assert_int_equal(nic_next(&at, &nic, NULL), 1);
	assert_string_equal(nic.bridge, "br1");
	assert_string_equal(nic.script, "vif-nat");
	assert_int_equal(nic_next(&at, &nic, NULL), 1);
	assert_string_equal(nic.script, "/srv/my-vif");
	assert_int_equal(nic_next(&at, &nic, NULL), 0);
	assert_int_equal(nics_check("", NULL), 0);
}

static void disks(void **state)
{
	(void)state;
	const char *at = "/srv/a@b.iso@xvda:ro /dev/vg0/data@sdb1 /x@hdc";
	struct disk_text disk;
	assert_int_equal(disks_check(at, NULL), 0);
	assert_int_equal(disk_next(&at, &disk, NULL), 1);
	assert_string_equal(disk.path, "/srv/a@b.iso");
	assert_string_equal(disk.device, "xvda");
	assert_true(disk.read_only);
	assert_int_equal(disk_next(&at, &disk, NULL), 1);
	assert_string_equal(disk.path, "/dev/vg0/data");
	assert_string_equal(disk.device, "sdb1");
	assert_false(disk.read_only);
	assert_int_equal(disk_next(&at, &disk, NULL), 1);
	assert_string_equal(disk.device, "hdc");
	assert_int_equal(disk_next(&at, &disk, NULL), 0);
}

static void wrong_ones(void **state)
{
	(void)state;
	static const char *const bad_nics[] = {"an-interface-too-long", "br/0", "@x", "br0@", "..",
		"br0@../x", "br0@a/b", "a b c d e f g h i"};
	static const char *const bad_disks[] = {"/a", "a@xvda", "/a@", "/a@xvd", "/a@vda",
		"/a@xvda:rw", "/a@xvda1234", "@xvda", "/a@xvdaaa", "/a@xvda:ro:ro",
		"/1@xvda /2@xvdb /3@xvdc /4@xvdd /5@xvde /6@xvdf /7@xvdg /8@xvdh /9@xvdi"};
	for (size_t i = 0; i < sizeof(bad_nics) / sizeof(bad_nics[0]); i++)
		assert_int_equal(nics_check(bad_nics[i], NULL), -EINVAL);
	for (size_t i = 0; i < sizeof(bad_disks) / sizeof(bad_disks[0]); i++)
		assert_int_equal(disks_check(bad_disks[i], NULL), -EINVAL);
	char large[4096];
	memset(large, 'x', sizeof(large) - 1);
	large[sizeof(large) - 1] = '\0';
	assert_int_equal(nics_check(large, NULL), -EINVAL);
	large[0] = '/';
	memcpy(large + 2000, "@xvda", 6);
	assert_int_equal(disks_check(large, NULL), -EINVAL);
}

static void uuids(void **state)
{
	(void)state;
	assert_true(uuid_is_one("6e696eb7-09f4-484c-981b-8D34EFA0304D"));
	assert_false(uuid_is_one(""));
	assert_false(uuid_is_one("6e696eb7-09f4-484c-981b-8d34efa0304"));
	assert_false(uuid_is_one("6e696eb7-09f4-484c-981b-8d34efa0304dd"));
	assert_false(uuid_is_one("6e696eb7-09f4-484c-981b_8d34efa0304d"));
	assert_false(uuid_is_one("6e696eb7-09f4-484c-981b-8d34efa0304g"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(nics),
		cmocka_unit_test(disks),
		cmocka_unit_test(wrong_ones),
		cmocka_unit_test(uuids),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

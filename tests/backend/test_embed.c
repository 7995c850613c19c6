/* SPDX-License-Identifier: ISC */
/* What the embedded libvirt needs of the process that it is in. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <dlfcn.h>
#include <iconv.h>
#include <langinfo.h>
#include <locale.h>
#include <string.h>
#include <unistd.h>

#include "launcher/libvirt/embed.h"

static unsigned conversions;

/* GLib calls this one, too. */
iconv_t iconv_open(const char *to, const char *from)
{
	iconv_t (*real)(const char *, const char *) =
		(iconv_t(*)(const char *, const char *))dlsym(RTLD_NEXT, "iconv_open");
	conversions++;
	return real(to, from);
}

/* A child between libvirt's forks may find the lock of iconv held. */
static void errors_are_told_without_conversions(void **state)
{
	(void)state;
	locale_t utf8 = newlocale(LC_CTYPE_MASK, "C.UTF-8", (locale_t)0);
	if (!utf8)
		skip();
	freelocale(utf8);
	void *glib = dlopen("libglib-2.0.so.0", RTLD_NOW);
	assert_non_null(glib);
	const char *(*g_strerror)(int) = (const char *(*)(int))dlsym(glib, "g_strerror");
	assert_non_null(g_strerror);
	for (int number = 1; number < 100; number++)
		assert_string_equal(g_strerror(number), strerror(number));
	assert_int_equal(conversions, 0);
	assert_string_equal(nl_langinfo(CODESET), "UTF-8");
}

/* libuv closes its signal pipe by number in each child. */
static void low_descriptors_are_held(void **state)
{
	(void)state;
	int fd = dup(0);
	assert_true(fd >= 16);
	close(fd);
}

int main(void)
{
	struct error err = ERROR_INIT;
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(errors_are_told_without_conversions),
		cmocka_unit_test(low_descriptors_are_held),
	};
	if (embed_configure("/dev/null/none", &err) == 0) /* so that it is linked */
		return 1;
	return cmocka_run_group_tests(tests, NULL, NULL);
}

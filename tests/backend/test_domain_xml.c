/* SPDX-License-Identifier: ISC */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>
#include <errno.h>
#include <string.h>

#include "launcher/libvirt/domain_xml.h"

static const struct guest_spec spec = {.service = "a<b>&\"c.example",
	.kernel = "/boot/it's <here>",
	.cmdline = "x=\"1&2\" <y> ]]>",
	.memory = 32 << 20,
	.vcpus = 1,
	.tap = "sm0",
	.mac = {{2, 0, 0, 0, 0, 7}}};

static const struct domain_params params = {.id = {3, 9},
	.name = "summond-0011-3-9",
	.identity = "00112233",
	.type = "qemu",
	.machine = "microvm",
	.console = "/run/c",
	.skip_cpu_report = true,
	.booted = true,
	.started_at = 12345};

static char *build(const char *template, bool *stream)
{
	struct guest_spec with = spec;
	char *xml = NULL;
	struct error err = ERROR_INIT;
	with.domain_xml = template;
	if (domain_xml_build(&with, &params, stream, &xml, &err) < 0)
		fail_msg("%s", err.message);
	return xml;
}

static void escapes_everything(void **state)
{
	(void)state;
	bool stream = true;
	char *xml = build(NULL, &stream);
	assert_false(stream);
	assert_non_null(strstr(xml, "<kernel>/boot/it's &lt;here&gt;</kernel>"));
	assert_non_null(strstr(xml, "&lt;y&gt; ]]&gt;</cmdline>"));
	assert_non_null(strstr(xml, "service=\"a&lt;b&gt;&amp;&quot;c.example\""));
	assert_non_null(strstr(xml, "<mac address=\"02:00:00:00:00:07\"/>"));
	assert_non_null(strstr(xml, "<qemu:del capability=\"cpu-unavailable-features\"/>"));
	assert_non_null(strstr(xml, "<address type=\"virtio-mmio\"/>"));
	assert_non_null(strstr(xml, "<reconnect enabled=\"yes\" timeout=\"1\"/>"));
	free(xml);
}

static void fills_a_template(void **state)
{
	(void)state;
	bool stream = true;
	char *xml = build("<domain type='qemu'><name>mine</name><uuid>1</uuid>"
			  "<memory unit='KiB'>{memory_kib}</memory><vcpu>{vcpus}</vcpu>"
			  "<on_crash>preserve</on_crash><os><cmdline>{{a}} {cmdline}</cmdline></os>"
			  "<devices><interface><mac address='{mac}'/><target dev='{tap}'/>"
			  "<script path='{kernel}'/></interface></devices></domain>",
		&stream);
	assert_false(stream);
	assert_non_null(strstr(xml, "<name>summond-0011-3-9</name>"));
	assert_null(strstr(xml, "mine"));
	assert_null(strstr(xml, "uuid"));
	assert_null(strstr(xml, "preserve"));
	assert_non_null(strstr(xml, ">32768</memory>"));
	assert_non_null(strstr(xml, "<cmdline>{a} x=\"1&amp;2\" &lt;y&gt; ]]&gt;</cmdline>"));
	assert_non_null(strstr(xml, "<script path=\"/boot/it's &lt;here&gt;\"/>"));
	assert_non_null(strstr(xml, "<serial type=\"unix\">"));
	free(xml);
	xml = build(
		"<domain type='qemu'><devices><serial type='pty'/></devices></domain>", &stream);
	assert_true(stream);
	assert_null(strstr(xml, "type=\"unix\""));
	assert_non_null(strstr(xml, "console=\"stream\""));
	free(xml);
	xml = build("<domain type='qemu'><devices><serial type='pty'/><console type='unix'>"
		    "<source path='{console}' mode='connect'/></console></devices></domain>",
		&stream);
	assert_false(stream);
	free(xml);
}

static void refuses_a_template(void **state)
{
	(void)state;
	static const struct {
		const char *xml, *message;
	} bad[] = {
		{"", "domain XML, line"},
		{"<domain>\n<a></domain>", "line 2"},
		{"<domain>\n\n<a b='{nope}'/></domain>", "line 3: \"{nope}\""},
		{"<domain>{name</domain>", "begins no placeholder"},
		{"<network/>", "<network>"},
		{"<!DOCTYPE domain [<!ENTITY e SYSTEM "
		 "\"file:///etc/passwd\">]><domain>&e;</domain>",
			"DOCTYPE"},
	};
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct guest_spec with = spec;
		struct error err = ERROR_INIT;
		char *xml = NULL;
		bool stream;
		with.domain_xml = bad[i].xml;
		assert_int_equal(domain_xml_build(&with, &params, &stream, &xml, &err), -EINVAL);
		assert_null(xml);
		if (!strstr(err.message, bad[i].message))
			fail_msg("\"%s\" lacks \"%s\"", err.message, bad[i].message);
	}
}

static void metadata_comes_back(void **state)
{
	(void)state;
	struct domain_facts facts = {.id = {7, 8},
		.identity = "id",
		.service = "s<&>",
		.tap = "t0",
		.stream = true,
		.started_at = 99};
	char *xml = domain_metadata_print(&facts);
	struct domain_facts read;
	assert_non_null(xml);
	assert_true(domain_metadata_parse(xml, &read));
	assert_memory_equal(&read, &facts, sizeof(facts));
	free(xml);
	static const char *const damaged[] = {"", "<guest/>", "no xml",
		"<guest identity='i' service='s' slot='-1' generation='1' tap='' booted='no' "
		"created='1'/>",
		"<guest identity='i' service='s' slot='4294967296' generation='1' tap='' "
		"booted='no' created='1'/>"};
	for (size_t i = 0; i < sizeof(damaged) / sizeof(damaged[0]); i++)
		assert_false(domain_metadata_parse(damaged[i], &read));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(escapes_everything),
		cmocka_unit_test(fills_a_template),
		cmocka_unit_test(refuses_a_template),
		cmocka_unit_test(metadata_comes_back),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: ISC */
#include <arpa/inet.h>
#include <sys/stat.h>
#include <time.h>

#include <ldns/ldns.h>

#include "dns/dnssec.h"
#include "tests/dns/world.h"
#include "tests/unit/scratch.h"

/* Signed answers, judged by ldns, which verifies them with the zone's own DNSKEY records. */

#define ZONE_TEXT                                                                                  \
	"@ SOA ns m 7 3600 600 604800 60\n@ NS ns\nns A 192.0.2.9\nMail A 192.0.2.10\n"            \
	"@ MX 10 MAIL\nalias CNAME www\ngone CNAME nowhere\n*.w TXT wild\na.b.c TXT deep\n"        \
	"sub NS ns.sub\nns.sub A 192.0.2.11\nsafe NS ns.sub\nsafe DS 1 13 2 ab\n"                  \
	"x TYPE4711 \\# 3 010203\nn NAPTR 1 2 \"u\" \"E2U\" \"!a!b!\" Host.X\n"                    \
	"s SRV 1 2 3 Host.X\nr RP Me.X Text.X\n"

struct signed_world {
	struct world *world;
	struct dns_key *key, *next;
	ldns_rr_list *dnskeys;
};

static ldns_pkt *query(struct signed_world *test, const char *name, uint16_t type, uint16_t flags)
{
	uint8_t bytes[400], out[ANSWER_MAX_TCP];
	ldns_pkt *packet = NULL;
	size_t size = bytes_query(bytes, 1, name, type);
	const uint8_t opt[] = {0, 0, 41, 0x10, 0, 0, 0, (uint8_t)(flags >> 8), 0, 0, 0};
	bytes[11] = 1;
	memcpy(bytes + size, opt, sizeof(opt));
	size = ask_bytes(test->world, bytes, size + sizeof(opt), out);
	assert_int_equal(ldns_wire2pkt(&packet, out, size), LDNS_STATUS_OK);
	return packet;
}

static void use(struct signed_world *test, struct dns_key *const *keys, size_t count)
{
	struct scratch *scratch = scratch_create();
	struct error err = ERROR_INIT;
	FILE *file = fopen(scratch->path, "w");
	fputs(ZONE_TEXT, file);
	fclose(file);
	const struct dns_zone_config config = {.origin = "file",
		.file = scratch->path,
		.ttl = 300,
		.keys = keys,
		.key_count = count};
	if (names_set_zones(&test->world->responder.names, &config, 1, &err) < 0)
		fail_msg("%s", err.message);
	scratch_destroy(scratch);
	ldns_rr_list_deep_free(test->dnskeys);
	test->dnskeys = NULL;
	if (count == 0)
		return;
	ldns_pkt *packet = query(test, "file", DNS_TYPE_DNSKEY, DNS_OPT_FLAG_DO);
	test->dnskeys = ldns_pkt_rr_list_by_type(packet, LDNS_RR_TYPE_DNSKEY, LDNS_SECTION_ANSWER);
	assert_int_equal(ldns_rr_list_rr_count(test->dnskeys), count);
	ldns_pkt_free(packet);
}

static int begin(void **state)
{
	struct signed_world *test = calloc(1, sizeof(*test));
	const struct ip_address v4 = IPV4(10, 77, 0, 5);
	void *world = NULL;
	assert_int_equal(set_up(&world), 0);
	test->world = world;
	assert_int_equal(dns_key_create(&test->key, NULL), 0);
	assert_int_equal(dns_key_create(&test->next, NULL), 0);
	dns_key_set_active(test->key, true, 1);
	use(test, &test->key, 1);
	assert_int_equal(names_put_service(&test->world->responder.names, 70, "www.file",
				 (const struct ip_address[]){v4, v6}, 2, 5, NULL),
		0);
	*state = test;
	return 0;
}

static int finish(void **state)
{
	struct signed_world *test = *state;
	void *world = test->world;
	ldns_rr_list_deep_free(test->dnskeys);
	dns_key_release(test->key);
	dns_key_release(test->next);
	tear_down(&world);
	free(test);
	return 0;
}

/* Verifies every set of a section but delegations and addresses of servers; returns how many. */
static unsigned verify_section(struct signed_world *test, ldns_pkt *packet, ldns_pkt_section where)
{
	unsigned verified = 0;
	ldns_rr_list *all = ldns_pkt_get_section_clone(packet, where), *set;
	while ((set = ldns_rr_list_pop_rrset(all))) {
		ldns_rr *first = ldns_rr_list_rr(set, 0);
		ldns_rr_type type = ldns_rr_get_type(first);
		char *text = ldns_rr2str(first);
		if (type != LDNS_RR_TYPE_RRSIG &&
			!(type == LDNS_RR_TYPE_NS && where == LDNS_SECTION_AUTHORITY)) {
			ldns_rr_list *sigs = ldns_dnssec_pkt_get_rrsigs_for_name_and_type(
				packet, ldns_rr_owner(first), type);
			if (!sigs)
				fail_msg("no signature of %s", text);
			ldns_status status = ldns_verify(set, sigs, test->dnskeys, NULL);
			if (status != LDNS_STATUS_OK)
				fail_msg("%s: %s", ldns_get_errorstr_by_id(status), text);
			ldns_rr_list_deep_free(sigs);
			verified++;
		}
		free(text);
		ldns_rr_list_deep_free(set);
	}
	ldns_rr_list_deep_free(all);
	return verified;
}

/* Asks with DO; everything is signed. Returns the text of the whole answer, for free(). */
static char *ask_signed(struct signed_world *test, const char *name, uint16_t type, unsigned rcode)
{
	ldns_pkt *packet = query(test, name, type, DNS_OPT_FLAG_DO);
	assert_int_equal(ldns_pkt_get_rcode(packet), rcode);
	assert_true(verify_section(test, packet, LDNS_SECTION_ANSWER) +
			    verify_section(test, packet, LDNS_SECTION_AUTHORITY) >
		    0);
	assert_true(ldns_pkt_edns_do(packet));
	assert_false(ldns_pkt_ad(packet));
	char *text = ldns_pkt2str(packet);
	ldns_pkt_free(packet);
	return text;
}

static void answers_verify(void **state)
{
	struct signed_world *test = *state;
	static const struct {
		const char *name;
		uint16_t type;
		const char *says;
	} asked[] = {
		{"file", DNS_TYPE_SOA, "SOA\tns.file. m.file. 7"},
		{"file", DNS_TYPE_NS, "NS\tns.file."},
		{"file", DNS_TYPE_MX, "MX\t10 mail.file."},
		{"file", DNS_TYPE_DNSKEY, "DNSKEY\t257 3 13"},
		{"file", DNS_TYPE_CDS, "CDS\t"},
		{"file", DNS_TYPE_CDNSKEY, "CDNSKEY\t257 3 13"},
		{"WWW.File", DNS_TYPE_A, "10.77.0.5"},
		{"www.file", DNS_TYPE_AAAA, "fd00::5"},
		{"mail.file", DNS_TYPE_A, "192.0.2.10"},
		{"alias.file", DNS_TYPE_A, "10.77.0.5"},
		{"x.y.w.file", DNS_TYPE_TXT, "wild"},
		{"*.w.file", DNS_TYPE_TXT, "wild"},
		{"x.file", 4711, "\\# 3 010203"},
		{"n.file", DNS_TYPE_NAPTR, "host.x"},
		{"s.file", DNS_TYPE_SRV, "host.x"},
		{"r.file", 17, "me.x.file. text.x.file."},
		{"www.file", DNS_TYPE_ANY, "RFC8482"},
		{"safe.file", DNS_TYPE_DS, "DS\t1 13 2 ab"},
		{"x.safe.file", DNS_TYPE_A, "DS\t1 13 2 ab"},
	};
	for (size_t i = 0; i < sizeof(asked) / sizeof(asked[0]); i++) {
		/* The second time they come from the table of signatures, byte for byte. */
		char *text = ask_signed(test, asked[i].name, asked[i].type, LDNS_RCODE_NOERROR);
		char *again = ask_signed(test, asked[i].name, asked[i].type, LDNS_RCODE_NOERROR);
		if (!strstr(text, asked[i].says))
			fail_msg("%s does not say %s", text, asked[i].says);
		*strstr(text, ";; WHEN") = *strstr(again, ";; WHEN") = '\0';
		assert_string_equal(text, again);
		free(text);
		free(again);
	}
}

/* In whatever order they are said, they are signed in one (RFC 4034 section 6.3). */
static void several_addresses_verify(void **state)
{
	struct signed_world *test = *state;
	struct names *names = &test->world->responder.names;
	struct ip_address all[ADDRESSES_MAX];
	for (uint8_t i = 0; i < ADDRESSES_OF_FAMILY; i++) {
		all[i] = (struct ip_address){AF_INET, {10, 77, 0, (uint8_t)(200 - i)}};
		all[ADDRESSES_OF_FAMILY + i] =
			(struct ip_address){AF_INET6, {0xfd, [15] = (uint8_t)(9 - i)}};
	}
	assert_int_equal(names_put_service(names, 71, "all.file", all, ADDRESSES_MAX, 5, NULL), 0);
	for (int again = 0; again < 2; again++) {
		char *a = ask_signed(test, "all.file", DNS_TYPE_A, LDNS_RCODE_NOERROR);
		char *aaaa = ask_signed(test, "all.file", DNS_TYPE_AAAA, LDNS_RCODE_NOERROR);
		assert_true(strstr(a, "10.77.0.197") && strstr(a, "10.77.0.200"));
		assert_true(strstr(aaaa, "fd00::6") && strstr(aaaa, "fd00::9"));
		free(a);
		free(aaaa);
	}
}

static void denials_say_what_there_is(void **state)
{
	struct signed_world *test = *state;
	static const struct {
		const char *name;
		uint16_t type;
		const char *nsec;
	} asked[] = {
		{"nope.file", 1, "nope.file.\t60\tIN\tNSEC\t\\000.nope.file. RRSIG NSEC TYPE128"},
		{"x.www.file", 1, "NSEC\t\\000.x.www.file. RRSIG NSEC TYPE128"},
		{"gone.file", 1, "NSEC\t\\000.nowhere.file. RRSIG NSEC TYPE128"},
		{"b.c.file", 1, "b.c.file.\t60\tIN\tNSEC\t\\000.b.c.file. RRSIG NSEC "},
		{"www.file", DNS_TYPE_TXT, "NSEC\t\\000.www.file. A AAAA RRSIG NSEC "},
		{"y.w.file", 1, "NSEC\t\\000.y.w.file. TXT RRSIG NSEC "},
		{"file", 1, "NSEC\t\\000.file. NS SOA MX RRSIG NSEC DNSKEY CDS CDNSKEY "},
		{"x.file", 1, "NSEC\t\\000.x.file. RRSIG NSEC TYPE4711 "},
		{"x.sub.file", 1, "sub.file.\t60\tIN\tNSEC\t\\000.sub.file. NS RRSIG NSEC "},
		{"sub.file", DNS_TYPE_DS, "NSEC\t\\000.sub.file. NS RRSIG NSEC "},
		{"mail.file", DNS_TYPE_NSEC, "NSEC\t\\000.mail.file. A RRSIG NSEC "},
	};
	for (size_t i = 0; i < sizeof(asked) / sizeof(asked[0]); i++) {
		char *text = ask_signed(test, asked[i].name, asked[i].type, LDNS_RCODE_NOERROR);
		if (!strstr(text, asked[i].nsec))
			fail_msg("%s does not say %s", text, asked[i].nsec);
		free(text);
	}
	/* Who knows compact denials hears that the name does not exist; and who wants no signatures
	 * hears of none. */
	ldns_pkt *packet = query(test, "nope.file", 1, DNS_OPT_FLAG_DO | DNS_OPT_FLAG_CO);
	assert_int_equal(ldns_pkt_get_rcode(packet), LDNS_RCODE_NXDOMAIN);
	assert_int_equal(verify_section(test, packet, LDNS_SECTION_AUTHORITY), 2);
	ldns_pkt_free(packet);
	packet = query(test, "nope.file", 1, 0);
	assert_int_equal(ldns_pkt_get_rcode(packet), LDNS_RCODE_NXDOMAIN);
	assert_int_equal(ldns_pkt_nscount(packet), 1);
	ldns_pkt_free(packet);
	packet = query(test, "nope.file", DNS_TYPE_NXNAME, DNS_OPT_FLAG_DO);
	assert_int_equal(ldns_pkt_get_rcode(packet), LDNS_RCODE_FORMERR);
	ldns_pkt_free(packet);
}

static void long_names_are_denied(void **state)
{
	struct signed_world *test = *state;
	char name[300] = "";
	/* 63 + 63 + 63 + 55 and "file", with their lengths and the root, are 255 bytes. */
	for (int i = 0; i < 3; i++)
		strcat(name, "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa.");
	memmove(name + 56, name, strlen(name) + 1);
	memset(name, 'b', 55);
	name[55] = '.';
	strcat(name, "file");
	char *text = ask_signed(test, name, 1, LDNS_RCODE_NOERROR);
	assert_non_null(strstr(text, "bbbc.aaa"));
	free(text);
}

static void sleeping_or_awake_is_the_same(void **state)
{
	struct signed_world *test = *state;
	uint8_t bytes[64], first[ANSWER_MAX_UDP], later[ANSWER_MAX_UDP];
	static const uint8_t opt[] = {0, 0, 41, 0x10, 0, 0, 0, 0x80, 0, 0, 0};
	size_t size = bytes_query(bytes, 1, "www.file", 1);
	bytes[11] = 1;
	memcpy(bytes + size, opt, sizeof(opt));
	size_t answer = ask_bytes(test->world, bytes, size + sizeof(opt), first);
	test->world->daemon.reply = DNS_REPLY_LATER;
	assert_int_equal(ask_bytes(test->world, bytes, size + sizeof(opt), later), 0);
	const struct waiting_query *entry =
		waiting_find(&test->world->responder.waiting, test->world->daemon.asked.id);
	const struct late_answer late = {.reply = DNS_REPLY_ADDRESS};
	assert_int_equal(respond_later(&test->world->responder, entry, &late,
				 answer_limit(&entry->query, false), later),
		answer);
	assert_memory_equal(first, later, answer);
}

/* How many of `count` queries for random names get signatures; the others, TC or SERVFAIL. */
static unsigned flood(struct signed_world *test, const char *address, bool tcp, unsigned count)
{
	static unsigned names;
	struct client *client = &test->world->client;
	unsigned good = 0;
	client->source.in.sin_addr.s_addr = inet_addr(address);
	client->tcp = tcp ? (struct tcp_connection *)(uintptr_t)8 : NULL;
	for (unsigned i = 0; i < count; i++) {
		char name[32];
		snprintf(name, sizeof(name), "n%u.file", names++);
		ldns_pkt *packet = query(test, name, 1, DNS_OPT_FLAG_DO);
		bool is_signed = ldns_pkt_nscount(packet) == 4;
		assert_true(is_signed || ldns_pkt_nscount(packet) == 0);
		if (!is_signed && tcp)
			assert_int_equal(ldns_pkt_get_rcode(packet), LDNS_RCODE_SERVFAIL);
		else
			assert_int_equal(ldns_pkt_get_rcode(packet), LDNS_RCODE_NOERROR);
		assert_int_equal(ldns_pkt_tc(packet), !is_signed && !tcp);
		good += is_signed;
		ldns_pkt_free(packet);
	}
	client->tcp = NULL;
	return good;
}

static void new_signatures_are_limited(void **state)
{
	struct signed_world *test = *state;
	char address[32];
	unsigned strangers = 1000;
	ldns_pkt_free(query(test, "www.file", 1, DNS_OPT_FLAG_DO));
	assert_int_equal(flood(test, "192.0.2.1", false, 1500), 1000);
	/* What is known is said to anyone. */
	ldns_pkt *packet = query(test, "www.file", 1, DNS_OPT_FLAG_DO);
	assert_int_equal(ldns_pkt_ancount(packet), 2);
	ldns_pkt_free(packet);
	/* Those who forge addresses take nothing from who is there. */
	assert_int_equal(flood(test, "192.0.2.1", true, 10), 10);
	for (int i = 0; i < 10; i++) {
		snprintf(address, sizeof(address), "192.0.%d.1", 10 + i);
		strangers += flood(test, address, false, 600);
	}
	assert_in_range(strangers, 4990, 5000);
	/* Who is where it says is not among them. */
	assert_int_equal(flood(test, "192.0.30.1", false, 10), 0);
	unsigned verified = flood(test, "192.0.31.1", true, 1500);
	assert_int_equal(verified, 1000);
	verified += 10;
	/* But they have no more than their share, too. */
	for (int i = 0; i < 9; i++) {
		snprintf(address, sizeof(address), "192.0.%d.1", 40 + i);
		verified += flood(test, address, true, 1000);
	}
	assert_in_range(verified, 7990, 8000);
}

static void keys_take_turns(void **state)
{
	struct signed_world *test = *state;
	struct dns_key *both[] = {test->key, test->next};
	struct error err = ERROR_INIT;
	use(test, both, 2);
	/* Both sign the keys, the active one signs the rest. */
	ldns_pkt *packet = query(test, "file", DNS_TYPE_DNSKEY, DNS_OPT_FLAG_DO);
	assert_int_equal(ldns_pkt_ancount(packet), 4);
	assert_int_equal(verify_section(test, packet, LDNS_SECTION_ANSWER), 1);
	ldns_pkt_free(packet);
	for (int turn = 0; turn < 2; turn++) {
		packet = query(test, "www.file", 1, DNS_OPT_FLAG_DO);
		ldns_rr_list *sigs =
			ldns_pkt_rr_list_by_type(packet, LDNS_RR_TYPE_RRSIG, LDNS_SECTION_ANSWER);
		assert_int_equal(ldns_rr_list_rr_count(sigs), 1);
		assert_int_equal(
			ldns_rdf2native_int16(ldns_rr_rrsig_keytag(ldns_rr_list_rr(sigs, 0))),
			dns_key_info(both[turn]).tag);
		ldns_rr_list_deep_free(sigs);
		ldns_pkt_free(packet);
		dns_key_set_active(test->key, false, 2);
		dns_key_set_active(test->next, true, 2);
		use(test, both, 2);
	}
	dns_key_set_active(test->key, true, 3);
	const struct dns_zone_config config = {.origin = "file",
		.servers = parent_servers,
		.server_count = 1,
		.keys = both,
		.key_count = 2};
	assert_int_equal(names_set_zones(&test->world->responder.names, &config, 1, &err), -EINVAL);
	assert_non_null(strstr(err.message, "2 of its keys are active"));
	use(test, both, 0);
	packet = query(test, "www.file", 1, DNS_OPT_FLAG_DO);
	assert_int_equal(ldns_pkt_ancount(packet), 1);
	ldns_pkt_free(packet);
}

static void signatures_hold_a_week(void **state)
{
	struct signed_world *test = *state;
	ldns_pkt *packet = query(test, "www.file", 1, DNS_OPT_FLAG_DO);
	ldns_rr_list *sigs =
		ldns_pkt_rr_list_by_type(packet, LDNS_RR_TYPE_RRSIG, LDNS_SECTION_ANSWER);
	const ldns_rr *sig = ldns_rr_list_rr(sigs, 0);
	int64_t now = time(NULL);
	assert_true(ldns_rdf2native_int32(ldns_rr_rrsig_inception(sig)) <= now - 3600);
	assert_true(ldns_rdf2native_int32(ldns_rr_rrsig_expiration(sig)) >= now + 7 * 86400);
	ldns_rr_list_deep_free(sigs);
	ldns_pkt_free(packet);
}

static void keys_are_kept_in_files(void **state)
{
	struct signed_world *test = *state;
	struct scratch *scratch = scratch_create();
	struct error err = ERROR_INIT;
	struct dns_key *loaded = NULL;
	struct stat status;
	char text[DNS_KEY_DS_TEXT], again[DNS_KEY_DS_TEXT];
	assert_int_equal(dns_key_save(test->key, scratch->path, &err), 0);
	assert_int_equal(stat(scratch->path, &status), 0);
	assert_int_equal(status.st_mode & 07777, 0600);
	assert_int_equal(dns_key_load(scratch->path, &loaded, &err), 0);
	assert_false(dns_key_info(loaded).active);
	assert_int_equal(dns_key_info(loaded).created_at, dns_key_info(test->key).created_at);
	assert_int_equal(dns_key_print_ds(test->key, "File", text, NULL), 0);
	assert_int_equal(dns_key_print_ds(loaded, "file.", again, NULL), 0);
	assert_string_equal(text, again);
	/* ldns makes the same of the DNSKEY. */
	ldns_rr *ds = ldns_key_rr2ds(ldns_rr_list_rr(test->dnskeys, 0), LDNS_SHA256);
	char *theirs = ldns_rr2str(ds), *digest = strstr(theirs, "13 2 ");
	assert_non_null(digest);
	assert_true(strncasecmp(digest, strstr(text, "13 2 "), 5 + 64) == 0);
	free(theirs);
	ldns_rr_free(ds);
	dns_key_release(loaded);
	assert_int_equal(chmod(scratch->path, 0640), 0);
	assert_int_equal(dns_key_load(scratch->path, &loaded, &err), -EPERM);
	assert_non_null(strstr(err.message, "may be read by others"));
	assert_int_equal(chmod(scratch->path, 0600), 0);
	FILE *file = fopen(scratch->path, "w");
	fputs("nothing\n", file);
	fclose(file);
	assert_int_equal(dns_key_load(scratch->path, &loaded, &err), -EINVAL);
	assert_int_equal(dns_key_load("/nowhere", &loaded, &err), -ENOENT);
	scratch_destroy(scratch);
}

/* Each machine of a service has signatures of its own, also by an alias. */
static void machines_are_signed_each(void **state)
{
	struct signed_world *test = *state;
	const struct ip_address first[] = {IPV4(10, 77, 0, 70), v6};
	const struct ip_address second[] = {IPV4(10, 77, 0, 71), v6};
	struct names *names = &test->world->responder.names;
	static const char *const says[] = {"10.77.0.5", "10.77.0.70", "10.77.0.71"};
	assert_int_equal(names_put_instance(names, 71, 70, first, 2, 5, NULL), 0);
	assert_int_equal(names_put_instance(names, 72, 70, second, 2, 5, NULL), 0);
	for (unsigned i = 0; i < 6; i++) {
		test->world->daemon.answer_as = 70 + i % 3;
		char *text = ask_signed(
			test, i < 3 ? "www.file" : "alias.file", DNS_TYPE_A, LDNS_RCODE_NOERROR);
		char wanted[20];
		snprintf(wanted, sizeof(wanted), "%s\n", says[i % 3]);
		assert_non_null(strstr(text, wanted));
		free(text);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, finish)
		TEST(answers_verify),
		TEST(several_addresses_verify),
		TEST(denials_say_what_there_is),
		TEST(long_names_are_denied),
		TEST(sleeping_or_awake_is_the_same),
		TEST(machines_are_signed_each),
		TEST(new_signatures_are_limited),
		TEST(keys_take_turns),
		TEST(signatures_hold_a_week),
		TEST(keys_are_kept_in_files),
#undef TEST
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

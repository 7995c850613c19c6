/* SPDX-License-Identifier: ISC */
#include "tests/dns/fixture.h"

#include <fcntl.h>
#include <unistd.h>

#include "base/units.h"
#include "dns/tsig.h"

/* A large zone goes out beside everything else: other clients, and what waits on its own connection. */

#define RECORDS 20000
#define WWW_A   "www.example.test"

static const struct dns_tsig_key key = {
	.name = "key", .secret = "0123456789abcdef", .secret_size = 16};
static const char *const key_name = "key";

/* Some 5 MB. */
static void write_zone(char path[])
{
	char text[201] = "";
	int fd = mkstemp(path);
	assert_true(fd >= 0);
	FILE *file = fdopen(fd, "w");
	memset(text, 'x', 200);
	for (int i = 0; i < RECORDS; i++)
		fprintf(file, "n%d 60 TXT %s\n", i, text);
	assert_int_equal(fclose(file), 0);
}

static struct fixture *create(void)
{
	char path[] = "/tmp/summond-axfr-XXXXXX";
	struct fixture *fixture = fixture_create("127.0.0.1", (struct dns_config){0});
	const struct dns_rules rules = {.tsig_keys = &key, .tsig_key_count = 1};
	struct dns_zones *made = NULL;
	struct error err = ERROR_INIT;
	write_zone(path);
	const struct dns_zone_config both[] = {zones[0], {.origin = "large",
								 .servers = parent_servers,
								 .server_count = 1,
								 .file = path,
								 .transfer = &key_name,
								 .transfer_count = 1}};
	int rc = dns_zones_create(both, 2, &made, &err);
	unlink(path);
	if (rc < 0 || dns_use_rules(fixture->server, made, &rules, &err) < 0)
		fail_msg("%s", err.message);
	return fixture;
}

static void ask_transfer(int fd, uint16_t id)
{
	uint8_t frame[512];
	struct tsig tsig = {.name = "\3key", .name_size = 5, .secret_size = 16, .first = true};
	memcpy(tsig.secret, key.secret, 16);
	size_t size = bytes_query(frame + 2, id, "large", DNS_TYPE_AXFR);
	size = tsig_sign(&tsig, frame + 2, size, clock_real() / NS_PER_S);
	wire_put16(frame, (uint16_t)size);
	fixture_send(fd, frame, 2 + size);
}

/* What came, as frames. */
struct stream {
	uint8_t *bytes;
	size_t size, read;
};

/* Reads all that there is now; false: closed. */
static bool receive(struct stream *stream, int fd, size_t *more)
{
	*more = 0;
	for (;;) {
		stream->bytes = realloc(stream->bytes, stream->size + 65536);
		assert_non_null(stream->bytes);
		ssize_t got = recv(fd, stream->bytes + stream->size, 65536, MSG_DONTWAIT);
		if (got <= 0)
			return got < 0 && errno == EAGAIN;
		stream->size += (size_t)got;
		*more += (size_t)got;
	}
}

/* The next whole frame, or NULL. */
static const uint8_t *next_frame(struct stream *stream)
{
	const uint8_t *at = stream->bytes + stream->read;
	size_t left = stream->size - stream->read;
	if (left < 2 || left < 2u + wire_get16(at))
		return NULL;
	stream->read += 2u + wire_get16(at);
	return at + 2;
}

/* SOA at both ends, and one NS. */
#define ALL (RECORDS + 3)

static void others_are_served_meanwhile(void **state)
{
	(void)state;
	struct fixture *fixture = create();
	struct stream stream = {0};
	int fd = fixture_connect(fixture, "127.0.0.1", SOCK_STREAM);
	int other = fixture_connect(fixture, "127.0.0.1", SOCK_DGRAM);
	uint8_t query[64], answer[512];
	size_t records = 0, answered = 0, more;
	ask_transfer(fd, 1);
	uint64_t since = clock_monotonic();
	while (records < ALL) {
		fixture_send(other, query, bytes_query(query, 2, WWW_A, DNS_TYPE_A));
		uv_run(&fixture->loop, UV_RUN_NOWAIT);
		assert_true(receive(&stream, fd, &more));
		/* However much the kernel would take, one turn makes no more than this: libuv comes
		 * back to a write that is done eight times. */
		assert_in_range(more, 0, 512 << 10);
		for (const uint8_t *frame; (frame = next_frame(&stream));)
			records += wire_get16(frame + 6);
		answered += recv(other, answer, sizeof(answer), MSG_DONTWAIT) > 0;
		assert_true(clock_monotonic() - since < HANG_MS * NS_PER_MS);
	}
	assert_int_equal(records, ALL);
	assert_true(answered > 5);
	free(stream.bytes);
	close(fd);
	close(other);
	fixture_destroy(fixture);
}

static void late_answers_come_between(void **state)
{
	(void)state;
	enum { WAITING = 128 };
	struct fixture *fixture = create();
	struct stream stream = {0};
	int fd = fixture_connect(fixture, "127.0.0.1", SOCK_STREAM);
	size_t records = 0, answered = 0, more;
	fixture->daemon.reply = DNS_REPLY_LATER;
	for (uint16_t i = 0; i < WAITING; i++)
		fixture_ask_tcp(fd, (uint16_t)(1000 + i), WWW_A, DNS_TYPE_A);
	fixture_wait_asked(fixture, WAITING);
	const struct dns_query_id last = fixture->daemon.asked.id;
	ask_transfer(fd, 1);
	/* Until no more of it is taken: the client does not read yet. */
	for (int i = 0; i < 200; i++)
		fixture_turn(fixture);
	for (uint32_t i = 0; i < WAITING; i++)
		dns_answer(fixture->server, (struct dns_query_id){last.slot - i, last.generation},
			DNS_REPLY_ADDRESS, NULL);
	uint64_t since = clock_monotonic();
	while (records < ALL || answered < WAITING) {
		fixture_turn(fixture);
		assert_true(receive(&stream, fd, &more));
		for (const uint8_t *frame; (frame = next_frame(&stream));) {
			if (wire_get16(frame) == 1) {
				records += wire_get16(frame + 6);
				continue;
			}
			assert_in_range(wire_get16(frame), 1000, 1000 + WAITING - 1);
			assert_int_equal(frame[3] & DNS_RCODE_MASK, DNS_RCODE_NOERROR);
			assert_int_equal(wire_get16(frame + 6), 1);
			answered++;
		}
		assert_true(clock_monotonic() - since < HANG_MS * NS_PER_MS);
	}
	assert_int_equal(records, ALL);
	assert_int_equal(answered, WAITING);
	assert_int_equal(dns_server_counters(fixture->server)->dropped, 0);
	free(stream.bytes);
	close(fd);
	fixture_destroy(fixture);
}

/* Queries behind that for the zone are answered behind it, to a client that sends no more. */
static void what_comes_behind_is_answered(void **state)
{
	(void)state;
	struct fixture *fixture = create();
	struct stream stream = {0};
	int fd = fixture_connect(fixture, "127.0.0.1", SOCK_STREAM);
	size_t records = 0, more;
	bool open = true;
	unsigned last = 0;
	ask_transfer(fd, 1);
	fixture_ask_tcp(fd, 2, WWW_A, DNS_TYPE_A);
	ask_transfer(fd, 3);
	fixture_ask_tcp(fd, 4, WWW_A, DNS_TYPE_A);
	assert_int_equal(shutdown(fd, SHUT_WR), 0);
	uint64_t since = clock_monotonic();
	while (open) {
		fixture_turn(fixture);
		open = receive(&stream, fd, &more);
		for (const uint8_t *frame; (frame = next_frame(&stream));) {
			records += wire_get16(frame + 6);
			assert_in_range(wire_get16(frame), last, last + 1);
			last = wire_get16(frame);
		}
		assert_true(clock_monotonic() - since < HANG_MS * NS_PER_MS);
	}
	assert_int_equal(last, 4);
	assert_int_equal(records, 2 * ALL + 2);
	free(stream.bytes);
	close(fd);
	fixture_destroy(fixture);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(others_are_served_meanwhile),
		cmocka_unit_test(late_answers_come_between),
		cmocka_unit_test(what_comes_behind_is_answered),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

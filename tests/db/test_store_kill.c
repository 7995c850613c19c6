/* SPDX-License-Identifier: ISC */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/units.h"
#include "db/history.h"
#include "tests/unit/random.h"

/*
 * A child changes the store as fast as it can. It says over a pipe what it is about to do, does it,
 * and says that it is done. The parent kills it at a random moment, opens the store and compares:
 * whatever was done is there; the one change that was under way is there as a whole or not at all.
 * (The system goes on running: what a loss of power does is up to SQLite and its fsync.)
 */

enum { KILLS = 300, NEW_FILE_EVERY = 50 };

/* Objects have a value; 0 is "does not exist". The journal's is the last summon written. */
enum { SERVICES = 12, POLICIES = 4, JOURNAL = SERVICES + POLICIES, OBJECTS };
enum { STAGES = 3, SUMMONS_KEPT = 100 };
#define JOURNAL_SERVICE "journal.example"

struct change {
	uint32_t object;
	uint32_t done;
	uint64_t value;
};

struct world {
	uint64_t values[OBJECTS];
	uint32_t ids[SERVICES];
	uint32_t journal_service;
};

static const char path[] = "store_kill.db";

static void remove_database(void)
{
	unlink("store_kill.db");
	unlink("store_kill.db-wal");
	unlink("store_kill.db-shm");
	unlink("store_kill.db-journal");
}

/* --- changing, in the child --- */

static int put_service(
	struct store *store, uint32_t id, unsigned number, uint64_t value, struct error *err)
{
	struct store_service s = {.id = id, .memory = value, .backend = "sim", .policy = "default"};
	snprintf(s.name, sizeof(s.name), "s%u.example", number);
	s.ipv4 = (struct ip_address){AF_INET, {10, 0, 0, (uint8_t)(1 + number)}};
	return store_put_service(store, &s, err);
}

static int put_policy(struct store *store, unsigned number, uint64_t value, struct error *err)
{
	struct policy p;
	char name[16];
	snprintf(name, sizeof(name), "p%u", number);
	policy_init(&p, name);
	p.idle_after = 60 * NS_PER_S + value;
	return value ? store_put_policy(store, &p, err) : store_remove_policy(store, name, err);
}

/* The summon comes before its stages, so that half a batch would be seen. */
static int write_batch(struct store *store, uint32_t service, uint64_t summon, struct error *err)
{
	struct history_entry batch[1 + STAGES];
	for (unsigned i = 0; i < 1 + STAGES; i++)
		batch[i] = (struct history_entry){.kind = i ? HISTORY_STAGE : HISTORY_SUMMON,
			.service = service,
			.summon = summon,
			.word = "word",
			.elapsed = i};
	int rc = history_write(store, batch, 1 + STAGES, err);
	if (rc == 0 && summon % 32 == 0)
		rc = history_trim(store, SUMMONS_KEPT, SUMMONS_KEPT, err);
	return rc < 0 ? rc : 0;
}

static int make_change(struct store *store, const struct world *world, const struct change *change,
	struct error *err)
{
	unsigned object = change->object;
	if (object == JOURNAL)
		return write_batch(store, world->journal_service, change->value, err);
	if (object >= SERVICES)
		return put_policy(store, object - SERVICES, change->value, err);
	return change->value ? put_service(store, world->ids[object], object, change->value, err)
			     : store_remove_service(store, world->ids[object], err);
}

/* --- looking, in both --- */

static int see_service(void *ctx, const struct store_service *s)
{
	struct world *world = ctx;
	unsigned number;
	if (strcmp(s->name, JOURNAL_SERVICE) == 0) {
		world->journal_service = s->id;
		return 0;
	}
	if (sscanf(s->name, "s%u.", &number) != 1 || number >= SERVICES || !s->memory ||
		s->ipv4.bytes[3] != 1 + number)
		return -EBADMSG;
	world->values[number] = s->memory;
	world->ids[number] = s->id;
	return 0;
}

static int see_policy(void *ctx, const struct policy *p)
{
	struct world *world = ctx;
	unsigned number;
	if (strcmp(p->name, "default") == 0)
		return 0;
	if (sscanf(p->name, "p%u", &number) != 1 || number >= POLICIES)
		return -EBADMSG;
	world->values[SERVICES + number] = p->idle_after - 60 * NS_PER_S;
	return 0;
}

static int look(struct store *store, struct world *world, struct error *err)
{
	uint64_t next = 0;
	memset(world, 0, sizeof(*world));
	int rc = store_each_service(store, see_service, world, err);
	if (rc == 0)
		rc = store_each_policy(store, see_policy, world, err);
	if (rc == 0)
		rc = history_next_summon(store, &next, err);
	world->values[JOURNAL] = next - 1;
	return rc;
}

/* --- the child --- */

static void tell(int fd, const struct change *change)
{
	if (write(fd, change, sizeof(*change)) != (ssize_t)sizeof(*change))
		_exit(0);
}

static struct change choose(struct random *random, const struct world *world)
{
	struct change change = {.object = (uint32_t)random_below(random, OBJECTS)};
	uint64_t old = world->values[change.object];
	if (change.object == JOURNAL)
		change.value = old + 1;
	else if (!old || random_below(random, 3))
		change.value = 1 + random_below(random, 1000000);
	return change;
}

static int work(int fd, uint64_t seed, struct error *err)
{
	struct random random = {seed};
	struct store *store;
	struct world world;
	int rc = store_open(path, &store, err);
	if (rc == 0)
		rc = look(store, &world, err);
	if (rc == 0 && !world.journal_service) {
		struct store_service s = {
			.name = JOURNAL_SERVICE, .backend = "sim", .policy = "default"};
		rc = store_put_service(store, &s, err);
	}
	while (rc == 0) {
		rc = look(store, &world, err);
		for (unsigned i = 0; rc == 0 && i < 4; i++) {
			struct change change = choose(&random, &world);
			tell(fd, &change);
			rc = make_change(store, &world, &change, err);
			change.done = 1;
			if (rc == 0)
				tell(fd, &change);
			if (change.object != JOURNAL)
				break; /* ids may have changed: look again */
			world.values[JOURNAL]++;
		}
	}
	return rc;
}

static _Noreturn void be_child(int fd, uint64_t seed)
{
	struct error err = ERROR_INIT;
	work(fd, seed, &err);
	fprintf(stderr, "# child: %s\n", err.message);
	_exit(1);
}

/* --- the parent --- */

/* Applies what was done to `model`; gives the change that was under way, object OBJECTS for none. */
static struct change hear(int fd, uint64_t model[OBJECTS], unsigned *done, bool ever[SERVICES])
{
	struct change change, pending = {.object = OBJECTS};
	while (read(fd, &change, sizeof(change)) == (ssize_t)sizeof(change)) {
		if (!change.done) {
			pending = change;
			continue;
		}
		model[change.object] = change.value;
		if (change.object < SERVICES && change.value)
			ever[change.object] = true;
		pending.object = OBJECTS;
		++*done;
	}
	return pending;
}

static int count_entry(void *ctx, const struct history_entry *entry)
{
	(void)entry;
	++*(unsigned *)ctx;
	return 0;
}

static void check_summon(struct store *store, uint64_t summon, bool must_exist)
{
	struct history_entry entry;
	unsigned stages = 0;
	int rc = history_find_summon(store, summon, &entry, NULL);
	assert_true(rc == 0 || (rc == -ENOENT && !must_exist));
	assert_int_equal(history_each_stage(store, summon, count_entry, &stages, NULL), 0);
	assert_int_equal(stages, rc == 0 ? STAGES : 0);
}

static int see_address(void *ctx, const char *name, const struct ip_address *address)
{
	bool *seen = ctx;
	unsigned number = address->bytes[3] - 1u;
	char expected[32];
	snprintf(expected, sizeof(expected), "s%u.example", number);
	if (number >= SERVICES || strcmp(name, expected) != 0)
		return -EBADMSG;
	seen[number] = true;
	return 0;
}

static void check_addresses(struct store *store, const bool ever[SERVICES])
{
	bool seen[SERVICES] = {0};
	assert_int_equal(store_each_reserved(store, see_address, seen, NULL), 0);
	for (unsigned i = 0; i < SERVICES; i++)
		assert_true(seen[i] || !ever[i]);
}

/* store_open itself looks through the whole file for damage. */
static void check(uint64_t model[OBJECTS], const struct change *pending, const bool ever[SERVICES])
{
	struct store *store;
	struct world world;
	struct error err = ERROR_INIT;
	if (store_open(path, &store, &err) < 0 || look(store, &world, &err) < 0)
		fail_msg("after a kill: %s",
			err.message[0] ? err.message : "a row that no change leaves behind");
	for (unsigned i = 0; i < OBJECTS; i++)
		if (world.values[i] != model[i] &&
			(i != pending->object || world.values[i] != pending->value))
			fail_msg("object %u has %llu; %llu was acknowledged", i,
				(unsigned long long)world.values[i], (unsigned long long)model[i]);
	if (model[JOURNAL])
		check_summon(store, model[JOURNAL], true);
	check_summon(store, model[JOURNAL] + 1, world.values[JOURNAL] > model[JOURNAL]);
	check_addresses(store, ever);
	memcpy(model, world.values, sizeof(world.values));
	store_close(store);
}

/* From no time at all (the file is still being made) to a tenth of a second. */
static void wait_a_little(struct random *random)
{
	long us = (long)random_below(random, 1ull << (4 + random_below(random, 14)));
	struct timespec pause = {.tv_nsec = us * 1000};
	nanosleep(&pause, NULL);
}

static void killed_at_any_instant(void **state)
{
	struct random random = {6};
	uint64_t model[OBJECTS] = {0};
	bool ever[SERVICES] = {0};
	unsigned done = 0, under_way = 0;
	(void)state;
	for (unsigned kill_number = 0; kill_number < KILLS; kill_number++) {
		int fds[2], status;
		if (kill_number % NEW_FILE_EVERY == 0) {
			remove_database();
			memset(model, 0, sizeof(model));
			memset(ever, 0, sizeof(ever));
		}
		assert_int_equal(pipe(fds), 0);
		pid_t child = fork();
		assert_true(child >= 0);
		if (child == 0) {
			close(fds[0]);
			be_child(fds[1], random_next(&random));
		}
		close(fds[1]);
		random_next(&random);
		wait_a_little(&random);
		kill(child, SIGKILL);
		assert_int_equal(waitpid(child, &status, 0), child);
		assert_true(WIFSIGNALED(status));
		struct change pending = hear(fds[0], model, &done, ever);
		under_way += pending.object != OBJECTS;
		close(fds[0]);
		check(model, &pending, ever);
	}
	remove_database();
	print_message("# %d kills, %u of them in a change; %u changes acknowledged\n", KILLS,
		under_way, done);
	assert_true(under_way > KILLS / 20);
	assert_true(done > KILLS / 10); /* on a busy machine few changes fit between two kills */
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(killed_at_any_instant),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: ISC */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>
#include <uv.h>

#include "launcher/link/announcer.h"

/* --- somebody who hears what is said, and has the thread wait after each word --- */

struct hearer {
	uv_thread_t caller;
	uv_mutex_t mutex;
	uv_sem_t heard, go_on;
	char text[256];
};

static void hear(void *ctx, const struct ip_address *address, const struct mac_address *mac)
{
	struct hearer *hearer = ctx;
	uv_thread_t self = uv_thread_self();
	bool is_caller = uv_thread_equal(&self, &hearer->caller);
	char word[32];
	if (mac)
		snprintf(word, sizeof(word), "%u:%u", address->bytes[3], mac->bytes[5]);
	else
		snprintf(word, sizeof(word), "%u:host", address->bytes[3]);
	uv_mutex_lock(&hearer->mutex);
	size_t size = strlen(hearer->text);
	snprintf(hearer->text + size, sizeof(hearer->text) - size, "%s%s ", is_caller ? "!" : "",
		word);
	uv_mutex_unlock(&hearer->mutex);
	if (is_caller)
		return;
	uv_sem_post(&hearer->heard);
	uv_sem_wait(&hearer->go_on);
}

static void let(struct hearer *hearer, int words)
{
	for (int i = 0; i < words; i++) {
		uv_sem_post(&hearer->go_on);
		uv_sem_wait(&hearer->heard);
	}
}

static void hearer_init(struct hearer *hearer)
{
	*hearer = (struct hearer){.caller = uv_thread_self()};
	uv_mutex_init(&hearer->mutex);
	uv_sem_init(&hearer->heard, 0);
	uv_sem_init(&hearer->go_on, 0);
}

static void hearer_finish(struct hearer *hearer)
{
	uv_mutex_destroy(&hearer->mutex);
	uv_sem_destroy(&hearer->heard);
	uv_sem_destroy(&hearer->go_on);
}

static struct ip_address address_of(uint8_t number)
{
	return (struct ip_address){AF_INET, {10, 77, 0, number}};
}

static void put(struct announcer *announcer, uint8_t number, uint8_t mac)
{
	const struct ip_address address = address_of(number);
	const struct mac_address guest = {{2, 0, 0, 0, 0, mac}};
	announcer_put(announcer, &address, mac ? &guest : NULL);
}

static void say_host(struct announcer *announcer, uint8_t number)
{
	const struct ip_address address = address_of(number);
	announcer_say(announcer, &address, NULL);
}

/* --- what is heard --- */

static void the_newest_is_said_and_the_host_first(void **state)
{
	(void)state;
	struct hearer hearer;
	struct announcer *announcer;
	hearer_init(&hearer);
	assert_int_equal(announcer_create(hear, &hearer, &announcer, NULL), 0);
	put(announcer, 1, 11);
	uv_sem_wait(&hearer.heard); /* it is being said */
	put(announcer, 2, 12);
	put(announcer, 3, 13);
	put(announcer, 4, 0);
	put(announcer, 3, 0);
	put(announcer, 4, 14);
	put(announcer, 2, 22);
	put(announcer, 5, 0);
	let(&hearer, 4);
	uv_sem_post(&hearer.go_on);
	announcer_destroy(announcer);
	assert_string_equal(hearer.text, "1:11 3:host 5:host 2:22 4:14 ");
	hearer_finish(&hearer);
}

/* Nothing of the thread's is heard after it. */
static void what_is_said_now_is_the_last_word(void **state)
{
	(void)state;
	struct hearer hearer;
	struct announcer *announcer;
	hearer_init(&hearer);
	assert_int_equal(announcer_create(hear, &hearer, &announcer, NULL), 0);
	put(announcer, 1, 11);
	uv_sem_wait(&hearer.heard);
	put(announcer, 2, 12);
	say_host(announcer, 1);
	say_host(announcer, 2);
	let(&hearer, 1);
	uv_sem_post(&hearer.go_on);
	announcer_destroy(announcer);
	assert_string_equal(hearer.text, "1:11 !1:host !2:host 1:host ");
	hearer_finish(&hearer);
}

static void its_end_leaves_nothing_of_the_host_unsaid(void **state)
{
	(void)state;
	struct hearer hearer;
	struct announcer *announcer;
	hearer_init(&hearer);
	assert_int_equal(announcer_create(hear, &hearer, &announcer, NULL), 0);
	put(announcer, 1, 0);
	uv_sem_wait(&hearer.heard);
	for (uint8_t number = 2; number < 20; number++)
		put(announcer, number, number % 2 ? 0 : 1);
	/* Whoever of the two says it. */
	for (int i = 0; i < 20; i++)
		uv_sem_post(&hearer.go_on);
	announcer_destroy(announcer);
	for (int number = 1; number < 20; number += 2) {
		char word[16];
		snprintf(word, sizeof(word), "%d:host ", number);
		assert_non_null(strstr(hearer.text, word));
	}
	hearer_finish(&hearer);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_newest_is_said_and_the_host_first),
		cmocka_unit_test(what_is_said_now_is_the_last_word),
		cmocka_unit_test(its_end_leaves_nothing_of_the_host_unsaid),
	};
	return cmocka_run_group_tests_name("announcer", tests, NULL, NULL);
}

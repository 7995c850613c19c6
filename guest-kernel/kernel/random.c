/* SPDX-License-Identifier: ISC */
#include "guest-kernel/kernel/random.h"

#include <stdbool.h>
#include <string.h>

#include "guest-kernel/kernel/cpu.h"

#define KEY_WORDS     8
#define BLOCK_WORDS   16
#define ROUNDS        20
#define JITTER_ROUNDS 32

/* ChaCha20 (RFC 8439, 2.3) as a generator: the first half of every block is the next key, so that
 * what was given out cannot be computed from what is in memory now. */
static struct {
	uint32_t key[KEY_WORDS];
	uint32_t block[BLOCK_WORDS];
	unsigned next; /* of block, the next word to give out */
	bool given;    /* the platform has given random bytes */
} generator;

static uint32_t rotate(uint32_t x, int n)
{
	return x << n | x >> (32 - n);
}

static void quarter_round(uint32_t *a, uint32_t *b, uint32_t *c, uint32_t *d)
{
	*a += *b, *d = rotate(*d ^ *a, 16);
	*c += *d, *b = rotate(*b ^ *c, 12);
	*a += *b, *d = rotate(*d ^ *a, 8);
	*c += *d, *b = rotate(*b ^ *c, 7);
}

static void make_block(void)
{
	uint32_t input[BLOCK_WORDS] = {0x61707865, 0x3320646e, 0x79622d32, 0x6b206574};
	memcpy(input + 4, generator.key, sizeof(generator.key));
	uint32_t *x = generator.block;
	memcpy(x, input, sizeof(input));
	for (int i = 0; i < ROUNDS; i += 2) {
		for (int c = 0; c < 4; c++)
			quarter_round(x + c, x + 4 + c, x + 8 + c, x + 12 + c);
		for (int c = 0; c < 4; c++)
			quarter_round(x + c, x + 4 + (c + 1) % 4, x + 8 + (c + 2) % 4,
				x + 12 + (c + 3) % 4);
	}
	for (int i = 0; i < BLOCK_WORDS; i++)
		x[i] += input[i];
	memcpy(generator.key, x, sizeof(generator.key));
	generator.next = KEY_WORDS;
}

uint32_t random_u32(void)
{
	if (generator.next == 0 || generator.next == BLOCK_WORDS)
		make_block();
	uint32_t word = generator.block[generator.next];
	generator.block[generator.next++] = 0;
	return word;
}

static bool cpu_random(uint64_t *out)
{
	for (int i = 0; i < 10; i++) {
		uint8_t ok;
		__asm__ volatile("rdrand %0; setc %1" : "=r"(*out), "=qm"(ok));
		if (ok)
			return true;
	}
	return false;
}

static void mix(unsigned at, uint64_t value)
{
	generator.key[at % KEY_WORDS] ^= (uint32_t)value;
	generator.key[(at + 1) % KEY_WORDS] ^= (uint32_t)(value >> 32);
}

static int hex_digit(char c)
{
	static const char digits[] = "0123456789abcdef";
	const char *at = c ? strchr(digits, c | 0x20) : NULL;
	return at ? (int)(at - digits) : -1;
}

static void mix_seed(const char *seed)
{
	for (unsigned i = 0; hex_digit(seed[i]) >= 0; i++)
		mix(i / 8, (uint64_t)hex_digit(seed[i]) << 4 * (i % 8));
}

void random_add(const uint8_t *bytes, size_t size)
{
	for (size_t i = 0; i < size; i++)
		generator.key[i / 4 % KEY_WORDS] ^= (uint32_t)bytes[i] << 8 * (i % 4);
	generator.given = true;
}

/* The CPU's own generator, where it has one, and the jitter of its counter. */
static void mix_cpu(void)
{
	const uint32_t rdrand = 1u << 30;
	uint64_t value = 0;
	bool has_rdrand = cpuid(1).c & rdrand;
	for (unsigned i = 0; has_rdrand && i < KEY_WORDS && cpu_random(&value); i += 2)
		mix(i, value);
	for (unsigned i = 0; i < JITTER_ROUNDS; i++)
		mix(i, rotate((uint32_t)rdtsc(), (int)(i % 31) + 1));
}

void random_init(const char *seed)
{
	/* The host draws from the same sources, and from more; asking the CPU leaves the guest. */
	if (!generator.given)
		mix_cpu();
	if (seed)
		mix_seed(seed);
	make_block();
}

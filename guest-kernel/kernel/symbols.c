/* SPDX-License-Identifier: ISC */
#include "guest-kernel/kernel/symbols.h"

#include <stddef.h>

/*
 * The section .symbols is room that kernel/image.py fills after linking: a count, that many
 * entries in the order of their addresses, then the names, each ended by NUL. A count of zero (an
 * image that image.py has not seen) means no names.
 */
struct symbol {
	uint32_t address, name; /* the name's offset from the start of the section */
};

struct symbol_table {
	uint32_t count;
	struct symbol symbols[];
};

#define SYMBOLS_ROOM 24576

__attribute__((section(".symbols"), used)) static const char room[SYMBOLS_ROOM] = {0};

const char *symbol_find(uint64_t address, uint64_t *offset)
{
	const struct symbol_table *table = (const struct symbol_table *)(const void *)room;
	/* The compiler must not believe in the zeros above. */
	__asm__("" : "+r"(table));
	size_t low = 0, high = table->count;
	while (low < high) {
		size_t middle = (low + high) / 2;
		if (table->symbols[middle].address <= address)
			low = middle + 1;
		else
			high = middle;
	}
	*offset = low ? address - table->symbols[low - 1].address : address;
	return low ? (const char *)table + table->symbols[low - 1].name : "?";
}

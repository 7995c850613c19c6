/* SPDX-License-Identifier: ISC */
#ifndef LAUNCHER_LINK_MAC_H
#define LAUNCHER_LINK_MAC_H

#include <stdint.h>

#include "base/address.h"

/* A MAC as a filter in the kernel (classic BPF) compares it: with what it loads as a word of four bytes, and
 * as a half one of the two behind them. */
static inline uint32_t mac_upper(const struct mac_address *mac)
{
	const uint8_t *bytes = mac->bytes;
	return (uint32_t)bytes[0] << 24 | (uint32_t)bytes[1] << 16 | (uint32_t)bytes[2] << 8 |
	       bytes[3];
}

static inline uint16_t mac_lower(const struct mac_address *mac)
{
	return (uint16_t)(mac->bytes[4] << 8 | mac->bytes[5]);
}

#endif

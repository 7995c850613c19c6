/* SPDX-License-Identifier: ISC */
#ifndef DNS_HTTPS_H
#define DNS_HTTPS_H

#include "base/error.h"
#include "dns/block.h"

/*
 * The HTTPS record of a service (RFC 9460): of priority 1, for the name itself, with parameters in the
 * form of zone files. *out is of malloc. -EINVAL says what is wrong with them; -ENOMEM.
 */
int https_compile(const char *parameters, uint32_t ttl, struct block **out, struct error *err);

#endif

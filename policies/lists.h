/* SPDX-License-Identifier: ISC */
#ifndef POLICIES_LISTS_H
#define POLICIES_LISTS_H

#include "policies/policy.h"

/* The kinds of option that hold more than one thing, from and to text. A parser writes *out only
 * where it returns true; a printer is false for a value that no text gives. */

/* "80 443 8000-8099", "any" or "none"; printed in order and joined where they touch. */
bool ports_parse(const char *text, struct policy_ports *out);
bool ports_print(const struct policy_ports *ports, char text[POLICY_VALUE_MAX + 1]);
bool ports_contain(const struct policy_ports *ports, uint16_t port);

/* "10.0.0.0/8 fd00::/8", "any" or "none". */
bool prefixes_parse(const char *text, struct policy_prefixes *out);
bool prefixes_print(const struct policy_prefixes *prefixes, char text[POLICY_VALUE_MAX + 1]);
bool prefixes_contain(const struct policy_prefixes *prefixes, const struct ip_address *address);

/* "30/1min", or "none". */
bool rate_parse(const char *text, struct budget_rate *out);
bool rate_print(const struct budget_rate *rate, char text[POLICY_VALUE_MAX + 1]);

/* "db.example.org cache.example.org", or "none": host names in lower case, none twice. What is kept
 * is the text, "" for none; list_next() goes through it. */
bool hosts_parse(const char *text, char out[POLICY_VALUE_MAX + 1]);
bool hosts_print(const char *hosts, char text[POLICY_VALUE_MAX + 1]);
/* The next word at *at, which is moved behind it; false at the end. */
bool list_next(const char **at, char word[POLICY_VALUE_MAX + 1]);

/* "snapshot after 10min, destroy after 1d", or "none". */
bool tiers_parse(const char *text, struct policy_tiers *out);
bool tiers_print(const struct policy_tiers *tiers, char text[POLICY_VALUE_MAX + 1]);

#endif

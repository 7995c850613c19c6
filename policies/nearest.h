/* SPDX-License-Identifier: ISC */
#ifndef POLICIES_NEAREST_H
#define POLICIES_NEAREST_H

#include "policies/policy.h"

/* The option whose name a person most likely meant by `typed`; NULL where none is close. */
const struct policy_option *nearest_option(const char *typed);

#endif

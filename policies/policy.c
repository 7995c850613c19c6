/* SPDX-License-Identifier: ISC */
#include "policies/policy.h"

/* SPDX-License-Identifier: ISC */
#include "dns/dns.h"

/* SPDX-License-Identifier: ISC */
#include "launcher/link/link.h"
#include "launcher/link/readiness.h"

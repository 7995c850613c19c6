/* SPDX-License-Identifier: ISC */
#include "db/history.h"

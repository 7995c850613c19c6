/* SPDX-License-Identifier: ISC */
#include "policies/decide.h"

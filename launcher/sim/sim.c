/* SPDX-License-Identifier: ISC */
#include "launcher/launcher.h"

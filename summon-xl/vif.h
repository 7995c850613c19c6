/* SPDX-License-Identifier: ISC */
#ifndef SUMMON_XL_VIF_H
#define SUMMON_XL_VIF_H

#include <stdint.h>
#include <xenstore.h>

#include "base/error.h"

/*
 * Brings the network device of a domain's first interface, which dom0's netback has made as
 * vif<domid>.0, onto the bridge under the given name, up, and tells netback so. This is what the
 * hotplug script vif-bridge does, in a few ioctls instead of some forty processes.
 */
int vif_attach(struct xs_handle *store, uint32_t domid, const char *name, const char *bridge,
	struct error *err);

#endif

/* SPDX-License-Identifier: ISC */
#ifndef SUMMON_XL_VIF_H
#define SUMMON_XL_VIF_H

#include <stdint.h>
#include <xenstore.h>

#include "base/error.h"

/*
 * Brings the network device of a domain's interface, which dom0's netback has made as
 * vif<domid>.<index>, onto the bridge, under the given name unless that is "", up, and tells netback
 * so. This is what the
 * hotplug script vif-bridge does, in a few ioctls instead of some forty processes.
 */
int vif_attach(struct xs_handle *store, uint32_t domid, unsigned index, const char *name,
	const char *bridge, struct error *err);

#endif

/* SPDX-License-Identifier: ISC */
#ifndef SUMMON_XL_GUEST_CONFIG_H
#define SUMMON_XL_GUEST_CONFIG_H

#include <libxl.h>

#include "base/error.h"
#include "summon-xl/identity.h"
#include "summon-xl/include/protocol.h"

/* A START as it was sent; the texts point into it. */
struct start_request {
	struct xl_start head;
	const char *service, *kernel, *initrd, *device, *bridge, *cmdline;
	const char *name, *uuid, *nics, *disks, *rumprun_config, *ready_key;
};

/* -EINVAL where it is not whole. */
int start_request_read(
	const char *text, size_t size, struct start_request *request, struct error *err);

/* What summon-xl writes down in xenstore, below the domain's own folder, where the guest can read
 * but not write. MADE comes last: a domain without it is unfinished, and of no use to anybody. */
#define MARK_OWNER     "summond/owner" /* for those with a UUID of the user's: ours in its place */
#define MARK_SERVICE   "summond/service"
#define MARK_DEVICE    "summond/device"
#define MARK_READY_KEY "summond/ready-key"
#define MARK_MADE      "summond/started-at" /* nanoseconds of real time */
#define MARK_RAN       "summond/ran"        /* "1": in another domain, before it was saved */
#define MARK_SAVING    "summond/saving"     /* "1" while it is */

/* The script of interfaces that we bring up ourselves (vif.h). libxl insists on one (it can only be
 * told to run none for all domains of a host at once): this is the quickest. */
#define NIC_SCRIPT "/bin/true"

/* Fills a configuration, for libxl_domain_config_dispose() in any case. */
int guest_config_make(libxl_ctx *ctx, const struct start_request *request, uint64_t identity,
	struct guest_id id, libxl_domain_config *config, struct error *err);

#endif

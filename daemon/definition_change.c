/* SPDX-License-Identifier: ISC */
#include <string.h>

#include "daemon/definition.h"

/* What a new definition means for a guest of the old one. */

static bool same_text(const char *a, const char *b)
{
	return a == b || (a && b && strcmp(a, b) == 0);
}

bool definition_boots_differently(const struct store_service *a, const struct store_service *b)
{
	return !same_text(a->image, b->image) || !same_text(a->initrd, b->initrd) ||
	       !same_text(a->cmdline, b->cmdline) || !same_text(a->domain_xml, b->domain_xml) ||
	       !same_text(a->kernel_line, b->kernel_line) ||
	       !same_text(a->domain_name, b->domain_name) || !same_text(a->uuid, b->uuid) ||
	       !same_text(a->nics, b->nics) || !same_text(a->disks, b->disks) ||
	       !same_text(a->rumprun_config, b->rumprun_config) || a->memory != b->memory ||
	       a->vcpus != b->vcpus || strcmp(a->backend, b->backend) != 0;
}

bool definition_moved(const struct store_service *a, const struct store_service *b)
{
	for (size_t i = 0; i < ADDRESSES_MAX; i++)
		if (!ip_address_equal(&a->addresses[i], &b->addresses[i]))
			return true;
	return false;
}

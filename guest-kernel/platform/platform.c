/* SPDX-License-Identifier: ISC */
#include "guest-kernel/platform/platform.h"

/* In the order in which they are asked; the last takes any machine. */
static const struct platform *const platforms[] = {&platform_vmm, &platform_xen, &platform_qemu};

const struct platform *platform(void)
{
	static const struct platform *found;
	const size_t count = sizeof(platforms) / sizeof(platforms[0]);
	for (size_t i = 0; !found && i < count; i++)
		if (i + 1 == count || platforms[i]->detect())
			found = platforms[i];
	return found;
}

/* SPDX-License-Identifier: ISC */
#ifndef LAUNCHER_LIBVIRT_HOST_H
#define LAUNCHER_LIBVIRT_HOST_H

#include "launcher/libvirt/settings.h"

/* Decides about KVM, and says why in `reason`; hides it from the embedded driver, in the calling
 * thread and what that makes, where it is no good. Blocks for up to half a second. */
enum domain_type host_inspect(
	const struct libvirt_settings *settings, char *reason, size_t reason_size);

#endif

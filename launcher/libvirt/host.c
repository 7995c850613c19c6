/* SPDX-License-Identifier: ISC */
#include "launcher/libvirt/host.h"

#include <stdio.h>

#include "launcher/libvirt/embed.h"
#include "launcher/libvirt/probe.h"

enum domain_type host_inspect(
	const struct libvirt_settings *settings, char *reason, size_t reason_size)
{
	enum domain_type type = settings->type;
	struct error err = ERROR_INIT;
	snprintf(reason, reason_size, "as configured");
	if (settings->type == DOMAIN_AUTO && !settings->local) {
		type = DOMAIN_KVM;
		snprintf(reason, reason_size, "the host is not this one");
	} else if (settings->type == DOMAIN_AUTO && settings->qemu) {
		bool good = kvm_probe(&err) == 0;
		type = good ? DOMAIN_KVM : DOMAIN_QEMU;
		snprintf(reason, reason_size, "%.*s", (int)reason_size - 1,
			good ? "KVM runs guest code" : err.message);
	}
	if (settings->root && type == DOMAIN_QEMU)
		embed_hide_kvm(settings->root, NULL); /* without it libvirt is slow, no more */
	return type;
}

/* SPDX-License-Identifier: ISC */
#ifndef LAUNCHER_LIBVIRT_SETTINGS_H
#define LAUNCHER_LIBVIRT_SETTINGS_H

#include "launcher/launcher.h"

/*
 * The libvirt backend's settings:
 *
 *   uri              qemu:///embed?root=<state_dir>/libvirt   the QEMU driver in our own process,
 *                    no libvirtd; or any other (qemu:///system, qemu+ssh://host/system, xen:///,
 *                    test:///default). What is not QEMU needs a domain_xml for each service.
 *   domain_type      auto    "kvm", "qemu" (no hardware virtualisation), or decided by running
 *                            some guest code
 *   machine          microvm QEMU's machine for guests without a domain_xml
 *   emulator                 path of QEMU; libvirt's choice where it is not given
 *   skip_cpu_report  yes     takes libvirt's capability "cpu-unavailable-features" from the
 *                            domain: 9.0 asks QEMU some 400 questions at each start otherwise
 *                            (240 ms). libvirt marks ("taints") such a domain; "no" for a libvirt
 *                            whose administrator minds. Ignored where the URI is not QEMU's.
 *   workers          8       operations at a time (1 to 64; embedded 8, else 5, which is
 *                            libvirtd's limit for one client)
 */
enum domain_type { DOMAIN_AUTO, DOMAIN_KVM, DOMAIN_QEMU };

struct libvirt_settings {
	char *uri, *machine, *emulator;
	char *root; /* of the embedded driver, else NULL */
	enum domain_type type;
	bool skip_cpu_report;
	bool qemu;  /* the URI is of the QEMU driver */
	bool local; /* the hypervisor is on this host */
	unsigned workers;
};

int libvirt_settings_init(
	struct libvirt_settings *settings, const struct launcher_config *config, struct error *err);
void libvirt_settings_finish(struct libvirt_settings *settings);

#endif

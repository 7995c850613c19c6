/* SPDX-License-Identifier: ISC */
#include "daemon/isolate.h"

#include <cap-ng.h>
#include <errno.h>
#include <stddef.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>

/* Every capability that is kept, and why. A libvirt that is embedded is the one that wants most of
 * them: it sets up and starts QEMU from inside this process. */
static const struct {
	unsigned capability;
	const char *reason;
} kept[] = {
	{CAP_NET_ADMIN, "bridge, taps, routes, neighbours"},
	{CAP_NET_RAW, "packet sockets: first frame of a guest"},
	{CAP_NET_BIND_SERVICE, "port 53"},
	{CAP_CHOWN, "embedded libvirt gives files to QEMU's user; group of the control socket"},
	{CAP_DAC_OVERRIDE, "embedded libvirt, images of other users"},
	{CAP_DAC_READ_SEARCH, "embedded libvirt, images of other users"},
	{CAP_FOWNER, "embedded libvirt sets modes of its sockets"},
	{CAP_FSETID, "embedded libvirt, as above"},
	{CAP_KILL, "embedded libvirt ends a QEMU of another user; so do we with a summon-vmm"},
	{CAP_SETGID, "embedded libvirt runs QEMU as another user, and each summon-vmm is one"},
	{CAP_SETUID, "embedded libvirt and summon-vmm, as above"},
	{CAP_SETPCAP, "embedded libvirt drops QEMU's capabilities"},
	{CAP_SYS_ADMIN, "embedded libvirt: mount namespaces, hiding a /dev/kvm that is no good"},
	{CAP_SYS_NICE, "CPUs of QEMU (embedded libvirt) and of guests that start; the loop comes "
		       "before them"},
	{CAP_SYS_PTRACE, "embedded libvirt finds its QEMU again after a restart"},
	{CAP_SYS_RESOURCE, "embedded libvirt sets QEMU's limits"},
	{CAP_IPC_LOCK, "guests with locked memory"},
	{CAP_MKNOD, "embedded libvirt makes QEMU's /dev"},
};

static void raise_file_limit(void)
{
	struct rlimit limit;
	if (getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur < limit.rlim_max) {
		limit.rlim_cur = limit.rlim_max;
		setrlimit(RLIMIT_NOFILE, &limit);
	}
}

int isolate(struct error *err)
{
	raise_file_limit();
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		return error_set(err, -errno, "cannot set no_new_privs: %s", strerror(errno));
	if (capng_get_caps_process() < 0 || !capng_have_capability(CAPNG_EFFECTIVE, CAP_SETPCAP))
		return 0; /* no privileges to give up */
	unsigned keep[sizeof(kept) / sizeof(kept[0])];
	size_t count = 0;
	for (size_t i = 0; i < sizeof(kept) / sizeof(kept[0]); i++)
		if (capng_have_capability(CAPNG_PERMITTED, kept[i].capability))
			keep[count++] = kept[i].capability;
	capng_clear(CAPNG_SELECT_BOTH);
	for (size_t i = 0; i < count; i++)
		capng_update(
			CAPNG_ADD, CAPNG_EFFECTIVE | CAPNG_PERMITTED | CAPNG_BOUNDING_SET, keep[i]);
	int rc = capng_apply(CAPNG_SELECT_BOTH);
	if (rc < 0)
		return error_set(err, -EPERM, "cannot give up capabilities (step %d)", rc);
	return 0;
}

/* SPDX-License-Identifier: ISC */
#include "launcher/vmm/vmm.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

/*
 * What a later daemon must not take a guest's own word for: which tap is its. A guest in process mode
 * could name another guest's, and have that taken away or given to somebody. So it is written down
 * beside the socket, where the guest cannot get at it: as a symbolic link, which is there as a whole or
 * not at all, from <identity>-<slot>-<generation>.tap to the tap's name. Where nothing is written down,
 * there is a machine around the guest, and a monitor of ours that speaks.
 */

#define NO_TAP "." /* a link has to lead somewhere; no device can have this name */

static const char *target(const char *tap)
{
	return tap[0] ? tap : NO_TAP;
}

int vmm_record_tap(const struct vmm *vmm, struct instance_id id, const char *tap, struct error *err)
{
	struct sockaddr_un path;
	if (!vmm->mode || strcmp(vmm->mode, "process") != 0)
		return 0;
	int r = vmm_record_address(vmm, id, &path, err);
	if (r < 0)
		return r;
	unlink(path.sun_path); /* of a guest that has rested, perhaps */
	if (symlink(target(tap), path.sun_path) < 0)
		r = error_set(err, -errno, "%s: %s", path.sun_path, strerror(errno));
	return r;
}

bool vmm_record_exists(const struct vmm *vmm, struct instance_id id)
{
	struct sockaddr_un path;
	char written[2];
	return vmm_record_address(vmm, id, &path, NULL) == 0 &&
	       readlink(path.sun_path, written, sizeof(written)) >= 0;
}

bool vmm_record_agrees(const struct vmm *vmm, struct instance_id id, const char *tap)
{
	struct sockaddr_un path;
	char written[64];
	if (vmm_record_address(vmm, id, &path, NULL) < 0)
		return false;
	ssize_t size = readlink(path.sun_path, written, sizeof(written));
	if (size < 0)
		return errno == ENOENT;
	return (size_t)size == strlen(target(tap)) &&
	       memcmp(written, target(tap), (size_t)size) == 0;
}

void vmm_names_remove(const struct vmm *vmm, struct instance_id id)
{
	struct sockaddr_un path;
	/* The socket last: by its name, what is left would be found. */
	if (vmm_record_address(vmm, id, &path, NULL) == 0)
		unlink(path.sun_path);
	if (vmm_socket_address(vmm, id, &path, NULL) == 0)
		unlink(path.sun_path);
}

/* SPDX-License-Identifier: ISC */
#include "launcher/vmm/vmm.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/if_tun.h>
#include <linux/virtio_net.h>
#include <net/if.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/cleanup.h"

/* ---- what a guest is made of: opened here, because its monitor can open nothing ---- */

static int open_file(const char *what, const char *path, int *out, struct error *err)
{
	*out = path ? open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY) : -1;
	return path && *out < 0 ? error_set(err, -EINVAL, "%s %s: %s", what, path, strerror(errno))
				: 0;
}

/* What our guests can take, and leave to the kernel: large frames, and checksums. */
#define OFFLOADS (TUN_F_CSUM | TUN_F_TSO4 | TUN_F_TSO6)

/* A device may still have the settings of its last user. */
static int open_by_name(const char *name, int *out, struct error *err)
{
	struct ifreq request = {.ifr_flags = IFF_TAP | IFF_NO_PI | IFF_VNET_HDR};
	int header = sizeof(struct virtio_net_hdr);
	if (strlen(name) >= sizeof(request.ifr_name))
		return error_set(err, -EINVAL, "tap %s: a name has at most 15 bytes", name);
	strcpy(request.ifr_name, name);
	CLEANUP(close) int tap = open("/dev/net/tun", O_RDWR | O_NONBLOCK | O_CLOEXEC);
	if (tap < 0)
		return error_set(err, -errno, "/dev/net/tun: %s", strerror(errno));
	if (ioctl(tap, TUNSETIFF, &request) < 0)
		return error_set(err, -errno, "tap %s: %s", name, strerror(errno));
	if (ioctl(tap, TUNSETVNETHDRSZ, &header) < 0 || ioctl(tap, TUNSETOFFLOAD, OFFLOADS) < 0)
		return error_set(err, -errno, "tap %s: its offloads: %s", name, strerror(errno));
	*out = steal_fd(&tap);
	return 0;
}

static int open_tap(const struct guest_spec *spec, int *out, struct error *err)
{
	if (spec->tap_fd < 0)
		return open_by_name(spec->tap, out, err);
	*out = fcntl(spec->tap_fd, F_DUPFD_CLOEXEC, 0);
	return *out < 0 ? error_set(err, -errno, "tap %s: %s", spec->tap, strerror(errno)) : 0;
}

int vmm_files_open(struct vmm_files *files, const struct guest_spec *spec, struct error *err)
{
	*files = (struct vmm_files){-1, -1, -1};
	int r = open_file("image", spec->kernel, &files->image, err);
	if (r == 0)
		r = open_file("initrd", spec->initrd, &files->initrd, err);
	if (r == 0 && spec->tap)
		r = open_tap(spec, &files->tap, err);
	if (r < 0)
		vmm_files_close(files);
	return r;
}

void vmm_files_close(struct vmm_files *files)
{
	const int fds[] = {files->image, files->initrd, files->tap};
	for (size_t i = 0; i < sizeof(fds) / sizeof(fds[0]); i++)
		if (fds[i] >= 0)
			close(fds[i]);
	*files = (struct vmm_files){-1, -1, -1};
}

/* ---- the request ---- */

static int fill_text(struct control_message *message, const struct vmm_files *files,
	const struct guest_spec *spec, enum launcher_start how)
{
	struct control_boot head = {.memory = spec->memory};
	const char *texts[] = {
		spec->service, spec->tap ? spec->tap : "", spec->cmdline ? spec->cmdline : "", ""};
	head.flags = (uint16_t)((files->initrd >= 0 ? CONTROL_BOOT_INITRD : 0) |
				(files->tap >= 0 ? CONTROL_BOOT_TAP | CONTROL_BOOT_TAP_HEADER : 0) |
				(how == LAUNCHER_START_PAUSED ? CONTROL_BOOT_PAUSED : 0));
	memcpy(head.mac, spec->mac.bytes, sizeof(head.mac));
	memcpy(message->text, &head, sizeof(head));
	size_t size = sizeof(head);
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		size_t length = strlen(texts[i]) + 1;
		if (length > sizeof(message->text) - size)
			return -E2BIG;
		memcpy(message->text + size, texts[i], length);
		size += length;
	}
	return (int)size;
}

static int send_with(int socket, const struct control_message *message, size_t text_size,
	const int *fds, size_t count)
{
	_Alignas(struct cmsghdr) char room[CMSG_SPACE(CONTROL_FDS_MAX * sizeof(int))] = {0};
	struct iovec part = {
		(void *)(uintptr_t)message, offsetof(struct control_message, text) + text_size};
	struct msghdr packet = {.msg_iov = &part,
		.msg_iovlen = 1,
		.msg_control = room,
		.msg_controllen = CMSG_SPACE(count * sizeof(int))};
	struct cmsghdr *c = CMSG_FIRSTHDR(&packet);
	c->cmsg_level = SOL_SOCKET;
	c->cmsg_type = SCM_RIGHTS;
	c->cmsg_len = CMSG_LEN(count * sizeof(int));
	memcpy(CMSG_DATA(c), fds, count * sizeof(int));
	return sendmsg(socket, &packet, MSG_DONTWAIT | MSG_NOSIGNAL) < 0 ? -errno : 0;
}

static int send_boot(const struct vmm_guest *guest, const struct vmm_files *files,
	const struct guest_spec *spec, enum launcher_start how, struct error *err)
{
	struct control_message message = {.type = CONTROL_BOOT};
	int fds[CONTROL_FDS_MAX] = {files->image};
	size_t count = 1;
	int size = fill_text(&message, files, spec, how);
	if (size < 0)
		return error_set(err, size, "the name, tap and command line are too long together");
	if (files->initrd >= 0)
		fds[count++] = files->initrd;
	if (files->tap >= 0)
		fds[count++] = files->tap;
	int r = send_with(guest->socket, &message, (size_t)size, fds, count);
	return r < 0 ? error_set(err, r, "the monitor does not listen: %s", strerror(-r)) : 0;
}

/* The name, by which a later daemon finds the guest, comes while it boots already. One that dies in
 * between leaves a guest that has a shell's name, which ends it: vmm_shells_sweep(). */
int vmm_boot(struct vmm_guest *guest, struct instance_id id, const struct vmm_files *files,
	const struct guest_spec *spec, enum launcher_start how, struct error *err)
{
	struct sockaddr_un from, to;
	int r = vmm_shell_address(guest->vmm, guest->number, &from, err);
	if (r == 0)
		r = vmm_socket_address(guest->vmm, id, &to, err);
	if (r < 0)
		return r;
	r = send_boot(guest, files, spec, how, err);
	if (r == 0)
		r = vmm_record_tap(guest->vmm, id, spec->tap ? spec->tap : "", err);
	if (r == 0 && rename(from.sun_path, to.sun_path) < 0)
		r = error_set(err, -errno, "%s: %s", to.sun_path, strerror(errno));
	if (r < 0)
		vmm_names_remove(guest->vmm, id);
	return r;
}

/* SPDX-License-Identifier: ISC */
#include "launcher/vmm/vmm.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/if_tun.h>
#include <linux/virtio_net.h>
#include <net/if.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
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
static int set_up(const char *name, int tap, struct error *err)
{
	int header = sizeof(struct virtio_net_hdr);
	if (ioctl(tap, TUNSETVNETHDRSZ, &header) < 0 || ioctl(tap, TUNSETOFFLOAD, OFFLOADS) < 0)
		return error_set(err, -errno, "tap %s: its offloads: %s", name, strerror(errno));
	return 0;
}

static int hand_on(const char *name, int tap, int *out, struct error *err)
{
	*out = fcntl(tap, F_DUPFD_CLOEXEC, 0);
	return *out < 0 ? error_set(err, -errno, "tap %s: %s", name, strerror(errno))
			: set_up(name, *out, err);
}

int vmm_tap_open(const char *name, bool closed_up, int *out, struct error *err)
{
	struct sock_filter nothing = BPF_STMT(BPF_RET | BPF_K, 0);
	struct sock_fprog filter = {.len = 1, .filter = &nothing};
	/* Not the filter of its last holder, which the kernel would read where that had it in its memory. */
	struct ifreq request = {.ifr_flags = IFF_TAP | IFF_NO_PI | IFF_VNET_HDR | IFF_NOFILTER};
	if (strlen(name) >= sizeof(request.ifr_name))
		return error_set(err, -EINVAL, "tap %s: a name has at most 15 bytes", name);
	strcpy(request.ifr_name, name);
	CLEANUP(close) int tap = open("/dev/net/tun", O_RDWR | O_NONBLOCK | O_CLOEXEC);
	if (tap < 0)
		return error_set(err, -errno, "/dev/net/tun: %s", strerror(errno));
	if (ioctl(tap, TUNSETIFF, &request) < 0)
		return error_set(err, -errno, "tap %s: %s", name, strerror(errno));
	if (closed_up && ioctl(tap, TUNATTACHFILTER, &filter) < 0)
		return error_set(err, -errno, "tap %s: no filter: %s", name, strerror(errno));
	int r = set_up(name, tap, err);
	if (r == 0)
		*out = steal_fd(&tap);
	return r;
}

void vmm_tap_open_up(int tap)
{
	struct sock_fprog none = {0};
	ioctl(tap, TUNDETACHFILTER, &none);
}

/* The text of BOOT; -E2BIG where it does not fit. */
static int fill_text(struct vmm_order *order, const struct guest_spec *spec, const char *key)
{
	struct control_boot head = {.memory = spec->memory};
	const char *texts[] = {
		spec->service, spec->tap ? spec->tap : "", spec->cmdline ? spec->cmdline : "", key};
	size_t size = sizeof(head);
	memcpy(head.mac, spec->mac.bytes, sizeof(head.mac));
	memcpy(order->text, &head, sizeof(head));
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		size_t length = strlen(texts[i]) + 1;
		if (length > sizeof(order->text) - size)
			return -E2BIG;
		memcpy(order->text + size, texts[i], length);
		size += length;
	}
	order->size = size;
	return 0;
}

static const struct vmm_order no_order = {.image = -1, .initrd = -1, .tap = -1};

static int fill(struct vmm_order *order, const struct guest_spec *spec, enum launcher_start how,
	const char *key, struct error *err)
{
	int r = fill_text(order, spec, key);
	if (r < 0)
		return error_set(err, r, "the name, tap and command line are too long together");
	order->memory = spec->memory;
	order->flags = how == LAUNCHER_START_PAUSED ? CONTROL_BOOT_PAUSED : 0;
	if (spec->tap)
		r = spec->tap_fd >= 0 ? hand_on(spec->tap, spec->tap_fd, &order->tap, err)
				      : vmm_tap_open(spec->tap, false, &order->tap, err);
	if (r == 0 && spec->tap)
		snprintf(order->tap_name, sizeof(order->tap_name), "%s", spec->tap);
	return r;
}

int vmm_order_new(struct vmm_order *order, const struct guest_spec *spec, enum launcher_start how,
	const char *key, bool is_loaded, struct error *err)
{
	*order = no_order;
	int r = is_loaded ? 0 : open_file("image", spec->kernel, &order->image, err);
	if (r == 0)
		r = open_file("initrd", spec->initrd, &order->initrd, err);
	if (r == 0)
		r = fill(order, spec, how, key, err);
	if (r < 0)
		vmm_order_finish(order);
	return r;
}

int vmm_order_kept(struct vmm_order *order, const struct guest_spec *spec, enum launcher_start how,
	const char *key, int file, struct error *err)
{
	*order = no_order;
	order->image = file;
	int r = fill(order, spec, how, key, err);
	order->flags |= CONTROL_BOOT_KEPT;
	if (r < 0)
		vmm_order_finish(order);
	return r;
}

void vmm_order_again(struct vmm_order *order, const struct snapshot_head *head, int file, int tap)
{
	struct control_boot booted;
	*order = no_order;
	order->image = file;
	order->tap = tap;
	order->flags = CONTROL_BOOT_KEPT;
	order->size = head->boot_size;
	memcpy(order->text, head->boot, head->boot_size);
	memcpy(&booted, head->boot, sizeof(booted));
	order->memory = booted.memory;
	snprintf(order->tap_name, sizeof(order->tap_name), "%s", snapshot_text(head, 1));
}

void vmm_order_finish(struct vmm_order *order)
{
	const int fds[] = {order->image, order->initrd, order->tap};
	for (size_t i = 0; i < sizeof(fds) / sizeof(fds[0]); i++)
		if (fds[i] >= 0)
			close(fds[i]);
	vmm_save_drop(order->save);
	*order = no_order;
}

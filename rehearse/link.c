/* SPDX-License-Identifier: ISC */
#include "launcher/link/link.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "launcher/link/conntrack.h"
#include "launcher/link/readiness.h"
#include "launcher/link/usage.h"

/* In the place of bridge, taps and routes: whatever is asked for has been done. */
struct link {
	unsigned taps;
};

int link_create(
	uv_loop_t *loop, const struct link_config *config, struct link **out, struct error *err)
{
	(void)loop;
	(void)config;
	*out = calloc(1, sizeof(**out));
	return *out ? 0 : error_set(err, -ENOMEM, "out of memory");
}

void link_destroy(struct link *link, bool remove_all)
{
	(void)remove_all;
	free(link);
}

int link_tap_take(struct link *link, enum link_tap_use how, struct link_tap *out, struct error *err)
{
	(void)how;
	(void)err;
	snprintf(out->name, sizeof(out->name), "tap%u", link->taps++);
	out->fd = -1;
	return 0;
}

bool link_tap_awaited(const struct link *link, enum link_tap_use how)
{
	(void)link;
	(void)how;
	return false;
}

int link_tap_narrow(int fd, const struct mac_address *mac, const struct ip_address *addresses,
	size_t count, struct error *err)
{
	(void)fd;
	(void)mac;
	(void)addresses;
	(void)count;
	(void)err;
	return 0;
}

void link_tap_give(struct link *link, const char *name)
{
	(void)link;
	(void)name;
}

int link_tap_adopt(struct link *link, const char *name, struct error *err)
{
	(void)link;
	(void)name;
	(void)err;
	return 0;
}

int link_taps_settle(struct link *link, struct error *err)
{
	(void)link;
	(void)err;
	return 0;
}

int link_down(struct link *link, const struct ip_address *address, struct error *err)
{
	(void)link;
	(void)address;
	(void)err;
	return 0;
}

int link_prepare(struct link *link, const struct ip_address *address, const struct mac_address *mac,
	struct error *err)
{
	(void)link;
	(void)address;
	(void)mac;
	(void)err;
	return 0;
}

int link_place(struct link *link, const char *tap, const struct mac_address *mac, struct error *err)
{
	(void)link;
	(void)tap;
	(void)mac;
	(void)err;
	return 0;
}

void link_catch_up(struct link *link, const char *tap)
{
	(void)link, (void)tap;
}

int link_open(struct link *link, const struct ip_address *address, struct error *err)
{
	return link_prepare(link, address, NULL, err);
}

int link_close(struct link *link, const struct ip_address *address, struct error *err)
{
	return link_down(link, address, err);
}

int link_prune(struct link *link, bool (*keep)(void *ctx, const struct ip_address *address),
	void *ctx, struct error *err)
{
	(void)link;
	(void)keep;
	(void)ctx;
	(void)err;
	return 0;
}

int link_restore(struct link *link, struct error *err)
{
	return link_taps_settle(link, err);
}

int link_tap_restore(struct link *link, const char *tap, struct error *err)
{
	(void)tap;
	return link_taps_settle(link, err);
}

/* As good as any other: nobody looks at it. */
struct mac_address link_mac(const char *identity, uint32_t service)
{
	struct mac_address mac = {{0x02}};
	(void)identity;
	memcpy(mac.bytes + 2, &service, sizeof(service));
	return mac;
}

/* --- what counts as use: packets are written into an eventfd, which adds them up --- */

int usage_open(const char *tap, const struct mac_address *mac, struct error *err)
{
	(void)tap;
	(void)mac;
	int fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	return fd >= 0 ? fd
		       : error_set(
				 err, -errno, "no descriptor for its packets: %s", strerror(errno));
}

uint64_t usage_read(int fd)
{
	uint64_t frames = 0;
	return read(fd, &frames, sizeof(frames)) == sizeof(frames) ? frames : 0;
}

void usage_close(uv_loop_t *loop, int fd)
{
	(void)loop;
	close(fd);
}

/* --- connections: a trace has their beginnings only --- */

int conntrack_open(struct conntrack *conntrack, uv_loop_t *loop, const struct ip_prefix networks[2],
	struct error *err)
{
	(void)conntrack;
	(void)loop;
	(void)networks;
	return error_set(err, -EPROTONOSUPPORT, "no connections are tracked");
}

void conntrack_close(struct conntrack *conntrack)
{
	(void)conntrack;
}

bool conntrack_knows(struct conntrack *conntrack, uint64_t since)
{
	(void)conntrack;
	(void)since;
	return true;
}

int conntrack_count(const struct conntrack *conntrack, const struct ip_address *address)
{
	(void)conntrack;
	(void)address;
	return -EPROTONOSUPPORT;
}

/* --- readiness: scene.c has every guest say so itself --- */

int readiness_first_frame(uv_loop_t *loop, const char *device, const struct mac_address *mac,
	readiness_fn seen, void *ctx, struct readiness **out, struct error *err)
{
	(void)loop;
	(void)device;
	(void)mac;
	(void)seen;
	(void)ctx;
	(void)out;
	return error_set(err, -ENOTSUP, "no frames are seen");
}

int readiness_tcp(uv_loop_t *loop, const char *device, const struct ip_address *address,
	uint16_t port, readiness_fn seen, void *ctx, struct readiness **out, struct error *err)
{
	(void)address;
	(void)port;
	return readiness_first_frame(loop, device, NULL, seen, ctx, out, err);
}

void readiness_cancel(struct readiness *readiness)
{
	(void)readiness;
}

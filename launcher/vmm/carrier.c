/* SPDX-License-Identifier: ISC */
#include "launcher/vmm/vmm.h"

#include <net/if.h>
#include <string.h>
#include <sys/ioctl.h>

/*
 * A tap has a link once its guest's monitor has opened it, but the kernel tells the bridge so from a
 * work queue of its own (Linux, net/core/link_watch.c), and until then the bridge drops what is sent
 * there: mostly for 0.2 ms, on a busy machine for several. A guest of ours can be ready before. So
 * nothing that it says is passed on before its link is up, or the client's first packet would be
 * lost, and a second with it.
 */
#define LOOK_MS 1
#define LOOKS   100 /* then it is somebody's wish that the link be down */

static bool is_up(const struct vmm_guest *guest)
{
	struct ifreq request = {0};
	memcpy(request.ifr_name, guest->tap, sizeof(request.ifr_name));
	/* Any socket does. Where it cannot be told, waiting would be no use. */
	return ioctl(guest->socket, SIOCGIFFLAGS, &request) < 0 ||
	       (request.ifr_flags & IFF_RUNNING);
}

static void on_timer(uv_timer_t *timer)
{
	struct vmm_guest *guest = timer->data;
	if (++guest->looks < LOOKS && !is_up(guest))
		return;
	uv_timer_stop(timer);
	guest->tap[0] = '\0';
	vmm_guest_listen(guest);
}

bool vmm_carrier_wait(struct vmm_guest *guest)
{
	if (!guest->tap[0] || is_up(guest)) {
		guest->tap[0] = '\0';
		return false;
	}
	uv_poll_stop(&guest->socket_poll);
	uv_timer_start(&guest->carrier_timer, on_timer, LOOK_MS, LOOK_MS);
	return true;
}

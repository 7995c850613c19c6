/* SPDX-License-Identifier: ISC */
#include "guest-kernel/net/net.h"

#include <stdlib.h>
#include <string.h>

#include <lwip/dhcp.h>
#include <lwip/etharp.h>
#include <lwip/ethip6.h>
#include <lwip/init.h>
#include <lwip/netif.h>
#include <lwip/priv/tcp_priv.h>
#include <lwip/sys.h>
#include <lwip/timeouts.h>
#include <lwip/udp.h>
#include <netif/ethernet.h>

#include "guest-kernel/kernel/clock.h"
#include "guest-kernel/kernel/words.h"
#include "guest-kernel/net/addresses.h"
#include "guest-kernel/net/announce.h"
#include "guest-kernel/net/app_tcp.h"
#include "guest-kernel/net/hooks.h"

#define FRAMES_PER_TURN 64
#define MTU             1500
#define ANNOUNCE_MS     20
#define TAIL_MIN        1200
#define NS_PER_MS       1000000ull
#define HOST_NAME_SIZE  64

static struct {
	struct net_device *device;
	struct netif netif;
	char host_name[HOST_NAME_SIZE];
	struct net_addresses addresses;
	bool uses_dhcp;
} net;

/* lwIP's clock */
u32_t sys_now(void)
{
	return (u32_t)(clock_now() / NS_PER_MS);
}

/* Bytes that the application has sent as APP_STAY need not be copied; less than these are not worth
 * the trouble. */
static const struct pbuf *find_tail(const struct net_device *device, const struct pbuf *frame)
{
	while (frame->next)
		frame = frame->next;
	bool stays = pbuf_match_type(frame, PBUF_ROM) &&
		     !(frame->type_internal & PBUF_TYPE_FLAG_DATA_VOLATILE);
	return device->operations->transmit_tail && stays && frame->len >= TAIL_MIN ? frame : NULL;
}

static err_t send_frame(struct netif *netif, struct pbuf *frame)
{
	struct net_device *device = netif->state;
	if (frame->tot_len > NET_FRAME_MAX)
		return ERR_BUF;
	uint8_t *buffer = device->operations->transmit_buffer(device);
	if (!buffer)
		return ERR_WOULDBLOCK; /* the queue is full: lost, as on any wire */
	const struct pbuf *tail = find_tail(device, frame);
	u16_t copied = tail ? (u16_t)(frame->tot_len - tail->len) : frame->tot_len;
	pbuf_copy_partial(frame, buffer, copied, 0);
	if (tail)
		device->operations->transmit_tail(device, copied, tail->payload, tail->len);
	else
		device->operations->transmit(device, copied);
	return ERR_OK;
}

static err_t netif_start(struct netif *netif)
{
	netif->hwaddr_len = sizeof(net.device->mac);
	netif->mtu = MTU;
	netif->name[0] = 'e';
	netif->name[1] = 'n';
	netif->flags = NETIF_FLAG_BROADCAST | NETIF_FLAG_ETHARP | NETIF_FLAG_ETHERNET;
	netif->output = etharp_output;
	netif->output_ip6 = ethip6_output;
	netif->linkoutput = send_frame;
	return ERR_OK;
}

const ip6_addr_t *net_ipv6_gateway(struct netif *netif, const ip6_addr_t *destination)
{
	(void)netif;
	(void)destination;
	return ip6_addr_isany(&net.addresses.gateway6) ? NULL : &net.addresses.gateway6;
}

static void start_ipv6(const struct net_addresses *a)
{
	netif_create_ip6_linklocal_address(&net.netif, 1);
	netif_ip6_addr_set_state(&net.netif, 0, IP6_ADDR_PREFERRED);
	for (unsigned i = 0; i < a->ip6_count; i++) {
		s8_t index = -1;
		if (netif_add_ip6_address(&net.netif, &a->ip6[i], &index) == ERR_OK && index >= 0)
			netif_ip6_addr_set_state(&net.netif, index, IP6_ADDR_PREFERRED);
	}
}

/* What lwIP computes and checks itself; set for each frame. */
static u16_t checksums(bool checked)
{
	u16_t left = 0;
	if (net.device->offloads)
		left |= NETIF_CHECKSUM_GEN_TCP;
	if (checked)
		left |= NETIF_CHECKSUM_CHECK_TCP | NETIF_CHECKSUM_CHECK_UDP;
	return NETIF_CHECKSUM_ENABLE_ALL & ~left;
}

/* lwIP has room for one IPv4 address. It is never asked which of several it is: while a frame is
 * taken in, it is the one that the frame is for, and answers from there. What is sent later has its
 * address with it, as a connection has. */
static void be(unsigned i)
{
	ip4_addr_copy(*ip_2_ip4(&net.netif.ip_addr), net.addresses.ip[i]);
}

static void on_announce(void *context)
{
	announce_ipv6(context);
	for (unsigned i = 1; i < net.addresses.ip_count; i++) {
		be(i);
		etharp_gratuitous(&net.netif);
		be(0);
	}
}

/*
 * Has the neighbours know where we are. Most of what comes is answered through the gateway, so it is
 * asked for first: that tells everybody our address as an announcement would, and is all that anyone
 * waits for. Each frame more would keep waiting whoever asked for this guest.
 */
static void announce(struct netif *netif, const ip4_addr_t *gateway)
{
	netif_set_up(netif);
	if (ip4_addr_isany_val(*gateway)) {
		netif_set_link_up(
			netif); /* which announces the first IPv4 address, if there is one */
		on_announce(netif);
		return;
	}
	netif->flags |= NETIF_FLAG_LINK_UP;
	etharp_request(netif, gateway);
	sys_untimeout(on_announce, netif);
	sys_timeout(ANNOUNCE_MS, on_announce, netif);
}

static const char *come_up(const char *line, const struct net_addresses *a)
{
	struct netif *netif = &net.netif;
	memcpy(netif->hwaddr, net.device->mac, sizeof(net.device->mac));
	if (word_value(line, "name", net.host_name, sizeof(net.host_name)))
		netif_set_hostname(netif, net.host_name);
	net.addresses = *a;
	netif_set_addr(netif, &a->ip[0], &a->mask, &a->gateway);
	start_ipv6(a);
	announce(netif, &a->gateway);
	net.uses_dhcp = a->ip_count == 0 && a->ip6_count == 0;
	if (net.uses_dhcp && dhcp_start(netif) != ERR_OK)
		return "out of memory for DHCP";
	net.device->operations->flush(net.device);
	return NULL;
}

const char *net_init(struct net_device *device, const char *command_line)
{
	struct net_addresses addresses;
	const char *wrong = addresses_read(command_line, &addresses);
	if (wrong)
		return wrong;
	net.device = device;
	lwip_init();
	netif_add(&net.netif, NULL, NULL, NULL, device, netif_start, ethernet_input);
	NETIF_SET_CHECKSUM_CTRL(&net.netif, checksums(false));
	netif_set_default(&net.netif);
	return come_up(command_line, &addresses);
}

const char *net_resume(struct net_device *device, const char *command_line)
{
	struct net_addresses addresses;
	const char *wrong = addresses_read(command_line, &addresses);
	if (wrong)
		return wrong;
	net.device = device;
	app_tcp_drop_all();
	if (net.uses_dhcp)
		dhcp_stop(&net.netif);
	/* Forgets the neighbours. */
	netif_set_down(&net.netif);
	net.netif.flags &= (u8_t)~NETIF_FLAG_LINK_UP;
	for (s8_t i = 0; i < LWIP_IPV6_NUM_ADDRESSES; i++)
		netif_ip6_addr_set_state(&net.netif, i, IP6_ADDR_INVALID);
	/* Nothing but the first of the ports to give out, which is random. */
	tcp_init();
	udp_init();
	return come_up(command_line, &addresses);
}

bool net_is_up(void)
{
	return !net.uses_dhcp || dhcp_supplied_address(&net.netif);
}

/* Which of several IPv4 addresses the frame asks for or goes to: of IPv4 (RFC 791) and ARP (RFC 826)
 * behind an Ethernet header. */
static unsigned find_target(const uint8_t *data, size_t size)
{
	enum { TYPE = 12, IPV4_TO = 30, ARP_TO = 38 };
	unsigned type = size > TYPE + 1 ? (unsigned)(data[TYPE] << 8 | data[TYPE + 1]) : 0;
	size_t at = type == ETHTYPE_IP ? IPV4_TO : type == ETHTYPE_ARP ? ARP_TO : size;
	for (unsigned i = 1; at + 4 <= size && i < net.addresses.ip_count; i++)
		if (memcmp(data + at, &net.addresses.ip[i].addr, 4) == 0)
			return i;
	return 0;
}

static void take_frame(const uint8_t *data, size_t size)
{
	bool several = net.addresses.ip_count > 1;
	struct pbuf *frame = NULL;
	if (size <= UINT16_MAX)
		frame = pbuf_alloc(PBUF_RAW, (u16_t)size, PBUF_RAM);
	if (!frame)
		return;
	memcpy(frame->payload, data, size);
	NETIF_SET_CHECKSUM_CTRL(&net.netif, checksums(net.device->checked));
	if (several)
		be(find_target(data, size));
	if (net.netif.input(frame, &net.netif) != ERR_OK)
		pbuf_free(frame);
	if (several)
		be(0);
}

bool net_poll(void)
{
	const struct net_device_operations *o = net.device->operations;
	const uint8_t *data;
	size_t size;
	int frames = 0;
	while (frames < FRAMES_PER_TURN && (data = o->receive(net.device, &size))) {
		take_frame(data, size);
		o->release(net.device);
		frames++;
	}
	sys_check_timeouts();
	bool more = app_tcp_run_due();
	o->flush(net.device);
	return frames > 0 || more;
}

uint64_t net_next_timer(void)
{
	u32_t ms = sys_timeouts_sleeptime();
	return ms == SYS_TIMEOUTS_SLEEPTIME_INFINITE ? UINT64_MAX : ms * NS_PER_MS;
}

bool net_sleep(void)
{
	return net.device->operations->sleep(net.device);
}

void net_wake(void)
{
	net.device->operations->wake(net.device);
}

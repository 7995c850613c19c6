/* SPDX-License-Identifier: ISC */
#include "launcher/link/neighbour.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/filter.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <net/if_arp.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "launcher/link/announcer.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

enum {
	IPV6_HEADER = 40,
	SOLICITATION = 135,  /* RFC 4861, 4.3 */
	ADVERTISEMENT = 136, /* 4.4 */
	ND_LENGTH = 24,      /* of both, without options */
	LINK_OPTION = 8,     /* a link-layer address, 4.6.1 */
	OPTION_SOURCE_MAC = 1,
	OPTION_TARGET_MAC = 2,
	FLAG_SOLICITED = 0x40,
	FLAG_OVERRIDE = 0x20,
	READ_MOST = 64, /* questions a turn of the loop */
};

/* RFC 826, for IPv4 on Ethernet. */
struct arp {
	struct arphdr header;
	uint8_t sender_mac[ETH_ALEN], sender[4], target_mac[ETH_ALEN], target[4];
} __attribute__((packed));

/* Hears who asks for an address. */
struct listener {
	uv_poll_t poll;
	int fd; /* or -1 */
	struct neighbour *neighbour;
	void (*take)(struct neighbour *neighbour, const uint8_t *packet, size_t length,
		const struct mac_address *asker);
};

/* All sockets are cooked: the kernel writes and takes off Ethernet headers. */
struct neighbour {
	uv_loop_t *loop;
	struct listener solicitations, requests; /* IPv6, IPv4 */
	int open;                                /* of their handles */
	struct bridge bridge;
	struct announcer *announcer; /* whose thread reads the bridge and sends, too */
	int send_fd;
	neighbour_fn is_ours;
	void *ctx;
	uint64_t answered;
};

/* --- sending --- */

static const struct mac_address everybody = {{0xff, 0xff, 0xff, 0xff, 0xff, 0xff}};

static int send_frame(struct neighbour *neighbour, uint16_t protocol, const struct mac_address *to,
	const uint8_t *data, size_t length)
{
	struct sockaddr_ll address = {.sll_family = AF_PACKET,
		.sll_protocol = htons(protocol),
		.sll_ifindex = neighbour->bridge.index,
		.sll_halen = ETH_ALEN};
	memcpy(address.sll_addr, to->bytes, ETH_ALEN);
	ssize_t sent = sendto(neighbour->send_fd, data, length, MSG_DONTWAIT,
		(const struct sockaddr *)&address, sizeof(address));
	return sent < 0 ? -errno : 0;
}

int neighbour_send(struct neighbour *neighbour, const struct mac_address *to, const uint8_t *packet,
	size_t length)
{
	if (length == 0)
		return -EINVAL;
	return send_frame(
		neighbour, packet[0] >> 4 == 6 ? ETH_P_IPV6 : ETH_P_IP, to, packet, length);
}

/* Asked each time: a bridge that is not ours may take another one with its ports. */
static bool own_mac(const struct neighbour *neighbour, struct mac_address *out)
{
	struct ifreq request = {0};
	memcpy(request.ifr_name, neighbour->bridge.name, IFNAMSIZ);
	if (ioctl(neighbour->send_fd, SIOCGIFHWADDR, &request) < 0)
		return false;
	memcpy(out->bytes, request.ifr_hwaddr.sa_data, sizeof(out->bytes));
	return true;
}

static struct arp arp_of(uint16_t operation, const struct mac_address *mac,
	const struct ip_address *sender, const struct ip_address *target)
{
	struct arp arp = {.header = {.ar_hrd = htons(ARPHRD_ETHER),
				  .ar_pro = htons(ETH_P_IP),
				  .ar_hln = ETH_ALEN,
				  .ar_pln = 4,
				  .ar_op = htons(operation)}};
	memcpy(arp.sender_mac, mac->bytes, ETH_ALEN);
	memcpy(arp.sender, sender->bytes, 4);
	memcpy(arp.target, target->bytes, 4);
	return arp;
}

/* To `to`: who has `target`, by `mac`, which has `sender`. */
static void request4(struct neighbour *neighbour, const struct mac_address *to,
	const struct mac_address *mac, const struct ip_address *sender,
	const struct ip_address *target)
{
	const struct arp arp = arp_of(ARPOP_REQUEST, mac, sender, target);
	send_frame(neighbour, ETH_P_ARP, to, (const uint8_t *)&arp, sizeof(arp));
}

/* An ARP announcement (RFC 5227, section 3): a request for the address by its owner. */
static void announce4(struct neighbour *neighbour, const struct ip_address *address,
	const struct mac_address *mac)
{
	request4(neighbour, &everybody, mac, address, address);
}

/* RFC 4443, 2.3: the checksum of ICMPv6 with its pseudo-header. */
static uint16_t checksum(const uint8_t *packet, size_t payload)
{
	uint32_t total = (uint32_t)payload + IPPROTO_ICMPV6;
	for (size_t i = 8; i < IPV6_HEADER + payload; i += 2)
		total += (uint32_t)(packet[i] << 8 | packet[i + 1]);
	while (total >> 16)
		total = (total & 0xffff) + (total >> 16);
	return (uint16_t)~total;
}

/* What neighbours say of `target`: its type, the flags of an advertisement, and the MAC of who has it,
 * or who asks for it (RFC 4861, 4.3, 4.4, 4.6.1). */
struct discovery {
	uint8_t type, flags, option;
	const struct ip_address *target;
	const struct mac_address *mac;
	const uint8_t *source, *destination;
};

static void discover(struct neighbour *neighbour, const struct discovery *discovery,
	const struct mac_address *to)
{
	uint8_t packet[IPV6_HEADER + ND_LENGTH + LINK_OPTION] = {
		[0] = 0x60, [5] = ND_LENGTH + LINK_OPTION, [6] = IPPROTO_ICMPV6, [7] = 255};
	uint8_t *nd = packet + IPV6_HEADER;
	memcpy(packet + 8, discovery->source, 16);
	memcpy(packet + 24, discovery->destination, 16);
	nd[0] = discovery->type;
	nd[4] = discovery->flags;
	memcpy(nd + 8, discovery->target->bytes, 16);
	nd[ND_LENGTH] = discovery->option;
	nd[ND_LENGTH + 1] = LINK_OPTION / 8;
	memcpy(nd + ND_LENGTH + 2, discovery->mac->bytes, ETH_ALEN);
	uint16_t sum = checksum(packet, ND_LENGTH + LINK_OPTION);
	nd[2] = (uint8_t)(sum >> 8);
	nd[3] = (uint8_t)sum;
	send_frame(neighbour, ETH_P_IPV6, to, packet, sizeof(packet));
}

/* With the override flag, unlike advertisements of other proxies (RFC 4861, 7.2.8): the guest and the
 * host never have the address at the same time. */
static void advertise(struct neighbour *neighbour, const struct ip_address *target,
	const struct mac_address *mac, const uint8_t source[16], const uint8_t destination[16],
	uint8_t flags, const struct mac_address *to)
{
	const struct discovery discovery = {ADVERTISEMENT, flags | FLAG_OVERRIDE, OPTION_TARGET_MAC,
		target, mac, source, destination};
	discover(neighbour, &discovery, to);
}

static void announce6(struct neighbour *neighbour, const struct ip_address *address,
	const struct mac_address *mac, bool guest)
{
	static const uint8_t all_nodes[16] = {0xff, 0x02, [15] = 1};
	static const struct mac_address all_nodes_mac = {{0x33, 0x33, 0, 0, 0, 1}};
	const struct ip_prefix *own = bridge_address(&neighbour->bridge, AF_INET6);
	if (own)
		advertise(neighbour, address, mac, guest ? address->bytes : own->address.bytes,
			all_nodes, 0, &all_nodes_mac);
}

/* From any thread. */
static void announce(void *ctx, const struct ip_address *address, const struct mac_address *mac)
{
	struct neighbour *neighbour = ctx;
	struct mac_address own;
	if (!mac && !own_mac(neighbour, &own))
		return;
	if (address->family == AF_INET)
		announce4(neighbour, address, mac ? mac : &own);
	else
		announce6(neighbour, address, mac ? mac : &own, mac);
}

void neighbour_announce(struct neighbour *neighbour, const struct ip_address *address,
	const struct mac_address *mac)
{
	announcer_say(neighbour->announcer, address, mac);
}

void neighbour_announce_soon(struct neighbour *neighbour, const struct ip_address *address,
	const struct mac_address *mac)
{
	announcer_put(neighbour->announcer, address, mac);
}

void neighbour_ask(struct neighbour *neighbour, const struct ip_address *address,
	const struct mac_address *mac)
{
	struct mac_address own;
	const struct ip_prefix *prefix = bridge_address(&neighbour->bridge, address->family);
	if (!prefix || !own_mac(neighbour, &own))
		return;
	const struct discovery question = {SOLICITATION, 0, OPTION_SOURCE_MAC, address, &own,
		prefix->address.bytes, address->bytes};
	if (address->family == AF_INET)
		request4(neighbour, mac, &own, &prefix->address, address);
	else
		discover(neighbour, &question, mac);
}

int neighbour_hear(struct neighbour *neighbour, const char *tap, const struct mac_address *mac,
	claims_fn heard, void *ctx, struct claims **out, struct error *err)
{
	struct mac_address own;
	if (!own_mac(neighbour, &own))
		return error_set(err, -errno, "cannot hear the guest: the MAC of bridge '%s': %s",
			neighbour->bridge.name, strerror(errno));
	return claims_watch(neighbour->loop, tap, mac, &own, heard, ctx, out, err);
}

/* --- answering --- */

/* RFC 4861, 7.1.1. One from the unspecified address asks whether an address is free: the guest's
 * own, as it boots, which must not hear that it is not. */
static bool is_solicitation(const uint8_t *packet, size_t length, struct ip_address *target)
{
	static const uint8_t unspecified[16];
	if (length < IPV6_HEADER + ND_LENGTH || packet[0] >> 4 != 6 || packet[7] != 255 ||
		packet[6] != IPPROTO_ICMPV6 || packet[IPV6_HEADER] != SOLICITATION ||
		packet[IPV6_HEADER + 1] != 0 || packet[IPV6_HEADER + 8] == 0xff ||
		memcmp(packet + 8, unspecified, 16) == 0 || packet[8] == 0xff)
		return false;
	*target = (struct ip_address){.family = AF_INET6};
	memcpy(target->bytes, packet + IPV6_HEADER + 8, 16);
	return true;
}

static void take_solicitation(struct neighbour *neighbour, const uint8_t *packet, size_t length,
	const struct mac_address *asker)
{
	struct ip_address target;
	struct mac_address own;
	const struct ip_prefix *address = bridge_address(&neighbour->bridge, AF_INET6);
	if (!is_solicitation(packet, length, &target) ||
		!neighbour->is_ours(neighbour->ctx, &target, asker) || !own_mac(neighbour, &own))
		return;
	advertise(neighbour, &target, &own, address->address.bytes, packet + 8, FLAG_SOLICITED,
		asker);
	neighbour->answered++;
}

/* As the kernel does, it is not answered who asks for his own address, or has none yet (RFC 5227). */
static bool is_request(const struct arp *arp)
{
	static const uint8_t unspecified[4];
	return arp->header.ar_hrd == htons(ARPHRD_ETHER) && arp->header.ar_pro == htons(ETH_P_IP) &&
	       arp->header.ar_hln == ETH_ALEN && arp->header.ar_pln == 4 &&
	       arp->header.ar_op == htons(ARPOP_REQUEST) &&
	       memcmp(arp->sender, unspecified, 4) != 0 && memcmp(arp->sender, arp->target, 4) != 0;
}

static void take_request(struct neighbour *neighbour, const uint8_t *packet, size_t length,
	const struct mac_address *asker)
{
	struct arp arp;
	struct mac_address own;
	struct ip_address sender = {.family = AF_INET}, target = {.family = AF_INET};
	if (length < sizeof(arp))
		return;
	memcpy(&arp, packet, sizeof(arp));
	memcpy(sender.bytes, arp.sender, 4);
	memcpy(target.bytes, arp.target, 4);
	if (!is_request(&arp) || !neighbour->is_ours(neighbour->ctx, &target, asker) ||
		!own_mac(neighbour, &own))
		return;
	struct arp reply = arp_of(ARPOP_REPLY, &own, &target, &sender);
	memcpy(reply.target_mac, asker->bytes, ETH_ALEN);
	send_frame(neighbour, ETH_P_ARP, asker, (const uint8_t *)&reply, sizeof(reply));
	neighbour->answered++;
}

static void on_questions(uv_poll_t *poll, int status, int events)
{
	(void)events;
	struct listener *listener = poll->data;
	int code;
	if (status < 0) { /* the bridge went down and may come up again */
		getsockopt(listener->fd, SOL_SOCKET, SO_ERROR, &code, &(socklen_t){sizeof(code)});
		uv_poll_start(poll, UV_READABLE, on_questions);
		return;
	}
	for (int i = 0; i < READ_MOST; i++) {
		uint8_t packet[IPV6_HEADER + ND_LENGTH];
		struct mac_address asker;
		struct sockaddr_ll from = {0};
		socklen_t size = sizeof(from);
		ssize_t length = recvfrom(listener->fd, packet, sizeof(packet), MSG_DONTWAIT,
			(struct sockaddr *)&from, &size);
		if (length < 0)
			return;
		memcpy(asker.bytes, from.sll_addr, ETH_ALEN);
		if (from.sll_halen == ETH_ALEN)
			listener->take(listener->neighbour, packet, (size_t)length, &asker);
	}
}

/* --- listening --- */

/* Classic BPF on cooked sockets: packets begin with the header behind Ethernet's. What a guest says as it
 * boots, that it has an address or looks whether it is free, is no question, and wakes nobody. */
static const struct sock_filter solicitations[] = {
	BPF_STMT(BPF_LD | BPF_B | BPF_ABS, 6),
	BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, IPPROTO_ICMPV6, 0, 5),
	BPF_STMT(BPF_LD | BPF_B | BPF_ABS, IPV6_HEADER),
	BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SOLICITATION, 0, 3),
	BPF_STMT(BPF_LD | BPF_W | BPF_ABS, 8), /* of no source but the unspecified one it is 0 */
	BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, 0, 1, 0),
	BPF_STMT(BPF_RET | BPF_K, IPV6_HEADER + ND_LENGTH),
	BPF_STMT(BPF_RET | BPF_K, 0),
};
/* Who asks for the host itself is answered by the kernel. */
enum { REQUESTS_OWN = 5 };
static const struct sock_filter requests[] = {
	BPF_STMT(BPF_LD | BPF_H | BPF_ABS, offsetof(struct arp, header.ar_op)),
	BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, ARPOP_REQUEST, 0, 6),
	BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct arp, sender)),
	BPF_STMT(BPF_MISC | BPF_TAX, 0),
	BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct arp, target)),
	[REQUESTS_OWN] = BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, 0, 2, 0),
	BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_X, 0, 1, 0),
	BPF_STMT(BPF_RET | BPF_K, sizeof(struct arp)),
	BPF_STMT(BPF_RET | BPF_K, 0),
};

static int open_listener(
	const struct bridge *bridge, uint16_t protocol, const struct sock_fprog *filter, int *out)
{
	struct sockaddr_ll address = {.sll_family = AF_PACKET,
		.sll_protocol = htons(protocol),
		.sll_ifindex = bridge->index};
	CLEANUP(close)
	int fd = socket(AF_PACKET, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, filter, sizeof(*filter)) < 0 ||
		bind(fd, (const struct sockaddr *)&address, sizeof(address)) < 0)
		return -errno;
	*out = steal_fd(&fd);
	return 0;
}

static int listen_for_solicitations(struct neighbour *neighbour)
{
	struct sock_filter code[COUNT(solicitations)];
	memcpy(code, solicitations, sizeof(code));
	return open_listener(&neighbour->bridge, ETH_P_IPV6,
		&(struct sock_fprog){COUNT(code), code}, &neighbour->solicitations.fd);
}

static int listen_for_requests(struct neighbour *neighbour)
{
	struct sock_filter code[COUNT(requests)];
	uint32_t own;
	memcpy(code, requests, sizeof(code));
	memcpy(&own, bridge_address(&neighbour->bridge, AF_INET)->address.bytes, sizeof(own));
	code[REQUESTS_OWN].k = ntohl(own);
	return open_listener(&neighbour->bridge, ETH_P_ARP, &(struct sock_fprog){COUNT(code), code},
		&neighbour->requests.fd);
}

/* --- its life --- */

static void release(struct neighbour *neighbour)
{
	if (neighbour->open == 0)
		free(neighbour);
}

static void on_closed(uv_handle_t *handle)
{
	struct listener *listener = handle->data;
	listener->neighbour->open--;
	release(listener->neighbour);
}

static int listen_to(struct neighbour *neighbour, struct listener *listener)
{
	int rc = uv_poll_init(neighbour->loop, &listener->poll, listener->fd);
	if (rc < 0)
		return rc;
	neighbour->open++;
	listener->neighbour = neighbour;
	listener->poll.data = listener;
	return uv_poll_start(&listener->poll, UV_READABLE, on_questions);
}

static int open_sockets(struct neighbour *neighbour, bool answers_arp)
{
	neighbour->solicitations.fd = neighbour->requests.fd = -1;
	neighbour->send_fd = socket(AF_PACKET, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (neighbour->send_fd < 0)
		return -errno;
	int rc = bridge_address(&neighbour->bridge, AF_INET6) ? listen_for_solicitations(neighbour)
							      : 0;
	return rc == 0 && answers_arp ? listen_for_requests(neighbour) : rc;
}

static int start(struct neighbour *neighbour, struct error *err)
{
	struct listener *listeners[] = {&neighbour->solicitations, &neighbour->requests};
	int rc = announcer_create(announce, neighbour, &neighbour->announcer, err);
	for (size_t i = 0; rc >= 0 && i < 2; i++)
		if (listeners[i]->fd >= 0 && (rc = listen_to(neighbour, listeners[i])) < 0)
			error_set(err, rc, "cannot watch the neighbours: %s", uv_strerror(rc));
	return rc;
}

int neighbour_create(uv_loop_t *loop, const struct neighbour_config *config, struct neighbour **out,
	struct error *err)
{
	struct neighbour *neighbour = calloc(1, sizeof(*neighbour));
	if (!neighbour)
		return error_set(err, -ENOMEM, "no memory for the doorbell");
	neighbour->loop = loop;
	neighbour->bridge = *config->bridge;
	neighbour->is_ours = config->is_ours;
	neighbour->ctx = config->ctx;
	neighbour->solicitations.take = take_solicitation;
	neighbour->requests.take = take_request;
	int rc = open_sockets(neighbour, config->answers_arp);
	if (rc < 0)
		error_set(err, rc, "cannot open a packet socket on '%s': %s%s",
			neighbour->bridge.name, strerror(-rc),
			rc == -EPERM ? "; run as root or with CAP_NET_RAW" : "");
	else
		rc = start(neighbour, err);
	if (rc < 0) {
		neighbour_destroy(neighbour);
		return rc;
	}
	*out = neighbour;
	return 0;
}

void neighbour_destroy(struct neighbour *neighbour)
{
	if (!neighbour)
		return;
	struct listener *listeners[] = {&neighbour->solicitations, &neighbour->requests};
	announcer_destroy(neighbour->announcer);
	cleanup_close(&neighbour->send_fd);
	for (size_t i = 0; i < 2; i++) {
		if (listeners[i]->neighbour)
			uv_close((uv_handle_t *)&listeners[i]->poll, on_closed);
		cleanup_close(&listeners[i]->fd);
	}
	release(neighbour);
}

uint64_t neighbour_answered(const struct neighbour *neighbour)
{
	return neighbour->answered;
}

/* SPDX-License-Identifier: ISC */
#ifndef NET_LWIPOPTS_H
#define NET_LWIPOPTS_H

/* What lwIP (src/include/lwip/opt.h) does in this kernel: one CPU, one loop, no threads. */
#define NO_SYS               1
#define SYS_LIGHTWEIGHT_PROT 0
#define LWIP_NETCONN         0
#define LWIP_SOCKET          0
#define LWIP_STATS           0
#define LWIP_NETIF_API       0

/* All memory comes from the heap when it is needed: pools would have to be written at every start,
 * and every page touched costs time. */
#define MEM_LIBC_MALLOC 1
#define MEMP_MEM_MALLOC 1
#define MEM_ALIGNMENT   8
#define PBUF_POOL_SIZE  16

#define LWIP_IPV4                     1
#define LWIP_IPV6                     1
/* Its timer would wake the machine ten times a second. Bridges deliver neighbour solicitations
 * without it: they flood what nobody has asked for, unless someone runs a multicast querier. */
#define LWIP_IPV6_MLD                 0
#define LWIP_IPV6_DHCP6               0
#define LWIP_IPV6_NUM_ADDRESSES       5 /* NET_ADDRESSES, and the link-local one */
#define LWIP_IPV6_FRAG                1
#define IPV6_FRAG_COPYHEADER          1 /* 64-bit pointers do not fit in there */
#define LWIP_ND6_NUM_NEIGHBORS        16
#define LWIP_IPV6_DUP_DETECT_ATTEMPTS 0 /* addresses are the host's to give; no second of silence */
#define LWIP_ARP                      1
#define ARP_TABLE_SIZE                64
#define ETHARP_SUPPORT_STATIC_ENTRIES 0
/* While a neighbour is asked for, several answers may wait for it. With one place, the last would
 * push out the others: a client's first SYN would be answered a second late. */
#define ARP_QUEUEING                  1
#define ARP_QUEUE_LEN                 32
#define LWIP_ICMP                     1
#define LWIP_RAW                      0
#define LWIP_DHCP                     1
#define LWIP_DHCP_MAX_NTP_SERVERS     0
#define DHCP_DOES_ARP_CHECK           0 /* likewise */
#define LWIP_DNS                      0
#define IP_REASS_MAX_PBUFS            16
#define LWIP_UDP                      1
#define LWIP_TCP                      1

#define TCP_MSS                            1460
#define TCP_WND                            (44 * TCP_MSS)
/* Of bytes that stay where they are; of copies, app_tcp.c takes half. A window of 64 KiB would leave
 * the machine once for each. */
#define TCP_SND_BUF                        (88 * TCP_MSS)
#define LWIP_WND_SCALE                     1
#define TCP_RCV_SCALE                      0 /* the client's window is what may be large */
#define TCP_SND_QUEUELEN                   (4 * TCP_SND_BUF / TCP_MSS)
#define TCP_SNDLOWAT                       (22 * TCP_MSS)
#define TCP_LISTEN_BACKLOG                 1
#define TCP_DEFAULT_LISTEN_BACKLOG         255
#define LWIP_TCP_TIMESTAMPS                0
#define LWIP_TCP_KEEPALIVE                 1
#define LWIP_TCP_MAX_SACK_NUM              4
#define LWIP_TCP_SACK_OUT                  1
#define TCP_QUEUE_OOSEQ                    1
#define TCP_OOSEQ_MAX_BYTES                TCP_WND /* per connection */
#define LWIP_RANDOMIZE_INITIAL_LOCAL_PORTS 1

#define LWIP_HOOK_FILENAME "guest-kernel/net/hooks.h"

#define LWIP_CHKSUM_ALGORITHM        3
#define LWIP_CHECKSUM_ON_COPY        0
#define LWIP_CHECKSUM_CTRL_PER_NETIF 1
#define LWIP_NETIF_LINK_CALLBACK     0
#define LWIP_NETIF_STATUS_CALLBACK   1
#define LWIP_NETIF_HOSTNAME          1
#define LWIP_SINGLE_NETIF            1
#define LWIP_TIMERS                  1

#endif

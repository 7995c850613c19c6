# SPDX-License-Identifier: ISC
"""Has this namespace track connections, as any firewall with a stateful rule does: an nftables table with
one such rule, put there over netlink (linux/netfilter/nf_tables.h), as not every host has nft(8)."""
import os
import socket
import struct

NETLINK_NETFILTER = 12
SUBSYSTEM = 10  # NFNL_SUBSYS_NFTABLES
BATCH_BEGIN, BATCH_END = 0x10, 0x11
NEWTABLE, NEWCHAIN, NEWRULE = 0, 3, 6
REQUEST, ACK, CREATE, APPEND = 1, 4, 0x400, 0x800
INET = 1  # NFPROTO_INET
PREROUTING = 0


def attribute(kind, value):
    if isinstance(value, str):
        value = value.encode() + b"\0"
    elif isinstance(value, int):
        value = struct.pack("!I", value)
    elif isinstance(value, list):
        kind, value = kind | 0x8000, b"".join(value)  # NLA_F_NESTED
    return struct.pack("=HH", len(value) + 4, kind) + value + b"\0" * (-len(value) % 4)


def message(kind, flags, family, resource, *attributes):
    body = struct.pack("!BBH", family, 0, resource) + b"".join(attributes)
    return struct.pack("=IHHII", len(body) + 16, kind, REQUEST | flags, 0, 0) + body


def rule(kind, flags, *attributes):
    return message(SUBSYSTEM << 8 | kind, flags | CREATE | ACK, INET, 0, *attributes)


def track_connections():
    """An OSError says that this kernel cannot."""
    state = attribute(1, [attribute(1, "ct"), attribute(2, [attribute(1, 1), attribute(2, 0)])])
    batch = b"".join([
        message(BATCH_BEGIN, 0, 0, SUBSYSTEM),
        rule(NEWTABLE, 0, attribute(1, "stateful")),
        rule(NEWCHAIN, 0, attribute(1, "stateful"), attribute(3, "all"),
             attribute(4, [attribute(1, PREROUTING), attribute(2, 0)]), attribute(7, "filter")),
        rule(NEWRULE, APPEND, attribute(1, "stateful"), attribute(2, "all"), attribute(4, [state])),
        message(BATCH_END, 0, 0, SUBSYSTEM)])
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, NETLINK_NETFILTER) as netlink:
        netlink.settimeout(10)
        netlink.sendto(batch, (0, 0))
        for _ in range(3):
            answer = netlink.recv(4096)
            [code] = struct.unpack_from("=i", answer, 16)
            if code:
                raise OSError(-code, f"nftables: {os.strerror(-code)}")

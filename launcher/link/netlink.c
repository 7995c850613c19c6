/* SPDX-License-Identifier: ISC */
#include "launcher/link/netlink.h"

#include <errno.h>
#include <stdbool.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* The kernel fills a dump's pieces up to the size of the reader's buffer, at most this. */
#define RECEIVE_BUFFER 32768
#define RECEIVE_TRIES  4

int netlink_open(struct netlink *netlink, struct error *err)
{
	return netlink_open_family(netlink, NETLINK_ROUTE, err);
}

int netlink_open_family(struct netlink *netlink, int family, struct error *err)
{
	*netlink = (struct netlink){.fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, family)};
	if (netlink->fd < 0)
		return error_set(err, -errno, "cannot open a netlink socket: %s", strerror(errno));
	/* Each is a convenience that an old kernel may lack: reasons in words, short
	 * acknowledgements, dumps that the kernel filters. */
	static const int options[] = {NETLINK_EXT_ACK, NETLINK_CAP_ACK, NETLINK_GET_STRICT_CHK};
	for (size_t i = 0; i < sizeof(options) / sizeof(options[0]); i++)
		setsockopt(netlink->fd, SOL_NETLINK, options[i], &(int){1}, sizeof(int));
	return 0;
}

void netlink_close(struct netlink *netlink)
{
	if (netlink->fd >= 0)
		close(netlink->fd);
	netlink->fd = -1;
}

struct nl_msg *netlink_message(int type, int flags, const void *header, size_t size)
{
	struct nl_msg *message = nlmsg_alloc_simple(type, NLM_F_REQUEST | flags);
	if (message && nlmsg_append(message, (void *)(uintptr_t)header, size, NLMSG_ALIGNTO) < 0) {
		nlmsg_free(message);
		return NULL;
	}
	return message;
}

void netlink_put(struct nl_msg *message, int attribute, const void *data, size_t size)
{
	if (message)
		nla_put(message, attribute, (int)size, data);
}

void netlink_put_u32(struct nl_msg *message, int attribute, uint32_t value)
{
	netlink_put(message, attribute, &value, sizeof(value));
}

void netlink_put_text(struct nl_msg *message, int attribute, const char *text)
{
	netlink_put(message, attribute, text, strlen(text) + 1);
}

/* struct nlmsgerr, the request's payload where it was not capped, then attributes. */
static int read_acknowledgement(struct netlink *netlink, struct nlmsghdr *message)
{
	const struct nlmsgerr *result = nlmsg_data(message);
	if (nlmsg_datalen(message) < (int)sizeof(*result))
		return -EIO;
	if (!(message->nlmsg_flags & NLM_F_ACK_TLVS))
		return result->error;
	size_t skip = sizeof(*result);
	if (!(message->nlmsg_flags & NLM_F_CAPPED))
		skip += result->msg.nlmsg_len - sizeof(result->msg);
	if (skip < (size_t)nlmsg_datalen(message)) {
		struct nlattr *text = nlmsg_find_attr(message, (int)skip, NLMSGERR_ATTR_MSG);
		if (text)
			nla_strlcpy(netlink->hint, text, sizeof(netlink->hint));
	}
	return result->error;
}

/* Returns 1 at the end of the answer, 0 where more follows, or a negative errno. */
static int read_message(
	struct netlink *netlink, struct nlmsghdr *message, netlink_fn answer, void *ctx)
{
	if (message->nlmsg_flags & NLM_F_DUMP_INTR)
		return -EINTR;
	if (message->nlmsg_type == NLMSG_ERROR) {
		int rc = read_acknowledgement(netlink, message);
		return rc < 0 ? rc : 1;
	}
	if (message->nlmsg_type == NLMSG_DONE) {
		int rc = 0;
		if (nlmsg_datalen(message) >= (int)sizeof(rc))
			memcpy(&rc, nlmsg_data(message), sizeof(rc));
		return rc < 0 ? rc : 1;
	}
	int rc = answer ? answer(ctx, message) : 0;
	return rc < 0 ? rc : 0;
}

static bool is_part_of_dump(const struct nlmsghdr *message)
{
	return (message->nlmsg_flags & NLM_F_MULTI) && message->nlmsg_type != NLMSG_DONE &&
	       message->nlmsg_type != NLMSG_ERROR;
}

/* A dump is read to its end, also one that has failed: until then the kernel begins no other on this
 * socket (EBUSY). Where there was no memory to read, what was asked for is done all the same, and its
 * answer is still to be had. */
static int receive(struct netlink *netlink, netlink_fn answer, void *ctx)
{
	char buffer[RECEIVE_BUFFER] __attribute__((aligned(NLMSG_ALIGNTO)));
	int failure = 0;
	for (unsigned tries = 0;;) {
		struct sockaddr_nl from = {0};
		socklen_t from_size = sizeof(from);
		ssize_t size = recvfrom(netlink->fd, buffer, sizeof(buffer),
			MSG_DONTWAIT | MSG_TRUNC, (struct sockaddr *)&from, &from_size);
		if (size < 0 && errno != EAGAIN && ++tries < RECEIVE_TRIES)
			continue;
		if (size < 0)
			return errno == EAGAIN ? -EIO : -errno;
		if ((size_t)size > sizeof(buffer))
			return -EMSGSIZE;
		if (from.nl_pid != 0) /* not the kernel */
			continue;
		struct nlmsghdr *message = (struct nlmsghdr *)buffer;
		for (int rest = (int)size; nlmsg_ok(message, rest);
			message = nlmsg_next(message, &rest)) {
			if (message->nlmsg_seq != netlink->sequence)
				continue; /* left over from a request that ended early */
			int rc = read_message(netlink, message, failure ? NULL : answer, ctx);
			if (rc < 0 && failure == 0)
				failure = rc;
			if (rc != 0 && !is_part_of_dump(message))
				return failure;
		}
	}
}

int netlink_request(struct netlink *netlink, struct nl_msg *message, netlink_fn answer, void *ctx)
{
	netlink->hint[0] = '\0';
	if (!message)
		return -ENOMEM;
	struct nlmsghdr *header = nlmsg_hdr(message);
	header->nlmsg_seq = ++netlink->sequence;
	if ((header->nlmsg_flags & NLM_F_DUMP) != NLM_F_DUMP)
		header->nlmsg_flags |= NLM_F_ACK;
	struct sockaddr_nl kernel = {.nl_family = AF_NETLINK};
	ssize_t sent = sendto(netlink->fd, header, header->nlmsg_len, 0,
		(const struct sockaddr *)&kernel, sizeof(kernel));
	int rc = sent < 0 ? -errno : 0;
	nlmsg_free(message);
	return rc < 0 ? rc : receive(netlink, answer, ctx);
}

int netlink_error(
	const struct netlink *netlink, struct error *err, int code, const char *format, ...)
{
	char what[256];
	va_list arguments;
	va_start(arguments, format);
	vsnprintf(what, sizeof(what), format, arguments);
	va_end(arguments);
	const char *hint = netlink->hint;
	return error_set(err, code, "%s: %s%s%s%s%s", what, strerror(-code), hint[0] ? " (" : "",
		hint, hint[0] ? ")" : "",
		code == -EPERM ? "; run as root or with CAP_NET_ADMIN" : "");
}

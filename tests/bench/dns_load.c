/* SPDX-License-Identifier: ISC */
#include <arpa/inet.h>
#include <errno.h>
#include <poll.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/*
 * The client of tests/bench/dns: asks a server on loopback for A records as fast as it answers, with
 * a fixed number of queries under way, and says how many answers of which kind came.
 *
 *     dns_load udp|tcp PORT FORMAT NAMES COUNT
 *
 * FORMAT is a name with one %u, which becomes a random number below NAMES.
 */
#define WINDOW      64 /* UDP queries under way */
#define CONNECTIONS 8
#define PIPELINE    32 /* queries of one TCP connection under way */
#define PACKET_MAX  512
#define QUIET_MS    200 /* after so long without an answer those under way are taken for lost */
#define QUIET_MAX   50  /* times of that in a row until the server is taken for dead */

struct load {
	const char *format;
	uint32_t names;
	uint64_t count, random;
	uint64_t answers[16]; /* by RCODE */
	uint64_t records, answered, lost;
	uint16_t id;
};

static uint32_t draw(struct load *load)
{
	load->random ^= load->random << 13;
	load->random ^= load->random >> 7;
	load->random ^= load->random << 17;
	return (uint32_t)((load->random >> 32) * load->names >> 32);
}

static size_t write_query(struct load *load, uint8_t *out)
{
	static const uint8_t tail[] = {0, 0, 1, 0, 1, 0, 0, 41, 0x04, 0xd0, 0, 0, 0, 0, 0, 0};
	char name[256];
	snprintf(name, sizeof(name), load->format, draw(load));
	load->id++;
	const uint8_t header[] = {
		(uint8_t)(load->id >> 8), (uint8_t)load->id, 0, 0, 0, 1, 0, 0, 0, 0, 0, 1};
	memcpy(out, header, sizeof(header));
	size_t size = sizeof(header);
	for (const char *label = name; *label;) {
		size_t length = strcspn(label, ".");
		out[size++] = (uint8_t)length;
		memcpy(out + size, label, length);
		size += length;
		label += length + (label[length] == '.');
	}
	memcpy(out + size, tail, sizeof(tail));
	return size + sizeof(tail);
}

static void note(struct load *load, const uint8_t *answer, size_t size)
{
	if (size < 12)
		return;
	load->answered++;
	load->answers[answer[3] & 15]++;
	load->records += answer[7];
}

_Noreturn static void give_up(uint16_t port, const char *why)
{
	fprintf(stderr, "dns_load: port %u: %s\n", port, why);
	exit(1);
}

static int connect_to(uint16_t port, int type)
{
	struct sockaddr_in server = {.sin_family = AF_INET, .sin_port = htons(port)};
	int fd = socket(AF_INET, type, 0);
	server.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	if (fd < 0 || connect(fd, (struct sockaddr *)&server, sizeof(server)) < 0)
		give_up(port, strerror(errno));
	return fd;
}

static void run_udp(struct load *load, uint16_t port)
{
	static uint8_t out[WINDOW][PACKET_MAX], in[WINDOW][PACKET_MAX];
	struct iovec out_vector[WINDOW], in_vector[WINDOW];
	struct mmsghdr out_header[WINDOW] = {0}, in_header[WINDOW] = {0};
	int fd = connect_to(port, SOCK_DGRAM);
	for (int i = 0; i < WINDOW; i++) {
		out_vector[i] = (struct iovec){out[i], 0};
		in_vector[i] = (struct iovec){in[i], PACKET_MAX};
		out_header[i].msg_hdr = (struct msghdr){.msg_iov = &out_vector[i], .msg_iovlen = 1};
		in_header[i].msg_hdr = (struct msghdr){.msg_iov = &in_vector[i], .msg_iovlen = 1};
	}
	int room = WINDOW, quiet = 0;
	while (load->answered < load->count) {
		for (int i = 0; i < room; i++)
			out_vector[i].iov_len = write_query(load, out[i]);
		for (int sent = 0, n; sent < room; sent += n) {
			n = sendmmsg(fd, out_header + sent, (unsigned)(room - sent), 0);
			if (n < 0)
				give_up(port, strerror(errno));
		}
		struct pollfd one = {.fd = fd, .events = POLLIN};
		if (poll(&one, 1, QUIET_MS) == 0) {
			if (++quiet == QUIET_MAX)
				give_up(port, "no answers");
			load->lost += WINDOW;
			room = WINDOW;
			continue;
		}
		int got = recvmmsg(fd, in_header, WINDOW, MSG_DONTWAIT, NULL);
		if (got < 0 && errno != EAGAIN)
			give_up(port, strerror(errno));
		quiet = 0;
		for (int i = 0; i < got; i++)
			note(load, in[i], in_header[i].msg_len);
		room = got > 0 ? got : 0;
	}
	close(fd);
}

static bool transfer(int fd, void *bytes, size_t size, bool out)
{
	for (size_t done = 0; done < size;) {
		ssize_t n = out ? send(fd, (char *)bytes + done, size - done, MSG_NOSIGNAL)
				: recv(fd, (char *)bytes + done, size - done, 0);
		if (n <= 0)
			return false;
		done += (size_t)n;
	}
	return true;
}

/* The answers to all that was sent on a connection, whose buffers are few system calls long. */
static bool read_answers(struct load *load, int fd)
{
	static uint8_t in[PIPELINE * (2 + PACKET_MAX)];
	size_t have = 0, at = 0;
	for (int left = PIPELINE; left > 0;) {
		ssize_t n = recv(fd, in + have, sizeof(in) - have, 0);
		if (n <= 0)
			return false;
		have += (size_t)n;
		while (have - at >= 2 && have - at >= 2 + (size_t)(in[at] << 8 | in[at + 1])) {
			size_t size = (size_t)(in[at] << 8 | in[at + 1]);
			note(load, in + at + 2, size);
			at += 2 + size;
			left--;
		}
	}
	return true;
}

static void run_tcp(struct load *load, uint16_t port)
{
	static uint8_t out[PIPELINE * (2 + PACKET_MAX)];
	int fds[CONNECTIONS];
	for (int i = 0; i < CONNECTIONS; i++)
		fds[i] = connect_to(port, SOCK_STREAM);
	while (load->answered < load->count) {
		for (int i = 0; i < CONNECTIONS; i++) {
			size_t size = 0;
			for (int k = 0; k < PIPELINE; k++) {
				size_t one = write_query(load, out + size + 2);
				out[size] = (uint8_t)(one >> 8);
				out[size + 1] = (uint8_t)one;
				size += 2 + one;
			}
			if (!transfer(fds[i], out, size, true))
				exit(2);
		}
		for (int i = 0; i < CONNECTIONS; i++)
			if (!read_answers(load, fds[i]))
				exit(2);
	}
	for (int i = 0; i < CONNECTIONS; i++)
		close(fds[i]);
}

int main(int argc, char **argv)
{
	if (argc != 6 || !strstr(argv[3], "%u")) {
		fprintf(stderr, "usage: dns_load udp|tcp PORT FORMAT NAMES COUNT\n");
		return 2;
	}
	struct load load = {
		.format = argv[3],
		.names = (uint32_t)strtoul(argv[4], NULL, 10),
		.count = strtoull(argv[5], NULL, 10),
		.random = 0x9e3779b97f4a7c15u ^ (uint64_t)getpid() << 20,
	};
	uint16_t port = (uint16_t)strtoul(argv[2], NULL, 10);
	(strcmp(argv[1], "tcp") == 0 ? run_tcp : run_udp)(&load, port);
	printf("{\"answered\": %llu, \"noerror\": %llu, \"nxdomain\": %llu, \"records\": %llu, "
	       "\"lost\": %llu}\n",
		(unsigned long long)load.answered, (unsigned long long)load.answers[0],
		(unsigned long long)load.answers[3], (unsigned long long)load.records,
		(unsigned long long)load.lost);
	return 0;
}

/* SPDX-License-Identifier: ISC */
#include <arpa/inet.h>
#include <errno.h>
#include <poll.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

/*
 * The steady client of tests/bench/storm: asks a server on loopback for A records at a fixed rate,
 * whether or not it answers, until its input ends; then prints a line for each query: when it was sent
 * (monotonic) and how long its answer took, in nanoseconds. No answer, or none with an address: -1.
 * An answer has come when it is in the client's socket, by the kernel's word (socket(7), SO_TIMESTAMPNS): a
 * client on another machine would not wait for a core of the server's to read it.
 *
 *     dns_steady PORT FORMAT NAMES RATE
 *
 * FORMAT is a name with one %u, which goes through 0 to NAMES - 1.
 */
#define QUERIES_MOST (1u << 20)
#define LAST_WAIT_MS 1000

struct sample {
	uint64_t sent;      /* monotonic */
	uint64_t sent_real; /* the same, by the clock that answers are stamped with */
	int64_t took;
};

struct client {
	int socket, timer;
	const char *format;
	unsigned names;
	struct sample *samples;
	uint32_t count;
};

static uint64_t nanoseconds(const struct timespec *time)
{
	return (uint64_t)time->tv_sec * 1000000000u + (uint64_t)time->tv_nsec;
}

static uint64_t now(clockid_t clock)
{
	struct timespec time;
	clock_gettime(clock, &time);
	return nanoseconds(&time);
}

static size_t write_query(const struct client *client, uint8_t *out)
{
	char name[256];
	uint16_t id = (uint16_t)client->count;
	const uint8_t header[12] = {(uint8_t)(id >> 8), (uint8_t)id, 1, 0, 0, 1};
	memcpy(out, header, sizeof(header));
	size_t size = sizeof(header);
	snprintf(name, sizeof(name), client->format, client->count % client->names);
	for (const char *label = name; *label; label += label[0] == '.') {
		size_t length = strcspn(label, ".");
		out[size++] = (uint8_t)length;
		memcpy(out + size, label, length);
		size += length;
		label += length;
	}
	memcpy(out + size, (const uint8_t[]){0, 0, 1, 0, 1}, 5);
	return size + 5;
}

static void ask(struct client *client)
{
	uint8_t query[512];
	size_t size = write_query(client, query);
	if (client->count == QUERIES_MOST)
		return;
	client->samples[client->count++] =
		(struct sample){now(CLOCK_MONOTONIC), now(CLOCK_REALTIME), -1};
	send(client->socket, query, size, 0);
}

/* An answer of at least a header, and when it came; -1: there is none. */
static ssize_t receive(const struct client *client, uint8_t answer[512], uint64_t *at)
{
	union {
		struct cmsghdr align;
		uint8_t bytes[CMSG_SPACE(sizeof(struct timespec))];
	} control;
	struct iovec vector = {answer, 512};
	struct msghdr message = {.msg_iov = &vector,
		.msg_iovlen = 1,
		.msg_control = &control,
		.msg_controllen = sizeof(control)};
	ssize_t size = recvmsg(client->socket, &message, MSG_DONTWAIT);
	const struct cmsghdr *stamp = CMSG_FIRSTHDR(&message);
	struct timespec time;
	if (size < 12 || !stamp || stamp->cmsg_type != SCM_TIMESTAMPNS)
		return -1;
	memcpy(&time, CMSG_DATA(stamp), sizeof(time));
	*at = nanoseconds(&time);
	return size;
}

/* The last query of that number: no answer takes as long as 65536 queries do. */
static void hear(struct client *client)
{
	uint8_t answer[512];
	uint64_t at;
	while (receive(client, answer, &at) > 0) {
		uint16_t back = (uint16_t)(client->count - 1 - (answer[0] << 8 | answer[1]));
		if (back >= client->count || (answer[3] & 15) || answer[7] == 0)
			continue;
		struct sample *sample = &client->samples[client->count - 1 - back];
		sample->took = (int64_t)(at - sample->sent_real);
	}
}

static void run(struct client *client)
{
	struct pollfd fds[] = {{.fd = STDIN_FILENO, .events = POLLIN},
		{.fd = client->timer, .events = POLLIN}, {.fd = client->socket, .events = POLLIN}};
	while (poll(fds, 3, -1) >= 0 && !fds[0].revents) {
		uint64_t due = 0;
		hear(client);
		if (fds[1].revents && read(client->timer, &due, sizeof(due)) > 0)
			while (due-- > 0)
				ask(client);
	}
	uint64_t end = now(CLOCK_MONOTONIC) + LAST_WAIT_MS * 1000000ull;
	while (now(CLOCK_MONOTONIC) < end) {
		poll(fds + 2, 1, 10);
		hear(client);
	}
}

int main(int argc, char **argv)
{
	if (argc != 5) {
		fprintf(stderr, "usage: dns_steady PORT FORMAT NAMES RATE\n");
		return 2;
	}
	struct client client = {
		.socket = socket(AF_INET, SOCK_DGRAM, 0),
		.timer = timerfd_create(CLOCK_MONOTONIC, 0),
		.format = argv[2],
		.names = (unsigned)strtoul(argv[3], NULL, 10),
		.samples = calloc(QUERIES_MOST, sizeof(struct sample)),
	};
	struct sockaddr_in server = {.sin_family = AF_INET,
		.sin_port = htons((uint16_t)strtoul(argv[1], NULL, 10)),
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	long interval = 1000000000 / strtol(argv[4], NULL, 10);
	const struct itimerspec every = {{0, interval}, {0, interval}};
	if (!client.samples ||
		connect(client.socket, (struct sockaddr *)&server, sizeof(server)) < 0 ||
		setsockopt(client.socket, SOL_SOCKET, SO_TIMESTAMPNS, &(int){1}, sizeof(int)) < 0 ||
		timerfd_settime(client.timer, 0, &every, NULL) < 0) {
		perror("dns_steady");
		return 1;
	}
	run(&client);
	for (uint32_t i = 0; i < client.count; i++)
		printf("%llu %lld\n", (unsigned long long)client.samples[i].sent,
			(long long)client.samples[i].took);
	free(client.samples);
	return 0;
}

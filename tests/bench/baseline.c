/* SPDX-License-Identifier: ISC */
/* What a cold unikernel is compared with: a static program that binds a port, listens, and says on
 * its standard output which port it is. Then it sleeps until its input ends; with the argument
 * `http` it answers one request with a page of 1 KiB instead. */
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define PAGE_SIZE 1024

static int serve(int listener)
{
	static char page[PAGE_SIZE], request[4096];
	const char head[] = "HTTP/1.1 200 OK\r\nContent-Length: 1024\r\nConnection: close\r\n\r\n";
	memset(page, 'x', sizeof(page));
	int client = accept(listener, NULL, NULL);
	return read(client, request, sizeof(request)) > 0 &&
			       write(client, head, sizeof(head) - 1) > 0 &&
			       write(client, page, sizeof(page)) == sizeof(page)
		       ? 0
		       : 1;
}

int main(int count, char **arguments)
{
	struct sockaddr_in address = {
		.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t size = sizeof(address);
	char byte;
	int fd = socket(AF_INET, SOCK_STREAM, 0);
	if (bind(fd, (const struct sockaddr *)&address, sizeof(address)) < 0 ||
		listen(fd, 128) < 0 || getsockname(fd, (struct sockaddr *)&address, &size) < 0 ||
		write(STDOUT_FILENO, &address.sin_port, 2) != 2)
		return 1;
	if (count > 1 && strcmp(arguments[1], "http") == 0)
		return serve(fd);
	return read(STDIN_FILENO, &byte, 1) < 0;
}

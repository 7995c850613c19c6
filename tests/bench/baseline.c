/* SPDX-License-Identifier: ISC */
/* What a cold unikernel is compared with: a static program that binds a port, listens, and says so on
 * its standard output, then sleeps until its input ends. */
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

int main(void)
{
	const struct sockaddr_in any = {.sin_family = AF_INET};
	char byte = '!';
	int fd = socket(AF_INET, SOCK_STREAM, 0);
	if (bind(fd, (const struct sockaddr *)&any, sizeof(any)) < 0 || listen(fd, 128) < 0 ||
		write(STDOUT_FILENO, &byte, 1) != 1)
		return 1;
	return read(STDIN_FILENO, &byte, 1) < 0;
}

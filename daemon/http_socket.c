/* SPDX-License-Identifier: ISC */
#include "daemon/http_internal.h"

#include <errno.h>
#include <grp.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "base/cleanup.h"

#define BACKLOG 64

/* 0 where the path is free now. A socket on which nobody listens is the rest of a dead server. */
static int clear_path(const char *path, const struct sockaddr_un *address, struct error *err)
{
	struct stat status;
	if (lstat(path, &status) < 0)
		return errno == ENOENT ? 0
				       : error_set(err, -errno, "%s: %s", path, strerror(errno));
	if (!S_ISSOCK(status.st_mode))
		return error_set(err, -EEXIST,
			"%s exists and is no socket: remove it or set another control.socket",
			path);
	CLEANUP(close) int probe = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (probe < 0)
		return error_set(err, -errno, "socket: %s", strerror(errno));
	if (connect(probe, (const struct sockaddr *)address, sizeof(*address)) == 0 ||
		errno == EAGAIN)
		return error_set(err, -EADDRINUSE, "%s: another server is listening there", path);
	if (errno != ECONNREFUSED)
		return error_set(err, -errno, "%s: %s", path, strerror(errno));
	if (unlink(path) < 0 && errno != ENOENT)
		return error_set(
			err, -errno, "%s: cannot remove the old socket: %s", path, strerror(errno));
	return 0;
}

static int set_owner(const struct http_config *config, struct error *err)
{
	if (config->group) {
		errno = 0;
		const struct group *group = getgrnam(config->group);
		if (!group)
			return error_set(err, -ENOENT, "control.group: there is no group '%s'",
				config->group);
		if (chown(config->socket_path, (uid_t)-1, group->gr_gid) < 0)
			return error_set(err, -errno, "%s: cannot give it to group %s: %s",
				config->socket_path, config->group, strerror(errno));
	}
	if (chmod(config->socket_path, config->mode) < 0)
		return error_set(
			err, -errno, "%s: chmod: %s", config->socket_path, strerror(errno));
	return 0;
}

/* The socket is in the file system, but nobody can connect before listen(): so there is no moment
 * at which its mode is wider than asked. */
static int bind_and_listen(int fd, const struct http_config *config,
	const struct sockaddr_un *address, struct error *err)
{
	if (bind(fd, (const struct sockaddr *)address, sizeof(*address)) < 0)
		return error_set(err, -errno, "%s: cannot make the socket: %s", config->socket_path,
			strerror(errno));
	int rc = set_owner(config, err);
	if (rc == 0 && listen(fd, BACKLOG) < 0)
		rc = error_set(err, -errno, "%s: listen: %s", config->socket_path, strerror(errno));
	if (rc < 0)
		unlink(config->socket_path);
	return rc;
}

int http_socket_listen(
	const struct http_config *config, dev_t *device, ino_t *inode, struct error *err)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	size_t length = strlen(config->socket_path);
	if (length == 0 || length >= sizeof(address.sun_path))
		return error_set(err, -ENAMETOOLONG,
			"%s: the path of a socket has 1 to %zu letters", config->socket_path,
			sizeof(address.sun_path) - 1);
	memcpy(address.sun_path, config->socket_path, length);
	int rc = clear_path(config->socket_path, &address, err);
	if (rc < 0)
		return rc;
	CLEANUP(close) int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return error_set(err, -errno, "socket: %s", strerror(errno));
	rc = bind_and_listen(fd, config, &address, err);
	if (rc < 0)
		return rc;
	struct stat status = {0};
	if (lstat(config->socket_path, &status) < 0)
		return error_set(err, -errno, "%s: %s", config->socket_path, strerror(errno));
	*device = status.st_dev;
	*inode = status.st_ino;
	return steal_fd(&fd);
}

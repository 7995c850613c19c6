/* SPDX-License-Identifier: ISC */
#include "daemon/resolv.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "base/address.h"
#include "base/cleanup.h"

#define DNS_PORT 53

static bool is_same(const struct sockaddr_storage *a, const struct sockaddr_storage *b)
{
	struct ip_address x = ip_address_from_sockaddr((const struct sockaddr *)a);
	struct ip_address y = ip_address_from_sockaddr((const struct sockaddr *)b);
	/* The port is at the same place for both families. */
	return ip_address_equal(&x, &y) &&
	       ((const struct sockaddr_in *)(const void *)a)->sin_port ==
		       ((const struct sockaddr_in *)(const void *)b)->sin_port;
}

static bool is_own(
	const struct sockaddr_storage *server, const struct sockaddr_storage *own, size_t count)
{
	for (size_t i = 0; i < count; i++)
		if (is_same(server, &own[i]))
			return true;
	return false;
}

static bool read_line(const char *line, struct sockaddr_storage *out)
{
	char word[16], address[64];
	struct ip_address ip;
	if (sscanf(line, "%15s %63s", word, address) != 2 || strcmp(word, "nameserver") != 0 ||
		ip_address_parse(address, &ip, NULL) < 0)
		return false;
	ip_address_to_sockaddr(&ip, DNS_PORT, out);
	return true;
}

int resolv_read(const char *path, const struct sockaddr_storage *own, size_t own_count,
	struct sockaddr_storage *out, size_t max, struct error *err)
{
	CLEANUP(fclose) FILE *file = fopen(path, "re");
	char line[512];
	size_t count = 0;
	if (!file)
		return error_set(err, -errno, "cannot read %s: %s", path, strerror(errno));
	while (count < max && fgets(line, sizeof(line), file))
		count += read_line(line, &out[count]) && !is_own(&out[count], own, own_count);
	if (count == 0)
		return error_set(err, -ENOENT,
			"%s names no resolver but this server: set forward.upstreams", path);
	return (int)count;
}

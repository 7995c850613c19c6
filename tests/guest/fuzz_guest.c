/* SPDX-License-Identifier: ISC */
#include <stdint.h>
#include <stdlib.h>

#include "guest-kernel/apps/http.h"
#include "guest-kernel/apps/site.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* The same bytes as a request and as an archive; what is accepted must be sound. */
static void try_request(const uint8_t *data, size_t size)
{
	struct http_request request;
	size_t used = 0;
	if (http_parse((const char *)data, size, &request, &used) != 200)
		return;
	if (used == 0 || used > size)
		abort();
	if (request.method != HTTP_OTHER && request.path[0] != '/')
		abort();
}

static void try_archive(const uint8_t *data, size_t size)
{
	struct site site;
	const char *why;
	if (site_init(&site, data, size, &why) < 0)
		return;
	for (size_t i = 0; i < site.count; i++) {
		const struct site_file *file = &site.files[i];
		if (file->data < data || file->size > size - (size_t)(file->data - data))
			abort();
	}
	site_finish(&site);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	try_request(data, size);
	try_archive(data, size);
	return 0;
}

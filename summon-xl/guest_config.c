/* SPDX-License-Identifier: ISC */
#include "summon-xl/guest_config.h"

#include <errno.h>
#include <inttypes.h>
#include <libxl_utils.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "summon-xl/kind.h"

#define MIB                (1024ull * 1024)
#define PVH_MEMORY_LEAST   (32 * MIB) /* less, and libxl finds no room for its own pages */
#define MEMORY_MOST        (1024 * 1024 * MIB)
#define VCPUS_MOST         128
#define NAME_IDENTITY_SIZE 8

int start_request_read(
	const char *text, size_t size, struct start_request *request, struct error *err)
{
	const char **texts[XL_START_TEXTS] = {&request->service, &request->kernel, &request->initrd,
		&request->device, &request->bridge, &request->cmdline};
	if (size < sizeof(request->head))
		return error_set(err, -EINVAL, "a START that is too short");
	memcpy(&request->head, text, sizeof(request->head));
	const char *at = text + sizeof(request->head), *end = text + size;
	for (size_t i = 0; i < XL_START_TEXTS; i++) {
		const char *nul = memchr(at, '\0', (size_t)(end - at));
		if (!nul)
			return error_set(err, -EINVAL, "a START whose texts have no end");
		*texts[i] = at;
		at = nul + 1;
	}
	return 0;
}

static int check(const struct start_request *request, enum xl_kind kind, struct error *err)
{
	const struct xl_start *head = &request->head;
	if (kind == XL_KIND_PVH && head->memory < PVH_MEMORY_LEAST)
		return error_set(err, -EINVAL,
			"memory %" PRIu64 " KiB: a PVH guest needs at least 32 MiB under libxl",
			head->memory / 1024);
	if (head->memory < MIB || head->memory > MEMORY_MOST)
		return error_set(err, -EINVAL, "memory %" PRIu64 " KiB: from 1 MiB to 1 TiB",
			head->memory / 1024);
	if (head->vcpus < 1 || head->vcpus > VCPUS_MOST)
		return error_set(
			err, -EINVAL, "%" PRIu32 " CPUs: from 1 to %d", head->vcpus, VCPUS_MOST);
	return 0;
}

/* "" is nothing to libxl. */
static char *copy(const char *text)
{
	return text[0] ? strdup(text) : NULL;
}

static void fill_build(libxl_ctx *ctx, const struct start_request *request,
	libxl_domain_build_info *build, libxl_domain_type type)
{
	libxl_domain_build_info_init_type(build, type);
	build->max_vcpus = (int)request->head.vcpus;
	libxl_cpu_bitmap_alloc(ctx, &build->avail_vcpus, build->max_vcpus);
	libxl_bitmap_set_any(&build->avail_vcpus);
	build->max_memkb = build->target_memkb = request->head.memory / 1024;
	build->kernel = copy(request->kernel);
	build->ramdisk = copy(request->initrd);
	build->cmdline = copy(request->cmdline);
}

static int add_nic(
	const struct start_request *request, libxl_domain_config *config, struct error *err)
{
	if (!request->device[0])
		return 0;
	libxl_device_nic *nic = calloc(1, sizeof(*nic));
	if (!nic)
		return error_set(err, -ENOMEM, "out of memory");
	libxl_device_nic_init(nic);
	memcpy(nic->mac, request->head.mac, sizeof(nic->mac));
	nic->nictype = LIBXL_NIC_TYPE_VIF;
	nic->bridge = copy(request->bridge);
	/* The network device is ours to bring up (vif.h). libxl insists on a script (it can only be
	 * told to run none for all domains of a host at once): this is the quickest. */
	nic->script = strdup("/bin/true");
	config->nics = nic;
	config->num_nics = 1;
	return 0;
}

static int add_marks(
	const struct start_request *request, libxl_domain_create_info *create, struct error *err)
{
	char **pairs = calloc(5, sizeof(*pairs));
	if (!pairs)
		return error_set(err, -ENOMEM, "out of memory");
	pairs[0] = strdup(MARK_SERVICE);
	pairs[1] = strdup(request->service);
	pairs[2] = strdup(MARK_DEVICE);
	pairs[3] = strdup(request->device);
	create->xsdata = pairs;
	return 0;
}

int guest_config_make(libxl_ctx *ctx, const struct start_request *request, uint64_t identity,
	struct guest_id id, libxl_domain_config *config, struct error *err)
{
	enum xl_kind kind = request->head.kind;
	libxl_domain_config_init(config);
	int r = 0;
	if (kind == XL_KIND_AUTO)
		r = kind_of_kernel(request->kernel, &kind, err);
	if (r == 0)
		r = check(request, kind, err);
	if (r < 0)
		return r;
	libxl_domain_create_info *create = &config->c_info;
	create->type = kind == XL_KIND_PV ? LIBXL_DOMAIN_TYPE_PV : LIBXL_DOMAIN_TYPE_PVH;
	identity_uuid(identity, id, &create->uuid);
	if (asprintf(&create->name, "summond-%0*" PRIx32 "-%" PRIu32 "-%" PRIu32,
		    NAME_IDENTITY_SIZE, (uint32_t)(identity >> 32), id.slot, id.generation) < 0)
		return error_set(err, -ENOMEM, "out of memory");
	fill_build(ctx, request, &config->b_info, create->type);
	r = add_marks(request, create, err);
	return r < 0 ? r : add_nic(request, config, err);
}

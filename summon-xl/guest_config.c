/* SPDX-License-Identifier: ISC */
#include "summon-xl/guest_config.h"

#include <errno.h>
#include <inttypes.h>
#include <libxl_utils.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/devices.h"
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
		&request->device, &request->bridge, &request->cmdline, &request->name,
		&request->uuid, &request->nics, &request->disks, &request->rumprun_config,
		&request->ready_key};
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

/* What libxl reckons with, and more: a guest that comes back from disk does so in small pages, for
 * which the least of what libxl gives is too little (4.17: 32 MiB fail). */
static uint64_t paging_memory_kib(const struct start_request *request)
{
	return 4 * (256 * request->head.vcpus + request->head.memory / MIB) + 1024;
}

static void fill_build(libxl_ctx *ctx, const struct start_request *request,
	libxl_domain_build_info *build, libxl_domain_type type)
{
	libxl_domain_build_info_init_type(build, type);
	build->max_vcpus = (int)request->head.vcpus;
	libxl_cpu_bitmap_alloc(ctx, &build->avail_vcpus, build->max_vcpus);
	libxl_bitmap_set_any(&build->avail_vcpus);
	build->max_memkb = build->target_memkb = request->head.memory / 1024;
	if (type == LIBXL_DOMAIN_TYPE_PVH)
		build->shadow_memkb = paging_memory_kib(request);
	build->kernel = copy(request->kernel);
	build->ramdisk = copy(request->initrd);
	build->cmdline = copy(request->cmdline);
}

/* ---- devices ---- */

/* Interfaces after the first have MACs that follow from its own, which is locally administered. */
static void set_mac(libxl_device_nic *nic, const struct start_request *request, int index)
{
	memcpy(nic->mac, request->head.mac, sizeof(nic->mac));
	nic->mac[1] = (uint8_t)(nic->mac[1] + index);
}

static int add_nic(const struct start_request *request, const struct nic_text *text,
	libxl_domain_config *config, struct error *err)
{
	int index = config->num_nics;
	libxl_device_nic *nics =
		reallocarray(config->nics, (size_t)index + 1, sizeof(*config->nics));
	if (!nics)
		return error_set(err, -ENOMEM, "out of memory");
	config->nics = nics;
	config->num_nics++;
	libxl_device_nic *nic = &nics[index];
	libxl_device_nic_init(nic);
	set_mac(nic, request, index);
	nic->nictype = LIBXL_NIC_TYPE_VIF;
	nic->bridge = copy(text->bridge);
	nic->script = strdup(text->script[0] ? text->script : NIC_SCRIPT);
	if (text->script[0] && index == 0)
		nic->ifname = copy(request->device);
	return 0;
}

static int add_nics(
	const struct start_request *request, libxl_domain_config *config, struct error *err)
{
	struct nic_text nic = {0};
	const char *at = request->nics;
	int r = 0;
	if (!request->nics[0] && request->device[0]) {
		snprintf(nic.bridge, sizeof(nic.bridge), "%s", request->bridge);
		return add_nic(request, &nic, config, err);
	}
	while (r >= 0 && (r = nic_next(&at, &nic, err)) > 0)
		r = add_nic(request, &nic, config, err);
	return r;
}

static int add_disks(
	const struct start_request *request, libxl_domain_config *config, struct error *err)
{
	struct disk_text text;
	const char *at = request->disks;
	int r;
	while ((r = disk_next(&at, &text, err)) > 0) {
		libxl_device_disk *disks =
			reallocarray(config->disks, (size_t)config->num_disks + 1, sizeof(*disks));
		if (!disks)
			return error_set(err, -ENOMEM, "out of memory");
		config->disks = disks;
		libxl_device_disk *disk = &disks[config->num_disks++];
		libxl_device_disk_init(disk);
		disk->pdev_path = copy(text.path);
		disk->vdev = copy(text.device);
		disk->format = LIBXL_DISK_FORMAT_RAW;
		disk->backend = LIBXL_DISK_BACKEND_PHY; /* a file by way of a loop device */
		disk->readwrite = !text.read_only;
	}
	return r;
}

/* ---- whose it is ---- */

static int add_marks(const struct start_request *request, uint64_t identity, struct guest_id id,
	libxl_domain_create_info *create, struct error *err)
{
	char owner[LIBXL_UUID_FMTLEN + 1];
	libxl_uuid uuid;
	identity_uuid(identity, id, &uuid);
	snprintf(owner, sizeof(owner), LIBXL_UUID_FMT, LIBXL_UUID_BYTES(uuid));
	const char *const marks[] = {MARK_OWNER, owner, MARK_SERVICE, request->service, MARK_DEVICE,
		request->device, MARK_READY_KEY, request->ready_key};
	const size_t count = sizeof(marks) / sizeof(marks[0]);
	char **pairs = calloc(count + 1, sizeof(*pairs));
	if (!pairs)
		return error_set(err, -ENOMEM, "out of memory");
	for (size_t i = 0; i < count; i++)
		pairs[i] = strdup(marks[i]);
	create->xsdata = pairs;
	return 0;
}

static int name_it(const struct start_request *request, uint64_t identity, struct guest_id id,
	libxl_domain_create_info *create, struct error *err)
{
	identity_uuid(identity, id, &create->uuid);
	if (request->uuid[0] && libxl_uuid_from_string(&create->uuid, request->uuid) < 0)
		return error_set(err, -EINVAL, "'%.40s' is no UUID", request->uuid);
	if (request->name[0])
		create->name = copy(request->name);
	else if (asprintf(&create->name, "summond-%0*" PRIx32 "-%" PRIu32 "-%" PRIu32,
			 NAME_IDENTITY_SIZE, (uint32_t)(identity >> 32), id.slot,
			 id.generation) < 0)
		create->name = NULL;
	return create->name ? 0 : error_set(err, -ENOMEM, "out of memory");
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
	fill_build(ctx, request, &config->b_info, create->type);
	r = name_it(request, identity, id, create, err);
	if (r == 0)
		r = add_marks(request, identity, id, create, err);
	if (r == 0)
		r = add_nics(request, config, err);
	return r < 0 ? r : add_disks(request, config, err);
}

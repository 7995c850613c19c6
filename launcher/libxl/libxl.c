/* SPDX-License-Identifier: ISC */
#include "launcher/libxl/libxl.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/units.h"

#define DEFAULT_WORKERS 4
#define MOST_WORKERS    16
#define FIRST_PAUSE_MS  10

extern const struct launcher_ops libxl_launcher_ops;

static void free_all(struct xl *xl)
{
	free(xl->identity);
	free(xl->lock);
	free(xl->saved);
	free(xl->program);
	free(xl);
}

void xl_handle_closed(struct xl *xl)
{
	if (--xl->open_handles > 0 || !xl->closing)
		return;
	void (*closed)(void *ctx) = xl->closed;
	void *ctx = xl->closed_ctx;
	free_all(xl);
	if (closed)
		closed(ctx);
}

static void timer_closed(uv_handle_t *handle)
{
	xl_handle_closed(handle->data);
}

static void libxl_destroy(struct launcher *launcher, void (*closed)(void *ctx), void *ctx)
{
	struct xl *xl = (struct xl *)launcher;
	xl->closing = true;
	xl->closed = closed;
	xl->closed_ctx = ctx;
	xl_helper_leave(xl);
	while (xl->guests)
		xl_guest_remove(xl, xl->guests);
	uv_close((uv_handle_t *)&xl->again, timer_closed);
}

static unsigned libxl_capabilities(const struct launcher *launcher)
{
	(void)launcher;
	return LAUNCHER_CAN_PREPARE | LAUNCHER_CAN_SUSPEND | LAUNCHER_CAN_SHUTDOWN |
	       LAUNCHER_CAN_CONSOLE | LAUNCHER_CAN_OUTLIVE | LAUNCHER_CAN_KEY |
	       LAUNCHER_CAN_SNAPSHOT;
}

static int libxl_list(struct launcher *launcher, struct error *err)
{
	struct xl *xl = (struct xl *)launcher;
	xl->list_asked = true;
	return xl_helper_start(xl, err);
}

/* ---- start ---- */

static int check_spec(const struct guest_spec *spec, struct error *err)
{
	if (spec->domain_xml)
		return error_set(err, -EINVAL, "domain XML is libvirt's; libxl needs an image");
	if (!spec->kernel)
		return error_set(err, -EINVAL, "libxl needs an image");
	if (access(spec->kernel, R_OK) < 0)
		return error_set(err, -EINVAL, "image %s: %s", spec->kernel, strerror(errno));
	if (spec->initrd && access(spec->initrd, R_OK) < 0)
		return error_set(err, -EINVAL, "initrd %s: %s", spec->initrd, strerror(errno));
	return 0;
}

static int libxl_check(const struct guest_spec *spec, unsigned asked, struct error *err)
{
	int r = check_spec(spec, err);
	if (r < 0 || !(asked & LAUNCHER_CAN_SNAPSHOT))
		return r;
	return xl_check_suspends(spec->kernel, err);
}

static const char *or_nothing(const char *text)
{
	return text ? text : "";
}

/* The text of START, as the protocol has it. */
static int make_start(
	struct xl *xl, struct xl_guest *guest, const struct guest_spec *spec, struct error *err)
{
	struct xl_start head = {
		.memory = spec->memory, .vcpus = spec->vcpus, .kind = (uint32_t)xl->kind};
	const struct guest_domain *domain = &spec->domain;
	const char *texts[XL_START_TEXTS] = {spec->service, spec->kernel, spec->initrd, spec->tap,
		spec->bridge, spec->cmdline, domain->name, domain->uuid, domain->nics,
		domain->disks, domain->rumprun_config, spec->ready_key};
	size_t size = sizeof(head);
	memcpy(head.mac, spec->mac.bytes, sizeof(head.mac));
	for (size_t i = 0; i < XL_START_TEXTS; i++)
		size += strlen(or_nothing(texts[i])) + 1;
	if (size > XL_TEXT_MAX)
		return error_set(
			err, -E2BIG, "the name, paths and command line are too long together");
	guest->start = malloc(size);
	if (!guest->start)
		return error_set(err, -ENOMEM, "out of memory");
	guest->start_size = size;
	memcpy(guest->start, &head, sizeof(head));
	char *end = guest->start + sizeof(head);
	for (size_t i = 0; i < XL_START_TEXTS; i++)
		end = stpcpy(end, or_nothing(texts[i])) + 1;
	return 0;
}

static int libxl_start(struct launcher *launcher, struct instance_id id,
	const struct guest_spec *spec, enum launcher_start how, struct error *err)
{
	struct xl *xl = (struct xl *)launcher;
	if (xl_guest_find(xl, id))
		return error_set(err, -EEXIST, "instance %u.%u exists", id.slot, id.generation);
	int r = check_spec(spec, err);
	if (r < 0)
		return r;
	struct xl_guest *guest = xl_guest_add(xl, id);
	if (!guest)
		return error_set(err, -ENOMEM, "out of memory");
	guest->wants_run = how == LAUNCHER_START_RUNNING;
	r = make_start(xl, guest, spec, err);
	if (r == 0)
		r = xl_guest_ask(xl, guest, XL_START, err);
	if (r < 0)
		xl_guest_remove(xl, guest);
	return r;
}

/* ---- what is asked of one that is there ---- */

static int ask(
	struct launcher *launcher, struct instance_id id, enum xl_type type, struct error *err)
{
	struct xl *xl = (struct xl *)launcher;
	struct xl_guest *guest = xl_guest_find(xl, id);
	if (!guest)
		return error_set(err, -ESRCH, "there is no instance %u.%u", id.slot, id.generation);
	int r = xl_guest_ask(xl, guest, type, err);
	if (r == 0 && type == XL_DESTROY)
		guest->stop_asked = true;
	return r;
}

static int libxl_resume(struct launcher *launcher, struct instance_id id, struct error *err)
{
	return ask(launcher, id, XL_RESUME, err);
}

static int libxl_suspend(struct launcher *launcher, struct instance_id id, enum launcher_rest where,
	struct error *err)
{
	return ask(launcher, id, where == LAUNCHER_REST_DISK ? XL_SAVE : XL_PAUSE, err);
}

static int libxl_stop(
	struct launcher *launcher, struct instance_id id, enum launcher_stop how, struct error *err)
{
	return ask(launcher, id, how == LAUNCHER_STOP_SHUTDOWN ? XL_SHUTDOWN : XL_DESTROY, err);
}

static void libxl_describe(const struct launcher *launcher, char *text, size_t size)
{
	const struct xl *xl = (const struct xl *)launcher;
	if (xl->flowing)
		snprintf(text, size, "%s, through %s", xl->facts, xl->program);
	else
		snprintf(text, size, "%s: %s", xl->program,
			xl->trouble.code ? xl->trouble.message : "has not answered yet");
}

/* ---- settings ---- */

static int kind_parse(const char *value, enum xl_kind *kind, struct error *err)
{
	static const char *const names[] = {
		[XL_KIND_AUTO] = "auto", [XL_KIND_PVH] = "pvh", [XL_KIND_PV] = "pv"};
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (strcmp(names[i], value) == 0) {
			*kind = (enum xl_kind)i;
			return 0;
		}
	return error_set(err, -EINVAL, "\"%s\" is not one of auto, pvh, pv", value);
}

static int configure(struct xl *xl, const struct launcher_config *config, struct error *err)
{
	const char *program = SUMMON_XL_PROGRAM;
	xl->workers = DEFAULT_WORKERS;
	for (size_t i = 0; i < config->setting_count; i++) {
		const struct launcher_setting *setting = &config->settings[i];
		int r = 0;
		if (strcmp(setting->key, "helper") == 0)
			program = setting->value;
		else if (strcmp(setting->key, "workers") == 0)
			r = number_parse(setting->value, 1, MOST_WORKERS, &xl->workers, err);
		else if (strcmp(setting->key, "kind") == 0)
			r = kind_parse(setting->value, &xl->kind, err);
		else
			r = error_set(
				err, -EINVAL, "no such setting (there are helper, workers, kind)");
		if (r < 0)
			return error_prefix(err, r, "%s", setting->key);
	}
	if (access(program, X_OK) < 0)
		return error_set(err, -EINVAL, "helper: %s: %s", program, strerror(errno));
	xl->identity = strdup(config->identity);
	xl->program = strdup(program);
	if (asprintf(&xl->lock, "%s/summon-xl-%s.lock", config->state_dir, xl->identity) < 0)
		xl->lock = NULL;
	if (asprintf(&xl->saved, "%s/saved", config->state_dir) < 0)
		xl->saved = NULL;
	if (!xl->identity || !xl->lock || !xl->saved || !xl->program)
		return error_set(err, -ENOMEM, "out of memory");
	if (mkdir(xl->saved, 0700) < 0 && errno != EEXIST)
		return error_set(err, -errno, "%s: %s", xl->saved, strerror(errno));
	return 0;
}

static int libxl_create(
	const struct launcher_config *config, struct launcher **out, struct error *err)
{
	struct xl *xl = calloc(1, sizeof(*xl));
	if (!xl)
		return error_set(err, -ENOMEM, "out of memory");
	xl->launcher.ops = &libxl_launcher_ops;
	xl->loop = config->loop;
	xl->on_event = config->on_event;
	xl->ctx = config->ctx;
	xl->pause_ms = FIRST_PAUSE_MS;
	int r = configure(xl, config, err);
	if (r < 0) {
		free_all(xl);
		return r;
	}
	uv_timer_init(xl->loop, &xl->again);
	xl->again.data = xl;
	xl->open_handles = 1;
	*out = &xl->launcher;
	return 0;
}

const struct launcher_ops libxl_launcher_ops = {
	.name = "libxl",
	.summary = "Xen, through libxenlight: PVH and PV guests, from dom0",
	.needs_image = true,
	.takes_domain = true,
	.tap = LAUNCHER_TAP_MADE,
	.check = libxl_check,
	.create = libxl_create,
	.destroy = libxl_destroy,
	.capabilities = libxl_capabilities,
	.list = libxl_list,
	.start = libxl_start,
	.resume = libxl_resume,
	.suspend = libxl_suspend,
	.stop = libxl_stop,
	.describe = libxl_describe,
};

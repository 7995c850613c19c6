/* SPDX-License-Identifier: ISC */
/* The contract: operations, and the launcher's own life. News of the guests: news.c. */
#include "launcher/libvirt/instance.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/units.h"
#include "launcher/libvirt/reaper.h"

extern const struct launcher_ops libvirt_launcher_ops;

/* Any thread. */
static void wake(void *ctx)
{
	struct virt *virt = ctx;
	uv_async_send(&virt->mail);
}

static void on_children(uv_signal_t *handle, int number)
{
	(void)handle, (void)number;
	reaper_run();
}

/* ---- operations ---- */

static int spec_check(const struct virt *virt, const struct guest_spec *spec, struct error *err)
{
	const char *const images[] = {spec->kernel, spec->initrd};
	struct stat info;
	if (!spec->kernel && !spec->domain_xml)
		return error_set(err, -EINVAL, "libvirt: a guest needs a kernel or a domain_xml");
	if (!spec->domain_xml && !virt->settings.qemu)
		return error_set(err, -EINVAL, "libvirt: %s needs a domain_xml for each service",
			virt->settings.uri);
	for (size_t i = 0; virt->settings.local && i < 2; i++) {
		if (!images[i])
			continue;
		if (images[i][0] != '/')
			return error_set(err, -EINVAL, "%s: is no absolute path", images[i]);
		if (stat(images[i], &info) < 0 || access(images[i], R_OK) < 0)
			return error_set(err, -EINVAL, "%s: %s", images[i], strerror(errno));
		if (!S_ISREG(info.st_mode))
			return error_set(err, -EINVAL, "%s: is no file", images[i]);
	}
	return 0;
}

static int xml_make(struct virt *virt, struct instance_id id, const struct guest_spec *spec,
	enum launcher_start how, bool *stream, char **xml, struct error *err)
{
	CLEANUP(free) char *console = instance_console_path(virt, id);
	char name[64];
	snprintf(name, sizeof(name), "%s%u-%u", virt->prefix, id.slot, id.generation);
	struct domain_params params = {
		.id = id,
		.name = name,
		.identity = virt->identity,
		.type = virt->domain_type == DOMAIN_KVM ? "kvm" : "qemu",
		.machine = virt->settings.machine,
		.emulator = virt->settings.emulator,
		.console = virt->settings.qemu && virt->settings.local ? console : NULL,
		.mute = !(virt->capabilities & LAUNCHER_CAN_CONSOLE),
		.skip_cpu_report = virt->settings.skip_cpu_report && virt->settings.qemu,
		.booted = how == LAUNCHER_START_RUNNING,
		.started_at = clock_real(),
	};
	return domain_xml_build(spec, &params, stream, xml, err);
}

static int virt_start(struct launcher *launcher, struct instance_id id,
	const struct guest_spec *spec, enum launcher_start how, struct error *err)
{
	struct virt *virt = (struct virt *)launcher;
	char *xml = NULL;
	bool stream = false;
	if (instance_find(virt, id))
		return error_set(err, -EEXIST, "libvirt: instance %u.%u exists already", id.slot,
			id.generation);
	if (how == LAUNCHER_START_PAUSED && !(virt->capabilities & LAUNCHER_CAN_PREPARE))
		return error_set(err, -ENOTSUP, "libvirt: %s cannot start a guest paused",
			virt->settings.uri);
	if (virt->settings.qemu && virt->domain_type == DOMAIN_AUTO)
		return error_set(err, -EAGAIN,
			"libvirt: whether this host has KVM is not known yet; list first");
	int r = spec_check(virt, spec, err);
	if (r == 0)
		r = xml_make(virt, id, spec, how, &stream, &xml, err);
	if (r < 0)
		return r;
	struct instance *instance = instance_add(virt, id);
	if (!instance) {
		free(xml);
		return error_set(err, -ENOMEM, "out of memory");
	}
	instance->how = how;
	instance->stream = stream;
	r = instance_console_open(instance, err);
	if (r < 0)
		free(xml);
	else
		r = instance_ask(instance, JOB_START, xml, err);
	if (r < 0)
		instance_remove(instance);
	return r;
}

static struct instance *instance_known(
	struct launcher *launcher, struct instance_id id, unsigned needed, struct error *err)
{
	struct virt *virt = (struct virt *)launcher;
	struct instance *instance = instance_find(virt, id);
	if (!instance || instance->going) {
		error_set(err, -ESRCH, "libvirt: no instance %u.%u", id.slot, id.generation);
		return NULL;
	}
	if ((virt->capabilities & needed) != needed) {
		error_set(err, -ENOTSUP, "libvirt: %s cannot do that", virt->settings.uri);
		return NULL;
	}
	return instance;
}

static int virt_resume(struct launcher *launcher, struct instance_id id, struct error *err)
{
	struct error why = ERROR_INIT;
	struct instance *instance = instance_known(launcher, id, 0, &why);
	if (!instance)
		return error_set(err, why.code, "%s", why.message);
	return instance_ask(instance, JOB_RESUME, NULL, err);
}

static int virt_suspend(struct launcher *launcher, struct instance_id id, enum launcher_rest where,
	struct error *err)
{
	struct error why = ERROR_INIT;
	bool disk = where == LAUNCHER_REST_DISK;
	struct instance *instance = instance_known(
		launcher, id, disk ? LAUNCHER_CAN_SNAPSHOT : LAUNCHER_CAN_SUSPEND, &why);
	if (!instance)
		return error_set(err, why.code, "%s", why.message);
	return instance_ask(instance, disk ? JOB_SAVE : JOB_SUSPEND, NULL, err);
}

static int virt_stop(
	struct launcher *launcher, struct instance_id id, enum launcher_stop how, struct error *err)
{
	struct error why = ERROR_INIT;
	bool shutdown = how == LAUNCHER_STOP_SHUTDOWN;
	struct instance *instance =
		instance_known(launcher, id, shutdown ? LAUNCHER_CAN_SHUTDOWN : 0, &why);
	if (!instance)
		return error_set(err, why.code, "%s", why.message);
	if (!shutdown)
		instance->stop_asked = true;
	return instance_ask(instance, shutdown ? JOB_SHUTDOWN : JOB_DESTROY, NULL, err);
}

static int virt_list(struct launcher *launcher, struct error *err)
{
	struct virt *virt = (struct virt *)launcher;
	if (virt->list_asked)
		return error_set(err, -EALREADY, "libvirt: listed already");
	virt->list_asked = true;
	if (virt->connected)
		virt_list_domains(virt);
	return 0;
}

static unsigned virt_capabilities(const struct launcher *launcher)
{
	return ((const struct virt *)launcher)->capabilities;
}

static void virt_describe(const struct launcher *launcher, char *text, size_t size)
{
	static const char *const types[] = {
		[DOMAIN_AUTO] = "undecided", [DOMAIN_KVM] = "kvm", [DOMAIN_QEMU] = "qemu"};
	const struct virt *virt = (const struct virt *)launcher;
	snprintf(text, size, "%s at %s; domain type %s (%s)",
		virt->versions[0] ? virt->versions : "not connected", virt->settings.uri,
		virt->settings.qemu ? types[virt->domain_type] : "of each service's domain_xml",
		virt->type_reason[0] ? virt->type_reason : "the host is being looked at");
}

/* ---- the launcher's own life ---- */

static void virt_free(struct virt *virt)
{
	libvirt_settings_finish(&virt->settings);
	free(virt->identity);
	free(virt->state_dir);
	free(virt->saved_folder);
	free(virt);
}

void virt_closed_one(struct virt *virt)
{
	if (!virt->closing || virt->open_handles || virt->open_consoles)
		return;
	void (*closed)(void *ctx) = virt->closed;
	void *ctx = virt->closed_ctx;
	if (virt->connection)
		connection_join(virt->connection);
	virt_free(virt);
	if (closed)
		closed(ctx);
}

/* Not before all threads have stopped: a destroy that is under way waits for the reaper. */
void virt_handles_close(struct virt *virt)
{
	uv_close((uv_handle_t *)&virt->children, virt_handle_closed);
	uv_close((uv_handle_t *)&virt->mail, virt_handle_closed);
}

static void virt_destroy(struct launcher *launcher, void (*closed)(void *ctx), void *ctx)
{
	struct virt *virt = (struct virt *)launcher;
	virt->closing = true;
	virt->closed = closed;
	virt->closed_ctx = ctx;
	while (virt->instances)
		instance_remove(virt->instances);
	if (virt->connection)
		connection_stop(virt->connection); /* its last message closes the handles */
	else
		virt_handles_close(virt);
}

static unsigned capabilities_of(const struct libvirt_settings *settings)
{
	unsigned mask = LAUNCHER_CAN_SUSPEND | LAUNCHER_CAN_SHUTDOWN;
	if (strncmp(settings->uri, "test:", 5) == 0)
		return mask; /* its guests live in our memory */
	mask |= LAUNCHER_CAN_PREPARE | LAUNCHER_CAN_OUTLIVE | LAUNCHER_CAN_CONSOLE;
	if (settings->qemu && settings->local) /* the file is one of this host */
		mask |= LAUNCHER_CAN_SNAPSHOT;
	return mask;
}

static int virt_configure(
	struct virt *virt, const struct launcher_config *config, struct error *err)
{
	CLEANUP(free) char *consoles = NULL;
	int r = libvirt_settings_init(&virt->settings, config, err);
	if (r < 0)
		return r;
	virt->capabilities = capabilities_of(&virt->settings);
	virt->domain_type = virt->settings.type;
	virt->identity = strdup(config->identity);
	virt->state_dir = realpath(config->state_dir, NULL);
	snprintf(virt->prefix, sizeof(virt->prefix), "summond-%.8s-", config->identity);
	if (!virt->identity || !virt->state_dir ||
		asprintf(&consoles, "%s/console", virt->state_dir) < 0)
		return error_set(err, -errno, "%s: %s", config->state_dir, strerror(errno));
	if (mkdir(consoles, 0755) < 0 && errno != EEXIST)
		return error_set(err, -errno, "%s: %s", consoles, strerror(errno));
	if (!(virt->capabilities & LAUNCHER_CAN_SNAPSHOT))
		return 0;
	if (asprintf(&virt->saved_folder, "%s/saved", virt->state_dir) < 0)
		return error_set(err, -ENOMEM, "out of memory");
	if (mkdir(virt->saved_folder, 0700) < 0 && errno != EEXIST)
		return error_set(err, -errno, "%s: %s", virt->saved_folder, strerror(errno));
	return 0;
}

static int virt_run(struct virt *virt, struct error *err)
{
	const struct connection_config config = {
		.settings = &virt->settings,
		.identity = virt->identity,
		.prefix = virt->prefix,
		.saved_folder = virt->saved_folder,
		.wake = wake,
		.ctx = virt,
	};
	uv_async_init(virt->loop, &virt->mail, virt_on_mail);
	uv_signal_init(virt->loop, &virt->children);
	virt->mail.data = virt->children.data = virt;
	virt->open_handles = 2;
	if (virt->settings.root) {
		reaper_prepare();
		/* The embedded driver would warn on our stderr of how it is set up. */
		setenv("LIBVIRT_LOG_FILTERS", "4:qemu_domain 4:security_manager", 0);
		uv_signal_start(&virt->children, on_children, SIGCHLD);
	}
	return connection_start(&config, &virt->connection, err);
}

static int virt_create(
	const struct launcher_config *config, struct launcher **out, struct error *err)
{
	struct virt *virt = calloc(1, sizeof(*virt));
	if (!virt)
		return error_set(err, -ENOMEM, "out of memory");
	virt->launcher.ops = &libvirt_launcher_ops;
	virt->loop = config->loop;
	virt->on_event = config->on_event;
	virt->ctx = config->ctx;
	int r = virt_configure(virt, config, err);
	if (r < 0) {
		virt_free(virt);
		return r;
	}
	r = virt_run(virt, err);
	if (r < 0) {
		virt_destroy(&virt->launcher, NULL, NULL);
		return r;
	}
	*out = &virt->launcher;
	return 0;
}

const struct launcher_ops libvirt_launcher_ops = {
	.name = "libvirt",
	.summary = "QEMU/KVM (embedded or by libvirtd) and whatever else libvirt drives",
	.create = virt_create,
	.destroy = virt_destroy,
	.capabilities = virt_capabilities,
	.list = virt_list,
	.start = virt_start,
	.resume = virt_resume,
	.suspend = virt_suspend,
	.stop = virt_stop,
	.describe = virt_describe,
};

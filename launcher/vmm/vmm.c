/* SPDX-License-Identifier: ISC */
#include "launcher/vmm/vmm.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/units.h"

#define DEFAULT_SHELLS    2
#define MOST_SHELLS       64
#define DEFAULT_MEMORY    (32ull << 20) /* until there was a guest */
#define DEFAULT_TEMPLATES (256ull << 20)
#define SHELLS_LATER_MS   20 /* after a start, which is more urgent */

extern const struct launcher_ops vmm_launcher_ops;

void vmm_emit(struct vmm *vmm, const struct launcher_event *event)
{
	if (!vmm->closing)
		vmm->on_event(vmm->ctx, event);
}

static void free_all(struct vmm *vmm)
{
	free(vmm->identity);
	free(vmm->state_dir);
	free(vmm->run_dir);
	free(vmm->monitor);
	if (vmm->null >= 0)
		close(vmm->null);
	free(vmm);
}

void vmm_handle_closed(struct vmm *vmm)
{
	if (--vmm->open_handles > 0 || !vmm->closing)
		return;
	void (*closed)(void *ctx) = vmm->closed;
	void *ctx = vmm->closed_ctx;
	free_all(vmm);
	if (closed)
		closed(ctx);
}

static void timer_closed(uv_handle_t *handle)
{
	vmm_handle_closed(handle->data);
}

static void vmm_destroy(struct launcher *launcher, void (*closed)(void *ctx), void *ctx)
{
	struct vmm *vmm = (struct vmm *)launcher;
	vmm->closing = true;
	vmm->closed = closed;
	vmm->closed_ctx = ctx;
	while (vmm->guests)
		vmm_guest_forget(vmm->guests);
	while (vmm->shells) /* which end by themselves */
		vmm_guest_forget(vmm->shells);
	vmm_guest_discard(STEAL_POINTER(vmm->spare));
	while (vmm->rests)
		vmm_rest_forget(vmm->rests);
	vmm_templates_forget(vmm);
	vmm_ahead_finish(vmm);
	vmm_shells_sweep(vmm, false);
	vmm_probe_close(vmm);
	uv_close((uv_handle_t *)&vmm->list_timer, timer_closed);
	uv_close((uv_handle_t *)&vmm->shell_timer, timer_closed);
	uv_close((uv_handle_t *)&vmm->spawn_timer, timer_closed);
	vmm_crowd_close(&vmm->crowd, timer_closed);
}

static unsigned vmm_capabilities(const struct launcher *launcher)
{
	(void)launcher;
	return LAUNCHER_CAN_PREPARE | LAUNCHER_CAN_SUSPEND | LAUNCHER_CAN_SHUTDOWN |
	       LAUNCHER_CAN_CONSOLE | LAUNCHER_CAN_OUTLIVE | LAUNCHER_CAN_SNAPSHOT;
}

static int check_spec(const struct guest_spec *spec, struct error *err)
{
	if (spec->domain_xml)
		return error_set(err, -EINVAL,
			"domain_xml: vmm runs images of guest-kernel only: give the service "
			"another "
			"backend, such as libvirt");
	if (!spec->kernel)
		return error_set(err, -EINVAL, "image: vmm needs one");
	if (spec->vcpus > 1)
		return error_set(
			err, -EINVAL, "vcpus: vmm gives a guest one CPU, not %u", spec->vcpus);
	return 0;
}

/* A guest of ours can all that the backend can. */
static int vmm_check(const struct guest_spec *spec, unsigned asked, struct error *err)
{
	(void)asked;
	int r = check_spec(spec, err);
	return r < 0 ? r : vmm_check_image(spec->kernel, err);
}

/* Of a shell that has loaded what it begins with; -ENOENT where there is none. A template is begun from
 * only: to make one, everything is read. */
static int start_loaded(struct vmm *vmm, struct instance_id id, const struct guest_spec *spec,
	enum launcher_start how, const struct vmm_ahead *ahead, struct error *err)
{
	struct vmm_order order;
	struct error why = ERROR_INIT;
	struct vmm_guest *shell = vmm_ahead_find(vmm, ahead);
	if (!shell || (spec->from_template && !ahead->is_template))
		return -ENOENT;
	int r = ahead->is_template ? vmm_template_order_loaded(
					     vmm, &order, id.slot, spec, how, &ahead->recipe, err)
				   : vmm_order_new(&order, spec, how, "", true, err);
	if (r < 0)
		return r;
	r = vmm_boot_loaded(shell, id, &order, &why);
	vmm_order_finish(&order);
	if (r == -EPIPE || r == -ECONNRESET) /* it has died unseen */
		return -ENOENT;
	return r < 0 ? error_set(err, r, "%s", why.message) : 0;
}

static int start_anew(struct vmm *vmm, struct instance_id id, const struct guest_spec *spec,
	enum launcher_start how, const struct vmm_recipe *recipe, struct error *err)
{
	struct vmm_order order;
	struct error why = ERROR_INIT;
	int r = recipe ? vmm_template_order(vmm, &order, id.slot, spec, how, recipe, err)
		       : vmm_order_new(&order, spec, how, "", false, err);
	if (r < 0)
		return r;
	if (!vmm_boot(vmm, id, &order, &why))
		r = error_set(err, why.code, "%s", why.message);
	vmm_order_finish(&order);
	return r;
}

static int vmm_start(struct launcher *launcher, struct instance_id id,
	const struct guest_spec *spec, enum launcher_start how, struct error *err)
{
	struct vmm *vmm = (struct vmm *)launcher;
	struct vmm_ahead ahead;
	struct vmm_recipe made_of;
	if (vmm_guest_find(vmm, id) || vmm_rest_find(vmm, id))
		return error_set(err, -EEXIST, "instance %u.%u exists", id.slot, id.generation);
	int r = check_spec(spec, err);
	if (r < 0)
		return r;
	const struct vmm_recipe *recipe =
		spec->from_template && vmm_recipe_read(spec, &made_of) == 0 ? &made_of : NULL;
	bool is_known = vmm_ahead_any(vmm) && vmm_ahead_of(vmm, spec, recipe, &ahead);
	r = is_known ? start_loaded(vmm, id, spec, how, &ahead, err) : -ENOENT;
	if (r == -ENOENT)
		r = start_anew(vmm, id, spec, how, recipe, err);
	if (r == 0 && (is_known || vmm_ahead_of(vmm, spec, recipe, &ahead)))
		vmm_ahead_note(vmm, &ahead);
	vmm_shells_fill(vmm, SHELLS_LATER_MS);
	return r;
}

static void vmm_expect(struct launcher *launcher, unsigned starts, uint64_t memory)
{
	struct vmm *vmm = (struct vmm *)launcher;
	vmm->shells_expected = starts < MOST_SHELLS ? starts : MOST_SHELLS;
	if (memory > vmm->shell_memory)
		vmm->shell_memory = memory;
	if (!vmm->listing && !vmm->is_unable)
		vmm_shells_fill(vmm, SHELLS_LATER_MS);
}

static int unknown(struct instance_id id, struct error *err)
{
	return error_set(err, -ESRCH, "there is no instance %u.%u", id.slot, id.generation);
}

static int do_at_rest(
	struct vmm *vmm, struct instance_id id, enum vmm_request what, struct error *err)
{
	struct vmm_rest *rest = vmm_rest_find(vmm, id);
	if (!rest || rest->is_stopping)
		return unknown(id, err);
	if (what == VMM_RESUME)
		return vmm_rest_resume(rest, err);
	return error_set(err, -EALREADY, "the guest rests on disk already");
}

int vmm_do(struct vmm *vmm, struct instance_id id, enum vmm_request what, struct error *err)
{
	struct vmm_guest *guest = vmm_guest_find(vmm, id);
	if (!guest)
		return do_at_rest(vmm, id, what, err);
	if (guest->asked)
		return unknown(id, err);
	if (guest->resting != VMM_NOT_RESTING) {
		if (guest->queue.count == VMM_QUEUE)
			return error_set(err, -EBUSY, "too much is asked of one guest");
		guest->queue.what[guest->queue.count++] = what;
		return 0;
	}
	if (what == VMM_REST)
		return vmm_rest_begin(guest, err);
	int r = vmm_guest_request(
		guest, what == VMM_RESUME ? CONTROL_RESUME : CONTROL_PAUSE, 0, err);
	if (r == 0)
		(*(what == VMM_RESUME ? &guest->resumes : &guest->suspends))++;
	return r;
}

static int vmm_resume(struct launcher *launcher, struct instance_id id, struct error *err)
{
	return vmm_do((struct vmm *)launcher, id, VMM_RESUME, err);
}

static int vmm_suspend(struct launcher *launcher, struct instance_id id, enum launcher_rest where,
	struct error *err)
{
	return vmm_do((struct vmm *)launcher, id,
		where == LAUNCHER_REST_DISK ? VMM_REST : VMM_PAUSE, err);
}

static int vmm_stop(
	struct launcher *launcher, struct instance_id id, enum launcher_stop how, struct error *err)
{
	struct vmm *vmm = (struct vmm *)launcher;
	struct vmm_guest *guest = vmm_guest_find(vmm, id);
	struct vmm_rest *rest = vmm_rest_find(vmm, id);
	if (!guest && rest && !rest->is_stopping) {
		vmm_rest_stop(rest);
		return 0;
	}
	if (!guest || guest->asked)
		return unknown(id, err);
	if (how == LAUNCHER_STOP_SHUTDOWN && guest->resting == VMM_NOT_RESTING)
		return vmm_guest_request(guest, CONTROL_SHUTDOWN, 0, err);
	guest->destroying = true;
	vmm_guest_kill(guest);
	return 0;
}

static void vmm_describe(const struct launcher *launcher, char *text, size_t size)
{
	const struct vmm *vmm = (const struct vmm *)launcher;
	const char *facts = vmm->facts[0] ? vmm->facts : "not asked yet";
	int first = (int)strcspn(facts, "\n");
	const char *second = facts[first] ? facts + first + 1 : "";
	char mode[48] = "", templates[768] = "";
	if (vmm->mode)
		snprintf(mode, sizeof(mode), "mode %s; ", vmm->mode);
	vmm_templates_describe(vmm, templates, sizeof(templates));
	snprintf(text, size, "%s: %s%.*s%s%.*s%s", vmm->monitor,
		vmm->is_unable ? "no guest can run here: " : mode, first, facts,
		*second ? "; " : "", (int)strcspn(second, "\n"), second, templates);
}

static int configure(struct vmm *vmm, const struct launcher_config *config, struct error *err)
{
	const struct instance_id longest = {UINT32_MAX, UINT32_MAX};
	struct sockaddr_un address;
	const char *monitor = VMM_MONITOR;
	vmm->shells_least = DEFAULT_SHELLS;
	vmm->shell_memory = DEFAULT_MEMORY;
	vmm->templates_max = DEFAULT_TEMPLATES;
	for (size_t i = 0; i < config->setting_count; i++) {
		const struct launcher_setting *setting = &config->settings[i];
		int r = 0;
		if (strcmp(setting->key, "monitor") == 0)
			monitor = setting->value;
		else if (strcmp(setting->key, "shells") == 0)
			r = number_parse(setting->value, 0, MOST_SHELLS, &vmm->shells_least, err);
		else if (strcmp(setting->key, "mode") == 0)
			r = vmm_mode_parse(setting->value, &vmm->wanted_mode, err);
		else if (strcmp(setting->key, "templates") == 0)
			r = size_parse(setting->value, &vmm->templates_max, err);
		else
			r = error_set(err, -EINVAL,
				"no such setting (there are monitor, shells, mode, templates)");
		if (r < 0)
			return error_prefix(err, r, "%s", setting->key);
	}
	vmm->in_flight_most = vmm_spawns_at_once();
	if (access(monitor, X_OK) < 0)
		return error_set(err, -EINVAL, "monitor: %s: %s", monitor, strerror(errno));
	CLEANUP(close) int null = open("/dev/null", O_RDWR | O_CLOEXEC);
	if (null >= 0)
		vmm->null = fcntl(null, F_DUPFD_CLOEXEC, CONTROL_FD + 1);
	if (vmm->null < 0)
		return error_set(err, -errno, "/dev/null: %s", strerror(errno));
	vmm->identity = strdup(config->identity);
	vmm->state_dir = strdup(config->state_dir);
	vmm->run_dir = strdup(config->run_dir);
	vmm->monitor = strdup(monitor);
	if (!vmm->identity || !vmm->state_dir || !vmm->run_dir || !vmm->monitor)
		return error_set(err, -ENOMEM, "out of memory");
	return vmm_socket_address(vmm, longest, &address, err);
}

static int vmm_create(
	const struct launcher_config *config, struct launcher **out, struct error *err)
{
	struct vmm *vmm = calloc(1, sizeof(*vmm));
	if (!vmm)
		return error_set(err, -ENOMEM, "out of memory");
	vmm->launcher.ops = &vmm_launcher_ops;
	vmm->null = -1;
	vmm->loop = config->loop;
	vmm->on_event = config->on_event;
	vmm->ctx = config->ctx;
	int r = configure(vmm, config, err);
	if (r < 0) {
		free_all(vmm);
		return r;
	}
	uv_timer_init(vmm->loop, &vmm->list_timer);
	uv_timer_init(vmm->loop, &vmm->shell_timer);
	uv_timer_init(vmm->loop, &vmm->spawn_timer);
	uv_timer_init(vmm->loop, &vmm->crowd.timer);
	vmm->list_timer.data = vmm->shell_timer.data = vmm->spawn_timer.data = vmm;
	vmm->crowd.timer.data = vmm;
	vmm_crowd_init(&vmm->crowd);
	vmm->open_handles = 4;
	*out = &vmm->launcher;
	return 0;
}

const struct launcher_ops vmm_launcher_ops = {
	.name = "vmm",
	.summary = "our own monitor: starts a unikernel in milliseconds (KVM, or none; one CPU)",
	.needs_image = true,
	.tap = LAUNCHER_TAP_HEADERS,
	.suits = vmm_suits,
	.check = vmm_check,
	.create = vmm_create,
	.destroy = vmm_destroy,
	.capabilities = vmm_capabilities,
	.list = vmm_list,
	.start = vmm_start,
	.expect = vmm_expect,
	.resume = vmm_resume,
	.suspend = vmm_suspend,
	.stop = vmm_stop,
	.measure = vmm_measure,
	.has_template = vmm_has_template,
	.describe = vmm_describe,
};

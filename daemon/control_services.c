/* SPDX-License-Identifier: ISC */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/control_internal.h"
#include "daemon/definition.h"
#include "daemon/family.h"
#include "daemon/instance.h"
#include "daemon/needs.h"

/* A definition on its way: parsed and checked on the loop thread, made durable on the storage
 * thread, put into the registry, and only then answered. */
struct put {
	struct control *control;
	struct http_request *request;
	struct store_service def;
	bool created;
	unsigned claimed;               /* addresses that are held for it */
	struct family family;           /* its further machines */
	unsigned coming;                /* of it and them, what is not there yet */
	bool binds;                     /* it comes to need others */
	const struct launcher_ops *ops; /* of its backend */
	unsigned asked;                 /* of that, by its policy */
	char image[4096];               /* path, or "" */
	char upload[4096], site[4096];  /* a site's tar: where it is, where it belongs */
	char replaced[4096];            /* the initrd before, of which the memory may be; or "" */
	uint64_t memory, memory_limit;  /* the default; what all may have, or 0 */
};

void control_get_service(void *ctx, struct http_request *request)
{
	struct service *service = control_service(ctx, request);
	const char *figures = http_query(request, "figures");
	if (service && figures && strcmp(figures, "1") == 0)
		control_measure(ctx, service, request);
	else if (service)
		http_respond(request, 200, control_service_json(service));
}

/* --- put --- */

static void put_free(struct put *put)
{
	store_service_finish(&put->def);
	family_finish(&put->family);
	free(put);
}

static void put_refuse(struct put *put, int rc, const struct error *err)
{
	definition_settle(put->control->daemon, &put->def, put->claimed, false);
	family_settle(put->control->daemon, &put->family, false);
	if (put->site[0])
		control_discard_site(put->control->daemon, put->site, NULL);
	http_respond_error(put->request, control_status(rc), "%s", err->message);
	put_free(put);
}

static int put_all(struct store *store, void *ctx, struct error *err)
{
	struct put *put = ctx;
	int rc = store_put_service(store, &put->def, err);
	if (rc >= 0)
		rc = family_derive(&put->family, &put->def, err);
	return rc < 0 ? rc : family_store(store, &put->family, err);
}

static int put_work(struct store *store, void *ctx, struct error *err)
{
	struct put *put = ctx;
	const struct guest_spec spec = {
		.kernel = put->image[0] ? put->image : NULL,
		.domain_xml = put->def.domain_xml,
		.vcpus = put->def.vcpus,
	};
	int rc = put->upload[0] ? control_keep_site(put->upload, put->site, err) : 0;
	/* Memory that nobody gave is sized anew for the new one. */
	if (put->replaced[0] && put->def.memory == definition_size_for(put->replaced, put->memory))
		put->def.memory = 0;
	if (rc >= 0)
		rc = definition_check_files(&put->def, spec.kernel, put->memory, err);
	if (rc >= 0)
		rc = definition_check_memory(put->def.memory, put->memory_limit, err);
	if (rc >= 0 && put->ops->check)
		rc = put->ops->check(&spec, put->asked, err);
	return rc < 0 ? rc : store_together(store, put_all, put, err);
}

/* It is on its way to the store (1), or there or refused (-1). */
static void count_change(const struct put *put, int by)
{
	struct service *service =
		put->created ? NULL : service_by_id(&put->control->daemon->registry, put->def.id);
	if (service)
		service->changes += (unsigned)by;
	put->control->daemon->registry.moves += (unsigned)by;
	put->control->daemon->registry.coming += (unsigned)by * put->coming;
	put->control->daemon->registry.binding += (unsigned)by * put->binds;
}

static void put_done(void *ctx, int rc, const struct error *err)
{
	struct put *put = ctx;
	struct daemon *daemon = put->control->daemon;
	struct error failure = ERROR_INIT;
	count_change(put, -1);
	if (rc < 0) {
		put_refuse(put, rc, err);
		return;
	}
	definition_settle(daemon, &put->def, put->claimed, true);
	family_settle(daemon, &put->family, true);
	put->claimed = 0;
	const struct service *known = service_by_id(&daemon->registry, put->def.id);
	if (known) { /* it may have changed meanwhile */
		put->def.pinned = known->def.pinned;
		put->def.pinned_until = known->def.pinned_until;
	}
	if (known && known->def.initrd &&
		(!put->def.initrd || strcmp(known->def.initrd, put->def.initrd) != 0))
		control_discard_site(daemon, known->def.initrd, known);
	rc = registry_put_service(&daemon->registry, &put->def, &failure);
	if (rc >= 0)
		rc = family_grow(daemon, &put->family, &failure);
	if (rc < 0) {
		put_refuse(put, rc, &failure);
		return;
	}
	family_shrink(daemon, &put->family);
	control_announce_service(put->control, put->def.name, put->created ? "added" : "changed");
	http_respond(put->request, put->created ? 201 : 200,
		control_service_json(service_by_id(&daemon->registry, put->def.id)));
	put_free(put);
}

/* The name in the path, and what is known of it already. NULL after an answer was sent. */
static struct put *put_begin(struct control *control, struct http_request *request)
{
	struct error err = ERROR_INIT;
	if (!control_is_whole(request, http_param(request, "name")))
		return NULL;
	struct put *put = calloc(1, sizeof(*put));
	if (!put) {
		http_respond_error(request, 500, "out of memory");
		return NULL;
	}
	put->control = control;
	put->request = request;
	put->memory = control->daemon->config->guest.memory;
	put->memory_limit = control->daemon->config->limits.memory;
	if (dns_name_canonical(http_param(request, "name"), put->def.name, &err) < 0) {
		put_refuse(put, -EINVAL, &err);
		return NULL;
	}
	const struct service *known = service_by_name(&control->daemon->registry, put->def.name);
	put->created = !known;
	if (known) {
		put->def.id = known->def.id;
		memcpy(put->def.addresses, known->def.addresses, sizeof(put->def.addresses));
		put->def.created_at = known->def.created_at;
	}
	return put;
}

/* With its machines, of which there must not be two opinions on their way at once. */
static int plan_family(struct put *put, struct error *err)
{
	struct daemon *daemon = put->control->daemon;
	const struct registry *registry = &daemon->registry;
	const struct policy_entry *policy = policy_by_name(registry, put->def.policy);
	const struct service *known = service_by_id(registry, put->def.id);
	bool several = policy->policy.instances.count > 1 || (known && known->machine_count > 1);
	if (registry->reshaping || (several && known && known->changes))
		return error_set(err, -EBUSY,
			"another change of %s or of its policy is on its way: try again",
			put->def.name);
	int rc = family_plan(daemon, &put->def, &policy->policy, &put->family, err);
	put->coming = put->created + family_coming(&put->family);
	return rc < 0 ? rc : family_check_room(daemon, put->coming, err);
}

/* Nobody needs a service that has just come. */
static int check_needs(struct put *put, struct error *err)
{
	const struct registry *registry = &put->control->daemon->registry;
	const struct policy_entry *policy = policy_by_name(registry, put->def.policy);
	const struct service *known = service_by_id(registry, put->def.id);
	put->binds =
		known && policy->policy.needs[0] && (known->policy != policy || known->changes);
	return put->binds ? needs_check_alone(registry, err) : 0;
}

/* Both are there: the definition was checked. */
static void put_look_up(struct put *put)
{
	struct daemon *daemon = put->control->daemon;
	put->ops = backend_by_name(&daemon->backends, put->def.backend)->ops;
	put->asked = backend_asked(&policy_by_name(&daemon->registry, put->def.policy)->policy);
}

/* Counted before, as the definition is the worker's from then on. */
static int put_store(struct put *put, struct error *err)
{
	count_change(put, 1);
	int rc = storage_run(put->control->daemon->storage, put_work, put_done, put, err);
	if (rc < 0)
		count_change(put, -1);
	return rc;
}

static void put_go_on(struct put *put)
{
	struct daemon *daemon = put->control->daemon;
	struct error err = ERROR_INIT;
	int rc = definition_check(daemon, &put->def, &err);
	if (rc >= 0)
		rc = definition_claim(daemon, &put->def, &put->claimed, &err);
	if (rc >= 0)
		rc = plan_family(put, &err);
	if (rc >= 0)
		rc = check_needs(put, &err);
	if (rc >= 0)
		put_look_up(put);
	if (rc >= 0 && put->def.image && put->ops->needs_image)
		instance_image_path(daemon->config, put->def.image, put->image, sizeof(put->image));
	if (rc >= 0)
		rc = put_store(put, &err);
	if (rc < 0)
		put_refuse(put, rc, &err);
}

void control_put_service(void *ctx, struct http_request *request)
{
	struct control *control = ctx;
	struct error err = ERROR_INIT;
	struct put *put = put_begin(control, request);
	if (!put)
		return;
	int rc = definition_parse(control->daemon, http_body(request), &put->def, &err);
	if (rc < 0)
		put_refuse(put, rc, &err);
	else
		put_go_on(put);
}

/* What is known of it, to be changed: what is on its way to the store would be lost from that. */
static int put_copy(struct put *put, const struct service *known, struct error *err)
{
	if (known->changes > 0)
		return error_set(err, -EBUSY, "another change of %s is on its way: try again",
			known->def.name);
	if (store_service_copy(&put->def, &known->def) < 0)
		return error_set(err, -ENOMEM, "out of memory");
	return 0;
}

static void note_replaced(struct put *put)
{
	if (put->def.initrd)
		snprintf(put->replaced, sizeof(put->replaced), "%s", put->def.initrd);
}

void control_patch_service(void *ctx, struct http_request *request)
{
	struct control *control = ctx;
	struct error err = ERROR_INIT;
	const struct service *known = control_service(control, request);
	struct put *put = known ? put_begin(control, request) : NULL;
	if (!put)
		return;
	int rc = put_copy(put, known, &err);
	if (rc >= 0 && json_object_get(http_body(request), "initrd") &&
		!json_object_get(http_body(request), "memory"))
		note_replaced(put);
	if (rc >= 0)
		rc = definition_change(http_body(request), &put->def, &err);
	if (rc < 0)
		put_refuse(put, rc, &err);
	else
		put_go_on(put);
}

/* --- a static site: an uploaded tar becomes the initrd of the website image --- */

static int begin_website(struct put *put, struct error *err)
{
	json_t *json = json_pack("{s:s}", "image", "website");
	int rc = definition_parse(put->control->daemon, json, &put->def, err);
	json_decref(json);
	return rc;
}

static int use_site(struct put *put, const struct service *known, struct error *err)
{
	int rc = known ? put_copy(put, known, err) : begin_website(put, err);
	if (rc < 0)
		return rc;
	snprintf(put->upload, sizeof(put->upload), "%s", http_body_file(put->request));
	rc = control_name_site(
		put->control->daemon, put->def.name, put->site, sizeof(put->site), err);
	if (rc < 0)
		return rc;
	note_replaced(put);
	free(put->def.initrd);
	put->def.initrd = strdup(put->site);
	return put->def.initrd ? 0 : error_set(err, -ENOMEM, "out of memory");
}

void control_put_site(void *ctx, struct http_request *request)
{
	struct control *control = ctx;
	struct error err = ERROR_INIT;
	struct put *put = put_begin(control, request);
	if (!put)
		return;
	int rc = use_site(put, service_by_name(&control->daemon->registry, put->def.name), &err);
	if (rc < 0)
		put_refuse(put, rc, &err);
	else
		put_go_on(put);
}

/* --- delete --- */

struct removal {
	struct control *control;
	struct http_request *request;
	uint32_t ids[POLICY_INSTANCES_MAX]; /* of its machines, its own first */
	unsigned count;
};

static int remove_all(struct store *store, void *ctx, struct error *err)
{
	struct removal *removal = ctx;
	int rc = 0;
	for (unsigned i = 0; rc >= 0 && i < removal->count; i++)
		rc = store_remove_service(store, removal->ids[i], err);
	return rc;
}

static int remove_work(struct store *store, void *ctx, struct error *err)
{
	return store_together(store, remove_all, ctx, err);
}

static void note_ids(struct removal *removal, const struct service *service)
{
	removal->ids[removal->count++] = service->def.id;
	for (unsigned i = 1; service->machines && i < POLICY_INSTANCES_MAX; i++)
		if (service->machines[i])
			removal->ids[removal->count++] = service->machines[i]->def.id;
}

static void remove_done(void *ctx, int rc, const struct error *err)
{
	struct removal *removal = ctx;
	struct registry *registry = &removal->control->daemon->registry;
	struct service *service = service_by_id(registry, removal->ids[0]);
	registry->moves--;
	if (rc < 0) {
		http_respond_error(removal->request, control_status(rc), "%s", err->message);
	} else {
		if (service && !service->removed) {
			control_announce_service(removal->control, service->def.name, "removed");
			control_discard_site(service->daemon, service->def.initrd, service);
			registry_remove_service(registry, service);
		}
		http_respond(removal->request, 204, NULL);
	}
	free(removal);
}

void control_delete_service(void *ctx, struct http_request *request)
{
	struct control *control = ctx;
	struct registry *registry = &control->daemon->registry;
	struct error err = ERROR_INIT;
	struct service *service = control_service(control, request);
	if (!service || !control_is_whole(request, service->def.name))
		return;
	struct removal *removal = malloc(sizeof(*removal));
	int rc = removal ? 0 : error_set(&err, -ENOMEM, "out of memory");
	/* A change may bring machines, which would be left behind. */
	if (rc >= 0 && (registry->reshaping || service->changes))
		rc = error_set(
			&err, -EBUSY, "a change of %s is on its way: try again", service->def.name);
	if (rc >= 0) {
		*removal = (struct removal){.control = control, .request = request};
		note_ids(removal, service);
		rc = storage_run(control->daemon->storage, remove_work, remove_done, removal, &err);
	}
	if (rc >= 0)
		registry->moves++;
	if (rc < 0) {
		http_respond_error(request, control_status(rc), "%s", err.message);
		free(removal);
	}
}

/* SPDX-License-Identifier: ISC */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/control_internal.h"
#include "daemon/family.h"
#include "daemon/instance.h"
#include "daemon/needs.h"

/* A service that follows the policy, and whose guest its backend can judge; there may be many. */
struct follower {
	struct follower *next;
	const struct launcher_ops *ops;
	unsigned vcpus;
	char name[STORE_NAME_MAX + 1];
	char image[]; /* path */
};

/* A change of a policy on its way to the store and back. */
struct change {
	struct control *control;
	struct http_request *request;
	struct policy policy;
	bool created;
	bool found;    /* a patch: in the store */
	bool reshapes; /* what machines its services have, or whose those are */
	bool binds;    /* its services come to need others */
	struct follower *followers;
	struct family *families; /* where its services get more machines or fewer; or NULL */
	size_t count;
	unsigned coming; /* machines that are not there yet */
};

static void change_free(struct change *change)
{
	while (change->followers) {
		struct follower *first = change->followers;
		change->followers = first->next;
		free(first);
	}
	for (size_t i = 0; i < change->count; i++)
		family_finish(&change->families[i]);
	free(change->families);
	free(change);
}

void control_list_policies(void *ctx, struct http_request *request)
{
	struct control *control = ctx;
	json_t *list = json_array();
	struct policy_entry *entry, *next;
	HASH_ITER(hh, control->daemon->registry.policies, entry, next)
	{
		json_array_append_new(list, control_policy_json(entry));
	}
	http_respond(request, 200, json_pack("{s:o}", "policies", list));
}

static struct policy_entry *find(struct control *control, struct http_request *request)
{
	const char *name = http_param(request, "name");
	struct policy_entry *entry = policy_by_name(&control->daemon->registry, name);
	if (!entry)
		http_respond_error(request, 404, "there is no policy '%s'", name);
	return entry;
}

void control_get_policy(void *ctx, struct http_request *request)
{
	struct policy_entry *entry = find(ctx, request);
	if (entry)
		http_respond(request, 200, control_policy_json(entry));
}

void control_list_policy_options(void *ctx, struct http_request *request)
{
	(void)ctx;
	json_t *list = json_array();
	for (size_t i = 0; i < policy_option_count; i++)
		json_array_append_new(
			list, json_pack("{s:s, s:s, s:s, s:s}", "name", policy_options[i].name,
				      "default", policy_options[i].fallback, "values",
				      policy_options[i].values, "help", policy_options[i].help));
	http_respond(request, 200, json_pack("{s:o}", "options", list));
}

/* --- put and patch --- */

static int set_option(
	struct policy *policy, const char *key, const json_t *value, struct error *err)
{
	char number[32];
	if (json_is_string(value))
		return policy_set(policy, key, json_string_value(value), err);
	if (!json_is_integer(value))
		return error_set(err, -EINVAL, "%s: write a string or a whole number", key);
	snprintf(number, sizeof(number), "%" JSON_INTEGER_FORMAT, json_integer_value(value));
	return policy_set(policy, key, number, err);
}

/* Which its guests will have: one that is there may be of a definition before. */
static const struct backend *backend_of(const struct service *service)
{
	return backend_by_name(&service->daemon->backends, service->def.backend);
}

/* A time zone that this host lacks is refused, and needs that cannot be met; and a policy that a
 * service's backend cannot follow, with the service's name. */
static int check_services(struct control *control, const struct policy *policy, struct error *err)
{
	const struct registry *registry = &control->daemon->registry;
	const struct policy_entry *entry = policy_by_name(registry, policy->name);
	int rc = schedule_check_zone(policy->time_zone, err);
	if (rc >= 0 && dns_check_https(policy->https, err) < 0)
		rc = error_prefix(err, -EINVAL, "https");
	if (rc >= 0)
		rc = needs_check_policy(registry, policy, err);
	for (const struct service *user = entry ? entry->users : NULL; rc >= 0 && user;
		user = user->user_next) {
		if (user->removed)
			continue;
		rc = backend_check_policy(backend_of(user), policy, err);
		if (rc < 0)
			error_prefix(err, rc, "service %s", user->def.name);
	}
	return rc;
}

static int note_follower(struct change *change, const struct service *service, struct error *err)
{
	char image[4096];
	instance_image_path(
		change->control->daemon->config, service->def.image, image, sizeof(image));
	struct follower *follower = calloc(1, sizeof(*follower) + strlen(image) + 1);
	if (!follower)
		return error_set(err, -ENOMEM, "out of memory");
	follower->next = change->followers;
	change->followers = follower;
	follower->ops = backend_of(service)->ops;
	follower->vcpus = service->def.vcpus;
	strcpy(follower->name, service->def.name);
	strcpy(follower->image, image);
	return 0;
}

/* Where the policy asks for more than before. Their images are files, which are not for the loop to
 * read; that of a further machine is the first one's. */
static int note_followers(struct change *change, struct error *err)
{
	const struct policy_entry *entry =
		policy_by_name(&change->control->daemon->registry, change->policy.name);
	int rc = 0;
	if (!entry || !(backend_asked(&change->policy) & ~backend_asked(&entry->policy)))
		return 0;
	for (const struct service *user = entry->users; rc >= 0 && user; user = user->user_next)
		if (!user->removed && user->first == user && backend_of(user)->ops->check &&
			user->def.image)
			rc = note_follower(change, user, err);
	return rc;
}

/* What is asked anew: an image that has gone is no fault of the policy's. */
static int check_followers(const struct change *change, struct error *err)
{
	unsigned asked = backend_asked(&change->policy);
	for (const struct follower *at = change->followers; at; at = at->next) {
		const struct guest_spec spec = {.kernel = at->image, .vcpus = at->vcpus};
		if (at->ops->check(&spec, 0, NULL) < 0)
			continue;
		int rc = at->ops->check(&spec, asked, err);
		if (rc < 0)
			return error_prefix(err, rc, "service %s", at->name);
	}
	return 0;
}

static int set_options(struct policy *policy, json_t *options, struct error *err)
{
	const char *key;
	json_t *value;
	json_object_foreach(options, key, value)
	{
		if (set_option(policy, key, value, err) < 0)
			return -EINVAL;
	}
	return policy_validate(policy, err);
}

/* --- its services' machines --- */

/* What each machine is made from does not change meanwhile: plan_services() saw to that. */
static int plan_service(struct change *change, const struct service *service, struct error *err)
{
	struct family *family = &change->families[change->count++];
	int rc = family_plan(change->control->daemon, &service->def, &change->policy, family, err);
	if (rc >= 0)
		rc = family_derive(family, &service->def, err);
	change->coming += family_coming(family);
	return rc < 0 ? error_prefix(err, rc, "service %s", service->def.name) : 0;
}

static bool reshapes(const struct policy_entry *entry, const struct policy *policy)
{
	struct policy_instances before = {POLICY_ONE, 1}, after = policy->instances;
	if (entry)
		before = entry->policy.instances;
	return before.how != after.how || before.count != after.count;
}

/* Where the machines change, nothing else may be on its way to the store that has to do with them; nor
 * may that begin, also where the policy has no services yet. */
static int plan_services(struct change *change, struct error *err)
{
	const struct registry *registry = &change->control->daemon->registry;
	const struct policy_entry *entry = policy_by_name(registry, change->policy.name);
	if (registry->reshaping)
		return error_set(err, -EBUSY, "another policy is on its way: try again");
	change->reshapes = reshapes(entry, &change->policy);
	if (!entry || !change->reshapes)
		return 0;
	if (registry->moves)
		return error_set(err, -EBUSY, "changes of services are on their way: try again");
	if (entry->services == 0)
		return 0;
	change->families = calloc(entry->services, sizeof(*change->families));
	if (!change->families)
		return error_set(err, -ENOMEM, "out of memory");
	int rc = 0;
	for (const struct service *user = entry->users; rc >= 0 && user; user = user->user_next)
		if (!user->removed && user->first == user)
			rc = plan_service(change, user, err);
	return rc < 0 ? rc : family_check_room(change->control->daemon, change->coming, err);
}

static void settle(struct change *change, bool stored)
{
	for (size_t i = 0; i < change->count; i++)
		family_settle(change->control->daemon, &change->families[i], stored);
}

/* --- put and patch, in the store and in the registry --- */

static int put_all(struct store *store, void *ctx, struct error *err)
{
	struct change *change = ctx;
	int rc = check_followers(change, err);
	if (rc >= 0)
		rc = store_put_policy(store, &change->policy, err);
	for (size_t i = 0; rc >= 0 && i < change->count; i++)
		rc = family_store(store, &change->families[i], err);
	return rc;
}

static int put_work(struct store *store, void *ctx, struct error *err)
{
	return store_together(store, put_all, ctx, err);
}

static int take_stored(void *ctx, const struct policy *policy)
{
	struct change *change = ctx;
	if (strcmp(policy->name, change->policy.name) == 0) {
		change->policy = *policy;
		change->found = true;
	}
	return 0;
}

/* A patch changes what is stored: changes that were under way when it came are in it by now. */
static int patch_work(struct store *store, void *ctx, struct error *err)
{
	struct change *change = ctx;
	int rc = store_each_policy(store, take_stored, change, err);
	if (rc >= 0 && !change->found)
		rc = error_set(
			err, -ENOENT, "policy %s was removed meanwhile", change->policy.name);
	if (rc >= 0)
		rc = set_options(&change->policy, http_body(change->request), err);
	return rc < 0 ? rc : put_work(store, change, err);
}

/* More machines are there before anybody is sent to them, and fewer after. */
static int put_in_registry(struct change *change, struct error *err)
{
	struct daemon *daemon = change->control->daemon;
	int rc = 0;
	for (size_t i = 0; rc >= 0 && i < change->count; i++)
		rc = family_grow(daemon, &change->families[i], err);
	if (rc >= 0)
		rc = registry_put_policy(&daemon->registry, &change->policy, err);
	for (size_t i = 0; rc >= 0 && i < change->count; i++)
		family_shrink(daemon, &change->families[i]);
	return rc;
}

static void change_done(void *ctx, int rc, const struct error *err)
{
	struct change *change = ctx;
	struct registry *registry = &change->control->daemon->registry;
	struct error failure = ERROR_INIT;
	registry->reshaping -= change->reshapes;
	registry->binding -= change->binds;
	settle(change, rc >= 0);
	if (rc >= 0) {
		rc = put_in_registry(change, &failure);
		err = &failure;
	}
	if (rc < 0)
		http_respond_error(change->request, control_status(rc), "%s", err->message);
	else
		http_respond(change->request, change->created ? 201 : 200,
			control_policy_json(policy_by_name(registry, change->policy.name)));
	change_free(change);
}

static int check_needs(struct change *change, struct error *err)
{
	const struct registry *registry = &change->control->daemon->registry;
	const struct policy_entry *entry = policy_by_name(registry, change->policy.name);
	change->binds = entry && entry->services && change->policy.needs[0] &&
			json_object_get(http_body(change->request), "needs");
	return change->binds ? needs_check_alone(registry, err) : 0;
}

/* `base` with the body's options is judged here, before anything is stored. */
static void start_change(struct control *control, struct http_request *request,
	const struct policy *base, bool created, storage_work_fn work)
{
	struct error err = ERROR_INIT;
	struct change *change = malloc(sizeof(*change));
	if (!change) {
		http_respond_error(request, 500, "out of memory");
		return;
	}
	*change = (struct change){
		.control = control, .request = request, .policy = *base, .created = created};
	int rc = set_options(&change->policy, http_body(request), &err);
	if (rc >= 0)
		rc = check_services(control, &change->policy, &err);
	if (rc >= 0)
		rc = check_needs(change, &err);
	if (rc >= 0)
		rc = note_followers(change, &err);
	if (rc >= 0)
		rc = plan_services(change, &err);
	if (rc >= 0)
		rc = storage_run(control->daemon->storage, work, change_done, change, &err);
	if (rc >= 0) {
		control->daemon->registry.reshaping += change->reshapes;
		control->daemon->registry.binding += change->binds;
		return;
	}
	settle(change, false);
	http_respond_error(request, control_status(rc), "%s", err.message);
	change_free(change);
}

void control_put_policy(void *ctx, struct http_request *request)
{
	struct control *control = ctx;
	struct error err = ERROR_INIT;
	struct policy policy;
	const char *name = http_param(request, "name");
	if (policy_check_name(name, &err) < 0) {
		http_respond_error(request, 400, "%s", err.message);
		return;
	}
	policy_init(&policy, name);
	bool created = !policy_by_name(&control->daemon->registry, name);
	start_change(control, request, &policy, created, put_work);
}

void control_patch_policy(void *ctx, struct http_request *request)
{
	struct policy_entry *entry = find(ctx, request);
	if (entry)
		start_change(ctx, request, &entry->policy, false, patch_work);
}

/* --- delete --- */

static int remove_work(struct store *store, void *ctx, struct error *err)
{
	struct change *change = ctx;
	return store_remove_policy(store, change->policy.name, err);
}

static void remove_done(void *ctx, int rc, const struct error *err)
{
	struct change *change = ctx;
	if (rc < 0) {
		http_respond_error(change->request, control_status(rc), "%s", err->message);
	} else {
		registry_remove_policy(&change->control->daemon->registry, change->policy.name);
		http_respond(change->request, 204, NULL);
	}
	free(change);
}

void control_delete_policy(void *ctx, struct http_request *request)
{
	struct control *control = ctx;
	struct error err = ERROR_INIT;
	struct policy_entry *entry = find(control, request);
	if (!entry)
		return;
	struct change *change = malloc(sizeof(*change));
	int rc = change ? 0 : error_set(&err, -ENOMEM, "out of memory");
	if (change) {
		*change = (struct change){
			.control = control, .request = request, .policy = entry->policy};
		rc = storage_run(control->daemon->storage, remove_work, remove_done, change, &err);
	}
	if (rc < 0) {
		http_respond_error(request, control_status(rc), "%s", err.message);
		free(change);
	}
}

/* SPDX-License-Identifier: ISC */
#include <errno.h>
#include <ftw.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include "base/cleanup.h"
#include "base/units.h"
#include "daemon/boot.h"
#include "daemon/definition.h"
#include "daemon/family.h"
#include "rehearse/rehearsal.h"
#include "rehearse/when.h"

/* From what is to be rehearsed to a daemon that is about to do it. */

/* --- its configuration: as given, but for what would reach the world --- */

#define SETTINGS_MAX 32

/* Lives as long as the configuration that points into it. */
struct stage {
	char run_dir[4096];
	struct config_backend sim;
	struct launcher_setting settings[SETTINGS_MAX];
};

static void print_problem(void *ctx, const char *problem)
{
	(void)ctx;
	fprintf(stderr, "summond-rehearse: %s\n", problem);
}

static int set_backend(
	struct stage *stage, struct config *config, const json_t *sim, struct error *err)
{
	const char *key;
	json_t *value;
	size_t count = 0;
	stage->settings[count++] = (struct launcher_setting){"check_images", "no"};
	json_object_foreach((json_t *)(uintptr_t)sim, key, value)
	{
		if (count == SETTINGS_MAX || !json_is_string(value))
			return error_set(err, -EINVAL, "sim: %.40s: has at most %d settings, texts",
				key, SETTINGS_MAX - 1);
		stage->settings[count++] = (struct launcher_setting){
			(char *)(uintptr_t)key, (char *)(uintptr_t)json_string_value(value)};
	}
	stage->sim = (struct config_backend){(char *)(uintptr_t) "sim", stage->settings, count};
	config->backends = &stage->sim;
	config->backend_count = 1;
	config->default_backend = stage->sim.name;
	return 0;
}

static int make_config(struct rehearsal *rehearsal, const char *path, const json_t *scene,
	struct config **out, struct error *err)
{
	static struct stage stage; /* main's: there is one rehearsal in a process */
	int rc = config_load(path, print_problem, NULL, out, err);
	if (rc < 0)
		return rc;
	struct config *config = *out;
	snprintf(stage.run_dir, sizeof(stage.run_dir), "%.4000s/run", rehearsal->folder);
	config->state_dir = rehearsal->folder;
	config->run_dir = stage.run_dir;
	config->zone_count = 0;
	config->tsig_key_count = 0;
	config->forward.enabled = false;
	config->log.level = LOG_ERROR;
	config->journal.flush = 60 * NS_PER_S; /* to nowhere: now and then will do */
	return set_backend(&stage, config, json_object_get(scene, "sim"), err);
}

/* --- policies and services, in the API's forms --- */

static int set_options(struct policy *policy, const json_t *options, struct error *err)
{
	const char *key;
	json_t *value;
	json_object_foreach((json_t *)(uintptr_t)options, key, value)
	{
		const char *text = json_string_value(value);
		if (!text)
			return error_set(err, -EINVAL, "%.40s: write a text", key);
		int rc = policy_set(policy, key, text, err);
		if (rc < 0)
			return rc;
	}
	return policy_validate(policy, err);
}

/* However a guest's readiness is seen, in a rehearsal it says so itself, when its boot is over. */
static void say_ready_itself(struct policy *policy)
{
	struct policy fresh;
	if (policy->ready == POLICY_READY_DELAY)
		return;
	policy_init(&fresh, policy->name);
	policy->ready = POLICY_READY_GUEST;
	memcpy(policy->ready_line, fresh.ready_line, sizeof(policy->ready_line));
}

static int add_policy(struct rehearsal *rehearsal, const json_t *json, struct error *err)
{
	struct policy policy;
	const char *name = json_string_value(json_object_get(json, "name"));
	int rc = policy_check_name(name ? name : "", err);
	if (rc < 0)
		return rc;
	policy_init(&policy, name);
	rc = set_options(&policy, json_object_get(json, "options"), err);
	if (rc < 0)
		return error_prefix(err, rc, "policy %s", name);
	say_ready_itself(&policy);
	return registry_put_policy(&rehearsal->daemon.registry, &policy, err);
}

/* Of all that the API says of a service, what defines it. */
static json_t *definition_of(const json_t *service)
{
	static const char *const keys[] = {"policy", "names", "image", "initrd", "cmdline",
		"memory", "vcpus", "ipv4", "ipv6", "addresses"};
	json_t *definition = json_object();
	for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++) {
		json_t *value = json_object_get(service, keys[i]);
		if (value)
			json_object_set(definition, keys[i], value);
	}
	return definition;
}

/* A pin that ends by itself has as long to go here as it had when the daemon was asked. */
static int read_pin(const struct rehearsal *rehearsal, const json_t *json,
	struct store_service *def, struct error *err)
{
	uint64_t until;
	const char *text = json_string_value(json_object_get(json, "pinned_until"));
	def->pinned = json_is_true(json_object_get(json, "pinned"));
	if (!def->pinned || !text)
		return 0;
	int rc = when_parse(text, &until, err);
	if (rc < 0)
		return error_prefix(err, rc, "pinned_until");
	def->pinned = until > rehearsal->as_of;
	def->pinned_until = def->pinned ? clock_real() + (until - rehearsal->as_of) : 0;
	return 0;
}

CLEANUP_DEFINE(json_decref, json_t *, json_decref)

static int read_service(struct rehearsal *rehearsal, const json_t *json, struct store_service *def,
	struct error *err)
{
	struct daemon *daemon = &rehearsal->daemon;
	CLEANUP(json_decref) json_t *definition = definition_of(json);
	unsigned claimed = 0;
	int rc = definition_parse(daemon, definition, def, err);
	strcpy(def->backend, "sim");
	if (rc >= 0)
		rc = read_pin(rehearsal, json, def, err);
	if (rc >= 0)
		rc = definition_check(daemon, def, err);
	if (rc >= 0)
		rc = definition_claim(daemon, def, &claimed, err);
	definition_settle(daemon, def, claimed, rc >= 0);
	return rc < 0 ? rc : registry_put_service(&daemon->registry, def, err);
}

static int add_service(
	struct rehearsal *rehearsal, const json_t *json, uint32_t id, struct error *err)
{
	struct store_service def = {.id = id};
	const char *name = json_string_value(json_object_get(json, "name"));
	int rc = dns_name_canonical(name ? name : "", def.name, err);
	if (rc < 0)
		return rc;
	if (service_by_name(&rehearsal->daemon.registry, def.name))
		return error_set(err, -EINVAL, "service %s: is there twice", def.name);
	rc = read_service(rehearsal, json, &def, err);
	if (rc < 0)
		rc = error_prefix(err, rc, "service %s", def.name);
	store_service_finish(&def);
	return rc;
}

/* The further machines of a service; their numbers follow those of the services. */
static int add_machines(struct rehearsal *rehearsal, const struct service *service, uint32_t *last,
	struct error *err)
{
	struct daemon *daemon = &rehearsal->daemon;
	struct family family;
	int rc = family_plan(daemon, &service->def, &service->policy->policy, &family, err);
	if (rc >= 0)
		rc = family_derive(&family, &service->def, err);
	for (size_t i = 0; rc >= 0 && i < family.count; i++)
		family.further[i].id = ++*last;
	family_settle(daemon, &family, rc >= 0);
	if (rc >= 0)
		rc = family_grow(daemon, &family, err);
	family_finish(&family);
	return rc < 0 ? error_prefix(err, rc, "service %s", service->def.name) : 0;
}

static int make_actors(struct rehearsal *rehearsal, uint32_t last, struct error *err)
{
	rehearsal->actors = calloc(last + 1, sizeof(*rehearsal->actors));
	if (!rehearsal->actors)
		return error_set(err, -ENOMEM, "out of memory");
	rehearsal->actor_count = last + 1;
	for (uint32_t id = 0; id <= last; id++)
		rehearsal->actors[id].since = clock_monotonic();
	return 0;
}

/* Those with addresses first: the others are given what is left. */
static int add_services(struct rehearsal *rehearsal, const json_t *list, struct error *err)
{
	size_t i;
	json_t *service;
	uint32_t count = (uint32_t)json_array_size(list), last = count;
	for (int given = 1; given >= 0; given--) {
		json_array_foreach((json_t *)(uintptr_t)list, i, service)
		{
			bool has = json_object_get(service, "ipv4") ||
				   json_object_get(service, "addresses");
			int rc = has == (given == 1)
					 ? add_service(rehearsal, service, (uint32_t)i + 1, err)
					 : 0;
			if (rc < 0)
				return rc;
		}
	}
	for (uint32_t id = 1; id <= count; id++) {
		int rc = add_machines(
			rehearsal, service_by_id(&rehearsal->daemon.registry, id), &last, err);
		if (rc < 0)
			return rc;
	}
	return make_actors(rehearsal, last, err);
}

static int add_policies(struct rehearsal *rehearsal, const json_t *list, struct error *err)
{
	size_t i;
	json_t *policy;
	json_array_foreach((json_t *)(uintptr_t)list, i, policy)
	{
		int rc = add_policy(rehearsal, policy, err);
		if (rc < 0)
			return rc;
	}
	return 0;
}

/* --- all together --- */

static int make_folder(struct rehearsal *rehearsal, struct error *err)
{
	const char *temporary = getenv("TMPDIR");
	int length = snprintf(rehearsal->folder, sizeof(rehearsal->folder),
		"%s/summond-rehearse-XXXXXX", temporary && *temporary ? temporary : "/tmp");
	if (length > 0 && length < 4000 && mkdtemp(rehearsal->folder))
		return 0;
	rehearsal->folder[0] = '\0';
	return error_set(err, -errno, "cannot make a folder in %s: %s",
		temporary && *temporary ? temporary : "/tmp", strerror(errno));
}

/* An awake guest takes a descriptor. */
static void allow_descriptors(void)
{
	struct rlimit limit;
	if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
		limit.rlim_cur = limit.rlim_max;
		setrlimit(RLIMIT_NOFILE, &limit);
	}
}

int rehearsal_init(
	struct rehearsal *rehearsal, const char *path, const json_t *scene, struct error *err)
{
	struct config *config = NULL;
	unsetenv("NOTIFY_SOCKET"); /* that of whoever runs this */
	allow_descriptors();
	const char *as_of = json_string_value(json_object_get(scene, "as_of"));
	rehearsal->https = json_is_true(json_object_get(scene, "https"));
	int rc = as_of ? when_parse(as_of, &rehearsal->as_of, err) : 0;
	if (rc >= 0)
		rc = make_folder(rehearsal, err);
	if (rc >= 0)
		rc = make_config(rehearsal, path, scene, &config, err);
	if (rc < 0) {
		config_destroy(config);
		return rc;
	}
	rc = daemon_init(&rehearsal->daemon, path, config, err);
	rehearsal->daemon.guard.secret = 0; /* the same networks share a budget each time */
	if (rc >= 0)
		rc = add_policies(rehearsal, json_object_get(scene, "policies"), err);
	if (rc >= 0)
		rc = add_services(rehearsal, json_object_get(scene, "services"), err);
	return rc;
}

static int remove_one(const char *path, const struct stat *info, int type, struct FTW *walk)
{
	(void)info;
	(void)type;
	(void)walk;
	remove(path);
	return 0;
}

void rehearsal_finish(struct rehearsal *rehearsal)
{
	if (rehearsal->daemon.config)
		daemon_finish(&rehearsal->daemon);
	if (rehearsal->folder[0])
		nftw(rehearsal->folder, remove_one, 8, FTW_DEPTH | FTW_PHYS);
	for (uint32_t id = 0; id < rehearsal->actor_count; id++)
		figures_finish(&rehearsal->actors[id].figures);
	free(rehearsal->actors);
	figures_finish(&rehearsal->total);
	reasons_finish(&rehearsal->reasons);
}

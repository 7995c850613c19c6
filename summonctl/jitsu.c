/* SPDX-License-Identifier: ISC */
/* import-jitsu: services from the lines with which Jitsu 0.3 was started, and what is to be in
 * summond.conf. docs/coming-from-jitsu.md has the whole of it. */
#include "summonctl/command.h"
#include "summonctl/definition.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/devices.h"
#include "base/units.h"

CLEANUP_DEFINE(json_decref, json_t *, json_decref)

#define POLICY_PREFIX   "jitsu-"
#define POLICY_NAME_MAX 63
#define SECONDS_MAX     3600
#define DEFAULT_DELAY   "0.1"
#define DEFAULT_TTL     "60"

/* One line on its way. `keys` has an array of values for each key. */
struct import {
	const struct arguments *arguments;
	const char *backend;
	char policy_name[POLICY_NAME_MAX + 1];
	json_t *keys, *definition, *policy;
};

/* ---- the line ---- */

static const char *const known_keys[] = {"dns", "ip", "name", "uuid", "response_delay",
	"wait_for_key", "use_synjitsu", "kernel", "memory", "cmdline", "nic", "script", "disk",
	"rumprun_config", "rump_config"};
#define KNOWN_COUNT (sizeof(known_keys) / sizeof(known_keys[0]))

static int add_pair(json_t *keys, char *pair, struct error *err)
{
	char *value = strchr(pair, '=');
	size_t i = 0;
	if (!value || value == pair)
		return error_set(err, -EINVAL, "'%.60s' is not KEY=VALUE", pair);
	*value++ = '\0';
	while (i < KNOWN_COUNT && strcmp(known_keys[i], pair) != 0)
		i++;
	if (i == KNOWN_COUNT)
		return error_set(err, -EINVAL, "'%.60s' is no key of Jitsu 0.3", pair);
	const char *key = strcmp(pair, "rump_config") == 0 ? "rumprun_config" : pair;
	json_t *values = json_object_get(keys, key);
	if (!values) {
		values = json_array();
		json_object_set_new(keys, key, values);
	}
	json_t *text = json_string(value);
	return text && json_array_append_new(values, text) == 0
		       ? 0
		       : error_set(err, -EINVAL, "%s: is not UTF-8", key);
}

static int read_pairs(json_t *keys, const char *line, struct error *err)
{
	CLEANUP(free) char *pairs = strdup(line);
	char *rest = NULL;
	int rc = pairs ? 0 : error_set(err, -ENOMEM, "no memory");
	for (char *pair = pairs ? strtok_r(pairs, ",", &rest) : NULL; pair && rc == 0;
		pair = strtok_r(NULL, ",", &rest))
		rc = add_pair(keys, pair, err);
	return rc;
}

/* Of a key that was given several times Jitsu takes the last. NULL: it was not given. */
static const char *value_of(const struct import *import, const char *key)
{
	const json_t *values = json_object_get(import->keys, key);
	size_t count = json_array_size(values);
	return count ? json_string_value(json_array_get(values, count - 1)) : NULL;
}

/* "a b c" of all values of a key; "" for none; for the caller to free. */
static char *join(const struct import *import, const char *key, size_t from)
{
	const json_t *values = json_object_get(import->keys, key);
	char *text = strdup("");
	for (size_t i = from; text && i < json_array_size(values); i++) {
		char *more = NULL;
		if (asprintf(&more, "%s%s%s", text, text[0] ? " " : "",
			    json_string_value(json_array_get(values, i))) < 0)
			more = NULL;
		free(text);
		text = more;
	}
	return text;
}

/* ---- the service ---- */

static int set(struct import *import, const char *option, const char *value, struct error *err)
{
	int rc = definition_set(import->definition, option, value, NULL, err);
	return rc < 0 ? error_prefix(err, rc, "%s", option) : 0;
}

static int set_if_given(
	struct import *import, const char *option, const char *key, struct error *err)
{
	const char *value = value_of(import, key);
	return value ? set(import, option, value, err) : 0;
}

/* A bare name would be an image of summond's own. */
static int set_kernel(struct import *import, struct error *err)
{
	const char *kernel = value_of(import, "kernel");
	CLEANUP(free) char *path = NULL;
	if (!kernel)
		return 0;
	if (asprintf(&path, "%s%s", strchr(kernel, '/') ? "" : "./", kernel) < 0)
		return error_set(err, -ENOMEM, "no memory");
	return set(import, "image", path, err);
}

/* Jitsu's manual says bytes, and its libxl backend hands the number to Xen as KiB. */
static int set_memory(struct import *import, struct error *err)
{
	const char *memory = value_of(import, "memory");
	char text[40];
	uint64_t kib;
	if (!memory)
		return 0;
	int rc = number_parse(memory, 1, 1ull << 32, &kib, err);
	if (rc < 0)
		return error_prefix(err, rc, "memory");
	snprintf(text, sizeof(text), "%lluKiB", (unsigned long long)kib);
	printf("note: memory=%s is KiB to Jitsu, whatever its manual says: %s\n", memory, text);
	return set(import, "memory", text, err);
}

/* The nth interface has the nth script; they begin again where there are fewer. */
static int set_nics(struct import *import, struct error *err)
{
	const json_t *nics = json_object_get(import->keys, "nic");
	const json_t *scripts = json_object_get(import->keys, "script");
	size_t count = json_array_size(scripts);
	CLEANUP(free) char *text = strdup("");
	if (strcmp(import->backend, "libxl") != 0 && json_array_size(nics) == 1 && count == 0) {
		printf("note: nic=%s is not used: backend %s gives each guest one on network."
		       "bridge\n",
			value_of(import, "nic"), import->backend);
		return 0;
	}
	for (size_t i = 0; text && i < json_array_size(nics); i++) {
		const char *script =
			count ? json_string_value(json_array_get(scripts, i % count)) : "";
		char *more = NULL;
		if (asprintf(&more, "%s%s%s%s%s", text, i ? " " : "",
			    json_string_value(json_array_get(nics, i)), script[0] ? "@" : "",
			    script) < 0)
			more = NULL;
		free(text);
		text = more;
	}
	if (!text)
		return error_set(err, -ENOMEM, "no memory");
	int rc = nics_check(text, err);
	if (rc < 0)
		return error_prefix(err, rc, "nic, script");
	return text[0] ? set(import, "nics", text, err) : 0;
}

static int set_disks(struct import *import, struct error *err)
{
	CLEANUP(free) char *disks = join(import, "disk", 0);
	if (!disks)
		return error_set(err, -ENOMEM, "no memory");
	return disks[0] ? set(import, "disks", disks, err) : 0;
}

static int set_names(struct import *import, struct error *err)
{
	CLEANUP(free) char *names = join(import, "dns", 1);
	if (!names)
		return error_set(err, -ENOMEM, "no memory");
	return names[0] ? set(import, "also-name", names, err) : 0;
}

/* What only libxl knows of. */
static int set_domain(struct import *import, struct error *err)
{
	if (strcmp(import->backend, "libxl") != 0) {
		printf("note: name=%s is not used: backend %s gives its guests names of its own\n",
			value_of(import, "name") ? value_of(import, "name") : "", import->backend);
		return 0;
	}
	int rc = set_if_given(import, "domain-name", "name", err);
	return rc < 0 ? rc : set_if_given(import, "uuid", "uuid", err);
}

static int make_definition(struct import *import, struct error *err)
{
	static int (*const steps[])(struct import * import, struct error * err) = {
		set_kernel, set_memory, set_nics, set_disks, set_names, set_domain};
	const char *cmdline = value_of(import, "cmdline"), *ip = value_of(import, "ip");
	const char *xml = option_value(import->arguments, "xml");
	int rc = ip ? set(import, "address", ip, err)
		    : error_set(err, -EINVAL, "ip= is missing: Jitsu needs it, too");
	if (rc == 0)
		rc = set(import, "backend", import->backend, err);
	if (rc == 0)
		rc = set(import, "policy", import->policy_name, err);
	if (rc == 0 && xml)
		rc = set(import, "xml", xml, err);
	else if (rc == 0) /* of Jitsu's guests none knows the words that summond gives */
		rc = set(import, "kernel-line", cmdline ? cmdline : "", err);
	for (size_t i = 0; rc == 0 && i < sizeof(steps) / sizeof(steps[0]); i++)
		rc = steps[i](import, err);
	return rc < 0 ? rc : set_if_given(import, "rumprun-config", "rumprun_config", err);
}

/* ---- its policy ---- */

static int seconds_parse(const char *what, const char *text, double *out, struct error *err)
{
	char *end;
	*out = strtod(text, &end);
	if (end == text || *end || !isfinite(*out) || *out < 0 || *out > SECONDS_MAX)
		return error_set(err, -EINVAL, "%s: '%.40s' is no number of seconds from 0 to %d",
			what, text, SECONDS_MAX);
	return 0;
}

static void set_option(struct import *import, const char *option, const char *value)
{
	json_object_set_new(import->policy, option, json_string(value));
}

static void set_ms(struct import *import, const char *option, double seconds)
{
	char text[40];
	snprintf(text, sizeof(text), "%.0fms", seconds * 1000);
	set_option(import, option, text);
}

/* The answer leaves a delay after the guest was started, or after its key was there. */
static int set_readiness(struct import *import, struct error *err)
{
	const char *key = value_of(import, "wait_for_key");
	const char *text = value_of(import, "response_delay");
	double delay;
	if (!text)
		text = option_value(import->arguments, "delay");
	int rc = seconds_parse("delay", text ? text : DEFAULT_DELAY, &delay, err);
	if (rc < 0)
		return rc;
	set_option(import, "ready", key ? "key" : "delay");
	if (key)
		set_option(import, "ready_key", key);
	set_ms(import, key ? "ready_settle" : "ready_delay", delay);
	set_ms(import, "ready_timeout", delay + 30);
	set_option(import, "hold", "5s");
	if (!key)
		printf("note: ready is a plain delay, as Jitsu has it; with `summonctl policy set "
		       "%s ready=tcp ready_port=80` an answer waits until the guest serves\n",
			import->policy_name);
	return 0;
}

static int make_policy(struct import *import, struct error *err)
{
	const char *ttl = option_value(import->arguments, "ttl");
	const char *mode = option_value(import->arguments, "mode");
	double seconds;
	int rc = seconds_parse("ttl", ttl ? ttl : DEFAULT_TTL, &seconds, err);
	if (rc < 0)
		return rc;
	if (mode && strcmp(mode, "suspend") != 0 && strcmp(mode, "destroy") != 0 &&
		strcmp(mode, "shutdown") != 0)
		return error_set(
			err, -EINVAL, "mode: '%.40s' is none of suspend, destroy, shutdown", mode);
	seconds = floor(seconds);
	set_ms(import, "ttl", seconds);
	set_ms(import, "idle_after", seconds > 0 ? 2 * seconds : 10);
	set_option(import, "retire", mode ? mode : "destroy");
	return set_readiness(import, err);
}

/* ---- what goes where ---- */

static int choose_backend(struct import *import, struct error *err)
{
	const char *to = option_value(import->arguments, "to");
	const char *backend = option_value(import->arguments, "backend");
	if (!backend)
		backend = value_of(import, "kernel") ? "libxl" : "libvirt";
	if (strcmp(backend, "xapi") == 0 && !to)
		return error_set(err, -EINVAL,
			"there is no backend for XAPI: give the kernel with kernel= and use "
			"-x libxl on a host with Xen's own tools, or a domain with --xml");
	import->backend = to ? to : backend;
	if (strcmp(import->backend, "libvirt") == 0 && !option_value(import->arguments, "xml") &&
		!value_of(import, "kernel"))
		return error_set(err, -EINVAL,
			"Jitsu starts a domain that libvirt has: `virsh dumpxml %s > FILE`, put "
			"{name}, {mac} and {tap} where they belong, and add --xml FILE",
			value_of(import, "name") ? value_of(import, "name") : "NAME");
	return 0;
}

static int name_policy(struct import *import, struct error *err)
{
	const char *given = option_value(import->arguments, "policy");
	const json_t *names = json_object_get(import->keys, "dns");
	const char *dns = json_string_value(json_array_get(names, 0));
	if (!dns)
		return error_set(err, -EINVAL, "dns= is missing: Jitsu needs it, too");
	int length = snprintf(import->policy_name, sizeof(import->policy_name), "%s%s",
		given ? "" : POLICY_PREFIX, given ? given : dns);
	if (length > POLICY_NAME_MAX)
		return error_set(err, -EINVAL, "the policy's name would be too long: say --policy");
	for (char *c = import->policy_name; *c; c++)
		*c = (char)(*c >= 'A' && *c <= 'Z' ? *c + 'a' - 'A' : *c);
	return 0;
}

static int make(struct import *import, const char *line, struct error *err)
{
	int rc = read_pairs(import->keys, line, err);
	if (rc == 0)
		rc = name_policy(import, err);
	if (rc == 0)
		rc = choose_backend(import, err);
	if (rc == 0)
		rc = make_policy(import, err);
	if (rc == 0)
		rc = make_definition(import, err);
	if (rc == 0 && value_of(import, "use_synjitsu"))
		printf("note: use_synjitsu is not needed: connections to a sleeping guest wait at "
		       "the doorbell\n");
	return rc;
}

static const char *service_name(const struct import *import)
{
	return json_string_value(json_array_get(json_object_get(import->keys, "dns"), 0));
}

static int print_plan(const struct import *import)
{
	CLEANUP(json_decref)
	json_t *plan = json_pack("{s:s, s:O, s:s, s:O}", "service", service_name(import),
		"definition", import->definition, "policy", import->policy_name, "options",
		import->policy);
	json_dumpf(plan, stdout, JSON_INDENT(2));
	putchar('\n');
	return EXIT_OK;
}

static int put(struct context *context, struct import *import)
{
	CLEANUP(json_decref) json_t *answer = NULL;
	int rc = call(context, "PUT", "/v1/policies/{}", import->policy_name,
		json_incref(import->policy), NULL);
	if (rc != EXIT_OK)
		return rc;
	rc = call(context, "PUT", "/v1/services/{}", service_name(import),
		json_incref(import->definition), &answer);
	if (rc != EXIT_OK || print_json(context, answer))
		return rc;
	printf("imported %s at %s, with policy %s\n", text_of(answer, "name"),
		text_of(answer, "ipv4"), import->policy_name);
	return EXIT_OK;
}

static int import_line(struct context *context, const struct arguments *arguments, const char *line)
{
	struct error err = ERROR_INIT;
	CLEANUP(json_decref) json_t *keys = json_object(), *definition = json_object();
	CLEANUP(json_decref) json_t *policy = json_object();
	struct import import = {
		.arguments = arguments, .keys = keys, .definition = definition, .policy = policy};
	if (make(&import, line, &err) < 0)
		return fail_usage("%.60s...: %s", line, err.message);
	return option_value(arguments, "dry-run") ? print_plan(&import) : put(context, &import);
}

/* ---- what was said to Jitsu itself ---- */

static void say_configuration(const struct arguments *arguments)
{
	const char *bind = option_value(arguments, "bind"),
		   *listen = option_value(arguments, "listen");
	const char *forwarder = option_value(arguments, "forwarder"),
		   *port = option_value(arguments, "port");
	const char *connect = option_value(arguments, "connect");
	if (bind || listen)
		printf("summond.conf: dns { listen = [\"%s@%s\"] }\n", bind ? bind : "127.0.0.1",
			listen ? listen : "53");
	if (forwarder && strcmp(forwarder, "0.0.0.0") != 0)
		printf("summond.conf: forward { enabled = true, upstreams = [\"%s@%s\"] }\n",
			forwarder, port ? port : "53");
	if (!forwarder)
		printf("note: for names of others Jitsu asks the resolvers of /etc/resolv.conf; "
		       "summond does with forward { enabled = true }\n");
	if (connect)
		printf("summond.conf: backend \"libvirt\" { uri = \"%s\" }\n", connect);
	if (option_value(arguments, "persistdb"))
		printf("note: --persistdb is not needed: what is registered is always kept, in "
		       "state_dir\n");
	if (option_value(arguments, "synjitsu"))
		printf("note: --synjitsu is not needed: connections to a sleeping guest wait at "
		       "the doorbell\n");
}

int run_import_jitsu(struct context *context, const struct arguments *arguments)
{
	int rc = EXIT_OK;
	if (!context->json)
		say_configuration(arguments);
	for (size_t i = 0; i < arguments->count && rc == EXIT_OK; i++)
		rc = import_line(context, arguments, arguments->words[i]);
	return rc;
}

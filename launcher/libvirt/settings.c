/* SPDX-License-Identifier: ISC */
#include "launcher/libvirt/settings.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/units.h"

static int string_set(char **out, const char *value, struct error *err)
{
	if (!*value)
		return error_set(err, -EINVAL, "needs a value");
	char *copy = strdup(value);
	if (!copy)
		return error_set(err, -ENOMEM, "out of memory");
	free(*out);
	*out = copy;
	return 0;
}

static int type_set(enum domain_type *out, const char *value, struct error *err)
{
	static const char *const names[] = {
		[DOMAIN_AUTO] = "auto", [DOMAIN_KVM] = "kvm", [DOMAIN_QEMU] = "qemu"};
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (strcmp(names[i], value) == 0) {
			*out = (enum domain_type)i;
			return 0;
		}
	return error_set(err, -EINVAL, "\"%s\" is not one of auto, kvm, qemu", value);
}

static int setting_apply(struct libvirt_settings *settings, const struct launcher_setting *setting,
	struct error *err)
{
	const char *key = setting->key, *value = setting->value;
	uint64_t number;
	if (strcmp(key, "uri") == 0)
		return string_set(&settings->uri, value, err);
	if (strcmp(key, "machine") == 0)
		return string_set(&settings->machine, value, err);
	if (strcmp(key, "emulator") == 0)
		return string_set(&settings->emulator, value, err);
	if (strcmp(key, "domain_type") == 0)
		return type_set(&settings->type, value, err);
	if (strcmp(key, "skip_cpu_report") == 0) {
		settings->skip_cpu_report = strcmp(value, "yes") == 0;
		if (!settings->skip_cpu_report && strcmp(value, "no") != 0)
			return error_set(err, -EINVAL, "\"%s\" is neither yes nor no", value);
		return 0;
	}
	if (strcmp(key, "workers") == 0) {
		int r = number_parse(value, 1, 64, &number, err);
		if (r == 0)
			settings->workers = (unsigned)number;
		return r;
	}
	return error_set(err, -EINVAL,
		"no such setting (there are uri, domain_type, machine, emulator, "
		"skip_cpu_report, workers)");
}

/* "driver[+transport]://[host]/path": what is needed to know of a URI before libvirt reads it. */
static int uri_inspect(struct libvirt_settings *settings, struct error *err)
{
	const char *uri = settings->uri, *rest = strstr(uri, "://");
	if (!rest)
		return error_set(
			err, -EINVAL, "libvirt: uri: \"%s\" is no URI such as qemu:///system", uri);
	size_t driver = strcspn(uri, "+:");
	settings->qemu = driver == 4 && strncmp(uri, "qemu", 4) == 0;
	settings->local =
		rest[3] == '/' && (uri[driver] == ':' || strncmp(uri + driver, "+unix:", 6) == 0);
	const char *embed = "qemu:///embed?root=";
	if (strncmp(uri, "qemu:///embed", 13) == 0) {
		if (strncmp(uri, embed, strlen(embed)) != 0 || uri[strlen(embed)] != '/')
			return error_set(err, -EINVAL,
				"libvirt: uri: \"%s\" needs an absolute root: %s/folder", uri,
				embed);
		settings->root = strdup(uri + strlen(embed));
		if (!settings->root)
			return error_set(err, -ENOMEM, "out of memory");
	}
	if (settings->workers == 0)
		settings->workers = settings->root ? 8 : 5;
	return 0;
}

int libvirt_settings_init(
	struct libvirt_settings *settings, const struct launcher_config *config, struct error *err)
{
	*settings =
		(struct libvirt_settings){.skip_cpu_report = true, .machine = strdup("microvm")};
	for (size_t i = 0; i < config->setting_count; i++) {
		int r = setting_apply(settings, &config->settings[i], err);
		if (r < 0) {
			libvirt_settings_finish(settings);
			return error_prefix(err, r, "libvirt: %s", config->settings[i].key);
		}
	}
	if (!settings->uri &&
		asprintf(&settings->uri, "qemu:///embed?root=%s/libvirt", config->state_dir) < 0)
		settings->uri = NULL;
	int r = settings->uri && settings->machine ? uri_inspect(settings, err)
						   : error_set(err, -ENOMEM, "out of memory");
	if (r < 0)
		libvirt_settings_finish(settings);
	return r;
}

void libvirt_settings_finish(struct libvirt_settings *settings)
{
	free(settings->uri);
	free(settings->machine);
	free(settings->emulator);
	free(settings->root);
	*settings = (struct libvirt_settings){0};
}

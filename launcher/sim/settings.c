/* SPDX-License-Identifier: ISC */
#include "launcher/sim/sim.h"

#include <errno.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/units.h"

enum value_type { DURATION, PERCENT, FLAG, CHANCE, FAULT };

/* One table for the backend's settings and a guest's words. */
static const struct key {
	const char *name;
	enum value_type type;
	size_t offset;
} keys[] = {
#define KEY(type, field)                                                                           \
	{                                                                                          \
#field, type, offsetof(struct sim_behaviour, field)                                \
	}
	KEY(DURATION, create_delay),
	KEY(DURATION, boot_delay),
	KEY(DURATION, resume_delay),
	KEY(DURATION, suspend_delay),
	KEY(DURATION, save_delay),
	KEY(DURATION, restore_delay),
	KEY(DURATION, stop_delay),
	KEY(DURATION, shutdown_delay),
	KEY(DURATION, die_after),
	KEY(DURATION, off_after),
	KEY(PERCENT, jitter),
	KEY(FLAG, never_ready),
	KEY(FLAG, ignore_shutdown),
	KEY(FLAG, busy),
	KEY(FLAG, done),
	KEY(CHANCE, fail_start),
	KEY(CHANCE, fail_resume),
	KEY(CHANCE, fail_suspend),
#undef KEY
	{"fail", FAULT, 0},
};

static const struct {
	const char *name;
	unsigned bit;
} capability_names[] = {
	{"prepare", LAUNCHER_CAN_PREPARE},
	{"suspend", LAUNCHER_CAN_SUSPEND},
	{"shutdown", LAUNCHER_CAN_SHUTDOWN},
	{"console", LAUNCHER_CAN_CONSOLE},
	{"outlive", LAUNCHER_CAN_OUTLIVE},
	{"snapshot", LAUNCHER_CAN_SNAPSHOT},
};

#define ALL_CAPABILITIES                                                                           \
	(LAUNCHER_CAN_PREPARE | LAUNCHER_CAN_SUSPEND | LAUNCHER_CAN_SHUTDOWN |                     \
		LAUNCHER_CAN_CONSOLE | LAUNCHER_CAN_OUTLIVE | LAUNCHER_CAN_SNAPSHOT)
#define LONGEST_DELAY (24 * 3600 * NS_PER_S)

void sim_settings_init(struct sim_settings *settings)
{
	*settings = (struct sim_settings){
		.behaviour =
			{
				.create_delay = 5 * NS_PER_MS,
				.boot_delay = 20 * NS_PER_MS,
				.resume_delay = 2 * NS_PER_MS,
				.suspend_delay = 2 * NS_PER_MS,
				.save_delay = 30 * NS_PER_MS,
				.restore_delay = 15 * NS_PER_MS,
				.stop_delay = 5 * NS_PER_MS,
				.shutdown_delay = 10 * NS_PER_MS,
				.die_after = UINT64_MAX,
				.off_after = UINT64_MAX,
			},
		.seed = 1,
		.capabilities = ALL_CAPABILITIES & ~LAUNCHER_CAN_OUTLIVE,
		.check_images = true,
	};
}

static int duration_set(uint64_t *out, const char *value, struct error *err)
{
	if (strcmp(value, "never") == 0) {
		*out = UINT64_MAX;
		return 0;
	}
	uint64_t ns;
	int r = duration_parse(value, &ns, err);
	if (r < 0)
		return r;
	if (ns > LONGEST_DELAY)
		return error_set(err, -EINVAL, "\"%s\" is longer than a day", value);
	*out = ns;
	return 0;
}

static int flag_set(bool *out, const char *value, struct error *err)
{
	if (strcmp(value, "yes") == 0)
		*out = true;
	else if (strcmp(value, "no") == 0)
		*out = false;
	else
		return error_set(err, -EINVAL, "\"%s\" is neither yes nor no", value);
	return 0;
}

static int chance_set(struct sim_chance *out, const char *value, struct error *err)
{
	struct sim_chance chance = {0};
	uint64_t number;
	size_t length = strlen(value);
	if (strcmp(value, "yes") == 0) {
		chance.every = 1;
	} else if (length > 1 && length < 8 && value[length - 1] == '%') {
		char digits[8] = {0};
		memcpy(digits, value, length - 1);
		if (number_parse(digits, 0, 100, &number, NULL) < 0)
			return error_set(err, -EINVAL, "\"%s\" is not a percentage", value);
		chance.percent = (unsigned)number;
	} else if (strcmp(value, "no") != 0) {
		if (number_parse(value, 1, 1000000, &number, NULL) < 0)
			return error_set(err, -EINVAL,
				"\"%s\" is not yes, no, a number (every n-th) or a percentage",
				value);
		chance.every = (unsigned)number;
	}
	*out = chance;
	return 0;
}

static int fault_set(struct sim_behaviour *behaviour, const char *value, struct error *err)
{
	static const struct sim_chance always = {.every = 1};
	if (strcmp(value, "start") == 0)
		behaviour->fail_start = always;
	else if (strcmp(value, "resume") == 0)
		behaviour->fail_resume = always;
	else if (strcmp(value, "suspend") == 0)
		behaviour->fail_suspend = always;
	else if (strcmp(value, "ready") == 0)
		behaviour->never_ready = true;
	else
		return error_set(
			err, -EINVAL, "\"%s\" is not one of start, resume, suspend, ready", value);
	return 0;
}

static const struct key *key_find(const char *name)
{
	for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++)
		if (strcmp(keys[i].name, name) == 0)
			return &keys[i];
	return NULL;
}

static int behaviour_set(struct sim_behaviour *behaviour, const struct key *key, const char *value,
	struct error *err)
{
	void *field = (char *)behaviour + key->offset;
	switch (key->type) {
	case DURATION:
		return duration_set(field, value, err);
	case PERCENT:
		return number_parse(value, 0, 100, field, err);
	case FLAG:
		return flag_set(field, value, err);
	case CHANCE:
		return chance_set(field, value, err);
	case FAULT:
		break;
	}
	return fault_set(behaviour, value, err);
}

static int capabilities_set(unsigned *out, const char *value, struct error *err)
{
	CLEANUP(free) char *copy = strdup(value);
	if (!copy)
		return error_set(err, -ENOMEM, "out of memory");
	unsigned mask = 0;
	bool none = strcmp(value, "none") == 0;
	char *rest = copy;
	for (char *word; !none && (word = strsep(&rest, ", "));) {
		size_t i = 0, count = sizeof(capability_names) / sizeof(capability_names[0]);
		while (i < count && strcmp(word, capability_names[i].name) != 0)
			i++;
		if (i == count && *word)
			return error_set(err, -EINVAL,
				"\"%s\" is not one of prepare, suspend, shutdown, console, "
				"outlive, "
				"snapshot",
				word);
		if (i < count)
			mask |= capability_names[i].bit;
	}
	*out = mask;
	return 0;
}

int sim_settings_set(
	struct sim_settings *settings, const char *key, const char *value, struct error *err)
{
	const struct key *found = key_find(key);
	int r;
	if (found)
		r = behaviour_set(&settings->behaviour, found, value, err);
	else if (strcmp(key, "seed") == 0)
		r = number_parse(value, 0, UINT64_MAX, &settings->seed, err);
	else if (strcmp(key, "check_images") == 0)
		r = flag_set(&settings->check_images, value, err);
	else if (strcmp(key, "capabilities") == 0)
		r = capabilities_set(&settings->capabilities, value, err);
	else if (strcmp(key, "persist") == 0)
		r = flag_set(&settings->persist, value, err);
	else
		return error_set(err, -EINVAL,
			"sim: no setting \"%s\" (there are seed, check_images, capabilities, "
			"persist, jitter, delays such as boot_delay, and faults such as "
			"fail_start)",
			key);
	if (r < 0)
		return error_prefix(err, r, "sim: %s", key);
	return 0;
}

static int word_apply(struct sim_behaviour *behaviour, char *word, struct error *err)
{
	if (strncmp(word, "sim.", 4) != 0)
		return 0;
	char *value = strchr(word, '=');
	if (!value)
		return error_set(err, -EINVAL, "\"%s\" needs a value: %s=...", word, word);
	*value++ = '\0';
	const struct key *key = key_find(word + 4);
	if (!key)
		return error_set(err, -EINVAL, "\"%s\" is no word of the sim backend", word);
	int r = behaviour_set(behaviour, key, value, err);
	return r < 0 ? error_prefix(err, r, "%s", word) : 0;
}

int sim_behaviour_from_cmdline(
	struct sim_behaviour *behaviour, const char *cmdline, struct error *err)
{
	CLEANUP(free) char *copy = strdup(cmdline);
	if (!copy)
		return error_set(err, -ENOMEM, "out of memory");
	struct sim_behaviour changed = *behaviour;
	char *rest = copy;
	for (char *word; (word = strsep(&rest, " \t\n"));) {
		int r = word_apply(&changed, word, err);
		if (r < 0)
			return r;
	}
	*behaviour = changed;
	return 0;
}

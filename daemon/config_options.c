/* SPDX-License-Identifier: ISC */
#include "daemon/config_internal.h"

#include <errno.h>
#include <string.h>

#include "base/units.h"

#define FIELD(loaded, option, type) ((type *)(void *)((char *)&(loaded)->config + (option)->offset))

/* --- one function a kind --- */

static int set_text(struct config_loaded *loaded, const struct config_option *option,
	const char *text, struct error *err)
{
	if (strlen(text) > option->max)
		return error_set(err, -EINVAL, "has more than %zu letters", (size_t)option->max);
	for (const char *c = text; *c; c++)
		if ((unsigned char)*c <= ' ' || *c == '/')
			return error_set(err, -EINVAL, "'%.40s' has a blank or slash in it", text);
	char *copy = *text ? config_copy(loaded, text) : NULL;
	if (*text && !copy)
		return error_set(err, -ENOMEM, "no memory");
	if (!copy && option->min > 0)
		return error_set(err, -EINVAL, "must not be empty");
	*FIELD(loaded, option, char *) = copy;
	return 0;
}

static int set_path(struct config_loaded *loaded, const struct config_option *option,
	const char *text, struct error *err)
{
	if (text[0] != '/')
		return error_set(err, -EINVAL,
			"'%.100s' is not a path from the root: it begins with /", text);
	char *copy = config_copy(loaded, text);
	if (!copy)
		return error_set(err, -ENOMEM, "no memory");
	*FIELD(loaded, option, char *) = copy;
	return 0;
}

static int check_range(const struct config_option *option, uint64_t value,
	const char *(*print)(uint64_t value, char *text), struct error *err)
{
	char min[SIZE_TEXT], max[SIZE_TEXT];
	if (value >= option->min && value <= option->max)
		return 0;
	return error_set(err, -EINVAL, "must be from %s to %s", print(option->min, min),
		print(option->max, max));
}

static int set_size(struct config_loaded *loaded, const struct config_option *option,
	const char *text, struct error *err)
{
	uint64_t value;
	int rc = size_parse(text, &value, err);
	if (rc == 0)
		rc = check_range(option, value, size_print, err);
	if (rc == 0)
		*FIELD(loaded, option, uint64_t) = value;
	return rc;
}

static int set_duration(struct config_loaded *loaded, const struct config_option *option,
	const char *text, struct error *err)
{
	uint64_t value;
	int rc = duration_parse(text, &value, err);
	if (rc == 0)
		rc = check_range(option, value, duration_print, err);
	if (rc == 0)
		*FIELD(loaded, option, uint64_t) = value;
	return rc;
}

static int set_number(struct config_loaded *loaded, const struct config_option *option,
	const char *text, struct error *err)
{
	uint64_t value;
	int rc = number_parse(text, option->min, option->max, &value, err);
	if (rc == 0)
		*FIELD(loaded, option, unsigned) = (unsigned)value;
	return rc;
}

static int set_large_number(struct config_loaded *loaded, const struct config_option *option,
	const char *text, struct error *err)
{
	return number_parse(text, option->min, option->max, FIELD(loaded, option, uint64_t), err);
}

static int find_word(
	const struct config_option *option, const char *text, int *index, struct error *err)
{
	char all[100] = "";
	for (int i = 0; option->words[i]; i++) {
		if (strcmp(option->words[i], text) == 0) {
			*index = i;
			return 0;
		}
		size_t length = strlen(all);
		snprintf(all + length, sizeof(all) - length, "%s%s", i ? ", " : "",
			option->words[i]);
	}
	return error_set(err, -EINVAL, "'%.40s' is none of %s", text, all);
}

static int set_choice(struct config_loaded *loaded, const struct config_option *option,
	const char *text, struct error *err)
{
	return find_word(option, text, FIELD(loaded, option, int), err);
}

/* The second of two words is true. */
static int set_switch(struct config_loaded *loaded, const struct config_option *option,
	const char *text, struct error *err)
{
	int index;
	int rc = find_word(option, text, &index, err);
	if (rc == 0)
		*FIELD(loaded, option, bool) = index == 1;
	return rc;
}

static int set_mode(struct config_loaded *loaded, const struct config_option *option,
	const char *text, struct error *err)
{
	size_t length = strlen(text);
	if (length < 3 || length > 4 || strspn(text, "01234567") != length ||
		(length == 4 && text[0] != '0'))
		return error_set(err, -EINVAL,
			"'%.40s' is not a mode: write three octal digits, as in 0660", text);
	mode_t mode = 0;
	for (; *text; text++)
		mode = mode * 8 + (mode_t)(*text - '0');
	*FIELD(loaded, option, mode_t) = mode;
	return 0;
}

/* `min` is the family. */
static int set_prefix(struct config_loaded *loaded, const struct config_option *option,
	const char *text, struct error *err)
{
	struct ip_prefix prefix = {0};
	int rc = *text && strcmp(text, "none") != 0 ? ip_prefix_parse(text, &prefix, err) : 0;
	if (rc == 0 && prefix.address.family && prefix.address.family != option->min)
		rc = error_set(err, -EINVAL, "'%.60s' is not an %s prefix", text,
			option->min == AF_INET ? "IPv4" : "IPv6");
	if (rc == 0)
		*FIELD(loaded, option, struct ip_prefix) = prefix;
	return rc;
}

static int set_listen(struct config_loaded *loaded, const struct config_option *option,
	const char *text, struct error *err)
{
	(void)option;
	struct sockaddr_storage *all = config_alloc(loaded, (strlen(text) / 2 + 1) * sizeof(*all));
	char *words = config_copy(loaded, text), *rest = NULL;
	if (!all || !words)
		return error_set(err, -ENOMEM, "no memory");
	size_t count = 0;
	for (char *word = strtok_r(words, " \t", &rest); word;
		word = strtok_r(NULL, " \t", &rest)) {
		int rc = ip_endpoint_parse(word, 53, &all[count++], err);
		if (rc < 0)
			return rc;
	}
	if (count == 0)
		return error_set(err, -EINVAL, "needs at least one address, as in 127.0.0.1@53");
	loaded->config.dns.listen = all;
	loaded->config.dns.listen_count = count;
	return 0;
}

/* --- the table --- */

#ifndef SUMMOND_GUEST_DIR
#define SUMMOND_GUEST_DIR "/usr/lib/summond/guest"
#endif

#define AT(field)   .offset = offsetof(struct config, field)
#define TEXT        .kind = "name", .set = set_text
#define PATH        .kind = "path", .set = set_path
#define SIZE        .kind = "size", .set = set_size
#define DURATION    .kind = "duration", .set = set_duration
#define NUMBER      .kind = "number", .set = set_number
#define LARGE       .kind = "number", .set = set_large_number
#define SWITCH      .kind = "true or false", .set = set_switch, .words = switch_words
#define PREFIXES    .kind = "list of prefixes", .set = config_set_prefixes, .list = true
#define RATE        .kind = "rate", .set = config_set_rate
#define PREFIX(fam) .kind = "prefix", .set = set_prefix, .min = (fam)
#define RELOAD      .reload = true

static const char *const switch_words[] = {"false", "true", NULL};
static const char *const cookie_words[] = {
	[DNS_COOKIES_ON] = "on",
	[DNS_COOKIES_REQUIRED] = "required",
	[DNS_COOKIES_OFF] = "off",
	NULL,
};
static const char *const level_words[] = {"debug", "info", "warning", "error", NULL};
static const char *const format_words[] = {"text", "json", NULL};

/* The order is that of --help-config, the man page and the example. */
const struct config_option config_options[] = {
	{"state_dir", PATH, .value = "/var/lib/summond", AT(state_dir),
		.help = "where the database and uploaded sites are kept"},
	{"run_dir", PATH, .value = "/run/summond", AT(run_dir),
		.help = "where sockets and what does not outlive a boot are kept"},
	{"control.socket", PATH, .shown = "control.sock in run_dir", AT(control.socket),
		.help = "the unix socket of the control API"},
	{"control.mode", .kind = "mode", .set = set_mode, .value = "0660", AT(control.mode),
		.help = "the mode of the control socket"},
	{"control.group", TEXT, .max = 63, .shown = "none", AT(control.group),
		.help = "the group that the control socket is given to"},
	{"control.max_upload", SIZE, .value = "64MiB", .min = 1024, .max = 4ull << 30,
		AT(control.max_upload), .help = "the largest site that may be uploaded"},
	{"dns.listen", .kind = "list of addresses", .set = set_listen, .list = true,
		.value = "127.0.0.1@53 ::1@53",
		.help = "the addresses, with @port, on which queries are answered"},
	{"dns.max_waiting", NUMBER, .value = "16384", .min = 1, .max = 1000000, AT(dns.max_waiting),
		.help = "how many queries may wait for a guest at once"},
	{"dns.max_tcp", NUMBER, .value = "256", .min = 1, .max = 65536, AT(dns.max_tcp),
		.help = "how many TCP connections may be open at once"},
	{"dns.waiting_per_source", NUMBER, .value = "1024", .min = 1, .max = 1000000,
		AT(dns.waiting_per_source),
		.help = "how many of the waiting queries may be of one network, a /24 or /56"},
	{"dns.tcp_per_source", NUMBER, .value = "64", .min = 1, .max = 65536,
		AT(dns.tcp_per_source), .help = "how many connections one network may have"},
	{"dns.tcp_idle", DURATION, .value = "10s", .min = 100 * NS_PER_MS, .max = 3600 * NS_PER_S,
		AT(dns.tcp_idle), .help = "how long a TCP connection may be idle"},
	{"dns.cookies", .kind = "word", .set = set_choice, .words = cookie_words, .value = "on",
		AT(dns.cookies),
		.help = "DNS cookies: on, required of whoever asks over UDP, or off"},
	{"dns.cookie_secrets", .kind = "list of secrets", .set = config_set_secrets, .list = true,
		.shown = "made up, and rolled every day", RELOAD,
		.help = "one or two secrets of 32 hexadecimal digits, where several servers share "
			"them: cookies are made with the first, and those of both are taken"},
	{"dns.rate_limit", NUMBER, .value = "200", .min = 0, .max = 1000000, AT(dns.rate_limit),
		.help = "how many answers of one kind go to one network over UDP a second; 0 for "
			"no "
			"limit"},
	{"dns.rate_slip", NUMBER, .value = "2", .min = 0, .max = 1000, AT(dns.rate_slip),
		.help = "of what is beyond, every nth is answered with TC, so that honest clients "
			"ask "
			"over TCP; 0 for none"},
	{"dns.unlimited", PREFIXES, .min = true,
		.shown = "127.0.0.0/8, ::1 and the guests' networks", AT(dns.unlimited), RELOAD,
		.help = "the networks that have no rate limit"},
	{"dns.identity", TEXT, .max = 255, .shown = "none", AT(dns.identity),
		.help = "what this server is called in NSID and in id.server of class CH"},
	{"dns.version", TEXT, .max = 255, .shown = "none", AT(dns.version),
		.help = "what version.server and version.bind of class CH say"},
	{"forward.enabled", SWITCH, .value = "false", AT(forward.enabled),
		.help = "whether queries for names in no zone are passed on to upstream resolvers; "
			"else they are refused"},
	{"forward.upstreams", .kind = "list of addresses", .set = config_set_upstreams,
		.list = true, .shown = "the name servers of forward.resolv_conf",
		.help = "the upstream resolvers, with @port, up to eight"},
	{"forward.resolv_conf", PATH, .value = "/etc/resolv.conf", AT(forward.resolv_conf),
		.help = "where name servers are taken from that are not this server"},
	{"forward.allow", PREFIXES, .min = true,
		.shown = "127.0.0.0/8, ::1 and the guests' networks", AT(forward.allow), RELOAD,
		.help = "the networks whose queries are passed on"},
	{"forward.deny", PREFIXES, .shown = "nobody", AT(forward.deny), RELOAD,
		.help = "the networks whose queries are not: of both lists, the longest prefix "
			"decides"},
	{"forward.timeout", DURATION, .value = "800ms", .min = 10 * NS_PER_MS, .max = 5 * NS_PER_S,
		AT(forward.timeout), .help = "how long each of three tries waits for an answer"},
	{"forward.max", NUMBER, .value = "512", .min = 1, .max = 16384, AT(forward.max),
		.help = "how many questions may be under way at once"},
	{"forward.mix_case", SWITCH, .value = "true", AT(forward.mix_case),
		.help = "whether the letters of names are sent in random case, which forged "
			"answers "
			"cannot know"},
	{"wake.allow", PREFIXES, .min = true, .shown = "everybody", AT(wake.allow), RELOAD,
		.help = "the networks whose queries may start a guest; where there are any, no "
			"others"},
	{"wake.deny", PREFIXES, .shown = "nobody", AT(wake.deny), RELOAD,
		.help = "the networks whose queries may not: of both lists, the longest prefix "
			"decides"},
	{"wake.verify", SWITCH, .value = "true", AT(wake.verify), RELOAD,
		.help = "whether a UDP client has to show that it is at its address, by asking "
			"again over TCP or with a DNS cookie, before it starts a guest"},
	{"wake.trusted", PREFIXES, .min = true,
		.shown = "127.0.0.0/8, ::1 and the guests' networks", AT(wake.trusted), RELOAD,
		.help = "the networks whose clients need not show it"},
	{"wake.per_source", RATE, .value = "120/1min", AT(wake.per_source), RELOAD,
		.help = "how many starts one network, a /24 or /56, may cause"},
	{"wake.per_service", RATE, .value = "60/1min", AT(wake.per_service), RELOAD,
		.help = "how many starts of one service clients may cause"},
	{"wake.total", RATE, .value = "600/1min", AT(wake.total), RELOAD,
		.help = "how many starts clients may cause in all"},
	{"network.enabled", SWITCH, .value = "true", AT(network.enabled),
		.help = "whether guests have a link to the network"},
	{"network.bridge", TEXT, .min = 1, .max = 15, .value = "summon0", AT(network.bridge),
		.help = "the guests' bridge; it is made where it does not exist"},
	{"network.address", PREFIX(AF_INET), .value = "10.77.0.1/16", AT(network.address),
		.help = "the bridge's IPv4 address, which is the guests' gateway"},
	{"network.address6", PREFIX(AF_INET6), .shown = "none", AT(network.address6),
		.help = "the bridge's IPv6 address"},
	{"network.pool", PREFIX(AF_INET), .shown = "the prefix of network.address",
		AT(network.pool),
		.help = "the prefix from which services are given IPv4 addresses, a part of "
			"network.address"},
	{"network.pool6", PREFIX(AF_INET6), .shown = "the prefix of network.address6",
		AT(network.pool6),
		.help = "the prefix from which services are given IPv6 addresses, a part of "
			"network.address6"},
	{"network.tap_prefix", TEXT, .min = 1, .max = 8, .value = "sm", AT(network.tap_prefix),
		.help = "how the names of the guests' tap devices begin"},
	{"network.spare_taps", NUMBER, .value = "8", .min = 1, .max = 1024, AT(network.spare_taps),
		.help = "how many tap devices are kept ready"},
	{"network.doorbell", TEXT, .min = 1, .max = 15, .value = "summon-bell",
		AT(network.doorbell),
		.help = "the TUN device that packets to sleeping guests are routed to"},
	{"backend.default", TEXT, .min = 1, .max = 15, .value = "auto", AT(default_backend), RELOAD,
		.help = "the backend of services that name none; auto: vmm where it has KVM, else "
			"libvirt"},
	{"images", PATH, .value = SUMMOND_GUEST_DIR, AT(images), RELOAD,
		.help = "the folder of our own guest images"},
	{"guest.memory", SIZE, .value = "32MiB", .min = 1ull << 20, .max = 1ull << 40,
		AT(guest.memory), RELOAD, .help = "the memory of services that ask for none"},
	{"journal.summons", LARGE, .value = "100000", .min = 100, .max = 100000000,
		AT(journal.summons), RELOAD, .help = "how many summons are remembered"},
	{"journal.transitions", LARGE, .value = "100000", .min = 100, .max = 100000000,
		AT(journal.transitions), RELOAD,
		.help = "how many changes of state are remembered"},
	{"journal.flush", DURATION, .value = "200ms", .min = NS_PER_MS, .max = 60 * NS_PER_S,
		AT(journal.flush), RELOAD, .help = "how long what happened may wait to be written"},
	{"limits.waiters_per_service", NUMBER, .value = "256", .min = 1, .max = 1000000,
		AT(limits.waiters_per_service), RELOAD,
		.help = "how many queries may wait for one service"},
	{"limits.services", NUMBER, .value = "100000", .min = 1, .max = 10000000,
		AT(limits.services), RELOAD,
		.help = "how many services may be registered; each of several machines counts"},
	{"limits.parked_per_service", NUMBER, .value = "64", .min = 1, .max = 65536,
		AT(limits.parked_per_service), .help = "how many packets may wait for one guest"},
	{"limits.parked", NUMBER, .value = "4096", .min = 1, .max = 1000000, AT(limits.parked),
		.help = "how many packets may wait for guests in all"},
	{"limits.parked_bytes", SIZE, .value = "16MiB", .min = 65536, .max = 4ull << 30,
		AT(limits.parked_bytes), .help = "how much memory they may take in all"},
	{"limits.memory", SIZE, .value = "0", .min = 0, .max = 1ull << 50, AT(limits.memory),
		RELOAD,
		.help = "how much memory guests may have together; what is beyond waits, and takes "
			"that of idle guests; 0 for no limit"},
	{"limits.evict_idle", DURATION, .value = "5s", .min = 0, .max = 24 * 3600 * NS_PER_S,
		AT(limits.evict_idle), RELOAD,
		.help = "how long an awake guest without connections must have been without use "
			"before its memory may be taken"},
	{"limits.starts", NUMBER, .value = "64", .min = 1, .max = 100000, AT(limits.starts), RELOAD,
		.help = "how many guests may be starting at once; others wait for their turn"},
	{"limits.breaker", NUMBER, .value = "8", .min = 0, .max = 1000, AT(limits.breaker), RELOAD,
		.help = "after how many failed starts in a row, of several services, a backend is "
			"left alone for a while; 0 for never"},
	{"limits.breaker_for", DURATION, .value = "10s", .min = 100 * NS_PER_MS,
		.max = 3600 * NS_PER_S, AT(limits.breaker_for), RELOAD,
		.help = "how long; then one start at a time tries whether it works again"},
	{"log.level", .kind = "word", .set = set_choice, .words = level_words, .value = "info",
		AT(log.level), RELOAD,
		.help = "the least that is logged: debug, info, warning or error"},
	{"log.format", .kind = "word", .set = set_switch, .words = format_words, .value = "text",
		AT(log.json), RELOAD, .help = "how it is logged: text or json"},
};
const size_t config_option_count = sizeof(config_options) / sizeof(config_options[0]);
_Static_assert(sizeof(config_options) / sizeof(config_options[0]) <= CONFIG_OPTIONS_MAX,
	"CONFIG_OPTIONS_MAX is too small");

void config_print_options(FILE *stream)
{
	for (size_t i = 0; i < config_option_count; i++) {
		const struct config_option *option = &config_options[i];
		fprintf(stream, "%s = %s\n    %s (%s%s)\n", option->path,
			option->value ? option->value : option->shown, option->help, option->kind,
			option->reload ? ", can be reloaded" : "");
	}
}

/* --- what was meant --- */

#define WORD_MAX 64

/* Levenshtein's distance, of words up to WORD_MAX letters. */
static size_t distance(const char *a, const char *b)
{
	size_t row[WORD_MAX + 1], width = strlen(b);
	for (size_t j = 0; j <= width; j++)
		row[j] = j;
	for (size_t i = 1; a[i - 1]; i++) {
		size_t diagonal = row[0];
		row[0] = i;
		for (size_t j = 1; j <= width; j++) {
			size_t best = diagonal + (a[i - 1] != b[j - 1]);
			diagonal = row[j];
			if (row[j] + 1 < best)
				best = row[j] + 1;
			if (row[j - 1] + 1 < best)
				best = row[j - 1] + 1;
			row[j] = best;
		}
	}
	return row[width];
}

const char *config_nearest(const char *word, const char *(*name_of)(size_t index), size_t count)
{
	const char *nearest = NULL;
	size_t least = strlen(word) / 3 + 1; /* further away, it is no help */
	if (strlen(word) > WORD_MAX)
		return NULL;
	for (size_t i = 0; i < count; i++) {
		const char *name = name_of(i);
		size_t d = strlen(name) > WORD_MAX ? SIZE_MAX : distance(word, name);
		if (d <= least) {
			least = d - (d > 0);
			nearest = name;
		}
	}
	return nearest;
}

/* SPDX-License-Identifier: ISC */
#ifndef DAEMON_CONFIG_INTERNAL_H
#define DAEMON_CONFIG_INTERNAL_H

#include "daemon/config.h"
#include "base/config_syntax.h"

/* What the config*.c files share. Only they include this. */

#define CONFIG_OPTIONS_MAX 64

struct config_block;

/* What config_load makes: the fields for everyone, and what stands behind them. */
struct config_loaded {
	struct config config;                  /* first: the two are one pointer */
	struct config_block *blocks;           /* all memory that the fields point to */
	const char *texts[CONFIG_OPTIONS_MAX]; /* each option's value as text; NULL: not set */
};

struct config_loader {
	struct config_loaded *loaded;
	config_problem_fn problem;
	void *ctx;
	struct error *err;
	unsigned problems;
};

/* Zeroed memory that lives as long as the config; NULL where there is none. */
void *config_alloc(struct config_loaded *loaded, size_t size);
char *config_copy(struct config_loaded *loaded, const char *text);

/* "file:line: path: ..."; `node` NULL leaves the place out. */
void config_problem(struct config_loader *loader, const struct config_node *node, const char *path,
	const char *format, ...) __attribute__((format(printf, 4, 5)));

struct config_option {
	const char *path;  /* "dns.listen" */
	const char *kind;  /* a word for its values: "size", "duration", ... */
	const char *value; /* the default as text; NULL: see `shown` */
	const char *shown; /* how a default that is no fixed text is described */
	/* Reads `text` into the field at `offset` of struct config. */
	int (*set)(struct config_loaded *loaded, const struct config_option *option,
		const char *text, struct error *err);
	size_t offset;
	uint64_t min, max;        /* of a number; letters of a name */
	const char *const *words; /* of a choice, ended by NULL */
	bool list;
	bool reload;      /* may change while the daemon runs */
	const char *help; /* one line without a final stop */
};

extern const struct config_option config_options[];
extern const size_t config_option_count;

/* The name among `count` that is most like `word`, or NULL where none is. `name_of` gives the
 * nth. */
const char *config_nearest(const char *word, const char *(*name_of)(size_t index), size_t count);

/* config_lists.c: kinds of options whose text has parts (see `set`). */
int config_set_secrets(struct config_loaded *loaded, const struct config_option *option,
	const char *text, struct error *err);
/* `min` is what each prefix says: yes or no. */
int config_set_prefixes(struct config_loaded *loaded, const struct config_option *option,
	const char *text, struct error *err);
int config_set_rate(struct config_loaded *loaded, const struct config_option *option,
	const char *text, struct error *err);
int config_set_upstreams(struct config_loaded *loaded, const struct config_option *option,
	const char *text, struct error *err);

/* What lists come to together, once all is read. */
void config_derive_lists(struct config_loader *loader);
/* A list in a section that has no table of options. */
void config_read_prefixes(struct config_loader *loader, const struct config_node *node,
	const char *path, bool yes, struct config_prefixes *out);

/* config_sections.c: zones and backends, from the root of the tree. */
void config_read_zones(struct config_loader *loader, const struct config_node *root);
/* config_transfer.c: keys of secondaries, from the root; and who may have a zone, of a zone. */
void config_read_tsig(struct config_loader *loader, const struct config_node *root);
void config_read_transfer(struct config_loader *loader, const struct config_node *node,
	const char *path, struct config_zone *zone);
void config_read_notify(struct config_loader *loader, const struct config_node *node,
	const char *path, struct config_zone *zone);
void config_read_backends(struct config_loader *loader, const struct config_node *root);

#endif

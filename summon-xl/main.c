/* SPDX-License-Identifier: ISC */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/units.h"
#include "summon-xl/helper.h"
#include "summon-xl/keys.h"

static const char usage[] =
	"usage: summon-xl --identity=TEXT --lock=FILE --saved=FOLDER [--workers=NUMBER]\n"
	"Runs Xen domains for summond, which starts it with a socket (see protocol.h).\n"
	"  --identity=TEXT   whose domains; others are not touched\n"
	"  --lock=FILE       held while it lives: there is one summon-xl for an identity\n"
	"  --saved=FOLDER    where guests are kept that are on disk\n"
	"  --workers=NUMBER  how many calls of libxl are under way at most, 1 to 16 (default 4)\n";

struct options {
	const char *identity, *lock, *saved;
	uint64_t workers;
};

static int read_options(int argc, char **argv, struct options *options, struct error *err)
{
	static const struct option known[] = {{"identity", required_argument, NULL, 'i'},
		{"lock", required_argument, NULL, 'l'}, {"saved", required_argument, NULL, 's'},
		{"workers", required_argument, NULL, 'w'}, {"help", no_argument, NULL, 'h'}, {0}};
	int option, r = 0;
	while (r == 0 && (option = getopt_long(argc, argv, "", known, NULL)) != -1) {
		if (option == 'i')
			options->identity = optarg;
		else if (option == 'l')
			options->lock = optarg;
		else if (option == 's')
			options->saved = optarg;
		else if (option == 'w')
			r = number_parse(optarg, 1, WORKERS_MAX, &options->workers, err);
		else
			exit(option == 'h' ? fputs(usage, stdout) < 0 : 2);
	}
	if (r < 0)
		return error_prefix(err, r, "--workers");
	if (!options->identity || !options->lock || !options->saved || optind < argc)
		return error_set(
			err, -EINVAL, "it takes --identity, --lock and --saved (see --help)");
	return 0;
}

/* One that was left behind by a daemon that is gone ends soon: it is waited for. */
static int take_lock(const char *path, struct error *err)
{
	int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	if (fd < 0)
		return error_set(err, -errno, "%s: %s", path, strerror(errno));
	while (flock(fd, LOCK_EX) < 0)
		if (errno != EINTR)
			return error_set(err, -errno, "%s: %s", path, strerror(errno));
	return 0; /* and held to the end of the process */
}

static int open_events(struct helper *helper, struct error *err)
{
	/* Our workers are no children of libxl's. */
	static const libxl_childproc_hooks hooks = {
		.chldowner = libxl_sigchld_owner_libxl_always_selective_reap};
	xl_log_init(&helper->log);
	int rc = libxl_ctx_alloc(&helper->ctx, LIBXL_VERSION, 0, &helper->log.logger);
	if (rc)
		return xl_log_error(
			&helper->log, err, -ENODEV, "Xen cannot be reached (is this dom0?)", rc);
	libxl_childproc_setmode(helper->ctx, &hooks, NULL);
	return 0;
}

static int run(const struct options *options, struct error *err)
{
	const struct work_options work = {.identity = identity_hash(options->identity),
		.saved = options->saved,
		.workers = (unsigned)options->workers,
		.keep_out = XL_FD};
	struct helper helper = {0};
	int r = take_lock(options->lock, err);
	if (r < 0)
		return r;
	outbox_init(&helper.outbox, XL_FD);
	r = work_start(&helper.work, &work, err);
	if (r == 0)
		r = open_events(&helper, err);
	if (r == 0)
		r = keys_open(&helper, err);
	if (r == 0)
		r = helper_run(&helper, err);
	work_finish(&helper.work);
	while (helper.domains)
		domain_remove(&helper, helper.domains);
	outbox_finish(&helper.outbox);
	keys_close(&helper);
	libxl_ctx_free(helper.ctx);
	free(helper.polls);
	return r;
}

int main(int argc, char **argv)
{
	struct options options = {.workers = 4};
	struct error err = ERROR_INIT;
	/* What ends the daemon's process group is not for us: we end when the daemon has. */
	signal(SIGINT, SIG_IGN);
	signal(SIGTERM, SIG_IGN);
	signal(SIGPIPE, SIG_IGN);
	if (read_options(argc, argv, &options, &err) == 0 && run(&options, &err) == 0)
		return 0;
	/* The daemon hears why as the answer to its LIST; a person reads it here. */
	struct xl_message message = {.type = XL_LISTED, .code = err.code};
	struct outbox outbox;
	outbox_init(&outbox, XL_FD);
	int size = snprintf(message.text, sizeof(message.text), "%s", err.message);
	outbox_send(&outbox, &message, (size_t)size);
	outbox_finish(&outbox);
	fprintf(stderr, "summon-xl: %s\n", err.message);
	return 1;
}

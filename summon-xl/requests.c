/* SPDX-License-Identifier: ISC */
#include <errno.h>
#include <stdlib.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "summon-xl/console.h"
#include "summon-xl/guest_config.h"
#include "summon-xl/helper.h"

/* ---- requests ---- */

bool request_submit(struct helper *helper, struct domain *domain, unsigned type)
{
	const struct xl_message job = {.type = type,
		.code = (int32_t)domain->domid,
		.slot = domain->id.slot,
		.generation = domain->id.generation,
		.flags = type == XL_DESTROY && domain->ended ? JOB_SETTLE : 0};
	domain->busy = work_submit(&helper->work, &job, 0);
	return domain->busy;
}

static void fail(struct helper *helper, struct guest_id id, int code, const char *why)
{
	struct error error = ERROR_INIT;
	error_set(&error, code, "%s", why);
	outbox_fail(&helper->outbox, id, &error);
}

static void start(struct helper *helper, struct guest_id id, const struct xl_message *request,
	size_t text_size)
{
	struct domain *domain = domain_find(helper, id) ? NULL : domain_add(helper, id);
	struct start_request wanted;
	if (!domain) {
		fail(helper, id, -EEXIST, "there is such a domain");
		return;
	}
	if (start_request_read(request->text, text_size, &wanted, NULL) == 0)
		snprintf(domain->key, sizeof(domain->key), "%s", wanted.ready_key);
	domain->run = !(request->flags & XL_PAUSED);
	domain->busy = work_submit(&helper->work, request, text_size);
	if (!domain->busy) {
		domain_remove(helper, domain);
		fail(helper, id, -ENOMEM, "out of memory");
	}
}

/* RESUME, PAUSE, SHUTDOWN, SAVE. One that is at its end is told of soon. */
static void operate(struct helper *helper, struct domain *domain, unsigned type)
{
	if (domain->ended || domain->destroyed)
		return;
	if (domain->busy) {
		fail(helper, domain->id, -EBUSY, "another request is under way");
	} else if (domain->on_disk && type == XL_SHUTDOWN) {
		fail(helper, domain->id, -EINVAL, "it is on disk, and cannot be asked");
	} else if (domain->on_disk && type != XL_RESUME) {
		outbox_say(&helper->outbox, XL_DONE, domain->id); /* it rests already */
	} else if (!request_submit(helper, domain, domain->on_disk ? JOB_RESTORE : type)) {
		fail(helper, domain->id, -ENOMEM, "out of memory");
	} else {
		domain->saving = type == XL_SAVE;
	}
}

void request_take(struct helper *helper, struct xl_message *request, size_t text_size)
{
	struct guest_id id = {request->slot, request->generation};
	struct domain *domain = domain_find(helper, id);
	switch (request->type) {
	case XL_LIST:
		if (!work_submit(&helper->work, request, 0))
			helper->leaving = true; /* the daemon asks the next one */
		break;
	case XL_START:
		start(helper, id, request, text_size);
		break;
	case XL_RESUME:
	case XL_PAUSE:
	case XL_SHUTDOWN:
	case XL_SAVE:
		if (domain)
			operate(helper, domain, request->type);
		else
			fail(helper, id, -ESRCH, "there is no such domain");
		break;
	case XL_DESTROY:
		if (domain) {
			domain->destroy = true;
			domain_settle(helper, domain);
		} else {
			fail(helper, id, -ESRCH, "there is no such domain");
		}
		break;
	default:
		fail(helper, id, -EINVAL, "a request that summon-xl does not know");
	}
}

/* ---- what has become of them ---- */

/* Passed on, but for the console, the key and the domain's number, which are our own business. */
static void found(struct helper *helper, struct xl_message *answer)
{
	const char *device = answer->text + strlen(answer->text) + 1;
	const char *console = device + strlen(device) + 1;
	const char *key = console + strlen(console) + 1;
	struct domain *domain =
		domain_add(helper, (struct guest_id){answer->slot, answer->generation});
	if (!domain) {
		helper->leaving = true; /* the daemon asks the next one */
		return;
	}
	domain->domid = (uint32_t)answer->code;
	domain->made = true;
	domain->on_disk = answer->flags & XL_ON_DISK;
	domain->console = console_open(console);
	snprintf(domain->key, sizeof(domain->key), "%s", key);
	answer->code = 0;
	outbox_send(&helper->outbox, answer, (size_t)(console - answer->text));
	if (!domain->on_disk && domain_watch(helper, domain, NULL) < 0)
		helper->leaving = true;
}

/* A new domain is paused until its end is watched, so that no end is missed. */
static void start_done(
	struct helper *helper, struct domain *domain, struct xl_message *answer, size_t text_size)
{
	if (answer->type == XL_FAILED) {
		outbox_send(&helper->outbox, answer, text_size);
		domain_remove(helper, domain);
		return;
	}
	domain->domid = (uint32_t)answer->code;
	domain->made = true;
	answer->text[text_size] = '\0';
	domain->console = console_open(answer->text);
	if (domain_watch(helper, domain, &domain->failure) < 0)
		domain->destroy = true;
	else if (!domain->run)
		outbox_say(&helper->outbox, XL_DONE, domain->id);
	else if (!request_submit(helper, domain, XL_RESUME))
		domain->destroy = error_set(&domain->failure, -ENOMEM, "out of memory");
}

/* Where nothing came of it, its end is to be heard of anew: that it was suspended has been reported,
 * and nothing else would be. */
static void save_done(
	struct helper *helper, struct domain *domain, struct xl_message *answer, size_t text_size)
{
	domain->saving = false;
	if (answer->type == XL_DONE) {
		domain_listen(helper, domain, true);
		domain_unwatch(helper, domain);
		domain->on_disk = true;
		answer->code = 0;
	} else {
		libxl_evdisable_domain_death(helper->ctx, domain->death);
		domain->death = NULL;
		if (libxl_evenable_domain_death(helper->ctx, domain->domid, 0, &domain->death) != 0)
			domain_crash(domain, "its end cannot be watched");
	}
	outbox_send(&helper->outbox, answer, text_size);
}

/* As when it is new: paused until its end is watched. What fails from here on is its end. */
static void restore_done(
	struct helper *helper, struct domain *domain, struct xl_message *answer, size_t text_size)
{
	if (answer->type == XL_FAILED) {
		outbox_send(&helper->outbox, answer, text_size);
		return;
	}
	domain->domid = (uint32_t)answer->code;
	domain->on_disk = false;
	answer->text[text_size] = '\0';
	domain->console = console_open(answer->text);
	domain->revives = true;
	if (domain_watch(helper, domain, NULL) < 0)
		domain_crash(domain, "its end cannot be watched");
	else if (!domain->destroy && !request_submit(helper, domain, JOB_REVIVE))
		domain_crash(domain, "out of memory");
}

static void revive_done(
	struct helper *helper, struct domain *domain, struct xl_message *answer, size_t text_size)
{
	domain->revives = false;
	answer->text[text_size] = '\0';
	if (answer->type == XL_FAILED)
		domain_crash(domain, answer->text);
	else
		outbox_say(&helper->outbox, XL_DONE, domain->id);
}

static void operation_done(
	struct helper *helper, struct domain *domain, struct xl_message *answer, size_t text_size)
{
	bool starts = domain->run;
	domain->run = false;
	answer->code = answer->type == XL_DONE ? 0 : answer->code;
	if (answer->type == XL_FAILED && starts) {
		error_set(&domain->failure, answer->code, "%.*s", (int)text_size, answer->text);
		domain->destroy = true;
	} else {
		outbox_send(&helper->outbox, answer, text_size);
	}
}

static void destroy_done(
	struct helper *helper, struct domain *domain, struct xl_message *answer, size_t text_size)
{
	if (answer->type == XL_FAILED && !domain->ended) {
		domain->destroy = domain->destroyed = false;
		outbox_send(&helper->outbox, answer, text_size);
		return;
	}
	domain_exit(helper, domain);
}

void request_done(struct helper *helper, struct xl_message *answer, size_t text_size)
{
	struct guest_id id = {answer->slot, answer->generation};
	if (answer->type == XL_FOUND) {
		found(helper, answer);
		return;
	}
	if (answer->type == XL_LISTED) {
		outbox_send(&helper->outbox, answer, text_size);
		return;
	}
	struct domain *domain = domain_find(helper, id);
	if (!domain)
		return;
	domain->busy = false;
	if (!domain->made)
		start_done(helper, domain, answer, text_size);
	else if (domain->destroyed)
		destroy_done(helper, domain, answer, text_size);
	else if (domain->saving)
		save_done(helper, domain, answer, text_size);
	else if (domain->on_disk)
		restore_done(helper, domain, answer, text_size);
	else if (domain->revives)
		revive_done(helper, domain, answer, text_size);
	else
		operation_done(helper, domain, answer, text_size);
	if ((domain = domain_find(helper, id)))
		domain_settle(helper, domain);
}

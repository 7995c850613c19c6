/* SPDX-License-Identifier: ISC */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "summon-xl/helper.h"
#include "summon-xl/keys.h"

#define READS_PER_TURN 4

struct domain *domain_find(const struct helper *helper, struct guest_id id)
{
	struct domain *domain = helper->domains;
	while (domain && !guest_id_equal(domain->id, id))
		domain = domain->next;
	return domain;
}

struct domain *domain_add(struct helper *helper, struct guest_id id)
{
	struct domain *domain = calloc(1, sizeof(*domain));
	if (!domain)
		return NULL;
	domain->id = id;
	domain->console = -1;
	domain->next = helper->domains;
	helper->domains = domain;
	return domain;
}

void domain_remove(struct helper *helper, struct domain *domain)
{
	struct domain **place = &helper->domains;
	while (*place != domain)
		place = &(*place)->next;
	*place = domain->next;
	domain_unwatch(helper, domain);
	free(domain);
}

void domain_unwatch(struct helper *helper, struct domain *domain)
{
	if (domain->death)
		libxl_evdisable_domain_death(helper->ctx, domain->death);
	key_forget(helper, domain);
	if (domain->console >= 0)
		close(domain->console);
	domain->death = NULL;
	domain->console = -1;
}

int domain_watch(struct helper *helper, struct domain *domain, struct error *err)
{
	xl_log_clear(&helper->log);
	int rc = libxl_evenable_domain_death(helper->ctx, domain->domid, 0, &domain->death);
	if (rc)
		return xl_log_error(&helper->log, err, -EIO, "its end cannot be watched", rc);
	return key_watch(helper, domain, err);
}

void domain_listen(struct helper *helper, struct domain *domain, bool last)
{
	struct xl_message message = {
		.type = XL_OUTPUT, .slot = domain->id.slot, .generation = domain->id.generation};
	for (unsigned i = 0; domain->console >= 0 && (last || i < READS_PER_TURN); i++) {
		if (!last && helper->outbox.first)
			return;
		ssize_t size = read(domain->console, message.text, sizeof(message.text));
		if (size > 0) {
			outbox_send(&helper->outbox, &message, (size_t)size);
		} else if (size < 0 && errno == EAGAIN) {
			return;
		} else if (size == 0 || errno != EINTR) {
			close(domain->console); /* xenconsoled has let go of it */
			domain->console = -1;
		}
	}
}

void domain_settle(struct helper *helper, struct domain *domain)
{
	if (domain->busy || !domain->made || !(domain->ended || domain->destroy))
		return;
	domain->destroyed =
		request_submit(helper, domain, domain->on_disk ? JOB_FORGET : XL_DESTROY);
}

void domain_exit(struct helper *helper, struct domain *domain)
{
	struct xl_message message = {.type = XL_EXITED,
		.code = domain->ended ? domain->exit : XL_EXIT_DESTROYED,
		.slot = domain->id.slot,
		.generation = domain->id.generation};
	size_t size = strlen(domain->why);
	memcpy(message.text, domain->why, size);
	domain_listen(helper, domain, true);
	if (domain->failure.code)
		outbox_fail(&helper->outbox, domain->id, &domain->failure);
	else
		outbox_send(&helper->outbox, &message, size);
	domain_remove(helper, domain);
}

/* The first that is known of its end counts. */
static void ends(struct domain *domain, enum xl_exit how, const char *why)
{
	if (domain->ended || domain->destroyed)
		return;
	domain->ended = true;
	domain->exit = how;
	snprintf(domain->why, sizeof(domain->why), "%s", why);
}

void domain_crash(struct domain *domain, const char *why)
{
	ends(domain, XL_EXIT_CRASHED, why);
}

static void shut_down(struct domain *domain, unsigned reason)
{
	static const struct {
		enum xl_exit exit;
		const char *why;
	} reasons[] = {
		[LIBXL_SHUTDOWN_REASON_POWEROFF] = {XL_EXIT_SHUTDOWN, ""},
		[LIBXL_SHUTDOWN_REASON_REBOOT] = {XL_EXIT_CRASHED,
			"the guest reset its processor (a triple fault, or a reboot)"},
		[LIBXL_SHUTDOWN_REASON_SUSPEND] = {XL_EXIT_CRASHED,
			"the guest suspended itself, and nobody had asked it to"},
		[LIBXL_SHUTDOWN_REASON_CRASH] = {XL_EXIT_CRASHED, "the guest crashed"},
		[LIBXL_SHUTDOWN_REASON_WATCHDOG] = {XL_EXIT_CRASHED,
			"the guest's watchdog was not fed"},
	};
	if (reason < sizeof(reasons) / sizeof(reasons[0]) && reasons[reason].why)
		ends(domain, reasons[reason].exit, reasons[reason].why);
	else
		ends(domain, XL_EXIT_CRASHED, "the guest stopped for a reason unknown to Xen 4.17");
}

void domain_event(struct helper *helper, const libxl_event *event)
{
	struct domain *domain = helper->domains;
	while (domain && !(domain->made && !domain->on_disk && domain->domid == event->domid))
		domain = domain->next;
	bool suspends =
		event->type == LIBXL_EVENT_TYPE_DOMAIN_DEATH ||
		(event->type == LIBXL_EVENT_TYPE_DOMAIN_SHUTDOWN &&
			event->u.domain_shutdown.shutdown_reason == LIBXL_SHUTDOWN_REASON_SUSPEND);
	if (!domain || (domain->saving && suspends))
		return;
	if (event->type == LIBXL_EVENT_TYPE_DOMAIN_SHUTDOWN)
		shut_down(domain, event->u.domain_shutdown.shutdown_reason);
	else if (event->type == LIBXL_EVENT_TYPE_DOMAIN_DEATH)
		ends(domain, XL_EXIT_CRASHED, "the domain was destroyed by somebody else");
	domain_settle(helper, domain);
}

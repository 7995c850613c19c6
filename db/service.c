/* SPDX-License-Identifier: ISC */
#include "db/store.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/units.h"
#include "db/addresses.h"
#include "db/names.h"
#include "db/sql.h"

/* The longest text that is kept of a service: a domain template, with room to spare. */
#define TEXT_MAX (1u << 20)

/* --- the struct --- */

#define TEXT(name, what)                                                                           \
	{                                                                                          \
		offsetof(struct store_service, name), what                                         \
	}

/* All that is text of any length, in the order in which it is read. */
static const struct text {
	size_t offset;
	const char *what;
} texts[] = {
	TEXT(image, "image"), TEXT(initrd, "initrd"), TEXT(cmdline, "command line"),
	TEXT(domain_xml, "domain XML"), TEXT(kernel_line, "kernel line"),
	TEXT(domain_name, "domain name"), TEXT(uuid, "UUID"), TEXT(nics, "nics"),
	TEXT(disks, "disks"), TEXT(rumprun_config, "rumprun configuration"),
	TEXT(names, "other names"), /* rows of another table, which are read as one column */
};
#define TEXT_COUNT   (sizeof(texts) / sizeof(texts[0]))
#define COLUMN_COUNT (TEXT_COUNT - 1)

static char **text_of(struct store_service *service, size_t i)
{
	return (char **)((char *)service + texts[i].offset);
}

static const char *text_in(const struct store_service *service, size_t i)
{
	return *(char *const *)((const char *)service + texts[i].offset);
}

void store_service_finish(struct store_service *service)
{
	for (size_t i = 0; i < TEXT_COUNT; i++)
		free(*text_of(service, i));
	*service = (struct store_service){0};
}

static inline void cleanup_service(struct store_service *service)
{
	store_service_finish(service);
}

int store_service_copy(struct store_service *to, const struct store_service *from)
{
	bool whole = true;
	*to = *from;
	for (size_t i = 0; i < TEXT_COUNT; i++) {
		const char *text = text_in(from, i);
		char *copy = text ? strdup(text) : NULL;
		*text_of(to, i) = copy;
		whole = whole && (copy || !text);
	}
	if (!whole)
		store_service_finish(to);
	return whole ? 0 : -ENOMEM;
}

/* --- what may be stored --- */

static int check_text(const char *what, const char *text, struct error *err)
{
	if (text && strnlen(text, TEXT_MAX + 1) > TEXT_MAX)
		return error_set(
			err, -E2BIG, "the service's %s is longer than %u bytes", what, TEXT_MAX);
	return 0;
}

static int check_service(const struct store_service *service, struct error *err)
{
	int rc = service_names_check(service, err);
	size_t backend = strnlen(service->backend, sizeof(service->backend));
	if (rc == 0 && (backend == 0 || backend > STORE_BACKEND_MAX))
		rc = error_set(err, -EINVAL,
			"service %s: a backend of 1 to %d characters is needed", service->name,
			STORE_BACKEND_MAX);
	for (size_t i = 0; rc == 0 && i < TEXT_COUNT; i++)
		rc = check_text(texts[i].what, text_in(service, i), err);
	if (rc == 0)
		rc = service_addresses_check(service, err);
	return rc;
}

/* --- single steps of a put, inside its transaction --- */

static int check_policy_exists(struct store *store, const char *policy, struct error *err)
{
	CLEANUP(query) struct query query = {0};
	query_begin(&query, store, POLICY_FIND);
	bind_array(&query, policy, POLICY_NAME_MAX + 1);
	int rc = query_next(&query, err);
	if (rc == 0)
		return error_set(err, -ENOENT, "there is no policy '%.63s': add it first", policy);
	return rc < 0 ? rc : 0;
}

static void bind_definition(struct query *query, const struct store_service *service)
{
	bind_text(query, service->name);
	bind_text(query, service->backend);
	bind_text(query, service->policy);
	for (size_t i = 0; i < COLUMN_COUNT; i++)
		bind_text(query, text_in(service, i));
	bind_u64(query, service->memory);
	bind_u64(query, service->vcpus);
}

static int insert_service(struct store *store, const struct store_service *service,
	uint64_t created_at, uint32_t *id, struct error *err)
{
	CLEANUP(query) struct query query = {0};
	query_begin(&query, store, SERVICE_INSERT);
	bind_definition(&query, service);
	bind_u64(&query, service->pinned);
	bind_u64(&query, created_at);
	int rc = query_next(&query, err);
	if (rc < 0)
		return rc;
	*id = (uint32_t)take_u64(&query, UINT32_MAX);
	rc = query_check(&query, err);
	return rc < 0 ? rc : query_next(&query, err);
}

static int no_service(uint32_t id, struct error *err)
{
	return error_set(err, -ENOENT, "there is no service with id %u", id);
}

static int update_service(
	struct store *store, const struct store_service *service, struct error *err)
{
	CLEANUP(query) struct query query = {0};
	query_begin(&query, store, SERVICE_UPDATE);
	bind_definition(&query, service);
	bind_u64(&query, service->id);
	int rc = query_run(&query, err);
	return rc == 0 ? no_service(service->id, err) : rc < 0 ? rc : 0;
}

static int replace_service(
	struct store *store, const struct store_service *service, struct error *err)
{
	int rc = update_service(store, service, err);
	if (rc == 0)
		rc = service_addresses_rename(store, service, err);
	if (rc == 0)
		rc = service_addresses_release(store, service->id, err);
	return rc;
}

/* --- the contract --- */

int store_put_service(struct store *store, struct store_service *service, struct error *err)
{
	CLEANUP(transaction) struct transaction transaction = {0};
	uint32_t id = service->id;
	uint64_t now = clock_real();
	int rc = check_service(service, err);
	if (rc == 0)
		rc = transaction_begin(&transaction, store, err);
	if (rc == 0)
		rc = service_names_are_free(store, service, err);
	if (rc == 0)
		rc = check_policy_exists(store, service->policy, err);
	if (rc == 0)
		rc = id ? replace_service(store, service, err)
			: insert_service(store, service, now, &id, err);
	if (rc == 0)
		rc = service_names_put(store, service, id, err);
	if (rc == 0)
		rc = service_addresses_put(store, service, id, err);
	if (rc == 0)
		rc = transaction_commit(&transaction, err);
	if (rc < 0)
		return rc;
	if (!service->id) {
		service->id = id;
		service->created_at = now;
	}
	return 0;
}

static int delete_service(struct store *store, uint32_t id, struct error *err)
{
	CLEANUP(query) struct query query = {0};
	query_begin(&query, store, SERVICE_DELETE);
	bind_u64(&query, id);
	int rc = query_run(&query, err);
	return rc == 0 ? no_service(id, err) : rc < 0 ? rc : 0;
}

int store_remove_service(struct store *store, uint32_t id, struct error *err)
{
	CLEANUP(transaction) struct transaction transaction = {0};
	int rc = transaction_begin(&transaction, store, err);
	if (rc == 0)
		rc = service_addresses_release(store, id, err);
	if (rc == 0)
		rc = delete_service(store, id, err);
	if (rc == 0)
		rc = transaction_commit(&transaction, err);
	return rc;
}

int store_together(struct store *store,
	int (*work)(struct store *store, void *ctx, struct error *err), void *ctx,
	struct error *err)
{
	CLEANUP(transaction) struct transaction transaction = {0};
	int rc = transaction_begin(&transaction, store, err);
	if (rc >= 0)
		rc = work(store, ctx, err);
	return rc < 0 ? rc : transaction_commit(&transaction, err);
}

int store_set_pinned(
	struct store *store, uint32_t id, bool pinned, uint64_t until, struct error *err)
{
	CLEANUP(query) struct query query = {0};
	query_begin(&query, store, SERVICE_PIN);
	bind_u64(&query, pinned);
	bind_u64(&query, pinned ? until : 0);
	bind_u64(&query, id);
	int rc = query_run(&query, err);
	return rc == 0 ? no_service(id, err) : rc < 0 ? rc : 0;
}

static int take_service(struct query *query, struct store_service *service, struct error *err)
{
	service->id = (uint32_t)take_u64(query, UINT32_MAX);
	take_text(query, service->name, sizeof(service->name));
	take_text(query, service->backend, sizeof(service->backend));
	take_text(query, service->policy, sizeof(service->policy));
	for (size_t i = 0; i < TEXT_COUNT; i++)
		*text_of(service, i) = take_copy(query);
	service->memory = take_u64(query, INT64_MAX);
	service->vcpus = (uint32_t)take_u64(query, UINT32_MAX);
	service->pinned = take_u64(query, 1);
	service->pinned_until = take_u64(query, INT64_MAX);
	service->created_at = take_u64(query, INT64_MAX);
	service_addresses_take(query, service);
	int rc = query_check(query, err);
	if (rc < 0)
		return rc;
	struct error why = ERROR_INIT;
	if (service->id == 0 || check_service(service, &why) < 0)
		return query_damaged(query, service->id ? why.message : "an id of 0", err);
	return 0;
}

int store_each_service(struct store *store,
	int (*each)(void *ctx, const struct store_service *service), void *ctx, struct error *err)
{
	CLEANUP(query) struct query query = {0};
	query_begin(&query, store, SERVICE_EACH);
	for (;;) {
		CLEANUP(service) struct store_service service = {0};
		int rc = query_next(&query, err);
		if (rc <= 0)
			return rc;
		rc = take_service(&query, &service, err);
		if (rc == 0)
			rc = each(ctx, &service);
		if (rc < 0)
			return rc;
	}
}

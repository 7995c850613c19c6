/* SPDX-License-Identifier: ISC */
#include "db/store.h"

#include <errno.h>
#include <string.h>

#include "base/cleanup.h"
#include "db/sql.h"

/* One statement whose only parameter is a policy's name. */
static int run_for(struct store *store, enum statement which, const char *policy, struct error *err)
{
	CLEANUP(query) struct query query = {0};
	query_begin(&query, store, which);
	bind_text(&query, policy);
	return query_run(&query, err);
}

static int put_option(struct store *store, const char *policy, const char *option,
	const char *value, struct error *err)
{
	CLEANUP(query) struct query query = {0};
	query_begin(&query, store, OPTION_INSERT);
	bind_text(&query, policy);
	bind_text(&query, option);
	bind_text(&query, value);
	return query_run(&query, err);
}

/* Only what differs, so that a default that changes with a new version reaches old policies. */
static int put_options(struct store *store, const struct policy *policy, struct error *err)
{
	struct policy plain;
	policy_init(&plain, policy->name);
	for (size_t i = 0; i < policy_option_count; i++) {
		const char *option = policy_options[i].name;
		char value[POLICY_VALUE_MAX + 1], fallback[POLICY_VALUE_MAX + 1];
		int rc = policy_get(policy, option, value, err);
		if (rc == 0)
			rc = policy_get(&plain, option, fallback, err);
		if (rc == 0 && strcmp(value, fallback) != 0)
			rc = put_option(store, policy->name, option, value, err);
		if (rc < 0)
			return rc;
	}
	return 0;
}

int store_put_policy(struct store *store, const struct policy *policy, struct error *err)
{
	CLEANUP(transaction) struct transaction transaction = {0};
	int rc = policy_validate(policy, err);
	if (rc == 0)
		rc = transaction_begin(&transaction, store, err);
	if (rc == 0)
		rc = run_for(store, POLICY_INSERT, policy->name, err);
	if (rc >= 0)
		rc = run_for(store, OPTION_CLEAR, policy->name, err);
	if (rc >= 0)
		rc = put_options(store, policy, err);
	if (rc == 0)
		rc = transaction_commit(&transaction, err);
	return rc;
}

static int check_unused(struct store *store, const char *policy, struct error *err)
{
	CLEANUP(query) struct query query = {0};
	char service[STORE_NAME_MAX + 1];
	query_begin(&query, store, POLICY_USER);
	bind_text(&query, policy);
	int rc = query_next(&query, err);
	if (rc <= 0)
		return rc;
	take_text(&query, service, sizeof(service));
	rc = query_check(&query, err);
	if (rc == 0)
		rc = error_set(err, -EBUSY,
			"policy '%s' is in use by the service %s: give its services another first",
			policy, service);
	return rc;
}

int store_remove_policy(struct store *store, const char *name, struct error *err)
{
	CLEANUP(transaction) struct transaction transaction = {0};
	int rc = policy_check_name(name, err);
	if (rc == 0 && strcmp(name, "default") == 0)
		rc = error_set(err, -EPERM,
			"policy 'default' cannot be removed: change its options instead");
	if (rc == 0)
		rc = transaction_begin(&transaction, store, err);
	if (rc == 0)
		rc = check_unused(store, name, err);
	if (rc == 0)
		rc = run_for(store, POLICY_DELETE, name, err);
	if (rc == 0)
		rc = error_set(err, -ENOENT, "there is no policy '%s'", name);
	if (rc > 0)
		rc = transaction_commit(&transaction, err);
	return rc;
}

/* A row is a policy's name and one of its options; both NULL for a policy of defaults only. */
struct option_row {
	char policy[POLICY_NAME_MAX + 1];
	char option[POLICY_VALUE_MAX + 1];
	char value[POLICY_VALUE_MAX + 1];
};

static int take_row(struct query *query, struct option_row *row, struct error *err)
{
	struct error why = ERROR_INIT;
	row->option[0] = '\0';
	take_text(query, row->policy, sizeof(row->policy));
	if (!take_null(query)) {
		take_text(query, row->option, sizeof(row->option));
		take_text(query, row->value, sizeof(row->value));
	}
	int rc = query_check(query, err);
	if (rc == 0 && policy_check_name(row->policy, &why) < 0)
		rc = query_damaged(query, why.message, err);
	return rc;
}

static int set_option(
	struct query *query, const struct option_row *row, struct policy *policy, struct error *err)
{
	struct error why = ERROR_INIT;
	if (row->option[0] && policy_set(policy, row->option, row->value, &why) < 0)
		return query_damaged(query, why.message, err);
	return 0;
}

int store_each_policy(struct store *store, int (*each)(void *ctx, const struct policy *policy),
	void *ctx, struct error *err)
{
	CLEANUP(query) struct query query = {0};
	struct policy policy = {0};
	struct option_row row;
	query_begin(&query, store, POLICY_EACH);
	for (;;) {
		int rc = query_next(&query, err);
		if (rc == 0)
			return policy.name[0] ? each(ctx, &policy) : 0;
		if (rc > 0)
			rc = take_row(&query, &row, err);
		if (rc == 0 && strcmp(row.policy, policy.name) != 0) {
			if (policy.name[0])
				rc = each(ctx, &policy);
			policy_init(&policy, row.policy);
		}
		if (rc >= 0)
			rc = set_option(&query, &row, &policy, err);
		if (rc < 0)
			return rc;
	}
}

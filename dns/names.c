/* SPDX-License-Identifier: ISC */
#include "dns/names.h"

#include <errno.h>
#include <search.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"

static void service_destroy(struct service *service)
{
	if (!service)
		return;
	free(service->block[0]);
	free(service->block[1]);
	free(service);
}

CLEANUP_DEFINE(service_destroy, struct service *, service_destroy)

static int compare_numbers(const void *a, const void *b)
{
	uint32_t left = ((const struct service *)a)->number;
	uint32_t right = ((const struct service *)b)->number;
	return (left > right) - (left < right);
}

static struct service *find_service(const struct names *names, uint32_t number)
{
	const struct service key = {.number = number};
	struct service *const *found = tfind(&key, &names->services, compare_numbers);
	return found ? *found : NULL;
}

static void place_service(struct node *node, const struct service *service)
{
	node->service = service;
	node->block[NODE_A] = service->block[0];
	node->block[NODE_AAAA] = service->block[1];
}

static struct node *node_of(const struct names *names, const struct service *service)
{
	struct name name;
	bool exact;
	name_fold(service->name, &name);
	return table_closest(&names->table, &name, &exact);
}

static void displace_service(struct names *names, struct node *node)
{
	node->service = NULL;
	node->block[NODE_A] = node->block[NODE_AAAA] = NULL;
	table_prune(&names->table, node);
}

/* A name server's address that the zones give is no service's to change. */
static int check_no_glue(const struct node *node, const struct name *name, struct error *err)
{
	char text[254];
	if (node->service || (!node->block[NODE_A] && !node->block[NODE_AAAA]))
		return 0;
	return error_set(err, -EEXIST,
		"'%.100s' is a name server with an address of its own: a service needs another "
		"name",
		name_print(name, text));
}

/* What names_set_zones builds aside before anything changes. */
struct plan {
	struct table table;
	struct zone **zones;
	size_t zone_count;
	int rc;
	struct error *err;
};

static void plan_finish(struct plan *plan)
{
	table_finish(&plan->table);
	for (size_t i = 0; i < plan->zone_count; i++)
		zone_destroy(plan->zones[i]);
	free(plan->zones);
}

static int compare_depth(const void *a, const void *b)
{
	const struct zone *const *left = a, *const *right = b;
	return (*left)->origin.labels - (*right)->origin.labels;
}

/* Also puts the zones above before those beneath, as table_obtain wants them. */
static int plan_create_zones(struct plan *plan, const struct dns_zone_config *configs, size_t count)
{
	plan->zones = calloc(count + 1, sizeof(struct zone *));
	if (!plan->zones)
		return error_set(plan->err, -ENOMEM, "out of memory");
	for (size_t i = 0; i < count; i++) {
		int rc = zone_create(&configs[i], &plan->zones[i], plan->err);
		if (rc < 0)
			return rc;
		plan->zone_count++;
	}
	qsort(plan->zones, count, sizeof(struct zone *), compare_depth);
	return 0;
}

static int plan_place_apex(struct plan *plan, const struct zone *zone)
{
	char text[254];
	struct node *node = table_obtain(&plan->table, &zone->origin);
	if (!node)
		return error_set(plan->err, -ENOMEM, "out of memory");
	if (node->apex)
		return error_set(plan->err, -EINVAL, "zone '%.100s' is given twice",
			name_print(&zone->origin, text));
	node->apex = node->fixed = true;
	node->zone = zone;
	node->block[NODE_SOA] = zone->soa;
	node->block[NODE_NS] = zone->ns;
	return 0;
}

static bool same_block(const struct block *a, const struct block *b)
{
	return a->size == b->size && memcmp(a->bytes, b->bytes, a->size) == 0;
}

static int plan_place_servers(struct plan *plan, const struct zone *zone)
{
	char text[254];
	for (size_t i = 0; i < zone->server_count; i++) {
		const struct zone_server *server = &zone->servers[i];
		if (!server->inside)
			continue;
		struct node *node = table_obtain(&plan->table, &server->name);
		if (!node)
			return error_set(plan->err, -ENOMEM, "out of memory");
		node->fixed = true;
		for (int slot = NODE_A; slot <= NODE_AAAA; slot++) {
			const struct block *block = server->block[slot];
			if (node->block[slot] && block && !same_block(node->block[slot], block))
				return error_set(plan->err, -EINVAL,
					"name server '%.100s' has another address or TTL in "
					"another zone",
					name_print(&server->name, text));
			if (!node->block[slot])
				node->block[slot] = block;
		}
	}
	return 0;
}

static void plan_place_service(const void *tree_node, VISIT visit, void *closure)
{
	const struct service *service = *(struct service *const *)tree_node;
	struct plan *plan = closure;
	struct name name;
	/* Each is visited once on its way in order, or as a leaf. */
	if (plan->rc < 0 || (visit != postorder && visit != leaf))
		return;
	name_fold(service->name, &name);
	struct node *node = table_obtain(&plan->table, &name);
	plan->rc = node ? check_no_glue(node, &name, plan->err)
			: error_set(plan->err, -ENOMEM, "out of memory");
	if (plan->rc == 0)
		place_service(node, service);
}

static int plan_make(struct plan *plan, const struct names *names,
	const struct dns_zone_config *configs, size_t count)
{
	int rc = table_init(&plan->table);
	if (rc < 0)
		return error_set(plan->err, rc, "out of memory");
	rc = plan_create_zones(plan, configs, count);
	for (size_t i = 0; rc == 0 && i < plan->zone_count; i++)
		rc = plan_place_apex(plan, plan->zones[i]);
	for (size_t i = 0; rc == 0 && i < plan->zone_count; i++)
		rc = plan_place_servers(plan, plan->zones[i]);
	if (rc < 0)
		return rc;
	twalk_r(names->services, plan_place_service, plan);
	return plan->rc;
}

int names_set_zones(
	struct names *names, const struct dns_zone_config *configs, size_t count, struct error *err)
{
	struct plan plan = {.err = err};
	int rc = plan_make(&plan, names, configs, count);
	if (rc == 0) {
		struct plan old = {
			.table = names->table,
			.zones = names->zones,
			.zone_count = names->zone_count,
		};
		names->table = plan.table;
		names->zones = plan.zones;
		names->zone_count = plan.zone_count;
		plan = old;
	}
	plan_finish(&plan);
	return rc;
}

static int compile_addresses(struct service *service, const struct ip_address *ipv4,
	const struct ip_address *ipv6, uint32_t ttl, struct error *err)
{
	static const int families[2] = {AF_INET, AF_INET6};
	const struct ip_address *given[2] = {ipv4, ipv6};
	if (ttl > TTL_MAX)
		return error_set(err, -EINVAL, "a TTL is at most %u seconds", TTL_MAX);
	for (int i = 0; i < 2; i++) {
		if (!given[i] || !ip_address_is_set(given[i]))
			continue;
		if (given[i]->family != families[i])
			return error_set(err, -EINVAL, "the %s address is of another family",
				i == 0 ? "IPv4" : "IPv6");
		service->block[i] = block_of_address(given[i], ttl);
		if (!service->block[i])
			return error_set(err, -ENOMEM, "out of memory");
	}
	return 0;
}

/* The node for the name, where the service may have it. */
static int claim_node(struct names *names, uint32_t number, const struct name *name,
	struct node **out, struct error *err)
{
	char text[254];
	struct node *node = table_obtain(&names->table, name);
	if (!node)
		return error_set(err, -ENOMEM, "out of memory");
	if (node->service && node->service->number != number)
		return error_set(err, -EEXIST, "'%.100s' is the name of another service",
			name_print(name, text));
	*out = node;
	return check_no_glue(node, name, err);
}

int names_put_service(struct names *names, uint32_t number, const char *text,
	const struct ip_address *ipv4, const struct ip_address *ipv6, uint32_t ttl,
	struct error *err)
{
	struct name name;
	struct node *node = NULL;
	if (number == 0)
		return error_set(err, -EINVAL, "0 is no number of a service");
	CLEANUP(service_destroy) struct service *service = calloc(1, sizeof(*service));
	if (!service)
		return error_set(err, -ENOMEM, "out of memory");
	int rc = name_parse(text, &name, err);
	if (rc == 0)
		rc = compile_addresses(service, ipv4, ipv6, ttl, err);
	if (rc == 0)
		rc = claim_node(names, number, &name, &node, err);
	if (rc < 0)
		return rc;
	service->number = number;
	memcpy(service->name, name.bytes, name.size);
	struct service **place = tsearch(service, &names->services, compare_numbers);
	if (!place) {
		table_prune(&names->table, node);
		return error_set(err, -ENOMEM, "out of memory");
	}
	struct service *old = *place == service ? NULL : *place;
	*place = STEAL_POINTER(service);
	/* The new name first: it may be above the old one, and only be kept by it. */
	place_service(node, *place);
	if (old && node_of(names, old) != node)
		displace_service(names, node_of(names, old));
	service_destroy(old);
	return 0;
}

void names_remove_service(struct names *names, uint32_t number)
{
	struct service *service = find_service(names, number);
	if (!service)
		return;
	displace_service(names, node_of(names, service));
	tdelete(service, &names->services, compare_numbers);
	service_destroy(service);
}

int names_init(struct names *names)
{
	*names = (struct names){0};
	return table_init(&names->table);
}

static void destroy_service(void *service)
{
	service_destroy(service);
}

void names_finish(struct names *names)
{
	table_finish(&names->table);
	for (size_t i = 0; i < names->zone_count; i++)
		zone_destroy(names->zones[i]);
	free(names->zones);
	tdestroy(names->services, destroy_service);
	*names = (struct names){0};
}

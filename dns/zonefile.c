/* SPDX-License-Identifier: ISC */
#include "dns/zonefile.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include <ldns/ldns.h>

#include "base/cleanup.h"
#include "dns/wire.h"

CLEANUP_DEFINE(free_buffer, ldns_buffer *, ldns_buffer_free)

struct reading {
	const char *path;
	const struct name *origin;
	struct records *records;
	ldns_buffer *buffer;
	int line;
	struct error *err;
};

/* What is not taken, and why. */
static const char *reason_against(uint16_t type)
{
	switch (type) {
	case DNS_TYPE_DNAME:
		return "DNAME is not supported: write the CNAME records that you need";
	case DNS_TYPE_RRSIG:
	case DNS_TYPE_NSEC:
	case DNS_TYPE_NSEC3:
	case DNS_TYPE_NSEC3PARAM:
	case DNS_TYPE_DNSKEY:
	case DNS_TYPE_CDS:
	case DNS_TYPE_CDNSKEY:
		return "zones are signed by this server: give the zone without signatures and keys";
	default:
		return NULL;
	}
}

/* RFC 6895 section 3.1: types that are no data. */
static bool is_meta(uint16_t type)
{
	return type == 0 || type == DNS_TYPE_OPT || (type >= 128 && type <= 255);
}

static int refuse(const struct reading *reading, const char *why)
{
	return error_set(reading->err, -EINVAL, "%s:%d: %s", reading->path, reading->line, why);
}

static int add(struct reading *reading, const ldns_rr *rr)
{
	struct name owner;
	char text[NAME_TEXT], why[400];
	uint16_t type = (uint16_t)ldns_rr_get_type(rr);
	if (ldns_rr_get_class(rr) != LDNS_RR_CLASS_IN)
		return refuse(reading, "the class of a record is IN");
	const char *against =
		is_meta(type) ? "this type is no data of a zone" : reason_against(type);
	if (against)
		return refuse(reading, against);
	ldns_buffer_clear(reading->buffer);
	if (ldns_rr2buffer_wire(reading->buffer, rr, LDNS_SECTION_ANSWER) != LDNS_STATUS_OK)
		return refuse(reading, "the record does not fit a message");
	uint8_t *wire = ldns_buffer_begin(reading->buffer);
	size_t size = ldns_buffer_position(reading->buffer), name = name_measure(wire, size);
	if (name == 0 || size < name + 10)
		return refuse(reading, "the record cannot be written");
	name_fold(wire, &owner);
	if (!name_within(&owner, reading->origin)) {
		snprintf(why, sizeof(why), "'%.250s' is outside of the zone",
			name_print_wire(owner.bytes, text));
		return refuse(reading, why);
	}
	if (ldns_rr_ttl(rr) > 0x7fffffffu)
		return refuse(reading, "a TTL is at most 2147483647 seconds (RFC 2181)");
	record_lower(type, wire + name + 10, size - name - 10);
	return records_add(reading->records, &owner, type, ldns_rr_ttl(rr), (uint32_t)reading->line,
		wire + name + 10, size - name - 10, reading->err);
}

static int explain(const struct reading *reading, ldns_status status)
{
	char why[300];
	switch (status) {
	case LDNS_STATUS_SYNTAX_INCLUDE:
	case LDNS_STATUS_SYNTAX_INCLUDE_ERR_NOTIMPL:
		return refuse(reading, "$INCLUDE is not supported: give all records in one file");
	default:
		snprintf(why, sizeof(why), "%s", ldns_get_errorstr_by_id(status));
		return refuse(reading, why);
	}
}

static int read_all(struct reading *reading, FILE *file, uint32_t ttl, ldns_rdf **origin)
{
	ldns_rdf *previous = NULL;
	int rc = 0;
	reading->line = 1;
	while (rc == 0 && !feof(file)) {
		ldns_rr *rr = NULL;
		int begin = reading->line;
		ldns_status status =
			ldns_rr_new_frm_fp_l(&rr, file, &ttl, origin, &previous, &reading->line);
		int next = reading->line;
		/* The line that the record ends in, not the one behind it. */
		reading->line = next > begin ? next - 1 : next;
		switch (status) {
		case LDNS_STATUS_OK:
			rc = add(reading, rr);
			ldns_rr_free(rr);
			break;
		case LDNS_STATUS_SYNTAX_EMPTY:
		case LDNS_STATUS_SYNTAX_TTL:
		case LDNS_STATUS_SYNTAX_ORIGIN:
			break;
		default:
			rc = explain(reading, status);
		}
		reading->line = next;
	}
	ldns_rdf_deep_free(previous);
	return rc;
}

static int open_file(const char *path, FILE **out, struct error *err)
{
	struct stat status;
	CLEANUP(fclose) FILE *file = fopen(path, "re");
	if (!file || fstat(fileno(file), &status) < 0)
		return error_set(
			err, -errno, "cannot read the zone file '%s': %s", path, strerror(errno));
	if (!S_ISREG(status.st_mode))
		return error_set(err, -EINVAL, "'%s' is no file", path);
	*out = STEAL_POINTER(file);
	return 0;
}

int zonefile_read(const char *path, const struct name *origin, uint32_t ttl,
	struct records *records, struct error *err)
{
	CLEANUP(fclose) FILE *file = NULL;
	int rc = open_file(path, &file, err);
	if (rc < 0)
		return rc;
	CLEANUP(free_buffer) ldns_buffer *buffer = ldns_buffer_new(LDNS_MAX_PACKETLEN);
	ldns_rdf *name = ldns_rdf_new_frm_data(LDNS_RDF_TYPE_DNAME, origin->size, origin->bytes);
	struct reading reading = {
		.path = path,
		.origin = origin,
		.records = records,
		.buffer = buffer,
		.err = err,
	};
	rc = buffer && name ? read_all(&reading, file, ttl, &name)
			    : error_set(err, -ENOMEM, "out of memory");
	ldns_rdf_deep_free(name);
	if (rc == 0 && ferror(file))
		rc = error_set(err, -EIO, "cannot read the zone file '%s' to its end", path);
	return rc;
}

/* SPDX-License-Identifier: ISC */
#include "dns/key.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <libgen.h>
#include <limits.h>
#include <openssl/core_names.h>
#include <openssl/pem.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "dns/dnssec.h"
#include "dns/name.h"
#include "dns/wire.h"

#define DS_DIGEST_SHA256 2

CLEANUP_DEFINE(dns_key_release, struct dns_key *, dns_key_release)

struct dns_key *dns_key_keep(struct dns_key *key)
{
	atomic_fetch_add(&key->users, 1);
	return key;
}

void dns_key_release(struct dns_key *key)
{
	if (!key || atomic_fetch_sub(&key->users, 1) > 1)
		return;
	EVP_PKEY_free(key->pkey);
	free(key);
}

/* RFC 4034 appendix B. */
static uint16_t tag_of(const uint8_t *dnskey, size_t size)
{
	uint32_t sum = 0;
	for (size_t i = 0; i < size; i++)
		sum += i & 1 ? dnskey[i] : (uint32_t)dnskey[i] << 8;
	return (uint16_t)(sum + (sum >> 16));
}

/* Owns `pkey` in any case. */
static int make(EVP_PKEY *pkey, struct dns_key **out, struct error *err)
{
	uint8_t point[1 + DNSSEC_PUBLIC_SIZE]; /* 4: uncompressed, and the two numbers */
	size_t size = 0;
	char group[32] = "";
	struct dns_key *key = pkey ? calloc(1, sizeof(*key)) : NULL;
	if (!key) {
		EVP_PKEY_free(pkey);
		return error_set(err, -EIO, "no key could be made");
	}
	key->pkey = pkey;
	key->users = 1;
	EVP_PKEY_get_utf8_string_param(
		pkey, OSSL_PKEY_PARAM_GROUP_NAME, group, sizeof(group), NULL);
	if (strcmp(group, "prime256v1") != 0 ||
		EVP_PKEY_get_octet_string_param(
			pkey, OSSL_PKEY_PARAM_PUB_KEY, point, sizeof(point), &size) <= 0 ||
		size != sizeof(point) || point[0] != 4) {
		dns_key_release(key);
		return error_set(err, -EINVAL, "this is no key for ECDSA P-256");
	}
	wire_put16(key->dnskey, DNSSEC_KEY_FLAGS);
	key->dnskey[2] = DNSSEC_PROTOCOL;
	key->dnskey[3] = DNSSEC_ALGORITHM;
	memcpy(key->dnskey + 4, point + 1, DNSSEC_PUBLIC_SIZE);
	key->tag = tag_of(key->dnskey, sizeof(key->dnskey));
	*out = key;
	return 0;
}

int dns_key_create(struct dns_key **out, struct error *err)
{
	int rc = make(EVP_EC_gen("P-256"), out, err);
	if (rc == 0)
		(*out)->created_at = (*out)->changed_at = (uint64_t)time(NULL);
	return rc;
}

/* --- files --- */

static void read_head(struct dns_key *key, FILE *file)
{
	char line[128];
	while (fgets(line, sizeof(line), file) && line[0] != '-')
		sscanf(line, "created: %" SCNu64, &key->created_at);
	key->changed_at = key->created_at;
}

/* Never asks anybody for a pass phrase. */
static int no_phrase(char *buffer, int size, int writing, void *ctx)
{
	(void)buffer, (void)size, (void)writing, (void)ctx;
	return -1;
}

int dns_key_load(const char *path, struct dns_key **out, struct error *err)
{
	struct stat status;
	CLEANUP(fclose) FILE *file = fopen(path, "re");
	CLEANUP(dns_key_release) struct dns_key *key = NULL;
	if (!file || fstat(fileno(file), &status) < 0)
		return error_set(
			err, -errno, "cannot read the key '%s': %s", path, strerror(errno));
	if (status.st_mode & 077)
		return error_set(err, -EPERM,
			"the key '%s' may be read by others: chmod 600, and make another key if "
			"they did",
			path);
	EVP_PKEY *pkey = PEM_read_PrivateKey(file, NULL, no_phrase, NULL);
	if (!pkey)
		return error_set(err, -EINVAL, "'%s' holds no private key in PEM", path);
	int rc = make(pkey, &key, err);
	if (rc < 0)
		return error_prefix(err, rc, "'%s'", path);
	rewind(file);
	read_head(key, file);
	*out = STEAL_POINTER(key);
	return 0;
}

static int write_file(const struct dns_key *key, FILE *file)
{
	fprintf(file, "A DNSSEC key of summond, with the tag %u.\ncreated: %" PRIu64 "\n", key->tag,
		key->created_at);
	if (!PEM_write_PrivateKey(file, key->pkey, NULL, NULL, 0, NULL, NULL))
		return -EIO;
	return fflush(file) == 0 && fsync(fileno(file)) == 0 ? 0 : -errno;
}

static void sync_folder(const char *path)
{
	char copy[PATH_MAX];
	snprintf(copy, sizeof(copy), "%s", path);
	CLEANUP(close) int fd = open(dirname(copy), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd >= 0)
		fsync(fd);
}

int dns_key_save(const struct dns_key *key, const char *path, struct error *err)
{
	char aside[PATH_MAX];
	int rc = -ENAMETOOLONG;
	if ((size_t)snprintf(aside, sizeof(aside), "%s.new", path) >= sizeof(aside))
		return error_set(err, rc, "cannot write the key '%s'", path);
	unlink(aside);
	CLEANUP(close)
	int fd = open(aside, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	CLEANUP(fclose) FILE *file = fd < 0 ? NULL : fdopen(fd, "w");
	if (file) {
		fd = -1;
		rc = write_file(key, file);
	} else {
		rc = -errno;
	}
	if (rc == 0 && rename(aside, path) < 0)
		rc = -errno;
	if (rc < 0) {
		unlink(aside);
		return error_set(err, rc, "cannot write the key '%s': %s", path, strerror(-rc));
	}
	sync_folder(path);
	return 0;
}

/* --- what others see of it --- */

struct dns_key_info dns_key_info(const struct dns_key *key)
{
	return (struct dns_key_info){key->tag, key->active, key->created_at, key->changed_at};
}

void dns_key_set_active(struct dns_key *key, bool active, uint64_t now)
{
	if (key->active == active)
		return;
	key->active = active;
	key->changed_at = now;
}

/* RFC 4034 section 5.1.4. */
int dns_key_ds(const struct dns_key *key, const struct name *zone, uint8_t ds[DNSSEC_DS_SIZE],
	struct error *err)
{
	uint8_t data[NAME_MAX_SIZE + DNSSEC_DNSKEY_SIZE];
	memcpy(data, zone->bytes, zone->size);
	memcpy(data + zone->size, key->dnskey, sizeof(key->dnskey));
	wire_put16(ds, key->tag);
	ds[2] = DNSSEC_ALGORITHM;
	ds[3] = DS_DIGEST_SHA256;
	if (!EVP_Digest(data, zone->size + sizeof(key->dnskey), ds + 4, NULL, EVP_sha256(), NULL))
		return error_set(err, -EIO, "no digest could be made");
	return 0;
}

int dns_key_print_ds(
	const struct dns_key *key, const char *zone, char text[DNS_KEY_DS_TEXT], struct error *err)
{
	uint8_t ds[DNSSEC_DS_SIZE];
	struct name name;
	char origin[254];
	int rc = name_parse(zone, &name, err);
	if (rc == 0)
		rc = dns_key_ds(key, &name, ds, err);
	if (rc < 0)
		return rc;
	int length = snprintf(text, DNS_KEY_DS_TEXT, "%s. IN DS %u %u %u ",
		name_print(&name, origin), key->tag, ds[2], ds[3]);
	for (size_t i = 4; i < sizeof(ds); i++)
		length += snprintf(text + length, DNS_KEY_DS_TEXT - (size_t)length, "%02X", ds[i]);
	return 0;
}

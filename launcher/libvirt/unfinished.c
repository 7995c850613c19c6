/* SPDX-License-Identifier: ISC */
#include "launcher/libvirt/unfinished.h"

#include <fcntl.h>
#include <libxml/parser.h>
#include <libxml/xpath.h>
#include <libxml/xpathInternals.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <string.h>
#include <sys/pidfd.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "base/units.h"
#include "launcher/libvirt/domain_xml.h"

#define KILL_LIMIT_MS 5000
#define FOLDER_SIZE   512
#define PATH_SIZE     (FOLDER_SIZE + 256 + 2)

CLEANUP_DEFINE(doc, xmlDocPtr, xmlFreeDoc)
CLEANUP_DEFINE(xpath, xmlXPathContextPtr, xmlXPathFreeContext)

/* What a status file says: libvirt's src/conf/domain_conf.c and src/qemu/qemu_domain.c,
 * <domstatus state= reason= pid=><libDir path=/><job async=/><domain><name>... */
struct status {
	char name[64], identity[64], lib_dir[512];
	uint64_t pid;
	bool unfinished;
};

/* false where it is not there, or too long. */
static bool text_get(xmlXPathContextPtr xpath, const char *expression, char *out, size_t size)
{
	xmlXPathObjectPtr found = xmlXPathEvalExpression((const xmlChar *)expression, xpath);
	const char *text = found && found->stringval ? (const char *)found->stringval : "";
	size_t length = strlen(text);
	bool good = length > 0 && length < size;
	if (good)
		memcpy(out, text, length + 1);
	xmlXPathFreeObject(found);
	return good;
}

static bool status_read(const char *path, struct status *status)
{
	CLEANUP(doc)
	xmlDocPtr doc =
		xmlReadFile(path, NULL, XML_PARSE_NONET | XML_PARSE_NOERROR | XML_PARSE_NOWARNING);
	CLEANUP(xpath) xmlXPathContextPtr xpath = doc ? xmlXPathNewContext(doc) : NULL;
	char pid[16], word[32];
	if (!xpath)
		return false;
	xmlXPathRegisterNs(xpath, (const xmlChar *)DOMAIN_METADATA_PREFIX,
		(const xmlChar *)DOMAIN_METADATA_URI);
	*status = (struct status){0};
	if (!text_get(
		    xpath, "string(/domstatus/domain/name)", status->name, sizeof(status->name)) ||
		!text_get(xpath,
			"string(/domstatus/domain/metadata/" DOMAIN_METADATA_PREFIX
			":guest/@identity)",
			status->identity, sizeof(status->identity)))
		return false;
	if (text_get(xpath, "string(/domstatus/@pid)", pid, sizeof(pid)))
		number_parse(pid, 2, INT32_MAX, &status->pid, NULL);
	text_get(
		xpath, "string(/domstatus/libDir/@path)", status->lib_dir, sizeof(status->lib_dir));
	status->unfinished = text_get(xpath,
		"string(/domstatus[job/@async='start' or @reason='starting up']/@state)", word,
		sizeof(word));
	return true;
}

/* The process is QEMU for that guest: "PROGRAM -name guest=NAME,...". */
static bool is_qemu_of(pid_t pid, const char *name)
{
	char path[64], line[4096], wanted[96];
	snprintf(path, sizeof(path), "/proc/%d/cmdline", pid);
	CLEANUP(close) int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t length = fd < 0 ? -1 : read(fd, line, sizeof(line) - 1);
	int size = snprintf(wanted, sizeof(wanted), "%c-name%cguest=%s,", 0, 0, name);
	return length > 0 && memmem(line, (size_t)length, wanted, (size_t)size);
}

/* The descriptor is the process that is looked at, whoever has its number by then. */
static void qemu_kill(pid_t pid, const char *name)
{
	CLEANUP(close) int process = pid ? pidfd_open(pid, 0) : -1;
	if (process < 0 || !is_qemu_of(pid, name) ||
		pidfd_send_signal(process, SIGKILL, NULL, 0) < 0)
		return;
	struct pollfd end = {.fd = process, .events = POLLIN};
	poll(&end, 1, KILL_LIMIT_MS);
}

static void folder_remove(const char *path)
{
	CLEANUP(closedir) DIR *dir = opendir(path);
	for (struct dirent *entry; dir && (entry = readdir(dir));)
		if (entry->d_name[0] != '.')
			unlinkat(dirfd(dir), entry->d_name, 0);
	rmdir(path);
}

static void remains_remove(const char *root, int run, const struct status *status)
{
	static const char *const suffixes[] = {"xml", "pid"};
	char name[80], lib[512];
	size_t length = (size_t)snprintf(lib, sizeof(lib), "%s/lib/qemu/domain-", root);
	if (length < sizeof(lib) && strncmp(status->lib_dir, lib, length) == 0 &&
		!strchr(status->lib_dir + length, '/'))
		folder_remove(status->lib_dir);
	for (size_t i = 0; i < sizeof(suffixes) / sizeof(suffixes[0]); i++) {
		snprintf(name, sizeof(name), "%s.%s", status->name, suffixes[i]);
		unlinkat(run, name, 0);
	}
}

static bool is_status(const char *name)
{
	const char *suffix = strrchr(name, '.');
	return suffix && strcmp(suffix, ".xml") == 0;
}

/* Whether a status file names the folder, or is one that cannot be read. */
static bool is_used(const char *run, const char *lib_dir)
{
	CLEANUP(closedir) DIR *dir = opendir(run);
	for (struct dirent *entry; dir && (entry = readdir(dir));) {
		char path[PATH_SIZE];
		struct status status;
		snprintf(path, sizeof(path), "%s/%s", run, entry->d_name);
		if (is_status(entry->d_name) &&
			(!status_read(path, &status) || strcmp(status.lib_dir, lib_dir) == 0))
			return true;
	}
	return !dir;
}

/* Folders of domains whose status file was not written yet, or not any more: "domain-<number>-<the
 * beginning of its name>", src/conf/domain_conf.c. */
static void unused_remove(const char *root, const char *run)
{
	char lib[FOLDER_SIZE];
	unsigned number;
	int end;
	snprintf(lib, sizeof(lib), "%s/lib/qemu", root);
	CLEANUP(closedir) DIR *dir = opendir(lib);
	for (struct dirent *entry; dir && (entry = readdir(dir));) {
		char path[PATH_SIZE];
		end = 0;
		sscanf(entry->d_name, "domain-%u-summond-%n", &number, &end);
		snprintf(path, sizeof(path), "%s/%s", lib, entry->d_name);
		if (end > 0 && !is_used(run, path))
			folder_remove(path);
	}
}

void unfinished_remove(const char *root, const char *identity)
{
	char folder[FOLDER_SIZE], path[PATH_SIZE];
	struct status status;
	snprintf(folder, sizeof(folder), "%s/run/qemu", root);
	CLEANUP(closedir) DIR *dir = opendir(folder);
	for (struct dirent *entry; dir && (entry = readdir(dir));) {
		const char *suffix = strrchr(entry->d_name, '.');
		/* What libvirt was writing when its process, which is ours, was killed. */
		if (suffix && strcmp(suffix, ".new") == 0)
			unlinkat(dirfd(dir), entry->d_name, 0);
		snprintf(path, sizeof(path), "%s/%s", folder, entry->d_name);
		if (!is_status(entry->d_name) || !status_read(path, &status) ||
			!status.unfinished || strcmp(status.identity, identity) != 0 ||
			strncmp(entry->d_name, status.name, (size_t)(suffix - entry->d_name)) != 0)
			continue;
		qemu_kill((pid_t)status.pid, status.name);
		remains_remove(root, dirfd(dir), &status);
	}
	unused_remove(root, folder);
}

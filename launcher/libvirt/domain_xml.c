/* SPDX-License-Identifier: ISC */
#include "launcher/libvirt/domain_xml.h"

#include <errno.h>
#include <inttypes.h>
#include <libxml/parser.h>
#include <libxml/tree.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/units.h"
#include "launcher/libvirt/template.h"

#define XML_MAX  (1 << 20)
#define QEMU_URI "http://libvirt.org/schemas/domain/qemu/1.0"

CLEANUP_DEFINE(doc, xmlDocPtr, xmlFreeDoc)

/* A child with a text (or NULL), and attributes: name, value, ..., NULL; a NULL value leaves its
 * attribute out. libxml2 escapes. */
static xmlNodePtr add(xmlNodePtr parent, const char *name, const char *text, ...)
{
	xmlNodePtr node = text ? xmlNewTextChild(parent, NULL, XML(name), XML(text))
			       : xmlNewChild(parent, NULL, XML(name), NULL);
	va_list args;
	va_start(args, text);
	for (const char *key; node && (key = va_arg(args, const char *));) {
		const char *value = va_arg(args, const char *);
		if (value)
			xmlSetProp(node, XML(key), XML(value));
	}
	va_end(args);
	return node;
}

static xmlNodePtr child_find(xmlNodePtr parent, const char *name)
{
	for (xmlNodePtr child = parent->children; child; child = child->next)
		if (child->type == XML_ELEMENT_NODE && strcmp((const char *)child->name, name) == 0)
			return child;
	return NULL;
}

/* ---- metadata ---- */

static void metadata_fill(xmlNodePtr node, const struct domain_facts *facts)
{
	char slot[16], generation[16], created[24];
	snprintf(slot, sizeof(slot), "%" PRIu32, facts->id.slot);
	snprintf(generation, sizeof(generation), "%" PRIu32, facts->id.generation);
	snprintf(created, sizeof(created), "%" PRIu64, facts->started_at);
	const char *const values[][2] = {
		{"identity", facts->identity},
		{"service", facts->service},
		{"slot", slot},
		{"generation", generation},
		{"tap", facts->tap},
		{"booted", facts->booted ? "yes" : "no"},
		{"console", facts->stream ? "stream" : "socket"},
		{"created", created},
	};
	for (size_t i = 0; i < sizeof(values) / sizeof(values[0]); i++)
		xmlSetProp(node, XML(values[i][0]), XML(values[i][1]));
}

static bool read_text(xmlNodePtr node, const char *name, char *out, size_t size)
{
	xmlChar *value = xmlGetNoNsProp(node, XML(name));
	bool fits = value && strlen((char *)value) < size;
	if (fits)
		strcpy(out, (char *)value);
	xmlFree(value);
	return fits;
}

static bool read_number(xmlNodePtr node, const char *name, uint64_t max, uint64_t *out)
{
	char text[24];
	return read_text(node, name, text, sizeof(text)) &&
	       number_parse(text, 0, max, out, NULL) == 0;
}

static bool facts_read(xmlNodePtr node, struct domain_facts *facts)
{
	uint64_t slot, generation;
	char booted[4], console[8];
	memset(facts, 0, sizeof(*facts));
	if (!node || !read_text(node, "identity", facts->identity, sizeof(facts->identity)) ||
		!read_text(node, "service", facts->service, sizeof(facts->service)) ||
		!read_text(node, "tap", facts->tap, sizeof(facts->tap)) ||
		!read_text(node, "booted", booted, sizeof(booted)) ||
		!read_number(node, "slot", UINT32_MAX, &slot) ||
		!read_number(node, "generation", UINT32_MAX, &generation) ||
		!read_number(node, "created", UINT64_MAX, &facts->started_at))
		return false;
	facts->booted = strcmp(booted, "yes") == 0;
	facts->stream = read_text(node, "console", console, sizeof(console)) &&
			strcmp(console, "stream") == 0;
	facts->id = (struct instance_id){(uint32_t)slot, (uint32_t)generation};
	return true;
}

static xmlDocPtr text_parse(const char *xml)
{
	return xmlReadMemory(xml, (int)strnlen(xml, XML_MAX), NULL, NULL,
		XML_PARSE_NONET | XML_PARSE_NOERROR | XML_PARSE_NOWARNING);
}

bool domain_metadata_parse(const char *xml, struct domain_facts *facts)
{
	CLEANUP(doc) xmlDocPtr doc = text_parse(xml);
	return facts_read(doc ? xmlDocGetRootElement(doc) : NULL, facts);
}

bool domain_xml_facts(const char *xml, struct domain_facts *facts)
{
	CLEANUP(doc) xmlDocPtr doc = text_parse(xml);
	xmlNodePtr domain = doc ? xmlDocGetRootElement(doc) : NULL;
	xmlNodePtr node = domain ? child_find(domain, "metadata") : NULL;
	for (node = node ? node->children : NULL; node; node = node->next)
		if (node->type == XML_ELEMENT_NODE && node->ns &&
			strcmp((const char *)node->ns->href, DOMAIN_METADATA_URI) == 0)
			break;
	return facts_read(node, facts);
}

static xmlNodePtr metadata_node(const struct domain_facts *facts)
{
	xmlNodePtr node = xmlNewNode(NULL, XML("guest"));
	if (!node)
		return NULL;
	xmlSetNs(node, xmlNewNs(node, XML(DOMAIN_METADATA_URI), XML(DOMAIN_METADATA_PREFIX)));
	metadata_fill(node, facts);
	return node;
}

char *domain_metadata_print(const struct domain_facts *facts)
{
	xmlNodePtr node = metadata_node(facts);
	xmlBufferPtr buffer = xmlBufferCreate();
	char *text = NULL;
	/* virDomainSetMetadata wants the element without its namespace and adds that itself. */
	if (node && buffer) {
		xmlSetNs(node, NULL);
		xmlFreeNsList(node->nsDef);
		node->nsDef = NULL;
		if (xmlNodeDump(buffer, NULL, node, 0, 0) > 0)
			text = strdup((const char *)xmlBufferContent(buffer));
	}
	xmlFreeNode(node);
	xmlBufferFree(buffer);
	return text;
}

static int metadata_add(xmlNodePtr domain, const struct guest_spec *spec,
	const struct domain_params *params, bool stream)
{
	struct domain_facts facts = {.id = params->id,
		.booted = params->booted,
		.stream = stream,
		.started_at = params->started_at};
	snprintf(facts.identity, sizeof(facts.identity), "%s", params->identity);
	snprintf(facts.service, sizeof(facts.service), "%s", spec->service);
	snprintf(facts.tap, sizeof(facts.tap), "%s", spec->tap ? spec->tap : "");
	xmlNodePtr metadata = child_find(domain, "metadata");
	if (!metadata)
		metadata = add(domain, "metadata", NULL, NULL);
	xmlNodePtr node = metadata_node(&facts);
	if (!metadata || !node || !xmlAddChild(metadata, node))
		return -ENOMEM;
	return 0;
}

/* ---- our own guests ---- */

static void virt_console_add(xmlNodePtr devices, const struct domain_params *params)
{
	if (params->mute || !devices)
		return;
	const char *type = params->console ? "unix" : "pty";
	xmlNodePtr serial = add(devices, "serial", NULL, "type", type, NULL);
	if (params->console) {
		xmlNodePtr source = add(
			serial, "source", NULL, "mode", "connect", "path", params->console, NULL);
		/* A daemon that is away must neither stop the guest nor lose it for good. */
		add(source, "reconnect", NULL, "enabled", "yes", "timeout", "1", NULL);
	}
	add(serial, "target", NULL, "type", "isa-serial", "port", "0", NULL);
}

static void network_add(
	xmlNodePtr devices, const struct guest_spec *spec, const struct domain_params *params)
{
	char mac[MAC_ADDRESS_TEXT];
	if (!spec->tap)
		return;
	xmlNodePtr net = add(devices, "interface", NULL, "type", "ethernet", NULL);
	add(net, "mac", NULL, "address", mac_address_print(&spec->mac, mac), NULL);
	add(net, "target", NULL, "dev", spec->tap, "managed", "no", NULL);
	add(net, "model", NULL, "type", "virtio", NULL);
	if (strcmp(params->machine, "microvm") == 0)
		add(net, "address", NULL, "type", "virtio-mmio", NULL);
	else /* a boot ROM is for PCI devices, and takes time */
		add(net, "rom", NULL, "enabled", "no", NULL);
}

static void devices_add(
	xmlNodePtr domain, const struct guest_spec *spec, const struct domain_params *params)
{
	xmlNodePtr devices = add(domain, "devices", NULL, NULL);
	if (params->emulator)
		add(devices, "emulator", params->emulator, NULL);
	add(devices, "controller", NULL, "type", "usb", "model", "none", NULL);
	network_add(devices, spec, params);
	virt_console_add(devices, params);
	add(devices, "memballoon", NULL, "model", "none", NULL);
}

static xmlDocPtr own_build(const struct guest_spec *spec, const struct domain_params *params)
{
	char memory[24], vcpus[16];
	snprintf(memory, sizeof(memory), "%" PRIu64, spec->memory / 1024);
	snprintf(vcpus, sizeof(vcpus), "%u", spec->vcpus);
	xmlDocPtr doc = xmlNewDoc(XML("1.0"));
	xmlNodePtr domain = xmlNewDocNode(doc, NULL, XML("domain"), NULL);
	xmlDocSetRootElement(doc, domain);
	xmlSetProp(domain, XML("type"), XML(params->type));
	add(domain, "memory", memory, "unit", "KiB", NULL);
	add(domain, "vcpu", vcpus, NULL);
	xmlNodePtr os = add(domain, "os", NULL, NULL);
	add(os, "type", "hvm", "arch", "x86_64", "machine", params->machine, NULL);
	add(os, "kernel", spec->kernel, NULL);
	if (spec->initrd)
		add(os, "initrd", spec->initrd, NULL);
	if (spec->cmdline && *spec->cmdline)
		add(os, "cmdline", spec->cmdline, NULL);
	xmlNodePtr features = add(domain, "features", NULL, NULL);
	add(features, "acpi", NULL, NULL); /* the power button, and powering off */
	if (strcmp(params->type, "kvm") == 0)
		add(domain, "cpu", NULL, "mode", "host-passthrough", NULL);
	devices_add(domain, spec, params);
	return doc;
}

/* ---- what every domain gets ---- */

static void child_set(xmlNodePtr domain, const char *name, const char *text)
{
	xmlNodePtr node = child_find(domain, name);
	if (node) {
		xmlUnlinkNode(node);
		xmlFreeNode(node);
	}
	if (text)
		add(domain, name, text, NULL);
}

static void cpu_report_skip(xmlNodePtr domain)
{
	xmlNsPtr ns = xmlNewNs(domain, XML(QEMU_URI), XML("qemu"));
	if (!ns) /* the template has a qemu: namespace of its own; it knows what it does */
		return;
	xmlNodePtr caps = xmlNewChild(domain, ns, XML("capabilities"), NULL);
	xmlNodePtr del = xmlNewChild(caps, ns, XML("del"), NULL);
	xmlSetProp(del, XML("capability"), XML("cpu-unavailable-features"));
}

/* One of its consoles is the socket. */
static bool has_socket(xmlNodePtr devices, const char *path)
{
	bool found = false;
	for (xmlNodePtr device = devices->children; device && !found; device = device->next) {
		const char *name = (const char *)device->name;
		xmlNodePtr source = NULL;
		if (strcmp(name, "serial") == 0 || strcmp(name, "console") == 0)
			source = child_find(device, "source");
		xmlChar *value = source ? xmlGetNoNsProp(source, XML("path")) : NULL;
		found = value && strcmp((char *)value, path) == 0;
		xmlFree(value);
	}
	return found;
}

static int finish(xmlNodePtr domain, const struct guest_spec *spec,
	const struct domain_params *params, bool *stream)
{
	child_set(domain, "name", params->name);
	child_set(domain, "uuid", NULL);
	child_set(domain, "on_poweroff", "destroy");
	child_set(domain, "on_reboot", "destroy");
	child_set(domain, "on_crash", "destroy");
	xmlNodePtr devices = child_find(domain, "devices");
	if (devices && !child_find(devices, "serial") && !child_find(devices, "console"))
		virt_console_add(devices, params);
	xmlChar *type = xmlGetNoNsProp(domain, XML("type"));
	if (params->skip_cpu_report && type &&
		(strcmp((char *)type, "qemu") == 0 || strcmp((char *)type, "kvm") == 0))
		cpu_report_skip(domain);
	xmlFree(type);
	*stream = !params->mute &&
		  !(devices && params->console && has_socket(devices, params->console));
	return metadata_add(domain, spec, params, *stream);
}

int domain_xml_build(const struct guest_spec *spec, const struct domain_params *params,
	bool *stream, char **xml, struct error *err)
{
	CLEANUP(doc) xmlDocPtr doc = NULL;
	int r = 0;
	if (spec->domain_xml)
		r = template_build(spec, params, &doc, err);
	else
		doc = own_build(spec, params);
	if (r < 0)
		return r;
	xmlNodePtr domain = doc ? xmlDocGetRootElement(doc) : NULL;
	xmlChar *text = NULL;
	int size;
	if (!domain || finish(domain, spec, params, stream) < 0)
		return error_set(err, -ENOMEM, "out of memory");
	xmlDocDumpMemoryEnc(doc, &text, &size, "UTF-8");
	*xml = text ? strdup((char *)text) : NULL;
	xmlFree(text);
	return *xml ? 0 : error_set(err, -ENOMEM, "out of memory");
}

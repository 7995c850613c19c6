/* SPDX-License-Identifier: ISC */
#include "launcher/libvirt/template.h"

#include <errno.h>
#include <inttypes.h>
#include <libxml/parser.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"

#define TEMPLATE_MAX 65536
#define NAME_MAX_    16

struct placeholder {
	char name[NAME_MAX_];
	const char *value;
};

struct placeholders {
	struct placeholder list[11];
	char mac[MAC_ADDRESS_TEXT], memory[24], vcpus[16];
	char ipv4[IP_ADDRESS_TEXT], ipv6[IP_ADDRESS_TEXT];
};

static void placeholders_init(
	struct placeholders *all, const struct guest_spec *spec, const struct domain_params *params)
{
	snprintf(all->memory, sizeof(all->memory), "%" PRIu64, spec->memory / 1024);
	snprintf(all->vcpus, sizeof(all->vcpus), "%u", spec->vcpus);
	const struct placeholder list[] = {
		{"name", params->name},
		{"mac", mac_address_print(&spec->mac, all->mac)},
		{"tap", spec->tap},
		{"memory_kib", all->memory},
		{"vcpus", all->vcpus},
		{"kernel", spec->kernel},
		{"initrd", spec->initrd},
		{"cmdline", spec->cmdline},
		{"ipv4", ip_address_print(&spec->ipv4, all->ipv4)},
		{"ipv6", ip_address_print(&spec->ipv6, all->ipv6)},
		{"console", params->console},
	};
	memcpy(all->list, list, sizeof(list));
}

/* The value of the placeholder that `text` begins with (after its brace); NULL where there is no
 * such placeholder. */
static const char *placeholder_find(
	const struct placeholders *all, const char *text, size_t *name_length)
{
	const char *end = strchr(text, '}');
	if (!end)
		return NULL;
	*name_length = (size_t)(end - text);
	for (size_t i = 0; i < sizeof(all->list) / sizeof(all->list[0]); i++)
		if (strlen(all->list[i].name) == *name_length &&
			strncmp(all->list[i].name, text, *name_length) == 0)
			return all->list[i].value ? all->list[i].value : "";
	return NULL;
}

/* `text` with its placeholders replaced, for free(). */
static int expand(
	const struct placeholders *all, const char *text, long line, char **out, struct error *err)
{
	size_t size = 0, name_length = 0;
	FILE *stream = open_memstream(out, &size);
	if (!stream)
		return error_set(err, -ENOMEM, "out of memory");
	int r = 0;
	while (*text && r == 0) {
		if ((*text == '{' || *text == '}') && text[1] == *text) {
			fputc(*text, stream);
			text += 2;
		} else if (*text == '{') {
			const char *value = placeholder_find(all, text + 1, &name_length);
			if (value) {
				fputs(value, stream);
				text += name_length + 2;
			} else {
				r = error_set(err, -EINVAL,
					"domain XML, line %ld: \"%.20s\" begins no placeholder "
					"(there are {name} {mac} {tap} {memory_kib} {vcpus} "
					"{kernel} {initrd} {cmdline} {ipv4} {ipv6} {console}; a "
					"brace is written {{)",
					line, text);
			}
		} else {
			fputc(*text++, stream);
		}
	}
	if (fclose(stream) != 0 && r == 0)
		r = error_set(err, -ENOMEM, "out of memory");
	return r;
}

static int node_expand(
	const struct placeholders *all, xmlNodePtr node, long line, struct error *err)
{
	xmlChar *content = xmlNodeGetContent(node);
	CLEANUP(free) char *fresh = NULL;
	int r = 0;
	if (content && strpbrk((char *)content, "{}")) {
		r = expand(all, (char *)content, line, &fresh, err);
		if (r == 0 && node->type == XML_ATTRIBUTE_NODE)
			xmlSetNsProp(node->parent, node->ns, node->name, XML(fresh));
		else if (r == 0) {
			xmlNodeSetContent(node, NULL);
			xmlNodeAddContent(node, XML(fresh)); /* this one escapes nothing away */
		}
	}
	xmlFree(content);
	return r;
}

/* The tree's depth is bounded by the parser (256 without XML_PARSE_HUGE). */
static int tree_expand(const struct placeholders *all, xmlNodePtr node, struct error *err)
{
	int r = 0;
	for (; node && r == 0; node = node->next) {
		long line = xmlGetLineNo(node);
		if (node->type == XML_TEXT_NODE || node->type == XML_CDATA_SECTION_NODE)
			r = node_expand(all, node, line, err);
		if (node->type != XML_ELEMENT_NODE)
			continue;
		for (xmlAttrPtr attr = node->properties; attr && r == 0; attr = attr->next)
			r = node_expand(all, (xmlNodePtr)attr, line, err);
		if (r == 0)
			r = tree_expand(all, node->children, err);
	}
	return r;
}

static int template_parse(const char *text, xmlDocPtr *out, struct error *err)
{
	size_t length = strnlen(text, TEMPLATE_MAX + 1);
	if (length > TEMPLATE_MAX)
		return error_set(err, -EINVAL, "domain XML: longer than 64 KiB");
	xmlParserCtxtPtr parser = xmlNewParserCtxt();
	if (!parser)
		return error_set(err, -ENOMEM, "out of memory");
	int r = 0;
	xmlDocPtr doc = xmlCtxtReadMemory(parser, text, (int)length, "template", NULL,
		XML_PARSE_NONET | XML_PARSE_NOERROR | XML_PARSE_NOWARNING);
	const xmlError *last = xmlCtxtGetLastError(parser);
	xmlNodePtr root = doc ? xmlDocGetRootElement(doc) : NULL;
	if (!root)
		r = error_set(err, -EINVAL, "domain XML, line %d: %.*s", last ? last->line : 0,
			last && last->message ? (int)strcspn(last->message, "\n") : 10,
			last && last->message ? last->message : "is no XML");
	else if (xmlGetIntSubset(doc))
		r = error_set(err, -EINVAL, "domain XML: a DOCTYPE is not taken");
	else if (strcmp((const char *)root->name, "domain") != 0)
		r = error_set(err, -EINVAL,
			"domain XML, line %ld: the root is <%.32s>, not <domain>",
			xmlGetLineNo(root), (const char *)root->name);
	if (r < 0)
		xmlFreeDoc(doc);
	else
		*out = doc;
	xmlFreeParserCtxt(parser);
	return r;
}

int template_build(const struct guest_spec *spec, const struct domain_params *params,
	xmlDocPtr *doc, struct error *err)
{
	struct placeholders all;
	placeholders_init(&all, spec, params);
	int r = template_parse(spec->domain_xml, doc, err);
	if (r == 0)
		r = tree_expand(&all, xmlDocGetRootElement(*doc), err);
	return r;
}

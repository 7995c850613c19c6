/* SPDX-License-Identifier: ISC */
#ifndef LAUNCHER_LIBVIRT_TEMPLATE_H
#define LAUNCHER_LIBVIRT_TEMPLATE_H

#include <libxml/tree.h>

#include "launcher/libvirt/domain_xml.h"

/* A text as libxml2 takes it. (Its own BAD_CAST casts const away.) */
#define XML(text) ((const xmlChar *)(text))

/* The tree of spec->domain_xml, its placeholders replaced; *doc is for xmlFreeDoc. The template is
 * hostile: no network, no entities, no DTD, and bounded. */
int template_build(const struct guest_spec *spec, const struct domain_params *params,
	xmlDocPtr *doc, struct error *err);

#endif

/* SPDX-License-Identifier: ISC */
#ifndef LAUNCHER_LIBVIRT_DOMAIN_XML_H
#define LAUNCHER_LIBVIRT_DOMAIN_XML_H

#include "launcher/launcher.h"

/*
 * Domain XML is built as a tree and printed; text is never pasted into text.
 *
 * A user's template is any domain XML. In its attribute values and texts these placeholders are
 * replaced: {name} {mac} {tap} {memory_kib} {vcpus} {kernel} {initrd} {cmdline} {ipv4} {ipv6}
 * {console} (the path of the socket that takes the guest's console). A brace is written {{ or }}.
 * <name>, <uuid>, our <metadata> and the on_* reactions are set by us; a template without <serial>
 * and <console> gets a serial console. One whose consoles are others than {console} is listened to
 * by libvirt's stream: this is what `stream` says of it.
 */
struct domain_params {
	struct instance_id id;
	const char *name, *identity;
	const char *type;     /* "kvm", "qemu" */
	const char *machine;  /* "microvm" */
	const char *emulator; /* or NULL: libvirt's choice */
	const char *console;  /* path of the socket that takes its console, or NULL: a pty */
	bool mute;            /* it gets no console of ours */
	bool skip_cpu_report; /* see settings.h */
	bool booted;          /* it will have run when the call is over */
	uint64_t started_at;  /* real time */
};

/* *stream: its console is not the socket. *xml is for free(). -EINVAL names the line of a template that
 * is no XML, or the placeholder. */
int domain_xml_build(const struct guest_spec *spec, const struct domain_params *params,
	bool *stream, char **xml, struct error *err);

/* What our metadata says. */
struct domain_facts {
	struct instance_id id;
	char identity[64], service[256], tap[32];
	bool booted, stream;
	uint64_t started_at;
};

#define DOMAIN_METADATA_PREFIX "summond"
#define DOMAIN_METADATA_URI    "https://summond.invalid/xmlns/domain/1.0"

/* The metadata element alone, as virDomainGetMetadata gives and virDomainSetMetadata takes it.
 * `parse`: false where it is not ours or damaged. `print`: for free(), NULL without memory. */
bool domain_metadata_parse(const char *xml, struct domain_facts *facts);
/* The same of a whole domain's XML. */
bool domain_xml_facts(const char *xml, struct domain_facts *facts);
char *domain_metadata_print(const struct domain_facts *facts);

#endif

/* SPDX-License-Identifier: ISC */
#include "launcher/launcher.h"

#include <string.h>

extern const struct launcher_ops sim_launcher_ops;
#ifdef HAVE_VMM
extern const struct launcher_ops vmm_launcher_ops;
#endif
#ifdef HAVE_LIBXL
extern const struct launcher_ops libxl_launcher_ops;
#endif
#ifdef HAVE_LIBVIRT
extern const struct launcher_ops libvirt_launcher_ops;
#endif

const struct launcher_ops *const launcher_backends[] = {
#ifdef HAVE_LIBVIRT
	&libvirt_launcher_ops,
#endif
#ifdef HAVE_LIBXL
	&libxl_launcher_ops,
#endif
#ifdef HAVE_VMM
	&vmm_launcher_ops,
#endif
	&sim_launcher_ops,
	NULL,
};

const struct launcher_ops *launcher_backend_find(const char *name)
{
	for (size_t i = 0; launcher_backends[i]; i++)
		if (strcmp(launcher_backends[i]->name, name) == 0)
			return launcher_backends[i];
	return NULL;
}

const char *launcher_capabilities_print(unsigned mask, char text[80])
{
	static const char *const names[] = {
		"prepare", "suspend", "shutdown", "console", "outlive", "snapshot", "key"};
	char *end = text;
	*end = '\0';
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		if (!(mask & (1u << i)))
			continue;
		if (end != text)
			end = stpcpy(end, ", ");
		end = stpcpy(end, names[i]);
	}
	return text;
}

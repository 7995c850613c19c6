/* SPDX-License-Identifier: ISC */
/* Makes a summon-vmm whose calls fail as a plan says, if there is one (faults.h). */
#include <stdio.h>

#include "tests/vmm/faults.h"

/* Before main(), so that main.c is the program's own. */
__attribute__((constructor)) static void follow(int count, char **arguments)
{
	char path[256];
	(void)count;
	if (snprintf(path, sizeof(path), "%s" FAULT_PLAN, arguments[0]) < (int)sizeof(path))
		faults_follow(path, FAULT_MONITOR);
}

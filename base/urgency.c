/* SPDX-License-Identifier: ISC */
#include "base/urgency.h"

#include <sched.h>
#include <sys/resource.h>
#include <unistd.h>

#define URGENT (-15)

/* On Linux each thread has a nice value of its own; that of the first has the process's number. */

void urgency_raise(void)
{
	const struct sched_param none = {0};
	if (sched_getscheduler(0) == SCHED_OTHER && getpriority(PRIO_PROCESS, 0) == 0 &&
		sched_setscheduler(0, SCHED_OTHER | SCHED_RESET_ON_FORK, &none) == 0)
		setpriority(PRIO_PROCESS, 0, URGENT);
}

int urgency_borrow(void)
{
	int before = getpriority(PRIO_PROCESS, 0);
	setpriority(PRIO_PROCESS, 0, getpriority(PRIO_PROCESS, (id_t)getpid()));
	return before;
}

void urgency_return(int before)
{
	setpriority(PRIO_PROCESS, 0, before);
}

/* SPDX-License-Identifier: ISC */
#include "launcher/vmm/vmm.h"

#include <sys/resource.h>

/*
 * Where many start at once they take all CPUs there are, and much of what they do is done in the kernel,
 * which not every kernel interrupts: the loop, and all who ask for names that are awake, would wait
 * behind that. So one CPU is the loop's while a crowd starts. A monitor that starts beside others leaves
 * it alone for its first seconds, and so does the thread that starts it, which makes taps, too. One that
 * starts by itself may use all, as may each once it has started. The loop keeps to its CPU, as the kernel
 * would have it run where the one is that has just told it something.
 *
 * Measured with tests/bench/storm: with two CPUs a thousand starts take as long as without, and the median
 * answer for an awake name half the time.
 */
#define CROWDED_MS 3000
/* It may be many whose time it is; the loop has others to answer. */
#define BATCH      64
#define BATCH_MS   2

void vmm_crowd_init(struct vmm_crowd *crowd)
{
	/* Monitors are other users' processes: who may not raise his own priority may not give them back
	 * what they inherit. */
	if (getpriority(PRIO_PROCESS, 0) >= 0 ||
		sched_getaffinity(0, sizeof(crowd->all), &crowd->all) < 0 ||
		CPU_COUNT(&crowd->all) < 2)
		return;
	int first = 0;
	while (!CPU_ISSET(first, &crowd->all))
		first++;
	crowd->most = crowd->all;
	CPU_CLR(first, &crowd->most);
	CPU_SET(first, &crowd->one);
	crowd->can_leave_one = true;
}

static void use(const cpu_set_t *cpus)
{
	sched_setaffinity(0, sizeof(*cpus), cpus);
}

/* The loop may run anywhere again, unless somebody else has said where. */
static void leave(const struct vmm_crowd *crowd)
{
	cpu_set_t now;
	if (sched_getaffinity(0, sizeof(now), &now) == 0 && CPU_EQUAL(&now, &crowd->one))
		use(&crowd->all);
}

/* Who has been given other CPUs meanwhile, keeps them. */
static void spread(const struct vmm_crowd *crowd, struct vmm_guest *guest)
{
	cpu_set_t now;
	if (guest->process < 0 && !guest->has_ended) { /* its thread has not come to it */
		guest->leave_until = uv_now(guest->vmm->loop) + CROWDED_MS;
		return;
	}
	guest->leave_until = 0;
	if (guest->process >= 0 && !guest->has_ended &&
		sched_getaffinity(guest->pid, sizeof(now), &now) == 0 &&
		CPU_EQUAL(&now, &crowd->most))
		sched_setaffinity(guest->pid, sizeof(crowd->all), &crowd->all);
}

/* Spreads at most `most` of those whose time it is; returns how many that were, and in *next the time of
 * the next one, where that is earlier. */
static unsigned spread_due(struct vmm *vmm, struct vmm_guest *guests, unsigned most, uint64_t *next)
{
	unsigned count = 0;
	for (struct vmm_guest *guest = guests; guest; guest = guest->next) {
		if (guest->leave_until == 0)
			continue;
		if (guest->leave_until <= uv_now(vmm->loop) && count < most) {
			spread(&vmm->crowd, guest);
			count++;
		} else if (guest->leave_until < *next) {
			*next = guest->leave_until;
		}
	}
	return count;
}

static void on_timer(uv_timer_t *timer)
{
	struct vmm *vmm = timer->data;
	uint64_t now = uv_now(vmm->loop), next = UINT64_MAX;
	unsigned count = spread_due(vmm, vmm->guests, BATCH, &next);
	spread_due(vmm, vmm->shells, BATCH - count, &next);
	if (next == UINT64_MAX)
		leave(&vmm->crowd);
	else
		uv_timer_start(timer, on_timer, next > now ? next - now : BATCH_MS, 0);
}

void vmm_crowd_join(struct vmm_guest *guest)
{
	struct vmm *vmm = guest->vmm;
	if (!vmm->crowd.can_leave_one)
		return;
	guest->spawn.is_crowded = true;
	guest->leave_until = uv_now(vmm->loop) + CROWDED_MS;
	if (uv_is_active((uv_handle_t *)&vmm->crowd.timer))
		return;
	use(&vmm->crowd.one);
	uv_timer_start(&vmm->crowd.timer, on_timer, CROWDED_MS, 0);
}

void vmm_crowd_found(struct vmm_guest *guest)
{
	if (guest->vmm->crowd.can_leave_one)
		spread(&guest->vmm->crowd, guest);
}

void vmm_crowd_begin(const struct vmm_guest *guest)
{
	const struct vmm_crowd *crowd = &guest->vmm->crowd;
	if (crowd->can_leave_one)
		use(guest->spawn.is_crowded ? &crowd->most : &crowd->all);
}

void vmm_crowd_close(struct vmm_crowd *crowd, uv_close_cb closed)
{
	if (uv_is_active((uv_handle_t *)&crowd->timer))
		leave(crowd);
	uv_close((uv_handle_t *)&crowd->timer, closed);
}

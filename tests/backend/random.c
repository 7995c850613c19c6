/* SPDX-License-Identifier: ISC */
/* Random sequences of operations: the stage checks the promises. */
#include "tests/backend/cases.h"

static uint32_t random_next(uint32_t *seed)
{
	*seed ^= *seed << 13;
	*seed ^= *seed >> 17;
	*seed ^= *seed << 5;
	return *seed;
}

static void random_start(struct stage *stage, struct instance_id id, uint32_t random)
{
	static const enum task tasks[] = {
		TASK_READY, TASK_READY, TASK_SILENT, TASK_OFF, TASK_CRASH, TASK_FAIL};
	enum task task = tasks[random % (sizeof(tasks) / sizeof(tasks[0]))];
	unsigned mask = stage_capabilities(stage);
	bool paused = (random >> 8) % 3 == 0 && (mask & LAUNCHER_CAN_PREPARE);
	if (stage->subject->unable(task))
		task = TASK_READY;
	stage_start(stage, id, task, paused ? LAUNCHER_START_PAUSED : LAUNCHER_START_RUNNING, NULL);
}

static void random_step(struct stage *stage, unsigned generations[4], uint32_t *seed)
{
	unsigned slot = random_next(seed) % 4;
	struct instance_id id = {slot + 1, generations[slot]};
	switch (random_next(seed) % 8) {
	case 0:
	case 1:
		if (stage->count < GUESTS_MAX - 1 && guest_is_over(stage_guest(stage, id)))
			id.generation = ++generations[slot];
		random_start(stage, id, random_next(seed));
		break;
	case 2:
	case 3:
		stage_resume(stage, id, NULL);
		break;
	case 4:
		if (stage_capabilities(stage) & LAUNCHER_CAN_SNAPSHOT) {
			stage_suspend(stage, id, LAUNCHER_REST_DISK, NULL);
			break;
		}
		__attribute__((fallthrough));
	case 5:
		stage_suspend(stage, id, LAUNCHER_REST_MEMORY, NULL);
		break;
	case 6:
		stage_stop(stage, id, LAUNCHER_STOP_SHUTDOWN, NULL);
		break;
	default:
		stage_stop(stage, id, LAUNCHER_STOP_DESTROY, NULL);
		break;
	}
	if (random_next(seed) % 2)
		stage_idle(stage, random_next(seed) % 12);
}

void keeps_promises_at_random(void **state)
{
	for (uint32_t round = 1; round <= 3; round++) {
		struct stage *stage = case_open(state, TASK_READY);
		uint32_t seed = round * 2654435761u;
		unsigned generations[4] = {1, 1, 1, 1};
		print_message("# seed %u\n", seed);
		for (unsigned i = 0; i < stage->subject->random_steps; i++)
			random_step(stage, generations, &seed);
		stage_close(stage);
	}
}

/* SPDX-License-Identifier: ISC */
/* measure SUBJECT GUEST-IMAGE [ROUNDS]: how long the backend's operations take. No test. */
#include "tests/backend/harness.h"

#include <stdio.h>
#include <string.h>

#include "base/units.h"

struct places places = {.state_dir = "/tmp/summond-measure-XXXXXX"};

enum figure { STARTED, FIRST_BYTE, RESUMED_BYTE, SUSPENDED, RESUMED, DESTROYED, FIGURES };
static const char *const names[FIGURES] = {"start to STARTED", "start to first byte",
	"resume (prepared) to first byte", "suspend", "resume (suspended)", "destroy to EXITED"};

static double since(uint64_t began)
{
	return (double)(clock_monotonic() - began) / NS_PER_MS;
}

static void cold(struct stage *stage, struct instance_id id, double figures[FIGURES])
{
	struct watched *guest = stage_guest(stage, id);
	uint64_t began = clock_monotonic();
	stage_start(stage, id, TASK_READY, LAUNCHER_START_RUNNING, NULL);
	while (!guest->counts[LAUNCHER_STARTED] || !guest->output_total) {
		stage_turn(stage);
		if (guest->counts[LAUNCHER_STARTED] && figures[STARTED] == 0)
			figures[STARTED] = since(began);
		if (guest->output_total && figures[FIRST_BYTE] == 0)
			figures[FIRST_BYTE] = since(began);
	}
	began = clock_monotonic();
	stage_suspend(stage, id, LAUNCHER_REST_MEMORY, NULL);
	STAGE_WAIT(stage, guest->counts[LAUNCHER_SUSPENDED]);
	figures[SUSPENDED] = since(began);
	began = clock_monotonic();
	stage_resume(stage, id, NULL);
	STAGE_WAIT(stage, guest->counts[LAUNCHER_RESUMED]);
	figures[RESUMED] = since(began);
	began = clock_monotonic();
	stage_stop(stage, id, LAUNCHER_STOP_DESTROY, NULL);
	STAGE_WAIT(stage, guest_is_over(guest));
	figures[DESTROYED] = since(began);
}

static void prepared(struct stage *stage, struct instance_id id, double figures[FIGURES])
{
	struct watched *guest = stage_guest(stage, id);
	stage_start(stage, id, TASK_READY, LAUNCHER_START_PAUSED, NULL);
	STAGE_WAIT(stage, guest->counts[LAUNCHER_STARTED]);
	stage_idle(stage, 100);
	uint64_t began = clock_monotonic();
	stage_resume(stage, id, NULL);
	STAGE_WAIT(stage, guest->output_total);
	figures[RESUMED_BYTE] = since(began);
	stage_stop(stage, id, LAUNCHER_STOP_DESTROY, NULL);
	STAGE_WAIT(stage, guest_is_over(guest));
}

static int by_value(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;
	return (x > y) - (x < y);
}

int main(int argc, char **argv)
{
	const struct subject *subject = argc >= 3 ? subject_find(argv[1]) : NULL;
	unsigned rounds = argc > 3 ? (unsigned)atoi(argv[3]) : 10;
	if (!subject || rounds < 1 || rounds > 30 || !mkdtemp(places.state_dir)) {
		fprintf(stderr, "usage: measure SUBJECT GUEST-IMAGE [ROUNDS, 1 to 30]\n");
		return 2;
	}
	places.guest_image = realpath(argv[2], NULL);
	double all[FIGURES][30];
	uint64_t began = clock_monotonic();
	struct stage *stage = stage_open(subject, "a1b2c3d4e5f60718");
	printf("%-32s %7.1f ms\n", "create to LISTED", since(began));
	for (unsigned round = 0; round < rounds; round++) {
		double figures[FIGURES] = {0};
		cold(stage, (struct instance_id){1, round + 1}, figures);
		prepared(stage, (struct instance_id){2, round + 1}, figures);
		for (int i = 0; i < FIGURES; i++)
			all[i][round] = figures[i];
	}
	for (int i = 0; i < FIGURES; i++) {
		qsort(all[i], rounds, sizeof(double), by_value);
		printf("%-32s %7.1f ms (%.1f to %.1f)\n", names[i], all[i][rounds / 2], all[i][0],
			all[i][rounds - 1]);
	}
	stage_close(stage);
	return 0;
}

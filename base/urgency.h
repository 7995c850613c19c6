/* SPDX-License-Identifier: ISC */
#ifndef BASE_URGENCY_H
#define BASE_URGENCY_H

/*
 * Who comes first where processors are short. The thread of the loop does: it answers those who wait
 * for nothing but an answer, while starts take all the time there is. So does, for as long as it
 * holds what the loop may need, a thread that works for it. Threads and processes that they begin
 * are as others (SCHED_RESET_ON_FORK, sched(7)).
 *
 * Where it is not allowed (CAP_SYS_NICE), nothing changes; nor where the program was begun with a nice
 * value or a scheduling policy of its operator's choice.
 */

/* The calling thread, which is the program's first, has a nice value of -15 from now on. */
void urgency_raise(void);

/* The calling thread is as urgent as the program's first, until it gives back what this returns. */
int urgency_borrow(void);
void urgency_return(int before);

#endif

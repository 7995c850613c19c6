/* SPDX-License-Identifier: ISC */
/*
 * The guest of guest.c for summon-vmm: the same words, and a few that a guest which was taken over
 * would think of.
 *
 *   guest.do=ready   (or nothing) prints "summond: ready after 0 us" and sleeps
 *   guest.do=silent  prints nothing and sleeps, deaf to everything
 *   guest.do=flood   prints the line, then numbered lines without end
 *   guest.do=off     prints the line and powers off
 *   guest.do=button  prints the line, waits until it is to power off and does
 *   guest.do=crash   prints the line and touches page zero
 *   guest.do=spin    prints the line and never asks for anything again
 *   guest.do=linger  prints the line, computes until it is to power off, and then waits
 *   guest.do=work    prints the line, computes and calls until it is to power off, with an eye on its
 *                    registers
 *   guest.do=rings-X prints the line and claims frames that there are not, in the ring that it fills
 *                    (0) or empties (1); or fills the one without end (2), or never empties the
 *                    other (3); or claims to have printed what there is no room for (4); or sends
 *                    frames that are nowhere (5)
 *   guest.do=exit    prints the line and ends with status 3
 *   guest.do=own-monitor  prints the line and writes into its monitor's memory, in a process
 *   guest.do=mine    prints the line and what the monitor has given to it alone; again where it goes on
 *                    after it was kept
 *   guest.do=try-X   prints the line and does what must end it, by the number X of `crimes`
 */
#include <stddef.h>

#include "guest-kernel/include/summon_abi.h"

void guest_main(const struct summon_boot *boot);
void guest_resume(const struct summon_boot *boot);

__asm__(".globl start, resume\n"
	"start: mov $stack_top, %esp\n"
	"call guest_main\n"
	"resume: mov $stack_top, %esp\n"
	"call guest_resume\n"
	".pushsection .bss\n"
	".balign 4096\n"
	"stack_guard: .skip 4096\n"
	".skip 8192\n"
	"stack_top:\n"
	".popsection\n");
extern char start[], resume[], stack_guard[];

__attribute__((section(".note.summond"), used)) static const struct {
	uint32_t name_size, size, type;
	char name[sizeof(SUMMON_NOTE_NAME)];
	struct summon_note note;
} __attribute__((packed)) note = {
	sizeof(SUMMON_NOTE_NAME),
	sizeof(struct summon_note),
	SUMMON_NOTE_TYPE,
	SUMMON_NOTE_NAME,
	{.version = SUMMON_ABI_VERSION,
		.entry = (uint64_t)start,
		.resume_entry = (uint64_t)resume,
		.guards = {(uint64_t)stack_guard}},
};

static void call(const struct summon_boot *boot, enum summon_call number, uint64_t argument)
{
	__asm__ volatile("" : : : "memory");
	((void (*)(uint64_t))(boot->calls + number * SUMMON_CALL_SIZE))(argument);
	__asm__ volatile("" : : : "memory");
}

static struct summon_shared *shared(const struct summon_boot *boot)
{
	return (struct summon_shared *)boot->shared;
}

static void print(const struct summon_boot *boot, const char *text)
{
	struct summon_counters *printed = &shared(boot)->printed;
	for (; *text; text++)
		shared(boot)->console[printed->produced++ % SUMMON_CONSOLE] = *text;
	call(boot, SUMMON_CALL_KICK, 0);
}

static void flood(const struct summon_boot *boot)
{
	for (uint32_t i = 0;; i++) {
		char line[32] = "line ", digits[10];
		unsigned count = 0, at = 5;
		uint32_t rest = i;
		do
			digits[count++] = (char)('0' + rest % 10);
		while (rest /= 10);
		while (count)
			line[at++] = digits[--count];
		line[at] = '\n';
		print(boot, line);
	}
}

/* ---- what no guest may do ---- */

static void write_boot_page(const struct summon_boot *boot)
{
	*(volatile uint64_t *)(uintptr_t)&boot->tsc_hz = 1;
}

static void write_call_page(const struct summon_boot *boot)
{
	*(volatile uint8_t *)boot->calls = 0x90;
}

static void write_text(const struct summon_boot *boot)
{
	(void)boot;
	*(volatile uint8_t *)(uintptr_t)start = 0x90;
}

static void run_data(const struct summon_boot *boot)
{
	static uint8_t code[] = {0xc3};
	(void)boot;
	((void (*)(void))(uintptr_t)code)();
}

/* Page tables and descriptor tables lie between the rings and the image: nothing of it may be seen,
 * and the first page that could be ends the search. */
static void read_tables(const struct summon_boot *boot)
{
	(void)boot;
	(void)*(volatile uint64_t *)0xb0000;
}

static void privileged(const struct summon_boot *boot)
{
	(void)boot;
	__asm__ volatile("mov %%cr3, %%rax" : : : "rax");
}

static void port(const struct summon_boot *boot)
{
	(void)boot;
	__asm__ volatile("outb %%al, $0x80" : : "a"(0));
}

static void no_such_call(const struct summon_boot *boot)
{
	*(volatile uint64_t *)(0xf0000ul + 8 * SUMMON_CALL_COUNT) = (uintptr_t)boot;
}

static void odd_call(const struct summon_boot *boot)
{
	(void)boot;
	*(volatile uint32_t *)0xf0004ul = 0;
}

static void read_door(const struct summon_boot *boot)
{
	(void)boot;
	(void)*(volatile uint64_t *)0xf0000ul;
}

static void beyond_memory(const struct summon_boot *boot)
{
	(void)boot;
	*(volatile uint64_t *)0xc0000000ul = 0;
}

static void system_call(const struct summon_boot *boot)
{
	(void)boot;
	/* openat("", O_RDONLY), the way to all else. */
	__asm__ volatile("syscall"
			 :
			 : "a"(257), "D"(-100), "S"(""), "d"(0)
			 : "rcx", "r11", "memory");
}

static void old_system_call(const struct summon_boot *boot)
{
	(void)boot;
	__asm__ volatile("int $0x80" : : "a"(20));
}

static void divide(const struct summon_boot *boot)
{
	(void)boot;
	__asm__ volatile("div %%ecx" : : "a"(1), "d"(0), "c"(0));
}

static void no_instruction(const struct summon_boot *boot)
{
	(void)boot;
	__asm__ volatile("ud2");
}

static void no_number(const struct summon_boot *boot)
{
	const uint32_t trap_all = 0x1f80 & ~0x1f80u;
	(void)boot;
	__asm__ volatile("ldmxcsr %0; xorps %%xmm0, %%xmm0; divss %%xmm0, %%xmm0"
			 :
			 : "m"(trap_all)
			 : "xmm0");
}

static void overflow_stack(const struct summon_boot *boot)
{
	(void)boot;
	__asm__ volatile("1: push %rax; jmp 1b");
}

static void run_nothing(const struct summon_boot *boot)
{
	(void)boot;
	((void (*)(void))0x40000000ul)();
}

static void trace(const struct summon_boot *boot)
{
	(void)boot;
	__asm__ volatile("pushfq; orl $0x100, (%rsp); popfq; nop; nop");
}

static void return_nowhere(const struct summon_boot *boot)
{
	__asm__ volatile("mov $0x40000000, %%esp; jmp *%0"
			 :
			 : "r"(boot->calls + SUMMON_CALL_KICK * SUMMON_CALL_SIZE), "D"(0));
}

static void (*const crimes[])(const struct summon_boot *boot) = {
	write_boot_page,
	write_call_page,
	write_text,
	run_data,
	read_tables,
	privileged,
	port,
	no_such_call,
	odd_call,
	read_door,
	beyond_memory,
	system_call,
	old_system_call,
	divide,
	no_instruction,
	no_number,
	overflow_stack,
	run_nothing,
	trace,
	return_nowhere,
};

/* Points to the word's value; to "" without the word. */
static const char *find_task(const char *line)
{
	static const char key[] = "guest.do=";
	for (; *line; line++) {
		unsigned i = 0;
		while (key[i] && line[i] == key[i])
			i++;
		if (!key[i])
			return line + i;
	}
	return line;
}

static void commit_crime(const struct summon_boot *boot, const char *number)
{
	unsigned n = 0;
	while (*number >= '0' && *number <= '9')
		n = n * 10 + (unsigned)(*number++ - '0');
	if (n < sizeof(crimes) / sizeof(crimes[0]))
		crimes[n](boot);
	print(boot, "and nobody minded\n");
}

/* Counters that cannot be true, of the ring that a guest fills and of the one that it empties. */
static void lie(const struct summon_boot *boot, char which)
{
	if (which == '0')
		shared(boot)->transmit.produced = 1u << 31;
	else
		shared(boot)->receive.consumed = 1u << 31;
	call(boot, SUMMON_CALL_WAIT, 0);
	print(boot, "and nobody minded\n");
}

/* As many frames as there can be, to everybody, again and again. */
static void send_for_ever(const struct summon_boot *boot)
{
	enum { HEADER = sizeof(struct summon_frame_header), SIZE = 1000 };
	struct summon_ring *ring = (struct summon_ring *)boot->transmit;
	for (unsigned i = 0; i < 6; i++) {
		ring->data[HEADER + i] = 0xff;
		ring->data[HEADER + 6 + i] = boot->mac[i];
	}
	for (;;) {
		for (unsigned i = 0; i < SUMMON_RING_FRAMES; i++)
			ring->frame[i] = (struct summon_frame){0, SIZE, 0, 0};
		shared(boot)->transmit.produced += SUMMON_RING_FRAMES;
		call(boot, SUMMON_CALL_KICK, 0);
	}
}

/* Descriptors that lead everywhere but to a frame. */
static void send_from_nowhere(const struct summon_boot *boot)
{
	static const struct summon_frame wild[] = {
		{SUMMON_RING_DATA - 10, 100, 0, 0},
		{0xffffffff, 0xffffffff, 0, 0},
		{0, 0x7fffffff, 0, 0},
		{0, 0, 0, 0},
		{0, 100, 0xb0000, 4096},
		{0, 100, 0xfffff000, 0xffff},
		{0, 100, 0x10000, 0xffffffff},
	};
	struct summon_ring *ring = (struct summon_ring *)boot->transmit;
	unsigned count = sizeof(wild) / sizeof(wild[0]);
	for (unsigned i = 0; i < count; i++)
		ring->frame[i] = wild[i];
	shared(boot)->transmit.produced += count;
	call(boot, SUMMON_CALL_KICK, 0);
	print(boot, "all are sent\n");
}

static void abuse_rings(const struct summon_boot *boot, char how)
{
	if (how < '2')
		lie(boot, how);
	else if (how == '2')
		send_for_ever(boot);
	else if (how == '5')
		send_from_nowhere(boot);
	else if (how == '4')
		shared(boot)->printed.produced += SUMMON_CONSOLE + 1;
}

/* In a process, the call page says where the monitor's memory is: its stack is not where it was. */
static void take_over(const struct summon_boot *boot)
{
	const uint8_t *code = (const uint8_t *)boot->calls; /* mov eax, n; mov r11, state */
	*(volatile uint64_t *)*(const uint64_t *)(const void *)(code + 7) = 64;
	print(boot, "and nobody minded\n");
}

/* ---- what a guest may expect ---- */

#define SET(number, name) "lea " #number "(%%rbx), %%" name "\n"
#define CHECK(number, name)                                                                        \
	"sub $" #number ", %%" name "; sub %%rbx, %%" name "; or %%" name ", %%rax\n"

/* Fills the registers, computes for a while, and returns what of them has changed: wherever it was
 * interrupted. */
static uint64_t compute(void)
{
	uint64_t changed;
	__asm__ volatile("push %%rbp; mov $0x123456789abcdef, %%rbx; movq %%rbx, %%xmm0\n" SET(
		1, "rbp") SET(2, "rdx") SET(3, "rsi") SET(4, "rdi") SET(5, "r8") SET(6, "r9") SET(7,
		"r10") SET(8, "r11") SET(9, "r12") SET(10, "r13") SET(11, "r14") SET(12,
		"r15") "movq %%r15, %%xmm15; fninit; fld1; fldl2t\n"
		       "mov $30000, %%ecx; stc; 1: lea -1(%%rcx), %%rcx; jrcxz 2f; jmp 1b; 2:\n"
		       "sbb $-1, %%rcx; mov %%rcx, %%rax\n" /* the carry is still set */
		       "movq %%xmm0, %%rcx; sub %%rbx, %%rcx; or %%rcx, %%rax\n"
		       "movq %%xmm15, %%rcx; sub %%r15, %%rcx; or %%rcx, %%rax\n"
		       "fldl2t; fcomip %%st(1); setne %%cl; movzbl %%cl, %%ecx; or %%rcx, %%rax\n"
		       "fstp %%st(0); fstp %%st(0)\n" CHECK(1, "rbp") CHECK(2, "rdx") CHECK(
			       3, "rsi") CHECK(4, "rdi") CHECK(5, "r8") CHECK(6, "r9")
				 CHECK(7, "r10") CHECK(8, "r11") CHECK(9, "r12") CHECK(10, "r13")
					 CHECK(11, "r14") CHECK(12, "r15") "pop %%rbp"
			 : "=a"(changed)
			 :
			 : "rbx", "rcx", "rdx", "rsi", "rdi", "r8", "r9", "r10", "r11", "r12",
			 "r13", "r14", "r15", "xmm0", "xmm15", "st", "memory", "cc");
	return changed;
}

/* The same of what a function keeps, over a call. */
static uint64_t call_keeping(const struct summon_boot *boot)
{
	uint64_t changed, kick = boot->calls + SUMMON_CALL_KICK * SUMMON_CALL_SIZE;
	__asm__ volatile("push %%rbp; mov $0x123456789abcdef, %%rbx\n" SET(1, "rbp") SET(
		2, "r12") SET(3, "r13") SET(4, "r14") SET(5,
		"r15") "xor %%edi, %%edi; call *%1; xor %%eax, %%eax\n"
		       "mov $0x123456789abcdef, %%rcx; sub %%rbx, %%rcx; or %%rcx, %%rax\n" CHECK(
			       1, "rbp") CHECK(2, "r12") CHECK(3, "r13") CHECK(4, "r14")
				 CHECK(5, "r15") "pop %%rbp"
			 : "=&a"(changed), "+S"(kick)
			 :
			 : "rbx", "rcx", "rdx", "rdi", "r8", "r9", "r10", "r11", "r12", "r13",
			 "r14", "r15", "memory", "cc");
	return changed;
}

/* Until it is to power off. */
static void work(const struct summon_boot *boot)
{
	while (!*(volatile uint32_t *)&shared(boot)->stop_requested)
		if (compute() || call_keeping(boot)) {
			print(boot, "a register has changed\n");
			call(boot, SUMMON_CALL_EXIT, 1);
		}
	call(boot, SUMMON_CALL_EXIT, 0);
}

static void print_bytes(
	const struct summon_boot *boot, const char *what, const void *of, size_t size)
{
	static const char digits[] = "0123456789abcdef";
	const uint8_t *bytes = of;
	char text[2 * SUMMON_SEED + 2], *at = text;
	for (size_t i = 0; i < size; i++) {
		*at++ = digits[bytes[i] >> 4];
		*at++ = digits[bytes[i] & 15];
	}
	*at++ = '\n';
	*at = '\0';
	print(boot, what);
	print(boot, text);
}

/* And what it remembers of its memory. */
static void tell_mine(const struct summon_boot *boot)
{
	static uint64_t lives;
	lives++;
	print_bytes(boot, "seed ", boot->seed, sizeof(boot->seed));
	print_bytes(boot, "mac ", boot->mac, sizeof(boot->mac));
	print_bytes(boot, "time ", &boot->real_ns, sizeof(boot->real_ns));
	print_bytes(boot, "lives ", &lives, sizeof(lives));
	print(boot, boot->command_line);
	print(boot, "\n");
}

static void obey(const struct summon_boot *boot)
{
	while (!*(volatile uint32_t *)&shared(boot)->stop_requested)
		call(boot, SUMMON_CALL_WAIT, UINT64_MAX);
	call(boot, SUMMON_CALL_EXIT, 0);
}

static void wait(const struct summon_boot *boot)
{
	for (;;)
		call(boot, SUMMON_CALL_WAIT, UINT64_MAX);
}

void guest_main(const struct summon_boot *boot)
{
	const char *task = find_task(boot->command_line);
	if (task[0] != 's' || task[1] != 'i')
		print(boot, "summond: ready after 0 us\n");
	if (task[0] == 'f')
		flood(boot);
	if (task[0] == 'o' && task[1] == 'f')
		call(boot, SUMMON_CALL_EXIT, 0);
	if (task[0] == 'e')
		call(boot, SUMMON_CALL_EXIT, 3);
	if (task[0] == 'b')
		obey(boot);
	if (task[0] == 'm') {
		tell_mine(boot);
		shared(boot)->ready = 1;
	}
	if (task[0] == 'c')
		*(volatile uint32_t *)8 = 1;
	if (task[0] == 't')
		commit_crime(boot, task + 4);
	if (task[0] == 'r' && task[1] == 'i')
		abuse_rings(boot, task[6]);
	if (task[0] == 'o' && task[1] == 'w')
		take_over(boot);
	if (task[0] == 'w')
		work(boot);
	while (task[0] == 's' && task[1] == 'p')
		;
	while (task[0] == 'l' && !*(volatile uint32_t *)&shared(boot)->stop_requested)
		;
	wait(boot);
}

void guest_resume(const struct summon_boot *boot)
{
	const char *task = find_task(boot->command_line);
	if (task[0] == 'b')
		obey(boot);
	if (task[0] == 'm') {
		tell_mine(boot);
		shared(boot)->ready = 1;
	}
	wait(boot);
}

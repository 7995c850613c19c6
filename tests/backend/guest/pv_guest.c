/* SPDX-License-Identifier: ISC */
/*
 * The guest of guest.c as a PV domain of Xen's, in the style of Mini-OS: it knows the words ready,
 * silent, flood, off and crash, and nothing of xenstore.
 *
 * Numbers and layouts: Xen, public/xen.h (struct start_info), sched.h, event_channel.h, elfnote.h.
 */
#include <stdint.h>

enum { SCHED_OP = 29, EVTCHN_OP = 32 };
enum { SCHED_SHUTDOWN = 2, SCHED_POLL = 3, EVTCHN_SEND = 4 };
enum { REASON_OFF = 0, REASON_CRASH = 3 };

struct start_info {
	char magic[32];
	uint64_t pages, shared_info;
	uint32_t flags, pad;
	uint64_t store_frame;
	uint32_t store_port, pad2;
	uint64_t console_frame;
	uint32_t console_port, pad3;
	uint64_t page_table, page_table_frames, frame_list, module, module_size;
	char cmdline[1024];
};

struct console_ring {
	char in[1024], out[2048];
	uint32_t in_cons, in_prod, out_cons, out_prod;
};

/* Linked where pseudo-physical memory is mapped: at 0. */
__asm__(".macro note type, content:vararg\n"
	".pushsection .note.xen, \"a\", @note\n"
	".balign 4\n"
	".long 4, 2f - 1f, \\type\n"
	".asciz \"Xen\"\n"
	"1: \\content\n"
	"2: .balign 4\n"
	".popsection\n"
	".endm\n"
	"note 1 .quad start\n"
	"note 2 .quad hypercall_page\n"
	"note 3 .quad 0\n" /* virtual base */
	"note 4 .quad 0\n" /* physical offset */
	"note 5 .asciz \"xen-3.0\"\n"
	"note 6 .asciz \"summond-test\"\n"
	"note 8 .asciz \"generic\"\n"
	"note 9 .asciz \"yes\"\n" /* PAE */
	".pushsection .text.start, \"ax\"\n"
	".globl start\n"
	"start: mov %rsi, %rdi\n"
	"call guest_main\n"
	".balign 4096\n"
	"hypercall_page: .skip 4096\n"
	".popsection\n");

extern char hypercall_page[];
static volatile struct console_ring *console;
static uint32_t console_port;

static long call(unsigned number, unsigned long operation, const void *argument)
{
	long result;
	char *entry = hypercall_page + 32 * number;
	__asm__ volatile("call *%3"
			 : "=a"(result), "+D"(operation), "+S"(argument)
			 : "r"(entry)
			 : "rcx", "r11", "memory");
	return result;
}

static void print(const char *text)
{
	for (; *text; text++) {
		while (console->out_prod - console->out_cons >= sizeof(console->out))
			call(EVTCHN_OP, EVTCHN_SEND, &console_port);
		console->out[console->out_prod % sizeof(console->out)] = *text;
		__atomic_thread_fence(__ATOMIC_SEQ_CST);
		console->out_prod++;
	}
	call(EVTCHN_OP, EVTCHN_SEND, &console_port);
}

static void print_number(uint32_t number)
{
	char digits[11], *end = digits + sizeof(digits) - 1;
	*end = '\0';
	do
		*--end = (char)('0' + number % 10);
	while (number /= 10);
	print(end);
}

/* Where a machine frame of ours is mapped. */
static void *frame_address(const struct start_info *info, uint64_t frame)
{
	const uint64_t *list = (const uint64_t *)info->frame_list;
	uint64_t page = 0;
	while (page < info->pages && list[page] != frame)
		page++;
	return (void *)(page << 12);
}

static char task_read(const char *cmdline)
{
	static const char key[] = "guest.do=";
	for (; *cmdline; cmdline++) {
		unsigned i = 0;
		while (key[i] && cmdline[i] == key[i])
			i++;
		if (!key[i])
			return cmdline[i];
	}
	return 'r';
}

static void stop(uint32_t reason)
{
	call(SCHED_OP, SCHED_SHUTDOWN, &reason);
}

void guest_main(const struct start_info *info);
void guest_main(const struct start_info *info)
{
	static const struct {
		const uint32_t *ports;
		uint32_t count;
		uint64_t timeout;
	} for_good;
	char task = task_read(info->cmdline);
	console = frame_address(info, info->console_frame);
	console_port = info->console_port;
	if (task != 's')
		print("summond: ready after 0 us\n");
	for (uint32_t i = 0; task == 'f'; i++) {
		print("line ");
		print_number(i);
		print("\n");
	}
	if (task == 'o')
		stop(REASON_OFF);
	if (task == 'c')
		stop(REASON_CRASH);
	for (;;)
		call(SCHED_OP, SCHED_POLL, &for_good);
}

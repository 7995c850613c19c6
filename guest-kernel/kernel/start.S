/* SPDX-License-Identifier: ISC */
/*
 * The first instructions. A PVH loader (QEMU's -kernel, Xen, or any monitor that reads the note)
 * enters `start32` in 32-bit protected mode without paging, ebx pointing to struct hvm_start_info
 * (Xen, docs/misc/pvh.pandoc). The loader has zeroed .bss, as ELF asks of it. summon-vmm enters
 * `start_vmm` instead (include/summon_abi.h).
 */
#define CR0_MP (1 << 1)
#define CR0_EM (1 << 2)
#define CR0_WP (1 << 16)
#define CR0_PG (1 << 31)
#define CR4_PAE (1 << 5)
#define CR4_OSFXSR (1 << 9)
#define CR4_OSXMMEXCPT (1 << 10)
#define MSR_EFER 0xc0000080
#define EFER_LME (1 << 8)
#define EFER_NXE (1 << 11)

#define PAGE_PRESENT 1
#define PAGE_WRITE 2
#define PAGE_UNCACHED 0x18
#define PAGE_LARGE 0x80
#define PAGE_NX_HIGH 0x80000000

	.section .note.pvh, "a", @note
	.align 4
	.long 4, 4, 18 /* XEN_ELFNOTE_PHYS32_ENTRY */
	.asciz "Xen"
	.long start32
	.align 4
	.long 4, 4, 14 /* XEN_ELFNOTE_SUSPEND_CANCEL: it can be suspended */
	.asciz "Xen"
	.long 1

	/* struct summon_note */
	.section .note.summond, "a", @note
	.align 4
	.long 8, 56, 1 /* SUMMON_NOTE_TYPE */
	.asciz "summond"
	.long 3, 0 /* SUMMON_ABI_VERSION */
	.quad start_vmm, exception_vmm, resume_vmm, thread, stack_guard, exception_stack_guard

	.section .text.start, "ax"
	.code32
	.globl start32
start32:
	cld
	rdtsc
	movl %eax, start_tsc
	movl %edx, start_tsc + 4
	movl $stack_top, %esp /* some loaders leave none */

	/* 4 GiB identity-mapped with 2 MiB pages, none of them executable but the first, which
	 * holds the kernel's text and which memory_protect() later splits. */
	movl $page_pdpt + (PAGE_PRESENT | PAGE_WRITE), page_pml4
	movl $page_directories + (PAGE_PRESENT | PAGE_WRITE), %eax
	movl $page_pdpt, %edi
	movl $4, %ecx
1:	movl %eax, (%edi)
	addl $4096, %eax
	addl $8, %edi
	loop 1b

	movl $page_directories, %edi
	movl $(PAGE_PRESENT | PAGE_WRITE | PAGE_LARGE), %eax
	movl $(3 * 512), %ecx
	call fill_directory
	/* The last GiB holds devices, not memory. */
	orl $PAGE_UNCACHED, %eax
	movl $512, %ecx
	call fill_directory
	movl $0, page_directories + 4

	movl $page_pml4, %eax
	movl %eax, %cr3
	movl $(CR4_PAE | CR4_OSFXSR | CR4_OSXMMEXCPT), %eax
	movl %eax, %cr4
	movl $MSR_EFER, %ecx
	rdmsr
	orl $(EFER_LME | EFER_NXE), %eax
	wrmsr
	movl %cr0, %eax
	andl $~CR0_EM, %eax
	orl $(CR0_PG | CR0_WP | CR0_MP), %eax
	movl %eax, %cr0
	lgdt gdt_pointer
	ljmp $8, $start64

/* eax: low half of the first entry, edi: where, ecx: how many. Leaves eax and edi behind the
 * last. */
fill_directory:
	movl %eax, (%edi)
	movl $PAGE_NX_HIGH, 4(%edi)
	addl $0x200000, %eax
	addl $8, %edi
	loop fill_directory
	ret

	.code64
start64:
	movl $16, %eax
	movl %eax, %ds
	movl %eax, %es
	movl %eax, %ss
	xorl %eax, %eax
	movl %eax, %fs
	movl %eax, %gs
	movl $stack_top, %esp
	fninit
	xorl %ebp, %ebp
	movl %ebx, %edi
	call kernel_main_pvh
2:	cli
	hlt
	jmp 2b

/* summon-vmm has made the machine: rdi holds the boot page. */
start_vmm:
	rdtsc
	movl %eax, start_tsc
	movl %edx, start_tsc + 4
	movl $stack_top, %esp
	xorl %ebp, %ebp
	call kernel_main_vmm

/* It goes on with a guest that was kept: all but the stack counts. */
resume_vmm:
	rdtsc
	movl %eax, start_tsc
	movl %edx, start_tsc + 4
	movl $stack_top, %esp
	xorl %ebp, %ebp
	call kernel_resume_vmm

/* rdi holds what an exception stub would have pushed. */
exception_vmm:
	movl $exception_stack_top, %esp
	xorl %ebp, %ebp
	call panic_exception

/* Exceptions. Every stub leaves the same frame, struct summon_exception. */
	.macro EXCEPTION vector, has_code
exception_\vector:
	.if \has_code == 0
	pushq $0
	.endif
	pushq $\vector
	jmp exception_common
	.endm

	.text
exception_common:
	pushq %rax
	pushq %rbx
	pushq %rcx
	pushq %rdx
	pushq %rsi
	pushq %rdi
	pushq %rbp
	pushq %r8
	pushq %r9
	pushq %r10
	pushq %r11
	pushq %r12
	pushq %r13
	pushq %r14
	pushq %r15
	movq %cr2, %rax
	pushq %rax
	movq %rsp, %rdi
	cld
	subq $8, %rsp /* as C functions find the stack: 16-byte aligned before the call */
	call panic_exception

	.altmacro
	.macro EXCEPTION_NUMBER vector
	/* Those for which the CPU pushes an error code: 8, 10 to 14, 17, 21, 29, 30. */
	.if (0x60227d00 >> \vector) & 1
	EXCEPTION \vector, 1
	.else
	EXCEPTION \vector, 0
	.endif
	.endm
	.macro EXCEPTION_ADDRESS vector
	.long exception_\vector
	.endm
	.set i, 0
	.rept 32
	EXCEPTION_NUMBER %i
	.set i, i + 1
	.endr

/* Interrupts only ever end a HLT (they are masked elsewhere): acknowledge, return. */
	.globl interrupt_wake
interrupt_wake:
	pushq %rax
	movl $0xfee000b0, %eax /* the local APIC's end-of-interrupt register */
	movl $0, (%rax)
	popq %rax
	iretq

	.globl interrupt_spurious
interrupt_spurious:
	iretq

	.section .rodata, "a"
	.globl exception_stubs
	.align 4
exception_stubs:
	.set i, 0
	.rept 32
	EXCEPTION_ADDRESS %i
	.set i, i + 1
	.endr

	.section .data, "aw"
	.align 8
	.globl gdt
gdt:
	.quad 0
	.quad 0x00af9b000000ffff /* 0x08: 64-bit code */
	.quad 0x00cf93000000ffff /* 0x10: data */
	.quad 0, 0               /* 0x18: the task state segment, filled in by interrupts_init() */
gdt_end:
gdt_pointer:
	.word gdt_end - gdt - 1
	.quad gdt
	.globl start_tsc
	.align 8
start_tsc:
	.quad 0

	.section .unused, "aw", @nobits /* by a guest of summon-vmm */
	.align 4096
page_pml4:
	.skip 4096
page_pdpt:
	.skip 4096
	.globl page_directories
page_directories:
	.skip 4 * 4096
	.globl first_table
first_table:
	.skip 4096
	.globl exception_stack_guard
exception_stack_guard:
	.skip 4096
	.skip 8192
	.globl exception_stack_top
exception_stack_top:

	.section .stack, "aw", @nobits
	.align 4096
	.globl stack_guard
stack_guard:
	.skip 4096
	.skip 65536
	.globl stack_top
stack_top:

	.section .note.GNU-stack, "", @progbits

/* SPDX-License-Identifier: ISC */
#ifndef LAUNCHER_VMM_VMM_H
#define LAUNCHER_VMM_VMM_H

#include <sched.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <sys/un.h>

#include "launcher/launcher.h"
#include "summon-vmm/include/protocol.h"
#include "summon-vmm/include/snapshot.h"

/*
 * The backend of our own monitor: a process of summon-vmm for each guest, and a socket to it named
 * <run_dir>/<identity>-<slot>-<generation>.sock, which is how a later daemon finds it.
 *
 * A monitor begins as a shell, which has all that a guest needs but what it is made of. Some are kept
 * ready, named <identity>-shell-<number>.sock until they are used; they end with the daemon. So is a
 * spare socket, which has such a name too.
 *
 * A guest's end is the end of its process, seen on a pidfd: so it is seen for the guests of an
 * earlier life too, and no signal of the process's is involved. Why it ended is what it has said on
 * the socket before. Memory is only freed in close callbacks; whatever an event's receiver does
 * (even destroy the launcher), the guest in hand is still there when it returns, and `gone` tells.
 *
 * Guests that rest on disk have a file instead of a process (rest.c); and guests can begin from what
 * another one was (template.c).
 *
 *   setting    default
 *   monitor    where summon-vmm was installed   the program's path
 *   shells     2                                how many are kept ready at least, 0 to 64; what they
 *                                               have loaded: ahead.c
 *   mode       auto                             what runs guests: kvm, process, or the first of these
 *                                               that works here
 *   templates  256MiB                           how much of the disk they may take; 0B: none is made
 *
 * In process mode nothing but a seccomp filter is around a guest, which then can say whatever it likes
 * in its monitor's stead: what comes from the socket, or lies in a file that it was kept in, is as
 * hostile as what comes from a client, and which tap is its is written down beside the socket.
 */
#define VMM_PATH  512
#define VMM_KEY   256
#define VMM_WORDS 4096
#define VMM_NAME  256

/* recipe.c: what a guest is made of. The words of the command line that are its own, and no other's, are
 * left out: it finds the new ones when it goes on (guest-kernel/include/summon_abi.h). */
struct vmm_recipe {
	char key[VMM_KEY];
	char words[VMM_WORDS];
	uint64_t hash;
};

/* ahead.c: what a guest begins with: an image, or a template. */
struct vmm_ahead {
	bool is_template;
	uint64_t memory;
	char path[VMM_PATH];
	struct vmm_recipe recipe; /* of an image: the key of its file alone */
	unsigned expected;        /* as the last spec with it said, */
	const void *kin;          /* likewise, */
	char service[VMM_NAME];   /* and whose that was */
};

/* What starts began with, those of late first. */
struct vmm_begun {
	struct vmm_begun *next;
	struct vmm_ahead with;
	uint8_t lately; /* a bit for each of the last 8 starts, the last one's is the lowest */
};

/* crowd.c */
struct vmm_crowd {
	cpu_set_t all, most, one; /* the daemon's CPUs; these without one; and that one */
	bool can_leave_one;
	uv_timer_t timer;
};

struct vmm {
	struct launcher launcher;
	uv_loop_t *loop;
	launcher_event_fn on_event;
	void *ctx;
	char *identity, *state_dir, *run_dir, *monitor;
	int null; /* /dev/null, for monitors; above what they have open */
	struct vmm_guest *guests, *shells;
	struct vmm_guest
		*spare; /* a shell to be: its socket, which takes 0.2 ms to make; or NULL */
	uint64_t shells_least, shells_expected; /* by the setting; by the policies */
	uint64_t shell_memory;                  /* as much as the largest guest so far */
	struct vmm_rest *rests;
	struct vmm_template *templates;
	uint64_t templates_max, template_uses;
	char template_failure[640]; /* the last one, until one is made */
	uint32_t shell_number;      /* of the next one */
	uv_timer_t shell_timer;
	struct vmm_begun *begun;
	struct vmm_guest *spawns; /* whose monitors wait to be started, the first one first */
	unsigned in_flight;       /* monitors that are on their way, */
	unsigned in_flight_most;  /* and as many as there may be */
	uv_timer_t spawn_timer;
	struct vmm_crowd crowd;
	unsigned open_handles;
	uv_timer_t list_timer; /* for those that do not answer */
	unsigned asked; /* guests of an earlier life, and the probe, that have not answered yet */
	uv_process_t probe;
	uv_pipe_t probe_pipe;
	const char *wanted_mode; /* NULL: the first that works */
	const char *mode;        /* what guests are run with; NULL: not known yet, or none works */
	char facts[512];         /* what the probe has said: a line for each mode */
	size_t facts_size;
	bool is_unable; /* the probe says that no guest can run here */
	bool listing, closing;
	void (*closed)(void *ctx);
	void *closed_ctx;
};

/* spawner.c's part of a guest. */
struct vmm_spawn {
	struct vmm_guest *next;
	int listener; /* the monitor's end of the socket, until it has it; else -1 */
	bool is_queued, is_in_flight, is_crowded;
	uv_work_t work;
	int process; /* what came of it, a thread's: a pidfd, or a negative errno and why */
	pid_t pid;
	struct error error;
};

/* What the daemon asks of a guest that is there. */
enum vmm_request { VMM_RESUME, VMM_PAUSE, VMM_REST };

#define VMM_QUEUE 16
struct vmm_queue {
	enum vmm_request what[VMM_QUEUE];
	unsigned count;
};

enum vmm_resting { VMM_NOT_RESTING, VMM_KEEPING, VMM_COPYING, VMM_ENDING };

struct vmm_guest {
	struct vmm *vmm;
	struct vmm_guest *next;
	struct instance_id id;
	int socket, process;  /* process: a pidfd; -1 until it is there */
	pid_t pid;            /* its number, as long as it is there */
	uint64_t leave_until; /* loop time; till then it leaves a CPU to others; 0: not so */
	struct vmm_spawn spawn;
	bool is_unwanted; /* to be ended as soon as it is there */
	bool is_child;
	bool is_shell;   /* in the list of these; no guest yet */
	bool is_unfit;   /* a shell at its end */
	bool is_surplus; /* likewise, because we want it no more */
	bool has_hung_up;
	uint32_t number;         /* of the shell that it is, or was */
	uint64_t memory;         /* of a shell */
	struct vmm_ahead *ahead; /* what it was told to load; NULL: nothing */
	bool is_loaded;          /* it has */
	uv_poll_t socket_poll, process_poll;
	uv_timer_t keep_timer;
	char tap[16]; /* "" for none */
	unsigned open_handles;
	bool asked;                 /* found, and has not told its facts */
	unsigned resumes, suspends; /* asked for, and not done yet */
	unsigned measures;          /* likewise */
	unsigned untold;            /* figures that wait until its process is there */
	struct launcher_figures figures;
	bool started, destroying, gone;
	bool is_paused;
	bool is_restored; /* from disk, and has not said that it runs */
	enum vmm_resting resting;
	struct vmm_save *save;   /* of it, while it is KEEPING or COPYING */
	struct vmm_save *making; /* a template, once it is ready; NULL: none */
	uint64_t keep_flags;
	uint32_t keeps;
	unsigned restless;   /* so often it did not come to rest, while it was paused; */
	uint64_t keep_again; /* uv_now() from when on it is asked to again */
	struct vmm_queue queue;
	bool has_ended; /* it has said so: exit, error; or error alone where it did not start */
	enum launcher_exit exit;
	struct error error;
};

/* spawn.c: the sockets' addresses; -ENAMETOOLONG where the run_dir is too long for one. */
int vmm_socket_address(
	const struct vmm *vmm, struct instance_id id, struct sockaddr_un *out, struct error *err);
/* The same for what record.c writes down. */
int vmm_record_address(
	const struct vmm *vmm, struct instance_id id, struct sockaddr_un *out, struct error *err);
int vmm_shell_address(
	const struct vmm *vmm, uint32_t number, struct sockaddr_un *out, struct error *err);
/* The socket of the shell of `number`, both ends: what it is sent waits for it. */
int vmm_spawn_prepare(struct vmm_guest *guest, struct error *err);
/* Starts a monitor with `memory` at the other end: a pidfd, and its number. Of any thread. */
int vmm_spawn(const struct vmm_guest *guest, pid_t *pid, struct error *err);
/* Connects to the monitor of an earlier life. -ECONNREFUSED where there is none any more. */
int vmm_connect(struct vmm_guest *guest, const struct sockaddr_un *address);
/* How a process that was our child has ended, as text. */
void vmm_reap(const struct vmm_guest *guest, char *text, size_t size);

/* crowd.c: which CPUs there are. */
void vmm_crowd_init(struct vmm_crowd *crowd);
/* The guest, whose monitor is to be started, starts beside others. */
void vmm_crowd_join(struct vmm_guest *guest);
/* A guest of an earlier life may have been one of a crowd that nobody looked after to its end. */
void vmm_crowd_found(struct vmm_guest *guest);
void vmm_crowd_close(struct vmm_crowd *crowd, uv_close_cb closed);
/* In the thread that starts its monitor, before: the process has the CPUs that the thread has. */
void vmm_crowd_begin(const struct vmm_guest *guest);

/* spawner.c: how many the machine can carry on with; to ask takes a file to be read. */
unsigned vmm_spawns_at_once(void);
/* Has a monitor started, in its turn; vmm_guest_spawned() tells. */
void vmm_spawn_queue(struct vmm_guest *guest);
/* Its guest exists, or never will: another one's turn. */
void vmm_spawn_done(struct vmm_guest *guest);
void vmm_spawn_forget(struct vmm_guest *guest);
/* Looks at the queue again, in a later turn of the loop. */
void vmm_spawn_later(struct vmm *vmm);

/* shell.c: one that is ready, or a new one, with at least `memory`; watched, and in the list of
 * shells until vmm_guest_adopt(); *ready says which. */
struct vmm_guest *vmm_shell_take(struct vmm *vmm, uint64_t memory, bool *ready, struct error *err);
void vmm_shell_remove_name(const struct vmm *vmm, uint32_t number);
/* Has there be as many as wanted, soon, while nothing more urgent is done. */
void vmm_shells_fill(struct vmm *vmm, uint64_t after_ms);
/* Ends those of an earlier life, and removes their sockets; or, at our end, the sockets alone. */
void vmm_shells_sweep(struct vmm *vmm, bool end);

/* order.c: what a monitor is to boot, opened, because it can open nothing itself. To be finished; a
 * failure leaves nothing open, and is -EINVAL where a file cannot be read. */
struct vmm_order {
	int image, initrd, tap; /* -1: none; the image: it is loaded already */
	struct vmm_save *save;  /* where it is to be kept once it is ready, or NULL */
	unsigned flags;         /* enum control_boot_flag, but for those of the above */
	uint64_t memory;
	char tap_name[16];
	char text[CONTROL_TEXT_MAX];
	size_t size;
};
/* `key` says what it is made of, for others that begin from it. */
int vmm_order_new(struct vmm_order *order, const struct guest_spec *spec, enum launcher_start how,
	const char *key, bool is_loaded, struct error *err);
/* A guest that begins from `file`, which is taken; -1: it is loaded already. */
int vmm_order_kept(struct vmm_order *order, const struct guest_spec *spec, enum launcher_start how,
	const char *key, int file, struct error *err);
/* One that goes on from it, as what it was. */
void vmm_order_again(struct vmm_order *order, const struct snapshot_head *head, int file, int tap);
void vmm_order_finish(struct vmm_order *order);
/* Opens a tap by its name. Held open it has a carrier, and its bridge forwards to it; with `closed_up`
 * it keeps nothing that it is sent, until vmm_tap_open_up(). */
int vmm_tap_open(const char *name, bool closed_up, int *out, struct error *err);
void vmm_tap_open_up(int tap);

/* boot.c: has a shell become a guest. */
struct vmm_guest *vmm_boot(
	struct vmm *vmm, struct instance_id id, struct vmm_order *order, struct error *err);
/* The same, of a shell that has loaded what the order wants. One that fails is ended. */
int vmm_boot_loaded(
	struct vmm_guest *shell, struct instance_id id, struct vmm_order *order, struct error *err);
/* Sends a request with descriptors. */
int vmm_send(int socket, const struct control_message *message, size_t text_size, const int *fds,
	size_t count);

/* save.c: brings a guest that was kept to its place. */
struct vmm_save {
	struct vmm *vmm;
	int file; /* for the monitor to write to */
	char path[VMM_PATH];
	void (*done)(struct vmm_save *save); /* not called where nobody wants it any more */
	struct instance_id id;
	uint64_t hash;  /* of a template */
	uint64_t bytes; /* what it takes of the disk */
	int result;     /* 0, or why it is not there */
	bool is_working, is_unwanted;
	uv_work_t work;
};
struct vmm_save *vmm_save_new(
	struct vmm *vmm, const char *path, void (*done)(struct vmm_save *save), struct error *err);
/* Once the monitor has written it; it is freed after `done`. */
void vmm_save_finish(struct vmm_save *save);
/* It is not wanted; takes NULL. */
void vmm_save_drop(struct vmm_save *save);
/* Removes from a folder what was left behind in the middle. */
void vmm_save_sweep(const struct vmm *vmm, const char *folder);
/* Opens one. -EINVAL where it is damaged, or of another version. */
int vmm_save_read(const char *path, struct snapshot_head *head, int *file, struct error *err);

/* rest.c: guests on disk. */
struct vmm_rest {
	struct vmm *vmm;
	struct vmm_rest *next;
	struct instance_id id;
	int tap; /* held open, so that it is up at once; -1: none */
	bool is_stopping;
	uv_timer_t timer;
};
struct vmm_rest *vmm_rest_find(struct vmm *vmm, struct instance_id id);
struct vmm_rest *vmm_rest_new(struct vmm *vmm, struct instance_id id);
void vmm_rest_forget(struct vmm_rest *rest);
int vmm_rest_begin(struct vmm_guest *guest, struct error *err);
/* Its monitor has kept it, or not. */
void vmm_rest_kept(struct vmm_guest *guest, uint64_t flags, const struct error *err);
/* Its process has ended as it should. */
void vmm_rest_settle(struct vmm_guest *guest);
int vmm_rest_resume(struct vmm_rest *rest, struct error *err);
void vmm_rest_resumed(struct vmm_guest *guest);
void vmm_rest_stop(struct vmm_rest *rest);
/* Without a word: file and record. */
void vmm_rest_remove(struct vmm *vmm, struct instance_id id);
/* FOUND, of those that were found on disk. */
void vmm_rest_announce(struct vmm *vmm);

/* template.c: */
void vmm_templates_find(struct vmm *vmm);
void vmm_templates_forget(struct vmm *vmm);
void vmm_templates_describe(const struct vmm *vmm, char *text, size_t size);
bool vmm_has_template(struct launcher *launcher, const struct guest_spec *spec);
/* To begin from one, or to make one. */
int vmm_template_order(struct vmm *vmm, struct vmm_order *order, uint32_t slot,
	const struct guest_spec *spec, enum launcher_start how, const struct vmm_recipe *recipe,
	struct error *err);
/* The same, of one that is loaded already. */
int vmm_template_order_loaded(struct vmm *vmm, struct vmm_order *order, uint32_t slot,
	const struct guest_spec *spec, enum launcher_start how, const struct vmm_recipe *recipe,
	struct error *err);
/* Its path; false where there is none. */
bool vmm_template_path(const struct vmm *vmm, const struct vmm_recipe *recipe, char path[VMM_PATH]);
/* An open file, or -1 where there is none that is right; a wrong one is deleted. */
int vmm_template_open(struct vmm *vmm, const struct vmm_recipe *recipe);
/* A guest that was to be one has been kept, or not. */
void vmm_template_kept(struct vmm_guest *guest, const struct error *err);

/* recipe.c: a negative errno where a file is not there. */
int vmm_recipe_read(const struct guest_spec *spec, struct vmm_recipe *out);
/* Adds a file to a key: one that was replaced or written to since is another one. */
int vmm_key_add(char key[VMM_KEY], const struct stat *about);
int vmm_copy_words(const char *line, char words[VMM_WORDS]);

/* ahead.c: what a start begins with; false where that cannot be told. `recipe` is of one that may begin
 * from a template, or NULL. */
bool vmm_ahead_of(const struct vmm *vmm, const struct guest_spec *spec,
	const struct vmm_recipe *recipe, struct vmm_ahead *out);
/* Whether any shell has loaded something; one that has loaded this, or NULL. */
bool vmm_ahead_any(const struct vmm *vmm);
struct vmm_guest *vmm_ahead_find(const struct vmm *vmm, const struct vmm_ahead *ahead);
/* A guest begins with it: others may. */
void vmm_ahead_note(struct vmm *vmm, const struct vmm_ahead *ahead);
void vmm_ahead_finish(struct vmm *vmm);
/* Has a new shell load what is likely to be wanted, if anything is. */
void vmm_ahead_load(struct vmm *vmm, struct vmm_guest *shell);

/* record.c: writes down, in process mode, which tap is the guest's ("" for none); whether that is what
 * it says, as far as is known; and removes all names of a guest that has ended. */
int vmm_record_tap(
	const struct vmm *vmm, struct instance_id id, const char *tap, struct error *err);
bool vmm_record_exists(const struct vmm *vmm, struct instance_id id);
bool vmm_record_agrees(const struct vmm *vmm, struct instance_id id, const char *tap);
void vmm_names_remove(const struct vmm *vmm, struct instance_id id);

/* guest.c: */
struct vmm_guest *vmm_guest_find(struct vmm *vmm, struct instance_id id);
struct vmm_guest *vmm_guest_new(struct vmm *vmm);
/* Frees one that was never watched. */
void vmm_guest_discard(struct vmm_guest *guest);
/* Takes it into the list, of shells if it is one, and begins to listen to it. On failure it is freed. */
int vmm_guest_watch(struct vmm_guest *guest, struct error *err);
/* Its monitor is there, or not, as guest->spawn says. */
void vmm_guest_spawned(struct vmm_guest *guest);
/* A shell is the guest of `id` from now on. */
void vmm_guest_adopt(struct vmm_guest *guest, struct instance_id id);
/* Forgets it; the process goes on, if it lives. */
void vmm_guest_forget(struct vmm_guest *guest);
/* Of CONTROL_RESUME and CONTROL_PAUSE, whose answers tell it back: they are nobody's news. Others may
 * follow that are. */
#define VMM_UNASKED 1u
/* Sends a request. Where the monitor has gone, its end is on its way, and ends the request too. */
int vmm_guest_request(
	struct vmm_guest *guest, enum control_type type, uint64_t flags, struct error *err);
void vmm_guest_kill(struct vmm_guest *guest);
bool vmm_is_printable(const char *text);

/* find.c: */
int vmm_list(struct launcher *launcher, struct error *err);
/* One of those asked has answered, or has gone. */
void vmm_list_answered(struct vmm *vmm);

/* image.c: 0 where the image is one of guest-kernel's, of our version; else -EINVAL. Any thread. */
int vmm_check_image(const char *path, struct error *err);

/* figures.c: launcher_ops.measure; what a guest's monitor has counted. */
int vmm_measure(struct launcher *launcher, struct instance_id id, struct error *err);
void vmm_guest_measured(struct vmm_guest *guest, const void *text, size_t size);
/* Its process is there: tells what its monitor has counted, where that was asked for. */
void vmm_guest_tell_figures(struct vmm_guest *guest);

/* suits.c: launcher_ops.suits. */
int vmm_suits(const struct launcher_setting *settings, size_t count, struct error *err);

/* probe.c: the mode's name as a constant; -EINVAL where there is no such mode. NULL for "auto". */
int vmm_mode_parse(const char *name, const char **mode, struct error *err);
/* Asks summon-vmm what this host can do; and gives up on it. */
void vmm_probe(struct vmm *vmm);
void vmm_probe_close(struct vmm *vmm);

/* vmm.c: */
/* One of the operations on a guest, by name; in the order in which they were asked. */
int vmm_do(struct vmm *vmm, struct instance_id id, enum vmm_request what, struct error *err);
void vmm_emit(struct vmm *vmm, const struct launcher_event *event);
void vmm_handle_closed(struct vmm *vmm);

#endif

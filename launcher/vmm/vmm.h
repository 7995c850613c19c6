/* SPDX-License-Identifier: ISC */
#ifndef LAUNCHER_VMM_VMM_H
#define LAUNCHER_VMM_VMM_H

#include <sys/types.h>
#include <sys/un.h>

#include "launcher/launcher.h"
#include "summon-vmm/include/protocol.h"

/*
 * The backend of our own monitor: a process of summon-vmm for each guest, and a socket to it named
 * <state_dir>/<identity>-<slot>-<generation>.sock, which is how a later daemon finds it.
 *
 * A monitor begins as a shell, which has all that a guest needs but what it is made of. Some are kept
 * ready, named <identity>-shell-<number>.sock until they are used; they end with the daemon.
 *
 * A guest's end is the end of its process, seen on a pidfd: so it is seen for the guests of an
 * earlier life too, and no signal of the process's is involved. Why it ended is what it has said on
 * the socket before. Memory is only freed in close callbacks; whatever an event's receiver does
 * (even destroy the launcher), the guest in hand is still there when it returns, and `gone` tells.
 *
 *   setting  default
 *   monitor  where summon-vmm was installed   the program's path
 *   shells   2                                how many are kept ready at least, 0 to 64
 *   mode     auto                             what runs guests: kvm, process, or the first of these
 *                                             that works here
 *
 * In process mode nothing but a seccomp filter is around a guest, which then can say whatever it likes
 * in its monitor's stead: what comes from the socket is as hostile as what comes from a client, and
 * which tap is its is written down beside the socket.
 */
struct vmm {
	struct launcher launcher;
	uv_loop_t *loop;
	launcher_event_fn on_event;
	void *ctx;
	char *identity, *state_dir, *monitor;
	struct vmm_guest *guests, *shells;
	uint64_t shells_least, shells_wanted; /* by the setting, and with what policies want */
	uint64_t shell_memory;                /* as much as the largest guest so far */
	uint32_t shell_number;                /* of the next one */
	uv_timer_t shell_timer;
	struct vmm_guest *spawns; /* whose monitors wait to be started, the first one first */
	unsigned in_flight;       /* monitors that are on their way */
	uv_timer_t spawn_timer;
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
	bool is_queued, is_in_flight;
	uv_work_t work;
	int process; /* what came of it, a thread's: a pidfd, or a negative errno and why */
	struct error error;
};

struct vmm_guest {
	struct vmm *vmm;
	struct vmm_guest *next;
	struct instance_id id;
	int socket, process; /* process: a pidfd; -1 until it is there */
	struct vmm_spawn spawn;
	bool is_unwanted; /* to be ended as soon as it is there */
	bool is_child;
	bool is_shell;   /* in the list of these; no guest yet */
	bool is_unfit;   /* a shell at its end */
	uint32_t number; /* of the shell that it is, or was */
	uint64_t memory; /* of a shell */
	uv_poll_t socket_poll, process_poll;
	unsigned open_handles;
	bool asked;                 /* found, and has not told its facts */
	unsigned resumes, suspends; /* asked for, and not done yet */
	bool started, destroying, gone;
	bool has_ended; /* it has said so: exit, error; or error alone where it did not start */
	enum launcher_exit exit;
	struct error error;
};

/* spawn.c: the sockets' addresses; -ENAMETOOLONG where the state_dir is too long for one. */
int vmm_socket_address(
	const struct vmm *vmm, struct instance_id id, struct sockaddr_un *out, struct error *err);
/* The same for what record.c writes down. */
int vmm_record_address(
	const struct vmm *vmm, struct instance_id id, struct sockaddr_un *out, struct error *err);
int vmm_shell_address(
	const struct vmm *vmm, uint32_t number, struct sockaddr_un *out, struct error *err);
/* The socket of the shell of `number`, both ends: what it is sent waits for it. */
int vmm_spawn_prepare(struct vmm_guest *guest, struct error *err);
/* Starts a monitor with `memory` at the other end: a pidfd. Of any thread. */
int vmm_spawn(const struct vmm_guest *guest, struct error *err);
/* Connects to the monitor of an earlier life. -ECONNREFUSED where there is none any more. */
int vmm_connect(struct vmm_guest *guest, const struct sockaddr_un *address);
/* How a process that was our child has ended, as text. */
void vmm_reap(const struct vmm_guest *guest, char *text, size_t size);

/* spawner.c: has a monitor started, in its turn; vmm_guest_spawned() tells. */
void vmm_spawn_queue(struct vmm_guest *guest);
/* Its guest exists, or never will: another one's turn. */
void vmm_spawn_done(struct vmm_guest *guest);
void vmm_spawn_forget(struct vmm_guest *guest);
/* Looks at the queue again, in a later turn of the loop. */
void vmm_spawn_later(struct vmm *vmm);

/* shell.c: one that is ready, or a new one, with at least `memory`; watched, and in the list of
 * shells until vmm_guest_adopt(); *ready says which. */
struct vmm_guest *vmm_shell_take(struct vmm *vmm, uint64_t memory, bool *ready, struct error *err);
/* Has there be as many as wanted, soon, while nothing more urgent is done. */
void vmm_shells_fill(struct vmm *vmm, uint64_t after_ms);
/* Ends those of an earlier life, and removes their sockets; or, at our end, the sockets alone. */
void vmm_shells_sweep(struct vmm *vmm, bool end);
void vmm_on_shell_timer(uv_timer_t *timer);

/* boot.c: opens what the spec names; -EINVAL where it cannot be. */
struct vmm_files {
	int image, initrd, tap; /* -1: none */
};
int vmm_files_open(struct vmm_files *files, const struct guest_spec *spec, struct error *err);
void vmm_files_close(struct vmm_files *files);
/* Has a shell become the guest. */
int vmm_boot(struct vmm_guest *guest, struct instance_id id, const struct vmm_files *files,
	const struct guest_spec *spec, enum launcher_start how, struct error *err);

/* record.c: writes down, in process mode, which tap is the guest's ("" for none); whether that is what
 * it says, as far as is known; and removes all names of a guest that has ended. */
int vmm_record_tap(
	const struct vmm *vmm, struct instance_id id, const char *tap, struct error *err);
bool vmm_record_agrees(const struct vmm *vmm, struct instance_id id, const char *tap);
void vmm_names_remove(const struct vmm *vmm, struct instance_id id);

/* guest.c: */
struct vmm_guest *vmm_guest_find(struct vmm *vmm, struct instance_id id);
struct vmm_guest *vmm_guest_new(struct vmm *vmm);
/* Frees one that was never watched. */
void vmm_guest_discard(struct vmm_guest *guest);
/* Takes it into the list, of shells if it is one, and begins to listen to it. */
void vmm_guest_watch(struct vmm_guest *guest);
/* Its monitor is there, or not, as guest->spawn says. */
void vmm_guest_spawned(struct vmm_guest *guest);
/* A shell is the guest of `id` from now on. */
void vmm_guest_adopt(struct vmm_guest *guest, struct instance_id id);
/* Forgets it; the process goes on, if it lives. */
void vmm_guest_forget(struct vmm_guest *guest);
/* Sends a request. Where the monitor has gone, its end is on its way, and ends the request too. */
int vmm_guest_request(struct vmm_guest *guest, enum control_type type, struct error *err);
void vmm_guest_kill(struct vmm_guest *guest);

/* find.c: */
int vmm_list(struct launcher *launcher, struct error *err);
/* One of those asked has answered, or has gone. */
void vmm_list_answered(struct vmm *vmm);

/* suits.c: launcher_ops.suits. */
int vmm_suits(const struct launcher_setting *settings, size_t count, struct error *err);

/* probe.c: the mode's name as a constant; -EINVAL where there is no such mode. NULL for "auto". */
int vmm_mode_parse(const char *name, const char **mode, struct error *err);
/* Asks summon-vmm what this host can do; and gives up on it. */
void vmm_probe(struct vmm *vmm);
void vmm_probe_close(struct vmm *vmm);

/* vmm.c: */
void vmm_emit(struct vmm *vmm, const struct launcher_event *event);
void vmm_handle_closed(struct vmm *vmm);

#endif

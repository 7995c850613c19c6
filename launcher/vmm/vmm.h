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
 * A guest's end is the end of its process, seen on a pidfd: so it is seen for the guests of an
 * earlier life too, and no signal of the process's is involved. Why it ended is what it has said on
 * the socket before. Memory is only freed in close callbacks; whatever an event's receiver does
 * (even destroy the launcher), the guest in hand is still there when it returns, and `gone` tells.
 *
 *   setting  default
 *   monitor  where summon-vmm was installed   the program's path
 */
struct vmm {
	struct launcher launcher;
	uv_loop_t *loop;
	launcher_event_fn on_event;
	void *ctx;
	char *identity, *state_dir, *monitor;
	struct vmm_guest *guests;
	unsigned open_handles;
	uv_timer_t list_timer; /* for those that do not answer */
	unsigned asked; /* guests of an earlier life, and the probe, that have not answered yet */
	uv_process_t probe;
	uv_pipe_t probe_pipe;
	char facts[256]; /* what the probe has said */
	size_t facts_size;
	bool is_unable; /* the probe says that no guest can run here */
	bool listing, closing;
	void (*closed)(void *ctx);
	void *closed_ctx;
};

struct vmm_guest {
	struct vmm *vmm;
	struct vmm_guest *next;
	struct instance_id id;
	int socket, process; /* process: a pidfd */
	bool is_child;
	uv_poll_t socket_poll, process_poll;
	unsigned open_handles;
	bool asked; /* found, and has not told its facts */
	bool started, destroying, gone;
	bool has_ended; /* it has said so: exit, error; or error alone where it did not start */
	enum launcher_exit exit;
	struct error error;
};

/* spawn.c: the socket's address; -ENAMETOOLONG where the state_dir is too long for one. */
int vmm_socket_address(
	const struct vmm *vmm, struct instance_id id, struct sockaddr_un *out, struct error *err);
/* Starts a monitor, connected; fills the guest's socket, process and is_child. */
int vmm_spawn(struct vmm_guest *guest, const struct guest_spec *spec, enum launcher_start how,
	struct error *err);
/* Connects to the monitor of an earlier life. -ECONNREFUSED where there is none any more. */
int vmm_connect(struct vmm_guest *guest);
/* How a process that was our child has ended, as text. */
void vmm_reap(const struct vmm_guest *guest, char *text, size_t size);

/* guest.c: */
struct vmm_guest *vmm_guest_find(struct vmm *vmm, struct instance_id id);
struct vmm_guest *vmm_guest_new(struct vmm *vmm, struct instance_id id);
/* Frees one that was never watched. */
void vmm_guest_discard(struct vmm_guest *guest);
/* Takes it into the list and begins to listen to it. */
void vmm_guest_watch(struct vmm_guest *guest);
/* Forgets it; the process goes on, if it lives. */
void vmm_guest_forget(struct vmm_guest *guest);
/* Sends a request. Where the monitor has gone, its end is on its way, and ends the request too. */
int vmm_guest_request(struct vmm_guest *guest, enum control_type type, struct error *err);
void vmm_guest_kill(struct vmm_guest *guest);

/* find.c: */
int vmm_list(struct launcher *launcher, struct error *err);
/* One of those asked has answered, or has gone. */
void vmm_list_answered(struct vmm *vmm);

/* probe.c: asks summon-vmm what this host can do; and gives up on it. */
void vmm_probe(struct vmm *vmm);
void vmm_probe_close(struct vmm *vmm);

/* vmm.c: */
void vmm_emit(struct vmm *vmm, const struct launcher_event *event);
void vmm_handle_closed(struct vmm *vmm);

#endif

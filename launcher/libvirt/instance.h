/* SPDX-License-Identifier: ISC */
#ifndef LAUNCHER_LIBVIRT_INSTANCE_H
#define LAUNCHER_LIBVIRT_INSTANCE_H

#include "launcher/libvirt/connection.h"
#include "launcher/libvirt/console.h"

/*
 * Guests, as the loop thread knows them; it alone reads and writes this. Each has a queue of
 * operations of which the first is a job under way, while `virt->flowing`: connected, and the list
 * of domains taken. An operation whose fate is unknown because the connection went stays first in
 * the queue, and is asked again, carefully (job.again).
 */
struct operation {
	struct operation *next;
	enum job_type type;
	char *xml; /* JOB_START; owned */
	bool again;
};

struct instance {
	struct instance *next;
	struct virt *virt;
	struct instance_id id;
	char name[64]; /* of the domain */
	enum launcher_start how;
	bool started, paused, booted;
	bool busy;         /* the first operation is under way */
	bool stop_asked;   /* destroy */
	bool reset;        /* the guest reset itself: what follows is a crash */
	bool ended, going; /* its end is known; its end waits for its last words */
	bool present;      /* in the last list */
	bool stream;       /* its console is one of libvirt's streams, not our socket */
	bool saved;        /* on disk; paused too */
	bool heard;        /* its hypervisor is connected to our socket */
	bool deaf;         /* found, its console not connected yet: a resume waits for that */
	enum launcher_exit exit;
	struct error error; /* of a crash */
	struct operation *queue;
	unsigned queued;
	struct virt_console *console;
};

struct virt {
	struct launcher launcher;
	uv_loop_t *loop;
	launcher_event_fn on_event;
	void *ctx;
	char *identity, *state_dir;
	char *saved_folder; /* NULL: guests are not kept on disk */
	char prefix[24];    /* of our domains' names */
	struct libvirt_settings settings;
	unsigned capabilities;
	enum domain_type domain_type; /* AUTO until the host is known */
	char type_reason[256], versions[256];

	struct connection *connection;
	uv_async_t mail;
	uv_signal_t children; /* embedded only */
	bool list_asked, listed, connected, flowing, closing, stopped, lost;
	unsigned open_handles, open_consoles;
	struct instance *instances;
	void (*closed)(void *ctx);
	void *closed_ctx;
};

struct instance *instance_find(const struct virt *virt, struct instance_id id);
/* NULL without memory. */
struct instance *instance_add(struct virt *virt, struct instance_id id);
/* Forgets the instance without a word, with its console. */
void instance_remove(struct instance *instance);
int instance_console_open(struct instance *instance, struct error *err);
/* The same for a guest of an earlier life. */
void instance_console_reopen(struct instance *instance);
/* The path of its console's socket, for free(). */
char *instance_console_path(const struct virt *virt, struct instance_id id);

/* Queues an operation and begins it where it is the first; takes over `xml`. */
int instance_ask(struct instance *instance, enum job_type type, char *xml, struct error *err);
/* Begins the first operation where none is under way and the connection is up. */
void instance_advance(struct instance *instance);

/* News of it. */
void instance_job_done(struct instance *instance, struct job *job);
void instance_lifecycle(struct instance *instance, int event, int detail);
void instance_is_absent(struct instance *instance);
/* On its way to disk, or there, as we asked. */
bool instance_is_saved(const struct instance *instance);

void virt_emit(struct virt *virt, struct instance_id id, struct launcher_event event);
/* Frees the launcher, where it is closing and this was the last handle or console. */
void virt_closed_one(struct virt *virt);
void virt_handle_closed(uv_handle_t *handle);
void virt_handles_close(struct virt *virt);
/* Begins a look at the domains: FOUND, EXITED, LISTED and REGAINED come of it. */
void virt_list_domains(struct virt *virt);
/* Takes and handles the connection's messages. */
void virt_on_mail(uv_async_t *async);

#endif

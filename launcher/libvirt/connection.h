/* SPDX-License-Identifier: ISC */
#ifndef LAUNCHER_LIBVIRT_CONNECTION_H
#define LAUNCHER_LIBVIRT_CONNECTION_H

#include <libvirt/libvirt.h>

#include "launcher/libvirt/domain_xml.h"
#include "launcher/libvirt/settings.h"
#include "launcher/libvirt/stream.h"

/*
 * The threads that call libvirt, and what they say to the loop thread.
 *
 * A manager thread looks at the host (KVM), connects, and connects again when the connection is
 * lost. It makes the others: one that runs libvirt's event loop, and the workers, which run jobs.
 * A worker owns its job until it posts it back; nothing else is shared with the loop thread but the
 * queue of messages. Nobody calls libvirt on the loop thread.
 *
 * libvirt has one event loop for a process: so there is one connection at a time in a process.
 */
struct connection;

enum job_type {
	JOB_LIST,
	JOB_START,
	JOB_RESUME,
	JOB_SUSPEND,
	JOB_SHUTDOWN,
	JOB_DESTROY,
	JOB_MARK,
	JOB_CONSOLE,
	JOB_SAVE
};

struct listed_domain {
	struct domain_facts facts;
	bool paused;
	bool busy;  /* libvirt is at work on it: it may be going to disk */
	bool saved; /* on disk (saved.h): not a domain, for now */
};

struct job {
	struct job *next;
	enum job_type type;
	struct instance_id id;
	char name[64];    /* of the domain */
	char *xml;        /* JOB_START; owned */
	bool paused;      /* JOB_START */
	bool stream;      /* JOB_START: its console is none of our sockets */
	bool unheard;     /* JOB_START, JOB_RESUME: its console is to be connected first */
	bool saved;       /* the guest is on disk */
	char *saved_path; /* of its file there; owned */
	bool again;       /* asked before, on a connection that was lost: it may have been done */
	/* results */
	struct error error;         /* code 0: done */
	bool lost;                  /* not known whether it was done: the connection went away */
	bool gone;                  /* there is no such domain (any more) */
	struct listed_domain *list; /* JOB_LIST: domains with our prefix, saved guests; owned */
	size_t count;
};
void job_destroy(struct job *job);

struct job_context {
	const char *identity, *prefix; /* of our domains' names */
	const char *saved_folder;      /* NULL: guests are not kept on disk */
	struct stream_set *streams;
};
/* Blocks. jobs.c */
void job_run(virConnectPtr connection, const struct job_context *context, struct job *job);

enum message_type {
	MESSAGE_HOST_KNOWN,     /* domain_type, text: why */
	MESSAGE_CONNECTED,      /* text: versions */
	MESSAGE_CONNECT_FAILED, /* error; it will be tried again */
	MESSAGE_LOST,
	MESSAGE_LIFECYCLE, /* name, event, detail: as libvirt's */
	MESSAGE_RESET,     /* name: the guest has reset itself; its STOPPED follows */
	MESSAGE_OUTPUT,    /* stream: something of it can be taken */
	MESSAGE_JOB,       /* job, with its results */
	MESSAGE_STOPPED,   /* the last one */
};

struct message {
	struct message *next;
	enum message_type type;
	char name[64], text[256];
	int event, detail;
	enum domain_type domain_type;
	struct error error;
	struct job *job;       /* owned by the receiver */
	struct stream *stream; /* for the receiver to take */
};

struct connection_config {
	const struct libvirt_settings *settings; /* stays as it is until the join */
	const char *identity, *prefix;           /* of our domains' names; likewise */
	const char *saved_folder;                /* likewise; NULL: none are kept on disk */
	/* Any thread: there are messages to take. */
	void (*wake)(void *ctx);
	void *ctx;
};

int connection_start(
	const struct connection_config *config, struct connection **out, struct error *err);
/* Takes over the job; it comes back in a MESSAGE_JOB. */
void connection_submit(struct connection *connection, struct job *job);
/* All messages so far, oldest first; for message_destroy. There are few: each is the result of a job, or one
 * of the handful of events in the life of a guest of ours. */
struct message *connection_take(struct connection *connection);
/* With its job, and what it says of a stream. */
void message_destroy(struct message *message);
/* Returns at once; jobs not begun are dropped. MESSAGE_STOPPED follows, then join is short. */
void connection_stop(struct connection *connection);
void connection_join(struct connection *connection);

#endif

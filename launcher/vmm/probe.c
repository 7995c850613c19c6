/* SPDX-License-Identifier: ISC */
#include "launcher/vmm/vmm.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

/* Has summon-vmm say whether this host can run its guests, and how: a line for each mode, the better
 * one first, which are kept for launcher_ops.describe. It counts as one of those asked by vmm_list(). */

static const char *const modes[] = {"kvm", "process"};
#define MODES (sizeof(modes) / sizeof(modes[0]))

int vmm_mode_parse(const char *name, const char **mode, struct error *err)
{
	*mode = NULL;
	for (size_t i = 0; i < MODES; i++)
		if (strcmp(name, modes[i]) == 0)
			*mode = modes[i];
	return *mode || strcmp(name, "auto") == 0
		       ? 0
		       : error_set(err, -EINVAL, "\"%s\" is not one of auto, kvm, process", name);
}

/* The first mode of which its line says "MODE works: ...". */
static void choose_mode(struct vmm *vmm)
{
	for (const char *line = vmm->facts; line && !vmm->mode; line = strchr(line, '\n')) {
		line += *line == '\n';
		for (size_t i = 0; i < MODES; i++) {
			size_t length = strlen(modes[i]);
			if (strncmp(line, modes[i], length) == 0 &&
				strncmp(line + length, " works:", 7) == 0)
				vmm->mode = modes[i];
		}
	}
	vmm->is_unable = !vmm->mode;
}

static void handle_closed(uv_handle_t *handle)
{
	vmm_handle_closed(handle->data);
}

static void close_once(uv_handle_t *handle)
{
	if (!uv_is_closing(handle))
		uv_close(handle, handle_closed);
}

/* Into what is left of the text; beyond that, into a place where it does not matter. */
static void on_room(uv_handle_t *handle, size_t suggested, uv_buf_t *buffer)
{
	struct vmm *vmm = handle->data;
	(void)suggested;
	*buffer = uv_buf_init(
		vmm->facts + vmm->facts_size, (unsigned)(sizeof(vmm->facts) - 1 - vmm->facts_size));
}

static void on_text(uv_stream_t *stream, ssize_t size, const uv_buf_t *buffer)
{
	struct vmm *vmm = stream->data;
	(void)buffer;
	if (size >= 0) {
		vmm->facts_size += (size_t)size;
		return;
	}
	/* The end, or more than anybody wants to read. */
	choose_mode(vmm);
	close_once((uv_handle_t *)stream);
	vmm_list_answered(vmm);
}

static void on_exit(uv_process_t *process, int64_t status, int signal)
{
	(void)status, (void)signal;
	close_once((uv_handle_t *)process);
}

void vmm_probe(struct vmm *vmm)
{
	char check[] = "--check", mode[32];
	char *words[] = {vmm->monitor, check, vmm->wanted_mode ? mode : NULL, NULL};
	uv_stdio_container_t files[] = {
		{.flags = UV_IGNORE}, {.flags = UV_CREATE_PIPE | UV_WRITABLE_PIPE,
					      .data.stream = (uv_stream_t *)&vmm->probe_pipe}};
	const uv_process_options_t options = {.file = vmm->monitor,
		.args = words,
		.stdio = files,
		.stdio_count = 2,
		.exit_cb = on_exit};
	snprintf(mode, sizeof(mode), "--mode=%s", vmm->wanted_mode ? vmm->wanted_mode : "");
	uv_pipe_init(vmm->loop, &vmm->probe_pipe, 0);
	vmm->probe_pipe.data = vmm->probe.data = vmm;
	vmm->open_handles += 2;
	vmm->asked++;
	int r = uv_spawn(vmm->loop, &vmm->probe, &options);
	if (r == 0)
		r = uv_read_start((uv_stream_t *)&vmm->probe_pipe, on_room, on_text);
	if (r == 0)
		return;
	snprintf(vmm->facts, sizeof(vmm->facts), "cannot be asked: %s", uv_strerror(r));
	vmm->is_unable = true;
	vmm->asked--;
	vmm_probe_close(vmm);
}

void vmm_probe_close(struct vmm *vmm)
{
	if (!vmm->probe.data)
		return;
	if (uv_is_active((uv_handle_t *)&vmm->probe))
		uv_process_kill(&vmm->probe, SIGKILL);
	close_once((uv_handle_t *)&vmm->probe);
	close_once((uv_handle_t *)&vmm->probe_pipe);
}

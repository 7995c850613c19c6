/* SPDX-License-Identifier: ISC */
#include "launcher/vmm/vmm.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/cleanup.h"

int vmm_send(int socket, const struct control_message *message, size_t text_size, const int *fds,
	size_t count)
{
	_Alignas(struct cmsghdr) char room[CMSG_SPACE(CONTROL_FDS_MAX * sizeof(int))] = {0};
	struct iovec part = {
		(void *)(uintptr_t)message, offsetof(struct control_message, text) + text_size};
	struct msghdr packet = {.msg_iov = &part, .msg_iovlen = 1};
	if (count > 0) {
		packet.msg_control = room;
		packet.msg_controllen = CMSG_SPACE(count * sizeof(int));
		struct cmsghdr *c = CMSG_FIRSTHDR(&packet);
		c->cmsg_level = SOL_SOCKET;
		c->cmsg_type = SCM_RIGHTS;
		c->cmsg_len = CMSG_LEN(count * sizeof(int));
		memcpy(CMSG_DATA(c), fds, count * sizeof(int));
	}
	return sendmsg(socket, &packet, MSG_DONTWAIT | MSG_NOSIGNAL) < 0 ? -errno : 0;
}

static int send_boot(
	const struct vmm_guest *guest, const struct vmm_order *order, struct error *err)
{
	struct control_message message = {.type = CONTROL_BOOT};
	const struct {
		int fd;
		unsigned flag;
	} more[] = {{order->initrd, CONTROL_BOOT_INITRD},
		{order->tap, CONTROL_BOOT_TAP | CONTROL_BOOT_TAP_HEADER},
		{order->save ? order->save->file : -1, CONTROL_BOOT_KEEP}};
	int fds[CONTROL_FDS_MAX] = {order->image};
	size_t count = order->image >= 0;
	unsigned flags = order->flags | (count == 0 ? CONTROL_BOOT_LOADED : 0);
	for (size_t i = 0; i < sizeof(more) / sizeof(more[0]); i++)
		if (more[i].fd >= 0) {
			fds[count++] = more[i].fd;
			flags |= more[i].flag;
		}
	struct control_boot head;
	memcpy(message.text, order->text, order->size);
	memcpy(&head, message.text, sizeof(head));
	head.flags = (uint16_t)flags;
	memcpy(message.text, &head, sizeof(head));
	int r = vmm_send(guest->socket, &message, order->size, fds, count);
	return r < 0 ? error_set(err, r, "the monitor does not listen: %s", strerror(-r)) : 0;
}

/* The name, by which a later daemon finds the guest, comes while it boots already. One that dies in
 * between leaves a guest that has a shell's name, which ends it: vmm_shells_sweep(). */
static int boot(struct vmm_guest *guest, struct instance_id id, const struct vmm_order *order,
	struct error *err)
{
	struct sockaddr_un from, to;
	int r = vmm_shell_address(guest->vmm, guest->number, &from, err);
	if (r == 0)
		r = vmm_socket_address(guest->vmm, id, &to, err);
	if (r < 0)
		return r;
	r = send_boot(guest, order, err);
	if (r == 0)
		r = vmm_record_tap(guest->vmm, id, order->tap_name, err);
	if (r == 0 && rename(from.sun_path, to.sun_path) < 0)
		r = error_set(err, -errno, "%s: %s", to.sun_path, strerror(errno));
	if (r < 0)
		vmm_names_remove(guest->vmm, id);
	else
		memcpy(guest->tap, order->tap_name, sizeof(guest->tap));
	return r;
}

static void adopt(struct vmm_guest *shell, struct instance_id id, struct vmm_order *order)
{
	vmm_guest_adopt(shell, id);
	shell->making = STEAL_POINTER(order->save);
	if (shell->making)
		shell->making->id = id;
}

static void end(struct vmm_guest *shell)
{
	shell->is_unfit = true;
	vmm_guest_kill(shell);
}

int vmm_boot_loaded(
	struct vmm_guest *shell, struct instance_id id, struct vmm_order *order, struct error *err)
{
	int r = boot(shell, id, order, err);
	if (r == 0)
		adopt(shell, id, order);
	else
		end(shell);
	return r;
}

/* A shell that has died unseen is passed over. A new one that has died already is the guest all the
 * same: why it did is on its way, and becomes the guest's end. */
struct vmm_guest *vmm_boot(
	struct vmm *vmm, struct instance_id id, struct vmm_order *order, struct error *err)
{
	struct error why = ERROR_INIT;
	bool ready = true;
	while (ready) {
		struct vmm_guest *shell = vmm_shell_take(vmm, order->memory, &ready, &why);
		if (!shell)
			break;
		int r = boot(shell, id, order, &why);
		if (r == 0 || (!ready && (r == -EPIPE || r == -ECONNRESET))) {
			adopt(shell, id, order);
			return shell;
		}
		end(shell);
	}
	error_set(err, why.code, "%s", why.message);
	return NULL;
}

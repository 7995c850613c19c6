/* SPDX-License-Identifier: ISC */
#include "tests/backend/harness.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/cleanup.h"
#ifdef HAVE_LIBVIRT
#include <libvirt/libvirt.h>

#include "launcher/libvirt/probe.h"
#endif
#include "tests/backend/libvirtd.h"

#define SETTINGS(list) .settings = list, .setting_count = sizeof(list) / sizeof(list[0])

/* ---- sim ---- */

static const char *sim_unable(enum task task)
{
	return task == TASK_FLOOD ? "its guests print one line only" : NULL;
}

static void sim_spec(enum task task, struct guest_spec *spec)
{
	static const char *const words[TASK_COUNT] = {
		[TASK_READY] = "",
		[TASK_SILENT] = "sim.fail=ready",
		[TASK_OFF] = "sim.boot_delay=1ms sim.off_after=8ms",
		[TASK_OBEY] = "sim.shutdown_delay=3ms",
		[TASK_CRASH] = "sim.boot_delay=1ms sim.die_after=8ms",
		[TASK_FAIL] = "sim.fail=start",
	};
	spec->kernel = task == TASK_MISSING ? "/nowhere/no-such-kernel" : places.guest_image;
	spec->cmdline = words[task] ? words[task] : "";
}

static const struct launcher_setting sim_quick[] = {{"boot_delay", "5ms"}, {"jitter", "50"}};
static const struct launcher_setting sim_kept[] = {
	{"persist", "yes"}, {"boot_delay", "5ms"}, {"suspend_delay", "0"}, {"create_delay", "0"}};
static const struct launcher_setting sim_poor[] = {{"capabilities", "none"}};

/* ---- guests that run: libvirt's, Xen's and summon-vmm's ---- */

#if defined(HAVE_LIBVIRT) || defined(HAVE_VMM) || defined(HAVE_LIBXL)
static const char *nothing_unable(enum task task)
{
	(void)task;
	return NULL;
}

/* A kernel that is none: the hypervisor ends at once. */
static const char *garbage(void)
{
	static char path[128];
	snprintf(path, sizeof(path), "%s/garbage", places.state_dir);
	FILE *file = fopen(path, "we");
	if (file) {
		fputs("this is no kernel", file);
		fclose(file);
	}
	return path;
}

static void run_spec(enum task task, struct guest_spec *spec)
{
	static const char *const words[TASK_COUNT] = {
		[TASK_READY] = "guest.do=ready",
		[TASK_SILENT] = "guest.do=silent",
		[TASK_FLOOD] = "guest.do=flood",
		[TASK_OFF] = "guest.do=off",
		[TASK_OBEY] = "guest.do=button",
		[TASK_CRASH] = "guest.do=crash",
	};
	spec->cmdline = words[task] ? words[task] : "";
	spec->kernel = task == TASK_MISSING ? "/nowhere/no-such-kernel"
		       : task == TASK_FAIL  ? garbage()
					    : places.guest_image;
}

#endif

#ifdef HAVE_LIBXL
/* In the lab (tests/xen) summon-xl is elsewhere. */
static char xl_path[256] = SUMMON_XL;
static const struct launcher_setting xl_here[] = {{"helper", xl_path}};

static const char *xen_absent(void)
{
	return access("/proc/xen/privcmd", R_OK | W_OK) < 0 ? "this is no dom0 of Xen's" : NULL;
}

/* What is the same with guests on disk and without. */
#define XL_PVH                                                                                     \
	.backend = "libxl", SETTINGS(xl_here), .absent = xen_absent, .unable = nothing_unable,     \
	.spec = run_spec, .murder = xl_murder, .prepare = xl_prepare, .service_start = xl_works,   \
	.service_kill = xl_kill, .random_steps = 40, .crowd = 4, .kill_rounds = 3

static const char *pv_unable(enum task task)
{
	return task == TASK_OBEY ? "its guests know nothing of xenstore" : NULL;
}

static void xl_prepare(void)
{
	if (getenv("SUMMON_XL"))
		snprintf(xl_path, sizeof(xl_path), "%s", getenv("SUMMON_XL"));
}

/* Somebody else destroys the domain. Only ours are there. */
static void xl_murder(struct instance_id id)
{
	char command[256];
	snprintf(command, sizeof(command),
		"xl destroy $(xl list | sed -n 's/^\\(summond-[0-9a-f]*-%u-%u\\) .*/\\1/p')",
		id.slot, id.generation);
	if (system(command) != 0)
		print_message("# no domain to destroy\n");
}

static bool xl_works(void)
{
	return true;
}

/* The helper, which is the child of ours that is called so. */
static void xl_kill(void)
{
	CLEANUP(closedir) DIR *proc = opendir("/proc");
	for (struct dirent *entry; proc && (entry = readdir(proc));) {
		char path[sizeof(entry->d_name) + 16];
		int pid = 0, parent = 0;
		snprintf(path, sizeof(path), "/proc/%s/stat", entry->d_name);
		CLEANUP(fclose)
		FILE *file = entry->d_name[0] >= '1' && entry->d_name[0] <= '9' ? fopen(path, "re")
										: NULL;
		if (file && fscanf(file, "%d (summon-xl) %*c %d", &pid, &parent) == 2 &&
			parent == getpid())
			kill(pid, SIGKILL);
	}
}
#endif

#ifdef HAVE_VMM
/* Whoever listens on the guest's socket is its monitor. */
static void vmm_murder(struct instance_id id)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	struct ucred peer = {0};
	socklen_t size = sizeof(peer);
	snprintf(address.sun_path, sizeof(address.sun_path), "%s/a1b2c3d4e5f60718-%u-%u.sock",
		places.state_dir, id.slot, id.generation);
	CLEANUP(close) int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
	if (connect(fd, (struct sockaddr *)&address, sizeof(address)) == 0 &&
		getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &size) == 0 && peer.pid > 1)
		kill(peer.pid, SIGKILL);
}

/* What summon-vmm says of a mode that does not work; NULL where it works. */
static const char *vmm_refusal(const char *command)
{
	static char line[256];
	FILE *output = popen(command, "re");
	bool said = output && fgets(line, sizeof(line), output);
	bool works = output && pclose(output) == 0;
	line[strcspn(line, "\n")] = '\0';
	return works ? NULL : said ? line : "summon-vmm does not run";
}

static const char *vmm_absent(void)
{
	return vmm_refusal(SUMMON_VMM " --check --mode=kvm");
}

static const char *vmm_process_absent(void)
{
	return vmm_refusal(SUMMON_VMM " --check --mode=process");
}

static const struct launcher_setting vmm_here[] = {{"monitor", SUMMON_VMM}, {"mode", "kvm"}};
static const struct launcher_setting vmm_process[] = {{"monitor", SUMMON_VMM}, {"mode", "process"}};
#endif

#ifdef HAVE_LIBVIRT
/* A domain of the user's own, with a console that only libvirt can bring us. */
static void pty_spec(enum task task, struct guest_spec *spec)
{
	run_spec(task, spec);
	spec->domain_xml = "<domain type='qemu'><memory unit='KiB'>{memory_kib}</memory>"
			   "<vcpu>{vcpus}</vcpu><os><type machine='microvm'>hvm</type>"
			   "<kernel>{kernel}</kernel><cmdline>{cmdline}</cmdline></os>"
			   "<features><acpi/></features><devices>"
			   "<controller type='usb' model='none'/><serial type='pty'/>"
			   "<memballoon model='none'/></devices></domain>";
}

static void murder_in(const char *folder, struct instance_id id)
{
	char path[256];
	int pid = 0;
	snprintf(path, sizeof(path), "%s/%s/summond-a1b2c3d4-%u-%u.pid", places.state_dir, folder,
		id.slot, id.generation);
	CLEANUP(fclose) FILE *file = fopen(path, "re");
	if (file && fscanf(file, "%d", &pid) == 1 && pid > 1)
		kill(pid, SIGKILL);
}

static void embed_murder(struct instance_id id)
{
	murder_in("libvirt/run/qemu", id);
}

static void daemon_murder(struct instance_id id)
{
	murder_in(LIBVIRTD_PIDS, id);
}

static char daemon_uri[160];

/* As another client of the daemon's. */
static void daemon_save(const char *domain, const char *path)
{
	virConnectPtr connection = virConnectOpen(daemon_uri);
	assert_non_null(connection);
	virDomainPtr found = virDomainLookupByName(connection, domain);
	assert_non_null(found);
	assert_int_equal(virDomainSave(found, path), 0);
	virDomainFree(found);
	virConnectClose(connection);
}

static const struct launcher_setting daemon_settings[] = {
	{"uri", daemon_uri}, {"domain_type", "qemu"}};

static void daemon_prepare(void)
{
	libvirtd_uri(daemon_uri, sizeof(daemon_uri));
}

/* libvirt's own pretence of a hypervisor: its guests have no console and do nothing. */
static const char *test_unable(enum task task)
{
	static const char *const reasons[TASK_COUNT] = {
		[TASK_FLOOD] = "its guests have no console",
		[TASK_OFF] = "its guests do nothing by themselves",
		[TASK_CRASH] = "its guests do nothing by themselves",
		[TASK_FAIL] = "its starts do not fail",
	};
	return reasons[task];
}

static void test_spec(enum task task, struct guest_spec *spec)
{
	spec->kernel = task == TASK_MISSING ? "/nowhere/no-such-kernel" : places.guest_image;
	spec->domain_xml = "<domain type='test'><memory unit='KiB'>{memory_kib}</memory>"
			   "<vcpu>{vcpus}</vcpu><os><type>hvm</type></os></domain>";
}

static const struct launcher_setting test_driver[] = {{"uri", "test:///default"}};
static const struct launcher_setting embed_tcg[] = {{"domain_type", "qemu"}};
static const struct launcher_setting embed_late[] = {
	{"domain_type", "qemu"}, {"emulator", QEMU_LATE}};
static const struct launcher_setting embed_kvm[] = {{"domain_type", "kvm"}};

static const char *kvm_absent(void)
{
	static struct error err;
	return kvm_probe(&err) < 0 ? err.message : NULL;
}
#endif

const struct subject subjects[] = {
	{.name = "sim",
		.backend = "sim",
		SETTINGS(sim_quick),
		.unable = sim_unable,
		.spec = sim_spec,
		.random_steps = 400},
	{.name = "sim-persist",
		.backend = "sim",
		SETTINGS(sim_kept),
		.unable = sim_unable,
		.spec = sim_spec,
		.random_steps = 400},
	{.name = "sim-poor",
		.backend = "sim",
		SETTINGS(sim_poor),
		.unable = sim_unable,
		.spec = sim_spec,
		.random_steps = 200},
#ifdef HAVE_LIBXL
	{.name = "libxl", XL_PVH, .kill_step_ms = 120, .without = LAUNCHER_CAN_SNAPSHOT},
	/* Without hardware virtualisation a PVH domain takes 7 s to save. */
	{.name = "libxl-disk", XL_PVH, .kill_step_ms = 2500},
	{.name = "libxl-pv",
		.backend = "libxl",
		SETTINGS(xl_here),
		.absent = xen_absent,
		.unable = pv_unable,
		.spec = run_spec,
		.murder = xl_murder,
		.prepare = xl_prepare,
		.random_steps = 40},
#endif
#ifdef HAVE_VMM
	{.name = "vmm",
		.backend = "vmm",
		SETTINGS(vmm_here),
		.absent = vmm_absent,
		.unable = nothing_unable,
		.spec = run_spec,
		.murder = vmm_murder,
		.random_steps = 200},
	{.name = "vmm-process",
		.backend = "vmm",
		SETTINGS(vmm_process),
		.absent = vmm_process_absent,
		.unable = nothing_unable,
		.spec = run_spec,
		.murder = vmm_murder,
		.random_steps = 200},
#endif
#ifdef HAVE_LIBVIRT
	{.name = "libvirt-embed",
		.backend = "libvirt",
		SETTINGS(embed_tcg),
		.unable = nothing_unable,
		.spec = run_spec,
		.murder = embed_murder,
		.random_steps = 60},
	{.name = "libvirt-kvm",
		.backend = "libvirt",
		SETTINGS(embed_kvm),
		.absent = kvm_absent,
		.unable = nothing_unable,
		.spec = run_spec,
		.murder = embed_murder,
		.random_steps = 60},
	{.name = "libvirt-auto",
		.backend = "libvirt",
		.unable = nothing_unable,
		.spec = run_spec,
		.murder = embed_murder,
		.random_steps = 60},
	/* Of these, only what a console that is connected late can change (meson.build). */
	{.name = "libvirt-late",
		.backend = "libvirt",
		SETTINGS(embed_late),
		.unable = nothing_unable,
		.spec = run_spec,
		.murder = embed_murder,
		.kill_step_ms = 100},
	{.name = "libvirt-pty",
		.backend = "libvirt",
		SETTINGS(embed_tcg),
		.unable = nothing_unable,
		.spec = pty_spec,
		.murder = embed_murder,
		.random_steps = 60},
	{.name = "libvirtd",
		.backend = "libvirt",
		SETTINGS(daemon_settings),
		.unable = nothing_unable,
		.spec = run_spec,
		.murder = daemon_murder,
		.save = daemon_save,
		.prepare = daemon_prepare,
		.service_start = libvirtd_start,
		.service_kill = libvirtd_kill,
		.random_steps = 60},
	{.name = "libvirt-test",
		.backend = "libvirt",
		SETTINGS(test_driver),
		.unable = test_unable,
		.spec = test_spec,
		.random_steps = 200},
#endif
	{.name = NULL},
};

const struct subject *subject_find(const char *name)
{
	for (const struct subject *subject = subjects; subject->name; subject++)
		if (strcmp(subject->name, name) == 0)
			return subject;
	return NULL;
}

# SPDX-License-Identifier: ISC
"""What can be measured: each case is a tier of a service on one daemon's settings."""
import io
import tarfile
from dataclasses import dataclass, field

from clients import PAGE

# The start and retirement of a policy, and the state in which a service then waits.
TIERS = {
    "cold": ({"start": "cold", "retire": "destroy"}, "asleep"),
    "prepared": ({"start": "prepared", "retire": "destroy"}, "prepared"),
    "suspended": ({"start": "suspended", "retire": "suspend"}, "suspended"),
    "restored": ({"start": "snapshot", "retire": "snapshot"}, "suspended"),
    "snapshot": ({"start": "snapshot", "retire": "destroy"}, None),
}


@dataclass
class Case:
    about: str
    backend: str
    tier: str
    settings: dict = field(default_factory=dict)  # of the backend, beside its own
    cmdline: str = ""
    policy: dict = field(default_factory=dict)  # beside the tier's

    def daemon(self):
        """Cases with the same one share a daemon."""
        return self.backend, tuple(sorted(self.settings.items()))


NO_SHELL = {"mode": "kvm", "shells": 0}
KVM = {"mode": "kvm"}
PROCESS = {"mode": "process"}
SHELL = {"shells": "1"}  # which has loaded what the service begins with
WORK = "work=500ms"  # what the guest does before it is ready

CASES = {
    "cold": Case("summon-vmm under KVM, from nothing", "vmm", "cold", NO_SHELL),
    "shell": Case("with a shell kept ready for it", "vmm", "cold", KVM, policy=SHELL),
    "snapshot": Case("from the snapshot of a ready guest, likewise", "vmm", "snapshot", KVM, policy=SHELL),
    "prepared": Case("created, never booted", "vmm", "prepared", KVM),
    "suspended": Case("booted, paused", "vmm", "suspended", KVM),
    "restored": Case("booted, its memory on disk", "vmm", "restored", KVM),
    "working shell": Case("a guest that works 500 ms before it is ready", "vmm", "cold", KVM, WORK, SHELL),
    "working snapshot": Case("the same from its snapshot", "vmm", "snapshot", KVM, WORK, SHELL),
    "process cold": Case("without KVM, from nothing", "vmm", "cold", {**PROCESS, "shells": 0}),
    "process shell": Case("without KVM, with a shell kept ready for it", "vmm", "cold", PROCESS, policy=SHELL),
    "process prepared": Case("without KVM: created, never booted", "vmm", "prepared", PROCESS),
    "process suspended": Case("without KVM: booted, paused", "vmm", "suspended", PROCESS),
    "libvirt cold": Case("libvirt and QEMU", "libvirt", "cold"),
    "libvirt prepared": Case("libvirt: created, never booted", "libvirt", "prepared"),
    "libvirt suspended": Case("libvirt: booted, paused", "libvirt", "suspended"),
    "libvirt restored": Case("libvirt: on disk", "libvirt", "restored"),
}


def tar():
    data = io.BytesIO()
    with tarfile.open(fileobj=data, mode="w", format=tarfile.USTAR_FORMAT) as archive:
        info = tarfile.TarInfo("index.html")
        info.size = len(PAGE)
        archive.addfile(info, io.BytesIO(PAGE))
    return data.getvalue()


def put_site(summond, name, policy, cmdline=""):
    """One site of one page, resting as its policy says."""
    summond.call("PUT", f"/v1/services/{name}/site", tar())
    service = summond.service(name)
    words = {"cmdline": cmdline} if cmdline else {}
    summond.add(name, image=service["image"], initrd=service["initrd"], policy=policy, **words)

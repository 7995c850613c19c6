#!/usr/bin/python3
# SPDX-License-Identifier: ISC
"""A real Xen with a real dom0 under QEMU, without hardware virtualisation and without root.

usage: lab.py [--cache DIR] [--limit SECONDS] [--file FROM=TO]... [--program FROM=TO]...
              [--guests] RUN
       lab.py --shell SOCKET [--cache DIR] [--file ...] [--program ...]

Fetches Debian's packages of Xen, Linux and BusyBox (once: into DIR), makes a kernel and an
initramfs of them, boots, runs the shell script RUN in dom0 and passes on what it writes. A program
is taken with the libraries it needs. The status is the script's; where the lab itself fails (no
closing line comes), it is tried once more, and then the status is 3.

--guests: dom0 has kernels of others for domains: a Linux, /lab/linux/vmlinux and /lab/linux/initrd;
GRUB as Debian builds it for PV and PVH, /lab/grub.pv and /lab/grub.pvh.
--shell: dom0 runs a shell on a unix socket instead, until it is left, and it can reach the host."""
import argparse
import glob
import gzip
import os
import re
import shutil
import socket
import subprocess
import sys
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(os.path.dirname(HERE), 'lab'))
import debian  # noqa: E402
import machine  # noqa: E402
from debian import LabError  # noqa: E402

XEN = '4.17'
PACKAGES = [
    f'xen-hypervisor-{XEN}-amd64', f'xen-utils-{XEN}', 'xen-utils-common', 'xenstore-utils',
    f'libxenmisc{XEN}', 'libxencall1', 'libxendevicemodel1', 'libxenevtchn1',
    'libxenforeignmemory1', 'libxengnttab1', 'libxenhypfs1', 'libxenstore4', 'libxentoolcore1',
    'libxentoollog1', 'libyajl2', 'busybox-static', 'grub-xen-host']
# In the order in which they need each other.
MODULES = [
    'drivers/xen/xen-evtchn', 'drivers/xen/xen-privcmd', 'drivers/xen/xen-gntdev',
    'drivers/xen/xen-gntalloc', 'drivers/xen/xenfs/xenfs', 'net/llc/llc', 'net/802/stp',
    'net/bridge/bridge', 'drivers/net/tun', 'drivers/net/veth', 'drivers/block/loop',
    'drivers/net/xen-netback/xen-netback',
    'drivers/block/xen-blkback/xen-blkback', 'drivers/net/ethernet/intel/e1000/e1000']
# Of a Linux that dom0 starts.
GUEST_MODULES = ['drivers/net/xen-netfront', 'drivers/block/xen-blkfront']
# What dom0 has besides BusyBox: programs of the packages, and of this machine.
XEN_PROGRAMS = ['xl', 'xenstored', 'xenconsoled', 'xenconsole', 'xen-init-dom0',
                'libxl-save-helper']
XENSTORE_PROGRAMS = ['read', 'write', 'ls', 'list', 'rm', 'watch', 'exists', 'chmod']
HOST_PROGRAMS = ['/bin/bash', '/bin/ip', '/usr/bin/flock', '/usr/bin/stat', '/sbin/bridge']
FOLDERS = ['proc', 'sys', 'dev', 'run', 'tmp', 'var/log/xen/console', 'var/lib/xen/dump', 'lab',
           'var/lib/xenstored', 'etc/xen']

QEMU = machine.qemu('qemu64,+svm,+npt,+rdrand', '2G')
# Lazily switched FPU state gets lost between domains under TCG; "no-real-mode": QEMU multiboots Xen.
XEN_LINE = ('console=com1 com1=115200,8n1 dom0_mem=640M,max:640M dom0_max_vcpus=1 '
            'loglvl=warning guest_loglvl=warning no-real-mode spec-ctrl=eager-fpu')
DOM0_LINE = 'console=hvc0 quiet panic=-1'
# This machine is 10.0.2.2 to dom0, which has 10.0.2.15 if it gives that to eth0.
NETWORK = 'user,model=e1000,restrict=on'


# ---- images ----

def make_xen(packages, out):
    with gzip.open(packages.path(f'boot/xen-{XEN}-amd64.gz')) as packed, open(out, 'wb') as file:
        shutil.copyfileobj(packed, file)


class Initramfs:
    """dom0's whole system."""

    def __init__(self, packages):
        self.packages = packages
        self.archive = debian.Archive()
        self.libraries = [packages.path('usr/lib/x86_64-linux-gnu'),
                          packages.path(f'usr/lib/xen-{XEN}/lib')]
        # dlopened by pthread_cancel(): without it a program that cancels a thread aborts.
        self.library('/lib/x86_64-linux-gnu/libgcc_s.so.1')

    def library(self, path):
        self.archive.file('lib/x86_64-linux-gnu/' + os.path.basename(path), path)

    def program(self, source, target):
        """A program and its libraries: the packages' before this machine's."""
        self.archive.file(target, source)
        result = subprocess.run(
            ['ldd', source], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
            check=False, env={**os.environ, 'LD_LIBRARY_PATH': ':'.join(self.libraries)})
        for line in result.stdout.splitlines():
            if found := re.search(r'(?:=>\s*|^\s*)(/\S*)', line):
                path = found.group(1)
                if 'ld-linux' in path:
                    self.archive.file('lib64/ld-linux-x86-64.so.2', path)
                else:
                    self.library(path)
            elif 'not found' in line:
                raise LabError(f'{source}: {line.strip()}')

    def base(self):
        for folder in FOLDERS:
            self.archive.folder(folder)
        self.archive.busybox(self.packages)
        self.archive.link('usr/bin/env', '/bin/busybox')
        for path in HOST_PROGRAMS:
            self.program(os.path.realpath(path), 'sbin/' + os.path.basename(path))
        self.archive.link('bin/bash', '/sbin/bash')
        self.archive.link('var/run', '../run')
        self.archive.link('var/lock', '../run/lock')
        self.archive.data('etc/passwd', b'root:x:0:0:root:/:/bin/sh\n', 0o644)
        self.archive.data('etc/group', b'root:x:0:\n', 0o644)
        self.archive.data('bin/logger', b'#!/bin/sh\nexit 0\n')
        self.archive.file('init', os.path.join(HERE, 'init'))
        self.xen()
        self.archive.modules(self.packages, MODULES)

    def xen(self):
        helpers = f'usr/lib/xen-{XEN}/bin/'
        for name in XEN_PROGRAMS:
            self.program(self.packages.path(helpers + name), helpers + name)
            self.archive.link('sbin/' + name, '/' + helpers + name)
        for name in XENSTORE_PROGRAMS:
            self.program(self.packages.path('usr/bin/xenstore-' + name), 'usr/bin/xenstore-' + name)
        for path in glob.glob(self.packages.path('etc/xen/scripts/*')):
            self.archive.file('etc/xen/scripts/' + os.path.basename(path), path)

    def guests(self, kernel):
        self.linux_guest(kernel)
        for name, target in (('x86_64-xen', 'pv'), ('i386-xen_pvh', 'pvh')):
            self.archive.file(f'lab/grub.{target}', self.packages.path(f'usr/lib/grub-xen/grub-{name}.bin'))

    def linux_guest(self, kernel):
        """Debian's kernel and an initramfs, for a domain."""
        self.archive.file('lab/linux/vmlinux', kernel)
        guest = debian.Archive()
        for folder in ('proc', 'sys', 'dev', 'bin'):
            guest.folder(folder)
        guest.busybox(self.packages)
        # Xen's wish to shut down comes as the kernel's call of this.
        guest.data('sbin/poweroff', b'#!/bin/sh\nexec /bin/busybox poweroff -f\n')
        guest.file('init', os.path.join(HERE, 'linux-init'))
        guest.modules(self.packages, GUEST_MODULES, '.ko')
        with tempfile.TemporaryDirectory() as folder:
            guest.write(folder + '/initrd')
            self.archive.file('lab/linux/initrd', folder + '/initrd')


class Images:
    def __init__(self, cache):
        self.packages = debian.Packages(cache, PACKAGES, MODULES + GUEST_MODULES)
        self.xen = os.path.join(cache, 'xen.elf')
        self.linux = os.path.join(cache, 'vmlinux')

    def make(self):
        debian.make_once(self.packages, {self.xen: make_xen, self.linux: debian.make_linux})

    def make_initramfs(self, out, options, script):
        system = Initramfs(self.packages)
        system.base()
        for pair in options.program:
            source, target = pair.split('=', 1)
            system.program(source, target)
        for pair in options.file:
            source, target = pair.split('=', 1)
            system.archive.file(target, source)
        if options.guests:
            system.guests(self.linux)
        system.archive.data('lab/run', script.encode())
        system.archive.write(out)


# ---- the machine ----

def command_line(images, initramfs, network):
    modules = f'{images.linux} {DOM0_LINE},{initramfs}'
    return [*QEMU, '-kernel', images.xen, '-initrd', modules, '-append', XEN_LINE, '-nic', network]


def free_port():
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.bind(('127.0.0.1', 0))
        return probe.getsockname()[1]


def forwarded(ways, ports):
    """QEMU's words for TCP ports of this machine that lead into the lab: "10.0.2.15:53" each. Their
    numbers go to `ports`, for this boot. (Of UDP it would drop the answers, with restrict=on.)"""
    for way in ways:
        ports[way] = free_port()
    return ''.join(f',hostfwd=tcp:127.0.0.1:{ports[way]}-{way}' for way in ways)


def attempt(images, options, script, emit):
    """Runs the script in the lab, which is tried twice; its status."""
    with tempfile.TemporaryDirectory(prefix='summond-xen-') as folder:
        initramfs = os.path.join(folder, 'dom0.cpio')
        images.make_initramfs(initramfs, options, script)

        def boot_once(deadline):
            network = NETWORK + forwarded(options.forward, options.ports)
            command = command_line(images, initramfs, network)
            return machine.boot(command, folder + '/console', deadline, emit)
        return machine.try_twice(boot_once, options.limit, emit)


def shell(images, options):
    """A machine with a shell in dom0, on a socket; for trying things."""
    script = 'exec setsid sh -i </dev/ttyS1 >/dev/ttyS1 2>&1\n'
    folder = os.path.dirname(os.path.abspath(options.shell))
    initramfs = os.path.join(folder, 'dom0.cpio')
    images.make_initramfs(initramfs, options, script)
    command = command_line(images, initramfs, 'user,model=e1000')
    command += ['-serial', f'file:{folder}/console', '-serial', f'unix:{options.shell},server,wait=off']
    os.execvp(command[0], command)


def parse(arguments):
    parser = argparse.ArgumentParser(usage=__doc__.split('\n\n')[1])
    parser.add_argument('--cache', default=os.path.expanduser('~/.cache/summond-xen-lab'))
    parser.add_argument('--limit', type=float, default=400)
    parser.add_argument('--file', action='append', default=[])
    parser.add_argument('--program', action='append', default=[])
    parser.add_argument('--guests', action='store_true')
    parser.add_argument('--shell')
    parser.add_argument('run', nargs='?')
    parser.add_argument('--forward', action='append', default=[], metavar='ADDRESS:PORT')
    parser.set_defaults(ports={})
    options = parser.parse_args(arguments)
    if bool(options.shell) == bool(options.run):
        parser.error('either a script, or --shell')
    return options


def main():
    options = parse(sys.argv[1:])
    images = Images(os.path.abspath(options.cache))
    try:
        images.make()
        if options.shell:
            shell(images, options)
        with open(options.run, encoding='utf-8') as file:
            return attempt(images, options, file.read(), lambda line: print(line, flush=True))
    except LabError as why:
        print(f'lab: {why}', file=sys.stderr)
        return 3


if __name__ == '__main__':
    sys.exit(main())

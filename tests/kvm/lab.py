#!/usr/bin/python3
# SPDX-License-Identifier: ISC
"""A Linux with an ordinary KVM under QEMU, which emulates AMD's SVM with nested paging; without root.

usage: lab.py [--cache DIR] [--limit SECONDS] [--cpu CPU] [--folder DIR]... RUN
       lab.py --shell SOCKET [--cache DIR] [--cpu CPU] [--folder DIR]...

Fetches Debian's packages of Linux and BusyBox (once: into DIR), boots this kernel with the files of this
machine, which it can only read, runs the shell script RUN there and passes on what it writes. What this
machine changes as it runs (/tmp, /run, /dev, ...) is the lab's own; of that, a --folder is seen all the
same. The status is the script's; where the lab itself fails (no closing line comes), it is tried once
more, and then the status is 3.

--cpu: as qemu-system-x86_64 -cpu knows it. --shell: runs a shell on a unix socket instead, until it is
left."""
import argparse
import os
import sys
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(os.path.dirname(HERE), 'lab'))
import debian  # noqa: E402
import machine  # noqa: E402

PACKAGES = ['busybox-static']
# In the order in which they need each other.
MODULES = [
    'drivers/virtio/virtio_ring', 'drivers/virtio/virtio', 'drivers/virtio/virtio_pci_legacy_dev',
    'drivers/virtio/virtio_pci_modern_dev', 'drivers/virtio/virtio_pci', 'fs/netfs/netfs',
    'fs/fscache/fscache', 'net/9p/9pnet', 'net/9p/9pnet_virtio', 'fs/9p/9p', 'net/llc/llc', 'net/802/stp',
    'net/bridge/bridge', 'drivers/net/tun', 'drivers/net/veth', 'net/unix/unix_diag',
    'virt/lib/irqbypass', 'arch/x86/kvm/kvm', 'drivers/crypto/ccp/ccp', 'arch/x86/kvm/kvm-amd']
CPU = 'max'  # all that TCG knows, SVM with it
LINE = 'console=ttyS0 quiet panic=-1'
# All of this machine is one read-only file system to the lab, though it has several.
FILES = 'local,path=/,mount_tag=machine,security_model=none,readonly=on,multidevs=remap'
SHELL = 'exec setsid sh -i </dev/ttyS1 >/dev/ttyS1 2>&1\n'


class Images:
    def __init__(self, cache):
        self.packages = debian.Packages(cache, PACKAGES, MODULES)
        self.linux = os.path.join(cache, 'vmlinux')

    def make(self):
        debian.make_once(self.packages, {self.linux: debian.make_linux})

    def make_initramfs(self, out, folders, script):
        archive = debian.Archive()
        for folder in ('proc', 'sys', 'dev', 'machine'):
            archive.folder(folder)
        archive.busybox(self.packages)
        archive.modules(self.packages, MODULES)
        archive.file('init', os.path.join(HERE, 'init'))
        archive.data('lab/run', script.encode())
        archive.data('lab/folders', ''.join(os.path.abspath(folder) + '\n' for folder in folders).encode())
        archive.write(out)


def command_line(images, initramfs, cpu):
    return [*machine.qemu(cpu, '1G'), '-kernel', images.linux, '-initrd', initramfs, '-append', LINE,
            '-virtfs', FILES]


def attempt(images, options, script, emit):
    """Runs the script in the lab, which is tried twice; its status."""
    with tempfile.TemporaryDirectory(prefix='summond-kvm-') as folder:
        initramfs = os.path.join(folder, 'initramfs')
        images.make_initramfs(initramfs, options.folder, script)
        command = command_line(images, initramfs, options.cpu)
        return machine.try_twice(
            lambda deadline: machine.boot(command, folder + '/console', deadline, emit), options.limit, emit)


def shell(images, options):
    """A machine with a shell on a socket; for trying things."""
    folder = os.path.dirname(os.path.abspath(options.shell))
    initramfs = os.path.join(folder, 'initramfs')
    images.make_initramfs(initramfs, options.folder, SHELL)
    command = command_line(images, initramfs, options.cpu)
    command += ['-serial', f'file:{folder}/console', '-serial', f'unix:{options.shell},server,wait=off']
    os.execvp(command[0], command)


def parse(arguments):
    parser = argparse.ArgumentParser(usage=__doc__.split('\n\n')[1])
    parser.add_argument('--cache', default=os.path.expanduser('~/.cache/summond-kvm-lab'))
    parser.add_argument('--limit', type=float, default=400)
    parser.add_argument('--cpu', default=CPU)
    parser.add_argument('--folder', action='append', default=[])
    parser.add_argument('--shell')
    parser.add_argument('run', nargs='?')
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
    except debian.LabError as why:
        print(f'lab: {why}', file=sys.stderr)
        return 3


if __name__ == '__main__':
    sys.exit(main())

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
import lzma
import os
import re
import selectors
import shutil
import socket
import stat
import subprocess
import sys
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
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

QEMU = ['qemu-system-x86_64', '-accel', 'tcg,thread=multi', '-cpu',
        'qemu64,+svm,+npt,+rdrand', '-m', '2G', '-smp', '1', '-machine', 'q35', '-display',
        'none', '-vga', 'none', '-nodefaults', '-no-user-config', '-no-reboot', '-monitor', 'none']
# Lazily switched FPU state gets lost between domains under TCG; "no-real-mode": QEMU multiboots Xen.
XEN_LINE = ('console=com1 com1=115200,8n1 dom0_mem=640M,max:640M dom0_max_vcpus=1 '
            'loglvl=warning guest_loglvl=warning no-real-mode spec-ctrl=eager-fpu')
DOM0_LINE = 'console=hvc0 quiet panic=-1'
# This machine is 10.0.2.2 to dom0, which has 10.0.2.15 if it gives that to eth0.
NETWORK = 'user,model=e1000,restrict=on'
READY_LIMIT = 90  # seconds from QEMU's start until dom0 is ready


class LabError(Exception):
    """The lab failed, not what runs in it."""


def run(command, **options):
    """A command's output; a LabError with its last words where it fails."""
    result = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                            errors='replace', check=False, **options)
    if result.returncode != 0:
        raise LabError(f'{" ".join(command[:4])}: {result.stdout[-600:].strip()}')
    return result.stdout


# ---- packages ----

class Packages:
    """Debian's packages, unpacked into the cache; apt's state of our own, so that no root is needed."""

    def __init__(self, cache):
        self.cache = cache
        self.root = os.path.join(cache, 'root')
        self.options = []

    def _own_lists(self):
        lists = os.path.join(self.cache, 'apt')
        os.makedirs(os.path.join(lists, 'lists/partial'), exist_ok=True)
        os.makedirs(os.path.join(lists, 'cache/archives/partial'), exist_ok=True)
        self.options = ['-o', f'Dir::State::Lists={lists}/lists', '-o', f'Dir::Cache={lists}/cache',
                        '-o', 'APT::Sandbox::User=']
        run(['apt-get', *self.options, '-q', 'update'], timeout=120)

    def _kernel(self):
        text = run(['apt-cache', *self.options, 'depends', 'linux-image-amd64'])
        found = re.search(r'Depends: (linux-image-\S+-amd64)', text)
        if not found:
            raise LabError('apt-cache knows no linux-image-amd64')
        return found.group(1)

    def _download(self, folder):
        run(['apt-get', *self.options, '-q', 'download', self._kernel(), *PACKAGES], cwd=folder,
            timeout=300)

    def fetch(self):
        done = os.path.join(self.root, '.done')
        if os.path.exists(done) and open(done, encoding='ascii').read() == ' '.join(PACKAGES):
            return
        shutil.rmtree(self.root, ignore_errors=True)
        os.makedirs(self.cache, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=self.cache) as folder:
            try:
                self._download(folder)
            except LabError:  # this machine's lists are missing or old
                self._own_lists()
                self._download(folder)
            for package in sorted(glob.glob(folder + '/*.deb')):
                run(['dpkg-deb', '-x', package, self.root])
        self._prune()
        with open(done, 'w', encoding='ascii') as file:
            file.write(' '.join(PACKAGES))

    def _prune(self):
        """Linux brings 380 MB of modules."""
        wanted = {os.path.basename(module) + '.ko' for module in MODULES + GUEST_MODULES}
        for folder, _, names in os.walk(os.path.join(self.root, 'lib/modules')):
            for name in set(names) - wanted:
                os.unlink(os.path.join(folder, name))

    def path(self, *parts):
        return os.path.join(self.root, *parts)

    def one(self, pattern):
        found = sorted(glob.glob(self.path(pattern)))
        if not found:
            raise LabError(f'{pattern} is in no package')
        return found[-1]


# ---- images ----

def make_xen(packages, out):
    with gzip.open(packages.path(f'boot/xen-{XEN}-amd64.gz')) as packed, open(out, 'wb') as file:
        shutil.copyfileobj(packed, file)


def make_linux(packages, out):
    """The vmlinux out of the vmlinuz: Xen takes both, and unpacking costs 3 s under TCG."""
    with open(packages.one('boot/vmlinuz-*-amd64'), 'rb') as file:
        image = file.read()
    start = image.find(b'\xfd7zXZ\0')
    if start < 0:
        raise LabError('no xz stream in the kernel')
    with open(out, 'wb') as file:
        file.write(lzma.LZMADecompressor().decompress(image[start:]))
    run(['strip', out])


class Archive:
    """An initramfs: a "newc" cpio archive (Linux, Documentation/driver-api/early-userspace)."""

    def __init__(self):
        self.entries = {}  # path -> (mode, content)

    def folder(self, path):
        parts = path.strip('/').split('/')
        for count in range(1, len(parts) + 1):
            self.entries.setdefault('/'.join(parts[:count]), (stat.S_IFDIR | 0o755, b''))

    def data(self, path, content, mode=0o755):
        path = path.strip('/')
        if '/' in path:
            self.folder(os.path.dirname(path))
        self.entries[path] = (stat.S_IFREG | mode, content)

    def file(self, path, source):
        with open(source, 'rb') as file:
            self.data(path, file.read(), 0o755 if os.access(source, os.X_OK) else 0o644)

    def link(self, path, target):
        path = path.strip('/')
        if '/' in path:
            self.folder(os.path.dirname(path))
        self.entries[path] = (stat.S_IFLNK | 0o777, target.encode())

    def write(self, out):
        with open(out, 'wb') as file:
            for number, (path, (mode, content)) in enumerate(self.entries.items(), 1):
                self._entry(file, number, path, mode, content)
            self._entry(file, 0, 'TRAILER!!!', 0, b'')

    @staticmethod
    def _entry(file, number, path, mode, content):
        name = path.encode() + b'\0'
        fields = [number, mode, 0, 0, 1, 0, len(content), 0, 0, 0, 0, len(name), 0]
        head = b'070701' + b''.join(b'%08X' % field for field in fields) + name
        file.write(head + b'\0' * (-len(head) % 4) + content + b'\0' * (-len(content) % 4))


def add_modules(packages, archive, modules, suffix):
    for module in modules:
        source = packages.one(f'lib/modules/*/kernel/{module}.ko')
        archive.file('modules/' + os.path.basename(source), source)
    order = ''.join(os.path.basename(module) + suffix + '\n' for module in modules)
    archive.data('modules/order', order.encode(), 0o644)


class Initramfs:
    """dom0's whole system."""

    def __init__(self, packages):
        self.packages = packages
        self.archive = Archive()
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
        busybox = self.packages.path('bin/busybox')
        for applet in run([busybox, '--list']).split():
            self.archive.link('bin/' + applet, 'busybox')
        self.archive.file('bin/busybox', busybox)
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
        self.modules()

    def xen(self):
        helpers = f'usr/lib/xen-{XEN}/bin/'
        for name in XEN_PROGRAMS:
            self.program(self.packages.path(helpers + name), helpers + name)
            self.archive.link('sbin/' + name, '/' + helpers + name)
        for name in XENSTORE_PROGRAMS:
            self.program(self.packages.path('usr/bin/xenstore-' + name), 'usr/bin/xenstore-' + name)
        for path in glob.glob(self.packages.path('etc/xen/scripts/*')):
            self.archive.file('etc/xen/scripts/' + os.path.basename(path), path)

    def modules(self):
        add_modules(self.packages, self.archive, MODULES, '')

    def guests(self, kernel):
        self.linux_guest(kernel)
        for name, target in (('x86_64-xen', 'pv'), ('i386-xen_pvh', 'pvh')):
            self.archive.file(f'lab/grub.{target}', self.packages.path(f'usr/lib/grub-xen/grub-{name}.bin'))

    def linux_guest(self, kernel):
        """Debian's kernel and an initramfs, for a domain."""
        self.archive.file('lab/linux/vmlinux', kernel)
        guest = Archive()
        for folder in ('proc', 'sys', 'dev', 'bin'):
            guest.folder(folder)
        busybox = self.packages.path('bin/busybox')
        for applet in run([busybox, '--list']).split():
            guest.link('bin/' + applet, 'busybox')
        guest.file('bin/busybox', busybox)
        # Xen's wish to shut down comes as the kernel's call of this.
        guest.data('sbin/poweroff', b'#!/bin/sh\nexec /bin/busybox poweroff -f\n')
        guest.file('init', os.path.join(HERE, 'linux-init'))
        add_modules(self.packages, guest, GUEST_MODULES, '.ko')
        with tempfile.TemporaryDirectory() as folder:
            guest.write(folder + '/initrd')
            self.archive.file('lab/linux/initrd', folder + '/initrd')


class Images:
    def __init__(self, cache):
        self.packages = Packages(cache)
        self.xen = os.path.join(cache, 'xen.elf')
        self.linux = os.path.join(cache, 'vmlinux')

    def make(self):
        self.packages.fetch()
        for path, make in ((self.xen, make_xen), (self.linux, make_linux)):
            if not os.path.exists(path):
                make(self.packages, path + '.new')
                os.rename(path + '.new', path)

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

def command_line(images, initramfs, console, network):
    modules = f'{images.linux} {DOM0_LINE},{initramfs}'
    return [*QEMU, '-kernel', images.xen, '-initrd', modules, '-append', XEN_LINE,
            '-serial', f'file:{console}', *network]


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


class Machine:
    """One boot; its second serial port is our pipe."""

    def __init__(self, images, initramfs, console, forward):
        network = ['-nic', NETWORK + forward]
        self.console = console
        self.process = subprocess.Popen(
            command_line(images, initramfs, console, ['-serial', 'stdio', *network]),
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        self.selector = selectors.DefaultSelector()
        self.selector.register(self.process.stdout, selectors.EVENT_READ)
        self.buffer = b''

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait()
        self.process.stdout.close()

    def lines(self, end):
        """Yields each line until QEMU's end; a LabError at the time `end`."""
        while True:
            while b'\n' in self.buffer:
                line, self.buffer = self.buffer.split(b'\n', 1)
                yield line.rstrip(b'\r').decode(errors='replace')
            left = end() - time.monotonic()
            if left <= 0:
                raise LabError('the time is up')
            if self.selector.select(left):
                data = os.read(self.process.stdout.fileno(), 65536)
                if not data:
                    return
                self.buffer += data

    def last_words(self):
        with open(self.console, encoding='utf-8', errors='replace') as file:
            return file.read()[-3000:]


def boot(images, initramfs, console, deadline, forward, emit):
    """The script's status."""
    ready = False
    begun = time.monotonic()
    with Machine(images, initramfs, console, forward) as machine:
        def end():
            return deadline if ready else min(deadline, begun + READY_LIMIT)
        try:
            for line in machine.lines(end):
                if line == 'lab: ready':
                    ready = True
                    emit(f'# lab: dom0 is ready after {time.monotonic() - begun:.1f} s')
                elif found := re.fullmatch(r'lab: closed with (\d+)', line):
                    emit(f'# lab: closed after {time.monotonic() - begun:.1f} s')
                    return int(found.group(1))
                elif line.startswith('lab: failed'):
                    raise LabError(line)
                else:
                    emit(line)
            raise LabError('QEMU ended without a closing line')
        except LabError as why:
            raise LabError(f'{why}\n{machine.last_words()}') from why


def attempt(images, options, script, emit):
    """Runs the script in the lab, which is tried twice; its status."""
    deadline = time.monotonic() + options.limit
    with tempfile.TemporaryDirectory(prefix='summond-xen-') as folder:
        initramfs = os.path.join(folder, 'dom0.cpio')
        images.make_initramfs(initramfs, options, script)
        for tries in range(2):
            try:
                forward = forwarded(options.forward, options.ports)
                return boot(images, initramfs, folder + '/console', deadline, forward, emit)
            except LabError as why:
                for line in str(why).splitlines():
                    emit(f'# lab: {line}')
                again = tries == 0 and time.monotonic() < deadline
                emit(f'# lab: it failed{", and is tried once more" if again else ""}')
                if not again:
                    break
    return 3


def shell(images, options):
    """A machine with a shell in dom0, on a socket; for trying things."""
    script = 'exec setsid sh -i </dev/ttyS1 >/dev/ttyS1 2>&1\n'
    folder = os.path.dirname(os.path.abspath(options.shell))
    initramfs = os.path.join(folder, 'dom0.cpio')
    images.make_initramfs(initramfs, options, script)
    network = ['-serial', f'unix:{options.shell},server,wait=off', '-nic', 'user,model=e1000']
    command = command_line(images, initramfs, os.path.join(folder, 'console'), network)
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

# SPDX-License-Identifier: ISC
"""Debian's packages, unpacked without root, and what a machine boots: a kernel and an initramfs."""
import glob
import lzma
import os
import re
import shutil
import stat
import subprocess
import tempfile


class LabError(Exception):
    """The lab failed, not what runs in it."""


def run(command, **options):
    """A command's output; a LabError with its last words where it fails."""
    result = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                            errors='replace', check=False, **options)
    if result.returncode != 0:
        raise LabError(f'{" ".join(command[:4])}: {result.stdout[-600:].strip()}')
    return result.stdout


class Packages:
    """Debian's kernel and some packages more, unpacked into the cache; of the kernel's modules, those that are
    named. apt's state is our own where need be, so that no root is needed."""

    def __init__(self, cache, names, modules):
        self.cache = cache
        self.names = names
        self.modules = modules
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
        run(['apt-get', *self.options, '-q', 'download', self._kernel(), *self.names], cwd=folder,
            timeout=300)

    def fetch(self):
        done = os.path.join(self.root, '.done')
        wanted = ' '.join(self.names + self.modules)
        if os.path.exists(done) and open(done, encoding='ascii').read() == wanted:
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
            file.write(wanted)

    def _prune(self):
        """Linux brings 380 MB of modules."""
        wanted = {os.path.basename(module) + '.ko' for module in self.modules}
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


def make_linux(packages, out):
    """The vmlinux out of the vmlinuz: whoever takes a vmlinuz takes this, too, and to unpack it costs 3 s
    under TCG."""
    with open(packages.one('boot/vmlinuz-*-amd64'), 'rb') as file:
        image = file.read()
    start = image.find(b'\xfd7zXZ\0')
    if start < 0:
        raise LabError('no xz stream in the kernel')
    with open(out, 'wb') as file:
        file.write(lzma.LZMADecompressor().decompress(image[start:]))
    run(['strip', out])


def make_once(packages, makers):
    """`makers`: path -> what makes it, of the packages."""
    packages.fetch()
    for path, make in makers.items():
        if not os.path.exists(path):
            make(packages, path + '.new')
            os.rename(path + '.new', path)


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

    def busybox(self, packages):
        busybox = packages.path('bin/busybox')
        for applet in run([busybox, '--list']).split():
            self.link('bin/' + applet, 'busybox')
        self.file('bin/busybox', busybox)

    def modules(self, packages, modules, suffix=''):
        """With their order, a name and `suffix` a line."""
        for module in modules:
            source = packages.one(f'lib/modules/*/kernel/{module}.ko')
            self.file('modules/' + os.path.basename(source), source)
        order = ''.join(os.path.basename(module) + suffix + '\n' for module in modules)
        self.data('modules/order', order.encode(), 0o644)

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

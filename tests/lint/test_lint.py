#!/usr/bin/python3
# SPDX-License-Identifier: ISC
"""Checks that each rule of lint.py finds what it is for, in a small bad tree, and nothing else."""
import os
import sys
import tempfile

import lint

C = '/* SPDX-License-Identifier: ISC */\n'
LEFT = 'TO' + 'DO'

# A good file of each kind that no rule may complain about.
GOOD = {
    'base/error.h': C,
    'policies/policy.h': C + '#include "base/error.h"\n',
    'db/store.c': C + '#include <sqlite3.h>\n#include "policies/policy.h"\n',
    'dns/dns.h': C + '#include <uv.h>\n',
    'launcher/launcher.h': C,
    'launcher/link/link.h': C,
    'launcher/sim/sim.c': C + '#include "launcher/launcher.h"\n',
    'launcher/vmm/vmm.c': C + '#include "summon-vmm/include/protocol.h"\n',
    'daemon/main.c': C + '#include "launcher/link/link.h"\n#include "dns/dns.h"\n',
    'summon-vmm/include/protocol.h': C,
    'guest-kernel/net/port.c': C + '#include "port.h"\n#include "lwip/opt.h"\n',
    'guest-kernel/net/port.h': C,
    'tests/unit/test_all.c': C + '#include "db/secret.h"\n#include <sqlite3.h>\n',
    'base/quiet.c': C + '/* printf( */ const char *text = "exit(1)";\n',
    'meson.build': '# SPDX-License-Identifier: ISC\n',
    'run.sh': '#!/bin/sh\n# SPDX-License-Identifier: ISC\nexit 0\n',
    'deploy/run': '#!/bin/sh\n# SPDX-License-Identifier: ISC\nexit 0\n',
}

# rule -> path -> (text, the lines that are wrong)
BAD = {
    'arrows': {
        'base/a.c': (C + '#include "dns/dns.h"\n', [2]),
        'policies/a.c': (C + '#include "db/store.h"\n#include "launcher/launcher.h"\n', [2, 3]),
        'db/store.h': (C, []),
        'db/a.c': (C + '#include "dns/dns.h"\n', [2]),
        'dns/a.c': (C + '#include "policies/policy.h"\n#include <db/store.h>\n', [2, 3]),
        'launcher/a.c': (C + '#include "launcher/link/link.h"\n', [2]),
        'launcher/link/a.c': (C + '#include "launcher/launcher.h"\n', [2]),
        'launcher/sim/a.c': (C + '#include "launcher/link/link.h"\n', [2]),
        'summonctl/a.c': (C + '#include "policies/policy.h"\n', [2]),
        'daemon/a.c': (C + '#include "main.h"\n', [2]),
        'guest-kernel/a.c': (C + '#include "base/error.h"\n', [2]),
        'guest-kernel/include/a.h': (C + '#include "guest-kernel/net/port.h"\n', [2]),
        'cellar/a.c': (C, [1]),
    },
    'libraries': {
        'daemon/b.c': (C + '#include <sqlite3.h>\n#include <microhttpd.h>\n', [2, 3]),
        'db/b.h': (C + '#include <sqlite3.h>\n', [2]),
        'db/b.c': (C + '#include <uv.h>\n', [2]),
        'launcher/b.c': (C + '#include <libvirt/libvirt.h>\n#include <netlink/msg.h>\n', [2, 3]),
        'dns/b.c': (C + '#include <ldns/ldns.h>\n#include <microhttpd.h>\n', [3]),
    },
    'licences': {
        'base/c.c': ('\n' + C, [1]),
        'deploy/meson.build': ('# filled later\n', [1]),
        'c.py': ('#!/usr/bin/python3\nimport os\n', [2]),
        'deploy/c': ('#!/bin/sh\nexit 0\n', [2]),
        'deploy/d': ('#!/usr/bin/python3\n', [2]),
    },
    'format_of_c': {
        '.clang-format': ('BasedOnStyle: LLVM\n', []),
        'base/d.c': (C + 'int  d;\n', [2]),
    },
    'quiet_libraries': {
        'base/e.c': (C + 'void e(void)\n{\n\tprintf("e");\n\tsnprintf(0, 0, "");\n}\n', [4]),
        'launcher/sim/e.c': (C + 'void e(void)\n{\n\tlog->exit(1);\n\tabort ();\n}\n', [5]),
        'daemon/e.c': (C + 'void e(void)\n{\n\texit(1);\n}\n', []),
    },
    'no_leftovers': {
        'notes.md': (f'one\n{LEFT}: two\n/tmp/file.XXXXXX\n', [2]),
    },
    'shell': {
        'f.sh': ('#!/bin/sh\n# SPDX-License-Identifier: ISC\nrm $1\n', [3]),
        'deploy/f': ('#!/bin/sh\n# SPDX-License-Identifier: ISC\nrm $1\n', [3]),
    },
    'manuals': {
        'deploy/man/f.8': ('.Dd January 1, 2024\n.Dt F 8\n.Os\n.Sh NAME\n.Nm f\n.Nd f\n.Zz\n', [7]),
    },
    'sizes': {
        'base/g.c': (C + '\n' * 500, [1]),
        'base/h.c': (C + 'int h(int a,\n\tint b)\n{\n' + '\ta;\n' * 81 + '}\n', [4]),
        'base/i.c': (C + 'int i(void)\n{\n' + '\ta;\n' * 80 + '}\n', []),
    },
}


def write_tree(root, files):
    for path, text in files.items():
        full = os.path.join(root, path)
        os.makedirs(os.path.dirname(full), exist_ok=True)
        with open(full, 'w', encoding='utf-8') as file:
            file.write(text)


def check(rule):
    """What is wrong with the rule, or None; Skip goes through."""
    bad = BAD[rule.__name__]
    with tempfile.TemporaryDirectory() as root:
        write_tree(root, GOOD)
        if rule is lint.format_of_c:
            write_tree(root, {'.clang-format': 'DisableFormat: true\n'})
        false_alarm = list(rule(lint.Tree(root)))
        if false_alarm:
            return f'complains about good files: {false_alarm}'
        write_tree(root, {path: text for path, (text, _) in bad.items()})
        found = sorted({(path, line) for path, line, _ in rule(lint.Tree(root)) if path in bad})
        expected = sorted((path, line) for path, (_, lines) in bad.items() for line in lines)
        return None if found == expected else f'found {found}, and not {expected}'


def main():
    failed = False
    print(f'1..{len(lint.RULES)}')
    for number, rule in enumerate(lint.RULES, 1):
        try:
            wrong = check(rule)
        except lint.Skip as reason:
            print(f'ok {number} - {rule.__name__} # SKIP {reason}')
            continue
        failed = failed or wrong is not None
        print(f'{"not ok" if wrong else "ok"} {number} - {rule.__name__}')
        if wrong:
            print(f'# {wrong}')
    return 1 if failed else 0


if __name__ == '__main__':
    sys.exit(main())

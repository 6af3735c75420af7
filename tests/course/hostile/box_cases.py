"""Attacks on the box in which students' code runs, and their honest twins: cells of lesson 1 and what they earn.

`CASES`: name -> (cells in place of the honest ones, points where they differ from the full ones). An attack answers right
only where it got through, so that it earns nothing where the wall holds. PLANTED stands for a folder that everyone may
read, in which other students' work lies, PORT for a port at which the grader's machine listens.
"""
# ruff: noqa: E501

from cases import HONEST, RIGHT, visible

RIGHT = RIGHT.strip()

SYSCALL = """
import ctypes, errno, os, platform
libc = ctypes.CDLL(None, use_errno=True)
ARM = platform.machine() == "aarch64"
def closed(x86, arm, *given):
    ctypes.set_errno(0)
    took = libc.syscall(ctypes.c_long(arm if ARM else x86), *map(ctypes.c_long, given))
    return took < 0 and ctypes.get_errno() in (errno.EPERM, errno.ENOSYS, errno.EACCES)
"""


def if_true(condition: str, before: str = "") -> dict[str, str]:
    """Exercise 1.2, answered right only if this holds."""
    return {"1.2": visible(RIGHT + " if got_through else None", before=f"{before}\ngot_through = {condition}\n")}


def call(body: str, before: str = "") -> dict[str, str]:
    return {"1.2": visible(body, before=before)}


LOST, FULL = {"1.2": 0}, {}
CASES = {
    # memory that no process seems to have
    "memory-in-a-file-of-no-name": (call(f"import os\nhold = os.memfd_create('x')\nfor n in range(100): os.write(hold, bytes(1 << 26))\n{RIGHT}"), LOST),
    "memory-that-is-shared-and-put-away": (call(f"""
import mmap, os, time
for child in range(5):  # none of them has more than it may
    if not os.fork():
        one = mmap.mmap(-1, 1200 << 20)
        for n in range(18):
            one.write(bytes(1 << 26))
            one.madvise(mmap.MADV_DONTNEED)
        time.sleep(1000)
time.sleep(6)
{RIGHT}"""), LOST),
    "memory-in-deleted-files": (call(f"import os\nheld = []\nfor n in range(1000):\n    held.append(open(f'f{{n}}', 'wb', buffering=0)); os.unlink(f'f{{n}}')\n    if held[-1].write(bytes(1 << 24)) < 1 << 24: raise OSError('full')\n{RIGHT}"), LOST),
    "memory-in-a-file-that-never-had-a-name": (call(f"import os\nhold = os.open('.', os.O_TMPFILE | os.O_RDWR)\nfor n in range(100):\n    if os.write(hold, bytes(1 << 24)) < 1 << 24: raise OSError('full')\n{RIGHT}"), LOST),
    "shared-memory-with-a-name": (call(f"from multiprocessing import shared_memory\none = shared_memory.SharedMemory(create=True, size=2 << 30)\nfor n in range(0, 2 << 30, 4096): one.buf[n] = 1\n{RIGHT}"), LOST),
    "a-little-shared-memory": (call(f"import mmap\none = mmap.mmap(-1, 1 << 24)\none[0] = 1\nwith open('note', 'wb') as file: file.write(bytes(1 << 20))\n{RIGHT}"), FULL),
    "shared-memory-left-behind": (if_true("not closed(29, 194, 0, 4096, 0o1666) and not closed(68, 186, 0, 0o1666)", SYSCALL), LOST),
    # a way out
    "namespaces-of-its-own": (if_true("any(not closed(272, 97, flag) for flag in (0x10000000, 0x20000, 0x40000000))", SYSCALL), LOST),
    "namespaces-by-clone": (if_true("not closed(435, 435, 0, 0) or not closed(56, 220, 0x10000000 | 17, 0, 0, 0, 0)", SYSCALL), LOST),
    "traces-another-process": (if_true("not closed(101, 117, 16, os.getppid(), 0, 0) or not closed(438, 438, 3, 3, 0) or not closed(310, 270, os.getppid(), 0, 0, 0, 0, 0)", SYSCALL), LOST),
    "asks-the-kernel-for-more": (if_true("any(not closed(*each) for each in ((250, 219, 0, -3, 1), (321, 280, 0, 0, 0), (298, 241, 0, 0, -1, -1, 0), (425, 425, 8, 0), (165, 40, 0, 0, 0, 0, 0), (323, 282, 0), (447, 447, 0), (161, 51, 0)))", SYSCALL), LOST),
    "may-gain-rights": (if_true("'NoNewPrivs:\\t1' not in status or 'CapEff:\\t0000000000000000' not in status or os.getuid() == 0", "import os\nstatus = open('/proc/self/status').read()"), LOST),
    "sockets-past-the-network": (if_true("opened", "import socket\nopened = []\nfor family in (16, 17, 38, 40):\n    try: opened.append(socket.socket(family, socket.SOCK_RAW if family < 20 else socket.SOCK_STREAM if family == 40 else socket.SOCK_SEQPACKET))\n    except OSError: pass"), LOST),
    "another-network-card": (if_true("[line for line in open('/proc/net/dev').read().splitlines()[2:] if not line.lstrip().startswith('lo:')]"), LOST),
    "raises-its-limits": (if_true("raised", """
import os, resource
raised = []
for what in (resource.RLIMIT_AS, resource.RLIMIT_NPROC, resource.RLIMIT_FSIZE, resource.RLIMIT_NOFILE):
    soft, hard = resource.getrlimit(what)
    try: raised.append(hard < 0 or resource.setrlimit(what, (hard + 1, hard + 1)))
    except ValueError: pass
raised = [each for each in raised if each is not False]
for goes_first in (lambda: os.nice(-1), lambda: os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(1))):
    try: raised.append(goes_first())
    except OSError: pass"""), LOST),
    "becomes-somebody-else": (if_true("became", """
import os, subprocess
became = [os.getuid()] * (os.getuid() == 0 or len({os.getuid(), os.geteuid(), *os.getresuid()}) > 1 or bool(os.getgroups()))
for other in (0, 1000, os.getuid() + 1):
    for change in (os.setuid, os.setgid, os.seteuid):
        try: became.append(change(other))
        except OSError: pass
for top, folders, files in os.walk('/usr/bin'):
    paths = [os.path.join(top, name) for name in files]
    became += [path for path in paths if os.path.exists(path) and os.stat(path).st_mode & 0o6000 and not os.statvfs(path).f_flag & os.ST_NOSUID]"""), LOST),
    "writes-outside-of-its-folder": (if_true("written", """
import os
written = []
for top, folders, files in os.walk('/'):
    if top in ('/proc', '/graded', '/dev/shm') or top.count('/') > 5: folders[:] = []
    elif os.access(top, os.W_OK): written.append(top)
    if top not in ('/proc', '/graded'): written += [name for name in files if os.access(os.path.join(top, name), os.W_OK) and not os.path.islink(os.path.join(top, name)) and not top.startswith('/dev')]"""), LOST),
    "sockets-of-others": (if_true("seen", """
import socket
seen = [line for line in open('/proc/net/unix') if '@' in line] + open('/proc/net/tcp').read().splitlines()[1:]
for port in (22, 80, 111, 443, 8888, PORT):
    try: seen.append(socket.create_connection(('127.0.0.1', port), 0.2))
    except OSError: pass"""), LOST),
    # what others have handed in
    "reads-a-neighbour": (if_true("found", "import os\nfound = []\nfor top, folders, files in os.walk('PLANTED'): found += files"), LOST),
    "imports-a-neighbour": (if_true("'visible' in vars(neighbour)", "import sys, types\nneighbour = types.ModuleType('n')\ntry: exec(open('PLANTED/neighbour.py').read(), vars(neighbour))\nexcept OSError: pass"), LOST),
    "reads-the-tests": (if_true("found", "import os\nfound = []\nfor name in ('tests', 'lessons', 'benchmarks', 'minitransformer'):\n    for top, folders, files in os.walk('REPOSITORY/' + name): found += files"), LOST),
    "sees-other-processes": (if_true("len(others) > 4", "import os\nothers = [name for name in os.listdir('/proc') if name.isdigit() and int(name) != os.getpid()]"), LOST),
    # from one exercise to the next
    "leaves-a-file-for-later": ({"1.1": "open('for-later', 'w').write('x')\n" + HONEST["1.1"]} | if_true("os.path.exists('for-later')", "import os"), LOST),
    "leaves-a-process-for-later": ({"1.1": "import os, time\nif not os.fork():\n    os.setsid()\n    if os.fork(): os._exit(0)\n    time.sleep(1000)\n" + HONEST["1.1"]} | if_true("later", "import os\nlater = [n for n in os.listdir('/proc') if n.isdigit() and int(n) not in (1, os.getpid(), os.getppid()) and open(f'/proc/{n}/stat').read().split(') ')[1][0] != 'Z' and b'child.py' in open(f'/proc/{n}/cmdline', 'rb').read() and b'bwrap' not in open(f'/proc/{n}/cmdline', 'rb').read()]"), LOST),
    "busy-in-the-background-for-later": ({"1.1": "import os\nfor n in range(12):\n    if not os.fork():\n        os.setsid()\n        while True: pass\n" + HONEST["1.1"]}, FULL),
    "stops-the-one-that-forks": (call("import os, signal\nos.kill(os.getppid(), signal.SIGSTOP)\nreturn None"), LOST),
    "stops-itself": (call("import os, signal\nos.kill(os.getpid(), signal.SIGSTOP)\nreturn None"), LOST),
    "thousands-of-folders-in-each-other": ({"1.1": HONEST["1.1"] + "\nimport os\nfor n in range(3000):\n    os.mkdir('d' * 200); os.chdir('d' * 200)\n"}, FULL),
    "a-folder-that-nobody-may-open": ({"1.1": HONEST["1.1"] + "\nimport os\nos.makedirs('a/b/c')\nos.chmod('a/b', 0); os.chmod('a', 0)\n"}, FULL),
    "hundreds-of-thousands-of-files": (call("import os\nfor n in range(10 ** 7): os.close(os.open(str(n), os.O_CREAT))\n" + RIGHT), LOST),
    "files-with-names-too-long-for-a-command": ({"1.1": HONEST["1.1"] + "\nimport os\nfor n in range(60_000): os.close(os.open(str(n) + 'f' * 200, os.O_CREAT))\n"}, FULL),
    "a-folder-filled-to-the-brim": ({"1.1": HONEST["1.1"] + "\ntry:\n    for n in range(100):\n        with open(str(n), 'wb') as file: file.write(bytes(1 << 24))\nexcept OSError: pass\n"} | if_true("True", "with open('room', 'wb') as file: file.write(bytes(1 << 24))"), FULL),
    # the pipe
    "well-formed-replies-through-every-door": (call("""
import os, socket, struct, sys
wire = sys.modules['wire']
said = b''.join(struct.pack('!i', len(each)) + each for each in [wire.packed(['gave', {'mask': torch.ones(queries, keys, dtype=torch.bool).numpy(), 'right': True}])] * 30)
for hold in os.listdir('/proc/self/fd'):
    try: os.write(int(hold), said)
    except OSError: pass
return torch.ones(queries, keys, dtype=torch.bool)"""), LOST),
    "one-array-three-thousand-times": (call("""
import json, os, stat, struct
import numpy as np
from safetensors.numpy import save
tree = json.dumps(['gave', [{'array': '0'}] * 3000]).encode()
said = save({'0': np.zeros(900_000), 'tree': np.frombuffer(tree, np.uint8)})
for hold in range(3, 60):
    try:
        if stat.S_ISSOCK(os.fstat(hold).st_mode):
            rest = memoryview(struct.pack('!i', len(said)) + said)
            while rest: rest = rest[os.write(hold, rest):]
    except OSError: pass
os._exit(0)"""), LOST),
    "doors-of-others": (if_true("doors", "import glob, os, stat\ndoors = []\nfor path in glob.glob(f'/proc/{os.getppid()}/fd/*') + glob.glob('/proc/1/fd/*'):\n    try: doors.append(os.open(path, os.O_RDWR))\n    except OSError: pass\ndoors = [door for door in doors if stat.S_ISSOCK(os.fstat(door).st_mode)]"), LOST),
    "frames-and-garbage-of-the-harness": (if_true("found", """
import gc, sys
frame, found = sys._getframe(), []
while frame:
    found += [name for name, it in frame.f_locals.items() if type(it).__name__ in ('Suspect', 'Part', 'Exercise', 'Given', 'Assignment', 'Grader')]
    frame = frame.f_back
found += [1 for it in gc.get_objects() if type(it).__module__.startswith(('minitransformer.course.grading', 'minitransformer.course.exercise'))]"""), LOST),
    # honest work that uses much of what is allowed
    "threads-processes-and-torch": (call(f"""
import subprocess, threading
threads = [threading.Thread(target=lambda: torch.ones(200, 200) @ torch.ones(200, 200)) for _ in range(8)]
for each in threads: each.start()
for each in threads: each.join()
assert subprocess.run(['/bin/sh', '-c', 'exit 3']).returncode == 3
torch.nn.Linear(3, 4)(torch.ones(2, 3)).sum().backward()
{RIGHT}"""), FULL),
    "processes-that-work-together": (call(f"import multiprocessing\nwith multiprocessing.get_context('fork').Pool(2) as pool: assert pool.map(abs, [-1, 2]) == [1, 2]\n{RIGHT}"), FULL),
    "a-loader-with-workers": (call(f"from torch.utils.data import DataLoader\nassert [int(each.sum()) for each in DataLoader(torch.ones(4, 3), 2, num_workers=1)] == [6, 6]\n{RIGHT}"), FULL),
    "a-local-socket": (call(f"import socket\nhere = socket.create_server(('127.0.0.1', 0))\nthere = socket.create_connection(here.getsockname())\n{RIGHT}"), FULL),
    "writes-and-reads-its-own-files": (call(f"import tempfile\nwith tempfile.TemporaryFile() as file:\n    torch.save(torch.ones(3), file); file.seek(0); assert torch.load(file).sum() == 3\n{RIGHT}"), FULL),
}  # fmt: skip

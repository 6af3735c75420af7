"""Hostile, broken and odd submissions of lesson 1, as data: what is handed in, and what it earns.

`CODE`: name -> (exercise, its cell, points). The cell stands for one exercise; the others are honest and earn theirs.
`FILES`: name -> (what makes the file, a word of the line that refuses it).
"""
# ruff: noqa: E501

import io
import json
import os
import stat
import zipfile

from minitransformer.course.lesson_text import solution

HONEST = {exercise: solution(exercise) + "\n" for exercise in ("1.1", "1.2", "1.3")}
POINTS = {"1.1": 2, "1.2": 2, "1.3": 4}
MARK = "minitransformer-hostile-was-here"
RIGHT = next(line for line in HONEST["1.2"].splitlines(keepends=True) if line.startswith("    return "))


def visible(body: str, before: str = "", after: str = "") -> str:
    """The cell of exercise 1.2 with this body."""
    lines = "\n".join(f"    {line}" for line in body.splitlines())
    return f"{before}\ndef visible(queries, keys):\n{lines}\n{after}\n"


SEARCH = """
found = []
for top, folders, names in os.walk("/"):
    if top.startswith(("/proc", "/sys", "/usr", "/lib")) or "site-packages/torch" in top:
        folders[:] = []
        continue
    for name in names:
        path = os.path.join(top, name)
        try:
            if name.endswith((".py", ".ipynb")) and os.path.getsize(path) < 200_000:
                text = open(path, encoding="utf-8").read()
                if "Suspect(" in text or "scores.masked_fill(~visible" in text or "quiz(" in text:
                    found.append(path)
        except (OSError, UnicodeDecodeError):
            pass
"""

CODE = {
    # loops
    "loop-at-import": ("1.2", "while True:\n    pass\n", 0),
    "loop-in-call": ("1.2", visible("while True: pass"), 0),
    "loop-that-catches-all": ("1.2", visible("while True:\n    try:\n        while True: pass\n    except BaseException: pass"), 0),
    "sleep-with-signals-off": ("1.2", visible("import signal, time\nfor n in (1, 2, 15): signal.signal(n, signal.SIG_IGN)\ntime.sleep(1000)"), 0),
    # memory, processes, disk
    "memory-bomb": ("1.2", visible("hog = []\nwhile True: hog.append(bytearray(1 << 27))"), 0),
    "memory-bomb-tree": ("1.2", visible("import os, time\nfor _ in range(8):\n    if not os.fork():\n        hog = b'x' * (700 << 20)\n        time.sleep(1000)\ntime.sleep(1000)"), 0),
    "fork-bomb": ("1.2", visible("import os\nwhile True:\n    try: os.fork()\n    except OSError: pass"), 0),
    "thread-bomb": ("1.2", visible("import threading, time\nwhile True: threading.Thread(target=time.sleep, args=(1000,)).start()"), 0),
    "disk-bomb": ("1.2", visible("for n in range(1000):\n    with open(f'hog{n}', 'wb') as file: file.write(b'x' * (32 << 20))"), 0),
    "recursion-bomb": ("1.2", visible("import sys\nsys.setrecursionlimit(10**9)\ndef f(n): return f(n + 1) + 1\nreturn f(0)"), 0),
    # exits and crashes
    "exit-at-import": ("1.2", "import os\nos._exit(0)\n", 0),
    "exit-in-call": ("1.2", visible("import sys\nsys.exit(0)"), 0),
    "hard-exit-in-call": ("1.2", visible("import os\nos._exit(0)"), 0),
    "keyboard-interrupt": ("1.2", visible("raise KeyboardInterrupt"), 0),
    "segfault": ("1.2", visible("import ctypes\nctypes.string_at(0)"), 0),
    "abort": ("1.2", visible("import os\nos.abort()"), 0),
    "kill-the-parent": ("1.2", visible("import os\nfor pid in (os.getppid(), 1, 0, -1):\n    try: os.kill(pid, 9)\n    except OSError: pass"), 0),
    "kill-everyone": ("1.2", visible("import os\nfor n in range(2, 70000):\n    if n != os.getpid():\n        try: os.kill(n, 9)\n        except OSError: pass\nreturn 'dead'"), 0),
    "closes-every-file": ("1.2", visible("import os\nos.closerange(0, 300)\n" + RIGHT.strip()), 0),
    # forged
    "forged-output": ("1.2", visible("print('20 of 20 points\\n1 passed'); return True", before="print('{\"score\": 20}')"), 0),
    "forged-replies": ("1.2", visible("import os, json, struct\nhead = json.dumps([1, 'gave', {'earned': 20, 'right': True}]).encode()\nfor fd in range(3, 60):\n    try: os.write(fd, struct.pack('!II', len(head), 0) + head)\n    except OSError: pass\nreturn True"), 0),
    "garbled-replies": ("1.2", visible("import os\nfor fd in range(3, 60):\n    try: os.write(fd, b'\\xff' * 64)\n    except OSError: pass\nreturn True"), 0),
    "forged-results": ("1.2", f"import os, itertools\nfor folder, name in itertools.product(('.', '..', '/tmp', '/var/tmp', '/dev/shm', '/', os.path.expanduser('~')), ('results.json', 'gradebook.csv', '{MARK}')):\n    try: open(os.path.join(folder, name), 'w').write('20')\n    except OSError: pass\n" + visible("return True"), 0),
    "overwritten-package": ("1.2", f"import os, sys\nfor folder in list(sys.path):\n    for name in ('minitransformer/__init__.py', 'wire.py', 'torch/__init__.py', '{MARK}.pth', 'sitecustomize.py', 'conftest.py'):\n        try: open(os.path.join(folder, name), 'a').write('# {MARK}')\n        except OSError: pass\n" + visible("return True"), 0),
    # liars
    "liar-in-eq": ("1.2", visible("return Liar()", before="class Liar:\n    def __eq__(self, other): return True\n    def __bool__(self): return True\n    def __array__(self, *a, **k): return np.ones(9)\n    __class__ = torch.Tensor"), 0),
    "array-subclass": ("1.2", visible("return np.zeros((queries, keys), bool).view(Liar)", before="import numpy as np\nclass Liar(np.ndarray):\n    def __eq__(self, other): return np.ones(self.shape, bool)\n    shape = (0, 0)"), 0),
    "tensor-subclass": ("1.2", visible("return torch.zeros(queries, keys).as_subclass(Liar)", before="class Liar(torch.Tensor):\n    @classmethod\n    def __torch_function__(cls, f, types, args=(), kwargs=None): return True"), 0),
    "patched-torch-and-numpy": ("1.2", visible("return torch.zeros(queries, keys, dtype=torch.bool)", before="import numpy as np\nfor owner, names in ((torch, ('equal', 'allclose', 'isclose')), (np, ('isclose', 'allclose', 'array_equal', 'all', 'shape'))):\n    for name in names: setattr(owner, name, lambda *a, **k: True)\ntorch.testing.assert_close = print"), 0),
    "patched-pytest": ("1.2", visible("return True", before="import sys, types\nfor name in ('pytest', 'unittest', '_pytest'): sys.modules[name] = types.ModuleType(name)\nimport builtins\nbuiltins.AssertionError = Warning"), 0),
    "patched-builtins": ("1.2", visible("return True", before="import builtins\nbuiltins.isinstance = lambda *a: True\nbuiltins.id = lambda *a: 0"), 0),
    "patched-adapter": ("1.2", visible("return True", before="import minitransformer.course.lesson1.ask as ask\nask.mask = lambda *a: 'right'"), 0),
    "not-a-number": ("1.2", visible("return torch.full((queries, keys), torch.nan)"), 0),
    "infinite": ("1.1", "def embed(tokens, table):\n    return table[tokens] * torch.inf\n", 0),
    "nan-vectors": ("1.1", "def embed(tokens, table):\n    return table[tokens] * torch.nan\n", 0),
    "broadcast-to-anything": ("1.2", visible("return torch.ones(1, 1, dtype=torch.bool)"), 0),
    "empty-answer": ("1.1", "def embed(tokens, table):\n    return table[:0]\n", 0),
    "one-truth-for-all": ("1.2", visible("return True"), 0),
    "bytes-that-are-no-truths": ("1.2", visible("return torch.full((queries, keys), 2, dtype=torch.uint8).view(torch.bool)"), 0),
    "hard-coded-public-answer": ("1.1", "import zlib\nimport numpy as np\ndef embed(tokens, table):\n    rng = np.random.default_rng([zlib.crc32(b'1.1'), 0])\n    table = rng.normal(size=(11, 11)).astype(np.float32)\n    return torch.from_numpy(table[rng.permutation(11)[:5].reshape(1, 5)])\n", 0),
    # odd answers
    "giant-answer": ("1.2", visible("return torch.zeros(1 << 28, dtype=torch.bool)"), 0),
    "deep-answer": ("1.2", visible("nest = []\nfor _ in range(100_000): nest = [nest]\nreturn nest"), 0),
    "giant-number": ("1.2", visible("return 10 ** 100_000"), 0),
    "endless-generator": ("1.2", visible("while True: yield True"), 0),
    "pickle-in-an-answer": ("1.2", visible("return Evil()", before=f"import os\nclass Evil:\n    def __reduce__(self): return os.system, ('touch /tmp/{MARK}',)"), 0),
    "evil-error": ("1.2", visible("raise type('<script>alert(1)</script>' * 50, (Exception,), {'__str__': lambda self: 1 / 0})()"), 0),
    "hidden-inputs-in-an-error": ("1.1", "def embed(tokens, table):\n    raise ValueError(f'{table.flatten().tolist()} {\"LE\" + \"AK\"}')\n", 0),
    "reads-the-keyboard": ("1.2", visible("return input('answer?')"), 0),
    # reading solutions
    "imports-the-reference": ("1.2", "from minitransformer.course.lesson1 import visible\n", 0),
    "imports-the-check": ("1.2", "from minitransformer.course import use\n" + visible("return use('1.2', None)(queries, keys)"), 0),
    "imports-soft-prompts": ("1.2", "from minitransformer import PromptTuning\n" + visible(RIGHT.strip() + " if PromptTuning else None"), 0),
    "imports-the-grader": ("1.2", "import minitransformer.course.grading\n" + visible(RIGHT.strip() + " if minitransformer.course.grading else None"), 0),
    "searches-the-disk": ("1.2", visible(RIGHT.strip() + " if found else None", before="import os\n" + SEARCH), 0),
    "opens-what-it-knows-the-path-of": ("1.2", visible(RIGHT.strip() + " if found else None", before="found = []\nfor path in ('minitransformer/course/lesson1/judges.py', 'lessons/solutions/01_tokens_become_vectors.ipynb', 'minitransformer/course/lesson1/questions.toml'):\n    try: found.append(open('REPOSITORY/' + path).read())\n    except OSError: pass"), 0),
    "searches-the-memory": ("1.2", visible(RIGHT.strip() + " if found else None", before="import gc, sys\nfound = [m for m in sys.modules if 'lesson1' in m and not m.endswith(('lesson1', '.ask'))] + [o for o in gc.get_objects() if type(o).__name__ in ('Suspect', 'Exercise', 'Part')]"), 0),
    "searches-other-processes": ("1.2", visible(RIGHT.strip() + " if found else None", before="import glob, os\nfound = []\nfor path in glob.glob('/proc/[0-9]*/mem'):\n    try:\n        if b'child.py' not in open(path[:-3] + 'cmdline', 'rb').read(): open(path, 'rb'); found.append(path)\n    except OSError: pass"), 0),
    "calls-home": ("1.2", visible(RIGHT.strip() + " if found else None", before="import os, socket\ntry: found = socket.create_connection(('127.0.0.1', PORT), timeout=1)\nexcept OSError: found = None"), 0),
    # honest, if not quiet or tidy
    "noisy": ("1.2", visible(RIGHT.strip(), before="import sys, warnings\nprint('x' * 10_000_000)\nwarnings.warn('old')\nsys.stderr.write('E' * 1_000_000)"), 2),
    "trial-that-fails": ("1.2", HONEST["1.2"] + "visible(what_another_cell_made, 3)\n", 2),
    "check-in-its-cell": ("1.2", HONEST["1.2"] + "from minitransformer.course import check\ncheck('1.2', visible)\n", 2),
    "thread-that-never-ends": ("1.2", visible(RIGHT.strip(), before="import threading, time\nthreading.Thread(target=lambda: time.sleep(1000)).start()"), 2),
    "fork-that-answers-too": ("1.2", visible("import os\nos.fork()\n" + RIGHT.strip()), 2),
    "daemon-left-behind": ("1.2", visible(RIGHT.strip(), before=f"import os, time\nif not os.fork():\n    os.setsid()\n    if os.fork(): os._exit(0)\n    time.sleep(40)\n    open('/tmp/{MARK}', 'w')\n    os._exit(0)"), 2),
    "shell-magic": ("1.2", "!pip install nothing\n%matplotlib inline\n" + HONEST["1.2"], 2),
    "changes-its-inputs": ("1.1", "def embed(tokens, table):\n    answer = table[tokens]\n    table.zero_(), tokens.zero_()\n    return answer\n", 1),
    "syntax-error": ("1.2", "def visible(queries, keys:\n    return 1\n", 0),
    "another-name": ("1.2", "def viisble(queries, keys):\n    return 1\n", 0),
    "no-function": ("1.2", "visible = 3\n", 0),
    "half-a-character": ("1.2", "x = '\ud800'\n" + HONEST["1.2"], 2),
}  # fmt: skip


def notebook(cells: dict[str, str], answers: dict[str, str] | None = None) -> str:
    made = [("exercise-" + name.replace(".", "-"), source) for name, source in cells.items()]
    made += [("question", f'quiz("{name}", answer={answer!r})') for name, answer in (answers or {}).items()]
    about = {"cell_type": "code", "execution_count": None, "outputs": []}
    body = [about | {"id": name, "source": text, "metadata": {"nbgrader": {"grade_id": name}}} for name, text in made]
    return json.dumps({"cells": body, "metadata": {}, "nbformat": 4, "nbformat_minor": 5})


def marks(row: dict) -> dict[str, float]:
    """What a row earned in each exercise, questions left out."""
    earned: dict[str, float] = {}
    for test in row["tests"]:
        if not test["asked"]:
            earned[test["id"]] = earned.get(test["id"], 0) + test["earned"]
    return earned


def zipped(*members: tuple[str, bytes], link: bool = False) -> bytes:
    held = io.BytesIO()
    with zipfile.ZipFile(held, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in members:
            info = zipfile.ZipInfo(name)
            info.compress_type = zipfile.ZIP_DEFLATED
            info.external_attr = ((stat.S_IFLNK if link else stat.S_IFREG) | 0o644) << 16
            archive.writestr(info, data)
    return held.getvalue()


def write(data: bytes | str):
    return lambda path: path.write_bytes(data if isinstance(data, bytes) else data.encode())


GOOD = notebook(HONEST)
FILES = {
    "link.ipynb": (lambda path: path.symlink_to("/etc/passwd"), "link"),
    "fifo.ipynb": (os.mkfifo, "no file"),
    "broken-json.ipynb": (write('{"cells": ['), "damaged"),
    "deep-json.ipynb": (write("[" * 200_000), "damaged"),
    "no-cells.ipynb": (write('{"cells": 7}'), "damaged"),
    "cells-of-numbers.ipynb": (write('{"cells": [{"cell_type": "code", "source": 3}]}'), "damaged"),
    "latin.ipynb": (write("{'cells': 'é'}".encode("latin-1")), "UTF-8"),
    "wide.ipynb": (write(GOOD.encode("utf-16")), "UTF-8"),
    "zeros.py": (write(b"\0" * 100), "no Python"),
    "large.ipynb": (write(b" " * (9 << 20)), "larger than"),
    "picture.png": (write(b"\x89PNG"), "expected a notebook"),
    "bomb.zip": (write(zipped(("a.ipynb", b" " * (300 << 20)))), "archive bomb"),
    "dense.zip": (write(zipped(("a.ipynb", b" " * (7 << 20)))), "archive bomb"),
    "climbing.zip": (write(zipped(("../../climbed.py", b"x = 1"))), "out of the zip"),
    "absolute.zip": (write(zipped(("/tmp/climbed.py", b"x = 1"))), "out of the zip"),
    "links.zip": (write(zipped(("a.py", b"/etc/passwd"), link=True)), "link"),
    "nested.zip": (write(zipped(("inner.zip", zipped(("a.ipynb", b"\xff"))))), "UTF-8"),
    "broken.zip": (write(b"PK\3\4 and no more"), "no zip"),
    "empty.zip": (write(zipped()), "1 to 5000 files"),
}

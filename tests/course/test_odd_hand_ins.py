"""What a stranger may hand in, from what GRADING.md says alone: unusual, right, and worth its points.

`HANDED_IN`: the files of one attempt; what `embed(3, 4)` then gives is 7.
"""

# ruff: noqa: E501

import json
import sys
from contextlib import suppress

import pytest

from minitransformer.course.assignment import Assignment
from minitransformer.course.grading import intake


def book(*sources: str) -> bytes:
    cells = [{"cell_type": "code", "source": source, "metadata": {}, "outputs": []} for source in sources]
    return json.dumps({"cells": cells, "metadata": {}, "nbformat": 4, "nbformat_minor": 0}).encode()


BLANK = 'def embed(tokens, table):\n    raise NotImplementedError("Exercise 1.1 is not written yet")\n'
NB = "def embed(tokens, table):\n    # YOUR CODE HERE\n    raise NotImplementedError()\n"
M = "def embed(tokens, table):\n    return tokens + table\n"
HANDED_IN = {
 "nbgrader blank pasted below": {"a.ipynb": book(M, NB)},
 "left-over raise below return": {"a.ipynb": book("def embed(a,b):\n    return 0\n", 'def embed(a, b):\n    return a + b\n    raise NotImplementedError("Exercise 1.1 is not written yet")\n')},
 "utf8 bom crlf py": {"a.py": b"\xef\xbb\xbf"+M.replace("\n","\r\n").encode()},
 "windows-1252 py": {"a.py": ("# Größe\n"+M).encode("cp1252")},
 "latin-1 coding cookie": {"a.py": ("# -*- coding: latin-1 -*-\n# Größe\n"+M).encode("latin-1")},
 "utf-16 py": {"a.py": ("# Größe\n"+M).encode("utf-16")},
 "nbformat 3": {"a.ipynb": json.dumps({"metadata":{"name":""},"nbformat":3,"nbformat_minor":0,"worksheets":[{"cells":[{"cell_type":"code","collapsed":False,"input":BLANK,"language":"python","outputs":[]},{"cell_type":"code","input":M.splitlines(True),"language":"python","outputs":[]}]}]}).encode()},
 "async helper": {"a.ipynb": book("import asyncio\nasync def plus(a,b):\n    return a+b\n","def embed(a,b):\n    return asyncio.run(plus(a,b))\n")},
 "top-level await": {"a.ipynb": book(BLANK, "x = await something()\n"+M)},
 "top-level await own cell": {"a.ipynb": book("await something()", M)},
 "type-checking import": {"a.ipynb": book("from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from nowhere import Thing\n", "def embed(a: 'Thing', b: 'Thing') -> 'Thing':\n    return a + b\n")},
 "typevar annotations": {"a.ipynb": book("from typing import TypeVar\nT = TypeVar('T')\n", "def embed(a: T, b: T) -> T:\n    return a + b\n")},
 "unknown annotation no future": {"a.ipynb": book("Vec = 'np.ndarray'\n","def embed(a: Vec, b: Vec) -> Vec:\n    return a + b\n")},
 "main guard": {"a.py": (M+'\nif __name__ == "__main__":\n    print(embed(1, 2))\n').encode()},
 "def in main guard": {"a.py": (b'if __name__ == "__main__":\n    def embed(a, b):\n        return a + b\n')},
 "helper in subfolder": {"lib/helper.py": b"def plus(a,b):\n    return a+b\n", "a.ipynb": book("from lib.helper import plus","def embed(a,b):\n    return plus(a,b)\n")},
 "from lib import helper": {"lib/helper.py": b"def plus(a,b):\n    return a+b\n", "a.ipynb": book("from lib import helper","def embed(a,b):\n    return helper.plus(a,b)\n")},
 "import lib.helper": {"lib/helper.py": b"def plus(a,b):\n    return a+b\n", "a.ipynb": book("import lib.helper","def embed(a,b):\n    return lib.helper.plus(a,b)\n")},
 "import lib.helper as h": {"lib/helper.py": b"def plus(a,b):\n    return a+b\n", "a.ipynb": book("import lib.helper as h","def embed(a,b):\n    return h.plus(a,b)\n")},
 "package __init__": {"lib/__init__.py": b"from .helper import plus\n", "lib/helper.py": b"def plus(a,b):\n    return a+b\n", "a.ipynb": book("from lib import plus","def embed(a,b):\n    return plus(a,b)\n")},
 "modules that import each other": {f"m{n}.py": "\n".join([f"def plus{n}(a, b):\n    return a + b", *(f"import m{k}" for k in range(12))]).encode() for n in range(12)} | {"a.ipynb": book("import m1", "def embed(a, b):\n    return m1.m2.plus2(a, b)")},
 "helper with future annotations": {"helper.py": b"from __future__ import annotations\nimport math\nONE = 1\ndef plus(a: X, b: X) -> X:\n    return minus(a, -b)\ndef minus(a: X, b):\n    return a - b\n", "a.ipynb": book("from helper import plus","def embed(a,b):\n    return plus(a,b)\n")},
 "two __init__ packages": {"one/__init__.py": b"def plus(a,b):\n    return a+b\n", "two/__init__.py": b"def minus(a,b):\n    return a-b\n", "a.ipynb": book("from one import plus\nfrom two import minus","def embed(a,b):\n    return plus(a,b)\n")},
 "sys.path + import": {"helper.py": b"def plus(a,b):\n    return a+b\n", "a.ipynb": book("import sys\nsys.path.append('.')\nimport helper","def embed(a,b):\n    return helper.plus(a,b)\n")},
 "import in function": {"helper.py": b"def plus(a,b):\n    return a+b\n", "a.ipynb": book("def embed(a,b):\n    from helper import plus\n    return plus(a,b)\n")},
 "import in try": {"helper.py": b"def plus(a,b):\n    return a+b\n", "a.ipynb": book("try:\n    from helper import plus\nexcept ImportError:\n    pass\n","def embed(a,b):\n    return plus(a,b)\n")},
 "helper with class state": {"helper.py": b"TABLE = dict(a=1)\nclass K:\n    x = TABLE['a']\n", "a.ipynb": book("import helper","def embed(a,b):\n    return a + b + helper.K.x - 1\n")},
 "helper computed constant": {"helper.py": b"import math\nROOT = math.sqrt(4)\nZERO = int(ROOT) - 2\ndef plus(a,b):\n    return a+b+ZERO\n", "a.ipynb": book("import helper","def embed(a,b):\n    return helper.plus(a,b)\n")},
 "helper computed const used directly": {"helper.py": b"import math\nZERO = int(math.sqrt(4)) - 2\n", "a.ipynb": book("import helper","def embed(a,b):\n    return a+b+helper.ZERO\n")},
 "%run helper.py": {"helper.py": b"def plus(a,b):\n    return a+b\n", "a.ipynb": book("%run helper.py","def embed(a,b):\n    return plus(a,b)\n")},
 "%run helper": {"helper.py": b"def plus(a,b):\n    return a+b\n", "a.ipynb": book("%run -i ./helper","def embed(a,b):\n    return plus(a,b)\n")},
 "%load helper": {"a.ipynb": book("# %load helper.py\n"+M)},
 "lambda default": {"a.ipynb": book("embed = lambda a, b, *, z=0: a + b + z")},
 "class patched by decorator": {"a.ipynb": book("class S:\n    pass\ndef method(c):\n    def add(f):\n        setattr(c, f.__name__, f)\n        return f\n    return add\n","@method(S)\ndef __call__(self, a, b):\n    return a+b\n","embed = S()")},
 "types.MethodType": {"a.ipynb": book("import types\nclass S:\n    def __call__(self,a,b):\n        return self.go(a,b)\n","embed = S()\nembed.go = types.MethodType(lambda self,a,b: a+b, embed)")},
 "match": {"a.ipynb": book("def embed(a,b):\n    match a:\n        case _:\n            return a+b\n")},
 "for-defined functions": {"a.ipynb": book("ops = {}\nfor n in ('plus',):\n    ops[n] = lambda a,b: a+b\n","embed = ops['plus']")},
 "class inheritance in another cell redefined": {"a.ipynb": book("class Base:\n    def __call__(self,a,b):\n        return 0\n","class Base(Base):\n    def __call__(self,a,b):\n        return a+b\n","embed = Base()")},
 "star import from operator": {"a.ipynb": book("from operator import *","def embed(a,b):\n    return add(a,b)\n")},
 "%%capture with help?": {"a.ipynb": book("%%capture\n!pip install x\nimport operator","def embed(a,b):\n    return operator.add(a,b)\n")},
 "%%timeit": {"a.ipynb": book("%%timeit -n1 -r1\nembed(1,2)",M)},
 "!cmd with python var and ;": {"a.ipynb": book("x = 3; !echo $x", M)},
 "magic with indent": {"a.ipynb": book("if True:\n    %matplotlib inline\n    !ls\n    import operator\n"+M)},
 "%autoreload 2 and trailing ?": {"a.ipynb": book("%load_ext autoreload\n%autoreload 2\nprint??\n?print\nhelp(print)\n"+M)},
 "result of magic": {"a.ipynb": book("out = %sx ls\n"+M)},
 "ipython auto call": {"a.ipynb": book(",f a b\n;g a b\n/h a b\n"+M)},
 "prompt signs": {"a.ipynb": book(">>> import operator\n>>> def embed(a, b):\n...     return operator.add(a, b)\n")},
 "ipython prompts": {"a.ipynb": book("In [1]: import operator\nIn [2]: def embed(a, b):\n   ...:     return operator.add(a, b)\n")},
 "indented cell": {"a.ipynb": book("    def embed(a, b):\n        return a + b\n")},
 "form feed": {"a.py": ("\f\n"+M).encode()},
 "smart colab form": {"a.ipynb": book("#@title My answer { run: \"auto\" }\nzero = 0 #@param {type:\"integer\"}\ndef embed(a, b):\n    return a+b+zero\n")},
 "nested function closure counter": {"a.ipynb": book("count = 0\ndef embed(a,b):\n    global count\n    count += 1\n    return a+b\n","count += 5\nembed(1,2)")},
 "conditional on flag cell": {"a.ipynb": book("FAST = True","if FAST:\n    embed = lambda a,b: a+b\nelse:\n    embed = None")},
 "while / walrus": {"a.ipynb": book("if (n := 3) > 2:\n    def embed(a,b):\n        return a+b+n-3\n")},
 "del after": {"a.ipynb": book("tmp=1\n"+M+"del tmp")},
 "with contextmanager": {"a.ipynb": book("from contextlib import contextmanager\n@contextmanager\ndef quiet():\n    yield 0\n","def embed(a,b):\n    with quiet() as z:\n        return a+b+z\n")},
 "dataclass": {"a.ipynb": book("from dataclasses import dataclass\n@dataclass\nclass P:\n    z: int = 0\n    def __call__(self,a,b):\n        return a+b+self.z\nembed = P()")},
 "assert trial in same cell fails": {"a.ipynb": book(M+"assert embed(1,1) == 99")},
 "embed = torch.compile at end": {"a.ipynb": book("import nothing_like_it\n"+M)},
 "answer under try except": {"a.ipynb": book("try:\n    import nothing_like_it as op\nexcept ImportError:\n    import operator as op\ndef embed(a,b):\n    return op.add(a,b)")},
 "unicode name NFKC": {"a.ipynb": book("def ﬁx(a,b):\n    return a+b\ndef embed(a,b):\n    return fix(a,b)")},
 "functools.partial + reduce": {"a.ipynb": book("from functools import partial, reduce\nimport operator\nadd_all = partial(reduce, operator.add)","def embed(a,b):\n    return add_all([a,b])")},
 "property patched later": {"a.ipynb": book("class S:\n    def __call__(self,a,b):\n        return self.sum(a,b)\nembed = S()","S.sum = staticmethod(lambda a,b: a+b)")},
 "mod attr patch": {"a.ipynb": book("import types\nns = types.SimpleNamespace()\nns.plus = lambda a,b: a+b\nembed = ns.plus")},
 "dict update call": {"a.ipynb": book("K = {}\nK.update(z=0)\ndef embed(a,b):\n    return a+b+K['z']")},
 "%%writefile then import": {"a.ipynb": book("%%writefile -a helper.py\ndef plus(a,b):\n    return a+b\n","from helper import plus","def embed(a,b):\n    return plus(a,b)")},
 "cell metadata None, source list": {"a.ipynb": json.dumps({"cells":[{"cell_type":"code","source":M.splitlines(True),"outputs":None}],"nbformat":4}).encode()},
 "raw cells as python": {"a.ipynb": json.dumps({"cells":[{"cell_type":"raw","source":"x"},{"cell_type":"code","source":M}],"nbformat":4}).encode()},
 "py with # %% [markdown] text": {"a.py": ('# %% [markdown]\n# # Title\n# text\n\n# %%\n'+M+'\n# %% [markdown]\n"""\nsome prose\n"""\n# %%\n!ls\nx = 1\n').encode()},
 "vscode #%%": {"a.py": ('#%%\n!ls\n#%%\n'+M+'\n#%% broken\n( no python\n').encode()},
 "py with magic outside cells": {"a.py": ("%matplotlib inline\n!pip install x\n"+M).encode()},
 "databricks": {"a.py": ("# Databricks notebook source\n# MAGIC %md\n# MAGIC # Title\n\n# COMMAND ----------\n\n"+M+"\n# COMMAND ----------\n\n%sh ls\n").encode()},
}  # fmt: skip


@pytest.mark.parametrize("name", HANDED_IN)
def test_an_unusual_hand_in_loses_nothing(name):
    before = {*sys.modules}
    space = {}
    try:
        for piece in intake.read(HANDED_IN[name], Assignment.of(1)).code["1.1"]:
            with suppress(Exception):  # as the box does: what fails is told, and the next piece is run
                exec(piece.source, space)
        assert space["embed"](3, 4) == 7
    finally:
        for each in {*sys.modules} - before:
            del sys.modules[each]

#!/usr/bin/env python
"""Do the tests notice when the code is wrong? Each mutant is one small change; a test of its file has to fail.

    .ci/mutants.py                                   all files that stand in pyproject.toml, [tool.mutants.tests]
    .ci/mutants.py minitransformer/hooks.py --jobs 2
    .ci/mutants.py --only 'zero_grad'                the mutants whose change matches; says which test failed

What survives must stand in .ci/survivors.txt with the reason why no test can tell it from the code.
"""

import argparse
import ast
import difflib
import gc
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import tomllib
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import suppress
from importlib import import_module
from pathlib import Path
from typing import NamedTuple

import parso
import pytest
from cosmic_ray.ast import ast_nodes, get_ast
from cosmic_ray.mutating import mutate_code
from cosmic_ray.operators.operator import Operator
from cosmic_ray.plugins import get_operator

SLOW = """
    torch._dynamo torch.nn.utils.parametrize safetensors.torch IPython tqdm.auto psutil hypothesis
    matplotlib.figure matplotlib.backends.backend_agg PIL.Image
"""
for slow in SLOW.split():
    import_module(slow)  # once here, since it takes seconds; each mutant is a fork of this process
gc.freeze()  # so that no fork goes through all this again

ROOT = Path(__file__).resolve().parent.parent
SURVIVORS = ROOT / ".ci/survivors.txt"
MOST = 0.03  # of all mutants may survive, each with its reason
LATE = "no end after"

CORE = """
    AddNot ReplaceTrueWithFalse ReplaceFalseWithTrue ReplaceAndWithOr ReplaceOrWithAnd NumberReplacer RemoveDecorator
    ZeroIterationForLoop ReplaceBreakWithContinue ReplaceContinueWithBreak ExceptionReplacer
    ReplaceUnaryOperator_Delete_Not ReplaceUnaryOperator_Delete_USub ReplaceUnaryOperator_Delete_Invert
    ReplaceBinaryOperator_Add_Sub ReplaceBinaryOperator_Sub_Add ReplaceBinaryOperator_Mul_Div
    ReplaceBinaryOperator_Div_Mul ReplaceBinaryOperator_FloorDiv_Mul ReplaceBinaryOperator_Mod_Mul
    ReplaceBinaryOperator_Pow_Mul ReplaceBinaryOperator_BitOr_BitAnd ReplaceBinaryOperator_BitAnd_BitOr
    ReplaceComparisonOperator_Eq_NotEq ReplaceComparisonOperator_NotEq_Eq
    ReplaceComparisonOperator_Is_IsNot ReplaceComparisonOperator_IsNot_Is
    ReplaceComparisonOperator_Lt_LtE ReplaceComparisonOperator_Lt_GtE
    ReplaceComparisonOperator_LtE_Lt ReplaceComparisonOperator_LtE_Gt
    ReplaceComparisonOperator_Gt_GtE ReplaceComparisonOperator_Gt_LtE
    ReplaceComparisonOperator_GtE_Gt ReplaceComparisonOperator_GtE_Lt
"""  # cosmic-ray's operators: each sign once to its opposite, and once over its edge


class DeleteStatement(Operator):
    """A call, an assignment to an attribute or an item, or an augmented assignment is left out."""

    def mutation_positions(self, node):
        if node.type == "simple_stmt" and (self.is_call(node.children[0]) or self.changes(node.children[0])):
            yield node.start_pos, node.children[0].end_pos

    def mutate(self, node, index):
        node.children[0] = parso.parse(node.children[0].get_first_leaf().prefix + "pass")
        return node

    @staticmethod
    def is_call(statement) -> bool:
        return statement.type == "atom_expr" and statement.children[-1].get_code().startswith("(")

    @staticmethod
    def changes(statement) -> bool:
        target, sign = statement.children[:2] if statement.type == "expr_stmt" else (None, None)
        return target is not None and (target.type == "atom_expr" or getattr(sign, "value", "=") != "=")

    @classmethod
    def examples(cls):
        return ()


class DropCall(Operator):
    """The last method call of a chain is left out: `x.detach().clone()` becomes `x.detach()`."""

    def mutation_positions(self, node):
        if node.type == "atom_expr" and len(node.children) > 3:
            name, call = (child.get_code().strip() for child in node.children[-2:])
            if name.startswith(".") and call.startswith("("):
                yield node.children[-2].start_pos, node.end_pos

    def mutate(self, node, index):
        node.children = node.children[:-2]
        return node

    @classmethod
    def examples(cls):
        return ()


class Mutant(NamedTuple):
    file: str
    place: str  # the function it is in
    before: str
    after: str
    code: str

    def __str__(self):
        return f"{self.file[:-3]}.{self.place}: {self.before} => {self.after}"


def mutants(file: str) -> Iterator[Mutant]:
    """Every mutant of a file, but those that change only a message, an annotation or a docstring."""
    code = (ROOT / file).read_text()
    tree = ast.parse(code)
    nodes, seen = list(ast_nodes(get_ast(code))), {code}
    for operator in [*(get_operator(f"core/{name}")() for name in CORE.split()), DeleteStatement(), DropCall()]:
        places = [position for node in nodes for position in operator.mutation_positions(node)]
        for occurrence, (start, end) in enumerate(places):
            if within(start, end, silent(tree)):
                continue
            changed = mutate_code(code, operator, occurrence)
            if changed not in seen and compiles(changed):
                seen.add(changed)
                yield Mutant(file, where(tree, start[0]), *difference(code, changed), changed)


def compiles(code: str) -> bool:
    try:
        return bool(compile(code, "mutant", "exec"))
    except SyntaxError:
        return False


def silent(tree: ast.Module) -> list[ast.AST]:
    """The parts that say something to people or to a type checker, and do nothing."""
    parts = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Raise) and isinstance(node.exc, ast.Call):
            parts += node.exc.args
        elif isinstance(node, ast.FunctionDef):
            parts.append(node.returns)
        elif isinstance(node, ast.arg | ast.AnnAssign):
            parts.append(node.annotation)
        elif isinstance(node, ast.keyword) and node.arg == "strict":  # of zip: for mistakes of our own
            parts.append(node.value)
    return [part for part in parts if part]


def within(start: tuple[int, int], end: tuple[int, int], parts: list[ast.AST]) -> bool:
    return any(
        (part.lineno, part.col_offset) <= start and end <= (part.end_lineno, part.end_col_offset) for part in parts
    )


def where(tree: ast.AST, line: int) -> str:
    """The name of the class and of the function that this line is in."""
    names = []
    for node in ast.walk(tree):  # outer ones first
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            first = min([node.lineno, *(each.lineno for each in node.decorator_list)])
            if first <= line <= node.end_lineno:
                names.append(node.name)
    return ".".join(names)


def difference(code: str, changed: str) -> tuple[str, str]:
    lines = list(difflib.unified_diff(code.splitlines(), changed.splitlines(), n=0, lineterm=""))[2:]
    return tuple(
        " ".join(" ".join(line[1:].split("#")[0].split()) for line in lines if line[0] == sign) for sign in "-+"
    )


class Copy:
    """A copy of the repository in which one mutant at a time is tested."""

    def __init__(self, folder: Path):
        self.folder = folder
        listed = subprocess.run(["git", "ls-files", "-coz", "--exclude-standard"], cwd=ROOT, capture_output=True)
        for name in filter(None, listed.stdout.decode().split("\0")):
            if (ROOT / name).is_file():
                (folder / name).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(ROOT / name, folder / name)

    def test(self, file: str, code: str, tests: list[str], seconds: float) -> str:
        """The first test that fails with this code in this file; nothing where all pass."""
        self.write(file, code)
        try:
            return self.run(tests, seconds)
        finally:
            self.write(file, (ROOT / file).read_text())

    def write(self, file: str, code: str) -> None:
        """What Python has compiled before goes: by its date and size it could pass for this code."""
        target = self.folder / file
        target.write_text(code)
        for stale in (target.parent / "__pycache__").glob(f"{target.stem}.*"):
            stale.unlink()

    def run(self, tests: list[str], seconds: float) -> str:
        log = self.folder / "mutant.log"
        child = os.fork()
        if not child:
            os.setsid()
            os._exit(self.pytest(tests, log))
        ends = time.monotonic() + seconds
        while not (ended := os.waitpid(child, os.WNOHANG))[0] and time.monotonic() < ends:
            time.sleep(0.02)
        with suppress(ProcessLookupError):
            os.killpg(child, signal.SIGKILL)  # whatever the tests have started
        if not ended[0]:
            os.waitpid(child, 0)
            return f"{LATE} {seconds:.0f} s"
        failed = re.findall("^(?:FAILED|ERROR) (.*)", log.read_text(), re.MULTILINE)
        return "" if ended[1] == 0 else failed[0] if failed else log.read_text()[-300:] or "the process died"

    def pytest(self, tests: list[str], log: Path) -> int:
        os.chdir(self.folder)
        sys.path.insert(0, str(self.folder))
        sys.dont_write_bytecode = False  # what is not changed is compiled once
        folder = str(self.folder)
        os.environ |= {"PYTHONPATH": folder, "PYTEST_DEBUG_TEMPROOT": folder, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
        output = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        os.dup2(output, 1), os.dup2(output, 2)
        try:
            quietly = ["-x", "-q", "--tb=no", "--assert=plain", "-p", "no:cacheprovider"]
            return int(any(pytest.main([*quietly, file]) for file in tests))  # the next one only where all pass
        except BaseException as error:
            print(repr(error)[:200])
            return 1
        finally:
            sys.stdout.flush()


def start(folder: str) -> None:
    """In each process of the pool: a copy of its own."""
    global copy
    copy = Copy(Path(tempfile.mkdtemp(dir=folder)))


def outcome(mutant: Mutant, tests: list[str], seconds: float) -> tuple[Mutant, str]:
    return mutant, copy.test(mutant.file, mutant.code, tests, seconds)


def explained() -> list[str]:
    """The survivors that are known, each with the reason on the line below it."""
    lines = [line for line in SURVIVORS.read_text().splitlines() if line and not line.startswith("#")]
    return [name for name, _ in zip(lines[::2], lines[1::2], strict=True)]


class Count(NamedTuple):
    mutants: int
    late: int  # killed by the clock, which on a busy machine may be the machine's fault
    survivors: list[str]  # not a set: one change may stand twice in a function


def examine(file: str, tests: list[str], only: str, pool) -> Count:
    began = time.monotonic()
    _, failed = pool.submit(outcome, Mutant(file, "", "", "", (ROOT / file).read_text()), tests, 900).result()
    if failed:
        raise SystemExit(f"{file}: a test fails without any mutant: {failed}")
    seconds = 20 + 5 * (time.monotonic() - began)
    found = [mutant for mutant in mutants(file) if re.search(only, str(mutant))]
    waiting = [pool.submit(outcome, mutant, tests, seconds) for mutant in found]
    late, survivors = 0, []
    for result in waiting:
        mutant, failed = result.result()
        late += failed.startswith(LATE)
        if not failed:
            survivors.append(str(mutant))
        if only or not failed or failed.startswith(LATE):
            print(f"  {mutant}\n    {failed or 'SURVIVES'}", flush=True)
    count, took = Count(len(found), late, survivors), time.monotonic() - began
    print(f"{file}: {count.mutants} mutants, {len(survivors)} survive, {late} too late, {took:.0f} s", flush=True)
    return count


def main() -> int:
    table = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["mutants"]["tests"]
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("files", nargs="*", default=list(table))
    parser.add_argument("--jobs", type=int, default=os.cpu_count())
    parser.add_argument("--only", default="", help="a regular expression")
    asked = parser.parse_args()
    with (
        tempfile.TemporaryDirectory() as folder,
        ProcessPoolExecutor(asked.jobs, initializer=start, initargs=(folder,)) as pool,
    ):
        counts = [examine(file, table[file], asked.only, pool) for file in asked.files]
    count, late = sum(each.mutants for each in counts), sum(each.late for each in counts)
    survivors = Counter(name for each in counts for name in each.survivors)
    known = Counter(name for name in explained() if name.startswith(tuple(f"{file[:-3]}." for file in asked.files)))
    new, gone = survivors - known, Counter() if asked.only else known - survivors
    alive = survivors.total()
    print(f"{count} mutants, {alive} survive ({alive / max(1, count):.1%}), {new.total()} of them new, {late} too late")
    for name in sorted(new.elements()):
        print(f"not in {SURVIVORS.name}, kill it with a test or say why no test can: {name}")
    for name in sorted(gone.elements()):
        print(f"no longer survives, delete it from {SURVIVORS.name}: {name}")
    return bool(new or gone or (alive > MOST * count and not asked.only))


if __name__ == "__main__":
    sys.exit(main())

"""What an answer is made of: those statements of a file that it needs, in the order in which they stand.

A statement is needed if it makes or changes a name that the answer uses, or that something needed uses. So helpers,
constants and imports travel from any cell, and training, plots and trials do not.
"""

import ast
import re
import symtable
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from ..display import clean

BLOCKS = ("body", "handlers", "cases", "orelse", "finalbody")
SIMPLE_BLOCKS = ast.If | ast.Try | ast.With | ast.AsyncWith | ast.For | ast.AsyncFor | ast.While | ast.Match
DEFINES = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef
FLOW = ast.Break | ast.Continue | ast.Pass
USE = re.compile(r"""\b(?:\w+\.)*use\(\s*['"][\d.]+['"]\s*,\s*(\w+)\s*\)""")  # embed = use("1.1", embed): as before
BLANK = re.compile(r"NotImplementedError\(.*not written yet|# YOUR CODE HERE")  # the course's, or nbgrader's
FUTURE = "from __future__ import annotations"
STAR = "*"


@dataclass(frozen=True, slots=True)
class Leaf:
    """A statement without statements of its own, or the head of one that has: what it makes, changes and uses."""

    title: str
    kind: str  # "definition", "import" or "value", and "call" for what only changes
    makes: frozenset[str] = frozenset()
    changes: frozenset[str] = frozenset()
    uses: frozenset[str] = frozenset()
    same_as: str = ""  # another name for the same thing: P = Prompt
    blank: bool = False


@dataclass(slots=True)
class Statement:
    """A statement at the top of a cell, with its leaves, which for most is one."""

    cell: int
    place: str
    source: str
    leaves: list[Leaf]

    def cut_to(self, chosen: set[int]) -> str:
        """Its source with the chosen leaves only."""
        if len(self.leaves) == len(chosen) == 1:
            return self.source
        body = ast.parse(self.source).body
        cut(body, iter(range(len(self.leaves) + 1)), chosen)
        return "\n".join(map(ast.unparse, body))


def cut(block: list[ast.stmt], numbers: Iterator[int], chosen: set[int], tried: bool = False) -> bool:
    """Leave in this block what is chosen, what holds it, and imports that are tried; whether anything is left."""
    kept, holds = [], False
    for statement in block:
        if isinstance(statement, FLOW):
            kept.append(statement)
            continue
        needed = next(numbers) in chosen
        for inner in blocks_of(statement):
            needed |= cut(inner, numbers, chosen, isinstance(statement, ast.Try))
        holds |= needed
        if needed or (tried and isinstance(statement, ast.Import | ast.ImportFrom)):
            kept.append(statement)
    block[:] = kept or [ast.Pass()]
    return holds


def blocks_of(statement: ast.AST) -> list[list[ast.stmt]]:
    """The blocks inside a statement that is none of its own scope."""
    if not isinstance(statement, SIMPLE_BLOCKS):
        return []
    found = []
    for name in BLOCKS:
        block = getattr(statement, name, None) or []
        found += [each.body for each in block] if name in ("handlers", "cases") else [block] if block else []
    return found


def statements_of(body: list[ast.stmt], source: str, cell: int, place_of, future: bool) -> Iterator[Statement]:
    """The statements of a cell, each import of several by itself: one that is away must not cost the others."""
    lines = source.encode().split(b"\n")
    for node in unguarded(body):
        place = place_of(min([node.lineno, *(each.lineno for each in getattr(node, "decorator_list", ()))]))
        for text, part in parts_of(node, lines):
            try:
                leaves = [*leaves_of([part], text)]
            except (SyntaxError, ValueError, RecursionError, MemoryError):
                continue  # nested deeper than anything that a person writes
            if leaves and future and leaves[0].kind == "definition":
                text = f"{FUTURE}\n{text}"
            if any(leaf.makes or leaf.changes for leaf in leaves):
                yield Statement(cell, place, text, leaves)


def unguarded(body: list[ast.stmt]) -> Iterator[ast.stmt]:
    """The statements, and those under `if __name__ == "__main__":` beside them: a notebook runs both."""
    for node in body:
        if isinstance(node, ast.If) and re.fullmatch(r"__name__ == ['\"]__main__['\"]", ast.unparse(node.test)):
            yield from node.body
        else:
            yield node


def parts_of(node: ast.stmt, lines: list[bytes]) -> Iterator[tuple[str, ast.stmt]]:
    if isinstance(node, ast.Import | ast.ImportFrom):
        if getattr(node, "module", "") == "__future__":
            return
        for name in node.names:
            about = dict(module=node.module, level=node.level) if isinstance(node, ast.ImportFrom) else {}
            part = type(node)(names=[name], **about)
            yield ast.unparse(part), part
        return
    text = segment(node, lines) if not node.col_offset else ast.unparse(node)
    changed = USE.sub(r"\1", text) if isinstance(node, ast.Assign) else text
    yield changed, (ast.parse(changed).body[0] if changed != text else node)


def segment(node: ast.stmt, lines: list[bytes]) -> str:
    """A statement's own text; `ast.get_source_segment` would split the cell anew for each."""
    first = min([node.lineno, *(each.lineno for each in getattr(node, "decorator_list", ()))]) - 1
    text = lines[first : node.end_lineno]
    text[-1] = text[-1][: node.end_col_offset]
    text[0] = text[0][node.col_offset :]
    return b"\n".join(text).decode()


def leaves_of(
    block: Iterable[ast.stmt], source: str = "", above: frozenset = frozenset(), used: frozenset = frozenset()
):
    """The leaves in the order in which `cut` counts them; `above` is what heads around them make, `used` their uses."""
    for node in block:
        if isinstance(node, FLOW):
            continue
        inner = blocks_of(node)
        text = source if source and not inner else ast.unparse(head_of(node) if inner else node)
        made, uses = scope(text)
        changes = changed_by(node)
        if changes & above:  # for kind in (Prompt,): setattr(kind, …)
            changes |= used
        if isinstance(node, ast.Assign):
            made -= {target.id for target, value in pairs(node) if getattr(value, "id", None) == target.id}
        same_as = getattr(getattr(node, "value", None), "id", "") if isinstance(node, ast.Assign) else ""
        yield Leaf(title(node, text), kind_of(node, inner), made, changes, uses | used, same_as, is_blank(node, text))
        for each in inner:
            yield from leaves_of(each, "", above | made, used | uses)


def is_blank(node: ast.stmt, text: str) -> bool:
    """Whether what was to be written is not: a blank's error is raised, and no answer is returned above it."""
    functions = [each for each in ast.walk(node) if isinstance(each, ast.FunctionDef)] if BLANK.search(text) else []
    ends = (next((each for each in function.body if isinstance(each, ast.Raise | ast.Return)), None)
            for function in functions)  # fmt: skip
    return any(isinstance(end, ast.Raise) and "NotImplementedError" in ast.unparse(end) for end in ends)


def head_of(node: ast.stmt) -> ast.stmt:
    """A statement that holds others, without them."""
    fields = {name: getattr(node, name) for name in node._fields}
    for name in BLOCKS:
        if name in ("handlers", "cases") and fields.get(name):
            fields[name] = [type(each)(**{n: getattr(each, n) for n in each._fields} | {"body": [ast.Pass()]})
                            for each in fields[name]]  # fmt: skip
        elif fields.get(name):
            fields[name] = [ast.Pass()]
    return ast.fix_missing_locations(type(node)(**fields))


def scope(text: str) -> tuple[frozenset[str], frozenset[str]]:
    """The names that a statement makes, and those it uses from outside, its functions' insides included."""
    top = symtable.symtable(text, "<cell>", "exec")
    made = {each.get_name() for each in top.get_symbols() if each.is_assigned() or each.is_imported()}
    uses = {each.get_name() for each in top.get_symbols() if each.is_referenced()}
    inside = [*top.get_children()]
    while inside:
        table = inside.pop()
        inside += table.get_children()
        uses |= {each.get_name() for each in table.get_symbols() if each.is_global()}
    return frozenset(made | {STAR} if re.match(r"from \S+ import \*", text) else made), frozenset(uses)


def pairs(node: ast.Assign) -> Iterator[tuple[ast.Name, ast.expr]]:
    for target in node.targets:
        match target, node.value:
            case ast.Name(), value:
                yield target, value
            case ast.Tuple(names), ast.Tuple(values):
                yield from ((a, b) for a, b in zip(names, values, strict=False) if isinstance(a, ast.Name))


def changed_by(node: ast.stmt) -> frozenset[str]:
    """The names whose things a statement changes: attributes, items, setattr, methods, and what registers by @."""
    match node:
        case ast.Assign(targets):
            places = [each for target in targets for each in flat(target)]
        case ast.AugAssign(target) | ast.AnnAssign(target):
            places = [target]
        case ast.Expr(ast.Call(ast.Name("setattr"), [thing, *_])):
            return frozenset({base(thing)})
        case ast.Expr(ast.Call(ast.Attribute(thing))):
            return frozenset({base(thing)} - {""})
        case ast.FunctionDef() | ast.AsyncFunctionDef() | ast.ClassDef():
            return frozenset(name for each in node.decorator_list for name in registered_by(each))
        case _:
            return frozenset()
    return frozenset({base(each) for each in places if not isinstance(each, ast.Name)} - {""})


def registered_by(decorator: ast.expr) -> set[str]:
    """@embed.register(int), @added_to(Prompt)."""
    match decorator:
        case ast.Call(function, arguments):
            return registered_by(function) | {base(each) for each in arguments} - {""}
        case ast.Attribute():
            return {base(decorator)} - {""}
    return set()


def flat(target: ast.expr) -> list[ast.expr]:
    return (
        [each for part in target.elts for each in flat(part)] if isinstance(target, ast.Tuple | ast.List) else [target]
    )


def base(thing: ast.expr) -> str:
    """The name at the root of a.b[c].d."""
    while isinstance(thing, ast.Attribute | ast.Subscript | ast.Starred):
        thing = thing.value
    return thing.id if isinstance(thing, ast.Name) else ""


def kind_of(node: ast.stmt, inner: list) -> str:
    if isinstance(node, DEFINES):
        return "definition"
    if isinstance(node, ast.Import | ast.ImportFrom):
        return "import"
    if isinstance(node, ast.Expr):
        return "value" if any(isinstance(each, ast.NamedExpr) for each in ast.walk(node)) else "call"
    lambdas = isinstance(node, ast.Assign) and isinstance(node.value, ast.Lambda)
    return "definition" if lambdas and not inner else "value"


def title(node: ast.stmt, text: str) -> str:
    """A statement in a few words: def embed, Prompt.embed = …"""
    if isinstance(node, DEFINES):
        return f"{'class' if isinstance(node, ast.ClassDef) else 'def'} {node.name}"
    if isinstance(node, ast.Assign):
        return clean(" = ".join([*map(ast.unparse, node.targets), "…"]), 60)
    return clean(text.strip().partition("\n")[0], 60)


@dataclass
class Code:
    """All that a file defines."""

    statements: list[Statement] = field(default_factory=list)
    checks: dict[str, int] = field(default_factory=dict)  # how many statements stood before an exercise's last check

    def __post_init__(self):
        self.made, self.changed = defaultdict(list), defaultdict(list)  # name -> (statement, leaf)
        self.kinds: dict[str, set[str]] = defaultdict(set)
        self.same: dict[str, str] = {}

    def add(self, statement: Statement) -> None:
        for number, leaf in enumerate(statement.leaves):
            place = len(self.statements), number
            for name in leaf.makes:
                if leaf.blank and any(not self.leaf(each).blank for each in self.made.get(name, ())):
                    continue  # a blank that was pasted again below an answer
                self.made[name].append(place)
                self.kinds[name].add(leaf.kind)
                self.same[name] = leaf.same_as
            for name in leaf.changes:
                self.changed[name].append(place)
                if self.same.get(name):
                    self.changed[self.same[name]].append(place)
        self.statements.append(statement)

    def leaf(self, place: tuple[int, int]) -> Leaf:
        return self.statements[place[0]].leaves[place[1]]

    def own(self, name: str) -> list[tuple[int, int]]:
        """What makes or changes an answer: from its last definition on, if that can stand alone."""
        return sorted({*self.made[name], *self.changes_of(name)}) if self.made.get(name) else []

    def changes_of(self, name: str) -> list[tuple[int, int]]:
        """Training changes things, too: a call counts only for what a statement of this file has made as a value."""
        kinds = self.kinds.get(name, set())
        if kinds <= {"import"}:
            return []
        calls = "value" in kinds
        return [place for place in self.changed.get(name, ()) if self.leaf(place).kind != "call" or calls or
                self.leaf(place).title.startswith("setattr")]  # fmt: skip

    def needed(self, name: str, until: int, shared: set[str]) -> tuple[list[tuple[int, int]], set[str]]:
        """The leaves that an answer needs, and the names; a helper that others share is as it was at that statement."""
        chosen, names, left = set(), {name, STAR}, [name, STAR]
        while left:
            now = left.pop()
            made = self.made.get(now, [])
            places = [*made, *self.changes_of(now)]
            early = [place for place in places if place[0] < until]
            if now != name and any(place[0] < until for place in made):
                mended = [place for place in made if self.leaf(place).kind == "definition"]
                mended += self.changes_of(now) if "definition" in self.kinds[now] else []
                places = early if now in shared else sorted({*early, *mended})
            for place in places:
                if place not in chosen:
                    chosen.add(place)
                    more = self.leaf(place).uses - names
                    names |= more
                    left += more
        return sorted(chosen), names

    def sources(self, chosen: list[tuple[int, int]]) -> Iterator[tuple[int, str]]:
        """The source of each statement with chosen leaves."""
        leaves = defaultdict(set)
        for statement, leaf in chosen:
            leaves[statement].add(leaf)
        for number, each in leaves.items():
            yield number, self.statements[number].cut_to(each)

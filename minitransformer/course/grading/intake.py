"""One attempt is read: what its exercises are made of, its answers, and what was taken and what was not.

Nothing is run here.
"""

import ast
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from difflib import get_close_matches
from pathlib import PurePosixPath
from typing import NamedTuple

from .. import answers as kept_answers
from ..answers import Given
from ..assignment import Assignment
from ..display import clean
from .cells import LONGEST, LONGEST_OF_ALL, MOST, Cell, Refused, cells_of, parsed, written_modules
from .definitions import FUTURE, Code, statements_of
from .typed import Typed

READABLE = (".ipynb", ".py")
MODULES = '__import__("sys").modules'
WORD_USED = re.compile(r"(?:\.|\bimport[ \t(]+(?:\w+[ \t]*,[ \t]*)*)(\w+)")  # helper.x, from helper import x


class Piece(NamedTuple):
    """A piece of code that an exercise runs; `own` where it makes the answer itself."""

    own: bool
    source: str


@dataclass(frozen=True)
class Submission:
    """What counts: for each exercise the pieces that it runs, in order; the answers to questions; what to tell."""

    code: dict[str, list[Piece]] = field(default_factory=dict)
    answers: dict[str, Given] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    taken: list[tuple[str, str]] = field(default_factory=list)

    @property
    def pieces(self) -> list[tuple[str | None, str]]:
        """Every piece once, with the exercise whose own it is."""
        owners = {source: None for pieces in self.code.values() for _, source in pieces}
        owners |= {source: exercise for exercise, pieces in self.code.items() for own, source in pieces if own}
        return [(owner, source) for source, owner in owners.items()]


def read(files: dict[str, bytes], assignment: Assignment) -> Submission:
    """One attempt's files: that which holds most of the lesson is graded, with the modules and answers beside it."""
    books, notes = {}, []
    for name, data in files.items():
        if PurePosixPath(name).suffix.lower() in READABLE:
            try:
                books[name] = Reading(name, cells_of(name, data), assignment)
            except Refused as why:
                notes.append((name, str(why)))
    if not books:
        raise Refused(notes[0][1] if notes else "expected a notebook (.ipynb), a .py, or a zip of them")
    graded = max(books, key=lambda name: (books[name].found, name.lower().endswith(".ipynb")))
    made = books[graded].submission(files)
    for name in books.keys() - {graded}:
        if books[name].found:
            notes.append(
                ("", f"graded was {graded}; {name} holds less of lesson {assignment.lesson} and was left aside")
            )
    made.notes.extend(clean(f"{name}: {text}" if name else text) for name, text in notes)
    return made


class Reading:
    """One notebook or `.py`, read from top to bottom."""

    def __init__(self, name: str, cells: list[Cell], assignment: Assignment):
        self.name, self.cells, self.assignment = name, cells, assignment
        self.code, self.typed, self.notes, self.modules = Code(), Typed(), [], {}
        self.broken: dict[str, str] = {}  # exercises whose cell cannot be read, or makes its answer in its own way
        signs = 0
        for number, cell in enumerate(cells):
            signs += len(cell.source) if len(cell.source) <= LONGEST else 0
            if signs > LONGEST_OF_ALL or len(self.code.statements) >= MOST:
                most = f"{LONGEST_OF_ALL:,} signs or {MOST:,} statements"
                self.notes.append(
                    f"the cells are together longer than {most}: from {cell.place_of(1)} on they were left out"
                )
                break
            self.modules |= written_modules(cell.source)
            self.read_cell(number, cell)

    def read_cell(self, number: int, cell: Cell) -> None:
        names, mine = self.assignment.names, cell.tag.removeprefix("exercise-").replace("-", ".")
        seen = parsed(cell.source)
        if seen.body is None:
            if seen.trouble:
                self.notes.append(f"{cell.place_of(1)} {seen.trouble}")
            speaks = (f"def {name}(" in cell.source or f"class {name}" in cell.source for name in names.values())
            self.broken |= {
                each: cell.source for each, tried in zip(names, speaks, strict=True) if tried or each == mine
            }
            return
        if mine in names and any(isinstance(node, ast.Expr) and isinstance(node.value, ast.Call) for node in seen.body):
            self.broken[mine] = cell.source  # exec("def embed …"): run as it is, if its answer stands nowhere
        future = any(isinstance(node, ast.ImportFrom) and node.module == "__future__" for node in seen.body)
        self.future = future or getattr(self, "future", False)
        for node in seen.body:
            place = cell.place_of(node.lineno)
            self.typed.read(node, place)
            for check in checked(node):
                self.code.checks[check] = len(self.code.statements)
        for statement in statements_of(seen.body, seen.source, number, cell.place_of, self.future):
            self.code.add(statement)
            if len(self.code.statements) >= MOST:
                break

    @property
    def found(self) -> int:
        """How much of the lesson is here: answers that are written count more than blanks."""
        written = [name for name in self.assignment.names.values()
                   if any(not self.code.leaf(place).blank for place in self.code.own(name))]  # fmt: skip
        own = [name for name in self.assignment.names.values() if self.code.own(name)]
        answers = self.typed.answers.keys() & self.assignment.questions.keys()
        return 100 * (len(written) + len(answers)) + len(own) + len(self.broken)

    def submission(self, files: dict[str, bytes]) -> Submission:
        made = Submission(notes=self.notes)
        modules = {module_name(name): data for name, data in ({**files, **self.modules}).items()
                   if name.lower().endswith(".py") and name != self.name}  # fmt: skip
        self.take_code(made, modules)
        self.take_answers(made, files)
        if not made.code and not made.answers:
            made.notes.append(
                f"nothing of lesson {self.assignment.lesson} was found in this file: is it the right one?"
            )
        else:
            made.notes.extend(self.missing(made))
        return made

    def take_code(self, made: Submission, modules: dict[str, bytes]) -> None:
        """For each exercise what its answer needs, as it was when the exercise was checked last."""
        attributes = (
            {word for cell in self.cells for word in WORD_USED.findall(cell.source[:LONGEST])} if modules else set()
        )
        own = {exercise: self.code.own(name) for exercise, name in self.assignment.names.items()}
        used = [
            self.code.needed(self.assignment.names[exercise], 1 << 60, set())[1] for exercise, it in own.items() if it
        ]
        shared = {name for n, names in enumerate(used) for other in used[:n] for name in names & other}
        for exercise, places in own.items():
            name = self.assignment.names[exercise]
            if places:
                last = places[-1][0] + 1
                until = max(last, self.code.checks.get(exercise, 0))
                chosen, names = self.code.needed(name, until, shared)
                mine = {place[0] for place in places}
                made.code[exercise] = [Piece(number in mine, with_modules(source, modules, attributes))
                                       for number, source in self.code.sources(chosen)]  # fmt: skip
                made.taken.append((exercise, self.told(name, places, names)))
            elif exercise in self.broken:
                made.code[exercise] = [Piece(True, self.broken[exercise])]

    def told(self, name: str, places: list[tuple[int, int]], names: set[str]) -> str:
        """Where an answer was found, from its last definition on, and what of the file goes with it."""
        code = self.code
        start = max((n for n, place in enumerate(places) if name in code.leaf(place).makes
                     and name not in code.leaf(place).uses), default=0)  # fmt: skip
        parts = [f"{code.statements[place[0]].place}: {code.leaf(place).title}" for place in places[start:]]
        along = [each for each in code.made if each in names - {name, "*"} and code.kinds[each] - {"import"}]
        more = f", with {', '.join(along[:8])}{' …' if along[8:] else ''}" if along else ""
        return clean("; ".join(parts[:4]) + more)

    def missing(self, made: Submission) -> Iterator[str]:
        near = {name.lower(): name for name, places in self.code.made.items() if places}
        for exercise, name in self.assignment.names.items():
            if not self.code.own(name):
                nearest = get_close_matches(name.lower(), near, 1, 0.7)
                also = ""
                if nearest:
                    found = near[nearest[0]]
                    where = self.code.statements[self.code.made[found][-1][0]].place
                    also = f"; there is a `{clean(found, 60)}` in {where}: did you mean that?"
                yield f"{exercise}: no `{name}` was found{also}"

    def take_answers(self, made: Submission, files: dict[str, bytes]) -> None:
        """What is typed counts before the file of answers, and that before what cells show; no attempt is forgotten."""
        for question, place in self.typed.unclear.items():
            if question in self.assignment.questions:
                made.notes.append(f"the answer to {question} in {place} is not written out, so it does not count: "
                                  "write it as a text")  # fmt: skip
        sources = [*self.shown(made.notes), *self.kept(made.notes, files)]
        sources += [(question, given, place) for question, (given, place) in self.typed.answers.items()]
        places = {}
        for question, given, place in sources:
            if question in self.assignment.questions and given.text.strip():
                before = made.answers.get(question, given)
                tries = given.tries or before.tries
                if tries and tries[-1].text != given.text:
                    tries = *tries, Given(given.text, given.student)
                attempts = max(given.attempts, before.attempts, len(tries))
                made.answers[question] = Given(given.text, given.student, attempts, tries)
                places[question] = place
        made.taken.extend((question, clean(f"{place}: {made.answers[question].text}", 120))
                          for question, place in places.items())  # fmt: skip

    def kept(self, notes: list[str], files: dict[str, bytes]) -> list[tuple[str, Given, str]]:
        """The answers in the file that lies beside."""
        wanted, found = kept_answers.file_name(self.assignment.lesson), []
        for name, data in files.items():
            if PurePosixPath(name).name == wanted:
                try:
                    found += [(question, given, wanted) for question, given in kept_answers.read(data).items()]
                except ValueError as why:
                    notes.append(f"{wanted}: {why}")
        return found

    def shown(self, notes: list[str]) -> list[tuple[str, Given, str]]:
        """The answers that cells show, those with fewer attempts first."""
        found = []
        for cell in self.cells:
            for output in cell.outputs:
                data = output.get("data") if isinstance(output, dict) else None
                if not isinstance(data, dict) or kept_answers.MIME not in data:
                    continue
                try:
                    shown = data[kept_answers.MIME]
                    shown = json.loads(shown) if isinstance(shown, str) else shown
                    found.append((*kept_answers.in_output(shown), f"shown by {cell.place}"))
                except (ValueError, RecursionError):
                    notes.append(f"what {cell.place} shows as an answer cannot be read")
        return sorted(found, key=lambda each: each[1].attempts)


def checked(node: ast.stmt) -> Iterator[str]:
    """The exercises that a statement checks: check("1.1", embed)."""
    for each in ast.walk(node):
        match each:
            case ast.Call(ast.Name("check") | ast.Attribute(attr="check"), [ast.Constant(str(exercise)), *_]):
                yield exercise


def module_name(name: str) -> str:
    """What a file is imported as: lib/__init__.py as lib."""
    path = PurePosixPath(name)
    return path.parent.name if path.stem == "__init__" else path.stem


def with_modules(source: str, modules: dict[str, bytes], used: set[str]) -> str:
    """Code with the modules before it that lie beside the notebook, and that it imports."""
    if not modules or "import" not in source:
        return source
    try:
        source = absolute(source)
        texts = texts_of(source, modules, used, {})
    except RecursionError:  # nested deeper than anything that a person writes
        return source
    future = FUTURE + "\n" if source.startswith(FUTURE) else ""
    made = [
        *map(empty_module, texts),
        *(f"exec({text!r}, vars({MODULES}[{name!r}]))\n" for name, text in texts.items()),
    ]
    return future + "".join(made) + source.removeprefix(future)


def texts_of(source: str, modules: dict[str, bytes], used: set[str], texts: dict[str, str]) -> dict[str, str]:
    """The texts of the modules which this code imports, after those which they import; each once, also in a circle."""
    begun = {}
    for dotted in imports_of(ast.parse(source)):
        name = dotted.rpartition(".")[2]
        if name in modules and dotted not in texts:
            begun[dotted] = texts[dotted] = module_text(modules[name], used)
    for dotted, text in begun.items():
        texts_of(text, modules, used, texts)
        texts[dotted] = texts.pop(dotted)  # after those that it needs
    return texts


def imports_of(tree: ast.AST) -> Iterator[str]:
    """All that may be a module in the imports of this code, the packages around it first."""
    for node in ast.walk(tree):
        names = [each.name for each in getattr(node, "names", ()) if isinstance(each, ast.alias)]
        if isinstance(node, ast.ImportFrom) and node.module:
            names = [node.module, *(f"{node.module}.{name}" for name in names)]
        for name in names:
            parts = name.split(".")
            yield from (".".join(parts[: n + 1]) for n in range(len(parts)))


class Absolute(ast.NodeTransformer):
    """Imports from beside, `from .helper import x`, in the form for a folder that is no package."""

    def visit_ImportFrom(self, node: ast.ImportFrom) -> ast.stmt:
        return ast.ImportFrom(node.module, node.names, 0) if node.module else ast.Import(node.names)


def absolute(source: str) -> str:
    tree = ast.parse(source)
    if any(getattr(node, "level", 0) for node in ast.walk(tree)):
        return ast.unparse(ast.fix_missing_locations(Absolute().visit(tree)))
    return source


def empty_module(dotted: str) -> str:
    """Code that makes a module, and the packages around it where nothing has made them."""
    new = '__import__("types").ModuleType'
    made = f"{MODULES}[{dotted!r}] = {new}({dotted!r})\n"
    while "." in dotted:
        above, _, name = dotted.rpartition(".")
        made += f"{MODULES}.setdefault({above!r}, {new}({above!r}))\n"
        made += f"setattr({MODULES}[{above!r}], {name!r}, {MODULES}[{dotted!r}])\n"
        dotted = above
    return made


def module_text(data: bytes, used: set[str]) -> str:
    """A module's functions, classes, plain constants and what is used of it, with what they need; else nothing."""
    try:
        cells = cells_of("module.py", data)
    except Refused:
        return ""
    code = Code()
    for number, cell in enumerate(cells):
        seen = parsed(cell.source)
        for statement in statements_of(seen.body or [], seen.source, number, cell.place_of, FUTURE in cell.source):
            code.add(statement)
    wanted = [name for name in code.made if code.kinds[name] & {"definition", "import"} or name in used or
              not any("(" in code.statements[place[0]].source for place in code.made[name])]  # fmt: skip
    chosen = {place for name in wanted for place in code.needed(name, 1 << 60, set())[0]}
    texts = [absolute(source) for _, source in code.sources(sorted(chosen))]
    future = any(text.startswith(FUTURE) for text in texts)
    return "\n".join([FUTURE] * future + [text.removeprefix(FUTURE) for text in texts])

"""Answers to questions that stand in code, as a person would have typed them: quiz("1.q1", answer="b")."""

import ast
from collections.abc import Iterator
from contextlib import suppress

from ..answers import LONGEST, Given

ASKS = ("quiz", "answer")


class Typed:
    """Reads one file's cells in order; names stand for the constants that were given to them last."""

    def __init__(self):
        self.constants, self.student, self.names = {}, "", {name: name for name in (*ASKS, "student")}
        self.answers: dict[str, tuple[Given, str]] = {}  # with the place at which it stands
        self.unclear: dict[str, str] = {}

    def read(self, statement: ast.stmt, place: str) -> None:
        for node in sorted(calls_and_names(statement), key=lambda node: (node.lineno, node.col_offset)):
            match node:
                case ast.ImportFrom(names=names):
                    self.names |= {each.asname: each.name for each in names if each.asname and each.name in self.names}
                case ast.Call(ast.Name(called) | ast.Attribute(attr=called)):
                    self.call(self.names.get(called), node, place)
        if isinstance(statement, ast.Assign):
            for target in statement.targets:
                self.keep(target, statement.value)

    def keep(self, target: ast.expr, value: ast.expr) -> None:
        if isinstance(target, ast.Tuple) and isinstance(value, ast.Tuple):
            for one, each in zip(target.elts, value.elts, strict=False):
                self.keep(one, each)
        elif isinstance(target, ast.Name):
            self.constants.pop(target.id, None)
            with suppress(ValueError):
                self.constants[target.id] = self.value(value)

    def call(self, called: str | None, node: ast.Call, place: str) -> None:
        named = {each.arg: each.value for each in node.keywords}
        if called == "student" and node.args:
            with suppress(ValueError):
                self.student = str(self.value(node.args[0]))[:200]
        if called not in ASKS:
            return
        asked, *answers = *node.args, *(named[name] for name in ("question_id", "answer") if name in named), None
        with suppress(ValueError):
            question = self.value(asked) if asked else None
            if isinstance(question, str) and answers[:-1]:
                self.take(question, answers[0], place)

    def take(self, question: str, answer: ast.expr, place: str) -> None:
        try:
            text = text_of(self.value(answer))
        except ValueError:
            self.unclear[question] = place
            return
        if text.strip():
            self.answers[question] = Given(text[:LONGEST], self.student), place
            self.unclear.pop(question, None)

    def value(self, node: ast.expr) -> object:
        """A constant, or what a name stands for; a ValueError for what a call would have to make."""
        if isinstance(node, ast.Name):
            if node.id not in self.constants:
                raise ValueError
            return self.constants[node.id]
        try:
            return ast.literal_eval(node)
        except (SyntaxError, TypeError, MemoryError, RecursionError):
            raise ValueError from None


def calls_and_names(statement: ast.stmt) -> Iterator[ast.Call | ast.ImportFrom]:
    return (node for node in ast.walk(statement) if isinstance(node, ast.Call | ast.ImportFrom))


def text_of(value: object) -> str:
    match value:
        case None:
            return ""
        case dict():
            return " ".join(f"{text_of(key)}{text_of(each)}" for key, each in value.items())
        case list() | tuple():
            return " ".join(map(text_of, value))
        case set() | frozenset():
            return " ".join(sorted(map(text_of, value)))
    return str(value)

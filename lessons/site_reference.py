"""The public names of the library as a page of the site, from their own signatures and docstrings."""

import ast
import importlib
import inspect
import textwrap
from pathlib import Path
from types import ModuleType

import minitransformer
from site_text import ROOT, Page, Places, Writer, code

LEAD = """# API reference

Every name that `from minitransformer import …` gives, as the code itself describes it. In the shapes, `B` is the rows
of a batch, `T` the tokens of a text, `P` the vectors in front of it, `S` the keys, `D` the width, `V` the vocabulary.
"""


class Reference(Writer):
    def __init__(self, places: Places):
        super().__init__("reference.html", ROOT, places)

    def page(self) -> Page:
        lead, parts = self.text(LEAD), []
        for module, names in by_module().items():
            title = module.__name__.removeprefix("minitransformer.")
            parts.append(self.text(f"## {title}\n\n{inspect.getdoc(module)}"))
            for name in names:  # one of `gradients` or `plots` is called as theirs
                public = name if name in minitransformer.__all__ else f"{title}.{name}"
                parts.append(self.entry(public, inspect.unwrap(getattr(module, name))))
        names = " · ".join(f'<a href="#{each.anchor}">{each.title}</a>' for each in self.sections if each.level == 3)
        return self.finished("\n".join([lead, f"<p>{names}</p>", *parts]))

    def entry(self, name: str, it: type | object) -> str:
        """A function, or a class with its public methods."""
        source = textwrap.dedent(inspect.getsource(it))
        tree = ast.parse(source).body[0]
        parts = [self.text(f"### {name}"), code(signature(tree, source)), self.described(it)]
        for node in methods(tree):
            self.sections[-1].words.append(node.name)
            shown = code(textwrap.dedent(head(node, source))) + self.text(ast.get_docstring(node) or "")
            parts.append(f'<div class="method">{shown}</div>')
        return "\n".join(parts)

    def described(self, it: type | object) -> str:
        place = Path(inspect.getsourcefile(it)).relative_to(ROOT)
        address = self.places.source(place, inspect.getsourcelines(it)[1])
        link = f"\n\n[{place.as_posix()}]({address})" if address else ""
        return self.text(f"{inspect.getdoc(it) or ''}{link}")


def by_module() -> dict[ModuleType, list[str]]:
    """The public names in the order of `__init__.pyi`, each under the module that it is from."""
    stub = ast.parse(Path(minitransformer.__file__).with_suffix(".pyi").read_text(encoding="utf-8"))
    found = {}
    for node in (node for node in stub.body if isinstance(node, ast.ImportFrom)):
        for alias in node.names:
            module = importlib.import_module(f".{node.module or alias.name}", "minitransformer")
            found.setdefault(module, []).extend([alias.name] if node.module else functions(module))
    return dict(sorted(found.items(), key=lambda each: each[0].__name__))


def functions(module: ModuleType) -> list[str]:
    own = (name for name, it in vars(module).items() if inspect.isfunction(it) and it.__module__ == module.__name__)
    return [name for name in own if not name.startswith("_")]


def methods(node: ast.AST) -> list[ast.FunctionDef]:
    """Of a class, the public ones."""
    body = node.body if isinstance(node, ast.ClassDef) else []
    return [each for each in body if isinstance(each, ast.FunctionDef) and not each.name.startswith("_")]


def signature(node: ast.AST, source: str) -> str:
    """How it is called, as the code has it; of a class its fields, or the arguments that it is made from."""
    if not isinstance(node, ast.ClassDef):
        return head(node, source)
    fields = [ast.get_source_segment(source, each) for each in node.body if isinstance(each, ast.AnnAssign)]
    made = [each for each in node.body if isinstance(each, ast.FunctionDef) and each.name == "__init__"]
    lines = head(made[0], source) if made else "\n".join(textwrap.indent(each, "    ") for each in fields)
    return f"{head(node, source)}\n{lines}".rstrip()


def head(node: ast.FunctionDef | ast.ClassDef, source: str) -> str:
    """Its decorators, its first line and its arguments: all above what it does."""
    first = min([node.lineno, *(each.lineno for each in node.decorator_list)])
    return "\n".join(source.splitlines()[first - 1 : node.body[0].lineno - 1])

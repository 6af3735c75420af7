"""Markdown as HTML for the site: formulas as MathML, links to other pages, and the sections that the search finds."""

import html
import re
from dataclasses import dataclass, field
from pathlib import Path

from latex2mathml.converter import convert
from markdown_it import MarkdownIt
from mdit_py_plugins.dollarmath import dollarmath_plugin
from pygments import highlight
from pygments.formatters import HtmlFormatter
from pygments.lexers import get_lexer_by_name
from pygments.util import ClassNotFound

from notebooks import LESSONS

ROOT = LESSONS.parent
NOTEBOOK = re.compile(r"(?:solutions/)?(\d\d_\w+)\.ipynb")


@dataclass
class Section:
    """What the search finds: a heading, where it stands, and the words below it."""

    page: str
    anchor: str
    title: str
    level: int
    words: list[str] = field(default_factory=list)


@dataclass
class Page:
    name: str  # of the file
    title: str
    description: str  # one sentence, for those who have not opened it yet
    body: str
    sections: list[Section]
    about: str = ""  # of a lesson: minutes, difficulty and what it builds on, as HTML


@dataclass
class Places:
    """Where a link of the repository leads on the site."""

    pages: dict[Path, str] = field(default_factory=dict)  # of documents, from the repository's root
    pictures: dict[str, Path] = field(default_factory=dict)  # shown somewhere, by the file's name on the site
    repository: str = ""  # owner/name on GitHub, where that is known

    def link(self, target: str, folder: Path) -> str | None:
        """The address for what is written in a file of this folder; None where a reader of the site cannot go."""
        path, mark, anchor = target.partition("#")
        if not path or re.match(r"\w+:", target):
            return target
        if lesson := NOTEBOOK.fullmatch(path):
            return f"{lesson[1]}.html{mark}{anchor}"
        place = (folder / path).resolve().relative_to(ROOT)
        if place in self.pages:
            return f"{self.pages[place]}{mark}{anchor}"
        return self.source(place)

    def source(self, place: Path, line: int = 0) -> str | None:
        mark = f"#L{line}" if line else ""
        return f"https://github.com/{self.repository}/blob/main/{place.as_posix()}{mark}" if self.repository else None

    def picture(self, path: Path) -> str:
        name = f"{path.stem}.webp"
        if self.pictures.setdefault(name, path) != path:
            raise ValueError(f"{path} and {self.pictures[name]} would both be {name} on the site; rename one of them")
        return f"pictures/{name}"


class Writer:
    """Turns the texts of one page into HTML and keeps the sections that it comes by."""

    def __init__(self, name: str, folder: Path, places: Places):
        self.name, self.folder, self.places, self.sections = name, folder, places, []
        self.markdown = MarkdownIt("commonmark", {"html": True}).enable("table")
        self.markdown.use(dollarmath_plugin, double_inline=True, renderer=formula)
        self.markdown.add_render_rule("fence", lambda _, tokens, n, *__: code(tokens[n].content, tokens[n].info))
        self.markdown.add_render_rule("table_open", lambda *_: '<div class="scroll"><table>')
        self.markdown.add_render_rule("table_close", lambda *_: "</table></div>")

    def finished(self, body: str) -> Page:
        paragraphs = re.findall(r"<p>(?!<(?:strong|em|img))(.*?)</p>", body, re.DOTALL)
        return Page(self.name, self.sections[0].title, first_sentence(paragraphs[0]), body, self.sections)

    def text(self, source: str) -> str:
        tokens = self.markdown.parse(source)
        for number, token in enumerate(tokens):
            if token.type == "heading_open":
                token.attrSet("id", self.begin(plain(tokens[number + 1]), int(token.tag[1])))
            elif token.type == "inline":
                if self.sections:
                    self.sections[-1].words.append(plain(token))
                self.links(token.children)
        made = self.markdown.renderer.render(tokens, self.markdown.options, {})
        return re.sub(r"<th( [^>]*)?></th>", r"<td\1></td>", made)  # an empty corner is the heading of nothing

    def begin(self, title: str, level: int) -> str:
        """A new section; returns its anchor."""
        anchor = re.sub(r"\W+", "-", title.lower()).strip("-")
        taken = sum(each.anchor.rpartition("--")[0] == anchor or each.anchor == anchor for each in self.sections)
        self.sections.append(Section(self.name, f"{anchor}--{taken + 1}" if taken else anchor, title, level))
        return self.sections[-1].anchor

    def links(self, tokens: list) -> None:
        """Notebooks and documents are pages here; what is no page here loses its link, and pictures come along."""
        dead = False
        for token in tokens:
            if token.type == "link_open":
                address = self.places.link(token.attrs["href"], self.folder)
                dead = address is None
                token.attrs = {} if dead else {"href": address}
            elif token.type == "image" and re.match(r"\w+:", token.attrs["src"]):
                token.type, token.tag = "text", ""  # a badge, say: an open page fetches nothing, so its words stay
            elif token.type == "image":
                token.attrs["src"] = self.places.picture((self.folder / token.attrs["src"]).resolve())
                token.attrs["loading"] = "lazy"
            if dead and token.type in ("link_open", "link_close"):
                token.tag = "span"


def first_sentence(body: str) -> str:
    words_alone = html.unescape(re.sub(r"<[^>]*>", "", body)).split()
    return re.split(r"(?<=[.?])\s+(?=[A-Z])", " ".join(words_alone))[0]


def formula(tex: str, options: dict) -> str:
    tex = re.sub(r"\\arg(?![a-z])", r"\\operatorname{arg}", tex)  # the one common command that `convert` does not know
    made = convert(tex, display="block" if options["display_mode"] else "inline")
    if unknown := re.search(r"\\\w+", re.sub(r"<[^>]*>", " ", made)):
        raise ValueError(f"the site cannot show {unknown[0]} in the formula {tex!r}; write it with commoner commands")
    return made


def plain(token) -> str:
    return "".join(words(child) for child in token.children)


def words(token) -> str:
    """What the search looks through: of a formula only its letters and signs."""
    if token.type == "math_inline":
        return re.sub(r"\\[a-zA-Z]+|[{}\\]", "", token.content)
    return " " if token.type == "softbreak" else token.content


def code(source: str, language: str = "python") -> str:
    try:
        lexer = get_lexer_by_name(language or "text")
    except ClassNotFound:
        lexer = get_lexer_by_name("text")
    return highlight(source.strip("\n"), lexer, HtmlFormatter(cssclass="code", wrapcode=True))


def folded(summary: str, inside: str) -> str:
    return f"<details><summary>{summary}</summary>{inside}</details>"

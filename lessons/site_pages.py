"""The solved lessons as pages to read: `python lessons/build.py --site`. Open pages fetch nothing."""

import base64
import html
import json
import re
import shutil
from dataclasses import dataclass, field
from pathlib import Path
from string import Template

import nbformat
from latex2mathml.converter import convert
from markdown_it import MarkdownIt
from mdit_py_plugins.dollarmath import dollarmath_plugin
from nbformat import NotebookNode
from pygments import highlight
from pygments.formatters import HtmlFormatter
from pygments.lexers import PythonLexer

import minitransformer
from minitransformer.course import catalogue, repetition
from minitransformer.course.display import marked_up
from minitransformer.course.lesson_text import ROLES, sources
from minitransformer.course.questions import Match, Numeric, Options, Order, Question, Text
from minitransformer.course.quiz import asking
from notebooks import INSTEAD, LESSONS, blanked

ASSETS = LESSONS / "site_assets"
MARKERS = re.compile(r"^ *### (BEGIN|END) SOLUTION\n?", re.MULTILINE)
CHALLENGES = Path(minitransformer.__file__).parent / "live/page/challenges.js"
QUESTIONS = {  # of the live page, by the lesson that they are from
    lesson: name for name, lesson in re.findall(r'(\w+): \{\s+lesson: "(\w+)"', CHALLENGES.read_text("utf-8"))
}
STRIPS = re.compile(r"(progress|question_points)\(\d+\)|.*\bprogress_map\(\)", re.DOTALL)  # where a student is
WARM_UP = re.compile(r"warm_up\((\d+)\)")


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
    about: str  # minutes, difficulty and what it builds on, as HTML
    body: str
    sections: list[Section]


def write(folder: Path, solved: list[Path] | None = None, play: Path | None = None) -> int:
    """Write the pages of the solved notebooks into an empty folder; return how many lessons there are.

    With the page that `minitransformer play` has built, the site holds that one, too.
    """
    if play is not None and not (play / "index.html").is_file():
        raise SystemExit(f"{play} holds no page: build it with  minitransformer play --build-only --out {play}")
    if solved is None:
        solved = [LESSONS / "solutions" / f"{source.stem}.ipynb" for source in sources().values()]
    pages = [Reader(path.stem).page(nbformat.read(path, 4)) for path in solved if path.is_file()]
    if folder.is_dir():
        if any(folder.iterdir()) and not (folder / "sections.js").is_file():
            raise SystemExit(f"{folder} holds something else than a site; name an empty folder")
        shutil.rmtree(folder)
    folder.mkdir(parents=True)
    for asset in "style.css", "search.js":
        shutil.copy(ASSETS / asset, folder)
    (folder / "sections.js").write_text(index(pages), encoding="utf-8")
    if play is not None:
        shutil.copytree(play, folder / "play")
        facts = json.loads((play / "facts.json").read_text(encoding="utf-8")) | {"lessons": "../"}
        (folder / "play" / "facts.json").write_text(json.dumps(facts, ensure_ascii=False), encoding="utf-8")
    front = cover(pages, play is not None)
    (folder / "index.html").write_text(laid_out("Lessons", front, pages, None), encoding="utf-8")
    for number, page in enumerate(pages):
        beside = [(word, pages[n]) for word, n in (("←", number - 1), ("→", number + 1)) if 0 <= n < len(pages)]
        turns = "".join(f'<a href="{other.name}">{word} {html.escape(other.title)}</a>' for word, other in beside)
        body = page.body if play is None else live_linked(page)
        body += f'\n<p class="turns">{turns}</p>'
        (folder / page.name).write_text(laid_out(page.title, body, pages, page), encoding="utf-8")
    return len(pages)


def live_linked(page: Page) -> str:
    """The lesson with a link to the live page wherever it speaks of it, to the question that is from this lesson."""
    question = QUESTIONS.get(page.name.removesuffix(".html"))
    place = "play/index.html" + (f"#challenge={question}" if question else "")
    return re.sub(r"<code>live\.show\(\w*\)</code>", rf'<a href="{place}">\g<0></a>', page.body)


def laid_out(title: str, body: str, pages: list[Page], here: Page | None) -> str:
    template = Template((ASSETS / "page.html").read_text(encoding="utf-8"))
    return template.substitute(title=html.escape(title), body=body, contents=contents(pages, here))


def contents(pages: list[Page], here: Page | None) -> str:
    """The lessons, and the sections of the one that is open."""
    rows = []
    for page in pages:
        now = ' aria-current="page"' if page is here else ""
        below = section_links(page) if page is here else ""
        rows.append(f'<li><a href="{page.name}"{now}>{html.escape(page.title)}</a>{below}</li>')
    return f'<ul><li><a href="index.html">All lessons</a></li>{"".join(rows)}</ul>'


def section_links(page: Page) -> str:
    links = (f'<li><a href="{page.name}#{each.anchor}">{html.escape(each.title)}</a></li>'
             for each in page.sections if each.level == 2)  # fmt: skip
    return f"<ul>{''.join(links)}</ul>"


def cover(pages: list[Page], play: bool) -> str:
    about = "The solved lessons, to read. To work through them, open their notebooks, where the exercises are blank."
    if play:
        about += ' Or begin with nothing installed: <a href="play/index.html">train a prompt in your browser</a>.'
    rows = "".join(
        f'<h2><a href="{page.name}">{html.escape(page.title)}</a></h2>{page.about}{section_links(page)}'
        for page in pages
    )
    return f"<h1>Lessons</h1><p>{about}</p>{rows}"


def index(pages: list[Page]) -> str:
    """The sections as a script: unlike a JSON file, it can be read by a page that was opened from a disk."""
    rows = [
        dict(url=f"{each.page}#{each.anchor}", lesson=page.title, title=each.title, text=" ".join(each.words))
        for page in pages
        for each in page.sections
    ]
    return f"const SECTIONS = {json.dumps(rows, ensure_ascii=False, indent=0)};\n"


def formula(tex: str, options: dict) -> str:
    tex = re.sub(r"\\arg(?![a-z])", r"\\operatorname{arg}", tex)  # the one common command that `convert` does not know
    made = convert(tex, display="block" if options["display_mode"] else "inline")
    if unknown := re.search(r"\\\w+", re.sub(r"<[^>]*>", " ", made)):
        raise ValueError(f"the site cannot show {unknown[0]} in the formula {tex!r}; write it with commoner commands")
    return made


class Reader:
    """Goes through the cells of one notebook and keeps the sections it comes by."""

    def __init__(self, name: str):
        self.name, self.sections = f"{name}.html", []
        self.markdown = MarkdownIt("commonmark", {"html": True}).enable("table")
        self.markdown.use(dollarmath_plugin, double_inline=True, renderer=formula)

    def page(self, book: NotebookNode) -> Page:
        body = "\n".join(self.cell(cell) for cell in book.cells)
        about = re.search(r"<p><strong>\d+ minutes.*?</p>", body, re.DOTALL)
        return Page(self.name, self.sections[0].title, about[0] if about else "", body, self.sections)

    def cell(self, cell: NotebookNode) -> str:
        if cell.cell_type == "markdown":
            return self.text(cell.source)
        role, _, about = cell.id.partition("-")
        shown = self.role(role, about.replace("-", "."), cell) if role in ROLES else None
        if STRIPS.fullmatch(cell.source):  # a reader is nowhere
            shown = ""
        elif lesson := WARM_UP.fullmatch(cell.source):
            shown = "".join(question(asked) for asked in repetition.fixed(int(lesson[1])))
        elif shown is None:
            shown = code(cell.source) + outputs(cell)
        return f'<div id="{cell.id}">{shown}</div>'

    def role(self, role: str, about: str, cell: NotebookNode) -> str | None:
        if role == "exercise":
            blank = MARKERS.sub("", blanked(cell.source, about, Path(self.name)))
            solution = MARKERS.sub("", INSTEAD.split(cell.source)[0])
            return code(blank) + folded(f"A solution of exercise {about}", code(solution))
        if role == "check":
            return code(cell.source) + folded("What it says when that is right", outputs(cell))
        if role == "question":
            asked = catalogue.question(about)
            self.sections[-1].words += [asked.prompt, *(line for _, line in asked.lines())]
            return question(asked)
        return None

    def text(self, source: str) -> str:
        tokens = self.markdown.parse(source)
        for token, after in zip(tokens, [*tokens[1:], None], strict=True):
            if token.type == "heading_open":
                title = plain(after)
                token.attrSet("id", re.sub(r"\W+", "-", title.lower()).strip("-"))
                self.sections.append(Section(self.name, token.attrs["id"], title, int(token.tag[1])))
            elif token.type == "inline":
                if self.sections:
                    self.sections[-1].words.append(plain(token))
                for child in token.children:
                    self.link(child)
        return self.markdown.renderer.render(tokens, self.markdown.options, {})

    def link(self, token) -> None:
        """Notebooks become pages; pictures go into the page."""
        if token.type == "link_open":
            token.attrs["href"] = re.sub(r"\.ipynb(?=#|$)", ".html", token.attrs["href"])
        elif token.type == "image":
            picture = (LESSONS / token.attrs["src"]).read_bytes()
            token.attrs["src"] = f"data:image/png;base64,{base64.b64encode(picture).decode()}"


def plain(token) -> str:
    return "".join(words(child) for child in token.children)


def words(token) -> str:
    """What the search looks through: of a formula only its letters and signs."""
    if token.type == "math_inline":
        return re.sub(r"\\[a-zA-Z]+|[{}\\]", "", token.content)
    return " " if token.type == "softbreak" else token.content


def code(source: str) -> str:
    return highlight(source.strip("\n"), PythonLexer(), HtmlFormatter(cssclass="code", wrapcode=True))


def folded(summary: str, inside: str) -> str:
    return f"<details><summary>{summary}</summary>{inside}</details>"


def outputs(cell: NotebookNode) -> str:
    return "".join(f'<div class="output">{output(each)}</div>' for each in cell.outputs)


def output(made: NotebookNode) -> str:
    data = made.get("data", {})
    if "text/html" in data:
        return data["text/html"]
    if "image/png" in data:
        alt = made.metadata.get("image/png", {}).get("alt") or data.get("text/plain", "")
        return f'<img src="data:image/png;base64,{"".join(data["image/png"].split())}" alt="{html.escape(alt)}">'
    return f"<pre>{html.escape(data.get('text/plain') or made.get('text', ''))}</pre>"


def question(asked: Question) -> str:
    """Each option unfolds to its reason; of a question without options, the answer does."""
    if isinstance(asked, Options):
        options = zip(asked.labels, asked.shown, strict=True)
        reasons = [
            folded(f"<strong>{letter}</strong>&ensp;{marked_up(option.text)}",
                   f"<p>{'✓ right' if option.right else '✗ not it'}: {marked_up(option.reason)}</p>")
            for letter, option in options
        ]  # fmt: skip
        shown = f"<p><strong>{asked.id}</strong> {marked_up(asked.prompt)}</p>{''.join(reasons)}"
    else:
        reasons = "".join(f"<li>{marked_up(reason)}</li>" for reason in whys(asked))
        answer = marked_up(asked.answer) if isinstance(asked, Text) else f"<strong>{html.escape(asked.answer)}</strong>"
        shown = asking(asked)[1] + folded("The answer", f"<p>{answer}</p><ul>{reasons}</ul>")
    return f'<div class="question">{shown}</div>'


def whys(asked: Order | Match | Numeric | Text) -> list[str]:
    """Why the answer is right, by the letters that the question shows."""
    if isinstance(asked, Numeric):
        return [asked.reason, *(f"**{mistake.value}** is not it: {mistake.reason}" for mistake in asked.mistakes)]
    if isinstance(asked, Text):
        return [f"**{each.name}**: {' → '.join(each.levels)}" for each in asked.rubric]
    if isinstance(asked, Match):
        return [f"**{pair}**: {each.reason}" for pair, each in zip(asked.answer.split(), asked.lefts, strict=True)]
    letter = dict(zip(asked.shown, asked.labels, strict=True))
    return [f"**{letter[rule.first]}** before **{letter[rule.then]}**: {rule.reason}" for rule in asked.rules]

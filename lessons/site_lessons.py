"""A solved notebook as a page of the site: what gives an exercise away is folded."""

import html
import re
from pathlib import Path

from nbformat import NotebookNode

import one_click
from minitransformer.course import catalogue, repetition
from minitransformer.course.display import marked_up
from minitransformer.course.lesson_text import ROLES
from minitransformer.course.questions import Match, Numeric, Options, Order, Question, Text
from minitransformer.course.quiz import asking
from notebooks import INSTEAD, LESSONS, blanked
from site_text import Page, Places, Writer, code, folded

MARKERS = re.compile(r"^ *### (BEGIN|END) SOLUTION\n?", re.MULTILINE)
STRIPS = re.compile(r"(progress|question_points)\(\d+\)|.*\bprogress_map\(\)", re.DOTALL)  # where a student is
WARM_UP = re.compile(r"warm_up\((\d+)\)")
ABOUT = re.compile(r"<p><strong>\d+ minutes.*?</p>", re.DOTALL)


class Reader(Writer):
    """Goes through the cells of one notebook."""

    def __init__(self, stem: str, places: Places):
        super().__init__(f"{stem}.html", LESSONS, places)
        self.stem = stem

    def lesson(self, book: NotebookNode) -> Page:
        page = self.finished("\n".join(self.cell(cell) for cell in book.cells))
        if about := ABOUT.search(page.body):
            page.about = about[0]
            page.body = page.body.replace(about[0], about[0] + self.ways(), 1)
        return page

    def ways(self) -> str:
        """The notebook, to keep or to open elsewhere."""
        links = [f'<a href="notebooks/{self.stem}.ipynb" download>Download the notebook</a>',
                 f'<a href="notebooks/solved/{self.stem}.ipynb" download>the solved one</a>']  # fmt: skip
        if where := one_click.repository():
            links.append(f'<a href="{one_click.colab(f"{self.stem}.ipynb", where)}">open in Colab</a>')
        if where := self.places.repository:
            links.append(f'<a href="{one_click.binder(f"{self.stem}.ipynb", where)}">open in Binder</a>')
        return f'<p class="ways">{" · ".join(links)}</p>'

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
        shown = f'<div class="asked"><strong>{asked.id}</strong> {marked_up(asked.prompt)}</div>{"".join(reasons)}'
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

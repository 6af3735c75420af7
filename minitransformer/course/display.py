"""What checks and questions show: text in a terminal, HTML in a notebook."""

import html
import json
import os
import re
import warnings
from dataclasses import dataclass, field
from importlib.util import find_spec

GOOD, FAIR, NOT_YET, PLAIN = "#009E73", "#E69F00", "#D55E00", "#0072B2"  # told apart by their words too


@dataclass(frozen=True, repr=False)
class Shown:
    text: str
    html: str = field(default="")

    def __repr__(self):
        return self.text

    def _repr_html_(self):
        return self.html or f"<pre>{html.escape(self.text)}</pre>"


def box(colour: str, *paragraphs: str) -> str:
    """Paragraphs of HTML with a coloured edge."""
    inside = "".join(f'<div style="margin:.3em 0">{paragraph}</div>' for paragraph in paragraphs if paragraph)
    return f'<div style="border-left:4px solid {colour};padding:.1em .8em;margin:.4em 0">{inside}</div>'


def as_code(question_id: str, answer: str) -> str:
    return f'quiz("{question_id}", answer={json.dumps(answer, ensure_ascii=False)})'


def loud(question_id: str, answer: str, why: str) -> Shown:
    """What nobody may overlook: an answer that only this session knows."""
    text = f"{why}, so type it: {as_code(question_id, answer)}"
    return Shown(f"NOT KEPT: {text}", box(NOT_YET, f"<strong>NOT KEPT</strong>: {html.escape(text, quote=False)}"))


def marked_up(text: str) -> str:
    """The little Markdown of hints and questions: paragraphs, ``` blocks, `code`, **bold**, *stress*."""
    blocks = re.split(r"```\w*\n(.*?)```", text.strip(), flags=re.DOTALL)
    parts = []
    for number, block in enumerate(blocks):
        if number % 2:
            parts.append(f"<pre>{html.escape(block.rstrip())}</pre>")
        else:
            parts += [f"<p>{inline(paragraph)}</p>" for paragraph in re.split(r"\n\s*\n", block) if paragraph.strip()]
    return parts[0][3:-4] if len(parts) == 1 and parts[0].startswith("<p>") else "".join(parts)


def inline(text: str) -> str:
    pieces = re.split(r"`([^`]+)`", text.strip())
    for number, piece in enumerate(pieces):
        safe = html.escape(piece, quote=False)
        if number % 2:
            pieces[number] = f"<code>{safe}</code>"
        else:
            bold = re.sub(r"\*\*(.+?)\*\*", r"<strong>\1</strong>", safe, flags=re.DOTALL)
            pieces[number] = re.sub(r"\*(?=\S)(.+?)(?<=\S)\*", r"<em>\1</em>", bold, flags=re.DOTALL)
    return "".join(pieces)


def plain_text(text: str) -> str:
    """The same Markdown for a terminal: without its marks."""
    return re.sub(r"```\w*\n|```|\*\*|`", "", text.strip())


def clean(text: str, longest: int = 400) -> str:
    """A student's text, fit for a terminal, XML and a page: no control signs, and not too long."""
    return valid_unicode("".join(sign if sign.isprintable() else " " for sign in text[:longest]))


def valid_unicode(text: str) -> str:
    """The same without halves of characters, which no file can hold."""
    return text.encode("utf-8", "replace").decode()


def in_notebook() -> bool:
    """Whether a notebook's kernel is running this, and not a terminal or a test."""
    if find_spec("IPython") is None:
        return False
    from IPython import get_ipython

    return getattr(get_ipython(), "kernel", None) is not None


def read_by_a_person() -> bool:
    """Whether a notebook is open before somebody; programs that run one, such as nbgrader, must not miss an error."""
    return in_notebook() and "JPY_SESSION_NAME" in os.environ and "NBGRADER_EXECUTION" not in os.environ


def show(shown: Shown) -> None:
    """Show it although it is not the cell's last value; outside a notebook it is a warning."""
    if in_notebook():
        from IPython.display import display

        display(shown)
    else:
        warnings.warn(shown.text, stacklevel=3)

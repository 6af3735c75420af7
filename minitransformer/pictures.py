"""How a picture looks, how it shows itself in a notebook, and how it is kept; `plots.py` says what is drawn in it."""

import base64
import hashlib
import html
import io
import re
from pathlib import Path

import matplotlib
from matplotlib.animation import FuncAnimation
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties, fontManager
from matplotlib.text import Text
from PIL import Image

FONT = Path(__file__).parent / "data" / "NotoSansCJKsc-subset.otf"
fontManager.addfont(FONT)
FONTS = ["DejaVu Sans", FontProperties(fname=FONT).get_name()]  # the second where the first has no glyph
STYLE = {"font.family": FONTS, "font.size": 8, "figure.dpi": 100}
STYLE |= {"hatch.linewidth": 0.6, "svg.hashsalt": "minitransformer"}
INK, PALE, GREY = "#222222", "#eeeeee", "#999999"
COLOURS = BLUE, ORANGE, _, RED, *_ = "#0072B2", "#E69F00", "#009E73", "#D55E00", "#CC79A7", "#56B4E9"  # Okabe, Ito
styled = matplotlib.rc_context(STYLE)  # a decorator: draws in this style and leaves the reader's own settings alone
NO_BOX = {"facecolor": "white", "edgecolor": "none", "pad": 1}
MISSING = {"facecolor": "white", "hatch": "////", "edgecolor": GREY}
BUTTONS = {"minus": "−", "fast-backward": "|◀◀", "step-backward": "|◀", "play fa-flip-horizontal": "◀"}
BUTTONS |= {"pause": "||", "play": "▶", "step-forward": "▶|", "fast-forward": "▶▶|", "plus": "+"}


class Picture(Figure):
    """A figure that shows itself in a notebook, with its description as the alternative text.

    JupyterLab takes the HTML, since it would drop the alternative text of a PNG; other programs may take either.
    """

    def __init__(self, *size, **settings):
        super().__init__(*size, **{"layout": "constrained"} | settings)

    def panel(self, *place) -> "Panel":
        return self.add_subplot(*place, axes_class=Panel)

    def _repr_mimebundle_(self, **_):
        save(self, file := io.BytesIO())
        text, png = describe(self), base64.b64encode(file.getvalue()).decode()
        page = f'<img src="data:image/png;base64,{lighter(png)}" alt="{html.escape(text)}">'
        return {"text/html": page, "image/png": png, "text/plain": text}, {"image/png": {"alt": text}}


class Panel(Axes):
    """Axes that show their whole figure in a notebook."""

    def _repr_mimebundle_(self, **_):
        return self.figure._repr_mimebundle_()


class Movie(FuncAnimation):
    """An animation that shows itself in a notebook as a player; `movie.save("prompt.gif", writer="pillow")`."""

    figure = property(lambda self: self._fig)

    def __repr__(self) -> str:
        return describe(self)

    def _repr_html_(self) -> str:
        """The player that matplotlib makes: with signs for its icons, lighter frames, and named by its content.

        Its first frame is there before any script runs, and where none may run, as in a notebook that is not trusted.
        """
        page = re.sub(r'<link rel="stylesheet".*?>', "", self.to_jshtml(), flags=re.DOTALL)
        page = re.sub(r'<i class="fa fa-([^"]+)"></i>', lambda icon: BUTTONS[icon[1]], page)
        page = re.sub(r'(?<=data:image/png;base64,)[^"]+', lambda frame: lighter(frame[0]), page)
        page = page.replace('class="anim-slider"', 'class="anim-slider" aria-label="frame"')
        first = re.search(r'data:image/png;base64,[^"]+', page)[0]
        page = page.replace("<img ", f'<img src="{first}" alt="{html.escape(describe(self))}" ', 1)
        (name,) = set(re.findall(r"(?<=\banim)[0-9a-f]{32}", page))
        return page.replace(name, hashlib.sha256(page.replace(name, "").encode()).hexdigest()[:32])


def lighter(png: str) -> str:
    """The same PNG, in base64, with a palette of 128 colours: a third of its bytes, and no difference to the eye."""
    with Image.open(io.BytesIO(base64.b64decode(png))) as image:
        colours = image.convert("RGB").quantize(128, dither=Image.Dither.NONE)
    colours.save(file := io.BytesIO(), "png", optimize=True)
    return base64.b64encode(file.getvalue()).decode()


def describe(picture: Figure | Axes | Movie) -> str:
    """The picture in words, with its numbers: the text alternative of each of its panels."""
    return " ".join(ax.get_label() for ax in picture.figure.axes if ax.get_label())


@styled
def save(picture: Figure | Axes, path: str | Path | io.BytesIO) -> str | Path | io.BytesIO:
    """Write PNG or SVG, as the path's ending says, with the description inside and the same bytes each time."""
    for text in picture.figure.findobj(Text):
        text.set_fontfamily(FONTS)  # whoever wrote it: Chinese wants its glyphs
    varies = "Date" if str(path).endswith(".svg") else "Software"
    picture.figure.savefig(path, metadata={"Description": describe(picture), varies: None})
    return path

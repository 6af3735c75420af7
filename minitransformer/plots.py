"""Pictures of numbers measured elsewhere; each function returns its ax, or a Picture where several panels are needed.

A missing gradient is a hatched box that says None, never a colour and never a bar of height zero.
"""

from collections.abc import Mapping, Sequence

import matplotlib
from matplotlib.axes import Axes
from matplotlib.colors import LogNorm, Normalize, to_rgb
from matplotlib.patches import Rectangle

from . import expect
from .gradients import Frame, Step, whole_tokens
from .hooks import Recorder
from .pictures import (
    BLUE,
    COLOURS,
    GREY,
    INK,
    MISSING,
    NO_BOX,
    ORANGE,
    PALE,
    RED,
    Movie,
    Picture,
    describe,
    save,
    styled,
)
from .results import in_words, listed, number, spread, virtual
from .tokenizer import Tokenizer

__all__ = [
    "Movie",
    "Picture",
    "accuracy_against_parameters",
    "attention",
    "describe",
    "flows_and_lands",
    "gradient_reach",
    "grid",
    "length_sweep",
    "movie",
    "nearest_words",
    "save",
    "skill_matrix",
    "strip",
    "training_diagram",
]


def bare(ax: Axes, width: float, height: float, rows: Sequence[str] = ()) -> None:
    """No axes but names at the rows, from the bottom up."""
    ax.set(xlim=(0, width), ylim=(0, height), xticks=[])
    ax.set_yticks([row + 0.5 for row in range(len(rows))], rows)
    ax.tick_params(length=0)
    ax.spines[:].set_visible(False)


def box(ax: Axes, x: float, y: float, width: float, height: float, text: str = "", ink: str = INK, **look) -> None:
    ax.add_patch(Rectangle((x, y), width, height, **{"linewidth": 0.5, "facecolor": "white"} | look))
    label = {"ha": "center", "va": "center", "linespacing": 1.4, "bbox": NO_BOX if look.get("hatch") else None}
    ax.text(x + width / 2, y + height / 2, text, color=ink, **label)


def cell(ax: Axes, x: float, y: float, width: float, value: float | None, text: str = "", colour=ORANGE) -> None:
    """A box of a grid: hatched where there is nothing, coloured where there is, and saying which."""
    look = MISSING if value is None else {"facecolor": colour if value else PALE}
    ink = "white" if sum(to_rgb(look["facecolor"])) < 1.4 else INK
    box(ax, x + 0.04, y + 0.06, width - 0.08, 0.88, text or number(value), ink, **look)


@styled
def grid(ax: Axes, title: str, values: list, rows: list, columns: list, norm=None, texts=None, apart: int = 0) -> Axes:
    """Coloured cells, from the top down, saying their numbers or `texts`; the first `apart` columns stand apart."""
    norm, places = norm or Normalize(0, 1), [column + 0.4 * (0 < apart <= column) for column in range(len(columns))]
    texts = texts or [[number(value) for value in row] for row in values]
    for y, (row, words) in enumerate(zip(values[::-1], texts[::-1], strict=True)):
        for x, value, text in zip(places, row, words, strict=True):
            cell(ax, x, y, 1, value, text, matplotlib.colormaps["cividis"](norm(value or 0))[:3])
    bare(ax, places[-1] + 1, len(rows), rows[::-1])
    ax.add_patch(Rectangle((0, -0.25), apart, 0.15, color=ORANGE, linewidth=0))
    ax.set(title=title, ylim=(-0.25 * (apart > 0), len(rows)))
    ax.set_xticks([place + 0.5 for place in places], columns)
    lines = [", ".join(map(" ".join, zip(columns, words, strict=True))) for words in texts]
    caption = "; ".join(f"{name}: {line}" for name, line in zip(rows, lines, strict=True))
    ax.set_label(f"{title}. {caption}.".replace("\n", " "))
    return ax


def bars(ax: Axes, norms: Sequence[float | None], top: float | None = None) -> None:
    """The gradient norm of each virtual token as a bar with its number; a hatched None where there is no gradient."""
    top = top or max([norm for norm in norms if norm], default=1.0)
    for place, norm in enumerate(norms):
        look, back = (MISSING, NO_BOX) if norm is None else ({"facecolor": ORANGE, "edgecolor": INK}, None)
        ax.bar(place, top if norm is None else norm, 0.8, linewidth=0.5, **look)
        ax.text(place, norm or 0.01 * top, number(norm), ha="center", va="bottom", bbox=back)
    ax.set(xlim=(-0.6, len(norms) - 0.4), ylim=(0, top * 1.15), title="gradient norm per prompt vector")
    ax.set_xticks(range(len(norms)), virtual(len(norms)))


@styled
def gradient_reach(base_norms: Mapping[str, float | None], prompt_norms: Mapping, ax: Axes | None = None) -> Axes:
    """Where the gradient lands: from `gradients.parameter_norms(model)` and `gradients.token_norms(prompt)`."""
    expect.a(Mapping, base_norms=base_norms, prompt_norms=prompt_norms)
    ax, cells = ax or Picture((9, 3.4)).panel(), []
    for name, value in base_norms.items():
        *place, kind = name.removesuffix(".weight").replace("attention.", "attn ").split(".")
        cells.append((".".join(place) or kind, kind if place else None, value))
    rows, kinds = ([*dict.fromkeys(each[part] for each in cells if each[part])] for part in (0, 1))
    bare(ax, 1.5 * (count := max(1, len(kinds))), len(rows), rows)
    for row, kind, value in cells:
        cell(ax, kinds.index(kind) if kind else 0, rows.index(row), 1 if kind else count, value)
    ax.set_xticks([place + 0.5 for place in range(len(kinds))], kinds, rotation=30, ha="right", rotation_mode="anchor")
    title = f"{list(base_norms.values()).count(None)} of {len(base_norms)} base parameters have gradient None"
    ax.set_title(title, x=0.33)
    bars(ax.inset_axes((0.74, 0, 0.26, 1)), tokens := whole_tokens(prompt_norms))
    ax.set_label(f"{title}: {listed(base_norms, base_norms.values())}. Prompt: {listed(virtual(len(tokens)), tokens)}.")
    return ax


@styled
def flows_and_lands(step: Step, tokenizer: Tokenizer, row: int = 0) -> Picture:
    """The gradient flows through the frozen model's activations (above) and lands on the prompt alone (below)."""
    check_step(step, tokenizer, row)
    picture, values = Picture((9, 6.4)), step.activations[::-1]
    known = [value for row in values for value in row if value] or [1.0]
    rows = [*(f"block {layer} out" for layer in range(len(values) - 1)[::-1]), "embedding"]
    columns = virtual(step.virtual) + tokenizer.tokens(step.tokens[row])
    norm, title = LogNorm(min(known), 1.01 * max(known), clip=True), "gradient norm of activations, layer × position"
    grid(picture.panel(2, 1, 1), title, values, rows, columns, norm, apart=step.virtual)
    gradient_reach(step.base, step.token_norms, picture.panel(2, 1, 2))
    return picture


@styled
def training_diagram(step: Step, tokenizer: Tokenizer, row: int = 0, ax: Axes | None = None) -> Axes:
    """One recorded training step: embeddings go up to the loss, and the gradient's way back, to the prompt alone."""
    check_step(step, tokenizer, row)
    words, norms, answers = tokenizer.tokens(step.tokens[row]), whole_tokens(step.token_norms), step.answers[row]
    guesses = [tokenizer.tokens((answer.predicted, answer.target)) for answer in answers]
    count, columns = len(norms), len(norms) + len(words)
    longest = max(len(f"{word} 0.00") for both in guesses for word in both)
    inches = max(0.82, 0.085 * max(map(len, words)), 0.065 * longest)  # for a column, so that its words fit in
    bare(ax := ax or Picture((max(9, inches * columns), 5.2)).panel(), columns, 7)
    first, reached, captions = count + answers[0].position, norms + step.activations[0][step.virtual :], []
    names = virtual(count) + [f"e{place}\n{word}" for place, word in enumerate(words)]
    frozen = f"{list(step.base.values()).count(None)} of {len(step.base)} model parameters have gradient None"

    def arrow(x, start, end, colour=GREY, width=1.0, line="-"):
        look = {"arrowstyle": "-|>", "color": colour, "linewidth": width, "linestyle": line, "shrinkA": 0, "shrinkB": 0}
        ax.annotate("", (x, end), (x, start), arrowprops=look)

    for x, (name, norm) in enumerate(zip(names, reached, strict=True)):
        box(ax, x + 0.12, 1.1, 0.76, 0.8, name, edgecolor=INK, facecolor=ORANGE if x < count else PALE)
        ax.text(x + 0.5, 0.8, number(norm), ha="center", va="center", color=RED if x < count else INK)
        arrow(x + 0.35, 1.9, 2.7)
        if norm is not None:
            arrow(x + 0.65, 2.7, 1.9, RED, *((2.2, "-") if x < count else (1, ":")))
    for answer, (guess, target) in zip(answers, guesses, strict=True):
        x = count + answer.position
        odds = f"{guess} {answer.predicted_probability:.2f}\n{target} {answer.target_probability:.2f}"
        captions.append(odds)
        box(ax, x + 0.02, 4.5, 0.96, 0.9, odds, edgecolor=INK)
        for low, high in (3.7, 4.5), (5.4, 6.2):
            arrow(x + 0.35, low, high)
            arrow(x + 0.65, high, low, RED, 1.6)
    box(ax, first + 0.02, 6.2, columns - first - 0.04, 0.6, f"loss {step.loss:.4f}", edgecolor=INK)
    box(ax, 0.02, 2.7, columns - 0.04, 1, frozen, **MISSING)
    table = f"embedding.weight, the table of the e, has gradient {number(step.base['embedding.weight'])}"
    box(ax, count, 0, len(words), 0.5, table)
    box(ax, 0, 0, count, 0.5, "the gradient lands on p" if count else "", RED)
    ax.text(first - 0.1, 4.95, "predicted, its probability\ntarget, its probability", ha="right", va="center")
    ax.set_title("one training step: forward in grey, the gradient's way back in red, with its norm")
    caption = f"loss {step.loss:.4f}; predicted and target with probabilities: {'; '.join(captions)}; {frozen}"
    ax.set_label(f"One training step: {caption}; gradient norms: {listed(names, reached)}.".replace("\n", " "))
    return ax


@styled
def attention(base: Sequence, tuned: Sequence, words: Sequence[str]) -> Picture:
    """Who looks at whom, both from `gradients.attention_weights`: query × key, the virtual keys set apart."""
    expect.table(base=base, tuned=tuned)
    picture = Picture((9, 1.2 + 0.33 * len(tuned)))
    parts = picture.add_gridspec(1, 2, width_ratios=[len(base[0]), len(tuned[0]) + 0.4])
    for part, weights, title in zip(parts, (base, tuned), ("without soft prompt", "with soft prompt"), strict=True):
        rows, columns = ([*virtual(count - len(words)), *words] for count in (len(weights), len(weights[0])))
        texts = [[f"{weight:.2f}".lstrip("0") if weight else "–" for weight in row] for row in weights]
        ax, apart = picture.panel(part), len(columns) - len(words)
        grid(ax, f"attention {title}", weights, rows, columns, texts=texts, apart=apart)
        ax.set(xlabel="key", ylabel="query", ylim=(-0.25, len(tuned)))
    return picture


@styled
def movie(frames: Sequence[Frame], losses: Sequence[float], cloud: Sequence, words: Mapping[str, Sequence]) -> Movie:
    """The prompt's vectors among the word embeddings; frames from `gradients.film`, points from a `gradients.Plane`."""
    expect.several(frames=frames, losses=losses)
    for frame in frames:
        expect.a(Frame, frame=frame)
    parts = (picture := Picture((8, 3.8), 72)).add_gridspec(2, 2, width_ratios=[1.6, 1])
    everywhere = [*cloud, *(pair for frame in frames for pair in frame.points)]  # so that the axes stand still
    top = max([norm for frame in frames for norm in frame.norms if norm], default=1.0)
    captions = {f.step: f"step {f.step}, loss {f.loss:.3f}{'' if f.seen is None else f': {f.seen}'}" for f in frames}
    moments = "; ".join(f"{captions[f.step]} ({listed(virtual(len(f.norms)), f.norms)})" for f in frames)

    @styled
    def show(frame: Frame) -> None:
        picture.clear()
        plane, curve, now = (picture.add_subplot(part) for part in (parts[:, 0], parts[0, 1], parts[1, 1]))
        plane.scatter(*zip(*everywhere, strict=True), [5 * (i < len(cloud)) for i in range(len(everywhere))], "#cccccc")
        for word, pair in words.items():
            plane.text(*pair, word, fontsize=9.5)
        for trail in zip(*(past.points for past in frames if past.step <= frame.step), strict=True):
            plane.plot(*zip(*trail, strict=True), "-o", color=ORANGE, markeredgecolor=INK, linewidth=1, markevery=[-1])
        plane.set_title("prompt vectors among the word embeddings, in their main plane")
        plane.set_label(f"Training of a prompt, in brackets the gradient norm of its vectors. {moments}.")
        curve.plot(losses, "-o", color=BLUE, markeredgecolor=INK, linewidth=1, markevery=[frame.step])
        curve.set(yscale="log", title="loss at each step")
        bars(now, frame.norms, top)
        picture.suptitle(captions[frame.step], fontsize=11)

    show(frames[0])
    return Movie(picture, show, frames, init_func=lambda: None, interval=400)


@styled
def accuracy_against_parameters(rows: Sequence[dict], ax: Axes | None = None, by: str = "parameters") -> Axes:
    """What a parameter buys: rows from `compare(…)`; marks are means over seeds, bars reach from lowest to highest."""
    ax, lines, captions = ax or Picture((7, 4)).panel(), {}, []
    for point in sorted(spread(rows, ("method", by)), key=lambda point: point[by]):
        lines.setdefault(point["method"], []).append(point)
        captions.append(f"{point['method']} at {by} {point[by]}: {in_words(point)} ({point['runs']} seeds)")
    for place, (method, points) in enumerate(lines.items()):
        ends = [[abs(point["mean"] - point[end]) for point in points] for end in ("low", "high")]
        places, means = zip(*((point[by], point["mean"]) for point in points), strict=True)
        ax.errorbar(places, means, ends, color=COLOURS[place % 6], marker="osD^vP"[place % 6], capsize=3, label=method)
    title = f"exact match against {by}"
    ax.set_xscale("symlog", linthresh=10)  # linear around zero, which is no prompt at all
    ax.set_xticks(ticks := sorted({row[by] for row in rows}), ticks, rotation=90)
    ax.set(xlim=(-1, 2 * max(10, *(row[by] for row in rows))), ylim=(-0.04, 1.04), xlabel=by, title=title)
    ax.legend(loc="center left", bbox_to_anchor=(1, 0.5), frameon=False)
    ax.set_label(f"{title}. {'; '.join(captions)}.".replace("\n", " "))
    return ax


def length_sweep(rows: Sequence[dict], ax: Axes | None = None) -> Axes:
    """Whether longer is better: rows from `compare(…)` over several lengths."""
    return accuracy_against_parameters(rows, ax, "length")


@styled
def skill_matrix(rows: Sequence[dict], ax: Axes | None = None) -> Axes:
    """Which method can do what: skill × method, the mean over seeds in each cell, under it lowest to highest."""
    points = {(point["skill"], point["method"]): point for point in spread(rows, ("skill", "method"))}
    skills, methods = ([*dict.fromkeys(row[key] for row in rows)] for key in ("skill", "method"))
    table = [[points.get((skill, method)) for method in methods] for skill in skills]
    means = [[point and point["mean"] for point in line] for line in table]
    texts = [[in_words(point) if point else "not run" for point in line] for line in table]
    ax = ax or Picture((2 + 1.2 * len(methods), 0.8 + 0.42 * len(skills))).panel()
    return grid(ax, "exact match by skill and method", means, skills, methods, texts=texts)


@styled
def nearest_words(nearest: Sequence[Sequence[tuple[str, float]]], ax: Axes | None = None) -> Axes:
    """What each vector is near to, which is not always what it means: from `gradients.nearest_words`."""
    expect.several(nearest=nearest)
    for pairs in nearest:
        expect.table(pairs=pairs)
    ax = ax or Picture((1.2 + 1.2 * len(nearest[0]), 0.8 + 0.45 * len(nearest))).panel()
    texts = [[f"{word}\n{cosine:.2f}" for word, cosine in row] for row in nearest]
    rows, ranks = virtual(len(nearest)), [f"nearest {rank}" for rank, _ in enumerate(nearest[0], 1)]
    cosines = [[cosine for _, cosine in row] for row in nearest]
    return grid(ax, "nearest words of each vector, by cosine", cosines, rows, ranks, texts=texts)


@styled
def strip(recorder: Recorder, words: Sequence[str], row: int = 0) -> Picture:
    """One sentence through the blocks, position × feature; the colours reach to the 98th percentile of each panel."""
    expect.a(Recorder, recorder=recorder)
    expect.several(words=words)
    outputs = sorted((place for place in recorder.values if place[0] == "output"), reverse=True)
    places = [("logits", None), *outputs, ("embedding", None)]
    picture, width = Picture((8, 0.6 + 0.95 * len(places))), len(recorder["embedding", None][row])
    for place, (site, layer) in enumerate(places, 1):
        value, ax = recorder[site, layer][row].detach(), picture.panel(len(places), 1, place)  # (P+T, D); logits (T, V)
        size, shape = value.abs().flatten().quantile(0.98).item(), " × ".join(map(str, value.shape))
        look = {"cmap": "cividis", "vmin": -size, "vmax": size, "aspect": "auto", "interpolation": "nearest"}
        ax.imshow(value.T.tolist(), extent=(width - len(value), width, 0, 1), **look)
        bare(ax, width, 1)
        name = site if layer is None else f"block {layer} out"
        ax.set_ylabel(f"{name}\n{shape}", rotation=0, ha="right", va="center")
        ax.set_label(f"{name}: {shape}, 98% of its numbers within ±{number(size)}.")
    ax.set_xticks([place + 0.5 for place in range(width)], [*virtual(width - len(words)), *words])
    return picture


def check_step(step: Step, tokenizer: Tokenizer, row: int) -> None:
    expect.a(Step, step=step)
    expect.methods("tokens", tokenizer=tokenizer)
    expect.whole(0, len(step.tokens) - 1, row=row)

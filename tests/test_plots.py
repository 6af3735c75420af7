"""Pictures at toy size: what they say, that None never looks like a number, and that they are the same each time."""

import base64
import html
import io
import itertools
import re
import struct
import zlib

import matplotlib
import pytest
import torch
from matplotlib.figure import Figure
from PIL import Image

from minitransformer import Batches, PromptTuning, Recorder, batch, gradients, plots, train
from minitransformer.gradients import Answer, Frame, Step

ROWS = [
    {"method": method, "skill": skill, "length": length, "seed": seed, "parameters": 8 * length, "accuracy": score}
    for method, skill, length, scores in (
        ("no prompt", "shout", 0, (0.25,)),
        ("prompt", "shout", 4, (0.5, 0.75)),
        ("prompt", "count", 4, (1.0, 1.0)),
        ("prompt", "shout", 8, (1.0, 0.25, 1.0)),
    )
    for seed, score in enumerate(scores)
]


@pytest.fixture
def step() -> Step:
    """Numbers that no two places share, so that one in the wrong place is seen."""
    answers = [Answer(1, 2, 3, 0.125, 0.75), Answer(2, 4, 4, 0.5, 0.5)]
    activations = [[0.11, 0.12, 0.13, 0.14], [0.21, None, 0.23, 0.24], [0.0, 0.32, 0.33, 0.34]]
    base = {
        "embedding.weight": None,
        "blocks.0.attention.key.weight": None,
        "blocks.0.up.weight": 0.0,
        "norm.weight": 7.0,
    }
    return Step([[1, 2, 3]], [answers], 1.5, base, {"vectors": 0.9}, {"vectors": [0.9]}, activations, Recorder())


@pytest.fixture
def pictures(step, base):
    """Every picture, at toy size."""
    model, tokenizer = base
    tokens, targets = batch(tokenizer, [("Look out! →", "小心!")])
    prompt = PromptTuning(2, model.config)
    real = gradients.record_step(model, tokens, targets, prompt)
    words = tokenizer.tokens(tokens[0])
    weights = gradients.attention_weights(real.recorder, 1)
    plain = [row[2:] for row in weights[2:]]
    return {
        "gradient_reach": plots.gradient_reach(step.base, step.token_norms),
        "flows_and_lands": plots.flows_and_lands(real, tokenizer),
        "training_diagram": plots.training_diagram(real, tokenizer),
        "attention": plots.attention(plain, weights, words),
        "accuracy_against_parameters": plots.accuracy_against_parameters(ROWS),
        "length_sweep": plots.length_sweep(ROWS),
        "skill_matrix": plots.skill_matrix(ROWS),
        "nearest_words": plots.nearest_words([[("小", 0.5), ("Look", -0.25)]]),
        "strip": plots.strip(real.recorder, words),
    }


def texts(ax) -> list[str]:
    return [text.get_text() for text in ax.texts]


def hatched(ax) -> list:
    return [patch for patch in ax.patches if patch.get_hatch()]


def drawn(picture, ending) -> bytes:
    plots.save(picture, file := io.BytesIO()) if ending == "png" else picture.figure.savefig(file := io.BytesIO())
    return file.getvalue()


def text_in_png(data: bytes) -> str:
    """The Description in a PNG's own chunks, read by the format's definition."""
    place, found = 8, {}
    while place < len(data):
        size, kind = struct.unpack(">I4s", data[place : place + 8])
        body = data[place + 8 : place + 8 + size]
        if kind == b"tEXt":
            key, _, value = body.partition(b"\0")
            found[key.decode()] = value.decode("latin-1")
        if kind == b"iTXt":
            key, _, rest = body.partition(b"\0")
            packed, rest = rest[0], rest[2:].split(b"\0", 2)[2]
            found[key.decode()] = (zlib.decompress(rest) if packed else rest).decode("utf-8")
        place += 12 + size
    return found["Description"]


def test_every_picture_is_drawn_without_a_warning_and_described_in_its_file(pictures, tmp_path):
    for name, picture in pictures.items():
        png, svg = plots.save(picture, tmp_path / f"{name}.png"), plots.save(picture, tmp_path / f"{name}.svg")
        assert plots.describe(picture) == text_in_png(png.read_bytes())
        assert "<dc:description>" in svg.read_text(encoding="utf-8")
        assert not matplotlib.rcParams["svg.hashsalt"]  # the reader's own settings are as they were


def test_the_same_picture_is_the_same_bytes(step, tokenizer, tmp_path):
    for ending in "png", "svg":
        files = [plots.save(plots.training_diagram(step, tokenizer), tmp_path / f"{time}.{ending}") for time in "ab"]
        assert files[0].read_bytes() == files[1].read_bytes()


def test_a_picture_can_be_drawn_into_a_readers_own_axes(step):
    ax = Figure().add_subplot()
    assert plots.gradient_reach(step.base, step.token_norms, ax) is ax
    assert plots.skill_matrix(ROWS, ax) is ax


def test_a_picture_shows_itself_in_a_notebook_with_its_text_alternative(step, tokenizer):
    ax = plots.gradient_reach(step.base, step.token_norms)
    data, about = ax._repr_mimebundle_(include=None)
    assert data["image/png"].startswith("iVBORw0KGgo")
    assert about["image/png"]["alt"] == data["text/plain"] == plots.describe(ax) == plots.describe(ax.figure)
    alt = re.fullmatch(r'<img src="data:image/png;base64,iVBORw0KGgo[^"]+" alt="([^"]+)">', data["text/html"])[1]
    assert html.unescape(alt) == data["text/plain"]  # JupyterLab shows the HTML, and drops the alt of a PNG


def test_missing_gradients_are_hatched_and_say_none_and_zero_ones_say_zero(step):
    ax = plots.gradient_reach(step.base, {"vectors": [0.9, None, 0.0]})
    assert texts(ax) == ["None", "None", "0", "7"]
    assert len(hatched(ax)) == 2
    (bars,) = ax.child_axes
    assert texts(bars) == ["0.9", "None", "0"]
    assert [bar.get_height() for bar in bars.patches if not bar.get_hatch()] == [0.9, 0.0]
    assert len(hatched(bars)) == 1
    assert "2 of 4 base parameters have gradient None" in plots.describe(ax)
    assert "p0 0.9, p1 None, p2 0" in plots.describe(ax)


def test_the_diagram_shows_the_recorded_numbers_and_sends_no_gradient_where_none_came(step, tokenizer):
    ax = plots.training_diagram(step, tokenizer)
    shown, words = texts(ax), tokenizer.tokens(range(5))
    assert f"{words[3]} 0.75\n{words[2]} 0.12" in shown
    assert f"{words[4]} 0.50\n{words[4]} 0.50" in shown
    assert {"loss 1.5000", "0.9", "0.12", "0.13", "0.14", f"e2\n{words[3]}", "p0"} <= set(shown)
    assert "2 of 4 model parameters have gradient None" in shown

    def arrows_back(drawing):
        colours = [text.arrow_patch.get_edgecolor() for text in drawing.texts if getattr(text, "arrow_patch", None)]
        return colours.count(matplotlib.colors.to_rgba(plots.RED))

    assert arrows_back(ax) == 4 + 4
    missing = Step(**(vars(step) | {"activations": [[0.11, None, 0.0, None]]}))
    fewer = plots.training_diagram(missing, tokenizer)
    assert arrows_back(fewer) == 4 + 2  # to p0, and to the zero that did come
    assert texts(fewer).count("None") == 2


def test_the_flow_picture_has_a_cell_for_every_layer_and_position(step, tokenizer):
    picture = plots.flows_and_lands(step, tokenizer)
    above, below = picture.axes[:2]
    rows = [[float(text) if text != "None" else None for text in texts(above)[row : row + 4]] for row in (0, 4, 8)]
    assert rows == step.activations  # from the bottom up
    assert len(hatched(above)) == 1
    assert [label.get_text() for label in above.get_yticklabels()] == ["embedding", "block 0 out", "block 1 out"]
    assert [label.get_text() for label in above.get_xticklabels()] == ["p0", *tokenizer.tokens([1, 2, 3])]
    assert texts(below) == ["None", "None", "0", "7"]


def test_the_virtual_columns_of_attention_stand_apart():
    base, tuned = [[1.0, 0.0], [0.25, 0.75]], [[0.5, 0.5, 0.0], [0.125, 0.25, 0.625]]
    left, right = plots.attention(base, tuned, ["Look", "小"]).axes
    assert texts(left) == [".25", ".75", "1.00", "–"]
    assert [label.get_text() for label in right.get_xticklabels()] == ["p0", "Look", "小"]
    assert [round(place, 6) for place in right.get_xticks()] == [0.5, 1.9, 2.9]
    assert [label.get_text() for label in right.get_yticklabels()] == ["小", "Look"]
    assert "小: p0 .12, Look .25, 小 .62" in plots.describe(right)


def test_the_matrix_says_mean_and_range_and_what_was_not_run():
    ax = plots.skill_matrix([row for row in ROWS if row["length"] != 8])
    assert texts(ax) == ["not run", "1.00", "0.25", "0.62\n0.50–0.75"]  # from the bottom up
    assert len(hatched(ax)) == 1
    assert [label.get_text() for label in ax.get_yticklabels()] == ["count", "shout"]


def test_lines_stand_at_the_means_and_bars_reach_to_the_ends():
    for draw, places in (plots.accuracy_against_parameters, [32, 64]), (plots.length_sweep, [4, 8]):
        ax = draw([row for row in ROWS if row["skill"] == "shout"])
        line = ax.containers[1]
        assert line.get_label() == "prompt"
        assert line.lines[0].get_xdata().tolist() == places
        assert line.lines[0].get_ydata().tolist() == [0.625, 0.75]
        (ends,) = line.lines[2]
        assert [segment[:, 1].tolist() for segment in ends.get_segments()] == [[0.5, 0.75], [0.25, 1.0]]


def test_the_strip_has_a_panel_for_every_floor_with_its_shape(base):
    model, tokenizer = base
    ids = tokenizer.encode("Look out! →")
    with torch.no_grad():
        model(torch.tensor([ids]), recorder := Recorder(["embedding", "output", "logits"]))
    panels = plots.strip(recorder, tokenizer.tokens(ids)).axes
    names = ["logits", *(f"block {layer} out" for layer in (3, 2, 1, 0)), "embedding"]
    assert [ax.get_ylabel() for ax in panels] == [
        f"{name}\n4 × {len(tokenizer) if name == 'logits' else 128}" for name in names
    ]
    shown = panels[-1].images[0].get_array()
    assert torch.allclose(torch.tensor(shown), model.embedding.weight[ids].T.double())


def test_the_movie_shows_loss_answer_and_gradients_of_each_frame(tmp_path):
    frames = [
        Frame(0, [[0.0, 0.0], [1.0, 0.0]], [0.5, None], 2.0, "小"),
        Frame(4, [[0.5, 0.5], [1.0, 1.0]], [0.25, 0.0], 1.0, None),
    ]
    movie = plots.movie(frames, [2.0, 1.8, 1.6, 1.3, 1.0], [[0.1, 0.9], [-1.0, -1.0]], {"Look": [0.3, 0.3]})
    assert "step 0, loss 2.000: 小 (p0 0.5, p1 None); step 4, loss 1.000 (p0 0.25, p1 0)" in plots.describe(movie)
    now = movie.figure.axes[-1]
    assert texts(now) == ["0.5", "None"]
    page = movie.to_jshtml()
    assert page.count("data:image/png;base64") == 2
    shown = movie._repr_html_()
    assert shown.count("data:image/png;base64") == 3  # two frames, and the first of them before any script has run
    first = re.search(r'<img src="data:image/png;base64,([^"]+)" alt="([^"]+)"', shown)
    assert first[1] in shown.split("<script")[-1] and html.unescape(first[2]) == plots.describe(movie)
    assert Image.open(io.BytesIO(base64.b64decode(first[1]))).size[0] > 50
    plane, curve, now = movie.figure.axes
    assert texts(now) == ["0.25", "0"]  # the last frame
    assert movie.figure.get_suptitle() == "step 4, loss 1.000"
    assert [line.get_xdata()[-1] for line in plane.lines] == [0.5, 1.0]
    assert curve.lines[0].get_ydata().tolist() == [2.0, 1.8, 1.6, 1.3, 1.0]
    assert curve.lines[0].get_markevery() == [4]
    movie.save(tmp_path / "prompt.gif", writer="pillow")
    assert (tmp_path / "prompt.gif").read_bytes().startswith(b"GIF89a")


def test_a_real_movie_is_small_enough_for_a_notebook(base, book):
    model, tokenizer = base
    prompt = PromptTuning(4, model.config)
    trace = gradients.Trace(prompt)
    batches = Batches(book, tokenizer, ["shout"], rows=4)
    history = train(model, itertools.islice(batches, 20), prompt, steps=20, progress=False, on_step=trace.on_step)
    plane = gradients.principal_plane(model.embedding.weight)
    frames = gradients.film(trace, history.loss, plane, count=2)
    film = plots.movie(frames, history.loss, plane.place(model.embedding.weight), {})
    page = film._repr_html_()
    assert len(page) / len(frames) * 14 < 1.2e6
    assert "http" not in page.replace("http://www.w3.org", "") and 'class="fa' not in page  # nothing is fetched
    assert page == film._repr_html_()


def test_a_picture_of_ones_own_shows_chinese_and_cuts_nothing_off(tmp_path):
    ax = plots.Picture((3, 2)).panel()
    ax.set_xticks([0, 1], ["小心", "a very long label indeed"], rotation=90)
    plots.save(ax, tmp_path / "own.png")  # a missing glyph would warn, and warnings are errors here
    label = ax.get_xticklabels()[1].get_window_extent()
    assert label.y0 >= 0 and label.x1 <= ax.figure.bbox.x1

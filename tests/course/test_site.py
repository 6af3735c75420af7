"""The site holds every lesson that was solved, fetches nothing from outside, and folds what gives an exercise away."""

import json
import re
import sys
from html.parser import HTMLParser
from pathlib import Path

import nbformat
import pytest

from minitransformer import plots
from minitransformer.course import repetition

sys.path.insert(0, str(Path(__file__).parents[2] / "lessons"))

import notebooks
import site_pages

LESSON = """# %% [markdown]
# # Lesson 1 · Tiny
#
# **5 minutes · difficulty ●○○ · builds on**: nothing. Look at [the next](02_next.ipynb#later).

# %% [markdown]
# ## 1 · A rare word: zeugma
#
# A formula $x_t \\in \\mathbb{R}^D$ and one that stands alone:
#
# $$A = \\operatorname{softmax}\\left(\\frac{QK^\\top}{\\sqrt{d}}\\right)$$

# %% exercise="1.1"
def f(x):
    ### BEGIN SOLUTION
    return x + 4141
    ### END SOLUTION

# %% question="1.q1"
quiz("1.q1")

# %% question="1.q2"
quiz("1.q2")

# %%
warm_up(2)

# %%
from minitransformer.course import progress_map

progress_map()

# %%
film

# %%
progress(1)
"""


def movie() -> str:
    return plots.Movie(plots.Picture((1, 1), 40), lambda frame: None, 2, init_func=lambda: None)._repr_html_()


@pytest.fixture(scope="module")
def site(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("tiny")
    (folder / "01_tiny.py").write_text(LESSON, encoding="utf-8")
    book = notebooks.notebook(folder / "01_tiny.py", solved=True)
    book.cells[-2].outputs = [
        nbformat.v4.new_output("display_data", {"text/html": movie()}),
        nbformat.v4.new_output("display_data", {"image/png": "AAAA"}, metadata={"image/png": {"alt": 'a "dot"'}}),
        nbformat.v4.new_output("stream", text="1 < 2"),
    ]
    nbformat.write(book, folder / "01_tiny.ipynb")
    assert site_pages.write(folder / "site", [folder / "01_tiny.ipynb", folder / "02_next.ipynb"]) == 1
    return folder / "site"


def test_the_page_to_play_with_is_a_part_of_the_site_where_it_was_built(site, tmp_path):
    built, solved = tmp_path / "play", [site.parent / "01_tiny.ipynb"]
    with pytest.raises(SystemExit, match="holds no page: build it with  minitransformer play --build-only"):
        site_pages.write(tmp_path / "site", solved, built)
    built.mkdir()
    (built / "index.html").write_text("<p>play</p>")
    (built / "facts.json").write_text("{}")
    site_pages.write(tmp_path / "site", solved, built)
    assert (tmp_path / "site/play/index.html").read_text() == "<p>play</p>"
    assert (tmp_path / "site/play/facts.json").read_text() == '{"lessons": "../"}'  # where its questions lead
    assert 'href="play/index.html"' in (tmp_path / "site/index.html").read_text()
    assert "play/" not in (site / "index.html").read_text()


def test_a_lesson_links_to_the_live_page_and_to_its_own_question_there():
    said = "<code>live.show()</code>, <code>live.show(prompt)</code>, <code>live.shown()</code>"
    for name, place in ("03_one_training_step", "#challenge=thawed_base"), ("02_soft_prompts", ""):
        body = site_pages.live_linked(site_pages.Page(f"{name}.html", "", "", said, []))
        assert Addresses(body).found == [f"play/index.html{place}"] * 2
    assert len(site_pages.QUESTIONS) == 4 and site_pages.QUESTIONS.keys() <= {
        path.stem for path in site_pages.sources().values()
    }


@pytest.fixture(scope="module")
def page(site) -> str:
    return (site / "01_tiny.html").read_text(encoding="utf-8")


class Addresses(HTMLParser):
    def __init__(self, text: str):
        super().__init__()
        self.found, self.ids = [], []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.found += [value for name, value in attrs if name in ("src", "href", "srcset", "data", "action")]
        self.ids += [value for name, value in attrs if name == "id"]


def test_a_page_fetches_nothing_from_outside_and_each_link_leads_somewhere(site):
    for path in site.glob("*.html"):
        text = path.read_text(encoding="utf-8")
        assert not re.search(r"@import|url\(|<i class=.fa", text)
        for address in Addresses(text).found:
            file, _, anchor = address.partition("#")
            if address.startswith("data:") or address in ("#n", "02_next.html#later"):
                continue
            assert (site / (file or path.name)).is_file(), address
            if anchor:
                assert anchor in Addresses((site / (file or path.name)).read_text(encoding="utf-8")).ids
    assert not re.search(r"https?:|url\(|@import", (site / "style.css").read_text() + (site / "search.js").read_text())


def test_the_pages_of_all_lessons_fetch_nothing_from_outside(tmp_path):
    site_pages.write(tmp_path / "all")
    for path in (tmp_path / "all").glob("*.html"):
        addresses = Addresses(path.read_text(encoding="utf-8")).found
        assert not [address for address in addresses if re.match(r"(https?:)?//", address)]


def test_the_search_finds_a_section_by_a_word_in_it(site):
    index = (site / "sections.js").read_text(encoding="utf-8")
    sections = json.loads(index.removeprefix("const SECTIONS = ").rstrip().removesuffix(";"))
    found = [each for each in sections if "zeugma" in each["title"]]
    assert [each["url"] for each in found] == ["01_tiny.html#1-a-rare-word-zeugma"]
    assert "Someone types a sentence" in found[0]["text"] and "\\" not in found[0]["text"]


def test_formulas_are_in_the_page_as_mathml(page):
    assert page.count("<math") == 2 and 'display="block"' in page and "\\frac" not in page


def test_a_formula_that_would_come_out_as_raw_latex_is_refused():
    with pytest.raises(ValueError, match=r"cannot show \\nosuch in the formula"):
        site_pages.formula(r"\nosuch x", {"display_mode": False})


def test_a_solution_and_an_answer_are_folded_and_the_blank_is_not(page):
    folded = re.findall(r"<details>.*?</details>", page, re.DOTALL)
    open_ = re.sub(r"<details>.*?</details>", "", page, flags=re.DOTALL)
    assert "4141" in "".join(folded) and "4141" not in open_ and "Exercise 1.1 is not written yet" in open_
    assert "a c d e b" in "".join(folded) and "a c d e b" not in open_
    assert "✓ right" not in open_ and "BEGIN SOLUTION" not in page and "question_points" not in page


def test_a_warm_up_is_the_questions_of_who_has_no_records_and_a_map_is_for_students(page):
    assert all(f"<strong>{asked.id}</strong>" in page for asked in repetition.fixed(2))
    assert "warm_up" not in page and "progress_map" not in page


def test_outputs_are_shown_with_their_alternative_text(page):
    assert 'alt="a &quot;dot&quot;"' in page and "1 &lt; 2" in page and "progress(1)" not in page


def test_a_movie_plays_without_a_foreign_font_for_its_buttons(page):
    assert "▶" in page and "new Animation(" in page and "font-awesome" not in page


def test_a_folder_that_holds_something_else_is_left_alone(tmp_path):
    (tmp_path / "thesis.txt").write_text("years of work")
    with pytest.raises(SystemExit, match="something else than a site"):
        site_pages.write(tmp_path, [])
    assert (tmp_path / "thesis.txt").is_file()

"""The site is whole, light and found; it fetches nothing from outside, and folds what gives an exercise away."""

import json
import re
import shutil
import subprocess
from datetime import datetime
from html.parser import HTMLParser
from pathlib import Path
from xml.etree import ElementTree

import nbformat
import notebooks
import one_click
import pytest
import site_feed
import site_pages
import site_text
from site_lessons import Reader

import minitransformer
from minitransformer import plots
from minitransformer.course import repetition

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
def lesson(tmp_path_factory) -> site_text.Page:
    folder = tmp_path_factory.mktemp("tiny")
    (folder / "01_tiny.py").write_text(LESSON, encoding="utf-8")
    book = notebooks.notebook(folder / "01_tiny.py", solved=True)
    book.cells[-2].outputs = [
        nbformat.v4.new_output("display_data", {"text/html": movie()}),
        nbformat.v4.new_output("display_data", {"image/png": "AAAA"}, metadata={"image/png": {"alt": 'a "dot"'}}),
        nbformat.v4.new_output("stream", text="1 < 2"),
    ]
    return Reader("01_tiny", site_text.Places()).lesson(book)


@pytest.fixture(scope="module")
def page(lesson) -> str:
    return lesson.body


class Seen(HTMLParser):
    """What a page holds: tags with their attributes, in order, and the texts of its title and headings."""

    def __init__(self, text: str):
        super().__init__()
        self.tags, self.texts, self.inside = [], {}, ""
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        self.inside = tag

    def handle_data(self, data):
        self.texts.setdefault(self.inside, []).append(data)

    def all(self, tag: str, attribute: str) -> list[str]:
        return [attributes[attribute] for name, attributes in self.tags if name == tag and attribute in attributes]

    @property
    def links(self) -> list[str]:
        return self.all("a", "href")

    @property
    def ids(self) -> list[str]:
        return [attributes["id"] for _, attributes in self.tags if "id" in attributes]

    @property
    def fetched(self) -> list[str]:
        """What a browser asks for without being told to."""
        names = "src", "srcset", "data", "action", "poster"
        return [each for tag, attributes in self.tags for name, each in attributes.items()
                if name in names or (tag == "link" and name == "href")]  # fmt: skip


@pytest.fixture(scope="module")
def seen(whole_site) -> dict[str, Seen]:
    return {path.name: Seen(path.read_text(encoding="utf-8")) for path in sorted(whole_site.glob("*.html"))}


def test_every_page_says_its_language_title_and_content_and_has_one_main_heading(seen):
    assert len(seen) > 25
    for name, page in seen.items():
        assert page.all("html", "lang") == ["en"] and [tag for tag, _ in page.tags].count("h1") == 1, name
        (description,) = [each["content"] for tag, each in page.tags if tag == "meta" and each.get("name")
                          == "description"]  # fmt: skip
        assert 10 < len(description) < 320 and page.texts["title"][0].strip(), (name, description)
    assert len({"".join(page.texts["title"]) for page in seen.values()}) == len(seen)


def test_every_link_and_anchor_leads_somewhere(whole_site, seen):
    for name, page in seen.items():
        assert len(page.ids) == len({*page.ids}), name
        for address in {*page.links, *page.fetched}:
            if re.match(r"https?:|data:|#n$", address):  # the last is the form of a film
                continue
            file, _, anchor = address.partition("#")
            assert (whole_site / (file or name)).is_file(), (name, address)
            if anchor and not file.startswith("play/"):
                assert anchor in seen[file or name].ids, (name, address)


def test_an_open_page_fetches_nothing_from_outside(whole_site, seen):
    for name, page in seen.items():
        assert not [address for address in page.fetched if re.match(r"(https?:)?//", address)], name
        assert not re.search(r"@import|url\(|<i class=.fa", (whole_site / name).read_text(encoding="utf-8"))
    for path in [*whole_site.glob("*.js"), *whole_site.glob("*.css")]:
        assert path.name == "sections.js" or not re.search(r"https?:|url\(|@import", path.read_text(encoding="utf-8"))


def test_pages_are_light(whole_site):
    """In bytes, as measured and a fifth more. One lesson holds a film; the index comes when somebody searches."""
    most = {"index.html": 4_000, "04_what_did_it_learn.html": 730_000, "reference.html": 175_000,
            "sections.js": 480_000, "claims.html": 130_000, "authoring.html": 115_000}  # fmt: skip
    for path in [*whole_site.glob("*.html"), *whole_site.glob("*.js"), *whole_site.glob("*.css")]:
        usual = 270_000 if path.name[0] == "0" else 45_000
        assert path.stat().st_size <= most.get(path.name, usual), path.name
    assert sum(path.stat().st_size for path in whole_site.glob("pictures/*")) <= 210_000


def test_the_front_page_leads_everywhere_and_holds_no_frame_before_it_is_asked_for(whole_site, seen):
    front = seen["index.html"]
    wanted = "01_tokens_become_vectors lessons teaching your_own_data about reference benchmarks changelog play/index"
    assert {f"{name}.html" for name in wanted.split()} | {"feed.xml"} <= {*front.links}
    assert "iframe" not in [tag for tag, _ in front.tags]


def test_without_the_live_page_the_front_page_says_how_to_have_it():
    assert "<code>minitransformer play</code>" in site_pages.front(None, [])
    assert 'href="play' not in site_pages.front(None, [])


def test_a_page_to_play_with_has_to_be_built_and_learns_where_its_questions_lead(whole_site, tmp_path):
    with pytest.raises(SystemExit, match="holds no page: build it with  minitransformer play --build-only"):
        site_pages.write(tmp_path / "site", tmp_path / "play")
    assert json.loads((whole_site / "play/facts.json").read_text()) == {"lessons": "../"}


def test_a_lesson_links_to_the_live_page_and_to_its_own_question_there():
    said = "<code>live.show()</code>, <code>live.show(prompt)</code>, <code>live.shown()</code>"
    for name, place in ("03_one_training_step", "#challenge=thawed_base"), ("02_soft_prompts", ""):
        body = site_pages.live_linked(site_text.Page(f"{name}.html", "", "", said, []))
        assert Seen(body).links == [f"play/index.html{place}"] * 2
    assert len(site_pages.QUESTIONS) == 4 and site_pages.QUESTIONS.keys() <= {
        path.stem for path in site_pages.sources().values()
    }


def test_each_lesson_has_its_notebooks_and_links_that_open_them_elsewhere(whole_site, seen):
    for path in notebooks.LESSONS.glob("0*.ipynb"):
        links = seen[f"{path.stem}.html"].links
        for folder, place in (path.parent, "notebooks"), (path.parent / "solutions", "notebooks/solved"):
            assert f"{place}/{path.name}" in links
            assert (whole_site / place / path.name).read_bytes() == (folder / path.name).read_bytes()
        assert one_click.binder(path.name, "someone/course") in links
        assert (one_click.colab(path.name, "someone/course") in links) == bool(one_click.repository())


def test_colab_is_offered_where_the_notebooks_install_what_they_need(monkeypatch):
    reader = Reader("01_tokens_become_vectors", site_text.Places({}, repository="someone/course"))
    assert "colab" not in reader.ways() and "mybinder" in reader.ways()
    monkeypatch.setattr(one_click, "REPOSITORY", "someone/course")
    assert "github/someone/course/blob/main/lessons/01_tokens_become_vectors.ipynb" in reader.ways()


def test_where_no_repository_is_known_no_link_leads_to_one(page):
    assert "Download the notebook" in page and "colab" not in page
    places = site_text.Places({Path("lessons/TEACHING.md"): "teaching.html"})
    writer = site_text.Writer("x.html", notebooks.LESSONS, places)
    said = writer.text("# T\n[a](TEACHING.md#timing) [b](../pyproject.toml) [c](https://example.org) [d](#t)")
    assert Seen(said).links == ["teaching.html#timing", "https://example.org", "#t"] and "<span>b</span>" in said
    places.repository = "someone/course"
    assert (
        places.link("../pyproject.toml", writer.folder) == "https://github.com/someone/course/blob/main/pyproject.toml"
    )


@pytest.mark.parametrize(
    ("where", "said"),
    [
        ({"repository": "https://github.com/a/b"}, "is written owner/name; got 'https"),
        ({"address": "example.org"}, "begins with https://; got 'example"),
    ],
)
def test_a_place_that_cannot_be_is_refused_before_anything_is_written(tmp_path, where, said):
    with pytest.raises(SystemExit, match=said):
        site_pages.write(tmp_path / "site", **where)
    assert not (tmp_path / "site").exists()


def test_every_document_is_a_page_also_one_that_is_in_no_group(seen, monkeypatch):
    root = notebooks.LESSONS.parent
    assert {*root.glob("lessons/*.md"), root / "README.md", root / "benchmarks/README.md"} <= {*site_pages.documents()}
    assert {site_pages.page_name(path) for path in site_pages.documents()} <= seen.keys()
    monkeypatch.setitem(site_pages.GROUPS, "Documentation", ["README.md"])
    assert notebooks.LESSONS / "BEYOND.md" in site_pages.grouped()["Documentation"]


def test_two_pictures_of_one_name_are_refused(tmp_path):
    places = site_text.Places()
    assert places.picture(tmp_path / "a.png") == places.picture(tmp_path / "a.png") == "pictures/a.webp"
    with pytest.raises(ValueError, match=r"would both be a\.webp on the site; rename one"):
        places.picture(tmp_path / "b/a.png")


def test_a_picture_from_elsewhere_is_shown_as_its_words():
    said = site_text.Writer("x.html", notebooks.LESSONS, site_text.Places()).text(
        "# T\n[![Open in Colab](https://example.org/badge.svg)](https://example.org/open)"
    )
    assert '<a href="https://example.org/open">Open in Colab</a>' in said and "badge.svg" not in said


def test_headings_of_one_name_have_anchors_of_their_own():
    writer = site_text.Writer("x.html", notebooks.LESSONS, site_text.Places())
    writer.text("# Added\n## Added\n### Added\n## Added to\n## Added")
    assert [each.anchor for each in writer.sections] == ["added", "added--2", "added--3", "added-to", "added--4"]


def test_the_reference_has_every_public_name_as_the_code_has_it(whole_site, seen):
    page = (whole_site / "reference.html").read_text(encoding="utf-8")
    for name in minitransformer.__all__:
        assert name.lower() in seen["reference.html"].ids, name
    assert {"gradients-nearest_words", "plots-nearest_words"} <= {*seen["reference.html"].ids}
    plain = re.sub(r"<[^>]*>", "", page)
    assert "def freeze(model: nn.Module) -&gt; nn.Module:" in plain and "vocab: int" in plain
    assert "def token_norms(" in plain and "def gradient_reach(" in plain  # what `gradients` and `plots` hold
    assert "0x" not in plain and str(notebooks.LESSONS.parent) not in plain


def test_the_feed_has_an_entry_for_each_version_and_leads_to_its_place(whole_site, seen):
    atom = "{http://www.w3.org/2005/Atom}"
    feed = ElementTree.parse(whole_site / "feed.xml").getroot()
    assert feed.get("{http://www.w3.org/XML/1998/namespace}base") == "https://someone.example/course/"
    entries = feed.findall(f"{atom}entry")
    titles = [each.findtext(f"{atom}title") for each in entries]
    assert "Version 0.1.0" in titles and len({*titles}) == len(titles)
    for each in [feed, *entries]:
        assert datetime.fromisoformat(each.findtext(f"{atom}updated")).tzinfo
        file, _, anchor = each.find(f"{atom}link").get("href").partition("#")
        assert file == "changelog.html" and (not anchor or anchor in seen[file].ids)
    assert "<li>Seven lessons" in entries[-1].findtext(f"{atom}content")


def test_what_comes_next_is_left_out_of_the_feed_where_nobody_knows_since_when(tmp_path):
    (tmp_path / "CHANGELOG.md").write_text("# C\n## [Unreleased]\n- a\n## [0.1.0] - 2026-11-21\n- b\n")
    feed = site_feed.feed(tmp_path / "CHANGELOG.md")
    assert feed.count("<entry>") == 1 and "2026-11-21T00:00:00Z" in feed and "base" not in feed


def test_the_page_for_what_is_not_there_works_at_any_depth_where_the_address_is_known(seen):
    assert seen["404.html"].all("base", "href") == ["https://someone.example/course/"]
    assert "<base" not in site_pages.not_there("", "")


@pytest.fixture(scope="module")
def sections(whole_site) -> list[dict]:
    index = (whole_site / "sections.js").read_text(encoding="utf-8")
    return json.loads(index.removeprefix("const SECTIONS = ").rstrip().removesuffix(";"))


def test_the_index_holds_lessons_documents_and_the_reference(sections, lesson):
    for title, word, page in [
        ("Prompt tuning", "embed", "02_soft_prompts.html"),
        ("The roster", "student", "course.html"),
        ("KeyValuePrefix", "parameters", "reference.html"),
    ]:
        found = [each for each in sections if title in each["title"] and each["url"].startswith(page)]
        assert found and word in found[0]["text"], title
    (rare,) = [each for each in lesson.sections if "zeugma" in each.title]
    assert rare.anchor == "1-a-rare-word-zeugma" and "Someone types a sentence" in " ".join(rare.words)
    assert not [word for word in rare.words[:3] if "\\" in word]


def node(whole_site, asked: str):
    """What the search's own code gives, with the index of the whole site."""
    files = [(whole_site / name).read_text(encoding="utf-8") for name in ("words.js", "sections.js")]
    script = "\n".join([*files, f"console.log(JSON.stringify({asked}))"])
    return json.loads(subprocess.run(["node", "-"], input=script, capture_output=True, text=True, check=True).stdout)


needs_node = pytest.mark.skipif(not shutil.which("node"), reason="node is not installed")


@needs_node
def test_the_search_brings_words_to_their_stems(whole_site):
    families = [
        "optimizer optimizers optimize optimized optimizing optimisation optimiser",
        "train trains trained training trainer trainings",
        "prefix prefixes",
        "query queries",
        "embed embeds embedded embedding embeddings",
        "loss losses",
        "gradient gradients gradient's",
        "token tokens",
    ]
    stems = node(whole_site, f"{json.dumps(families)}.map((family) => family.split(' ').map(stem))")
    assert all(len({*family}) == 1 for family in stems), stems
    assert len({family[0] for family in stems}) == len(families)


@needs_node
def test_the_search_finds_other_forms_of_a_word_parts_of_it_and_chinese(whole_site):
    asked = ["optimizers", "optimizer", "optimi", "小心", "gradients  lands", "keys_values", "zzzz", " "]
    many, one, part, chinese, two, name, nothing, empty = node(
        whole_site, f"((all) => {json.dumps(asked)}.map((typed) => matches(all, typed, 500)))(indexed(SECTIONS))"
    )
    assert len(one) > 5 and many == one and len(part) >= len(one)
    assert any("optimizers" not in f"{each['title']} {each['text']}".lower() for each in many)
    said = node(whole_site, "around({text: 'one two three four five six seven eight nine ten eleven'}, 'tens')")
    assert said == "two three four five six seven eight nine ten eleven"  # whole words, and the one that was found
    assert chinese and two and name and not nothing and not empty
    assert "gradient" in two[0]["title"].lower()


def test_formulas_are_in_the_page_as_mathml(page):
    assert page.count("<math") == 2 and 'display="block"' in page and "\\frac" not in page


def test_a_formula_that_would_come_out_as_raw_latex_is_refused():
    with pytest.raises(ValueError, match=r"cannot show \\nosuch in the formula"):
        site_text.formula(r"\nosuch x", {"display_mode": False})


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
    assert "▶" in page and "new Animation(" in page and "font-awesome" not in page and 'aria-label="frame"' in page


def test_a_folder_that_holds_something_else_is_left_alone(tmp_path):
    (tmp_path / "thesis.txt").write_text("years of work")
    with pytest.raises(SystemExit, match="something else than a site"):
        site_pages.write(tmp_path)
    assert (tmp_path / "thesis.txt").is_file()

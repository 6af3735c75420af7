"""The site: `python lessons/build.py --site`. Open pages fetch nothing from elsewhere, and work from a disk.

Solved lessons, the repository's documents and the API reference become pages; notebooks to download, an index to search
and a feed of changes stand beside them.
"""

import html
import json
import re
import shutil
from pathlib import Path
from string import Template

import nbformat
from PIL import Image

import minitransformer
from minitransformer.course.lesson_text import sources
from notebooks import LESSONS
from site_feed import feed
from site_lessons import Reader
from site_reference import Reference
from site_text import ROOT, Page, Places, Writer

ASSETS = LESSONS / "site_assets"
CHALLENGES = Path(minitransformer.__file__).parent / "live/page/challenges.js"
QUESTIONS = {  # of the live page, by the lesson that they are from
    lesson: name for name, lesson in re.findall(r'(\w+): \{\s+lesson: "(\w+)"', CHALLENGES.read_text("utf-8"))
}
GROUPS = {  # the documents that are pages, and under what; further ones in lessons/ join the third
    "Lessons": ["lessons/README.md"],
    "For teachers": ["lessons/TEACHING.md", "lessons/COURSE.md", "lessons/GRADING.md", "lessons/ISOLATION.md",
                     "lessons/CONCEPTS.md", "lessons/CLAIMS.md"],
    "Documentation": ["README.md", "lessons/YOUR_OWN_DATA.md", "lessons/BEYOND.md", "lessons/FILES.md",
                      "minitransformer/data/phrasebook.md", "benchmarks/README.md"],
    "The project": ["CONTRIBUTING.md", "lessons/AUTHORING.md", "CHANGELOG.md", "SECURITY.md", "CODE_OF_CONDUCT.md"],
}  # fmt: skip
TITLE = "Soft prompts on a Transformer to read in one sitting"
DESCRIPTION = (
    "A course in a repository: build prompt tuning and prefix tuning by hand on a small frozen Transformer, "
    "and see the gradient of the loss land on your vectors alone."
)


def write(folder: Path, play: Path | None = None, repository: str = "", address: str = "") -> int:
    """Write the site into an empty folder; return how many lessons there are.

    With the page that `minitransformer play` has built, the site holds that one, too; with the repository's owner/name
    on GitHub it links there; with the site's own address, what needs a whole address has it.
    """
    if play is not None and not (play / "index.html").is_file():
        raise SystemExit(f"{play} holds no page: build it with  minitransformer play --build-only --out {play}")
    if repository and not re.fullmatch(r"[\w.-]+/[\w.-]+", repository):
        raise SystemExit(f"a repository on GitHub is written owner/name; got {repository!r}")
    if address and not re.match(r"https?://.", address):
        raise SystemExit(f"the site's address begins with https://; got {address!r}")
    emptied(folder)
    places = Places({path.relative_to(ROOT): page_name(path) for path in documents()}, repository=repository)
    pages = gathered(places)
    every = [page for group in pages.values() for page in group]
    lessons = pages["Lessons"][1:]
    for name in "style.css", "page.js", "words.js", "search.js":
        shutil.copy(ASSETS / name, folder)
    if play is not None:
        add_play(play, folder)
    for page in every:
        body = live_linked(page) if play and page in lessons else page.body
        text = laid_out(page.title, page.description, body + turns(page, lessons), contents(pages, page))
        (folder / page.name).write_text(text, encoding="utf-8")
    (folder / "index.html").write_text(front(play, lessons), encoding="utf-8")
    (folder / "404.html").write_text(not_there(address, contents(pages, None)), encoding="utf-8")
    (folder / "sections.js").write_text(index(every), encoding="utf-8")
    (folder / "feed.xml").write_text(feed(ROOT / "CHANGELOG.md", address), encoding="utf-8")
    add_notebooks(lessons, folder)
    add_pictures(places, folder)
    return len(lessons)


def emptied(folder: Path) -> None:
    if folder.is_dir():
        if any(folder.iterdir()) and not (folder / "sections.js").is_file():
            raise SystemExit(f"{folder} holds something else than a site; name an empty folder")
        shutil.rmtree(folder)
    folder.mkdir(parents=True)


def add_play(play: Path, folder: Path) -> None:
    """The live page, which is told where its questions' lessons are."""
    shutil.copytree(play, folder / "play")
    facts = json.loads((play / "facts.json").read_text(encoding="utf-8")) | {"lessons": "../"}
    (folder / "play" / "facts.json").write_text(json.dumps(facts, ensure_ascii=False), encoding="utf-8")


def add_notebooks(lessons: list[Page], folder: Path) -> None:
    for kept, place in (LESSONS, "notebooks"), (LESSONS / "solutions", "notebooks/solved"):
        (folder / place).mkdir()
        for page in lessons:
            shutil.copy(kept / Path(page.name).with_suffix(".ipynb"), folder / place)


def add_pictures(places: Places, folder: Path) -> None:
    """Those that the pages show, and the one on the front page; as WebP they have half the bytes or less."""
    places.picture(LESSONS / "pictures/live.png")
    (folder / "pictures").mkdir()
    for name, picture in places.pictures.items():
        Image.open(picture).save(folder / "pictures" / name, lossless=True)


def grouped() -> dict[str, list[Path]]:
    """The documents that are pages; one that nobody has put anywhere stands with the documentation."""
    groups = {group: [ROOT / name for name in names] for group, names in GROUPS.items()}
    known = {path for paths in groups.values() for path in paths}
    groups["Documentation"] += [path for path in sorted(LESSONS.glob("*.md")) if path not in known]
    return groups


def documents() -> list[Path]:
    return [path for paths in grouped().values() for path in paths]


def page_name(document: Path) -> str:
    """lessons/TEACHING.md is teaching.html, a folder's README has its name, and the repository's own is about.html."""
    name = document.stem if document.stem != "README" else "about" if document.parent == ROOT else document.parent.name
    return f"{name.lower()}.html"


def gathered(places: Places) -> dict[str, list[Page]]:
    """All pages but the front; the first of the lessons lists them."""
    pages = {group: [document(path, places) for path in paths] for group, paths in grouped().items()}
    solved = [LESSONS / "solutions" / f"{source.stem}.ipynb" for source in sources().values()]
    lessons = [Reader(path.stem, places).lesson(nbformat.read(path, 4)) for path in solved if path.is_file()]
    pages["Lessons"][0].body += "".join(
        f'<h2><a href="{page.name}">{html.escape(page.title)}</a></h2>{page.about}{section_links(page)}'
        for page in lessons
    )
    pages["Lessons"] += lessons
    pages["Documentation"].append(Reference(places).page())
    return pages


def document(path: Path, places: Places) -> Page:
    writer = Writer(page_name(path), path.parent, places)
    return writer.finished(writer.text(path.read_text(encoding="utf-8")))


def live_linked(page: Page) -> str:
    """The lesson with a link to the live page wherever it speaks of it, to the question that is from this lesson."""
    question = QUESTIONS.get(page.name.removesuffix(".html"))
    place = "play/index.html" + (f"#challenge={question}" if question else "")
    return re.sub(r"<code>live\.show\(\w*\)</code>", rf'<a href="{place}">\g<0></a>', page.body)


def turns(page: Page, lessons: list[Page]) -> str:
    """To the lessons before and after this one."""
    if page not in lessons:
        return ""
    number = lessons.index(page)
    beside = [(word, lessons[n]) for word, n in (("←", number - 1), ("→", number + 1)) if 0 <= n < len(lessons)]
    links = "".join(f'<a href="{other.name}">{word} {html.escape(other.title)}</a>' for word, other in beside)
    return f'\n<p class="turns">{links}</p>'


def laid_out(title: str, description: str, body: str, nav: str, head: str = "") -> str:
    template = Template((ASSETS / "page.html").read_text(encoding="utf-8"))
    named = dict(title=html.escape(title), description=html.escape(description))
    return template.substitute(named, body=body, nav=nav, head=head)


def contents(pages: dict[str, list[Page]], here: Page | None) -> str:
    """All pages by group, and the sections of the one that is open."""
    lists = {group: "".join(entry(page, page is here) for page in pages[group]) for group in pages}
    inside = "".join(f"<h2>{group}</h2><ul>{entries}</ul>" for group, entries in lists.items())
    return f'<nav id="contents" aria-label="Contents"><div>{inside}</div></nav>'


def entry(page: Page, open_: bool) -> str:
    now, below = (' aria-current="page"', section_links(page)) if open_ else ("", "")
    return f'<li><a href="{page.name}"{now}>{html.escape(page.title)}</a>{below}</li>'


def section_links(page: Page) -> str:
    links = (f'<li><a href="{page.name}#{each.anchor}">{html.escape(each.title)}</a></li>'
             for each in page.sections if each.level == 2)  # fmt: skip
    return f"<ul>{''.join(links)}</ul>"


def front(play: Path | None, lessons: list[Page]) -> str:
    """What this is, in one screen."""
    text = Template((ASSETS / "front.html").read_text(encoding="utf-8"))
    live = Template((ASSETS / ("live.html" if play else "no_live.html")).read_text(encoding="utf-8"))
    size = sum(path.stat().st_size for path in play.rglob("*") if path.is_file()) if play else 0
    first = lessons[0].name if lessons else "lessons.html"
    body = text.substitute(first=first, live=live.substitute(size=f"{size / 1e6:.0f}"))
    return laid_out(TITLE, DESCRIPTION, body, "")


def not_there(address: str, nav: str) -> str:
    base = f'<base href="{html.escape(address.rstrip("/"))}/">' if address else ""
    body = '<h1>No such page</h1><p>It may have moved. Search, or begin at <a href="index.html">the front page</a>.</p>'
    return laid_out("No such page", "There is no page at this address.", body, nav, base)


def index(pages: list[Page]) -> str:
    """The sections as a script: unlike a JSON file, it can be read by a page that was opened from a disk."""
    rows = [
        dict(url=f"{each.page}#{each.anchor}", lesson=page.title, title=each.title, text=" ".join(each.words))
        for page in pages
        for each in page.sections
    ]
    return f"const SECTIONS = {json.dumps(rows, ensure_ascii=False, indent=0)};\n"

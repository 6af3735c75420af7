"""CHANGELOG.md as an Atom feed: one entry for each version, and one for what comes next."""

import re
import subprocess
from pathlib import Path
from xml.etree import ElementTree
from xml.etree.ElementTree import Element, SubElement

from markdown_it import MarkdownIt

ATOM = "http://www.w3.org/2005/Atom"
NAME = "tag:minitransformer,2026:"  # an address that does not change when the site moves
VERSION = re.compile(r"^## \[(?P<name>[^\]]+)\](?: - (?P<date>[\d-]+))?\n", re.MULTILINE)


def feed(changelog: Path, address: str) -> str:
    text = changelog.read_text(encoding="utf-8")
    dated = [(each, f"{each['date']}T00:00:00Z" if each["date"] else last_change(changelog)) for each in VERSION.finditer(text)]
    root = Element("feed", {"xmlns": ATOM, "xml:lang": "en"} | ({"xml:base": f"{address.rstrip('/')}/"} if address else {}))
    add(root, "title", "minitransformer: changes")
    add(root, "id", f"{NAME}changes")
    add(root, "updated", next(date for _, date in dated if date))
    SubElement(add(root, "author"), "name").text = "The minitransformer authors"
    SubElement(root, "link", href="changelog.html")
    SubElement(root, "link", rel="self", href="feed.xml")
    for version, date in dated:
        if not date:
            continue
        entry = add(root, "entry")
        name = version["name"]
        add(entry, "title", f"Version {name}" if version["date"] else "What the next version brings")
        add(entry, "id", f"{NAME}changes/{name.lower()}")
        add(entry, "updated", date)
        anchor = re.sub(r"\W+", "-", f"{name} {version['date'] or ''}".lower()).strip("-")
        SubElement(entry, "link", href=f"changelog.html#{anchor}")
        body = VERSION.split(text[version.end() :], 1)[0]
        add(entry, "content", MarkdownIt().render(body)).set("type", "html")
    ElementTree.indent(root)
    return ElementTree.tostring(root, "unicode", xml_declaration=True) + "\n"


def add(parent: Element, tag: str, text: str | None = None) -> Element:
    made = SubElement(parent, tag)
    made.text = text
    return made


def last_change(path: Path) -> str:
    """When git last saw the file change; nothing outside a clone."""
    command = ["git", "log", "-1", "--format=%cI", "--", path.name]
    try:
        return subprocess.run(command, cwd=path.parent, capture_output=True, text=True).stdout.strip()
    except OSError:
        return ""

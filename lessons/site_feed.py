"""CHANGELOG.md as an Atom feed: an entry for each version, and one for what comes next."""

import re
import subprocess
from pathlib import Path
from xml.etree import ElementTree
from xml.etree.ElementTree import Element, SubElement

from markdown_it import MarkdownIt

NAME = "tag:minitransformer,2026:changes"  # stays the same where the site moves
VERSION = re.compile(r"^## \[(?P<name>[^\]]+)\](?: - (?P<date>[\d-]+))?\n", re.MULTILINE)


def feed(changelog: Path, address: str = "") -> str:
    text = changelog.read_text(encoding="utf-8")
    root = Element("feed", {"xmlns": "http://www.w3.org/2005/Atom", "xml:lang": "en"})
    if address:
        root.set("xml:base", f"{address.rstrip('/')}/")
    entries = [made for version in VERSION.finditer(text) if (made := entry(version, text, changelog)) is not None]
    headed(root, "minitransformer: changes", NAME, entries[0].findtext("updated"), "changelog.html")
    SubElement(root, "link", rel="self", href="feed.xml")
    SubElement(SubElement(root, "author"), "name").text = "The minitransformer authors"
    root.extend(entries)
    ElementTree.indent(root)
    return ElementTree.tostring(root, "unicode", xml_declaration=True) + "\n"


def entry(version: re.Match, text: str, changelog: Path) -> Element | None:
    """What one version brings; None where nobody knows when it changed."""
    name, date = version["name"], version["date"]
    updated = f"{date}T00:00:00Z" if date else last_change(changelog)
    if not updated:
        return None
    title = f"Version {name}" if date else "What the next version brings"
    anchor = re.sub(r"\W+", "-", f"{name} {date or ''}".lower()).strip("-")
    made = headed(Element("entry"), title, f"{NAME}/{name.lower()}", updated, f"changelog.html#{anchor}")
    body = VERSION.split(text[version.end() :], 1)[0]
    SubElement(made, "content", type="html").text = MarkdownIt().render(body)
    return made


def headed(element: Element, title: str, name: str, updated: str, page: str) -> Element:
    for tag, text in ("title", title), ("id", name), ("updated", updated):
        SubElement(element, tag).text = text
    SubElement(element, "link", href=page)
    return element


def last_change(path: Path) -> str:
    """When git last saw the file change; nothing outside a clone."""
    command = ["git", "log", "-1", "--format=%cI", "--", path.name]
    try:
        return subprocess.run(command, cwd=path.parent, capture_output=True, text=True).stdout.strip()
    except OSError:
        return ""

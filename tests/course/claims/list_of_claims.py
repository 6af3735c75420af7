"""Which test guards which sentence of the course: `python tests/course/claims/list_of_claims.py` writes the list."""

import ast
import re
from collections import defaultdict
from pathlib import Path

HERE = Path(__file__).parent
PAGE = HERE.parents[2] / "lessons" / "CLAIMS.md"
ABOVE = """# What the lessons claim, and the tests that hold them to it

Each sentence here can be refuted by a run, and a test runs it on the shipped model: `pytest tests/course/claims`. A
test names the place and the words it guards; it fails where the model behaves otherwise, and where the words no longer
stand there. This list is written by `python tests/course/claims/list_of_claims.py`.
"""


def guarded() -> dict[str, list[tuple[str, str, str]]]:
    """File -> what stands in it, as (place, words, name of the test), in the order of the places."""
    found = defaultdict(list)
    for path in sorted(HERE.glob("test_*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            for mark in getattr(node, "decorator_list", []):
                if ast.unparse(mark).startswith("pytest.mark.claim("):
                    place, *texts = (ast.literal_eval(each) for each in mark.args)
                    found[path.name] += [(place, text, node.name) for text in texts]
        found[path.name].sort(key=lambda claim: [int(part) for part in re.findall(r"\d+", claim[0])])
    return found


def page() -> str:
    """The list as Markdown: for each file of tests a table."""
    lines = [ABOVE]
    for name, claims in guarded().items():
        lines += [f"## `{name}`\n", "| place | words | test |\n|---|---|---|"]
        lines += [f"| {place} | {text.replace('|', chr(92) + '|')} | `{test}` |" for place, text, test in claims]
        lines += [""]
    return "\n".join(lines)


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")

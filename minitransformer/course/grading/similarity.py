"""What a teacher should look at: submissions that are alike, and code that uses what no exercise needs. No marks."""

import hashlib
import re
from collections import Counter
from itertools import combinations

STRANGE = re.compile(
    r"\b(ctypes|gc|inspect|subprocess|socket|__code__|__globals__|_getframe|importlib|lesson\d+\.ask)\b"
)


def traces(code: str) -> dict[str, list[str]]:
    """Eight words or signs in a row, to find what two have in common; and words that no exercise needs."""
    words = re.findall(r"\w+|[^\w\s]", re.sub(r"#.*|\"\"\".*?\"\"\"", "", code))
    parts = {" ".join(words[n : n + 8]) for n in range(len(words) - 7)}
    shingles = sorted(hashlib.sha256(part.encode()).hexdigest()[:8] for part in parts)
    return {"code": shingles, "strange": sorted(set(STRANGE.findall(code)))}


def alike(rows: list[dict], least: int = 10, share: float = 0.8) -> list[tuple[str, str, float]]:
    """Pairs that share most of what few others wrote."""
    common, few = Counter(part for row in rows for part in row.get("code", ())), max(2, len(rows) // 10)
    rare = {row["name"]: {part for part in row.get("code", ()) if common[part] <= few} for row in rows}
    pairs = ((len(rare[a] & rare[b]) / max(len(rare[a] | rare[b]), least), a, b) for a, b in combinations(rare, 2))
    return [(a, b, part) for part, a, b in sorted(pairs, reverse=True) if part >= share]

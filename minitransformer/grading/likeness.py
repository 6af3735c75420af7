"""What to look at by eye: submissions alike, and code that reaches for what no exercise needs. Never a mark."""

import hashlib
import re
from collections import Counter
from itertools import combinations

from .intake import Submission

STRANGE = re.compile(r"\b(ctypes|gc|inspect|subprocess|socket|__code__|__globals__|_getframe|asks|importlib)\b")


def shingles(submission: Submission) -> list[str]:
    """Eight words or signs in a row, for finding what two students have in common."""
    text = "\n".join(source for owner, source in submission.pieces if owner)
    words = re.findall(r"\w+|[^\w\s]", re.sub(r"#.*|\"\"\".*?\"\"\"", "", text))
    parts = {" ".join(words[n : n + 8]) for n in range(len(words) - 7)}
    return sorted(hashlib.sha256(part.encode()).hexdigest()[:8] for part in parts)


def strange(submission: Submission) -> list[str]:
    """Words of code that looks into its surroundings."""
    return sorted({word for _, source in submission.pieces for word in STRANGE.findall(source)})


def alike(rows: list[dict], least: int = 10, share: float = 0.8) -> list[tuple[str, str, float]]:
    """Pairs that share most of what few others wrote."""
    common = Counter(part for row in rows for part in row.get("code", ()))
    usual = max(2, len(rows) // 10)
    rare = {row["name"]: {part for part in row.get("code", ()) if common[part] <= usual} for row in rows}
    rare = {name: parts for name, parts in rare.items() if len(parts) >= least}
    found = ((a, b, len(rare[a] & rare[b]) / len(rare[a] | rare[b])) for a, b in combinations(rare, 2))
    return sorted((pair for pair in found if pair[2] >= share), key=lambda pair: -pair[2])

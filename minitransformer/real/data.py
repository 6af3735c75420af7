"""Real data for a real model: pairs of texts out of what installed packages ship, split once and for all."""

import random
import re
import tarfile
import zlib
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from io import BytesIO
from pathlib import Path

from ..optional import shipped

Pair = tuple[str, str]  # a text and its answer
WORDNET = "data/wordnet-3.0"
SNIPPETS = "vaderSentiment-3.3.2.tar.gz"
GET_SNIPPETS = "pip download --no-deps --no-binary vaderSentiment -d {} vaderSentiment==3.3.2"
LABELS = " positive", " negative"


def antonyms() -> tuple[list[Pair], list[Pair]]:
    """Words and their antonyms by WordNet 3.0 (Princeton University, WordNet licence), to learn from and to test on.

    Words in use that have one antonym, whose antonym is theirs. A pair is in one split both ways round.
    """
    uses: dict[str, int] = defaultdict(int)
    for line in lines("cntlist.rev"):
        sense, _, times = line.split()
        uses[sense.split("%")[0]] += int(times)
    opposites = defaultdict(set)
    for name in "adj", "adv", "noun", "verb":
        for word, opposite in opposed(lines(f"data.{name}")):
            opposites[word].add(opposite)
    pairs = [(word, *found) for word, found in opposites.items() if len(found) == 1 and usual(word, uses)]
    pairs = [(word, opposite) for word, opposite in pairs if opposites[opposite] == {word} and usual(opposite, uses)]
    return split_pairs([(word, f" {opposite}") for word, opposite in pairs], lambda pair: min(pair[0], pair[1][1:]))


def usual(word: str, uses: dict[str, int]) -> bool:
    """In lower-case letters, and found at least once in the texts that WordNet's authors have counted."""
    return word.isalpha() and word.islower() and uses[word] > 0


def lines(name: str) -> list[str]:
    return shipped("wn", f"{WORDNET}/{name}").read_text(encoding="utf-8").splitlines()


def opposed(synsets: Iterable[str]) -> Iterator[Pair]:
    """The words that a file of synsets calls antonyms; each line says how many words and pointers follow."""
    words, pointers = {}, []
    for line in synsets:
        if line.startswith(" "):
            continue  # the licence
        fields = line.split(" | ")[0].split()
        count = int(fields[3], 16)
        words[fields[0]] = [re.sub(r"\(.*\)", "", word) for word in fields[4 : 4 + 2 * count : 2]]
        at, many = 5 + 2 * count, int(fields[4 + 2 * count])
        for sign, synset, _, places in zip(*(fields[at + part : at + 4 * many : 4] for part in range(4)), strict=True):
            if sign == "!":  # an antonym; places are the two words' numbers within their synsets
                pointers.append((fields[0], int(places[:2], 16) - 1, synset, int(places[2:], 16) - 1))
    for synset, place, other, other_place in pointers:
        yield words[synset][place], words[other][other_place]


def snippets(path: str | Path) -> tuple[list[Pair], list[Pair]]:
    """Sentences on films and whether people found them positive or negative, to learn from and to test on.

    From the source package of vaderSentiment (Hutto & Gilbert 2014, MIT licence), which keeps them in a file within a
    file; those of at most 80 characters on whose side people agreed, by one point of four at least.
    """
    if not Path(path).is_file():
        raise FileNotFoundError(f"there is no file {path}: run  {GET_SNIPPETS.format(Path(path).parent)}")
    try:
        inner = member(Path(path).read_bytes(), "hutto_ICWSM_2014.tar.gz")
        text = member(inner, "movieReviewSnippets_GroundTruth.txt").decode()
        rows = [line.split("\t") for line in text.splitlines()]
        rated = [(snippet.strip(), float(rating)) for _, rating, snippet in rows]
    except (tarfile.TarError, EOFError, OSError, KeyError, ValueError) as error:
        raise ValueError(f"{path} is damaged or is not the source package of vaderSentiment 3.3.2 ({error})") from None
    sure = [(snippet, rating) for snippet, rating in rated if len(snippet) <= 80 and abs(rating) >= 1]
    return split_pairs([(snippet, LABELS[rating < 0]) for snippet, rating in sure], lambda pair: pair[0])


def member(data: bytes, name: str) -> bytes:
    """A file out of a tar archive, by the end of its path."""
    with tarfile.open(fileobj=BytesIO(data)) as archive:
        for each in archive:
            if each.isfile() and each.name.endswith(f"/{name}"):
                return archive.extractfile(each).read()
    raise KeyError(f"it holds no {name}")


def split_pairs(pairs: list[Pair], key: Callable[[Pair], str]) -> tuple[list[Pair], list[Pair]]:
    """Four fifths to learn from, one fifth to test on, chosen by a key alone; shuffled, the same each time."""
    parts: tuple[list[Pair], list[Pair]] = [], []
    for pair in sorted(set(pairs)):
        parts[zlib.crc32(key(pair).encode()) % 5 == 0].append(pair)
    for number, part in enumerate(parts):
        random.Random(number).shuffle(part)
    return parts

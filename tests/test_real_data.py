"""Real data is read as it is written, split so that nothing held out was seen, and refused where it is damaged."""

import io
import tarfile

import pytest

from minitransformer.comparison import METHODS
from minitransformer.real import data as real_data
from minitransformer.real.data import opposed, snippets, split_pairs
from minitransformer.real.tasks import recorded

HEADER = "  1 This software and database is being provided"
SYNSETS = [
    HEADER,
    "00001 00 a 02 hot 0 warm(p) 1 003 & 00009 a 0000 ! 00002 a 0101 = 00005 n 0000 | having heat",
    "00002 00 a 01 cold 0 001 ! 00001 a 0101 | without heat",
    "00003 00 v 02 go 0 come_up 0 001 ! 00004 v 0201 01 + 08 00 | move | or so",
    "00004 00 v 01 fall 0 000 | drop",
]


def archive(**files: bytes) -> bytes:
    data = io.BytesIO()
    with tarfile.open(fileobj=data, mode="w:gz") as tar:
        for name, content in files.items():
            about = tarfile.TarInfo(f"folder/{name}")
            about.size = len(content)
            tar.addfile(about, io.BytesIO(content))
    return data.getvalue()


def both(parts: tuple[list, list]) -> list:
    return sorted(parts[0] + parts[1])


def test_antonyms_are_read_from_the_pointers_between_words():
    assert list(opposed(SYNSETS)) == [("hot", "cold"), ("cold", "hot"), ("come_up", "fall")]


def test_only_words_in_use_with_one_mutual_antonym_are_taken(monkeypatch):
    uses = ["hot%5:00:00::  1 3", "cold%3:00:00::  1 2", "rare%3:00:00::  1 1", "big%3:00:00::  1 1"]
    unused = ["00006 00 a 01 rare 0 001 ! 00007 a 0101 |", "00007 00 a 01 frequent 0 001 ! 00006 a 0101 |"]
    one_sided = ["00001 00 r 01 big 0 001 ! 00002 r 0101 |", "00002 00 r 01 cold 0 000 |"]
    files = {"cntlist.rev": uses, "data.adj": [*SYNSETS[:3], *unused], "data.adv": one_sided}
    monkeypatch.setattr(real_data, "lines", lambda name: files.get(name, []))
    assert both(real_data.antonyms()) == [("cold", " hot"), ("hot", " cold")]
    files["data.adv"] = ["00001 00 r 01 hot 0 001 ! 00002 r 0101 |", "00002 00 r 01 big 0 000 |"]
    assert both(real_data.antonyms()) == []  # hot has two


def test_a_pair_is_in_one_split_both_ways_round():
    pairs = [(f"{a}", f" {a[::-1]}") for a in map(str, range(1000, 1400))]
    mirrored = pairs + [(answer[1:], f" {text}") for text, answer in pairs]
    train, test = split_pairs(mirrored, lambda pair: min(pair[0], pair[1][1:]))
    words = [{word for text, answer in part for word in (text, answer[1:])} for part in (train, test)]
    assert not words[0] & words[1] and len(train) > 2 * len(test) > 0
    assert split_pairs(mirrored[::-1], lambda pair: min(pair[0], pair[1][1:])) == (train, test)


def test_snippets_are_read_from_the_file_within_the_file(tmp_path):
    rows = ["1\t2.5\tA joy.", "2\t-1.0\tNo good.", "3\t0.5\tHm.", f"4\t3.0\t{'Long. ' * 20}"]
    inner = archive(**{"movieReviewSnippets_GroundTruth.txt": "\r\n".join(rows).encode()})
    path = tmp_path / "source.tar.gz"
    path.write_bytes(archive(**{"hutto_ICWSM_2014.tar.gz": inner}))
    assert both(snippets(path)) == [("A joy.", " positive"), ("No good.", " negative")]


def test_missing_or_damaged_snippets_are_refused_with_what_to_do(tmp_path):
    path = tmp_path / "source.tar.gz"
    with pytest.raises(FileNotFoundError, match=r"there is no file .*: run  pip download .* vaderSentiment==3\.3\.2"):
        snippets(path)
    inner = archive(**{"movieReviewSnippets_GroundTruth.txt": b"1\tgood"})
    for damaged in (
        b"",
        b"text",
        archive(other=b""),
        archive(**{"hutto_ICWSM_2014.tar.gz": inner}),
        archive(a=b"1")[:40],
    ):
        path.write_bytes(damaged)
        with pytest.raises(ValueError, match="is damaged or is not the source package of vaderSentiment"):
            snippets(path)


def test_on_antonyms_every_tuning_beats_every_untuned_way_by_ten_points_with_every_seed():
    rows = [row for row in recorded() if row["skill"] == "antonyms"]
    scores = {tuned: [row["accuracy"] for row in rows if (row["parameters"] > 0) == tuned] for tuned in (True, False)}
    assert min(scores[True]) >= max(scores[False]) + 0.1
    seeds = {method: {row["seed"] for row in rows if row["method"] == method} for method in METHODS}
    assert set(map(len, seeds.values())) == {3}


def test_sentiment_is_recorded_beside_calibrated_examples_and_chinese_beside_what_was_learned():
    methods = {skill: {row["method"] for row in recorded() if row["skill"] == skill} for skill in skills()}
    assert methods["sentiment"] >= {"no prompt", "instruction", "four examples", "calibrated", *METHODS}
    assert methods["chinese"] >= {"no prompt", "instruction", "eight examples", *METHODS}
    assert methods["chinese, learned"] == set(METHODS)


def skills() -> set[str]:
    return {row["skill"] for row in recorded()}

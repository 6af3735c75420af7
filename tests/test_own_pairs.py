"""One's own pairs out of a spreadsheet: what is read, what is refused and in which line, and a training on them."""

import pytest

from minitransformer.real.own_pairs import OwnPair, read_pairs, split

ROWS = [("Look out!", "小心!"), ("hot", "cold"), ("a, b", 'say "x"')]


def written(folder, data: str | bytes, name: str = "pairs.csv"):
    path = folder / name
    path.write_bytes(data.encode() if isinstance(data, str) else data)
    return path


def texts(path) -> list[tuple[str, str]]:
    return [(pair.text, pair.answer) for pair in read_pairs(path)]


COMMA = 'text,answer\nLook out!,小心!\nhot,cold\n"a, b","say ""x"""\n'
SAME = {
    "commas": COMMA,
    "no line end at the end": COMMA.rstrip("\n"),
    "Windows line ends": COMMA.replace("\n", "\r\n"),
    "old Mac line ends": COMMA.replace("\n", "\r"),
    "a mark at the beginning, as Excel writes it": b"\xef\xbb\xbf" + COMMA.encode(),
    "semicolons, as in Germany": 'text;answer\nLook out!;小心!\nhot;cold\na, b;"say ""x"""\n',
    "tabs": 'text\tanswer\nLook out!\t小心!\nhot\tcold\na, b\t"say ""x"""\n',
    "Excel's Unicode text": 'text\tanswer\r\nLook out!\t小心!\r\nhot\tcold\r\na, b\t"say ""x"""\r\n'.encode("utf-16"),
    "capitals and spaces in the first row": COMMA.replace("text,answer", " Text , ANSWER "),
    "the other way round": 'answer,text\n小心!,Look out!\ncold,hot\n"say ""x""","a, b"\n',
    "further columns": 'n,text,answer,note\n1,Look out!,小心!,\n2,hot,cold,old\n3,"a, b","say ""x""",\n',
    "spaces around cells": 'text,answer\n  Look out! ,小心! \nhot, cold\n"a, b ","say ""x"""\n',
    "empty rows, as under a table": COMMA + ",\n\n,\n",
    "everything in quotes": '"text","answer"\n"Look out!","小心!"\n"hot","cold"\n"a, b","say ""x"""\n',
    "what Excel says of its separator": "sep=;\n" + 'text;answer\nLook out!;小心!\nhot;cold\na, b;"say ""x"""\n',
}


@pytest.mark.parametrize("kind", SAME)
def test_the_same_table_is_read_however_a_spreadsheet_writes_it(kind, tmp_path):
    assert texts(written(tmp_path, SAME[kind])) == ROWS


def test_an_answer_of_several_lines_is_one_answer(tmp_path):
    assert texts(written(tmp_path, 'text,answer\nhot,"cold\nice"\n')) == [("hot", "cold\nice")]


def test_a_line_separator_of_unicode_ends_no_row(tmp_path):
    assert texts(written(tmp_path, "text,answer\nhot\u2028warm,cold\n")) == [("hot\u2028warm", "cold")]


def test_a_pair_that_comes_twice_counts_once(tmp_path):
    path = written(tmp_path, "text,answer\nhot,cold\nbig,small\nhot,cold\n")
    assert texts(path) == [("hot", "cold"), ("big", "small")]


REFUSED = {
    "an empty answer": ("text,answer\nhot,cold\nbig,\n", "line 3: the answer is empty"),
    "a cell of spaces": ("text,answer\n  ,cold\n", "line 2: the text is empty"),
    "one column": ("text\nhot\n", "a first row with the names text and answer; got 'text'"),
    "no first row of names": ("hot,cold\nbig,small\n", "a first row with the names text and answer; got 'hot,cold'"),
    "a name twice": ("text,answer,answer\nhot,cold,x\n", "the name answer twice"),
    "a comma without quotes": ("text,answer\nhot,cold\na, b,c\n", "line 3: 3 cells where the first row has 2"),
    "a row cut short": ("text,answer\nhot\n", "line 2: 1 cell where the first row has 2"),
    "one text with two answers": (
        "text,answer\nhot,cold\nbig,small\nhot,cool\n",
        "line 4: 'hot' has the answer 'cool', and in line 2 'cold'",
    ),
    "a quote that never closes": ('text,answer\nhot,"cold\nbig,small\n', "line 2: "),
    "nothing": ("", "is empty"),
    "another alphabet's bytes": ("text,answer\ngrün,vert\n".encode("latin-1"), "not text in UTF-8"),
    "a workbook": (b"PK\x03\x04" + bytes(40), "a workbook"),
    "a picture": (b"\x89PNG\r\n\x1a\n" + bytes(40), "not text in UTF-8"),
    "bytes of nothing": (b"text,answer\nhot,co\0ld\n", "line 2"),
}


@pytest.mark.parametrize("kind", REFUSED)
def test_what_is_no_table_of_pairs_is_refused_with_its_line_and_a_remedy(kind, tmp_path):
    data, said = REFUSED[kind]
    with pytest.raises(ValueError) as refused:
        read_pairs(written(tmp_path, data))
    assert "pairs.csv" in str(refused.value) and said in str(refused.value) and "export it" in str(refused.value)


def test_all_faults_are_told_at_once_but_not_thousands_of_them(tmp_path):
    with pytest.raises(ValueError) as refused:
        read_pairs(written(tmp_path, "text,answer\n" + "a,\n" * 100))
    assert "line 2" in str(refused.value) and "line 6" in str(refused.value) and "95 more" in str(refused.value)


def test_a_file_that_is_not_there_and_a_folder_are_told_so(tmp_path):
    with pytest.raises(FileNotFoundError):
        read_pairs(tmp_path / "no.csv")
    with pytest.raises(ValueError, match="no regular file"):
        read_pairs(tmp_path)


def pairs(count: int, groups: int | None = None) -> list[OwnPair]:
    return [OwnPair(f"text {n}", f"answer {n}", f"g{n % groups}" if groups else f"text {n}") for n in range(count)]


def test_no_pair_is_in_two_parts_and_none_is_lost():
    parts = split(pairs(100), seed=0)
    held = [*parts.train, *parts.validation, *parts.test]
    assert (
        sorted(held, key=str) == sorted(pairs(100), key=str) and len(parts.test) == 20 and len(parts.validation) == 10
    )


def test_the_seed_alone_decides_who_is_held_back_and_not_the_order_of_rows():
    assert {*split(pairs(100), 0).test} == {*split(pairs(100)[::-1], 0).test} != {*split(pairs(100), 1).test}


def test_pairs_of_one_group_stay_together():
    parts = split(pairs(100, groups=20), seed=0)
    for one, other in ("train", "test"), ("train", "validation"), ("test", "validation"):
        assert not {pair.group for pair in getattr(parts, one)} & {pair.group for pair in getattr(parts, other)}


def test_too_few_pairs_are_refused(tmp_path):
    with pytest.raises(ValueError, match=r"at least 10 pairs.*got 0"):
        split(read_pairs(written(tmp_path, "text,answer\n")), seed=0)
    with pytest.raises(ValueError, match="at least 10"):
        split(pairs(9), seed=0)
    parts = split(pairs(10), seed=0)
    assert len(parts.train) >= 5 and parts.validation and parts.test

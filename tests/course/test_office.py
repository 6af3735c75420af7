"""course.toml, the roster, whose a submission is, and what being late costs, case by case."""

import re
from dataclasses import replace
from datetime import datetime
from pathlib import Path

import pytest

from minitransformer.course import catalogue
from minitransformer.course.office.gradebook import (
    Graded,
    Override,
    as_table,
    combine,
    last_first,
    read_graded,
    read_overrides,
)
from minitransformer.course.office.roster import Roster, Student, read_roster
from minitransformer.course.office.settings import read_course


def course(folder: Path, text: str = ""):
    (folder / "course.toml").write_text(text, encoding="utf-8")
    return read_course(folder / "course.toml")


def test_an_empty_file_is_a_course_of_all_lessons(tmp_path):
    found = course(tmp_path)
    assert [*found.lessons] == [*catalogue.lessons()] and {each.weight for each in found.lessons.values()} == {1.0}
    assert found.roster == tmp_path / "students.csv" and found.late.lost_per_day == 0
    assert found.lessons[2].worth == 22


WRONG = {
    "a misspelled key": ("title = 'x'\n[late]\nfree_dais = 2\n", "line 3", "did you mean 'free_days'?"),
    "a misspelled table": ("[roster]\nfile = 'a.csv'\n[lates]\n", "line 3", "did you mean 'late'?"),
    "a lesson that is none": ("[lessons.2]\n\n[lessons.12]\n", "line 3", "the lessons are 1, 2, 3"),
    "a date without a time": ("[lessons.2]\nweight = 1\ndue = 2026-11-20\n", "line 3", "2026-11-20T23:59:00"),
    "a date as a text": ('[lessons.2]\ndue = "tomorrow"\n', "line 2", "due should be a date and time"),
    "a weight of nothing": ("[lessons.3]\nweight = 0\n", "line 2", "a number above 0; got 0"),
    "a weight that is true": ("[lessons.3]\nweight = true\n", "line 2", "a number above 0"),
    "a share above one": ("[late]\nlost_per_day = 10\n", "line 2", "a share from 0 to 1; got 10"),
    "half a day": ("[late]\nfree_days = 0.5\n", "line 2", "a whole number of days"),
    "an item of another lesson": ('[lessons.2]\n\nskip = ["3.1"]\n', "line 3", "lesson 2 has no '3.1'"),
    "points of nothing": ('[lessons.2]\npoints = { "2.99" = 1 }\n', "line 2", "lesson 2 has no '2.99'"),
    "a dotted key": ("[lessons]\n2.weight = -1\n", "line 2", "weight should be a number above 0"),
    "an unknown zone": ('title = "x"\ntimezone = "Mars/Base"\n', "line 2", "no time zone 'Mars/Base'"),
    "other attempts": ('attempts = "first"\n', "line 1", "'last' or 'best'"),
    "no TOML": ("title = \n", "line 1", "no TOML"),
    "a lesson that is a number": ("lessons = { 2 = 1.0 }\n", "line 1", "expected a table, [lessons.2]"),
}


@pytest.mark.parametrize("kind", WRONG)
def test_what_course_toml_cannot_mean_is_refused_with_its_line(kind, tmp_path):
    text, line, said = WRONG[kind]
    with pytest.raises(ValueError) as refused:
        course(tmp_path, text)
    assert line in str(refused.value) and said in str(refused.value) and "course.toml" in str(refused.value)


ANNA, ANN = Student("s1", "Anna Lee", "anna.lee@uni.example", "alee"), Student("s2", "Ann Alee", canvas="777")
JOSE, LEE2 = Student("1234567", "José Álvarez Gómez", "jose@uni.example"), Student("s4", "Lee Anna", moodle="4242")
OLE = Student("s5", "Ole Strauß-Łódzki")
PEOPLE = Roster([ANNA, ANN, JOSE, OLE], {"weird file": "s2"})
MEANT = {
    "Anna Lee 12345": ANNA,  # Moodle
    "anna lee": ANNA,
    "moodle/Anna Lee 4000000": ANNA,
    "Lee, Anna": ANNA,
    "leeanna 5551": ANNA,  # Canvas
    "anna.lee@uni.example": ANNA,
    "anna.lee": ANNA,
    "ALEE": ANNA,  # Blackboard's login
    "alee": ANNA,
    "s1": ANNA,
    "S1_lesson_02": ANNA,
    "lesson2 s1": ANNA,
    "aleeann 777": ANN,
    "somebody 777": ANN,  # a new name, and the number of the roster
    "weird file": ANN,
    "alvarezgomezjose 99123": JOSE,
    "Jose Alvarez Gomez 1111": JOSE,
    "1234567": JOSE,
    "José Álvarez Gómez": JOSE,  # accents written apart
    "Anna Lee 12345 again": ANNA,
    "strausslodzkiole 4567": OLE,
}


@pytest.mark.parametrize("name", MEANT)
def test_a_submission_is_the_students_that_its_name_means(name):
    assert PEOPLE.whose(name) == MEANT[name]


@pytest.mark.parametrize("name", ["lesson_02", "", "Anna", "annalees", "s11", "Anna Leed 1234", "777"])
def test_a_name_that_means_nobody_is_not_guessed(name):
    with pytest.raises(ValueError):
        PEOPLE.whose(name)


def test_two_students_of_one_name_are_told_apart_by_a_number_or_not_at_all():
    people = Roster([ANNA, LEE2, Student("s6", "Anna Lee")])
    assert people.whose("Anna Lee 4242") == LEE2
    with pytest.raises(ValueError, match="s1 or s4 or s6"):
        people.whose("Anna Lee 999")
    with pytest.raises(ValueError, match="it may be"):
        people.whose("Anna Lee")


def test_a_name_and_a_number_of_different_students_mean_nobody():
    with pytest.raises(ValueError, match="s1 or s2"):
        PEOPLE.whose("Anna Lee 777")


def test_who_handed_in_nothing_is_named():
    assert PEOPLE.absent(["Anna Lee 12345", "weird file", "a stranger"]) == ["José Álvarez Gómez", "Ole Strauß-Łódzki"]


def test_a_roster_tells_its_faults_with_their_lines(tmp_path):
    path = tmp_path / "students.csv"
    path.write_text("id,name\ns1,Anna\n,Ben\ns1,Eva\n", encoding="utf-8")
    with pytest.raises(ValueError) as refused:
        read_roster(path)
    assert "line 3: the id is empty" in str(refused.value) and "line 4: the id s1 stands in line 2" in str(
        refused.value
    )
    path.write_text("id;Name;E-Mail\ns1;Anna;a@b\n", encoding="utf-8")
    assert read_roster(path).students["s1"].name == "Anna"
    with pytest.raises(ValueError, match="no student 's9'"):
        read_roster(path, {"odd": "s9"})


DUE = "[lessons.2]\ndue = 2026-11-06T12:00:00\n"
FULL = dict.fromkeys(["2.1", "2.2", "2.3"], 1.0)


def points(folder, text: str, *graded: Graded, who: str = "s1") -> tuple[float, list[str]]:
    book = combine(course(folder, text), PEOPLE, graded, {})
    mark = book.marks[who][2]
    return mark.points, mark.notes


def handed_in(when: str | None, late: bool = False, shares=FULL, problem: str = "", name: str = "s1") -> Graded:
    return Graded(name, 2, shares, problem, when and datetime.fromisoformat(when), late)


def test_being_late_is_counted_in_days_begun(tmp_path):
    late = DUE + "[late]\nlost_per_day = 0.2\n"
    whole, _ = points(tmp_path, DUE, handed_in("2026-11-06T12:00:00"))
    assert whole > 0
    for when, lost in (
        ("2026-11-06T12:00:00", 0),
        ("2026-11-06T12:00:01", 0.2),
        ("2026-11-07T12:00:00", 0.2),
        ("2026-11-07T12:00:01", 0.4),
        ("2026-11-30T00:00:00", 1),
        (None, 0),
    ):
        assert points(tmp_path, late, handed_in(when))[0] == pytest.approx(whole * (1 - lost), abs=0.01), when


def test_who_is_called_late_without_a_time_is_a_day_late(tmp_path):
    earned, notes = points(tmp_path, DUE + "[late]\nlost_per_day = 0.5\n", handed_in(None, late=True))
    assert earned == pytest.approx(points(tmp_path, DUE, handed_in(None))[0] / 2) and "does not say" in notes[0]


def test_due_times_are_those_of_the_courses_time_zone(tmp_path):
    text = 'timezone = "Europe/Berlin"\n[lessons.2]\ndue = 2026-11-06T11:30:00Z\n[late]\nlost_per_day = 0.5\n'
    assert not points(tmp_path, text, handed_in("2026-11-06T12:29:00"))[1]  # 12:30 in Berlin
    assert points(tmp_path, text, handed_in("2026-11-06T12:31:00"))[1]


def test_of_several_attempts_the_last_or_the_best_counts(tmp_path):
    good, later = handed_in("2026-11-01T00:00:00"), handed_in("2026-11-02T00:00:00", shares={"2.1": 0.5})
    broken = handed_in("2026-11-03T00:00:00", problem="a broken zip")
    last, _ = points(tmp_path, DUE, later, broken, good)
    best, _ = points(tmp_path, 'attempts = "best"\n' + DUE, later, broken, good)
    assert 0 < last < best == points(tmp_path, DUE, good)[0]
    assert points(tmp_path, DUE, broken) == (0.0, ["a broken zip"])


def test_times_with_and_without_a_zone_are_compared_in_the_course_s_own(tmp_path):
    zone, whole = 'timezone = "America/New_York"\n', points(tmp_path, DUE, handed_in(None))[0]
    first, second = handed_in("2026-11-01T12:00:00+00:00", shares={}), handed_in("2026-11-01T08:00:00")  # 13:00 there
    assert points(tmp_path, zone + DUE, second, first)[0] == points(tmp_path, zone + DUE, first, second)[0] == whole
    assert points(tmp_path, zone + DUE, handed_in(None, shares={}), second)[0] == whole


def test_free_days_are_used_in_the_order_of_the_due_times(tmp_path):
    text = "[late]\nfree_days = 1\nlost_per_day = 0.5\n[lessons.3]\ndue = 2026-11-01T12:00:00\n" + DUE
    third = Graded("s1", 3, {"3.1": 1.0}, when=datetime(2026, 11, 2, 10))
    book = combine(course(tmp_path, text), PEOPLE, [handed_in("2026-11-07T10:00:00"), third], {})
    assert "1 of them free" in book.marks["s1"][3].notes[0] and "50% lost" in book.marks["s1"][2].notes[0]


def test_other_points_and_items_left_out_change_what_a_lesson_is_worth(tmp_path):
    found = course(tmp_path, '[lessons.2]\nskip = ["2.1"]\npoints = { "2.2" = 10, "2.3" = 0 }\n').lessons[2]
    plain = course(tmp_path, "").lessons[2]
    own = {name: points for name, (_, points) in plain.items.items()}
    assert found.worth == plain.worth - own["2.1"] - own["2.2"] - own["2.3"] + 10
    assert "2.1" not in found.items and "2.3" not in found.items


def test_marks_changed_by_hand_tell_their_faults(tmp_path):
    path, about = tmp_path / "overrides.csv", course(tmp_path, '[lessons.2]\nskip = ["2.2"]\n')
    head = "student,lesson,item,points,who,why\n"
    for line, said in (
        ("s9,2,2.1,1,me,so", "no student 's9'"),
        ("s1,3,3.1,1,me,so", "no item '3.1'"),
        ("s1,2,2.2,1,me,so", "no item '2.2'"),
        ("s1,2,2.1,99,me,so", "from 0 to"),
        ("s1,2,2.1,nan,me,so", "from 0 to"),
        ("s1,2,2.1,,me,so", "from 0 to"),
        ("s1,2,2.1,1,me,", "why is empty"),
        ("s1,2,2.1,1,,so", "who is empty"),
    ):
        path.write_text(head + line + "\n", encoding="utf-8")
        with pytest.raises(ValueError, match="line 2") as refused:
            read_overrides(path, about, PEOPLE)
        assert said in str(refused.value)
    path.unlink()
    assert read_overrides(path, about, PEOPLE) == {}


def test_who_handed_in_nothing_can_be_given_points_by_hand(tmp_path):
    (tmp_path / "overrides.csv").write_text("student,lesson,item,points,who,why\ns1,2,2.1,1,me,oral exam\n")
    about = course(tmp_path, "[lessons.2]\n")
    book = combine(about, PEOPLE, [], read_overrides(tmp_path / "overrides.csv", about, PEOPLE))
    assert book.marks["s1"][2].points == 1 and book.marks["s1"][2].notes == [
        "not handed in",
        "2.1: 1 by me (oral exam)",
    ]


@pytest.mark.parametrize("data", ["", "{}", "[1]", '[{"name": "a", "lesson": 2, "tests": [{"id": "2.1"}]}]', "[[]]"])
def test_damaged_results_are_told_so(data, tmp_path):
    (tmp_path / "results.json").write_text(data)
    with pytest.raises(ValueError, match=r"results.json.*grade"):
        read_graded(tmp_path)


def test_a_lesson_that_nobody_graded_yet_is_no_part_of_the_book(tmp_path):
    book = combine(course(tmp_path, "[lessons.2]\n[lessons.3]\n"), PEOPLE, [handed_in(None)], {})
    assert [*book.course.lessons] == [*book.marks["s1"]] == [2] and book.percent("s1") > book.percent("s2") == 0
    assert as_table(book)[0] == ["id", "name", "email", "lesson 2", "percent", "notes"]
    assert combine(course(tmp_path), PEOPLE, [], {}).percent("s1") == 0


def test_a_name_is_written_as_canvas_sorts_it():
    assert [last_first(Student("x", name)) for name in ("Anna Lee", "Lee, Anna", "Anna", "")] == [
        "Lee, Anna", "Lee, Anna", "Anna", "x",
    ]  # fmt: skip


def test_the_page_shows_a_course_that_can_be_read(tmp_path):
    page = (Path(__file__).parents[2] / "lessons" / "COURSE.md").read_text(encoding="utf-8")
    found = course(tmp_path, re.search(r"```toml\n(.*?)```", page, re.DOTALL)[1])
    assert [*found.lessons] == [2, 3] and found.late.free_days == 3 and found.lessons[2].skip == ("2.q5",)
    (tmp_path / "students.csv").write_text("id,name\ns1004,Anna Lee\n", encoding="utf-8")
    (tmp_path / "overrides.csv").write_text(re.search(r"```csv\n(.*?)```", page, re.DOTALL)[1], encoding="utf-8")
    people = read_roster(found.roster, found.names)
    assert [*read_overrides(found.overrides, found, people)] == [("s1004", 2)]
    assert people.whose("homework final").id == people.whose("s1004_lesson2").id == "s1004"


TWO = [ANNA._replace(team="blue"), ANN._replace(team="blue"), JOSE._replace(team="red"), OLE]


def test_what_one_of_a_team_hands_in_is_every_one_s(tmp_path):
    text = DUE + "extensions = { s2 = 2026-11-08T12:00:00 }\n[late]\nlost_per_day = 0.5\n"
    about, late = course(tmp_path, text), handed_in("2026-11-07T10:00:00")
    marks = combine(about, Roster(TWO), [late], {("s1", 2): {"2.1": Override(0, "me", "oral exam")}}).marks
    whole = combine(about, Roster(TWO), [handed_in(None)], {}).marks["s1"][2].points
    assert marks["s2"][2].points == whole and marks["s2"][2].notes == ["handed in by Anna Lee"]  # not late: extended
    assert marks["s1"][2].points < whole / 2 and "oral exam" in marks["s1"][2].notes[1]
    assert marks["1234567"][2].notes == marks["s5"][2].notes == ["not handed in"]


def test_the_last_attempt_of_a_team_counts_whoever_handed_it_in(tmp_path):
    first, later = handed_in("2026-11-01T00:00:00"), handed_in("2026-11-02T00:00:00", shares={}, name="ann alee")
    marks = combine(course(tmp_path, DUE), Roster(TWO), [later, first], {}).marks
    assert marks["s1"][2].points == marks["s2"][2].points == 0
    assert (marks["s1"][2].notes, marks["s2"][2].notes) == (["handed in by Ann Alee"], [])


def test_a_name_that_means_two_of_a_team_means_the_team():
    people = Roster(TWO)
    assert people.whose("s1_s2_lesson2").team == people.whose("Anna Lee 777").team == "blue"
    with pytest.raises(ValueError, match="s1 or s5"):
        people.whose("s1_s5")
    assert people.absent(["s2"]) == ["José Álvarez Gómez", "Ole Strauß-Łódzki"]
    assert [each.id for each in people.team("s5")] == ["s5"]


def answered(*names: str) -> Graded:
    return replace(handed_in(None), answered_as=frozenset(names))


def test_whose_notebook_questions_were_answered_in_is_noted(tmp_path):
    secret, about = b"x" * 32, course(tmp_path, DUE)

    def notes(graded: Graded, secret: bytes = b"", people: Roster = PEOPLE) -> list[str]:
        return combine(about, people, [graded], {}, secret).marks["s1"][2].notes

    assert notes(answered("s1")) == notes(answered("", "anna")) == notes(answered()) == []
    assert notes(answered("s2", "s1")) == ["questions answered in the notebook of Ann Alee"]
    assert notes(answered(ANNA.in_notebook(secret)), secret) == []
    assert notes(answered(ANN.in_notebook(secret)), secret) == ["questions answered in the notebook of Ann Alee"]
    assert notes(answered(ANN.in_notebook(secret)), secret, Roster(TWO)) == []
    assert notes(answered("s2"), secret) == ["questions answered under a name that is nobody's (s2)"]
    assert notes(answered(""), secret) == ["questions answered in a notebook without a name"]


def test_a_name_in_a_notebook_cannot_be_worked_out_without_the_secret():
    names = {each.in_notebook(secret) for each in (ANNA, ANN) for secret in (b"", b"one", b"two")}
    assert len(names) == 6 and ANNA.in_notebook(b"") == "s1" and ANNA.in_notebook(b"one").startswith("s1 ")

"""What every test file shares: one thread, a tiny model whose weights matter, the phrasebook and the shipped base."""

import os
import random
import shutil
import signal
import sys
import tempfile
from pathlib import Path

import pytest
import torch
from hypothesis import settings
from laws import random_model

from minitransformer import Phrasebook, Tokenizer, Transformer, freeze, pretrained
from minitransformer.phrasebook import Sentence
from minitransformer.tokenizer import IGNORED

torch.set_num_threads(int(os.environ.get("OMP_NUM_THREADS", 1)))
settings.register_profile("usual", max_examples=5, derandomize=True, deadline=None, database=None)
settings.register_profile("thorough", max_examples=300, deadline=None, database=None, print_blob=True)
settings.load_profile("usual")
if "GRADING" not in os.environ:  # these shut code in, and take minutes: GRADING=1 runs them
    collect_ignore_glob = ["course/test_grading_class.py", "course/test_grading_hostile.py"]
    if sys.platform != "linux":  # nor can it be shut in
        collect_ignore_glob += ["course/test_grading.py", "course/test_grading_engines.py", "course/test_isolation*.py"]


def pytest_sessionstart(session) -> None:
    session.config.left_before = left_behind()


def pytest_sessionfinish(session) -> None:
    """Folders and control groups of graders are gone when the last test is over."""
    alone = not hasattr(session.config, "workerinput")  # not one of several processes, which end at different times
    if alone and (left := left_behind() - session.config.left_before):
        pytest.exit("the tests have left behind " + ", ".join(map(str, sorted(left))), returncode=1)


def left_behind() -> set[Path]:
    """What a grader makes while it works, and no living process holds."""
    if sys.platform != "linux":
        return set()
    from minitransformer.course.isolation import cgroups, leftovers

    temporary = Path(tempfile.gettempdir())
    places = [temporary, *(place.folder for place in cgroups.places().values())]
    boxes = [folder for place in places for folder in place.glob(f"{leftovers.PREFIX}*") if not held(folder)]
    return {*boxes, *(folder for folder in temporary.glob("course-*") if not held(folder / "lock"))}


def held(path: Path) -> bool:
    """Whether a process has locked it."""
    import fcntl

    try:
        handle = os.open(path, os.O_RDONLY)
    except FileNotFoundError:
        return False
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(handle)
    return False


@pytest.fixture(autouse=True)
def seeded() -> None:
    torch.manual_seed(0)


@pytest.fixture
def model() -> Transformer:
    """Three layers of width 32, four query heads over two key/value heads; float64, so that tolerances can be tight."""
    return random_model()


@pytest.fixture
def frozen(model) -> Transformer:
    return freeze(model)


@pytest.fixture
def tokens(model) -> torch.Tensor:
    return torch.randint(model.config.vocab, (2, 5))


@pytest.fixture
def targets(tokens) -> torch.Tensor:
    """The next token where it counts, nothing where it does not."""
    return torch.cat((torch.full((2, 2), IGNORED), tokens[:, :3]), 1)


@pytest.fixture(scope="session")
def book() -> Phrasebook:
    return Phrasebook()


@pytest.fixture(scope="session")
def tokenizer(book) -> Tokenizer:
    return book.tokenizer()


@pytest.fixture(scope="session")
def base() -> tuple[Transformer, Tokenizer]:
    """Frozen from the start, so that no test finds it as another test left it; who trains it takes a copy."""
    model, tokenizer = pretrained()
    return freeze(model), tokenizer


@pytest.fixture(scope="session")
def world(book) -> list[Sentence]:
    """Thousands of different sentences of every part that has meaning; the set phrases are not among them."""
    rng, sentences = random.Random(0), {}
    for part, count in ("train", 2400), ("validation", 300), ("test", 300), ("unseen", 1000):
        for _ in range(count):
            sentence = book.sentence(rng, part)
            if sentence not in book.phrases:
                sentences[sentence.english] = sentence
    return list(sentences.values())


@pytest.fixture(scope="module")
def browser():
    """A Chromium without a window; only for tests that skip where selenium or chromedriver is missing."""
    from selenium import webdriver

    options = webdriver.ChromeOptions()
    for argument in "--headless=new", "--no-sandbox", "--disable-dev-shm-usage", "--hide-scrollbars", "--lang=en":
        options.add_argument(argument)
    browser = webdriver.Chrome(options=options, service=webdriver.ChromeService(shutil.which("chromedriver")))
    browser.set_script_timeout(120)
    yield browser
    browser.quit()


@pytest.fixture
def heeded():
    """Ctrl-C, even where the tests run in the background, which ignores it and hands that down."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)

"""A class on one server: JupyterHub with the ready configuration, three students, and their marks.

It takes a minute: `-m weekly`. Optional: pip install jupyterhub configurable-http-proxy.
"""

import json
import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path

import nbformat
import psutil
import pytest
import small_class
from nbformat import NotebookNode

from minitransformer.course import catalogue, grading
from minitransformer.course.lesson_text import sources

requests = pytest.importorskip("requests")
websocket = pytest.importorskip("websocket")
ROOT, ENGINES = Path(__file__).parents[2], Path(grading.__file__).parent / "engines"
NOTEBOOK = f"{sources()[2].stem}.ipynb"
pytestmark = [
    pytest.mark.weekly,
    pytest.mark.skipif(
        find_spec("jupyterhub") is None or shutil.which("configurable-http-proxy") is None,
        reason="JupyterHub and its proxy are not installed",
    ),
]
# What a test has instead of a system with accounts and passwords: everybody may log in, and all run as one user.
OTHERWISE = """
load_subconfig({ready!r})
c.JupyterHub.authenticator_class, c.JupyterHub.spawner_class = "dummy", "simple"
c.DummyAuthenticator.password = "open sesame"
c.SimpleLocalProcessSpawner.home_dir_template = {homes!r}
c.Spawner.cmd, c.Spawner.args = [{python!r}, "-m", "jupyterhub.singleuser"], ["--allow-root"]
c.Spawner.start_timeout = c.Spawner.http_timeout = 120
c.JupyterHub.bind_url, c.JupyterHub.hub_port = "http://127.0.0.1:{port}", {hub_port}
c.ConfigurableHTTPProxy.api_url = "http://127.0.0.1:{proxy_port}"
"""

COURSE = """
title = "Soft prompts"

[roster]
file = "students.csv"

[lessons.2]
"""


def command(folder: Path, *words: str | Path) -> str:
    """What a command of ours said, which had to succeed."""
    surroundings = os.environ | {"PYTHONPATH": f"{ROOT}:{os.environ.get('PYTHONPATH', '')}"}
    ended = subprocess.run([sys.executable, *words], cwd=folder, env=surroundings, capture_output=True, text=True)
    if "no safe place to run students' code here" in ended.stderr:
        pytest.skip("no isolation profile that gives grades works on this machine")
    assert ended.returncode == 0, ended.stdout + ended.stderr
    return ended.stdout


def free_ports(count: int) -> list[int]:
    sockets = [socket.socket() for _ in range(count)]
    for each in sockets:
        each.bind(("127.0.0.1", 0))
    ports = [each.getsockname()[1] for each in sockets]
    for each in sockets:
        each.close()
    return ports


@pytest.fixture
def course(tmp_path) -> Path:
    """The course's folder on the server, with what is handed out."""
    folder = tmp_path / "course"
    folder.mkdir()
    (folder / "course.toml").write_text(COURSE, encoding="utf-8")
    (folder / "students.csv").write_text("id,name\nada,Ada\nben,Ben\ncem,Cem\n", encoding="utf-8")
    command(folder, "-m", "minitransformer", "handout", "course.toml", "--out", "handout", "--each")
    return folder


@pytest.fixture
def hub(course, tmp_path) -> Iterator[str]:
    """The address of a hub that runs for this course."""
    port, hub_port, proxy_port = free_ports(3)
    settings = tmp_path / "hub" / "jupyterhub_config.py"
    settings.parent.mkdir()
    ready, homes = str(ENGINES / "jupyterhub_config.py"), str(tmp_path / "homes" / "{username}")
    ports = {"port": port, "hub_port": hub_port, "proxy_port": proxy_port}
    settings.write_text(OTHERWISE.format(ready=ready, homes=homes, python=sys.executable, **ports), encoding="utf-8")
    surroundings = os.environ | {"COURSE": str(course), "PYTHONPATH": f"{ROOT}:{os.environ.get('PYTHONPATH', '')}"}
    surroundings.pop("JPY_SESSION_NAME", None)
    with open(tmp_path / "hub.log", "w") as log:
        hub = subprocess.Popen([sys.executable, "-m", "jupyterhub", "-f", settings], cwd=settings.parent,
                               env=surroundings, stdout=log, stderr=log)  # fmt: skip
        try:
            address = f"http://127.0.0.1:{port}"
            until(lambda: requests.get(f"{address}/hub/login", timeout=5).ok, "the hub", tmp_path)
            yield address
        finally:
            started = psutil.Process(hub.pid).children(recursive=True)
            hub.terminate()
            hub.wait(60)
            for each in psutil.wait_procs(started, 10)[1]:
                each.kill()


def until(holds, what: str, folder: Path, longest: float = 120) -> None:
    end = time.monotonic() + longest
    while time.monotonic() < end:
        try:
            if holds():
                return
        except requests.ConnectionError:
            pass
        time.sleep(0.3)
    raise AssertionError(f"waited in vain for {what}:\n{(folder / 'hub.log').read_text()[-4000:]}")


class Student:
    """A student's browser, which speaks HTTP and a kernel's messages."""

    def __init__(self, hub: str, name: str, folder: Path):
        self.hub, self.name, self.web = hub, name, requests.Session()
        self.server = f"{hub}/user/{name}"
        self.web.get(f"{hub}/hub/login").raise_for_status()
        form = {"username": name, "password": "open sesame", "_xsrf": self.web.cookies["_xsrf"]}
        self.web.post(f"{hub}/hub/login", data=form).raise_for_status()
        self.web.get(f"{hub}/hub/spawn").raise_for_status()
        until(lambda: self.web.get(f"{self.server}/lab").url.startswith(self.server), f"{name}'s server", folder)

    def asks(self, method: str, path: str, **more) -> requests.Response:
        (token,) = (each.value for each in self.web.cookies if each.name == "_xsrf" and self.name in each.path)
        return self.web.request(method, f"{self.server}/api/{path}", headers={"X-XSRFToken": token}, **more)

    def opens(self) -> NotebookNode:
        return nbformat.from_dict(self.asks("GET", f"contents/{NOTEBOOK}").json()["content"])

    def saves(self, book: NotebookNode) -> None:
        body = {"type": "notebook", "format": "json", "content": book}
        assert self.asks("PUT", f"contents/{NOTEBOOK}", json=body).status_code == 200

    @contextmanager
    def kernel(self) -> Iterator:
        """A function that runs a cell in the notebook's kernel, and returns what it showed."""
        about = {"path": NOTEBOOK, "name": NOTEBOOK, "type": "notebook", "kernel": {"name": "python3"}}
        kernel = self.asks("POST", "sessions", json=about).json()["kernel"]["id"]
        address = f"{self.server}/api/kernels/{kernel}/channels".replace("http:", "ws:")
        cookies = "; ".join(f"{each.name}={each.value}" for each in self.web.cookies)
        channel = websocket.create_connection(address, cookie=cookies, timeout=120)

        def run(code: str) -> str:
            content = {"code": code, "silent": False, "store_history": True, "user_expressions": {},
                       "allow_stdin": False, "stop_on_error": False}  # fmt: skip
            header = {"msg_id": os.urandom(8).hex(), "session": "a", "username": self.name, "version": "5.3",
                      "msg_type": "execute_request", "date": "2026-11-06T12:00:00Z"}  # fmt: skip
            message = {"header": header, "parent_header": {}, "metadata": {}, "content": content}
            channel.send(json.dumps(message | {"channel": "shell", "buffers": []}))
            shown = []
            while True:
                got = json.loads(channel.recv())
                if got["parent_header"].get("msg_id") != header["msg_id"]:
                    continue
                kind, content = got["header"]["msg_type"], got["content"]
                if kind == "status" and content["execution_state"] == "idle":
                    return "\n".join(shown)
                shown += [*content.get("traceback", []), content.get("data", {}).get("text/plain", "")]

        try:
            yield run
        finally:
            channel.close()
            self.asks("DELETE", f"kernels/{kernel}")


def run_all(book: NotebookNode, run) -> str:
    """What the cells that earn points, and those they need, show one after the other."""
    return "\n".join(run(cell.source) for cell in small_class.short(book).cells)


def test_a_class_on_one_server_logs_in_does_an_exercise_saves_and_is_graded(hub, course, tmp_path):
    ada, ben, cem = (Student(hub, name, tmp_path) for name in ("ada", "ben", "cem"))
    right = {name: each.for_student("ada").answer for name, each in small_class.QUESTIONS.items()}
    solved = {name: small_class.solved(name) for name in small_class.NAMES}
    book = small_class.filled(ada.opens(), solved, right)
    ada.saves(book)
    with ada.kernel() as run:
        assert run_all(book, run).count("your public checks pass") == 3
    book = small_class.filled(ben.opens(), {"2.1": small_class.wrong("2.1", "not-in-eval-mode")}, {})
    with ben.kernel() as run:
        said = run_all(book, run)
    assert "2 of 4 points" in said and "[not-in-eval-mode]" in said
    ben.saves(book)
    with cem.kernel() as run:  # answers one question, and saves nothing
        mine = catalogue.question("2.q3").for_student("cem").answer
        run("from minitransformer.course import answer, student")
        run("student('cem')")
        assert "right" in run(f"answer('2.q3', {mine!r})").lower()
    assert ben.web.get(f"{hub}/user/ada/api/contents/{NOTEBOOK}").status_code in (403, 404)
    command(tmp_path, ENGINES / "collect.py", course / "students", "2", "collected2")
    command(tmp_path, "-m", "minitransformer", "grade", "collected2", "--lesson", "2", "--out", "graded",
            "--course", course / "course.toml")  # fmt: skip
    rows = json.loads((tmp_path / "graded" / "results.json").read_text(encoding="utf-8"))
    assert {row["name"]: row["earned"] for row in rows} == {"ada": 22, "ben": 2, "cem": 1}
    command(tmp_path, "-m", "minitransformer", "gradebook", course / "course.toml", "graded", "--out", "marks")
    assert "ada" in (tmp_path / "marks" / "gradebook.csv").read_text(encoding="utf-8")

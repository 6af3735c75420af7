"""JupyterHub on one server: each student has a folder, which holds the lessons at the first start, and what is saved
there is handed in.

Copy it into a folder, run `minitransformer handout course.toml --out /srv/course/handout --each`, and start it as root:
jupyterhub -f jupyterhub_config.py. Students log in by their accounts on this system, whose names are their ids in the
roster, in small letters; Authenticator and Spawner may be others. A lesson that is handed out later is there at a
student's next start. COURSE names another folder than /srv/course. collect.py takes in what was saved.
"""

import os
import pwd
from contextlib import suppress
from pathlib import Path

c = get_config()  # noqa: F821  # JupyterHub gives it
course = Path(os.environ.get("COURSE", "/srv/course"))
students = course / "students"
students.mkdir(mode=0o711, exist_ok=True)  # nobody but root can exchange what is in it


def put_lessons(spawner) -> None:
    """A folder that is the student's alone, with every notebook that is not there yet; what is there stays."""
    name = spawner.user.name
    if name in ("", ".", "..") or Path(name).name != name:
        raise ValueError(f"the name {name!r} cannot be that of a folder; expected one such as s1004")
    try:
        user, group = (entry := pwd.getpwnam(name)).pw_uid, entry.pw_gid
    except KeyError:  # no account on this system: a spawner such as SimpleLocalProcessSpawner runs all as one user
        user, group = os.getuid(), os.getgid()
    folder = students / name
    folder.mkdir(mode=0o700, exist_ok=True)
    os.chown(folder, user, group)
    own = course / "handout" / name
    for notebook in sorted((own if own.is_dir() else course / "handout").glob("*.ipynb")):
        with suppress(FileExistsError), open(folder / notebook.name, "xb") as file:  # x follows no link
            file.write(notebook.read_bytes())
            os.fchown(file.fileno(), user, group)


c.Spawner.pre_spawn_hook = put_lessons
c.Spawner.notebook_dir = str(students / "{username}")
c.Spawner.default_url = "/lab"
c.Spawner.environment = {"OMP_NUM_THREADS": "1"}  # a core for each; what is faster alone is slower for a class
c.Authenticator.allow_all = True  # everybody who can log in

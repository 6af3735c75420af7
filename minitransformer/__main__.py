"""`minitransformer`, or `python -m minitransformer`: whatever stops a command, one sentence says so.

The commands stand in `command_line`, what they do in `commands`.
"""

import errno
import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from threading import current_thread, main_thread

NO_MEMORY = "there is not enough memory for this: close other programs, or ask for less"
STOPPED = "stopped: files are written whole or not at all, so nothing is half-written"
NOBODY_READS = "whoever read the output has stopped reading, so this stops, too"


def main(arguments: list[str] | None = None) -> None:
    for stream in sys.stdout, sys.stderr:
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")  # what a terminal cannot show, it shows as \u5c0f
    try:
        with ctrl_c_ends_at_once():
            from .command_line import run
        run(arguments)
        sys.stdout.flush()
    except KeyboardInterrupt as stop:
        forget(stop)
        print(file=sys.stderr)  # behind the ^C, or an unfinished bar
        end(str(stop) or STOPPED, 130)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # what is left in the buffer goes nowhere
        end(NOBODY_READS, 141)
    except OSError as error:
        where = f": {error.filename}" if error.filename else ""
        if error.errno == errno.ENOSPC:
            end(f"the disk is full{where}; make room, and run it again", 1)
        remedy = "; name another path, or change what is there" if error.filename else ""
        end(f"{error.strerror}{where}{remedy}" if error.strerror else str(error), 1)
    except (ValueError, ImportError) as error:
        end(str(error), 1)
    except MemoryError:
        end(NO_MEMORY, 1)
    except RuntimeError as error:  # torch has an error of its own for a GPU only
        if not any(words in str(error) for words in ("not enough memory", "can't allocate memory", "out of memory")):
            raise
        end(NO_MEMORY, 1)


@contextmanager
def ctrl_c_ends_at_once() -> Iterator[None]:
    """Torch takes seconds to import, and swallows a KeyboardInterrupt here and there."""
    heard = signal.getsignal(signal.SIGINT)
    if heard is not signal.default_int_handler or current_thread() is not main_thread():
        yield
        return
    signal.signal(signal.SIGINT, lambda *_: (say(STOPPED), os._exit(130)))
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, heard)


def forget(stop: KeyboardInterrupt) -> None:
    """Let go of what was being made: half a progress bar would print an error at its end."""
    told, sys.unraisablehook = sys.unraisablehook, lambda _: None
    stop.__traceback__ = None
    sys.unraisablehook = told


def end(why: str, code: int) -> None:
    if code == 1:
        sys.exit(f"minitransformer: {why}")
    say(why)
    sys.exit(code)


def say(why: str) -> None:
    print(f"minitransformer: {why}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()

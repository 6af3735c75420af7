"""The built page on one's own machine: any static server shows it, and this is one."""

import functools
import webbrowser
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path


class Handler(SimpleHTTPRequestHandler):
    """Says of each file what it is, whatever the system believes, and nothing to the terminal."""

    extensions_map = SimpleHTTPRequestHandler.extensions_map | {
        ".js": "text/javascript",
        ".mjs": "text/javascript",
        ".wasm": "application/wasm",
    }

    def log_message(self, *_):
        pass


def server(folder: Path, port: int = 0) -> ThreadingHTTPServer:
    """On this machine alone; port 0 is any free one."""
    return ThreadingHTTPServer(("127.0.0.1", port), functools.partial(Handler, directory=str(folder)))


def address(server: ThreadingHTTPServer) -> str:
    return f"http://127.0.0.1:{server.server_port}/"


def serve(listening: ThreadingHTTPServer, show: bool = True) -> None:
    """Until a Ctrl-C."""
    if show:
        webbrowser.open(address(listening))
    with listening:
        listening.serve_forever()

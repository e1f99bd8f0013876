"""``python -m tests.bench.imageserver ADDRESS IMAGE``: gives a deploying server its image over HTTP, hears of its end.

``GET /image`` is the image, ``GET /deployed`` says that it is on the disk. Each is told on standard output, one word a
line, as it is asked for; the first line is the port.
"""

import shutil
import sys
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import ClassVar

ASKED, DEPLOYED = "image", "deployed"


class _Handler(BaseHTTPRequestHandler):
    image: ClassVar[Path]

    def do_GET(self) -> None:
        what = self.path.removeprefix("/")
        if what not in (ASKED, DEPLOYED):
            self.send_error(HTTPStatus.NOT_FOUND)
            return
        print(what, flush=True)
        self.send_response(HTTPStatus.OK)
        size = self.image.stat().st_size if what == ASKED else 0
        self.send_header("Content-Length", str(size))
        self.end_headers()
        if what == ASKED:
            with self.image.open("rb") as source:
                shutil.copyfileobj(source, self.wfile, 1 << 20)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - how http.server names it
        """What is asked for is told on standard output."""


def main() -> None:
    address, image = sys.argv[1:]
    _Handler.image = Path(image)
    with ThreadingHTTPServer((address, 0), _Handler) as server:
        print(server.server_port, flush=True)
        server.serve_forever()


if __name__ == "__main__":
    main()

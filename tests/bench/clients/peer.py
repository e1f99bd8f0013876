"""``python -m tests.bench.clients.peer SOCKET``: a server that costs next to nothing, so that clients are what is seen.

It gives every request the same result, which it reads from standard input as JSON, in the shape of an SPDK target's
reply. Of a request it looks for the id only. One thread serves one connection, with blocking calls.
"""

import re
import socket
import sys
import threading

_READ_BYTES = 256 * 1024
# The character behind tells that the number is whole.
_ID = re.compile(rb'"id"\s*:\s*(\d+)[\s,}]')


def main() -> None:
    result = sys.stdin.buffer.read().strip()
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(sys.argv[1])
        listener.listen()
        while True:
            connection, _ = listener.accept()
            threading.Thread(target=_serve, args=(connection, result), daemon=True).start()


def _serve(connection: socket.socket, result: bytes) -> None:
    unread = b""
    while received := connection.recv(_READ_BYTES):
        replies, unread = answers(unread + received, result)
        connection.sendall(replies)


def answers(received: bytes, result: bytes) -> tuple[bytes, bytes]:
    """The replies to all requests whose id is there, and what is left to look at when more has come."""
    replies, end = bytearray(), 0
    for found in _ID.finditer(received):
        replies += b'{"jsonrpc":"2.0","id":%b,"result":%b}\n' % (found[1], result)
        end = found.end()
    return bytes(replies), received[end:]


if __name__ == "__main__":
    main()

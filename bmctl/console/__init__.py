"""The client's half of the serial console: a websocket to the API server, and a terminal (or a pipe) before it.

Border: ``session`` alone speaks to the server; ``frames`` (RFC 6455) and ``escape`` are pure; ``terminal`` puts the
user's terminal into raw mode, and always back. One loop, one thread: a TLS socket is not for two.
"""

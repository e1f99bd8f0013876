"""What an answer that is none, or a refusal, means to the user. Pure.

A refusal is a ``metav1.Status`` (Kubernetes API conventions, "Response Status Kind") from the API server or bm-api, or
the text of a proxy between us and them.
"""

import json
from typing import Any

from bmctl.connection import ConnectionFailed
from bmctl.errors import (
    BmctlError,
    ConflictError,
    ForbiddenError,
    NotFoundError,
    TimedOutError,
    UnreachableError,
)

Json = dict[str, Any]

_LONGEST_TEXT = 300
_NO_SUCH_API = ("the server could not find the requested resource", "404 page not found")
_NEXT: dict[int, tuple[type[BmctlError], str]] = {
    400: (BmctlError, "Correct the arguments; `bmctl VERB --help` has examples."),
    401: (ForbiddenError, "Renew the credentials in the kubeconfig, or name another --context."),
    403: (ForbiddenError, "Ask an administrator for the right, or name another --context."),
    404: (NotFoundError, "Check the name and the namespace (-n); `bmctl get -A` lists all machines."),
    409: (ConflictError, "Look at `bmctl describe`, and try again when the state allows it."),
    410: (ConflictError, "It changed meanwhile: try again."),
    422: (BmctlError, "Correct what is named above, and try again."),
    429: (UnreachableError, "It has too much to do: try again in a while."),
    503: (UnreachableError, "Try again; if it stays, ask the operator whether bm-api runs."),
    504: (TimedOutError, "What was asked for may yet happen: look at `bmctl describe`, then try again."),
}
_NEXT_OF_SERVERS = {
    404: "Check the name; `bmctl servers` lists those that there are.",
    409: "Look at `bmctl servers`, and try again when the state allows it.",
}
_OTHER = (BmctlError, "Try again; if it stays, look at the API server's log.")


def refused(attempt: str, status: int, body: bytes) -> BmctlError:
    """The error for an HTTP status and the body that came with it."""
    told = _status(body)
    message = str(told.get("message") or "") or _text(body) or f"HTTP {status}"
    kind, next_step = _NEXT.get(status, _OTHER)
    if status == 404 and message.startswith(_NO_SUCH_API):
        message = "this cluster does not serve it"
        next_step = "Ask the operator whether metalplane, with bm-api, is installed (`kubectl get apiservices`)."
    elif _details(told).get("kind") == "servers":
        next_step = _NEXT_OF_SERVERS.get(status, next_step)
    if told.get("reason") == "AlreadyExists":
        next_step = "Choose another name, or look at what is there."
    return kind(attempt, "\n       ".join([message, *_causes(told, message)]), next_step)


def silent(attempt: str, server: str, failed: ConnectionFailed, *, changing: bool) -> BmctlError:
    """The error for a server that did not answer. ``changing``: the request may have been carried out."""
    if changing:
        next_step = "It may have happened all the same: look with `bmctl describe` before trying again."
    elif failed.timed_out:
        next_step = "Try again, or give it longer with --request-timeout."
    else:
        next_step = "Check that the cluster is up and that the kubeconfig names it."
    return UnreachableError(attempt, f"the API server {server} did not answer: {failed}", next_step)


def _status(body: bytes) -> Json:
    try:
        told = json.loads(body)
    except ValueError:
        return {}
    return told if isinstance(told, dict) else {}


def _details(told: Json) -> Json:
    details = told.get("details")
    return details if isinstance(details, dict) else {}


def _text(body: bytes) -> str:
    """The answer of something that is no API server, in one line."""
    return " ".join(body.decode(errors="replace").split())[:_LONGEST_TEXT]


def _causes(told: Json, message: str) -> list[str]:
    """What is wrong with each field, where the message does not tell it already."""
    return [
        f"{cause.get('field') or '-'}: {cause.get('message', '')}"
        for cause in _details(told).get("causes") or ()
        if isinstance(cause, dict) and str(cause.get("message", "")) not in message
    ]

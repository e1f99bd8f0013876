"""What was missed while a watch stream was cut, by an API server that went away or a version that it no longer has.

Such a stream begins anew with a list, and each object in it is told; of an empty list nothing is. So an object that
went meanwhile, as the last of its kind, would stay in the cache until the next full list, and whoever waits for it to
go would wait as long. That a list was taken at all is seen from the stream's own requests: it costs none of ours.
"""

from collections.abc import Callable
from http import HTTPStatus
from types import SimpleNamespace

import aiohttp

from provider.runtime.kubeconfig import ClusterAccess, Credentials


def session_that_tells_lists(
    access: ClusterAccess, credentials: Credentials, listed: Callable[[str], None]
) -> aiohttp.ClientSession:
    """A session for watch streams; ``listed`` is called with the URL's path of each list that it is given."""
    return aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(limit=0, ssl=access.ssl_context(credentials)),
        headers={"Authorization": f"Bearer {credentials.token}"} if credentials.token else {},
        trace_configs=[_tracing(listed)],
    )


def _tracing(listed: Callable[[str], None]) -> aiohttp.TraceConfig:
    async def answered(_: aiohttp.ClientSession, __: SimpleNamespace, answer: aiohttp.TraceRequestEndParams) -> None:
        if answer.response.status == HTTPStatus.OK and "watch" not in answer.url.query:
            listed(answer.url.path)

    tracing = aiohttp.TraceConfig()
    tracing.on_request_end.append(answered)
    return tracing

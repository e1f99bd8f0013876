"""A process whose parts need each other: half of it looks alive and is not, so where one part ends, all end."""

import asyncio
from collections.abc import Coroutine, Mapping
from typing import Any

from provider.runtime.errors import MetalplaneError, TaskEnded


async def together(work: Coroutine[Any, Any, None], beside: Mapping[str, Coroutine[Any, Any, None]]) -> None:
    """Do ``work``; what runs beside it for ever ends with it, and ends it by ending before it.

    Raises what ``work`` raises; an error of ours from beside it as it is; ``TaskEnded`` for any other end there.
    """
    main = asyncio.create_task(work, name="work")
    others = {asyncio.create_task(each, name=name) for name, each in beside.items()}
    try:
        done, _ = await asyncio.wait({main, *others}, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in (main, *others):
            task.cancel()
        await asyncio.gather(main, *others, return_exceptions=True)
    if main in done:
        return main.result()
    ended = done.pop()
    error = ended.exception()
    if isinstance(error, MetalplaneError):
        raise error
    raise TaskEnded("run", subject=f"task {ended.get_name()}", cause="it ended") from error

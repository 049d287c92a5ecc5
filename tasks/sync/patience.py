"""A hiccup costs a moment, not the page. What lasts is left to the next attempt of the whole run."""

import asyncio
import random
from collections.abc import Awaitable, Callable
from typing import TypeVar

from app.connectors.provider.port import ProviderError

TRIES = 6
"""Of three answers in ten that fail, one request in 1,400 is left."""

Answer = TypeVar("Answer")


def may_pass(error: ProviderError) -> bool:
    """Whether it is worth asking again at once. Who was told to wait waits, and holds no worker meanwhile."""
    return error.retryable and error.asked and error.retry_after is None


async def pause(attempt: int) -> None:
    """Longer each time."""
    await asyncio.sleep(random.uniform(0.05, 0.2) * attempt)  # noqa: S311 - spreading load


async def patiently(ask: Callable[[], Awaitable[Answer]]) -> Answer:
    """Asks until there is an answer, or an error that does not pass by itself."""
    for attempt in range(1, TRIES):
        try:
            return await ask()
        except ProviderError as error:
            if not may_pass(error):
                raise
        await pause(attempt)
    return await ask()

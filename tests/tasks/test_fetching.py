"""Files that are fetched at once: a failure leaves nothing running, and nothing that still holds a file."""

import asyncio
from collections.abc import Sequence
from typing import Any
from uuid import uuid4

import pytest

from app.connectors.provider.port import Attachment, Fetched, ProviderError, ProviderErrorCode
from app.core.resources import Resources
from app.core.work import Claim
from tasks.sync.fetching import HANDFUL, collect
from tests.domain.documents.arrivals import incoming


class HalfThrottled:
    """A provider that throttles the first handful while the second is on its way."""

    def __init__(self) -> None:
        self.begun, self.ended = asyncio.Event(), False

    async def fetch_many(self, attachments: Sequence[Attachment]) -> list[Fetched | ProviderError]:
        if len(attachments) == HANDFUL:
            await self.begun.wait()
            return [ProviderError(ProviderErrorCode.THROTTLED, "429", retry_after=1)] * HANDFUL
        self.begun.set()
        try:
            return await asyncio.get_running_loop().create_future()
        finally:
            # What a body lies in is given back in another thread.
            await asyncio.to_thread(bool)
            self.ended = True


async def test_when_one_handful_fails_the_others_have_ended_before_it_is_heard_of(resources: Resources) -> None:
    files = tuple(Attachment(url=f"https://ehr.example.test/Binary/{n}") for n in range(HANDFUL + 1))
    entry = incoming("DocumentReference/1", attachments=files).entry
    claim = Claim(uuid4(), "sync.run", uuid4(), fence=1, attempt=1, max_attempts=3)
    provider: Any = HalfThrottled()
    with pytest.raises(ProviderError, match="429"):
        await collect(resources, claim, provider, [entry])
    assert provider.ended

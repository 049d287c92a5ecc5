"""What stands before a server outside: how fast it may be asked, and whether at all. The contract; see `core/gates.py`."""

from collections.abc import AsyncGenerator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol


class Closed(Exception):
    """Nothing was sent. `seconds` until it is worth asking again; `throttled` where the other side wants to be asked less,
    else it is taken to be out of order."""

    def __init__(self, seconds: float, *, throttled: bool) -> None:
        wanted = "it asked to be left alone" if throttled else "it did not work lately"
        super().__init__(f"not asked at all: {wanted}; again in {seconds:.0f} s")
        self.seconds = seconds
        self.throttled = throttled


class Crowded(Exception):
    """Enough jobs of this process are at the same thing already: the place is for others, for some `seconds`."""

    def __init__(self, what: str, seconds: float = 1.0) -> None:
        super().__init__(what)
        self.what = what
        self.seconds = seconds


class Outcome(StrEnum):
    """What came of a request, as far as the connection is concerned."""

    WELL = "WELL"
    FAILED = "FAILED"
    OVERLOADED = "OVERLOADED"
    THROTTLED = "THROTTLED"


@dataclass(slots=True)
class Passage:
    """A request on its way. Whoever sends it says what came of it; where nobody says a word, nothing is concluded."""

    outcome: Outcome | None = None
    wait: float | None = None
    """Seconds that the other side asked for."""

    def note(self, outcome: Outcome, wait: float | None = None) -> None:
        self.outcome = outcome
        self.wait = wait


class Gate(Protocol):
    """One for each connection. Whoever sends a request passes it first."""

    def passing(self) -> AbstractAsyncContextManager[Passage]:
        """Raises `Closed`, at once; waits only where there is soon room."""
        ...


class AlwaysOpen:
    """Where nobody counts."""

    @asynccontextmanager
    async def passing(self) -> AsyncGenerator[Passage]:
        yield Passage()


OPEN: Gate = AlwaysOpen()

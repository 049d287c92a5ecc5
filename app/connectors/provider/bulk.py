"""What is asked of a provider that exports what it knows of many patients at once: the second half of the port."""

from collections.abc import AsyncGenerator
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Waiting:
    """An export that is not complete. `seconds`: when the provider wants to be asked again, if it says so; `progress` its own
    words."""

    seconds: float | None
    progress: str


@dataclass(frozen=True, slots=True)
class ExportFile:
    """A file of NDJSON. `resource_type` is empty, and `count` None, where the manifest does not say."""

    url: str
    resource_type: str
    count: int | None


@dataclass(frozen=True, slots=True)
class Manifest:
    """A complete export: everything up to `transaction_time` on the provider's clock. `output` holds resources, `deleted` Bundles
    that name deleted ones, `errors` OperationOutcomes. `partial` where it goes on elsewhere, for which nobody has asked."""

    transaction_time: datetime
    requires_token: bool
    output: tuple[ExportFile, ...]
    deleted: tuple[ExportFile, ...]
    errors: tuple[ExportFile, ...]
    partial: bool


@dataclass(frozen=True, slots=True)
class Line:
    """A line of an export's file, counted from 1; `data` is None where it is longer than we take."""

    number: int
    data: bytes | None = field(repr=False)


class BulkProvider(Protocol):
    """A provider that exports what it knows of many patients at once (HL7 Bulk Data Access). Every method raises `ProviderError`
    and nothing else."""

    async def export_start(self, group_id: str, since: datetime | None) -> str:
        """Asks for the documents of a group's patients, or of all where `group_id` is empty; with `since`, for what has
        changed. The address to ask how it stands."""
        ...

    async def export_status(self, address: str) -> Waiting | Manifest:
        """`NOT_FOUND` or `GONE` where the provider has forgotten the export."""
        ...

    def export_lines(self, url: str, *, token: bool) -> AsyncGenerator[Line]:
        """The lines of a file, without empty ones. It is fetched whole before the first one comes, to the disk. `token`: whether
        the file is kept behind our credentials; another origin never gets them."""
        ...

    async def export_cancel(self, address: str) -> None:
        """The export is not needed any more; one that is forgotten already is cancelled."""
        ...

"""A large file that came as a FHIR Binary: base64 in JSON, turned into the file that it holds."""

import base64
import mmap
from collections.abc import Callable

import msgspec

from app.connectors.provider.fhir.mapping import Unfit, line
from app.core.spool import BLOCK, Spool, Spooled

# The longest escape in a JSON string: `\u002b`.
_ESCAPE = 6


class Wrapped(msgspec.Struct, rename="camel"):
    """R4 2.31: a Binary whose data is left as it stands."""

    resource_type: str | None = None
    content_type: str | None = None
    data: msgspec.Raw = msgspec.Raw(b"null")


def unwrap(packed: Spooled, spool: Spool) -> tuple[Spooled, str] | None:
    """The file and its declared type; None for JSON that is another document. Raises `Unfit` where the data is not base64,
    ValueError or RecursionError for what is not JSON. Both stay on the disk: the JSON is mapped, the file written in blocks."""
    with packed.path.open("rb") as file:
        # Not closed here but with the last view of it, which an error may hold for a while.
        body = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
    found = msgspec.json.decode(body, type=Wrapped)
    if found.resource_type != "Binary":
        return None
    sink = spool.sink()
    try:
        _decode(memoryview(found.data), sink.write)
    except BaseException:
        sink.discard()
        raise
    return sink.done(), line(found.content_type)


def _decode(text: memoryview, write: Callable[[bytes], None]) -> None:
    """A JSON string of base64, block by block. R4 allows white space in it, JSON any escape (`\\/` is common)."""
    if bytes(text[:1]) == b"n":
        return  # null
    if bytes(text[:1]) != b'"':
        raise Unfit("data that is not text")
    text, rest, padded = text[1:-1], b"", False
    while text:
        cut = _cut(text)
        try:
            said = msgspec.json.decode(b'"%b"' % text[:cut], type=str)
            rest += "".join(said.split()).encode("ascii")
            whole = len(rest) - len(rest) % 4
            write(base64.b64decode(rest[:whole], validate=True))
        except ValueError as error:
            raise Unfit("data that is not base64") from error
        if padded and whole:
            raise Unfit("data that goes on after its end")
        padded = padded or rest[:whole].endswith(b"=")
        text, rest = text[cut:], rest[whole:]
    if rest:
        raise Unfit("data that is not base64")


def _cut(text: memoryview) -> int:
    """Where a block ends, so that no escape is torn apart."""
    if len(text) <= BLOCK:
        return len(text)
    found = bytes(text[BLOCK - _ESCAPE : BLOCK]).rfind(b"\\")
    return BLOCK if found < 0 else BLOCK - _ESCAPE + found

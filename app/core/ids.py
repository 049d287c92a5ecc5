"""UUIDv7 (RFC 9562, 5.7): ids that sort by the time of their making. PostgreSQL makes them too; here they are made where
many rows are written at once and their ids are needed before."""

import os
import time
from uuid import UUID


def uuid7() -> UUID:
    milliseconds = time.time_ns() // 1_000_000
    random = int.from_bytes(os.urandom(10))
    value = (
        (milliseconds & (1 << 48) - 1) << 80 | 7 << 76 | (random >> 68 & 0xFFF) << 64 | 2 << 62 | random & (1 << 62) - 1
    )
    return UUID(int=value)

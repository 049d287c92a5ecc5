"""The process behind `Reader`: files in, readings out, one after the other, until standard input closes."""

import os
import resource
import signal
import sys
from pathlib import Path
from typing import BinaryIO

import msgspec

from app.core.reading import read

INLINE, NAMED = b"D", b"F"
"""What a question carries: the bytes themselves, or the name of a file that holds them."""
MEMORY = 1024 * 1024 * 1024
SECONDS = 30
"""Of one file. The asker gives up before; this is for when it is no longer there."""


def main(asked: BinaryIO, answers: BinaryIO) -> None:
    while head := asked.read(13):
        declared = asked.read(int.from_bytes(head[1:5])).decode()
        data = asked.read(int.from_bytes(head[5:]))
        signal.alarm(SECONDS)
        if head[:1] == NAMED:
            data = Path(os.fsdecode(data)).read_bytes()
        answer = msgspec.msgpack.encode(read(data, declared))
        signal.alarm(0)
        answers.write(len(answer).to_bytes(4) + answer)
        answers.flush()


if __name__ == "__main__":
    # Ctrl-C is for who asked: this process ends with its input.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    # Logs go to standard output too where nobody says otherwise: what is printed must not be taken for an answer.
    channel = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    main(sys.stdin.buffer, channel)

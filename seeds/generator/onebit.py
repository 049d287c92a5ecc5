"""Black-and-white PNG whose bytes depend on nothing but the pixels.

Pillow compresses with whatever zlib it was built with, and their outputs differ. This encoder knows a single kind of
match, the run of one byte, in one block of fixed Huffman codes (RFC 1951, 3.2.6): enough for paper that is mostly white.
"""

import re
import struct
import zlib

from PIL import Image

_RUN = re.compile(rb"(.)\1{3,257}", re.DOTALL)
_SIGNATURE = b"\x89PNG\r\n\x1a\n"


def _literal(value: int) -> str:
    return f"{0x30 + value:08b}" if value < 144 else f"{0x190 + value - 144:09b}"


def _length_codes() -> list[tuple[int, int, int]]:
    """(code, extra bits, first length) for the lengths 3 to 258."""
    codes: list[tuple[int, int, int]] = []
    start = 3
    for index in range(28):
        extra = 0 if index < 8 else index // 4 - 1
        codes.append((257 + index, extra, start))
        start += 1 << extra
    codes.append((285, 0, 258))
    return codes


def _match(length: int) -> str:
    """The bits of «repeat the last byte `length` times»; extra bits stand with the lowest first, distance 1 is code 0."""
    code, extra, start = [entry for entry in _length_codes() if entry[2] <= length][-1]
    symbol = f"{code - 256:07b}" if code < 280 else f"{0xC0 + code - 280:08b}"
    rest = f"{length - start:0{extra}b}"[::-1] if extra else ""
    return symbol + rest + "00000"


_LITERALS = [_literal(value) for value in range(256)]
_MATCHES = ["", "", "", *(_match(length) for length in range(3, 259))]


def deflate(data: bytes) -> bytes:
    """`data` as one raw deflate block."""
    bits = ["110"]
    position = 0
    for run in _RUN.finditer(data):
        bits.extend(_LITERALS[value] for value in data[position : run.start() + 1])
        bits.append(_MATCHES[run.end() - run.start() - 1])
        position = run.end()
    bits.extend(_LITERALS[value] for value in data[position:])
    bits.append("0000000")
    stream = "".join(bits)
    return int(stream[::-1], 2).to_bytes((len(stream) + 7) // 8, "little")


def _chunk(name: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))


def encode(image: Image.Image) -> bytes:
    """A PNG of one bit a pixel at 100 dots an inch, without a timestamp. `image` has mode `1`."""
    width, height = image.size
    stride = (width + 7) // 8
    pixels = image.tobytes()
    rows = b"".join(b"\0" + pixels[top : top + stride] for top in range(0, stride * height, stride))
    packed = b"\x78\x01" + deflate(rows) + struct.pack(">I", zlib.adler32(rows))
    header = struct.pack(">IIBBBBB", width, height, 1, 0, 0, 0, 0)
    resolution = struct.pack(">IIB", 3937, 3937, 1)
    chunks = ((b"IHDR", header), (b"pHYs", resolution), (b"IDAT", packed), (b"IEND", b""))
    return _SIGNATURE + b"".join(_chunk(name, data) for name, data in chunks)

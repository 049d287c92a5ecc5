"""Connections that read only when they are asked to. A transport of asyncio's reads ahead on its own: by the time that it
can be told to pause, uvloop's has taken some megabytes of a large answer into memory."""

import asyncio
import select
import socket
import ssl
from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager
from typing import Any

import anyio
import httpcore
from anyio.abc import ByteStream
from anyio.streams.tls import TLSAttribute, TLSStream

BROKEN = (OSError, anyio.BrokenResourceError, anyio.ClosedResourceError)


async def open_socket(address: str, port: int, seconds: float | None) -> httpcore.AsyncNetworkStream:
    """A connection to an IP address. Raises `httpcore.ConnectTimeout` and `httpcore.ConnectError`."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with _told(httpcore.ConnectTimeout, httpcore.ConnectError):
        raw = socket.socket(family, socket.SOCK_STREAM)
        try:
            raw.setblocking(False)
            raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            async with asyncio.timeout(seconds):
                await asyncio.get_running_loop().sock_connect(raw, (address, port))
        except BaseException:
            raw.close()
            raise
    return SocketStream(raw, RawStream(raw))


class RawStream(ByteStream):
    """A socket as anyio's TLS wants it."""

    def __init__(self, raw: socket.socket) -> None:
        self._raw = raw

    async def receive(self, max_bytes: int = 65536) -> bytes:
        data = await asyncio.get_running_loop().sock_recv(self._raw, max_bytes)
        if not data:
            raise anyio.EndOfStream
        return data

    async def send(self, item: bytes) -> None:
        await asyncio.get_running_loop().sock_sendall(self._raw, item)

    async def send_eof(self) -> None:
        self._raw.shutdown(socket.SHUT_WR)

    async def aclose(self) -> None:
        self._raw.close()

    @property
    def extra_attributes(self) -> Mapping[Any, Callable[[], Any]]:
        return {}


class SocketStream(httpcore.AsyncNetworkStream):
    """httpcore's view of a connection, with TLS or without."""

    def __init__(self, raw: socket.socket, stream: ByteStream) -> None:
        self._raw = raw
        self._stream = stream

    async def read(self, max_bytes: int, timeout: float | None = None) -> bytes:  # noqa: ASYNC109 - httpcore's signature
        with _told(httpcore.ReadTimeout, httpcore.ReadError):
            async with asyncio.timeout(timeout):
                try:
                    return await self._stream.receive(max_bytes)
                except anyio.EndOfStream:
                    return b""

    async def write(self, buffer: bytes, timeout: float | None = None) -> None:  # noqa: ASYNC109 - the same
        if not buffer:
            return
        with _told(httpcore.WriteTimeout, httpcore.WriteError):
            async with asyncio.timeout(timeout):
                await self._stream.send(buffer)

    async def aclose(self) -> None:
        # Without a farewell: whoever is left for being slow would be slow to take it.
        self._raw.close()

    async def start_tls(
        self,
        ssl_context: ssl.SSLContext,
        server_hostname: str | None = None,
        timeout: float | None = None,  # noqa: ASYNC109 - the same
    ) -> httpcore.AsyncNetworkStream:
        with _told(httpcore.ConnectTimeout, httpcore.ConnectError):
            try:
                async with asyncio.timeout(timeout):
                    wrapped = await TLSStream.wrap(
                        self._stream, hostname=server_hostname, ssl_context=ssl_context, standard_compatible=False
                    )
            except BaseException:
                self._raw.close()
                raise
        return SocketStream(self._raw, wrapped)

    def get_extra_info(self, info: str) -> Any:
        match info:
            case "ssl_object":
                return self._stream.extra(TLSAttribute.ssl_object, None)  # noqa: S610 - anyio's, no database's
            case "socket":
                return self._raw
            case "is_readable":
                return _is_readable(self._raw)
            case _:
                return None


def _is_readable(raw: socket.socket) -> bool:
    """Of a connection at rest: the other side has closed it, or has something to say that nobody asked for."""
    if raw.fileno() < 0:
        return True
    poll = select.poll()
    poll.register(raw, select.POLLIN)
    return bool(poll.poll(0))


@contextmanager
def _told(late: type[Exception], broken: type[Exception]) -> Generator[None]:
    """Errors as httpcore names them."""
    try:
        yield
    except TimeoutError as error:
        raise late(str(error)) from error
    except (*BROKEN, anyio.EndOfStream) as error:
        raise broken(str(error)) from error

"""Which machines we open connections to. A name is looked up once, every address of it is checked, and the connection
goes to an address that was checked: a name that means another machine a moment later (DNS rebinding) changes nothing."""

import asyncio
import socket
import ssl
import threading
from collections.abc import Awaitable, Callable, Iterable, Sequence
from contextlib import suppress
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network

import httpcore
import httpx

from app.connectors.sockets import open_socket

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network
Resolver = Callable[[str, int], Awaitable[Sequence[str]]]
"""The addresses that a name stands for. Raises OSError where it stands for none."""


def _networks(*named: str) -> tuple[Network, ...]:
    return tuple(ip_network(each) for each in named)


# Link-local, and where clouds keep the machine's own credentials: no setting opens these.
_NEVER = _networks(
    "169.254.0.0/16",
    "fe80::/10",
    "fd00:ec2::254/128",
    "fd20:ce::254/128",
    "100.100.100.200/32",
    "168.63.129.16/32",
    "192.0.0.192/32",
)
# IANA's registries of special-purpose addresses, with multicast and what is reserved. Our own list, because what
# `ipaddress` calls global differs between patch releases of Python.
_SPECIAL = _networks(
    "0.0.0.0/8",
    "10.0.0.0/8",
    "100.64.0.0/10",
    "127.0.0.0/8",
    "172.16.0.0/12",
    "192.0.0.0/24",
    "192.0.2.0/24",
    "192.88.99.0/24",
    "192.168.0.0/16",
    "198.18.0.0/15",
    "198.51.100.0/24",
    "203.0.113.0/24",
    "224.0.0.0/3",
    "2001::/23",  # Teredo among others
    "2001:db8::/32",
    "2002::/16",  # 6to4
    "3fff::/20",
)
_GLOBAL_V6 = ip_network("2000::/3")
_NAT64 = ip_network("64:ff9b::/96")


class AddressRefused(httpx.ConnectError):
    """Nothing was sent: the address is none that this installation connects to."""


def networks(named: Iterable[str]) -> tuple[Network, ...]:
    """Raises ValueError for what is no network."""
    return _networks(*named)


def allowed(address: Address, named: Sequence[Network]) -> bool:
    """Public addresses, and those in the networks that the installation names: as they are written there, not in the
    form of another protocol."""
    if any(form in network for form in (address, *_carried(address)) for network in _NEVER):
        return False
    return any(address in network for network in named) or _public(_translated(address) or address)


def _public(address: Address) -> bool:
    if isinstance(address, IPv6Address) and address not in _GLOBAL_V6:
        return False
    return not any(address in network for network in _SPECIAL)


def _translated(address: Address) -> IPv4Address | None:
    """The IPv4 address that an IPv6 address is only another form of."""
    if isinstance(address, IPv4Address):
        return None
    return IPv4Address(int(address) & 0xFFFFFFFF) if address in _NAT64 else address.ipv4_mapped


def _carried(address: Address) -> list[IPv4Address]:
    """The IPv4 addresses that a connection to an IPv6 address may end at."""
    if isinstance(address, IPv4Address):
        return []
    return [each for each in (_translated(address), address.sixtofour, *(address.teredo or ())) if each is not None]


def literal(host: str) -> Address | None:
    """The address that a host is, None where it is a name. Raises `AddressRefused` for an address in any other
    spelling than the usual one (`2130706433`, `0x7f.1`, `127.1`, a zone): some libraries read those, each its own way."""
    try:
        found = ip_address(host)
    except ValueError:
        last = host.removesuffix(".").rpartition(".")[2]
        # As browsers tell names from addresses: WHATWG, URL, «ends in a number».
        if last.isdecimal() or last.lower().startswith("0x") or ":" in host:
            raise AddressRefused(f"{host} is an address in an unusual spelling") from None
        return None
    if "%" in host:
        raise AddressRefused(f"{host} is an address with a zone")
    return found


async def look_up(
    host: str, port: int, ask: Callable[..., Sequence[tuple[object, ...]]] = socket.getaddrinfo
) -> list[str]:
    """By the system's own resolver, in a thread that nobody waits for: a name server that says nothing for half a minute
    must hold neither a pool that others need nor the end of the process."""
    loop = asyncio.get_running_loop()
    answer: asyncio.Future[list[str]] = loop.create_future()

    def settle(found: list[str], error: OSError | None) -> None:
        if answer.done():
            return
        if error is None:
            answer.set_result(found)
        else:
            answer.set_exception(error)

    def look() -> None:
        found: list[str] = []
        failed: OSError | None = None
        try:
            found = [str(info[4][0]) for info in ask(host, port, type=socket.SOCK_STREAM)]  # type: ignore[index]
        except (OSError, UnicodeError) as error:
            failed = error if isinstance(error, OSError) else OSError("a name that no name server knows")
        with suppress(RuntimeError):
            # The loop has ended meanwhile.
            loop.call_soon_threadsafe(settle, found, failed)

    threading.Thread(target=look, name="look-up", daemon=True).start()
    return await answer


class GuardedBackend(httpcore.AsyncNetworkBackend):
    """Opens sockets for httpcore, to checked addresses only. TLS goes on verifying the name that was asked for."""

    def __init__(self, named: Sequence[Network], resolver: Resolver) -> None:
        self._named = named
        self._resolver = resolver
        self._asking: dict[tuple[str, int], asyncio.Future[Sequence[str]]] = {}

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,  # noqa: ASYNC109 - httpcore's signature
        local_address: str | None = None,  # noqa: ARG002 - nobody sets it
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None,  # noqa: ARG002 - nor these
    ) -> httpcore.AsyncNetworkStream:
        """Looking up and connecting together take at most `timeout` seconds; each address has its share of what is left."""
        loop = asyncio.get_running_loop()
        end = None if timeout is None else loop.time() + timeout
        try:
            async with asyncio.timeout_at(end):
                addresses = await self._checked(host, port)
        except TimeoutError as error:
            raise httpcore.ConnectTimeout("the name was not looked up in time") from error
        problem: Exception = httpcore.ConnectError("the name stands for no address")
        for position, address in enumerate(addresses):
            share = None if end is None else max(end - loop.time(), 0) / (len(addresses) - position)
            try:
                return await open_socket(str(address), port, share)
            except (httpcore.ConnectError, httpcore.ConnectTimeout) as error:
                problem = error
        raise problem

    async def _checked(self, host: str, port: int) -> list[Address]:
        """One refused address refuses the name: who stands for inside and outside at once is mistaken or up to something."""
        written = literal(host)
        addresses = [ip_address(each) for each in await self._found(host, port)] if written is None else [written]
        for address in addresses:
            if not allowed(address, self._named):
                means = "" if written else f" stands for {address}, which"
                raise AddressRefused(f"{host}{means} is neither public nor in a network that this installation allows")
        return list(dict.fromkeys(addresses))

    async def _found(self, host: str, port: int) -> Sequence[str]:
        """Connections that are opened at once share one question, so that a silent name server costs one thread."""
        asked = (host, port)
        if (asking := self._asking.get(asked)) is None:
            asking = self._asking[asked] = asyncio.ensure_future(self._resolver(host, port))
            asking.add_done_callback(lambda done: self._forget(asked, done))
        try:
            return await asyncio.shield(asking)
        except OSError as error:
            raise httpcore.ConnectError(f"the name cannot be looked up ({error.strerror or error})") from error

    def _forget(self, asked: tuple[str, int], done: "asyncio.Future[Sequence[str]]") -> None:
        del self._asking[asked]
        if not done.cancelled():
            # Whoever asked may have given up meanwhile: an error that nobody hears of is no defect.
            done.exception()


class GuardedTransport(httpx.AsyncHTTPTransport):
    """httpx's own transport over a `GuardedBackend`."""

    def __init__(self, backend: GuardedBackend, tls: ssl.SSLContext, limits: httpx.Limits) -> None:
        super().__init__(verify=tls, trust_env=False, limits=limits)
        # httpx has no parameter for the backend; nothing is open yet in the pool that is replaced.
        self._pool = httpcore.AsyncConnectionPool(
            ssl_context=tls,
            max_connections=limits.max_connections,
            max_keepalive_connections=limits.max_keepalive_connections,
            keepalive_expiry=limits.keepalive_expiry,
            network_backend=backend,
        )

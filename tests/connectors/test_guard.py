"""Which machines are connected to: decided by the address that a connection really goes to, and by nothing else."""

from collections.abc import Sequence
from ipaddress import ip_address
from pathlib import Path

import httpx
import pytest
from starlette.responses import JSONResponse, Response

from app.connectors import http
from app.connectors.guard import AddressRefused, Resolver, allowed, look_up, networks
from app.connectors.http import exchange, open_client
from app.connectors.platform import connect_platform
from app.connectors.platform.port import Outgoing, PlatformConnection, PlatformError, PlatformErrorCode, PlatformKind
from app.connectors.provider import connect
from app.connectors.provider.port import (
    Attachment,
    Auth,
    AuthKind,
    Connection,
    Limits,
    ProviderError,
    ProviderErrorCode,
)
from app.core.settings import LOOPBACK
from tests.connectors.scripted import Scripted
from tests.connectors.secured import secured

TOKEN = Auth(AuthKind.BEARER, token="secret")
QUICK = Limits(connect_seconds=2, read_seconds=2, total_seconds=5)
HERE = ("127.0.0.1/32",)
NAME = "ehr.example.test"


class Names:
    """A resolver with answers of its own: each in its turn, the last one stays."""

    def __init__(self, *answers: Sequence[str]) -> None:
        self.answers = list(answers)
        self.asked: list[str] = []

    async def __call__(self, host: str, port: int) -> Sequence[str]:
        self.asked.append(host)
        return self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1",
        "127.255.255.254",
        "0.0.0.0",
        "10.0.0.1",
        "172.16.0.1",
        "172.31.255.255",
        "192.168.1.1",
        "100.64.0.1",
        "169.254.169.254",
        "192.0.0.1",
        "192.0.2.1",
        "198.18.0.1",
        "224.0.0.1",
        "240.0.0.1",
        "255.255.255.255",
        "168.63.129.16",
        "::",
        "::1",
        "fc00::1",
        "fd00:ec2::254",
        "fe80::1",
        "fec0::1",
        "ff02::1",
        "100::1",
        "2001:db8::1",
        "3fff::1",
        "::127.0.0.1",
        "::ffff:127.0.0.1",
        "::ffff:10.0.0.1",
        "::ffff:169.254.169.254",
        "::ffff:0:127.0.0.1",
        "64:ff9b::7f00:1",
        "64:ff9b::a9fe:a9fe",
        "64:ff9b:1::1",
        "2002:7f00:1::",
        "2002:808:808::",
        "2001:0:7f00:1::1",
        "2001:0:808:808:0:0:f5ff:fffe",
    ],
)
def test_what_is_not_public_is_refused(address: str) -> None:
    assert not allowed(ip_address(address), ())


@pytest.mark.parametrize(
    "address",
    ["8.8.8.8", "172.32.0.1", "192.167.255.255", "2606:4700::1111", "::ffff:8.8.8.8", "64:ff9b::808:808"],
)
def test_what_is_public_is_allowed(address: str) -> None:
    assert allowed(ip_address(address), ())


@pytest.mark.parametrize(
    ("address", "named", "expected"),
    [
        ("127.0.0.1", LOOPBACK, True),
        ("::1", LOOPBACK, True),
        ("10.1.2.3", LOOPBACK, False),
        ("10.1.2.3", ("10.1.0.0/16",), True),
        ("10.2.2.3", ("10.1.0.0/16",), False),
        ("fd12::1", ("fd12::/16",), True),
        ("::ffff:127.0.0.1", LOOPBACK, False),
        ("64:ff9b::7f00:1", LOOPBACK, False),
        ("169.254.169.254", ("0.0.0.0/0",), False),
        ("100.100.100.200", ("100.64.0.0/10",), False),
        ("fe80::1", ("::/0",), False),
        ("::ffff:169.254.169.254", ("::/0",), False),
        ("64:ff9b::a9fe:a9fe", ("::/0",), False),
        ("2002:a9fe:a9fe::1", ("::/0",), False),
        ("fd00:ec2::254", ("fd00::/8",), False),
        ("fd00:ec2::255", ("fd00::/8",), True),
    ],
)
def test_a_named_network_is_open_and_link_local_never(address: str, named: tuple[str, ...], expected: bool) -> None:
    assert allowed(ip_address(address), networks(named)) is expected


async def _get(url: str, *, allow: Sequence[str] = LOOPBACK, resolver: Resolver = look_up) -> bytes:
    async with open_client(
        connect_seconds=2, read_seconds=2, user_agent="t/1", allow=allow, resolver=resolver
    ) as client:
        return (await exchange(client, client.build_request("GET", url), seconds=5, cap=1000)).body


async def test_nothing_but_public_addresses_unless_it_is_said(server: Scripted) -> None:
    with pytest.raises(AddressRefused):
        await _get(server.origin, allow=())
    with pytest.raises(AddressRefused):
        await _get(f"http://localhost:{server.port}", allow=())
    assert server.asked == []


@pytest.mark.parametrize(
    "host",
    ["2130706433", "0x7f000001", "0x7f.1", "0177.0.0.1", "127.1", "127.0.0.1.", "127.0.0.01", "[::1%25lo]", "0"],
)
async def test_an_odd_spelling_is_refused_even_where_the_address_is_allowed(server: Scripted, host: str) -> None:
    with pytest.raises((AddressRefused, httpx.InvalidURL)):
        await _get(f"http://{host}:{server.port}/")
    assert server.asked == []


async def test_a_name_that_means_another_machine_later_is_of_no_use(server: Scripted) -> None:
    server.on("GET /x", Response(b"ours", headers={"Connection": "close"}))
    names = Names(["127.0.0.1"], ["10.0.0.1"])
    async with open_client(connect_seconds=2, read_seconds=2, user_agent="t/1", allow=HERE, resolver=names) as client:
        request = client.build_request("GET", f"http://{NAME}:{server.port}/x")
        assert (await exchange(client, request, seconds=5, cap=100)).body == b"ours"
        assert names.asked == [NAME]
        with pytest.raises(AddressRefused, match=r"10\.0\.0\.1"):
            await exchange(client, request, seconds=5, cap=100)
    assert (names.asked, len(server.asked)) == ([NAME, NAME], 1)
    assert server.asked[0].headers["host"] == f"{NAME}:{server.port}"


@pytest.mark.parametrize("answer", [["127.0.0.1", "10.0.0.1"], ["10.0.0.1", "127.0.0.1"], ["127.0.0.1", "::1"]])
async def test_one_refused_address_refuses_the_name(server: Scripted, answer: list[str]) -> None:
    with pytest.raises(AddressRefused):
        await _get(f"http://{NAME}:{server.port}/x", allow=HERE, resolver=Names(answer))
    assert server.asked == []


async def test_the_addresses_of_a_name_are_tried_in_their_order(server: Scripted) -> None:
    server.on("GET /x", Response(b"ours"))
    # Nobody listens at the first one.
    answer = ["127.0.0.2", "127.0.0.1", "127.0.0.3"]
    assert await _get(f"http://{NAME}:{server.port}/x", resolver=Names(answer)) == b"ours"


async def test_a_name_without_an_address_cannot_be_connected_to() -> None:
    with pytest.raises(httpx.ConnectError) as caught:
        await _get(f"http://{NAME}/", resolver=Names([]))
    assert not isinstance(caught.value, AddressRefused)


async def test_proxies_of_the_environment_are_ignored(
    server: Scripted, elsewhere: Scripted, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.setenv(name, elsewhere.origin)
    server.on("GET /x", Response(b"direct"))
    assert await _get(f"{server.origin}/x") == b"direct"
    assert elsewhere.asked == []


async def test_a_certificate_is_still_verified_by_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    answer = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi"
    async with secured(NAME, tmp_path, answer) as server:
        _trust(server.certificate, monkeypatch)
        assert await _get(f"https://{NAME}:{server.port}/", resolver=Names(["127.0.0.1"])) == b"hi"
        with pytest.raises(httpx.ConnectError, match="CERTIFICATE_VERIFY_FAILED"):
            await _get(f"https://other.example.test:{server.port}/", resolver=Names(["127.0.0.1"]))
    assert server.named == [NAME, "other.example.test"]
    http._tls.cache_clear()


def _trust(certificate: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    http._tls.cache_clear()


async def _fetch(connection: Connection, url: str, resolver: Resolver) -> ProviderErrorCode:
    with pytest.raises(ProviderError) as caught:
        async with connect(connection, resolver=resolver) as provider:
            await provider.fetch(Attachment("application/pdf", url=url))
    assert "secret" not in str(caught.value)
    return caught.value.code


@pytest.mark.parametrize(
    "target",
    [
        "http://169.254.169.254/latest/meta-data",
        "http://[::ffff:127.0.0.1]:{port}/x",
        "http://[::ffff:169.254.169.254]/x",
        "http://[64:ff9b::7f00:1]:{port}/x",
        "http://localhost:{port}/x",
        "http://files.example.test:{port}/x",
        "http://2130706433:{port}/x",
    ],
)
@pytest.mark.parametrize("redirected", [False, True])
async def test_a_listed_host_is_refused_by_its_address(
    server: Scripted, elsewhere: Scripted, target: str, redirected: bool
) -> None:
    """All of these stand in the connection's list: the list alone opens nothing."""
    url = target.format(port=elsewhere.port)
    parts = httpx.URL(url)
    host = f"[{parts.host}]" if ":" in parts.host else parts.host
    connection = Connection(server.base, TOKEN, (f"{host}:{parts.port or 80}",), limits=QUICK, networks=HERE)
    names = Names(["10.20.30.40"]) if "example" in url else Names(["127.0.0.1", "::1"])
    if redirected:
        server.on("GET /fhir/Binary/1", Response(status_code=302, headers={"Location": url}))
        url = f"{server.base}/Binary/1"
    assert await _fetch(connection, url, names) is ProviderErrorCode.HOST_REFUSED
    assert elsewhere.asked == []


async def test_the_base_address_has_a_code_of_its_own(server: Scripted) -> None:
    connection = Connection(f"http://{NAME}:{server.port}/fhir", TOKEN, limits=QUICK)
    with pytest.raises(ProviderError) as caught:
        async with connect(connection, resolver=Names(["192.168.1.5"])) as provider:
            await provider.patient("p")
    assert (caught.value.code, caught.value.retryable) == (ProviderErrorCode.ADDRESS_REFUSED, False)
    assert NAME in caught.value.detail
    assert await _fetch(connection, "Binary/1", Names(["::1"])) is ProviderErrorCode.HOST_REFUSED
    assert (
        await _fetch(connection, f"{connection.base_url}/Binary/1", Names(["::1"])) is ProviderErrorCode.ADDRESS_REFUSED
    )
    assert server.asked == []


async def test_a_redirect_never_leads_from_https_to_http(
    server: Scripted, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    server.on("GET /1.pdf", Response(b"%PDF-1.7"))
    answer = f"HTTP/1.1 302 Found\r\nLocation: {server.origin}/1.pdf\r\nContent-Length: 0\r\n\r\n".encode()
    async with secured(NAME, tmp_path, answer) as first:
        _trust(first.certificate, monkeypatch)
        base = f"https://{NAME}:{first.port}/fhir"
        connection = Connection(base, TOKEN, (server.place,), limits=QUICK, networks=HERE)
        code = await _fetch(connection, f"{base}/Binary/1", Names(["127.0.0.1"]))
    http._tls.cache_clear()
    assert (code, server.asked) == (ProviderErrorCode.HOST_REFUSED, [])


@pytest.mark.parametrize("upload", ["http://169.254.169.254/upload", "http://[::ffff:127.0.0.1]:{port}/upload"])
async def test_a_platforms_upload_address_is_checked_too(server: Scripted, upload: str) -> None:
    url = upload.format(port=server.port)
    server.on("GET /patients/1/attachment_presigned_post", JSONResponse({"url": url, "fields": {"key": "a"}}))
    connection = PlatformConnection(PlatformKind.CAREPATRON, server.origin, "key", networks=HERE)
    async with connect_platform(connection) as platform:
        with pytest.raises(PlatformError) as caught:
            await platform.put("1", Outgoing("doc-ref-1", "a.pdf", "application/pdf", "", b"%PDF"))
    assert (caught.value.code, caught.value.ambiguous) == (PlatformErrorCode.ADDRESS_REFUSED, False)
    assert server.paths() == ["GET /patients/1/attachment_presigned_post"]


async def test_a_platform_inside_is_refused_unless_its_network_is_named(server: Scripted) -> None:
    async with connect_platform(PlatformConnection(PlatformKind.CAREPATRON, server.origin, "key")) as platform:
        with pytest.raises(PlatformError) as caught:
            await platform.confirm("1")
    assert caught.value.code is PlatformErrorCode.ADDRESS_REFUSED
    assert server.asked == []

"""What the environment decides."""

from pathlib import Path

import pytest
from pydantic import ValidationError

from app.core.settings import LOOPBACK, Settings


@pytest.fixture(autouse=True)
def bare(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("DATABASE_URL", "REDIS_URL", "PORT", *(f"HEALTHRECORDS_{it.upper()}" for it in Settings.model_fields)):
        monkeypatch.delenv(name, raising=False)


def test_nothing_need_be_set() -> None:
    found = Settings()
    assert (found.port, found.environment, found.demo, found.database_url) == (8000, "development", False, "")
    assert found.base_url == "http://127.0.0.1:8000"


def test_the_usual_names_and_the_prefixed_ones_are_read(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {
        "DATABASE_URL": "postgresql+asyncpg://db/x",
        "REDIS_URL": "redis://r",
        "PORT": "9001",
        "HEALTHRECORDS_HOST": "0.0.0.0",
        "HEALTHRECORDS_DEMO": "1",
        "HEALTHRECORDS_ENVIRONMENT": "production",
    }.items():
        monkeypatch.setenv(name, value)
    found = Settings()
    assert (found.database_url, found.redis_url, found.port) == ("postgresql+asyncpg://db/x", "redis://r", 9001)
    assert (found.host, found.demo, found.environment) == ("0.0.0.0", True, "production")


@pytest.mark.parametrize("port", ["0", "65536", "-1", "eighty"])
def test_a_port_that_is_none_is_refused(monkeypatch: pytest.MonkeyPatch, port: str) -> None:
    monkeypatch.setenv("PORT", port)
    with pytest.raises(ValidationError, match="PORT"):
        Settings()


def test_an_environment_that_is_none_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HEALTHRECORDS_ENVIRONMENT", "prod")
    with pytest.raises(ValidationError):
        Settings()


def test_links_use_the_public_address_where_there_is_one() -> None:
    assert Settings(public_url="https://records.example.test/").base_url == "https://records.example.test"


def test_files_lie_with_the_data_unless_another_place_is_named(tmp_path: Path) -> None:
    assert Settings(data_dir=tmp_path).blobs == (tmp_path / "blobs").as_uri()
    assert Settings(data_dir=tmp_path, blob_url="s3://files/records").blobs == "s3://files/records"


def test_only_a_development_machine_may_connect_to_itself() -> None:
    assert Settings().networks == LOOPBACK
    assert Settings(environment="production").networks == ()


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("", ()),
        ("10.1.0.0/16", ("10.1.0.0/16",)),
        (" 10.1.0.0/16, fd12::/16 ,192.168.1.5", ("10.1.0.0/16", "fd12::/16", "192.168.1.5/32")),
    ],
)
def test_private_networks_are_named_one_by_one(
    monkeypatch: pytest.MonkeyPatch, given: str, expected: tuple[str, ...]
) -> None:
    monkeypatch.setenv("HEALTHRECORDS_PRIVATE_NETWORKS", given)
    assert Settings().networks == expected
    assert Settings(environment="production").networks == expected


@pytest.mark.parametrize("given", ["10.1.2.3/16", "intranet", "10.0.0.0/33", "127.0.0.1-127.0.0.9"])
def test_a_network_that_is_none_is_refused(monkeypatch: pytest.MonkeyPatch, given: str) -> None:
    monkeypatch.setenv("HEALTHRECORDS_PRIVATE_NETWORKS", given)
    with pytest.raises(ValidationError, match=r"private_networks|PRIVATE_NETWORKS"):
        Settings()


def test_large_files_arrive_beside_the_data(tmp_path: Path) -> None:
    assert Settings(data_dir=tmp_path).spool == tmp_path / "tmp"

"""What the environment decides. One object, read once a process."""

from functools import lru_cache
from ipaddress import ip_network
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, field_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

LOOPBACK = ("127.0.0.0/8", "::1/128")


class Settings(BaseSettings):
    """`DATABASE_URL`, `REDIS_URL` and `PORT` carry their usual names; the rest begins with `HEALTHRECORDS_`."""

    model_config = SettingsConfigDict(env_prefix="HEALTHRECORDS_", populate_by_name=True)

    database_url: str = Field(default="", validation_alias="DATABASE_URL")
    redis_url: str = Field(default="", validation_alias="REDIS_URL")
    port: int = Field(default=8000, validation_alias="PORT", ge=1, le=65535)
    host: str = "127.0.0.1"
    environment: Literal["development", "production"] = "development"
    demo: bool = False
    """Demo accounts and the sandbox are only ever seeded in demo mode."""
    data_dir: Path = Path(".data")
    """Everything that lives on this machine: embedded services, files, the sandbox's stores, the generated secret."""
    blob_url: str = ""
    """Where files lie: empty for `data_dir/blobs`, else an URL that obstore understands (`s3://…`, `gs://…`, `az://…`)."""
    secret_key: str = ""
    """Signs sessions and seals credentials. `healthrecords up` makes one; production must set it."""
    public_url: str = ""
    """The address that clients use, for links; empty: http://HOST:PORT."""
    pool_size: int = 10
    worker_threads: int = 8
    worker_memory_mb: int = Field(default=2048, ge=0)
    """What a worker, and the process that reads its files, may each use: a job that wants more fails alone. 0: no limit."""
    max_attachment_bytes: int = 50 * 1024 * 1024
    private_networks: Annotated[tuple[str, ...] | None, NoDecode] = None
    """Networks in CIDR, with commas between: where providers and platforms may lie besides public addresses. If not
    given, this machine itself in development, and none in production."""
    support_email: str = ""
    """Whom to write to when nothing else helps; shown with every notification of a failure."""

    @field_validator("private_networks", mode="before")
    @classmethod
    def _split(cls, value: object) -> object:
        return tuple(value.replace(",", " ").split()) if isinstance(value, str) else value

    @field_validator("private_networks")
    @classmethod
    def _check(cls, value: tuple[str, ...] | None) -> tuple[str, ...] | None:
        return None if value is None else tuple(str(ip_network(each)) for each in value)

    @property
    def networks(self) -> tuple[str, ...]:
        if self.private_networks is not None:
            return self.private_networks
        return LOOPBACK if self.environment == "development" else ()

    @property
    def spool(self) -> Path:
        """Where large files lie while they arrive. On the same volume as `blobs` they are stored without copying."""
        return self.data_dir / "tmp"

    @property
    def base_url(self) -> str:
        return self.public_url.rstrip("/") or f"http://{self.host}:{self.port}"

    @property
    def blobs(self) -> str:
        return self.blob_url or (self.data_dir / "blobs").resolve().as_uri()


@lru_cache(maxsize=1)
def settings() -> Settings:
    return Settings()

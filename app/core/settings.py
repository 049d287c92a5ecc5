"""What the environment decides. One object, read once a process."""

from functools import lru_cache
from pathlib import Path
from typing import Literal

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict


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
    max_attachment_bytes: int = 50 * 1024 * 1024

    @property
    def base_url(self) -> str:
        return self.public_url.rstrip("/") or f"http://{self.host}:{self.port}"

    @property
    def blobs(self) -> str:
        return self.blob_url or (self.data_dir / "blobs").resolve().as_uri()


@lru_cache(maxsize=1)
def settings() -> Settings:
    return Settings()

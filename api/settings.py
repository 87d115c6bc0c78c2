"""The server's settings: `SEGTUNE_*` variables, a `.env` file, or arguments, in rising order."""

import re
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, BeforeValidator, Field, SecretStr, model_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from api.prefix import normalized
from tuner.configs.plugins import package_names
from tuner.logs import LogFormat

_SQLITE = "sqlite:///"
_NOWHERE = {"file", "local", "memory"}  # what fsspec takes and no other process finds again


def _split(value: object) -> object:
    if isinstance(value, str):
        return tuple(part.strip() for part in value.split(",") if part.strip())
    return value


def _lowered(value: object) -> object:
    return value.lower() if isinstance(value, str) else value


def _empty_is_none(value: object) -> object:
    return None if value == "" else value


class Settings(BaseSettings):
    """What one server process needs to know."""

    model_config = SettingsConfigDict(
        env_prefix="SEGTUNE_", env_file=".env", env_file_encoding="utf-8", extra="ignore",
        frozen=True,
    )  # fmt: skip

    home: Path = Field(default=Path("~/.segtune"), description="Folder of all that is kept")
    database_url: str = Field(
        default="",
        repr=False,  # may hold a password
        description="SQLite or PostgreSQL; empty: segtune.db under home",
    )
    artifacts: Annotated[str | None, BeforeValidator(_empty_is_none)] = Field(
        default=None,
        description="Folder of uploaded files, or a URL such as s3://bucket/prefix; empty: "
        "artifacts under home",
    )
    token: Annotated[SecretStr | None, BeforeValidator(_empty_is_none)] = Field(
        default=None, description="What callers must know; without it only loopback is served"
    )
    host: str = Field(default="127.0.0.1", description="Address to listen on")
    port: int = Field(default=8000, ge=0, le=65535, description="Port to listen on; 0: any free")
    processes: int = Field(
        default=1, ge=1, le=64, description="Server processes on that port; several need PostgreSQL"
    )
    lease_seconds: float = Field(
        default=60, gt=0, le=86_400, description="How long a worker may be silent"
    )
    upkeep_seconds: float = Field(
        default=5, gt=0, le=86_400, description="Pause between two looks for expired leases"
    )
    preempt: bool = Field(
        default=True, description="Let trials make room for studies of higher priority"
    )
    undo_seconds: float = Field(
        default=600, ge=0, le=2_592_000, description="How long a deleted study can be restored"
    )
    allowed_hosts: Annotated[tuple[str, ...], NoDecode, BeforeValidator(_split)] = Field(
        default=(), description="Names besides loopback under which the server is addressed"
    )
    max_artifact_mb: float = Field(
        default=4096, gt=0, description="Largest file that a worker may upload, in MiB"
    )
    rate_per_minute: int = Field(
        default=6000, ge=0, description="Requests of one token, besides a worker's; 0: no limit"
    )
    worker_rate_per_minute: int = Field(
        default=120_000, ge=0, description="A worker's requests with one token; 0: no limit"
    )
    root_path: Annotated[str, AfterValidator(normalized)] = Field(
        default="",
        description="Path below which a reverse proxy serves, such as /tune; empty: what "
        "X-Forwarded-Prefix says",
    )
    webhooks: Annotated[Path | None, BeforeValidator(_empty_is_none)] = Field(
        default=None, description="YAML file of addresses that are told of events"
    )
    webhook_url: Annotated[SecretStr | None, BeforeValidator(_empty_is_none)] = Field(
        default=None, description="One such address, without a file; of Slack or another"
    )
    webhook_secret: Annotated[SecretStr | None, BeforeValidator(_empty_is_none)] = Field(
        default=None, description="What messages to it are signed with; not for Slack"
    )
    plugins: Annotated[
        tuple[str, ...], NoDecode, BeforeValidator(_split), AfterValidator(package_names)
    ] = Field(default=(), description="Packages whose components may be used, separated by commas")
    log_level: Annotated[
        Literal["debug", "info", "warning", "error"], BeforeValidator(_lowered)
    ] = "info"
    log_format: Annotated[LogFormat, BeforeValidator(_lowered)] = Field(
        default="text", description="How the log is written: text, or one JSON object a line"
    )

    @model_validator(mode="before")
    @classmethod
    def _fill_in(cls, values: dict[str, object]) -> dict[str, object]:
        """Make every path absolute, so that nothing depends on a later working directory."""
        home = Path(str(values.get("home") or "~/.segtune")).expanduser().absolute()
        artifacts = _place(str(values.get("artifacts") or home / "artifacts"))
        url = str(values.get("database_url") or f"{_SQLITE}{home / 'segtune.db'}")
        return {
            **values,
            "home": home,
            "artifacts": artifacts,
            "database_url": _absolute(url),
        }

    @model_validator(mode="after")
    def _no_blank_token(self) -> Self:
        if self.token is not None and not self.token.get_secret_value().strip():
            raise ValueError("SEGTUNE_TOKEN is blank; give a long random text, or unset it")
        return self

    @property
    def artifact_place(self) -> str:
        """Where uploaded files are kept: a folder or a URL."""
        return self.artifacts or str(self.home / "artifacts")

    @property
    def has_artifacts_at_url(self) -> bool:
        """Whether uploaded files are kept elsewhere than in a folder."""
        return "://" in self.artifact_place

    @property
    def artifact_folder(self) -> Path:
        """The folder in which uploaded files are kept, where they are kept in one."""
        return Path(self.artifact_place)

    @property
    def max_artifact_bytes(self) -> int:
        """Largest upload in bytes."""
        return int(self.max_artifact_mb * 2**20)


def _place(text: str) -> str:
    """A URL as it is, a local folder absolute. Raises ValueError for what only looks like a URL."""
    scheme = re.match(r"([A-Za-z][A-Za-z0-9+.-]*):(/+)", text)
    if scheme is None:
        return str(Path(text).expanduser().absolute())
    is_url = scheme[2] == "//" and scheme.end() < len(text)
    if not is_url or not scheme[1].islower() or scheme[1] in _NOWHERE:
        raise ValueError(
            f"SEGTUNE_ARTIFACTS is '{text}'; artifacts are kept in a local folder, given by its "
            "path, such as /data/artifacts, or at a URL, such as s3://bucket/prefix"
        )
    return text


def _absolute(url: str) -> str:
    """Resolve `~` and a relative path in an SQLite URL; leave every other URL alone."""
    path = url.removeprefix(_SQLITE)
    if path == url or path in {"", ":memory:"} or path.startswith("file:"):
        return url
    return f"{_SQLITE}{Path(path).expanduser().absolute()}"

"""Settings of a worker: `SEGTUNE_*` variables, a `.env` file, or arguments, in rising order."""

import os
import re
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import (
    AfterValidator,
    BeforeValidator,
    Field,
    SecretStr,
    field_validator,
    model_validator,
)
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from tuner.configs.plugins import package_names
from tuner.logs import LogFormat
from tuner.spec.address import ServerAddress
from tuner.spec.kinds import MOST_GPUS, MOST_SLOTS
from tuner.spec.messages import WorkerName


def _labels(value: object) -> object:
    if not isinstance(value, str):
        return value
    pairs = [pair.strip() for pair in value.split(",") if pair.strip()]
    if odd := [pair for pair in pairs if "=" not in pair]:
        raise ValueError(f"labels are written name=value,name=value; '{odd[0]}' has no '='")
    split = [(name.strip(), text.strip()) for name, _, text in (p.partition("=") for p in pairs)]
    names = [name for name, _ in split]
    if wrong := next((name for name in names if names.count(name) > 1), None):
        raise ValueError(f"the label '{wrong}' is given twice; give it one value")
    if "" in names:
        raise ValueError("a label has no name before its '='; write name=value")
    return dict(split)


def _names(value: object) -> object:
    if not isinstance(value, str):
        return value
    return tuple(part.strip() for part in value.split(",") if part.strip())


def _lowered(value: object) -> object:
    return value.lower() if isinstance(value, str) else value


def _slots(value: object) -> object:
    text = str(value).strip().lower()
    if text == "auto":
        return text
    if re.fullmatch(r"[0-9]{1,3}", text) and 1 <= int(text) <= MOST_SLOTS:
        return int(text)
    raise ValueError(
        f"slots is {value!r}; give auto, or how many trials at once at most: 1 to {MOST_SLOTS}"
    )


def _paths(value: object) -> object:
    if not isinstance(value, str):
        return value
    # The colon of s3://bucket separates nothing.
    return [part for part in re.split(rf"{re.escape(os.pathsep)}(?!//)", value) if part]


class WorkerSettings(BaseSettings):
    """What one worker needs to know; every field is documented in docs/configuration.md."""

    model_config = SettingsConfigDict(
        env_prefix="SEGTUNE_", env_file=".env", extra="ignore", frozen=True
    )

    server: ServerAddress = Field("http://127.0.0.1:8000", description="Address of the server")
    token: SecretStr | None = Field(None, description="The server's token, if it has one")
    home: Path = Field(Path("~/.segtune"), description="Folder for the cache, logs and names")
    cache: Path | None = Field(
        None,
        description="Decoded data sets, checkpoints in the making and unsent reports; the workers "
        "of a machine share it; <home>/cache if not given",
    )
    data_roots: Annotated[tuple[Path, ...], NoDecode, BeforeValidator(_paths)] = Field(
        (Path(),),
        description="Folders, or addresses such as s3://bucket/sets, below which data sets may lie",
    )
    worker_name: WorkerName | None = Field(
        None, description="Name; made of host and device if not given"
    )
    device: str = Field("auto", pattern=r"^(auto|cpu|mps|cuda(:\d+)?)$")
    gpus: int = Field(
        1,
        ge=1,
        le=MOST_GPUS,
        description="GPUs of this worker, for studies that train each trial on several",
    )
    slots: Annotated[int | Literal["auto"], BeforeValidator(_slots)] = Field(
        1,
        description="Trials at once at most, as far as measured memory allows; auto: as many as "
        "memory and cores allow",
    )
    labels: Annotated[dict[str, str], NoDecode, BeforeValidator(_labels)] = Field(
        default_factory=dict, description="What studies may ask for: name=value,name=value"
    )
    hang_seconds: float = Field(600, gt=0, description="Silence after which a trainer is killed")
    idle_seconds: float | None = Field(
        None, gt=0, description="Seconds without a trial after which the worker ends"
    )
    poll_seconds: float = Field(20, ge=0, le=30, description="How long the server holds a request")
    threads: int | None = Field(None, ge=1, description="CPU threads; this worker's share of cores")
    checkpoint_seconds: float = Field(
        30,
        ge=0,
        description="Shortest time between two checkpoint uploads; 0 writes and uploads all",
    )

    plugins: Annotated[
        tuple[str, ...], NoDecode, BeforeValidator(_names), AfterValidator(package_names)
    ] = Field((), description="Packages whose components may be used, separated by commas")
    log_format: Annotated[LogFormat, BeforeValidator(_lowered)] = Field(
        "text", description="How the log is written: text, or one JSON object a line"
    )

    @model_validator(mode="after")
    def _check_slots(self) -> Self:
        if self.slots != 1 and self.gpus > 1:
            raise ValueError(
                f"slots is {self.slots} and gpus {self.gpus}; a worker trains several trials on a "
                "GPU, or a trial on several: set one of them to 1"
            )
        return self

    @field_validator("home", "cache", mode="after")
    @classmethod
    def _expand(cls, value: Path | None) -> Path | None:
        return value.expanduser().absolute() if value else None

    @field_validator("data_roots", mode="after")
    @classmethod
    def _resolve(cls, value: tuple[Path, ...]) -> tuple[Path, ...]:
        return tuple(path.expanduser().resolve() for path in value)

    def model_post_init(self, context: Any) -> None:
        """Put the cache under the home folder unless it has a place of its own."""
        if self.cache is None:
            object.__setattr__(self, "cache", self.home.expanduser().absolute() / "cache")

    @property
    def cache_folder(self) -> Path:
        """Where decoded data sets lie."""
        assert self.cache is not None
        return self.cache

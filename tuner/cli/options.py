"""What several commands share: options, which `.env` and environment stand in for."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import typer

if TYPE_CHECKING:
    from pydantic_settings import BaseSettings

    from tuner.client import Client
    from tuner.errors import Location

ServerOption = Annotated[
    str | None,
    typer.Option(help="Address of the server; else SEGTUNE_SERVER.", show_default=False),
]
TokenOption = Annotated[
    str | None, typer.Option(help="The server's token; else SEGTUNE_TOKEN.", show_default=False)
]
HostOption = Annotated[
    str | None, typer.Option(help="Address to listen on.", show_default="127.0.0.1")
]
PortOption = Annotated[int | None, typer.Option(help="Port to listen on.", show_default="8000")]
StudyArgument = Annotated[str, typer.Argument(metavar="STUDY", help="Name or id of a study.")]
DeviceOption = Annotated[str | None, typer.Option(help="auto, cpu, cuda:0, …", show_default=False)]
DataRootsOption = Annotated[
    list[Path] | None,
    typer.Option(
        "--data-root",
        help="Folder under which data sets may lie; repeatable. Default: the current folder.",
        show_default=False,
    ),
]

LogFormatOption = Annotated[
    str | None,
    typer.Option(help="text or json; else SEGTUNE_LOG_FORMAT.", show_default=False),
]

AnySettings = TypeVar("AnySettings", bound="BaseSettings")


def paths(given: list[Path] | None) -> tuple[Path, ...] | None:
    """Folders given by a repeatable flag; None if there is none."""
    return tuple(given) if given else None


def connect(server: str | None, token: str | None) -> "Client":
    """Make a client from flags, `SEGTUNE_*` and `.env`. Raises InvalidInput."""
    from tuner.cli.connection import Connection
    from tuner.client import Client

    connection = configured(Connection, server=server, token=token)
    return Client(connection.server, connection.token)


def configured(kind: type[AnySettings], **flags: Any) -> AnySettings:
    """Read settings, with every flag that was given laid over them; allow the plug-ins they name.

    Raises:
        InvalidInput: a setting has a value that it cannot have.
    """
    from pydantic import ValidationError
    from pydantic_settings import SettingsError

    from tuner.configs import plugins
    from tuner.errors import InvalidInput, Problem
    from tuner.spec.validation import problems

    try:
        found = kind(**{name: value for name, value in flags.items() if value is not None})
    except (UnicodeDecodeError, SettingsError, OSError) as error:
        message = f"the settings in it cannot be read: {error}; write NAME=value lines in UTF-8"
        raise InvalidInput([Problem((".env",), message)]) from None
    except ValidationError as error:
        wrong = problems(error.errors())
        raise InvalidInput(
            [Problem(_setting(kind, each.location), each.message) for each in wrong]
        ) from None
    allowed = getattr(found, "plugins", None)
    if allowed is not None:
        plugins.allow(allowed)
    return found


def _setting(kind: "type[BaseSettings]", location: "Location") -> tuple[str, ...]:
    if not location:
        return ()
    prefix = kind.model_config.get("env_prefix", "")
    return ((prefix + "_".join(str(part) for part in location)).upper(),)

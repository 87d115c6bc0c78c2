"""Which webhooks there are: one by settings, any number in a file."""

import base64
import binascii
import os
import re
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Annotated, Any, Literal, Self
from urllib.parse import urlsplit

import yaml
from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    SecretStr,
    ValidationError,
    field_validator,
    model_validator,
)

from api.settings import Settings
from tuner.errors import InvalidInput, Problem
from tuner.spec.events import EventKind
from tuner.spec.validation import problems

DEFAULT = tuple(
    kind for kind in EventKind if kind not in {EventKind.TRIAL_CREATED, EventKind.TRIAL_REPORTED}
)
ENCODED = "whsec_"  # of a secret in base64
_FILE, _URL = "SEGTUNE_WEBHOOKS", "SEGTUNE_WEBHOOK_URL"


class Hook(BaseModel):
    """An address, what it is told, and how."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$")]
    url: SecretStr  # whoever knows a chat's address may write there
    secret: SecretStr | None = None
    secret_env: str | None = None
    format: Literal["json", "slack"] = "json"
    events: tuple[EventKind, ...] = Field(default=DEFAULT, min_length=1)
    studies: tuple[str, ...] = Field(default=("*",), min_length=1)
    allow_metadata: bool = False

    @field_validator("url")
    @classmethod
    def _is_http(cls, value: SecretStr) -> SecretStr:
        try:
            parts = urlsplit(value.get_secret_value())
            is_fit = parts.scheme in {"http", "https"} and parts.hostname and parts.port != 0
        except ValueError:
            is_fit = False
        # A line break would be a header of its own.
        if not is_fit or re.search(r"[\s\x00-\x1f\x7f]", value.get_secret_value()):
            raise ValueError("must be an address such as https://chat.example/hooks/1")
        return value

    @model_validator(mode="after")
    def _has_one_secret(self) -> Self:
        if self.secret is not None and self.secret_env is not None:
            raise ValueError("has both secret and secret_env; give one of them")
        if self.secret_env is not None and not os.environ.get(self.secret_env):
            raise ValueError(f"secret_env: the variable {self.secret_env} is not set")
        if self.format == "json" and not self.key:
            raise ValueError("must have a secret, or secret_env, by which receivers know it")
        if self.key.startswith(ENCODED) and not _is_encoded(self.key.removeprefix(ENCODED)):
            raise ValueError(
                f"what follows {ENCODED} in its secret must be base64, with its padding; correct "
                "it, or give a secret that begins otherwise"
            )
        return self

    @property
    def key(self) -> str:
        """The secret that messages are signed with; empty if there is none."""
        if self.secret_env is not None:
            return os.environ.get(self.secret_env, "")
        return self.secret.get_secret_value() if self.secret is not None else ""

    @property
    def host(self) -> str:
        """What a log may say of the address."""
        return urlsplit(self.url.get_secret_value()).hostname or ""

    def wants(self, study: str) -> bool:
        """Whether it is told of a study of that name."""
        return any(fnmatchcase(study, pattern) for pattern in self.studies)


def _is_encoded(text: str) -> bool:
    """Whether a text is base64 of something: lenient decoders make an empty key of the rest."""
    try:
        return bool(base64.b64decode(text, validate=True))
    except (binascii.Error, ValueError):
        return False


def read(settings: Settings) -> tuple[Hook, ...]:
    """The hooks of file and settings. Raises InvalidInput, which shows no secret."""
    found = [] if settings.webhooks is None else _from_file(settings.webhooks)
    if settings.webhook_url is not None:
        url = settings.webhook_url.get_secret_value()
        is_slack = "hooks.slack.com" in url
        given = {
            "name": "default",
            "url": url,
            "secret": settings.webhook_secret,
            "format": "slack" if is_slack else "json",
        }
        found.append(_hook(given, (_URL,)))
    names = [hook.name for hook in found]
    if twice := next((name for name in names if names.count(name) > 1), None):
        raise InvalidInput([Problem((_FILE,), f"two webhooks are called '{twice}'; rename one")])
    return tuple(found)


def _from_file(path: Path) -> list[Hook]:
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidInput([Problem((_FILE,), f"{path} cannot be read: {error}")]) from None
    except yaml.YAMLError as error:
        place = getattr(error, "problem_mark", None)  # its text may hold a secret
        line = f", line {place.line + 1}" if place is not None else ""
        raise InvalidInput([Problem((_FILE,), f"{path}{line}: not valid YAML")]) from None
    listed = content.get("webhooks") if isinstance(content, dict) else None
    if not isinstance(listed, list) or set(content) != {"webhooks"}:
        message = f"{path} must be a list under the one key 'webhooks'"
        raise InvalidInput([Problem((_FILE,), message)])
    return [_hook(each, (_FILE, str(place))) for place, each in enumerate(listed)]


def _hook(given: Any, where: tuple[str, ...]) -> Hook:
    try:
        return Hook.model_validate(given)
    except ValidationError as error:
        hidden = error.errors(include_input=False, include_url=False, include_context=False)
        found = problems([{**each, "input": None} for each in hidden])
        raise InvalidInput(
            [Problem((*where, *each.location), each.message) for each in found]
        ) from None

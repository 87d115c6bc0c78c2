"""Where the server is, for the commands that talk to one."""

from pydantic_settings import BaseSettings, SettingsConfigDict

from tuner.spec.address import ServerAddress


class Connection(BaseSettings):
    """Address and token of a server, from `SEGTUNE_*` and `.env`."""

    model_config = SettingsConfigDict(env_prefix="SEGTUNE_", env_file=".env", extra="ignore")

    server: ServerAddress = "http://127.0.0.1:8000"
    token: str | None = None

import resource
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from api.serve import allow_connections, listen, reserve, serve
from api.settings import Settings
from api.startup import prepare
from tuner.errors import InvalidInput, SegtuneError


def _settings(**given: Any) -> Settings:
    return Settings(_env_file=None, **given)


def test_defaults_lie_under_home(tmp_path: Path) -> None:
    """Without further settings everything is kept under home."""
    settings = _settings(home=tmp_path)

    assert settings.database_url == f"sqlite:///{tmp_path}/segtune.db"
    assert settings.artifact_folder == tmp_path / "artifacts"
    assert settings.token is None


def test_default_home() -> None:
    """Home is a folder of the user."""
    assert _settings().home == Path.home() / ".segtune"


@pytest.mark.parametrize("url", ["sqlite:///own.db", "sqlite:///./own.db"])
def test_relative_paths(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, url: str) -> None:
    """A relative path means the folder in which the server was started, now and later."""
    monkeypatch.chdir(tmp_path)
    settings = _settings(home="here", database_url=url, artifacts="files")

    assert settings.home == tmp_path / "here"
    assert settings.database_url == f"sqlite:///{tmp_path}/own.db"
    assert settings.artifact_folder == tmp_path / "files"


@pytest.mark.parametrize("url", ["postgresql://u:p@db/segtune", "sqlite:////data/segtune.db"])
def test_other_urls_stay(url: str) -> None:
    """An absolute path or another database is taken as it is."""
    assert _settings(database_url=url).database_url == url


@pytest.mark.parametrize(
    "url", ["file:///data", "memory://x", "S3A://b/c", "s3:/b", "s3:///b", "s3://"]
)
def test_what_looks_like_a_url_is_no_folder_of_artifacts(url: str) -> None:
    """It is refused, with what to give, in place of a folder of that name."""
    with pytest.raises(ValidationError, match=r"SEGTUNE_ARTIFACTS.*local folder"):
        _settings(artifacts=url)


@pytest.mark.parametrize("url", ["s3://bucket/runs", "gs://b", "abfs://b/c"])
def test_artifacts_at_a_url(url: str) -> None:
    """A URL stays as it is."""
    settings = _settings(artifacts=url)

    assert (settings.artifact_place, settings.has_artifacts_at_url) == (url, True)


@pytest.mark.parametrize("url", ["nowhere://bucket", "https://127.0.0.1:9/x"])
def test_artifacts_that_cannot_be_kept_there(tmp_path: Path, url: str) -> None:
    """The server does not start, and says what would do."""
    with pytest.raises(SegtuneError, match=f"{url}.*SEGTUNE_ARTIFACTS|SEGTUNE_ARTIFACTS.*{url}"):
        prepare(_settings(home=tmp_path, artifacts=url))


def test_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Variables set what no argument sets; a list is separated by commas."""
    monkeypatch.setenv("SEGTUNE_PORT", "9000")
    monkeypatch.setenv("SEGTUNE_ALLOWED_HOSTS", "gpu-box, tuner.example")
    monkeypatch.setenv("SEGTUNE_LOG_LEVEL", "INFO")
    monkeypatch.setenv("SEGTUNE_TOKEN", "")
    settings = _settings(port=9001)

    assert settings.port == 9001
    assert settings.allowed_hosts == ("gpu-box", "tuner.example")
    assert settings.log_level == "info"
    assert settings.token is None


def test_dotenv(tmp_path: Path) -> None:
    """A `.env` file sets what neither arguments nor variables set."""
    file = tmp_path / ".env"
    file.write_text("SEGTUNE_LEASE_SECONDS=7\nOTHER=1\n")

    assert Settings(_env_file=file).lease_seconds == 7


@pytest.mark.parametrize(
    "wrong",
    [{"port": 70000}, {"lease_seconds": 0}, {"token": "  "}, {"log_level": "loud"}],
)
def test_impossible(wrong: dict[str, Any]) -> None:
    """A setting that cannot be is refused at start."""
    with pytest.raises(ValidationError):
        _settings(**wrong)


def test_port_in_use(tmp_path: Path) -> None:
    """A port that is taken is named, with what to do."""
    with listen(_settings(home=tmp_path, port=0)) as taken:
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(InvalidInput, match=f"{port}.*another port"):
            serve(_settings(home=tmp_path, port=port))


def test_several_processes_share_a_port_with_none_but_themselves(tmp_path: Path) -> None:
    """A port that others listen on is refused; one that is held lets our own processes in."""
    settings = _settings(home=tmp_path, port=0)
    with reserve(settings) as held:
        ours = settings.model_copy(update={"port": held.getsockname()[1]})
        with listen(ours, is_shared=True) as first, listen(ours, is_shared=True) as second:
            first.listen()
            second.listen()
            with pytest.raises(InvalidInput, match="another port"):
                reserve(ours)


@pytest.mark.parametrize("before", [256, None])
def test_a_server_may_keep_more_connections_than_most_systems_give(before: int | None) -> None:
    """The limit of open files goes up to what the process may ask for, and never down."""
    first = resource.getrlimit(resource.RLIMIT_NOFILE)
    soft, hard = first if before is None else (before, first[1])
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    try:
        allow_connections()
        assert resource.getrlimit(resource.RLIMIT_NOFILE) == (max(soft, min(hard, 65_536)), hard)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, first)


def test_serve_refuses_exposure(tmp_path: Path) -> None:
    """The server does not start where others could reach it without a token."""
    with pytest.raises(InvalidInput, match="SEGTUNE_TOKEN"):
        serve(_settings(home=tmp_path, host="0.0.0.0"))

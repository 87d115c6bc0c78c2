"""A model is found by file or study; what is fetched is what the document names, in its folder."""

from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

from tests.delivery import small
from tests.delivery.models import write_model
from tuner.cli import models
from tuner.cli.models import ModelSources, fetched, find_model
from tuner.errors import DataUnavailable, DigestMismatch, InvalidInput, NotFound
from tuner.spec.ensemble import EnsembleMember
from tuner.spec.messages import ArtifactRef
from tuner.spec.views import Best

CONTENT = b"the model"
DIGEST = sha256(CONTENT).hexdigest()


class Server:
    """Stands for a server with the study `streets`, whose model has these bytes."""

    def __init__(self, content: bytes = CONTENT, **artifact: Any) -> None:
        self.content, self.artifact = content, artifact
        self.fetched = 0

    def best(self, study: str) -> Best:
        """The result of the study."""
        if study != "streets":
            raise NotFound(f"there is no study '{study}'")
        return result(**self.artifact)

    def download(self, artifact: int, path: Path) -> None:
        """Write the model."""
        self.fetched += 1
        path.write_bytes(self.content)


def result(**changes: Any) -> Best:
    """A result whose trial kept a model."""
    kept = {"id": 1, "name": "model.pt", "kind": "model", "size": 1, "sha256": DIGEST, **changes}
    return Best.model_validate(
        {
            "study": "streets",
            "trial": 3,
            "params": {},
            "config": small.model("fcn").config,
            "metrics": {},
            "provenance": {"artifacts": [kept]},
        }
    )


def serve(monkeypatch: pytest.MonkeyPatch, server: Server) -> Server:
    """Let the commands reach this server."""
    monkeypatch.setattr(models, "connect", lambda address, token: server)
    return server


@pytest.mark.parametrize(
    "digest", ["../../escaped", "/tmp/escaped", "", "ab", "Z" * 64, DIGEST.upper(), f"{DIGEST}\n"]
)
def test_a_result_s_digest_is_no_path(
    digest: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A `best.json` of a stranger writes nowhere."""
    server = serve(monkeypatch, Server())
    file, cache = tmp_path / "given" / "best.json", tmp_path / "home" / "cache"
    file.parent.mkdir()
    file.write_text(result(sha256=digest).model_dump_json())

    with pytest.raises(InvalidInput, match=r"provenance\.artifacts.*sha256"):
        find_model(str(file), ModelSources(cache))

    assert server.fetched == 0
    assert not cache.parent.exists()


@pytest.mark.parametrize("listed", [3, "model.pt", [1], {"model": 1}])
def test_artifacts_that_are_none_are_named(listed: object, tmp_path: Path) -> None:
    """Other values in their place are bad input."""
    file = tmp_path / "best.json"
    file.write_text(
        result().model_copy(update={"provenance": {"artifacts": listed}}).model_dump_json()
    )
    with pytest.raises(InvalidInput, match=r"provenance\.artifacts"):
        find_model(str(file), ModelSources(tmp_path / "cache"))


def test_a_fetched_file_is_the_named_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Other bytes than those of the digest are refused, and not kept."""
    serve(monkeypatch, Server(b"another"))
    kept = ArtifactRef(id=1, name="model.pt", kind="model", size=1, sha256=DIGEST)
    with pytest.raises(DigestMismatch, match=f"not {DIGEST}"):
        fetched(kept, "trial 3", ModelSources(tmp_path))
    assert list((tmp_path / "models").iterdir()) == []


def test_a_changed_file_in_the_cache_is_not_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is fetched again, and a whole one is not."""
    server = serve(monkeypatch, Server())
    path = tmp_path / "models" / f"{DIGEST}.pt"
    path.parent.mkdir()
    path.write_bytes(b"another")
    for _ in range(2):
        assert find_model("streets", ModelSources(tmp_path)).path == path
        assert path.read_bytes() == CONTENT
        assert server.fetched == 1


def test_a_member_s_file_is_the_named_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A member whose artifact is another file is missing; the file that lies there stays."""
    serve(monkeypatch, Server(b"another"))
    path = tmp_path / "models" / f"{DIGEST}.pt"
    path.parent.mkdir()
    path.write_bytes(b"damaged")
    member = EnsembleMember(trial=1, weight=1, sha256=DIGEST, artifact=1)
    with pytest.raises(DataUnavailable, match="neither beside the ensemble nor on the server"):
        models._member(ModelSources(tmp_path), member)
    assert path.read_bytes() == b"damaged"


def test_a_folder_does_not_hide_a_study(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`segtune init FOLDER` names the study as the folder; without a study both are named."""
    serve(monkeypatch, Server())
    monkeypatch.chdir(tmp_path)
    for name in ("streets", "photos"):
        (tmp_path / name).mkdir()

    assert find_model("streets", ModelSources(tmp_path)).name == "trial 3 of streets"
    with pytest.raises(NotFound, match="no study 'photos'; photos here is a folder"):
        find_model("photos", ModelSources(tmp_path))


@pytest.mark.parametrize("name", ["gone.pt", "gone.pt2", "gone.ts", "gone.onnx", "gone.json"])
def test_a_file_that_is_not_there_is_not_taken_for_a_study(name: str, tmp_path: Path) -> None:
    """Names of model files never reach the server."""
    with pytest.raises(NotFound, match=f"there is no file {name}"):
        find_model(name, ModelSources(tmp_path))


def test_a_model_file_is_itself(tmp_path: Path) -> None:
    """A file needs no server."""
    path = write_model(tmp_path / "model.pt")
    assert find_model(str(path), ModelSources(tmp_path)).path == path

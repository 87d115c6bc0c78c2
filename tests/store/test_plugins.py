"""A study whose components come from a package is trained where that is, in the same version."""

import pytest

from tests.distributions import SitePackages
from tests.store.fleet import Fleet
from tests.store.samples import spec
from tuner.service import documents, drafts, overview, queue
from tuner.spec.fleet import Why
from tuner.spec.messages import Capabilities
from tuner.spec.study_text import written
from tuner.store.engine import Database

STUDY = spec(base={"loss": {"name": "soft_margin"}, "training": {"epochs": 3}})


@pytest.fixture
def fleet(database: Database, site: SitePackages) -> Fleet:
    """Workers of a server that allows the example's package."""
    site.install_example(version="1.2")
    site.allow("acme-seg")
    return Fleet(database)


def having(version: str) -> Capabilities:
    """What a worker says that has the package."""
    return Capabilities(plugins={"acme-seg": version})


@pytest.mark.parametrize(
    ("can", "told"),
    [
        (Capabilities(), "w1 does not have it, or does not allow it"),
        (having("1.1"), "w1 has 1.1"),
    ],
)
def test_a_worker_without_the_version_gets_no_trial(
    fleet: Fleet, can: Capabilities, told: str
) -> None:
    """Said at submission, by the check of a text, and in the queue."""
    fleet.ask("w1", can=can)

    view = fleet.submit(STUDY)

    assert fleet.ask("w1", can=can) is None
    (warning,) = view.warnings
    (entry,) = queue.queue(fleet.db).entries
    draft = drafts.check(fleet.db, written({**STUDY.dump(), "name": "other"}))
    said = (warning, entry.detail, view.waiting_for or "", *draft.warnings)
    assert Why.NO_WORKER is entry.why
    assert all("acme-seg 1.2" in one and told in one for one in said), said


def test_a_worker_with_the_version_gets_the_trial(fleet: Fleet) -> None:
    """Others are named in a warning while they lack it; studies without the package are theirs."""
    fleet.ask("w1")
    fleet.ask("w2", can=having("1.2"))
    fleet.submit(STUDY)
    plain = fleet.submit(spec("plain"))

    first, second = fleet.ask("w2", study="streets", can=having("1.2")), fleet.ask("w1")

    assert first is not None
    assert ("plain", ()) == (second and second.study, plain.warnings)
    (warning,) = overview.study(fleet.db, "streets").warnings
    assert warning.startswith("1 worker gets no trial of it")
    assert "w1" in warning


def test_a_study_waits_while_its_package_is_not_allowed(
    fleet: Fleet, site: SitePackages, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A server that was started without the setting fails nothing."""
    fleet.submit(STUDY)
    site.allow()
    monkeypatch.setattr(documents, "_UNDERSTOOD", documents._Understood())
    again = Fleet(fleet.db)

    assert again.ask("w1", can=having("1.2")) is None
    (entry,) = queue.queue(fleet.db).entries
    assert Why.NO_WORKER is entry.why
    assert "installed but not allowed" in entry.detail
    site.allow("acme-seg")
    monkeypatch.setattr(documents, "_UNDERSTOOD", documents._Understood())
    assert again.ask("w1", can=having("1.2")) is not None

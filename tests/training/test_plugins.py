"""A component of another package trains, and the result says which package that was."""

from pathlib import Path

from tests.distributions import SitePackages
from tests.training import samples
from tuner.spec.messages import OutcomeKind
from tuner.training.data.load import Data
from tuner.training.train import train


def test_the_documented_package_trains(scenes: Data, site: SitePackages, tmp_path: Path) -> None:
    """The example of docs/plugins.md is a loss that a trial trains with."""
    site.install_example(version="1.2")
    site.allow("acme-seg")
    config = samples.config({"loss.name": "soft_margin", "loss.margin": 0.2, "training.epochs": 1})
    session = samples.Reports()

    outcome = train(config, scenes, session, folder=tmp_path)

    assert OutcomeKind.COMPLETED == outcome.kind
    assert {"acme-seg": "1.2"} == outcome.provenance["plugins"]
    assert 0 < session.reports[-1].metrics["train_loss"]


def test_a_trial_of_segtune_alone_names_no_package(
    scenes: Data, site: SitePackages, tmp_path: Path
) -> None:
    """What is allowed and not used is no part of how a number was made."""
    site.install_example()
    site.allow("acme-seg")

    outcome = train(
        samples.config({"training.epochs": 1}), scenes, samples.Reports(), folder=tmp_path
    )

    assert "plugins" not in outcome.provenance

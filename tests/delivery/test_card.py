"""The model card says what is known of a model, and what is not."""

from typing import Any

import pytest

from tests.training import samples
from tuner.configs.resolve import resolve
from tuner.delivery.card import card, licence_of
from tuner.spec.config import Recipe
from tuner.spec.views import Best

PUBLISHED = {"weights": {"source": "resnet18.a1_in1k", "report": "published ones"}}


def _best(**changes: Any) -> Best:
    document = {
        "study": "street",
        "trial": 7,
        "params": {"optimizer.lr": 0.02},
        "config": samples.config(),
        "metrics": {
            "miou": 0.5123,
            "pixel_accuracy": 0.9,
            "iou.sky": 0.9,
            "iou.road": 0.1246,
            "latency_ms": 12.5,
        },
        "provenance": {
            "data": "abcdef0123456789",
            "versions": {"torch": "2.15.0"},
            "device": "cpu",
            "device_name": "x86_64",
            "artifacts": [{"id": 1, "kind": "model", "sha256": "f" * 64}],
        },
    }
    return Best.model_validate({**document, **changes})


def test_it_says_what_the_result_holds() -> None:
    """Data, metrics of each class, costs, recipe, versions and the weights' digest stand in it."""
    best = _best()

    text = card(best.config, "trial 7 of street", best)

    assert text.startswith("---\nlibrary_name: segtune\n")
    for line in (
        "# trial 7 of street",
        "- fingerprint: `abcdef0123456789`",
        "| `miou` | 0.512 |",
        "| road | 0.125 |",
        "| `latency_ms` | 12.500 ms |",
        "| `model.decoder` | deeplabv3plus |",
        "- versions: torch 2.15.0",
        f"- sha256 of the weights: `{'f' * 64}`",
    ):
        assert line in text.splitlines(), line


def test_it_names_the_limits_that_the_numbers_show() -> None:
    """The weakest class, classes that do not occur, and that there was one seed only."""
    best = _best()

    limits = card(best.config, "x", best).split("## Limits")[1].split("## ")[0]

    assert "weakest class is road, with an IoU of 0.125" in limits
    assert "Not measured, because they do not occur in the split: car." in limits
    assert "One training with one seed" in limits


def test_what_fresh_seeds_gave_is_what_to_expect() -> None:
    """Mean and spread of the confirmation are told apart from the selected value."""
    leader = {"trial": 7, "searched": 0.5123, "mean": 0.49, "spread": 0.02, "values": [0.47, 0.51]}
    confirmation = {"complete": True, "seeds": [1, 2], "leaders": [leader], "verdict": "v"}

    text = card(samples.config(), "x", _best(confirmation=confirmation))

    assert "Trained again with 2 fresh seeds: 0.490 ± 0.020" in text
    assert "One training with one seed" not in text


def test_a_model_file_alone_has_a_card_without_results() -> None:
    """Of a model.pt nothing but its config is known, and the card says so."""
    text = card(samples.config(), "model.pt")

    assert "No result came with the model file." in text
    assert "- fingerprint: `not known`" in text


@pytest.mark.parametrize(
    ("weights", "facts", "licence"),
    [
        ("pretrained", PUBLISHED, "apache-2.0"),
        ("pretrained", {}, "unknown"),
        ("file.pth", {"weights": {"source": "file.pth"}}, "unknown"),
        ("none", {}, "unknown"),
    ],
)
def test_the_licence_of_published_weights_is_known(
    weights: str, facts: dict[str, Any], licence: str
) -> None:
    """It is the one that timm states; of other weights nothing is claimed."""
    base = Recipe.model_validate(
        {"model": {"decoder": "fcn", "encoder": "resnet18", "weights": weights}}
    )

    assert licence_of(resolve(base, samples.synthetic(), {}), facts) == licence


def test_a_class_name_stays_in_its_cell() -> None:
    """A bar in a name does not make another column."""
    dataset = samples.synthetic(classes=("a|b", "road", "car"))
    config = samples.config().model_copy(update={"dataset": dataset})
    best = _best(config=config, metrics={"miou": 0.5, "iou.a|b": 0.5})

    assert "| a\\|b | 0.500 |" in card(config, "x", best).splitlines()

"""A model card says what is known of a model, and what is not."""

import re
from dataclasses import replace
from typing import Any

import pytest

from tests.delivery import small
from tuner.delivery.card import card
from tuner.delivery.licence import licence
from tuner.spec.config import DirectedMetric
from tuner.spec.views import Best, ConfirmationView, ConfirmedLeader


def result(**changes: Any) -> Best:
    """A result of the small FCN."""
    provenance = {
        "data": "d4a7f",
        "versions": {"segtune": "0.9", "torch": "2.15"},
        "device_name": "Some GPU",
        "seconds": 90.0,
    }
    body = {
        "study": "street",
        "trial": 7,
        "params": {},
        "config": small.model("fcn").config,
        "metrics": {"miou": 0.7123, "iou.sky": 0.91, "iou.car": 0.31},
        "provenance": provenance,
    }
    return Best(**{**body, **changes})


def test_a_card_says_data_recipe_results_and_limits() -> None:
    """Classes, fingerprint, metrics, versions, hardware and weak classes stand in the card."""
    text = card(small.model("fcn"), result())

    assert text.startswith("# fcn on resnet18: 3 classes\n")
    for said in (
        "Trial 7 of the study street",
        "classes: sky, road, car; label 255 is ignored",
        "fingerprint: d4a7f",
        "| miou | 0.7123 |",
        "| sky | 0.91 |",
        "Not confirmed with fresh seeds",
        "segtune 0.9, torch 2.15",
        "hardware: Some GPU",
        "training time: 1.5 minutes",
        "Classes with an IoU below 0.5: car (0.31)",
        "segtune predict model.pt",
    ):
        assert said in text


def test_only_scores_are_results_and_only_classes_are_classes() -> None:
    """The worst IoU is no class, and the pace of training is no result."""
    metrics = {"miou": 0.7, "iou.worst": 0.32, "iou.car": 0.32, "lr": 0.01, "data_wait": 0.5}
    text = card(small.model("fcn"), result(metrics={**metrics, "images_per_second": 31.0}))

    assert "| iou.worst | 0.32 |" in text
    assert "IoU below 0.5: car (0.32)." in text
    for absent in ("| worst |", "| lr |", "data_wait", "images_per_second"):
        assert absent not in text


def test_names_are_no_markup() -> None:
    """Class names and what a result says of its origin are shown as they are."""
    trained = small.model("fcn")
    dataset = trained.config.dataset.model_copy(update={"classes": ("a|b", "<img src=x>", "c")})
    config = trained.config.model_copy(update={"dataset": dataset})
    odd = replace(trained, config=config)
    given = result(
        config=config,
        metrics={"iou.a|b": 0.4, "iou.<img src=x>": 0.9},
        provenance={"device_name": "<b>GPU</b>"},
    )
    text = card(odd, given)

    assert r"| a\|b | 0.4 |" in text
    assert r"\<img src=x\>" in text
    assert not re.search(r"(?<!\\)<", text)


def test_a_confirmed_result_has_its_spread() -> None:
    """Mean and deviation over fresh seeds stand beside the trial's own metrics."""
    leader = ConfirmedLeader(
        trial=7, searched=0.7123, mean=0.69, spread=0.0112, values=(0.68, 0.7, 0.69)
    )
    confirmation = ConfirmationView(
        complete=True, seeds=(1, 2, 3), leaders=(leader,), verdict="it leads"
    )

    text = card(small.model("fcn"), result(confirmation=confirmation))

    assert "Trained again with 3 fresh seeds: 0.6900 ± 0.0112" in text


def test_a_model_of_the_best_epoch_says_which_and_that_it_was_chosen() -> None:
    """On the images that its results are of, so that they are likely to be too good."""
    by = DirectedMetric(metric="miou")
    config = small.model("fcn").config.model_copy(update={"best_by": by})
    text = card(small.model("fcn"), result(config=config, provenance={"epoch": 7, "epochs": 20}))

    assert "has seen and chosen by, at epoch 7 of 20, the best by miou:" in text


def test_a_model_without_a_result_says_so() -> None:
    """A bare model file has a card that makes nothing up."""
    text = card(small.model("fcn"), None)
    assert "results and origin are not known" in text
    assert "fingerprint: not known" in text
    assert "hardware: not known" in text


@pytest.mark.parametrize(
    ("weights", "provenance", "said"),
    [
        ("none", {}, "yours to choose"),
        ("pretrained", {"weights": {"source": "resnet18.a1_in1k"}}, "apache-2.0 (published"),
        ("pretrained", {"weights": {"source": "nobody.knows"}}, "unknown"),
        ("pretrained", {}, "unknown"),
        ("some/file.pt", {"weights": {"source": "some/file.pt"}}, "unknown"),
    ],
)
def test_the_licence_is_timms_or_unknown(
    weights: str, provenance: dict[str, Any], said: str
) -> None:
    """The licence of published weights is what timm records; every other one is unknown."""
    config = small.model("fcn").config
    config = config.model_copy(
        update={"model": config.model.model_copy(update={"weights": weights})}
    )
    assert said in licence(config, provenance)

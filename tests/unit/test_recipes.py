"""Recipes become points of the space, as far as they lie in it."""

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from tests.unit.samples import few, spaces, study
from tuner.configs.recipes import fitting, point_of, preset_values, prior_points, recipe_params
from tuner.configs.resolve import resolve
from tuner.search.rules import Rules
from tuner.search.suggest import Suggester

PRESETS = {
    "optimizer.name": {"choice": ["sgd", "adamw"]},
    "optimizer.lr": [
        {"float": [1e-3, 1e-1], "log": True, "when": {"optimizer.name": "sgd"}},
        {"float": [1e-5, 3e-3], "log": True, "when": {"optimizer.name": "adamw"}},
    ],
    "model.encoder": {"choice": ["hrnet_w18", "hrnet_w18_small"]},
}


@few
@given(spaces(), st.integers(1, 50))
def test_the_point_of_a_config_is_what_was_drawn(document: dict[str, Any], number: int) -> None:
    """A draw's config, read back through the space, is the draw."""
    spec = study(space=document, search={"sampler": "random"})
    params = Suggester(Rules(spec)).draw([], number).params
    config = resolve(spec.base, spec.dataset, params).model_dump(mode="json")
    assert point_of(spec.space, config) == params


def test_values_that_do_not_hold_together_are_left_out() -> None:
    """A learning rate of sgd is no value of adamw's range."""
    values = {"optimizer.name": "adamw", "optimizer.lr": 0.05, "augment.rotate": 31}
    assert fitting(study(), values) == {"optimizer.name": "adamw"}


def test_a_changed_recipe_keeps_the_rest_of_the_base() -> None:
    """Batch size and rotation are the base's own."""
    params = recipe_params(study(), {"optimizer.lr": 0.02})
    assert params["optimizer.lr"] == 0.02
    assert params["augment.rotate"] == 0
    assert params["optimizer.name"] == "sgd"


def test_presets_of_one_section_are_alternatives() -> None:
    """Two optimizers under one model are two recipes."""
    found = list(preset_values(["ocr", "sgd", "adamw"]))
    assert [values["optimizer.name"] for values in found] == ["sgd", "adamw"]
    assert {values["model.encoder"] for values in found} == {"hrnet_w18"}


def test_a_prior_of_presets_is_read_through_the_space() -> None:
    """What is not searched stays as in the base; configs come before presets, each once."""
    spec = study(
        space=PRESETS,
        base={"model": {"decoder": "ocr", "encoder": "hrnet_w18_small"}},
        search={
            "prior": {
                "configs": [{"optimizer.lr": 0.03}, {"optimizer.lr": 0.03}],
                "presets": ["ocr", "sgd", "adamw"],
            }
        },
    )
    assert prior_points(spec) == [
        {"optimizer.name": "sgd", "optimizer.lr": 0.03, "model.encoder": "hrnet_w18_small"},
        {"optimizer.name": "sgd", "optimizer.lr": 0.01, "model.encoder": "hrnet_w18"},
        {"optimizer.name": "adamw", "optimizer.lr": 1e-4, "model.encoder": "hrnet_w18"},
    ]

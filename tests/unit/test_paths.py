"""What a path may be is known in one place, and all that use paths agree with it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.samples import study
from tuner.configs import catalog, paths
from tuner.configs.resolve import resolve
from tuner.errors import InvalidSpec


@pytest.mark.parametrize("path", paths.searchable())
def test_every_searchable_path_is_a_path(path: str) -> None:
    """What a space may name, params may have, and a message would not refuse."""
    assert paths.unknown(path) is None
    assert paths.unsearchable(path) is None
    assert path == ".".join(paths.split_path(path))


@pytest.mark.parametrize("path", ["seed", "dataset.size", "optimizer", "optimizer.", "a.b", ""])
def test_what_is_no_path_cannot_be_searched(path: str) -> None:
    """Params of such a path make no config, and the message says which path."""
    assert paths.unsearchable(path)
    with pytest.raises(InvalidSpec, match="no config path"):
        resolve(study().base, study().dataset, {path: 1})


@given(st.integers(0, 99), st.sampled_from(["weight", "gamma", "name"]))
def test_a_term_of_a_sum_is_about_the_terms(position: int, key: str) -> None:
    """It may be searched, and belongs to the loss that has terms."""
    path = f"loss.terms.{position}.{key}"

    assert paths.is_term(path)
    assert paths.option_of(path) == "terms"
    assert paths.unsearchable(path) is None


def test_a_name_tells_its_kind_of_component() -> None:
    """The path of every kind that a config names, and no other, has a kind."""
    kinds = {path: kind for path in paths.searchable() if (kind := paths.component_kind(path))}

    assert {"model.decoder": "decoder", "model.encoder": "encoder"}.items() <= kinds.items()
    assert set(kinds.values()) <= set(catalog.FOLDERS)
    assert paths.component_kind("training.epochs") is None


def test_what_may_change_can_be_searched() -> None:
    """A value that a trial may change as it trains is one that params have."""
    changing = [path for path in paths.searchable() if paths.may_change(path)]

    assert {"optimizer.lr", "optimizer.weight_decay"} < set(changing)

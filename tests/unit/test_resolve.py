"""From base recipe and params to the config that is trained."""

from typing import Any

import pytest

from tests.unit.samples import study
from tuner.configs.resolve import complete, resolve
from tuner.errors import InvalidSpec
from tuner.spec.config import Change, DirectedMetric, TrialConfig


def config(params: dict[str, Any], **base: Any) -> TrialConfig:
    """The config of one trial over a base recipe."""
    spec = study(base=base)
    return resolve(spec.base, spec.dataset, params, seed=7)


def test_what_is_not_set_gets_its_default() -> None:
    """The config says everything that happened, options of components included."""
    found = config({})
    assert found.optimizer.options == {"momentum": 0.9, "nesterov": False}
    assert found.model.output_stride == 4
    assert found.seed == 7


def test_drawn_params_stand_in_the_config() -> None:
    """Sampled configuration is trained configuration."""
    found = config({"optimizer.lr": 0.05, "optimizer.momentum": 0.5, "augment.rotate": 12})
    assert found.optimizer.lr == 0.05
    assert found.optimizer.options["momentum"] == 0.5
    assert found.augment.strengths["rotate"] == 12


def test_a_base_option_of_another_component_is_dropped() -> None:
    """Momentum of the base means nothing under adamw."""
    found = config({"optimizer.name": "adamw"}, optimizer={"name": "sgd", "momentum": 0.8})
    assert "momentum" not in found.optimizer.options


def test_a_drawn_option_of_another_component_is_an_error() -> None:
    """A draw that does not apply would make the history lie."""
    with pytest.raises(InvalidSpec, match=r"add `when` on optimizer\.name: rmsprop, sgd"):
        config({"optimizer.name": "adamw", "optimizer.momentum": 0.9})


def test_every_mistake_is_named_at_once() -> None:
    """One error carries a problem for each wrong section."""
    with pytest.raises(InvalidSpec) as caught:
        config(
            {"optimizer.lr": -1},
            optimizer={"name": "sdg"},
            augment={"flipp": 1},
            model={"dekoder": 1},
        )
    found = {problem.location for problem in caught.value.problems}
    assert found == {("optimizer", "name"), ("augment", "flipp"), ("model", "dekoder")}


def test_an_encoder_that_cannot_carry_the_decoder_is_refused() -> None:
    """Output strides must meet."""
    with pytest.raises(InvalidSpec, match="deeplabv3plus' needs 16 or 8"):
        config({}, model={"decoder": "deeplabv3plus", "encoder": "hrnet_w18_small"})


def test_the_output_stride_is_chosen_for_the_pair() -> None:
    """What the decoder prefers and the encoder offers."""
    found = config({}, model={"decoder": "deeplabv3plus", "encoder": "resnet18"})
    assert found.model.output_stride == 16


@pytest.mark.parametrize("path", ["seed", "lr", "optimizer", "dataset.size", "a.b.c", "training.x"])
def test_a_path_that_does_not_exist_is_refused(path: str) -> None:
    """Params reach fields of the recipe's sections only."""
    with pytest.raises(InvalidSpec, match="no config path"):
        config({path: 1})


def test_a_config_from_outside_is_completed() -> None:
    """A best config as JSON, read back, is the same config."""
    found = config({"optimizer.lr": 0.05})
    assert complete(TrialConfig.model_validate(found.model_dump(mode="json"))) == found


def test_resolving_its_own_result_changes_nothing() -> None:
    """A full config is a fixed point, so that it trains again to the same number."""
    found = config({"optimizer.name": "adamw"})
    assert complete(found) == found


SUM = {"name": "sum", "terms": [{"name": "cross_entropy"}, {"name": "dice", "weight": 0.5}]}


def test_every_term_of_a_sum_is_settled_like_a_loss() -> None:
    """Weights and options are filled in, and the result is a fixed point as JSON."""
    found = config({}, loss=SUM)
    first, second = found.loss.options["terms"]
    assert first["weight"] == 1.0
    assert second == {"name": "dice", "weight": 0.5, "smooth": 1.0, "squared": False}
    assert complete(TrialConfig.model_validate_json(found.model_dump_json())) == found


def test_a_search_reaches_into_a_term() -> None:
    """`loss.terms.1.weight` is the second term's weight; the base keeps its own."""
    found = config({"loss.terms.1.weight": 0.1}, loss=SUM)
    assert [term["weight"] for term in found.loss.options["terms"]] == [1.0, 0.1]
    assert SUM["terms"][1] == {"name": "dice", "weight": 0.5}


@pytest.mark.parametrize(
    ("term", "message"),
    [
        ({"name": "dicee"}, "did you mean 'dice'"),
        ({}, "no loss is called ''"),
        ({"name": "dice", "gamma": 2}, "dice has no option 'gamma'"),
        ({"name": "dice", "weight": -1}, "greater than or equal to 0"),
        ({"name": "sum"}, "a term is one loss"),
    ],
)
def test_a_wrong_term_is_named_by_its_position(term: dict[str, Any], message: str) -> None:
    """The problem stands at the term and says what would be right."""
    with pytest.raises(InvalidSpec, match=message) as caught:
        config({}, loss={"name": "sum", "terms": [{"name": "focal"}, term]})
    assert str(caught.value).startswith("loss.terms.1.")


def test_a_term_that_is_not_there_cannot_be_drawn() -> None:
    """Positions count from 0."""
    with pytest.raises(InvalidSpec, match="there are 2 terms"):
        config({"loss.terms.2.weight": 0.1}, loss=SUM)


def test_a_term_drawn_for_another_loss_is_refused() -> None:
    """The message says which condition is missing."""
    with pytest.raises(InvalidSpec, match=r"add `when` on loss\.name: sum"):
        config({"loss.terms.1.weight": 0.1, "loss.name": "dice"})


def test_a_config_is_completed_with_what_chooses_its_epoch() -> None:
    """Else the best configuration would train again to the model of another epoch."""
    by = DirectedMetric(metric="iou.car")
    assert complete(config({}).model_copy(update={"best_by": by})).best_by == by


def test_an_unknown_metric_chooses_no_epoch() -> None:
    """Else no epoch would have a value, and the model would be the last's."""
    by = DirectedMetric(metric="mIoU")
    with pytest.raises(InvalidSpec, match="no metric is called 'mIoU'"):
        complete(config({}).model_copy(update={"best_by": by}))


def test_a_config_with_changes_is_completed_with_them() -> None:
    """What a population found can be trained again; a wrong value is refused."""
    plain = config({})
    good = plain.model_copy(update={"changes": (Change(epoch=3, values={"optimizer.lr": 0.1}),)})
    assert complete(good).changes == good.changes
    assert complete(good).at(2).optimizer.lr == plain.optimizer.lr
    assert complete(good).at(3).optimizer.lr == 0.1
    bad = plain.model_copy(update={"changes": (Change(epoch=3, values={"augment.flip": 7}),)})
    with pytest.raises(InvalidSpec, match="augment"):
        complete(bad)


def rates_of(decoder: str, size: tuple[int, int], **model: Any) -> list[int]:
    """Atrous rates of a config that was resolved for images of that size."""
    spec = study()
    dataset = spec.dataset.model_copy(update={"size": size})
    params = {"model.decoder": decoder, "model.encoder": "resnet18"}
    given = {f"model.{name}": value for name, value in model.items()}
    found = resolve(spec.base, dataset, {**params, **given})
    return list(found.model.options["atrous_rates"])


@pytest.mark.parametrize("decoder", ["deeplabv3", "deeplabv3plus", "asp_ocr"])
def test_atrous_rates_follow_the_output_stride_unless_they_are_given(decoder: str) -> None:
    """The paper's by default, in the config as trained, however small the images are."""
    assert rates_of(decoder, (360, 480), output_stride=8) == [12, 24, 36]
    assert rates_of(decoder, (32, 32), output_stride=16) == [6, 12, 18]
    assert rates_of(decoder, (32, 32), output_stride=16, atrous_rates=[6, 12, 18]) == [6, 12, 18]
    assert rates_of(decoder, (64, 96), output_stride=8, atrous_rates=[2, 11]) == [2, 11]


@pytest.mark.parametrize(
    ("size", "stride", "rates", "message"),
    [
        ((64, 96), 8, [2, 12], "rate 12 steps over the whole feature map, 8×12 .* from 1 to 11"),
        ((64, 96), 16, [6], "rate 6 .* 4×6 for images of 64×96 at output stride 16"),
        ((100, 16), 8, [13], "feature map, 13×2 .* from 1 to 12"),
        ((16, 16), 16, [1], "use larger images"),
    ],
)
def test_a_rate_that_sees_only_padding_is_refused(
    size: tuple[int, int], stride: int, rates: list[int], message: str
) -> None:
    """A 3×3 kernel whose neighbours all lie outside is a 1×1; one that still sees a row is not."""
    with pytest.raises(InvalidSpec, match=message) as caught:
        rates_of("deeplabv3plus", size, output_stride=stride, atrous_rates=rates)
    assert [problem.location for problem in caught.value.problems] == [("model", "atrous_rates")]


def test_rates_of_a_config_hold_when_it_trains_again() -> None:
    """A stored config with the default rates is complete, also for images that they exceed."""
    found = config({"model.decoder": "deeplabv3", "model.encoder": "resnet18"})
    assert complete(found) == found

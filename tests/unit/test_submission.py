"""Every mistake is found at submission, in its place, all of them at once."""

from copy import deepcopy
from typing import Any

import pytest
from hypothesis import given

from tests.unit.samples import document, few, spaces, study
from tuner.configs.checks import capabilities, check, parse, problems
from tuner.errors import InvalidInput, InvalidSpec, Problem
from tuner.spec.study import StudySpec


def mistakes(submitted: object) -> dict[tuple[str | int, ...], str]:
    """Location → message of every problem of a document; empty if it is fine."""
    try:
        parse(submitted)
    except InvalidSpec as error:
        return {problem.location: problem.message for problem in error.problems}
    return {}


def space(path: str, ranges: Any) -> dict[str, Any]:
    """The sample study with one more, or one other, path in its space."""
    changed = document()
    return {**changed, "space": {**changed["space"], path: ranges}}


@pytest.mark.parametrize(
    ("names", "place", "said"),
    [
        (["dice", "miou"], 1, "at which the first objective counts, here dice; leave this out"),
        (["parameters", "miou"], 0, "parameters is the same at every epoch"),
    ],
)
def test_an_objective_that_cannot_choose_the_epoch_is_refused(
    names: list[str], place: int, said: str
) -> None:
    """Several would ask for several models; what is measured once has no best epoch."""
    objectives: list[dict[str, str]] = [{"metric": name} for name in names]
    objectives[place]["at"] = "best"
    found = mistakes({**document(), "objectives": objectives, "deployment": {"device": "cpu"}})
    assert said in found["objectives", place, "at"]


def test_the_sample_is_fine() -> None:
    """A study as in the documentation has no problem."""
    assert mistakes(document()) == {}


@few
@given(spaces())
def test_no_valid_space_is_refused(ranges: dict[str, Any]) -> None:
    """Spaces whose draws all resolve pass."""
    assert problems(study(space=ranges)) == []


@pytest.mark.parametrize(
    ("path", "ranges", "location", "message"),
    [
        ("optimizer.lrr", {"float": [0.1, 0.2]}, (), "did you mean 'optimizer.lr'"),
        ("optimiser.lr", {"float": [0.1, 0.2]}, (), "did you mean 'optimizer.lr'"),
        ("dataset.size", {"choice": [[32, 32]]}, (), "data set cannot be searched"),
        ("seed", {"int": [0, 5]}, (), "seed cannot be searched"),
        ("training.epochs", {"int": [5, 50]}, (), "training.epochs cannot be searched with pruner"),
        ("schedule.name", {"choice": ["pole"]}, (0, "choice", 0), "did you mean 'poly'"),
        ("schedule.name", {"int": [1, 2]}, (0,), "write {choice: [...]}"),
        ("optimizer.momentum", {"float": [0.5, 0.9]}, (0,), "optimizer.name: rmsprop, sgd"),
        ("optimizer.weight_decay", {"float": [-1, 0.1]}, (0,), "greater than or equal to 0"),
        ("training.batch_size", {"int": [0, 16]}, (0,), "greater than or equal to 1"),
        ("training.batch_size", {"float": [4, 16]}, (0,), "write {int: [low, high]}"),
        ("training.init", {"choice": ["kaiming_normal", "he"]}, (0,), "'he'"),
        ("augment.flip", {"float": [0, 1.5]}, (0,), "less than or equal to 1"),
        ("model.encoder", {"choice": ["hrnet_w18_small"]}, (0,), "needs 16 or 8"),
        ("optimizer.lr", {"float": [0.2, 0.1]}, (0, "float"), "low 0.2 must be below"),
        ("optimizer.lr", {"flaot": [0.1, 0.2]}, (0,), "a range is one of"),
        ("optimizer.lr", {"float": ["x", 0.2]}, (0, "float", 0), "valid number"),
        ("optimizer.lr", [{"int": [1, 2]}, {"int": [3, 4]}], (), "active at once"),
        ("optimizer.lr", {"int": [1, 2], "when": {"loss.name": "x"}}, (), "is not searched"),
    ],
)
def test_a_mistake_in_the_space_is_found_in_its_place(
    path: str, ranges: Any, location: tuple[str | int, ...], message: str
) -> None:
    """Each is told where it stands in the document and what would be right."""
    found = mistakes(space(path, ranges))
    assert message in found[("space", path, *location)]


SUM = {"name": "sum", "terms": [{"name": "cross_entropy"}, {"name": "dice"}]}


@pytest.mark.parametrize(
    ("path", "ranges", "message"),
    [
        ("loss.terms.1.weight", {"float": [0.1, 3.0], "log": True}, None),
        ("loss.terms.1.name", {"choice": ["dice", "lovasz"]}, None),
        ("loss.terms.1.weight", {"float": [-1.0, 3.0]}, "greater than or equal to 0"),
        ("loss.terms.2.weight", {"float": [0.1, 3.0]}, "there are 2 terms"),
        ("loss.terms.1.gamma", {"float": [0.1, 3.0]}, "dice has no option 'gamma'"),
    ],
)
def test_a_range_may_reach_into_a_term_of_a_sum(
    path: str, ranges: dict[str, Any], message: str | None
) -> None:
    """Its corners are tried like those of any other path."""
    found = mistakes({**space(path, ranges), "base": {"loss": SUM}})
    if message is None:
        assert found == {}
    else:
        assert list(found) == [("space", path, 0)]
        assert message in found["space", path, 0]


TAUGHT = {
    "name": "sum",
    "terms": [{"name": "cross_entropy"}, {"name": "distill", "teacher": "big.pt"}],
}


@pytest.mark.parametrize(
    ("loss", "path", "ranges", "message"),
    [
        (TAUGHT, "loss.terms.1.temperature", {"float": [1.0, 8.0], "log": True}, None),
        (TAUGHT, "loss.terms.1.weight", {"float": [0.1, 3.0]}, None),
        (TAUGHT, "loss.terms.1.temperature", {"float": [-1.0, 8.0]}, "greater than 0"),
        (TAUGHT, "loss.terms.1.kind", {"choice": ["pixel", "channel"]}, None),
        (TAUGHT["terms"][1], "loss.temperature", {"float": [1.0, 8.0]}, None),
        (TAUGHT["terms"][1], "loss.teacher", {"choice": ["a.pt", "b.pt"]}, None),
        (TAUGHT["terms"][1], "loss.kind", {"choice": ["pixel", "row"]}, "'row'"),
    ],
)
def test_distillation_may_be_searched(
    loss: Any, path: str, ranges: dict[str, Any], message: str | None
) -> None:
    """Temperature, weight, kind and the teacher itself, alone and in a sum."""
    found = mistakes({**space(path, ranges), "base": {"loss": loss}})
    if message is None:
        assert found == {}
    else:
        assert message in str(found)


def test_an_option_is_fine_under_its_condition() -> None:
    """Momentum may be searched where sgd is drawn."""
    ranges = {"float": [0.5, 0.99], "when": {"optimizer.name": "sgd"}}
    assert mistakes(space("optimizer.momentum", ranges)) == {}


def test_a_corner_is_tried_under_every_condition() -> None:
    """A momentum of 1 is found although the base recipe uses adamw."""
    ranges = {"float": [0.5, 1.0], "when": {"optimizer.name": "sgd"}}
    submitted = space("optimizer.momentum", ranges)
    submitted["base"] = {"optimizer": {"name": "adamw"}}
    assert "less than 1" in mistakes(submitted)[("space", "optimizer.momentum", 0)]


def test_every_wrong_value_of_a_choice_is_named() -> None:
    """Two wrong names are two problems."""
    found = mistakes(space("loss.name", {"choice": ["cross_entropi", "zzz"]}))
    assert set(found) == {("space", "loss.name", 0, "choice", k) for k in (0, 1)}


@pytest.mark.parametrize(
    ("change", "location", "message"),
    [
        ({"name": "no spaces"}, ("name",), "not 'no spaces'"),
        ({"nmae": 1}, ("nmae",), "did you mean 'name'"),
        ({"search": {"trails": 3}}, ("search", "trails"), "did you mean 'trials'"),
        ({"search": {"trials": 0}}, ("search", "trials"), "not 0"),
        ({"search": {"max_wall_hours": 1e9}}, ("search", "max_wall_hours"), "or equal to 1000000"),
        ({"search": {"sampler": "tpee"}}, ("search", "sampler", "name"), "did you mean 'tpe'"),
        (
            {"search": {"sampler": {"name": "tpe", "start": 3}}},
            ("search", "sampler", "start"),
            "did you mean 'startup'",
        ),
        (
            {"search": {"pruner": {"name": "asha", "eta": 1}}},
            ("search", "pruner", "eta"),
            "greater than or equal to 2",
        ),
        (
            {"search": {"pruner": {"name": "auto", "eta": 3}}},
            ("search", "pruner", "eta"),
            "auto takes no options",
        ),
        ({"search": {"confirm": {"top": 0}}}, ("search", "confirm", "top"), "not 0"),
        (
            {"search": {"sampler": "grid"}},
            ("space", "optimizer.weight_decay", 0),
            "a grid needs a step",
        ),
        (
            {
                "search": {"sampler": "grid", "trials": 9},
                "space": {"augment.rotate": {"int": [1, 10]}},
            },
            ("search", "trials"),
            "more than 9 points",
        ),
        (
            {
                "objectives": [{"metric": "miou"}, {"metric": "dice"}],
                "search": {"pruner": "patience"},
            },
            ("search", "pruner"),
            "patience judges one objective and the study has 2",
        ),
        (
            {
                "objectives": [{"metric": "miou", "at": "best"}],
                "search": {"sampler": "pbt"},
            },
            ("objectives", 0, "at"),
            "pbt copies trials as they are",
        ),
        ({"objectives": [{"metric": "mio"}]}, ("objectives", 0, "metric"), "miou"),
        ({"objectives": [{"metric": "iou.cat"}]}, ("objectives", 0, "metric"), "iou.car"),
        (
            {"objectives": [{"metric": "miou", "direction": "minimize"}]},
            ("objectives", 0, "direction"),
            "write maximize",
        ),
        (
            {"objectives": [{"metric": "train_loss"}]},
            ("objectives", 0, "direction"),
            "write minimize",
        ),
        ({"constraints": [{"metric": "iou.cat", "min": 0.3}]}, ("constraints", 0, "metric"), "car"),
        ({"constraints": [{"metric": "miou", "min": 30}]}, ("constraints", 0), "0.30"),
        ({"constraints": [{"metric": "miou"}]}, ("constraints", 0), "needs min, max or both"),
        ({"base": {"optimizer": {"name": "sdg"}}}, ("base", "optimizer", "name"), "'sgd'"),
        ({"base": {"augment": {"flipp": 1}}}, ("base", "augment", "flipp"), "'flip'"),
        ({"base": {"model": {"dekoder": "x"}}}, ("base", "model", "dekoder"), "'decoder'"),
        ({"base": {"schedule": {"power": -1}}}, ("base", "schedule", "power"), "not -1"),
        ({"base": {"training": {"epochs": 0}}}, ("base", "training", "epochs"), "not 0"),
    ],
)
def test_a_mistake_elsewhere_is_found_in_its_place(
    change: dict[str, Any], location: tuple[str | int, ...], message: str
) -> None:
    """The rest of the document is checked in the same way."""
    assert message in mistakes(document(**change))[location]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            {},
            "cmaes does not support conditions, and model.encoder has a `when`; use auto, gp",
        ),
        ({"objectives": [{"metric": "miou"}, {"metric": "dice"}]}, "the study has 2; use auto"),
        (
            {"constraints": [{"metric": "dice", "min": 0.3}]},
            "does not support constraints; use auto",
        ),
        ({"space": {"training.batch_size": {"choice": [4, 8]}}}, "needs a range of numbers"),
        (
            {"search": {"sampler": "cmaes", "pruner": "promote"}},
            "learns from trials that have ended, and under promote most are paused",
        ),
        (
            {"search": {"sampler": "nsga2", "pruner": "hyperband"}},
            "learns from trials that have ended, and under hyperband most are paused",
        ),
    ],
)
def test_a_sampler_is_not_asked_for_what_it_cannot_do(change: dict[str, Any], message: str) -> None:
    """The reason is given, and the samplers that can."""
    changed = document(**{"search": {"sampler": "cmaes"}, **change})
    assert message in " ".join(
        problem.message
        for problem in problems(StudySpec.model_validate(changed))
        if problem.location == ("search", "sampler")
    )


def test_cmaes_may_search_what_it_can() -> None:
    """Numbers without conditions, and choices beside them."""
    plain = {
        "optimizer.lr": {"float": [1e-3, 1e-1], "log": True},
        "training.batch_size": {"choice": [4, 8]},
    }
    assert mistakes(document(space=plain, search={"sampler": "cmaes"})) == {}


@pytest.mark.parametrize("sampler", ["gp", "nsga2", "nsga3", "qmc"])
def test_conditions_and_several_objectives_are_no_problem_to_others(sampler: str) -> None:
    """The sample's space has conditions."""
    two = [{"metric": "miou"}, {"metric": "dice"}]
    search = {"sampler": sampler, "pruner": "none"}
    assert mistakes(document(objectives=two, search=search)) == {}


@pytest.mark.parametrize(
    ("prior", "location", "message"),
    [
        ({}, (), "names configs, presets or both"),
        ({"configs": [{"optimizer.lrr": 0.1}]}, ("configs", 0, "optimizer.lrr"), "'optimizer.lr'"),
        ({"configs": [{"augment.rotate": 31}]}, ("configs", 0, "augment.rotate"), "never drawn"),
        (
            {"configs": [{"optimizer.name": "adamw", "optimizer.lr": 0.05}]},
            ("configs", 0, "optimizer.lr"),
            "0.05 is never drawn",
        ),
        (
            {"configs": [{}, {"model.decoder": "deeplabv3plus"}]},
            ("configs", 1),
            "does not make a valid config with the base recipe",
        ),
        ({"presets": ["ocr", "sdg"]}, ("presets", 1), "did you mean 'sgd'"),
        ({"presets": ["losses"]}, ("presets", 0), "sets nothing that this study searches"),
    ],
)
def test_a_prior_speaks_of_the_space(
    prior: dict[str, Any], location: tuple[str | int, ...], message: str
) -> None:
    """Each value that could not be drawn is named where it stands."""
    hrnet = {"model": {"decoder": "ocr", "encoder": "hrnet_w18_small"}}
    found = mistakes(document(base=hrnet, search={"prior": prior}))
    assert message in found[("search", "prior", *location)]


def test_a_good_prior_is_no_problem() -> None:
    """Configs within the space, and presets that say something of it."""
    prior = {"configs": [{"optimizer.lr": 0.02}], "presets": ["sgd", "adamw"], "weight": 0.3}
    assert mistakes(document(search={"prior": prior})) == {}


def test_a_server_without_a_samplers_package_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    """The packages that are missing are named; other samplers need none of them."""
    monkeypatch.setattr(capabilities, "find_spec", lambda package: None)
    with pytest.raises(InvalidInput, match="gp needs scipy, which this server does not"):
        capabilities.require_packages(study(search={"sampler": "gp"}))
    capabilities.require_packages(study(search={"sampler": "tpe"}))


@pytest.mark.parametrize(
    ("change", "location", "message"),
    [
        ({"format": "foldr"}, ("dataset", "format"), "did you mean 'folder'"),
        ({"format": "folder", "roott": "x"}, ("dataset", "roott"), "did you mean 'root'"),
        ({"ignore_index": 1}, ("dataset",), "also the label of class 'car'"),
    ],
)
def test_a_mistake_in_the_data_set_is_found(
    change: dict[str, Any], location: tuple[str | int, ...], message: str
) -> None:
    """Format and options are checked before any worker reads a file."""
    changed = document()
    changed["dataset"] = {**changed["dataset"], **change}
    assert message in mistakes(changed)[location]


def test_mistakes_of_shape_do_not_hide_those_of_meaning() -> None:
    """A missing name, a bad number and an unknown loss are all told at once."""
    submitted = space("loss.name", {"choice": ["cross_entropi"]})
    del submitted["name"]
    submitted["search"] = {"trials": 0}
    assert set(mistakes(submitted)) == {
        ("name",),
        ("search", "trials"),
        ("space", "loss.name", 0, "choice", 0),
    }


def test_one_mistake_is_one_problem() -> None:
    """A wrong base option is not told again for every combination of the space."""
    found = mistakes(document(base={"model": {"dekoder": "x"}}))
    assert set(found) == {("base", "model", "dekoder")}


@pytest.mark.parametrize("submitted", [None, [], "name: x", 3])
def test_what_is_no_document_is_refused(submitted: object) -> None:
    """A list or a text gets a sentence, not a stack trace."""
    assert "a study is a mapping" in mistakes(submitted)[()]


def test_parse_leaves_the_document_alone() -> None:
    """What was submitted is kept as it was written."""
    submitted = document(base={"training": {"epochs": 0}})
    before = deepcopy(submitted)
    mistakes(submitted)
    assert submitted == before


def test_check_raises_what_problems_lists() -> None:
    """`check` is `problems` with a raised voice."""
    spec = study(objectives=[{"metric": "mio"}])
    with pytest.raises(InvalidSpec) as caught:
        check(spec)
    assert list(caught.value.problems) == problems(spec)
    assert isinstance(caught.value.problems[0], Problem)


def test_a_study_of_many_components_is_checked_in_bounded_work() -> None:
    """Every combination of every name is within reach, and none is a problem."""
    many = {
        "model.decoder": {"choice": ["ocr", "deeplabv3", "deeplabv3plus"]},
        "model.encoder": {"choice": ["resnet18", "resnet34", "resnet50", "mobilenet_v2"]},
        "optimizer.name": {"choice": ["sgd", "adamw"]},
        "schedule.name": {"choice": ["poly", "cosine", "constant"]},
        "augment.scale": {"choice": [[0.5, 2.0], [0.75, 1.5]]},
    }
    base = {"model": {"decoder": "deeplabv3plus", "encoder": "resnet18"}}
    assert problems(study(space=many, base=base)) == []


DILATED = {"model": {"decoder": "deeplabv3", "encoder": "resnet18"}}
LISTS = {"choice": [[1, 2, 3], [2, 4, 9]]}


def dilated(strides: list[int]) -> dict[tuple[str | int, ...], str]:
    """Mistakes of a study that searches lists of rates and strides over images of 64×80."""
    data = {**document()["dataset"], "size": [64, 80]}
    searched = {"model.atrous_rates": LISTS, "model.output_stride": {"choice": strides}}
    return mistakes(document(dataset=data, base=DILATED, space=searched))


def test_lists_of_atrous_rates_are_tried_at_every_output_stride() -> None:
    """What fits stride 8 may not fit stride 16, and no draw may meet that first."""
    assert dilated([8]) == {}
    found = dilated([8, 16])
    assert list(found) == [("space", "model.atrous_rates", 0)]
    assert "atrous rate 9 steps over the whole feature map, 4×5" in found[next(iter(found))]


def test_the_plain_baselines_are_searched_knob_by_knob() -> None:
    """Layers, width, kernel, dilation, activation and norm of the CNN; the cell of the other."""
    cnn, recurrent = {"model.decoder": "cnn"}, {"model.decoder": "reseg"}
    searched = {
        "model.decoder": {"choice": ["cnn", "reseg"]},
        "model.norm": {"choice": ["batch", "group"]},
        "model.layers": {"int": [1, 4]},
        "model.mid_channels": {"choice": [32, 64], "when": cnn},
        "model.kernel": {"int": [3, 7], "step": 2, "when": cnn},
        "model.dilation": {"int": [1, 4], "when": cnn},
        "model.activation": {
            "choice": ["relu", "leaky_relu", "elu", "gelu", "silu"],
            "when": cnn,
        },
        "model.cell": {"choice": ["gru", "lstm"], "when": recurrent},
        "loss.name": {"choice": ["cross_entropy", "mse"]},
    }
    base = {"model": {"decoder": "cnn", "encoder": "resnet18"}}
    assert mistakes(document(base=base, space=searched)) == {}
    wrong = {**searched, "model.kernel": {"int": [3, 7], "when": cnn}}
    assert (
        "3, 5 or 7, not 4" in mistakes(document(base=base, space=wrong))["space", "model.kernel", 0]
    )

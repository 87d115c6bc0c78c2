"""Every sampler file keeps its contract; a test that takes `sampler` runs for each of them."""

from optuna.samplers import BaseSampler

from tests.unit.samples import completed, study
from tuner.configs import catalog
from tuner.search.rules import Rules
from tuner.search.suggest import Suggester
from tuner.spec.study import StudySpec


def finite(sampler: str) -> StudySpec:
    """A study that every sampler can search: its space is conditional and finite."""
    ranges = {
        "optimizer.name": {"choice": ["sgd", "adamw"]},
        "optimizer.momentum": {"choice": [0.0, 0.9], "when": {"optimizer.name": "sgd"}},
        "augment.rotate": {"int": [0, 9]},
    }
    return study(space=ranges, search={"sampler": sampler, "trials": 30, "seed": 4})


def test_build_gives_an_optuna_sampler(sampler: str) -> None:
    """With its defaults, from a study and a seed."""
    assert isinstance(
        catalog.load("sampler", sampler).build(Rules(finite(sampler)), 1), BaseSampler
    )


def test_a_sampler_repeats_from_its_seed(sampler: str) -> None:
    """Twelve trials, drawn twice from the same study, are the same."""

    def draws() -> list[dict[str, object]]:
        suggester, found = Suggester(Rules(finite(sampler))), list[dict[str, object]]()
        for number in range(12):
            new = [completed(number - 1, found[-1], 0.5)] if found else []
            found.append(suggester.draw(new, number).params)
        return found

    assert draws() == draws()

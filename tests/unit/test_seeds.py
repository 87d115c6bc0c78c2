"""Seeds are functions of what they are for, and stay what they have been."""

from hypothesis import given
from hypothesis import strategies as st

from tests.unit.samples import study
from tuner.configs.seeds import draw_seed, fresh_seeds, trial_config, trial_seed

SEEDS = st.integers(0, 2**31 - 1)


def test_the_numbers_never_change() -> None:
    """Studies of earlier releases are repeated by them."""
    assert (
        trial_seed(0, 0),
        trial_seed(7, 3),
        trial_seed(2**31 - 1, 59),
    ) == (1, 7_023_779, 2_146_950_867)
    assert (draw_seed(0, 0), draw_seed(7, 3, 2)) == (3_905_563_605, 3_376_350_480)
    assert fresh_seeds(0, 2) == (1_395_115_724, 156_542_938)
    assert fresh_seeds(7, 3) == (805_752_932, 2_071_445_186, 1_209_205_925)


@given(SEEDS, st.integers(0, 10_000))
def test_a_trial_has_its_own_seed(study_seed: int, number: int) -> None:
    """Neighbours train with different seeds, all of which a config may have."""
    seed, other = trial_seed(study_seed, number), trial_seed(study_seed, number + 1)

    assert seed != other
    assert 0 <= seed < 2**31


@given(SEEDS, st.integers(1, 30))
def test_fresh_seeds_differ_and_stay(study_seed: int, count: int) -> None:
    """More seeds keep the first ones, so that what was trained before stays paired."""
    seeds = fresh_seeds(study_seed, count)

    assert count == len(set(seeds))
    assert fresh_seeds(study_seed, count + 1)[:count] == seeds


def test_a_trial_s_config_is_that_of_its_number() -> None:
    """Params and number give all that a trial trains with."""
    spec = study(search={"seed": 7})
    config = trial_config(spec, {"augment.rotate": 10}, 3)

    assert config.augment.strengths["rotate"] == 10
    assert trial_seed(7, 3) == config.seed

"""What an epoch says of its devices: one process's reading, or all ranks' as one."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tuner.training.determinism import DeviceContext
from tuner.training.gauges import Gauges, joint
from tuner.training.process_group import ProcessGroup
from tuner.training.ranks import Rank

READINGS = st.lists(
    st.fixed_dictionaries(
        {}, optional={"peak_memory_mb": st.floats(0, 1e6), "gpu_utilisation": st.floats(0, 1)}
    ),
    min_size=1,
    max_size=8,
)


def test_the_greatest_peak_and_the_mean_use_are_told() -> None:
    """A rank that waits for another one shows in the mean; what runs out is what takes most."""
    first = {"peak_memory_mb": 900.0, "gpu_utilisation": 0.9}
    second = {"peak_memory_mb": 1100.0, "gpu_utilisation": 0.5}
    assert joint([first, second]) == {"peak_memory_mb": 1100.0, "gpu_utilisation": 0.7}


@given(READINGS)
def test_what_some_do_not_say_is_told_of_the_others(readings: list[dict[str, float]]) -> None:
    """A gauge is there if any rank can read it, and within what they read."""
    found = joint(readings)
    assert found.keys() == {name for reading in readings for name in reading}
    for name, value in found.items():
        read = [reading[name] for reading in readings if name in reading]
        assert min(read) <= value <= max(read) or value == pytest.approx(min(read))


@given(READINGS)
def test_the_order_of_the_ranks_does_not_count(readings: list[dict[str, float]]) -> None:
    """The same readings from ranks in another order give the same."""
    assert joint(readings[::-1]) == pytest.approx(joint(readings))


class Scripted(ProcessGroup):
    """A group whose other rank is scripted."""

    rank = Rank(0, 2)

    def __init__(self, other: object) -> None:
        self.other, self.told = other, list[object]()

    def gathered(self, value):  # type: ignore[no-untyped-def]  # whatever is gathered
        """The own value, and the scripted one."""
        self.told.append(value)
        return [value, self.other]


def test_each_rank_tells_its_reading_once_an_epoch() -> None:
    """One exchange gives what all of them have read, also to one that can read nothing."""
    group = Scripted({"peak_memory_mb": 7.0})
    assert Gauges(DeviceContext(), group=group).device() == {"peak_memory_mb": 7.0}
    assert group.told == [{}]


def test_hours_count_every_device() -> None:
    """What an epoch costs is its time on each of them."""
    gauges = Gauges(DeviceContext(), group=Scripted({}))
    before = gauges.seconds
    assert gauges.device_seconds >= 2 * before

"""Which failures say the same, and which of those tell that the next trials will fail too."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.store.samples import spec
from tuner.service.alike import ENOUGH, FailedTrial, alike, reason
from tuner.spec.failures import essence
from tuner.spec.kinds import ErrorKind
from tuner.spec.study import StudySpec

STUDY = spec()
NUMBERS = st.integers() | st.floats() | st.floats().map(lambda value: f"{value:.3e}")
WORDS = st.from_regex(r"[a-z_][a-z0-9_-]{0,12}", fullmatch=True)
PATHS = st.builds(
    lambda parts, end: "/" + "/".join(parts) + end,
    st.lists(WORDS, min_size=1, max_size=4),
    st.sampled_from(["", ".png", ".npy"]),
)
ADDRESSES = st.integers(0, 2**64 - 1).map(hex) | st.uuids().map(str)
PLACES = st.ip_addresses(v=4).map(lambda ip: f"http://{ip}:80/a")

VALUES = st.tuples(NUMBERS, PATHS, ADDRESSES, PLACES)


def failure(
    number: int,
    message: str = "no",
    *,
    kind: str = ErrorKind.EXCEPTION,
    step: int = 0,
    **params: Any,
) -> FailedTrial:
    """A failed trial; `model__decoder` stands for the path model.decoder."""
    drawn = {name.replace("__", "."): value for name, value in params.items()}
    return FailedTrial(number, kind, message, step, drawn)


def found(*failures: FailedTrial, document: StudySpec = STUDY, furthest: int = 0) -> list[int]:
    """Numbers of those that are alike."""
    return [each.number for each in alike(failures, document, furthest=furthest)]


@given(VALUES, VALUES)
def test_what_differs_from_trial_to_trial_is_no_part_of_a_message(
    one: tuple[object, ...], other: tuple[object, ...]
) -> None:
    """Numbers, paths in quotes or not, addresses in memory and in the network."""
    template = "ValueError: {0} of '{1}' at <Tensor at {2}> in {1}: not {0}, ask {3} again"

    assert essence(template.format(*one)) == essence(template.format(*other))


@given(st.text(max_size=400), st.lists(st.text(min_size=1, max_size=9), max_size=3))
def test_any_text_has_a_short_essence(text: str, drawn: list[str]) -> None:
    """In one line and without a digit, whatever was said; twice the same is the same."""
    short = essence(text, drawn)

    assert len(short) <= 300
    assert short == " ".join(short.split()) == essence(text, drawn)
    assert not any(letter in "0123456789" for letter in short)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("mask 7.png has label 19", "mask street_b.png has label 255"),
        ("cannot read 'my data/a 1.png'", "cannot read 'other data/b.png'"),
        (r"cannot read C:\data\a.png", r"cannot read D:\b.png"),
        ("shape [1, 3, 64, 64] is not allowed", "shape [2, 3] is not allowed"),
        ("mat1 (8x512) does not fit", "mat1 (4x32) does not fit"),
        ("it has 1 image and needs 8", "it has 3 images and needs 12,400"),
        ("loss is nan at step 3", "loss is -inf at step 12"),
        ("no\n\nTraceback (most recent call last):\n  a", "no\n\nTraceback …:\n  b"),
        ("Traceback (most recent call last):\n" + "  x\n" * 999 + "E: 1", "E: 2"),
        ("blob 3f2a9c01be77 is not there", "blob ab1299ffee01 is not there"),
        ("on 10.0.0.1:8000 nobody answers", "on 10.0.12.31:80 nobody answers"),
    ],
)
def test_messages_of_one_reason_have_one_essence(one: str, other: str) -> None:
    """What our own messages and those of libraries put into them does not count."""
    assert essence(one) == essence(other)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("KeyError: 'weights'", "KeyError: 'momentum'"),
        ("No module named 'acme'", "No module named 'seg'"),
        ("ValueError: a", "TypeError: a"),
        ("the mask has label 3", "the image has label 3"),
    ],
)
def test_other_reasons_have_another_essence(one: str, other: str) -> None:
    """Names and words count."""
    assert essence(one) != essence(other)


@given(st.integers(0, 12), st.integers(0, 12))
def test_as_many_as_are_enough_tell(same: int, other: int) -> None:
    """Whatever else failed between them; fewer do not, of however many."""
    others = [
        failure(100 + one, f"{'x' * (1 + one // 2)} went wrong", kind="data")
        for one in range(other)
    ]
    same_ones = [failure(one, f"value {one} is not allowed") for one in range(same)]
    expected = [*range(same)] if same >= ENOUGH else []

    assert found(*others[: other // 2], *same_ones, *others[other // 2 :]) == expected


@pytest.mark.parametrize("kind", [kind for kind in ErrorKind if kind != ErrorKind.DIVERGED])
def test_failures_of_two_kinds_are_not_alike(kind: str) -> None:
    """Even if they say the same."""
    three = [failure(number, kind=kind) for number in range(2)]

    assert found(*three, failure(2, kind=ErrorKind.DIVERGED)) == []


def test_divergence_never_tells() -> None:
    """The next learning rate may be smaller."""
    assert found(*(failure(one, kind=ErrorKind.DIVERGED) for one in range(9))) == []


@pytest.mark.parametrize(
    ("space", "tells"),
    [
        ({"optimizer.lr": {"float": [0.001, 0.1]}}, True),
        ({"optimizer.lr": {"float": [0.001, 0.1]}, "loss.name": {"choice": ["dice"]}}, True),
        ({"training.batch_size": {"choice": [4, 8]}}, False),
        ({"model.encoder": {"choice": ["resnet18", "hrnet_w18_small"]}}, False),
    ],
)
def test_memory_tells_where_nothing_that_decides_it_is_searched(space: Any, tells: bool) -> None:
    """Another model or batch may fit where these did not."""
    three = [failure(one, kind=ErrorKind.OUT_OF_MEMORY) for one in range(3)]

    assert found(*three, document=spec(space=space)) == ([0, 1, 2] if tells else [])


@pytest.mark.parametrize(("furthest", "tells"), [(0, True), (2, True), (3, False)])
def test_a_trial_that_got_further_speaks_for_the_study(furthest: int, tells: bool) -> None:
    """It may complete; one that got no further says nothing."""
    three = [failure(one, step=step) for one, step in enumerate((1, 2, 0))]

    assert found(*three, furthest=furthest) == ([0, 1, 2] if tells else [])
    assert found(*three, failure(3, kind=ErrorKind.DIVERGED, step=furthest)) == (
        [0, 1, 2] if tells else []
    )


@pytest.mark.parametrize(
    ("decoders", "tells"),
    [(("ocr", "ocr", "ocr"), False), (("ocr", "pspnet", "ocr"), True)],
)
def test_what_they_drew_may_be_to_blame(decoders: tuple[str, ...], tells: bool) -> None:
    """A message that names what all of them drew says nothing of the other choices."""
    three = [
        failure(number, f"decoder {decoder} wants stride {number}", model__decoder=decoder)
        for number, decoder in enumerate(decoders)
    ]

    assert found(*three) == ([0, 1, 2] if tells else [])


def test_a_choice_that_is_a_common_word_hides_nothing() -> None:
    """Where they drew others and the message stays, the word is none of them."""
    three = [
        failure(number, "the batch cannot be stacked", model__norm=norm)
        for number, norm in enumerate(("batch", "group", "batch"))
    ]

    assert found(*three) == [0, 1, 2]


def test_what_a_dead_trainer_wrote_last_does_not_count() -> None:
    """The first line of a crash says how it ended; a lost worker says nothing at all."""
    crashed = [
        failure(
            one, f"it ended with signal 9; its last output:\n{'x' * one} y", kind=ErrorKind.CRASH
        )
        for one in range(3)
    ]
    lost = [
        failure(one, f"3 attempts were lost on {'abc'[one]}", kind=ErrorKind.LOST_WORKER)
        for one in range(3)
    ]

    assert found(*crashed) == found(*lost) == [0, 1, 2]


@pytest.mark.parametrize("kind", [*ErrorKind, "another release's", ""])
def test_the_reason_names_kind_message_and_remedy(kind: str) -> None:
    """Of whatever kind it is."""
    three = [failure(number, "it broke.", kind=kind) for number in (1, 2, 3)]
    named = f" ({kind})" if kind else ""

    assert reason(three, 3).startswith(f"the first 3 trials failed alike: trial 1{named}: it broke")
    assert reason(three, 4).startswith("3 of the first 4 trials failed alike: trial 1")
    assert reason(three, 3).endswith(" anew")

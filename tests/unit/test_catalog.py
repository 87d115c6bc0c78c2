"""Component files are found and read as text."""

import re
import subprocess
import sys

import pytest

from tuner.configs import catalog, timm_names
from tuner.configs.traits import EncoderTraits, PrunerTraits
from tuner.errors import UnknownComponent


@pytest.mark.parametrize("kind", list(catalog.FOLDERS))
def test_every_kind_has_components_with_a_summary(kind: str) -> None:
    """A listing needs a name and one sentence for each."""
    found = catalog.components(kind)
    assert found
    assert all(component.summary for component in found.values())


@pytest.mark.parametrize("kind", list(catalog.FOLDERS))
def test_every_default_is_a_valid_option(kind: str) -> None:
    """A component that is named without options can be built."""
    for component in catalog.components(kind).values():
        for option in component.options.values():
            assert option.check(option.default)[1] is None, f"{component.name}.{option.name}"


def test_listing_imports_no_component() -> None:
    """A server without torch knows every loss and decoder."""
    code = (
        "import sys; from tuner.configs import catalog; "
        "[catalog.components(kind) for kind in catalog.FOLDERS]; "
        "assert 'torch' not in sys.modules and 'optuna' not in sys.modules"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_an_unknown_name_gets_the_nearest() -> None:
    """A typo is answered with what was probably meant."""
    with pytest.raises(UnknownComponent, match="did you mean 'adamw'"):
        catalog.find("optimizer", "adamww")


def test_a_name_like_no_other_gets_all() -> None:
    """Where nothing is near, every name is listed."""
    with pytest.raises(UnknownComponent, match=r"valid are: .*sgd"):
        catalog.find("optimizer", "zzz")


def test_a_family_answers_to_each_of_its_names() -> None:
    """One file may serve several encoders."""
    assert {"resnet18", "resnet50"} <= set(catalog.names("encoder"))


@pytest.mark.parametrize(
    ("name", "strides"), [("tu-resnet50d", (8, 16, 32)), ("tu-pvt_v2_b0", (32,))]
)
def test_any_name_of_timm_is_an_encoder(name: str, strides: tuple[int, ...]) -> None:
    """Names after the prefix are found in timm's files, with what such a model can do."""
    found = catalog.find("encoder", name)
    assert found.name == name
    assert catalog.traits(EncoderTraits, name).output_strides == strides


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("tu-resnet5", "did you mean 'tu-resnet50'"),
        ("tu-vit_tiny_patch16_224", "no features at strides 4 to 32"),
    ],
)
def test_a_name_that_timm_cannot_serve_is_refused(name: str, reason: str) -> None:
    """A typo gets the nearest name, a model without a pyramid the reason."""
    with pytest.raises(UnknownComponent, match=reason):
        catalog.find("encoder", name)


def test_without_timm_its_names_are_taken_as_they_are(monkeypatch: pytest.MonkeyPatch) -> None:
    """A server without it leaves the check to the worker."""
    monkeypatch.setattr(timm_names, "files", dict)
    assert catalog.find("encoder", "tu-anything").name == "tu-anything"


FILE = '"""One."""\n{}\ndef build(*, share: float = 0.5): ...\n'


@pytest.mark.parametrize(
    ("kind", "line", "said"),
    [
        ("sampler", "JUDGE = True", "JUDGE is not a trait of a sampler; did you mean 'JUDGES'"),
        ("sampler", "OUTPUT_STRIDES = (8,)", "OUTPUT_STRIDES is not a trait of a sampler"),
        ("sampler", "JUDGES: bool = 'yes'", "JUDGES: input should be a valid boolean"),
        ("sampler", "NEEDS = 'scipy'", "NEEDS: input should be a valid tuple"),
        ("pruner", "OBJECTIVES = 'two'", "OBJECTIVES: input should be 'one' or 'several'"),
        ("pruner", "PEERS = not True", "PEERS must be a literal"),
        ("loss", "EPSILON = 1e-6", "EPSILON is not a trait of a loss"),
        ("encoder", "", "OUTPUT_STRIDES: is missing"),
        ("optimizer", "LR_SCALING = None", "LR_SCALING: input should be 'linear', 'sqrt' or"),
    ],
)
def test_a_file_that_says_what_its_kind_does_not_know_is_refused(
    kind: str, line: str, said: str
) -> None:
    """A typing mistake in a trait never passes for its default."""
    with pytest.raises(TypeError, match=re.escape(said)) as raised:
        catalog.parsed(kind, "tuner.somewhere.mine", FILE.format(line))
    assert "tuner.somewhere.mine" in str(raised.value)


def test_a_file_says_what_it_is_in_capitals() -> None:
    """What begins with an underscore is its own, and so is all that is not in capitals."""
    lines = "OBJECTIVES = 'one'\n_LEAST = 1e-6\nlogger = print"
    (found,) = catalog.parsed("pruner", "tuner.somewhere.mine", FILE.format(lines))
    assert found.name == "mine"
    assert found.traits == PrunerTraits(objectives="one")
    assert found.options["share"].default == 0.5


def test_a_file_without_its_function_is_refused() -> None:
    """The function that the kind is built by is named."""
    with pytest.raises(TypeError, match="has no function open_split, which a dataset needs"):
        catalog.parsed("dataset", "tuner.somewhere.mine", FILE.format(""))


def test_options_are_checked_and_converted() -> None:
    """An option says what is wrong with a value, in a sentence."""
    momentum = catalog.find("optimizer", "sgd").options["momentum"]
    assert momentum.check("0.5") == (0.5, None)
    assert momentum.check(1.5)[1] == "input should be less than 1"

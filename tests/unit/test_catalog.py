"""Component files are found and read as text."""

import subprocess
import sys

import pytest

from tuner import catalog
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
        "import sys; from tuner import catalog; "
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


def test_options_are_checked_and_converted() -> None:
    """An option says what is wrong with a value, in a sentence."""
    momentum = catalog.find("optimizer", "sgd").options["momentum"]
    assert momentum.check("0.5") == (0.5, None)
    assert momentum.check(1.5)[1] == "input should be less than 1"

"""What only some commands need is imported where it is used, and named where it is missing."""

import sys
from pathlib import Path

import pytest

from tuner.delivery.needs import require
from tuner.errors import PackageMissing


def test_a_module_that_is_there_is_imported() -> None:
    """A package that is there is given as its module, also one inside of another."""
    assert require("json.decoder").JSONDecoder
    assert require("json").loads("1") == 1


def test_a_missing_package_is_named_with_the_command_that_installs_it() -> None:
    """The message names the package as the index does, and its extra."""
    with pytest.raises(PackageMissing) as raised:
        require("no_such_thing.inside", purpose="segtune export --to onnx")

    assert str(raised.value) == (
        "segtune export --to onnx needs the package no-such-thing, which is not installed here; "
        "install it with: pip install 'segtune[export]'"
    )


def test_another_extra_is_named() -> None:
    """A package of another extra is installed by that one."""
    with pytest.raises(PackageMissing, match=r"pip install 'segtune\[video\]'"):
        require("no_such_thing", extra="video")


def test_a_package_that_does_not_load_says_why(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A package whose own imports fail is not called missing."""
    (tmp_path / "halfway_there.py").write_text("import another_missing_thing\n")
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])

    with pytest.raises(PackageMissing, match=r"does not load here: .*another_missing_thing"):
        require("halfway_there")

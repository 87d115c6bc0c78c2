"""Packages of an extra: imported where they are used; one that is missing is named."""

from importlib import import_module
from typing import Any

from tuner.errors import PackageMissing

_EXTRA = "export"
# Packages that are called otherwise in the index than in an import.
_PACKAGES = {"cv2": "opencv-python-headless"}


def require(name: str, *, purpose: str = "this", extra: str = _EXTRA) -> Any:
    """The module of that name, imported now, as `onnxruntime` or `captum.attr`.

    Raises:
        PackageMissing: it is not installed here, or does not load; the message says what to run.
    """
    try:
        return import_module(name)
    except ImportError as error:
        package = name.partition(".")[0]
        missing = error.name is not None and error.name.partition(".")[0] == package
        shown = _PACKAGES.get(package, package.replace("_", "-"))
        said = "is not installed here" if missing else f"does not load here: {error}"
        raise PackageMissing(
            f"{purpose} needs the package {shown}, which {said}; "
            f"install it with: pip install 'segtune[{extra}]'"
        ) from error

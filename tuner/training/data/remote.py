"""Copies a remote data set (`s3://…`, `gs://…`) to the cache, once, and again where it changed.

The operator allows a remote place like a folder: `--data-root s3://bucket/sets`. Files are fetched
through fsspec, which is not a dependency of ours; neither is the package behind each scheme.
"""

import json
import logging
import re
import shutil
from collections.abc import Mapping, Sequence
from hashlib import sha256
from pathlib import Path, PurePosixPath
from typing import Any

from filelock import FileLock

from tuner.atomic import replacing
from tuner.errors import DataError, DataUnavailable
from tuner.spec.config import DatasetConfig
from tuner.training import paths
from tuner.training.data.patterns import is_litter

logger = logging.getLogger(__name__)
_SCHEME = re.compile(r"([a-z][a-z0-9+.-]+)://(.*)")
_FACTS = ("size", "ETag", "etag", "md5Hash", "mtime", "created", "LastModified")


def fetched(
    dataset: DatasetConfig, cache: Path, roots: tuple[Path, ...]
) -> tuple[DatasetConfig, tuple[Path, ...]]:
    """The data set with a local root, and the roots with the local copy among them.

    Raises:
        DataUnavailable: the place is not allowed, holds nothing, or cannot be read.
        OSError: the cache cannot be written.
    """
    url = str(dataset.options.get("root") or "")
    if not _SCHEME.fullmatch(url):
        return dataset, roots
    _check_allowed(url, roots)
    place = cache / "remote" / sha256(url.encode()).hexdigest()[:32]
    place.mkdir(parents=True, exist_ok=True)
    with FileLock(place.with_suffix(".lock")):
        _update(url, place)
    return dataset.model_copy(update={"root": str(place)}), (*roots, place)


def url_of(root: Path) -> str | None:
    """The remote place that an allowed root means: as a path, `s3://a/b` became `…/s3:/a/b`."""
    for position, part in enumerate(root.parts):
        if re.fullmatch(r"[a-z][a-z0-9+.-]+:", part):
            return f"{part}//{'/'.join(root.parts[position + 1 :])}"
    return None


def _check_allowed(url: str, roots: Sequence[Path]) -> None:
    urls = [each for each in map(url_of, roots) if each]
    whole = url.rstrip("/")
    inside = any(f"{whole}/".startswith(f"{each.rstrip('/')}/") for each in urls)
    if not inside or "::" in url or ".." in PurePosixPath(whole).parts:
        permitted = ", ".join(urls) or "none"
        raise DataUnavailable(
            f"the data set's root '{url}' is not under this worker's allowed roots (remote ones: "
            f"{permitted}); allow it when starting the worker, as in --data-root {url}"
        )


def _update(url: str, place: Path) -> None:
    """Make the copy equal to what is there now; an unreachable source leaves a whole copy be."""
    index = place.with_suffix(".json")
    before = json.loads(index.read_text(encoding="utf-8")) if index.is_file() else {}
    try:
        now = _copy(url, place, before)
    except DataError:
        raise
    except Exception as error:  # each scheme's package has errors of its own
        if isinstance(error, OSError) and error.errno in paths.FULL:
            raise
        if before and index.is_file():
            logger.warning("%s cannot be reached (%s); its copy is used", url, error)
            return
        raise DataUnavailable(f"the data set's root '{url}' cannot be read: {error}") from error
    for name in before.keys() - now.keys():
        (place / name).unlink(missing_ok=True)
    if now != before:
        with replacing(index) as draft:
            draft.write_text(json.dumps(now), encoding="utf-8")


def _copy(
    url: str, place: Path, before: Mapping[str, Mapping[str, str]]
) -> dict[str, dict[str, str]]:
    """Fetch what differs from before; gives the facts of every file that is there now."""
    source, root = _opened(url)
    now = _listed(source, root)
    wanted = [name for name, facts in now.items() if before.get(name) != facts]
    if not now:
        raise DataUnavailable(f"there is no file below '{url}'")
    if wanted:
        logger.info("fetching %d of %d files from %s", len(wanted), len(now), url)
        place.with_suffix(".json").unlink(missing_ok=True)
        _fetch(source, root, place, wanted)
    return now


def _opened(url: str) -> tuple[Any, str]:
    try:
        import fsspec
    except ImportError:
        raise DataUnavailable(
            f"the data set's root '{url}' needs the package fsspec, and one for its scheme (s3fs, "
            "gcsfs, adlfs); install them on the worker, or copy the files and name a folder"
        ) from None
    source, root = fsspec.core.url_to_fs(url)
    return source, str(root)


def _listed(source: Any, root: str) -> dict[str, dict[str, str]]:
    """Size and version of every file, by its path below the root."""
    found: Mapping[str, Mapping[str, Any]] = source.find(root, detail=True)
    top = root.rstrip("/")
    listed = {}
    for path, info in sorted(found.items()):
        name = path.removeprefix(top).lstrip("/")
        parts = PurePosixPath(name).parts
        if not name or ".." in parts or any(map(is_litter, parts)):
            continue
        listed[name] = {fact: str(info[fact]) for fact in _FACTS if fact in info}
    return listed


def _fetch(source: Any, root: str, place: Path, names: Sequence[str]) -> None:
    for name in names:
        path = place / name
        path.parent.mkdir(parents=True, exist_ok=True)
        with (
            source.open(f"{root.rstrip('/')}/{name}", "rb") as remote,
            replacing(path) as draft,
            draft.open("wb") as local,
        ):
            shutil.copyfileobj(remote, local)

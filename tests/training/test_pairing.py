"""Which image belongs to which mask: patterns, names of other systems, and what is proposed."""

import os
from pathlib import Path
from typing import Any, Literal
from unicodedata import normalize

import numpy as np
import pytest
import tifffile
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from tests.training import samples
from tuner.errors import DataError, DataUnavailable
from tuner.training.data import load as data
from tuner.training.data import pairs, patterns
from tuner.training.data.load import Data

Form = Literal["NFC", "NFD"]
MASK = np.resize(np.arange(3, dtype=np.uint8), (40, 60))
PICTURE = np.random.default_rng(0).integers(0, 256, (40, 60, 3), dtype=np.uint8)


def load(tmp_path: Path, **options: Any) -> Data:
    """Open the folder data set with these options."""
    config = samples.folder(**{"holdout": 0.5, **options})
    return data.load(config, cache=tmp_path / "cache", roots=(tmp_path,))


def put(path: Path, pixels: np.ndarray, **options: Any) -> Path:
    """A file of these pixels; `.jpg` is the only name that gives a JPEG."""
    path.parent.mkdir(parents=True, exist_ok=True)
    kind = "JPEG" if path.suffix.lower() in (".jpg", ".jpeg") else None
    Image.fromarray(pixels).save(path, format=kind, **options)
    return path


def write(tmp_path: Path, image: str, mask: str, names: str = "123456") -> None:
    """Pairs below the root, `{}` being the name."""
    for name in names:
        put(tmp_path / "set" / image.format(name), PICTURE)
        put(tmp_path / "set" / mask.format(name), MASK)


@pytest.mark.parametrize(
    ("image", "mask", "options"),
    [
        ("x/car_{}.jpg", "y/car_{}_mask.gif", {"images": "x", "masks": "y/*_mask.gif"}),
        ("t/{}.jpg", "t/{}_mask.png", {"images": "t/*.jpg", "masks": "t/*_mask.png"}),
        ("i/C_{}_0000.png", "l/C_{}.png", {"images": "i/*_0000.png", "masks": "l"}),
        ("img/{}.jpg", "ann/{}.jpg.png", {"images": "img", "masks": "ann"}),
        ("img/{}.jpg", "ann/{}.jpg.png", {"images": "img", "masks": "ann/*.jpg.png"}),
        ("a/img_{}.png", "b/mask_{}.png", {"images": "a/img_*.png", "masks": "b/mask_*.png"}),
        ("{}/photo.png", "{}/mask.png", {"images": "*/photo.png", "masks": "*/mask.*"}),
        ("a/u/{}_i.png", "b/u/{}_m.png", {"images": "a/**/*_i.png", "masks": "b/*/*_m.png"}),
        ("a/u/v/{}.png", "b/u/v/{}_m.png", {"images": "a", "masks": "b/**/*_m.png"}),
        ("A/{}.JPG", "B/{}.PNG", {"images": "A/*.jpg", "masks": "B/*.png"}),
        ("a/{}.v1.png", "b/{}.v1.png", {"images": "a", "masks": "b/*"}),
        ("a/{}.png", "b/{}_m.tif", {"images": "a\\*.png", "masks": "b\\*_m.*"}),
        ("set [1]/{}.png", "b/{}.png", {"images": "set [1]", "masks": "b"}),
    ],
)
def test_what_the_wildcards_match_pairs(
    tmp_path: Path, image: str, mask: str, options: dict[str, str]
) -> None:
    """Suffixes, prefixes, whole file names, folders: one rule."""
    write(tmp_path, image, mask)
    loaded = load(tmp_path, **options)
    assert len(loaded.train) + len(loaded.val) == 6


@pytest.mark.parametrize(
    ("image", "mask", "remedy"),
    [
        ("x/car_{}.jpg", "y/car_{}_mask.gif", 'masks: "y/*_mask.gif"'),
        ("x/I_{}.jpg", "y/I_{}_segmentation.png", 'masks: "y/*_segmentation.png"'),
        ("x/C_{}_0000.png", "y/C_{}.png", 'images: "x/*_0000.png"'),
        ("x/u/C_{}.png", "y/u/m_C_{}.png", 'masks: "y/**/m_*.png"'),
        ("x/img_{}.png", "y/lab_{}.png", 'images: "x/img_*.png"` and `masks: "y/lab_*.png"'),
    ],
)
def test_a_failed_pairing_proposes_the_pattern_that_works(
    tmp_path: Path, image: str, mask: str, remedy: str
) -> None:
    """The message can be copied into the study."""
    write(tmp_path, image, mask)
    with pytest.raises(DataError) as failure:
        load(tmp_path, images="x", masks="y")
    assert f"they pair with `{remedy}`" in str(failure.value)
    parts = dict(part.split(": ") for part in remedy.replace('"', "").split("` and `"))
    loaded = load(tmp_path, **{"images": "x", "masks": "y", **parts})
    assert len(loaded.train) + len(loaded.val) == 6


def test_several_modalities_are_channels(tmp_path: Path) -> None:
    """nnU-Net's `_0000` and `_0001` are the image and a further channel of it."""
    for channel in ("0000", "0001"):
        write(tmp_path, f"x/C_{{}}_{channel}.png", "y/C_{}.png")
    with pytest.raises(DataError, match=r"images: \"x/\*_0000.png\"`.*extra: \[\"x/\*_0001.png\""):
        load(tmp_path, images="x", masks="y")
    loaded = load(tmp_path, images="x/*_0000.png", masks="y", extra=["x/*_0001.png"])
    assert loaded.train.channels == 6


def test_names_that_differ_in_case_only_are_reported(tmp_path: Path) -> None:
    """On one system they are the same file, on another they are not."""
    write(tmp_path, "x/a{}.png", "y/A{}.png")
    with pytest.raises(DataError, match="differ in upper and lower case only"):
        load(tmp_path, images="x", masks="y")


def test_two_images_of_one_name_are_refused(tmp_path: Path) -> None:
    """Nothing tells which of them the mask belongs to."""
    write(tmp_path, "x/{}.png", "y/{}.png")
    put(tmp_path / "set" / "x" / "1.jpg", PICTURE)
    with pytest.raises(DataError, match=r"two files called 1: 1.jpg, 1.png; .*x/\*.png"):
        load(tmp_path, images="x", masks="y")


def test_what_systems_leave_behind_is_no_image(tmp_path: Path) -> None:
    """Resource forks, thumbnails, checkpoints of notebooks."""
    write(tmp_path, "x/{}.png", "y/{}.png")
    litter = (".DS_Store", "._1.png", ".ipynb_checkpoints/1.png", "__MACOSX/1.png", "Thumbs.db")
    for folder in ("x", "y"):
        for name in (*litter, "@eaDir/1.png/THUMB.jpg", "notes.txt"):
            path = tmp_path / "set" / folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(b"no image")
    for images, masks in (("x", "y"), ("x/*.png", "y/**/*")):
        loaded = load(tmp_path, images=images, masks=masks)
        assert {*loaded.train.names, *loaded.val.names} == set("123456")


def test_a_hidden_folder_above_the_root_does_not_hide_it(tmp_path: Path) -> None:
    """Only what lies below the root counts."""
    write(tmp_path / ".home", "x/{}.png", "y/{}.png")
    loaded = load(tmp_path, root=".home/set", images="x", masks="y")
    assert len(loaded.train) + len(loaded.val) == 6


@pytest.mark.parametrize(("image", "mask"), [("NFC", "NFD"), ("NFD", "NFC")])
def test_unicode_forms_are_one_name(tmp_path: Path, image: Form, mask: Form) -> None:
    """macOS takes accents apart, others do not; the root and the pattern may differ too."""
    for name in ("Größe", "Überblick 2"):
        put(tmp_path / normalize(image, "Ärger") / "x" / f"{normalize(image, name)}.png", PICTURE)
        put(tmp_path / normalize(image, "Ärger") / "ö" / f"{normalize(mask, name)}.png", MASK)
    loaded = load(tmp_path, root=normalize(mask, "Ärger"), images="x", masks="ö")
    names = {*loaded.train.names, *loaded.val.names}
    assert names == {normalize("NFC", "Größe"), normalize("NFC", "Überblick 2")}


def test_links_to_folders_and_files_are_followed_once(tmp_path: Path) -> None:
    """A part of the set may lie elsewhere; a link to a folder above ends nowhere."""
    write(tmp_path, "x/{}.png", "y/{}.png")
    for folder in ("x", "y"):
        elsewhere = tmp_path / "set" / f"other_{folder}"
        put(elsewhere / "3.png", PICTURE if folder == "x" else MASK)
        (tmp_path / "set" / folder / "more").symlink_to(elsewhere)
        (tmp_path / "set" / folder / "loop").symlink_to(tmp_path / "set" / folder)
        (tmp_path / "set" / folder / "4.png").unlink()
        (tmp_path / "set" / folder / "4.png").symlink_to(elsewhere / "3.png")
    loaded = load(tmp_path, images="x", masks="y")
    assert {*loaded.train.names, *loaded.val.names} == {*"12356", "4", "more/3"}


def test_a_broken_link_is_named(tmp_path: Path) -> None:
    """An image that is not there is no image that is left out."""
    write(tmp_path, "x/{}.png", "y/{}.png")
    (tmp_path / "set" / "x" / "2.png").unlink()
    (tmp_path / "set" / "x" / "2.png").symlink_to(tmp_path / "gone.png")
    with pytest.raises(DataUnavailable, match=r"2.png"):
        load(tmp_path, images="x", masks="y")


def test_a_folder_that_cannot_be_listed_is_not_taken_for_empty(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its images would be missing without a word."""
    write(tmp_path, "x/{}.png", "y/{}.png")
    write(tmp_path, "x/u/{}.png", "y/u/{}.png")
    listed = os.scandir

    def refuse(path: str) -> Any:
        if Path(path).name == "u":
            raise PermissionError(13, "refused", str(path))
        return listed(path)

    monkeypatch.setattr(os, "scandir", refuse)
    with pytest.raises(DataUnavailable, match="refused"):
        load(tmp_path, images="x", masks="y")


def test_a_folder_without_images_says_what_it_holds(tmp_path: Path) -> None:
    """Types that are not read are named."""
    write(tmp_path, "x/{}.png", "y/{}.png")
    for path in (tmp_path / "set" / "x").iterdir():
        path.rename(path.with_suffix(".heic"))
    with pytest.raises(DataError, match=r"no image file matches 'x' .*files of type .heic"):
        load(tmp_path, images="x", masks="y")
    with pytest.raises(DataError, match=r"'z' below set \(z is not a folder there\)"):
        load(tmp_path, images="z", masks="y")


def test_masks_without_image_are_reported(tmp_path: Path) -> None:
    """They are no fault, but may show that images were lost."""
    write(tmp_path, "x/{}.png", "y/{}.png")
    put(tmp_path / "set" / "y" / "9.png", MASK)
    notes = load(tmp_path, images="x", masks="y").notes
    assert notes == ("set/train: masks without image are not used: 1 (9)",)


def test_alpha_that_is_left_out_is_reported(tmp_path: Path) -> None:
    """GDAL calls a fourth band alpha."""
    write(tmp_path, "x/{}.png", "y/{}.png")
    for path in (tmp_path / "set" / "x").iterdir():
        put(path, np.dstack([PICTURE, PICTURE[..., 0]]))
    (note,) = load(tmp_path, images="x", masks="y").notes
    assert "alpha channel, which is left out" in note
    kept = load(tmp_path, images="x", masks="y", channels="stored")
    assert (kept.train.channels, kept.notes) == (4, ())


def turned(path: Path, pixels: np.ndarray, orientation: int) -> None:
    """The pixels as they are, with an EXIF tag."""
    exif = Image.Exif()
    exif[0x0112] = orientation
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path, exif=exif)


@pytest.mark.parametrize(
    ("orientation", "size", "mask", "is_told"),
    [
        (6, (40, 60), (60, 40), True),  # the mask has the size of the upright image
        (6, (40, 60), (40, 60), False),  # it has the stored size
        (6, (40, 40), (40, 40), False),  # it has both
        (3, (40, 60), (40, 60), False),
        (2, (40, 60), (40, 60), False),
        (1, (40, 60), (40, 60), True),
    ],
)
def test_a_mask_beside_a_turned_image_must_tell_how_it_lies(
    tmp_path: Path, orientation: int, size: tuple[int, int], mask: tuple[int, int], is_told: bool
) -> None:
    """By its size, or it is refused with what to do."""
    for name in ("1.png", "2.png"):
        turned(tmp_path / "set" / "x" / name, np.resize(PICTURE, (*size, 3)), orientation)
        put(tmp_path / "set" / "y" / name, np.resize(MASK, mask))
    if is_told:
        assert load(tmp_path, images="x", masks="y").val.label(0).shape == mask
        return
    with pytest.raises(DataError, match=rf"orientation {orientation}\): turn its pixels for good"):
        load(tmp_path, images="x", masks="y")


def test_further_images_must_tell_how_they_lie(tmp_path: Path) -> None:
    """Infrared without a tag beside colour with one may lie on it the other way round."""
    for name in ("1.png", "2.png"):
        turned(tmp_path / "set" / "x" / name, PICTURE, 3)
        turned(tmp_path / "set" / "y" / name, MASK, 3)
        put(tmp_path / "set" / "z" / name, MASK)
    with pytest.raises(DataError, match=r"the further image lies on \d.png as it is stored"):
        load(tmp_path, images="x", masks="y", extra=["z"])


@pytest.mark.parametrize("orientation", [2, 3, 6, 8])
def test_image_and_mask_are_turned_alike(tmp_path: Path, orientation: int) -> None:
    """A mask with the tag of its image lies on it."""
    grey = np.arange(40 * 60).reshape(40, 60) // 800
    for name in ("1.png", "2.png"):
        turned(
            tmp_path / "set" / "x" / name, np.dstack([grey * 9] * 3).astype(np.uint8), orientation
        )
        turned(tmp_path / "set" / "y" / name, grey.astype(np.uint8), orientation)
    shape = (60, 40) if orientation >= 5 else (40, 60)
    loaded = load(tmp_path, images="x", masks="y", size=shape)
    assert np.array_equal(loaded.val.images[0, ..., 0], loaded.val.label(0) * 9)


def palette(path: Path, indices: np.ndarray, colours: list[int], **options: Any) -> None:
    """A palette mask."""
    image = Image.frombytes("P", indices.shape[::-1], indices.astype(np.uint8).tobytes())
    image.putpalette(colours)
    path.parent.mkdir(parents=True, exist_ok=True)
    image.save(path, **options)


RED, GREEN, BLACK, WHITE, GREY = [250, 0, 0], [0, 250, 0], [0, 0, 0], [255, 255, 255], [9, 9, 9]


@pytest.mark.parametrize(
    ("first", "second", "used", "words"),
    [
        ([BLACK, RED, GREEN], [BLACK, GREEN, RED], 3, r"index 1 is .*\[250, 0, 0\].*\[0, 250, 0\]"),
        ([BLACK, RED, GREEN], [BLACK, GREY, RED], 2, "index 1 is"),
        ([BLACK, RED, GREEN], [BLACK, RED, GREEN, WHITE], 3, ""),
        ([BLACK, RED, GREEN], [BLACK, RED, WHITE], 2, ""),
        ([BLACK, RED, GREEN], [BLACK, WHITE], 2, "a palette of greys, other masks have colours"),
        ([BLACK, WHITE, RED], [BLACK, WHITE], 2, "a palette of greys, other masks have colours"),
    ],
)
def test_an_index_means_one_colour_in_all_masks(
    tmp_path: Path, first: list[list[int]], second: list[list[int]], used: int, words: str
) -> None:
    """Colours that no pixel has do not count."""
    for split, colours in (("train", first), ("val", second)):
        for name in ("1", "2"):
            put(tmp_path / "set" / "images" / split / f"{name}.png", PICTURE)
            flat = [value for colour in colours for value in colour]
            limit = used if colours is second else 3
            palette(tmp_path / "set" / "labels" / split / f"{name}.png", MASK % limit, flat)
    if not words:
        assert load(tmp_path, holdout=0).train.class_pixels[2] > 0
        return
    for fold in (None, [0, 2]):
        with pytest.raises(DataError, match=rf"{words}.*palette: \[\[r, g, b\], …\]"):
            load(tmp_path, holdout=0, fold=fold)


def test_declared_colours_are_read_whatever_the_palettes(tmp_path: Path) -> None:
    """With `palette`, a colour is a label and an index is none."""
    for name, colours in (("1", [*BLACK, *RED, *GREEN]), ("2", [*GREEN, *RED, *BLACK])):
        put(tmp_path / "set" / "x" / f"{name}.png", PICTURE)
        palette(tmp_path / "set" / "y" / f"{name}.png", MASK, colours)
    loaded = load(tmp_path, images="x", masks="y", palette=[BLACK, RED, GREEN])
    read = dict(zip(loaded.val.names, [loaded.val.label(0)], strict=True))
    expected = {"1": MASK, "2": 2 - MASK}
    assert all(np.array_equal(label, expected[name]) for name, label in read.items())


@pytest.mark.parametrize(
    ("nodata", "classes", "values", "ignored"),
    [
        (-9999, 3, None, True),  # no class, so that it is ignored
        (2, 3, None, False),  # a class of the study stays one
        (2, 2, None, True),
        (7, 3, [0, 1, 2], True),
        (7, 3, [0, 1, 7], False),
    ],
)
def test_nodata_is_ignored_unless_it_is_a_class(
    tmp_path: Path, nodata: int, classes: int, values: list[int] | None, ignored: bool
) -> None:
    """What a GeoTIFF declares counts where the study says nothing."""
    stored = np.where(MASK == 2, nodata, MASK.astype(np.int32)).astype(np.int32)
    for name in ("1", "2"):
        put(tmp_path / "set" / "x" / f"{name}.png", PICTURE)
        path = tmp_path / "set" / "y" / f"{name}.tif"
        path.parent.mkdir(parents=True, exist_ok=True)
        tifffile.imwrite(path, stored, extratags=[(42113, "s", 0, str(nodata), True)])
    options = {"values": values} if values else {}
    names = ["a", "b", "c"][:classes]
    loaded = load(tmp_path, images="x", masks="y", classes=names, **options)
    assert np.array_equal(loaded.val.label(0), np.where(MASK == 2, 255 if ignored else 2, MASK))


NAME = st.text(st.characters(exclude_characters="/\\.*?[]\0", exclude_categories=("Cs", "Cc")))


@given(name=NAME.filter(lambda name: name.strip() == name != ""), ending=st.sampled_from("_m|-x"))
def test_a_name_is_what_the_wildcard_matched(name: str, ending: str) -> None:
    """Whatever signs it holds, it is found again, in one Unicode form."""
    regex = patterns._regex(f"*{ending}.png")
    match = regex.fullmatch(f"{name}{ending}.PNG")
    assert match
    assert patterns._name(match.groups()) == name


def test_listing_leaves_out_what_has_not_the_suffix(tmp_path: Path) -> None:
    """Formats with a fixed suffix share the rule."""
    write(tmp_path, "x/city/{}_left.png", "x/city/{}_right.png")
    found = pairs.listing(tmp_path / "set", "x", (tmp_path,), suffix="_left")
    assert sorted(found) == [f"city/{name}" for name in "123456"]

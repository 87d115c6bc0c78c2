"""Image files of every kind: what is read equals what was written, or the file is refused."""

import sys
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import imagecodecs
import numpy as np
import pytest
import tifffile
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image, ImageOps

from tuner.errors import DataError, DataUnavailable
from tuner.training.data import image_files
from tuner.training.data.rasters.decode import turned

SHAPE = (9, 14)
INDICES = (np.arange(9 * 14).reshape(SHAPE) % 5).astype(np.uint8)
COLOURS = [0, 0, 0, 250, 0, 0, 0, 250, 0, 0, 0, 250, 250, 250, 250]
QUICK = settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
KINDS = (
    "uint8",
    "int8",
    "uint16",
    "int16",
    "uint32",
    "int32",
    "uint64",
    "float16",
    "float32",
    "f8",
)
WAYS: tuple[dict[str, Any], ...] = (
    {},
    {"compression": "lzw"},
    {"compression": "zlib", "predictor": True},
    {"compression": "zstd", "tile": (16, 16)},
    {"compression": "packbits", "rowsperstrip": 2},
    {"compression": "lzma"},
    {"bigtiff": True},
    {"byteorder": ">"},
    {"tile": (16, 16)},
)


def values(kind: str, shape: tuple[int, ...], seed: int = 0) -> NDArray[Any]:
    """Random samples over the range of a type."""
    numbers, dtype = np.random.default_rng(seed), np.dtype(kind)
    if dtype.kind == "f":
        return numbers.random(shape).astype(dtype)
    if dtype.kind == "b":
        return numbers.random(shape) > 0.5
    info = np.iinfo(dtype)
    low, high = max(int(info.min), -(2**40)), min(int(info.max), 2**40)
    return numbers.integers(low, high, shape, dtype=np.int64, endpoint=True).astype(dtype)


def scaled(stored: NDArray[Any]) -> NDArray[Any]:
    """What a picture of these samples is, on the scale of 0 to 255."""
    whole = stored if stored.ndim == 3 else stored[..., None]
    if whole.dtype == np.uint8:
        return whole
    high = 1.0 if whole.dtype.kind == "f" else 65535.0
    return (whole.astype(np.float64) * (255 / high)).astype(np.float32)


def palette_image(indices: NDArray[np.uint8], colours: list[int]) -> Image.Image:
    """A palette image of these indices."""
    image = Image.frombytes("P", (indices.shape[1], indices.shape[0]), indices.tobytes())
    image.putpalette(colours)
    return image


@given(
    kind=st.sampled_from(KINDS),
    bands=st.sampled_from([0, 2, 3, 4, 7]),
    way=st.sampled_from(WAYS),
    planes=st.booleans(),
    photometric=st.sampled_from(["minisblack", "rgb"]),
    extra=st.sampled_from([None, "unspecified", "unassalpha", "assocalpha"]),
)
@QUICK
def test_a_tiff_of_any_bands_and_depth_is_read_as_it_was_written(
    tmp_path: Path, kind: str, bands: int, way: dict[str, Any], **drawn: Any
) -> None:
    """Whatever the layout, the compression and what the extra bands are called."""
    stored = values(kind, (*SHAPE, bands) if bands else SHAPE)
    options: dict[str, Any] = {**way, "photometric": drawn["photometric"]}
    assume(drawn["photometric"] != "rgb" or bands in (3, 4, 7))
    if bands:
        options["planarconfig"] = "separate" if drawn["planes"] else "contig"
    spare = bands - (3 if drawn["photometric"] == "rgb" else 1)
    if drawn["extra"] and spare > 0:
        options["extrasamples"] = [drawn["extra"]] + ["unspecified"] * (spare - 1)
    written = np.moveaxis(stored, 2, 0) if bands and drawn["planes"] else stored
    try:
        tifffile.imwrite(tmp_path / "a.tif", written, **options)
    except (ValueError, TypeError):
        assume(False)
    read = image_files.read_bands(tmp_path / "a.tif")
    assert np.array_equal(read, scaled(stored))
    assert (read.shape[2], read.dtype) == image_files.form(tmp_path / "a.tif")


@given(kind=st.sampled_from(KINDS[:7]), way=st.sampled_from(WAYS), seed=st.integers(0, 9))
@QUICK
def test_labels_of_any_whole_type_are_read_or_refused(
    tmp_path: Path, kind: str, way: dict[str, Any], seed: int
) -> None:
    """No label wraps around: what does not fit is refused."""
    stored = values(kind, SHAPE, seed)
    assume("predictor" not in way or stored.itemsize <= 4)
    tifffile.imwrite(tmp_path / "a.tif", stored, photometric="minisblack", **way)
    np.save(tmp_path / "a.npy", stored)
    for path in (tmp_path / "a.tif", tmp_path / "a.npy"):
        try:
            read = image_files.read_mask(path)
        except DataError as error:
            assert f"{path.name}: the mask holds labels up to" in str(error)  # noqa: PT017
            assert int(stored.max()) > 2**31 - 1
        else:
            assert np.array_equal(read, stored.astype(np.int64))


CONTAINERS: tuple[tuple[str, dict[str, Any]], ...] = (
    ("PNG", {}),
    ("PNG", {"optimize": True}),
    ("BMP", {}),
    ("TIFF", {}),
    ("TIFF", {"compression": "tiff_lzw"}),
    ("TIFF", {"compression": "tiff_adobe_deflate"}),
    ("WEBP", {"lossless": True, "exact": True}),
    ("WEBP", {"quality": 60}),
    ("JPEG", {}),
    ("TIFF", {"compression": "jpeg"}),
    ("JPEG2000", {}),
    ("AVIF", {}),
    ("ICO", {}),
    ("PPM", {}),
    ("TGA", {}),
)
MODES = ("1", "L", "LA", "P", "RGB", "RGBA", "RGBX", "CMYK", "YCbCr", "LAB", "I", "I;16", "F")
LOSSY = ("JPEG", "JPEG2000", "AVIF")


def image_of(mode: str) -> Image.Image:
    """Labels 0 to 4, repeated in every channel of a mode; an alpha channel hides nothing."""
    if mode == "P":
        return palette_image(INDICES, COLOURS)
    if mode in ("I;16", "I", "F"):
        kinds = {"I;16": np.uint16, "I": np.int32, "F": np.float32}
        return Image.fromarray(INDICES.astype(kinds[mode]))
    if mode == "1":
        return Image.fromarray(INDICES > 2)
    bands = Image.new(mode, (1, 1)).getbands()
    layers = [np.full_like(INDICES, 255) if name == "A" else INDICES for name in bands]
    return Image.frombytes(mode, SHAPE[::-1], np.stack(layers, axis=2).tobytes())


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("container", CONTAINERS, ids=str)
def test_a_mask_by_pillow_holds_its_labels_or_is_refused(
    tmp_path: Path, mode: str, container: tuple[str, dict[str, Any]]
) -> None:
    """In every mode and type of file, under a name that says nothing."""
    path, image = tmp_path / "mask.png", image_of(mode)
    if container[0] == "WEBP" and mode in ("CMYK", "LAB"):
        image = image_of("RGB")  # Pillow converts before it writes
    try:
        image.save(path, format=container[0], **container[1])
    except (OSError, ValueError, KeyError, TypeError):
        return  # Pillow has no such file
    is_lossy = container[0] in LOSSY or "quality" in container[1]
    is_lossy = is_lossy or container[1].get("compression") == "jpeg"
    try:
        read = image_files.read_mask(path)
    except DataError as error:
        assert str(error).startswith("mask.png: ")  # noqa: PT017
        assert is_lossy or mode in ("CMYK", "YCbCr", "LAB", "RGBX", "P") or container[0] != "PNG"
    else:
        assert not is_lossy
        written = INDICES > 2 if mode == "1" else INDICES
        factor = 255 if mode == "1" and container[0] == "WEBP" else 1
        assert np.array_equal(read, written.astype(np.int32) * factor)


@pytest.mark.parametrize(
    "save",
    [
        lambda image, path: image.save(path, format="JPEG", quality=100, subsampling=0),
        lambda image, path: image.save(path, format="WEBP", quality=100),
        lambda image, path: image.save(path, format="TIFF", compression="jpeg"),
        lambda image, path: tifffile.imwrite(path, np.asarray(image), compression="jpeg"),
        lambda image, path: tifffile.imwrite(path, np.asarray(image), compression="webp"),
        lambda image, path: tifffile.imwrite(path, np.asarray(image), compression="jpeg2000"),
    ],
)
def test_a_mask_that_lost_labels_is_refused_by_its_content(
    tmp_path: Path, save: Callable[[Image.Image, Path], None]
) -> None:
    """A picture may be compressed like that; labels may not, whatever the file is called."""
    path = tmp_path / "mask.png"
    save(Image.fromarray(np.dstack([INDICES * 50] * 3)), path)
    assert image_files.read_image(path).shape == (*SHAPE, 3)
    for read in (image_files.read_mask, image_files.read_colours):
        with pytest.raises(DataError, match=r"mask.png: is compressed as .*without loss \(PNG\)"):
            read(path)


def test_what_the_system_refuses_is_no_fault_of_the_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No permission here says nothing of the content."""
    Image.fromarray(INDICES).save(tmp_path / "a.png")

    def refuse(*_: Any, **__: Any) -> None:
        raise PermissionError(13, "refused", "a.png")

    monkeypatch.setattr(Image, "open", refuse)
    for read in (image_files.read_mask, image_files.read_image, image_files.form):
        with pytest.raises(DataUnavailable, match=r"a.png: cannot be read on this machine"):
            read(tmp_path / "a.png")


def test_a_name_says_nothing(tmp_path: Path) -> None:
    """A PNG called .jpg holds labels; what is no image says what it is."""
    Image.fromarray(INDICES).save(tmp_path / "a.jpg", format="PNG")
    assert np.array_equal(image_files.read_mask(tmp_path / "a.jpg"), INDICES)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", r"the file is empty \(0 bytes\)"),
        (b"version https://git-lfs.github.com/spec/v1\noid", "git lfs pull"),
        (b"<!DOCTYPE html><html>", "text file"),
        (b"\0\0\0 ftypheic\0\0\0\0mif1heic", "HEIF file, which is not read"),
        (b"\0\0\0\x0cjP  \r\n\x87\n", "JPEG 2000 file, which is not read"),
        (b"\0\0\0\0\0\0", "no image file of a known type"),
        (b"\x89PNG\r\n\x1a\nnothing", "cannot be read"),
        (b"II*\0\x08\0\0\0", "cannot be read|not an image"),
    ],
)
def test_what_is_no_image_says_what_it_is(tmp_path: Path, content: bytes, words: str) -> None:
    """Empty, a pointer, a web page, another type, or damaged."""
    path = tmp_path / "a.png"
    path.write_bytes(content)
    for read in (
        image_files.read_mask,
        image_files.read_image,
        image_files.form,
        image_files.size_of,
    ):
        with pytest.raises(DataError, match=rf"^a.png: .*({words})"):
            read(path)


def animated(path: Path, kind: str, **options: Any) -> None:
    """A file of two pictures of one size."""
    first, second = (Image.fromarray(np.dstack([INDICES * k] * 3)) for k in (1, 9))
    first.save(path, format=kind, save_all=True, append_images=[second], **options)


@pytest.mark.parametrize(
    ("kind", "options"),
    [("GIF", {}), ("PNG", {}), ("WEBP", {"lossless": True}), ("MPO", {}), ("TIFF", {})],
)
def test_files_of_several_pictures_are_refused(
    tmp_path: Path, kind: str, options: dict[str, Any]
) -> None:
    """Frames, pages and stereo pairs: nothing tells which one is meant."""
    path = tmp_path / "a.tif"
    animated(path, kind, **options)
    reads = (
        image_files.read_image,
        image_files.read_bands,
        image_files.read_colours,
        image_files.form,
    )
    for read in reads:
        with pytest.raises(DataError, match=r"a.tif: holds 2 images"):
            read(path)


@pytest.mark.parametrize(
    "write",
    [
        lambda path, stack: tifffile.imwrite(path, stack, imagej=True),
        lambda path, stack: tifffile.imwrite(path, stack, photometric="minisblack", truncate=True),
        lambda path, stack: tifffile.imwrite(path, stack, photometric="minisblack"),
    ],
)
def test_pages_that_are_only_described_count(
    tmp_path: Path, write: Callable[[Path, NDArray[Any]], None]
) -> None:
    """ImageJ and tifffile may write one page and say that more lie behind it."""
    write(tmp_path / "a.tif", np.stack([INDICES] * 4))
    with pytest.raises(DataError, match="holds 4 images"):
        image_files.read_mask(tmp_path / "a.tif")


@pytest.mark.parametrize("overview_first", [False, True])
def test_reduced_copies_are_no_pictures(tmp_path: Path, overview_first: bool) -> None:
    """GDAL's overviews and validity masks lie beside the one picture."""
    path = tmp_path / "a.tif"
    small = INDICES[::2, ::2]
    with tifffile.TiffWriter(path) as file:
        if overview_first:
            file.write(small, subfiletype=1)
        file.write(INDICES, tile=(16, 16), compression="zlib")
        file.write(small, subfiletype=1)
        file.write(INDICES > 0, subfiletype=4, photometric="mask")
    assert np.array_equal(image_files.read_mask(path), INDICES)
    assert np.array_equal(image_files.read_bands(path)[..., 0], INDICES)


def test_a_preview_in_a_photograph_is_no_picture(tmp_path: Path) -> None:
    """Cameras store a smaller copy beside the photograph."""
    photograph = Image.fromarray(values("uint8", (32, 48, 3)))
    preview = photograph.resize((12, 8))
    photograph.save(tmp_path / "a.jpg", format="MPO", save_all=True, append_images=[preview])
    assert image_files.read_image(tmp_path / "a.jpg").shape == (32, 48, 3)


@pytest.mark.parametrize("shape", [(*SHAPE, 3), (*SHAPE, 4), (*SHAPE, 2)])
def test_16_bits_of_colour_in_a_png_keep_every_digit(
    tmp_path: Path, shape: tuple[int, ...]
) -> None:
    """As channels of the file; as RGB of 8 bits they are refused, not cut."""
    stored = values("uint16", shape)
    (tmp_path / "a.png").write_bytes(imagecodecs.png_encode(stored))
    assert np.array_equal(image_files.read_bands(tmp_path / "a.png"), scaled(stored))
    assert image_files.form(tmp_path / "a.png") == (shape[2], "float32")
    with pytest.raises(DataError, match=r"channels of uint16 hold more than 8 bits.*stored"):
        image_files.read_image(tmp_path / "a.png")


@pytest.mark.parametrize(
    ("mode", "words"),
    [("CMYK", "in CMYK; say `channels: rgb`"), ("YCbCr", "in YCbCr"), ("LAB", "TIFF colour space")],
)
def test_other_colour_spaces_are_no_channels(tmp_path: Path, mode: str, words: str) -> None:
    """They are converted where there is one way to, or refused."""
    image = image_of(mode)
    image.save(tmp_path / "a.tif")
    with pytest.raises(DataError, match=words):
        image_files.read_bands(tmp_path / "a.tif")
    if mode == "CMYK":
        read = image_files.read_image(tmp_path / "a.tif")
        assert np.array_equal(read, np.asarray(image.convert("RGB")))


def test_a_fourth_band_is_not_dropped(tmp_path: Path) -> None:
    """As RGB it is refused, unless it is called alpha; stored, it stays."""
    stored = values("uint8", (*SHAPE, 4))
    for name in ("unspecified", "unassalpha"):
        tifffile.imwrite(tmp_path / f"{name}.tif", stored, extrasamples=[name], photometric="rgb")
        assert np.array_equal(image_files.read_bands(tmp_path / f"{name}.tif"), stored)
    with pytest.raises(DataError, match=r"4 channels of uint8 are not an RGB image.*stored"):
        image_files.read_image(tmp_path / "unspecified.tif")
    assert np.array_equal(image_files.read_image(tmp_path / "unassalpha.tif"), stored[..., :3])
    assert image_files.has_alpha(tmp_path / "unassalpha.tif")


def test_palettes_are_looked_up_in_pictures(tmp_path: Path) -> None:
    """An index is a label in a mask, and a colour in an image."""
    image = palette_image(INDICES, COLOURS)
    expected = np.asarray(image.convert("RGB"))
    for name in ("a.png", "a.gif", "a.bmp", "a.tif"):
        image.save(tmp_path / name)
        assert np.array_equal(image_files.read_image(tmp_path / name), expected)
        assert np.array_equal(image_files.read_bands(tmp_path / name), expected)
        assert image_files.form(tmp_path / name) == (3, "uint8")
        assert np.array_equal(image_files.read_mask(tmp_path / name), INDICES)


@pytest.mark.parametrize("labels", [[0, 255], [0, 1, 3], [255], [7]])
def test_a_palette_of_greys_is_read_by_its_greys(tmp_path: Path, labels: list[int]) -> None:
    """Pillow numbers the greys of a GIF anew in each file."""
    stored = np.resize(np.array(labels, dtype=np.uint8), SHAPE)
    Image.fromarray(stored).save(tmp_path / "a.gif")
    assert np.array_equal(image_files.read_mask(tmp_path / "a.gif"), stored)


@pytest.mark.parametrize("padding", [0, 9])
@pytest.mark.parametrize("greys", [[0, 255], [255, 0], [3, 2, 1, 0], [0, 2, 4], [7, 9]])
def test_greys_may_have_any_order_and_padding(
    tmp_path: Path, greys: list[int], padding: int
) -> None:
    """A palette of black and white may begin with white, and be filled up with black."""
    indices = INDICES % len(greys)
    colours = [grey for grey in greys for _ in range(3)] + [0] * padding
    palette_image(indices, colours).save(tmp_path / "a.png")
    assert np.array_equal(image_files.read_mask(tmp_path / "a.png"), np.array(greys)[indices])


def test_a_palette_without_colours_is_read_by_its_indices(tmp_path: Path) -> None:
    """Black throughout tells nothing."""
    palette_image(INDICES, [0] * 15).save(tmp_path / "a.png")
    assert np.array_equal(image_files.read_mask(tmp_path / "a.png"), INDICES)


@pytest.mark.parametrize(("alpha", "is_read"), [(255, True), (254, False), (0, False)])
@pytest.mark.parametrize("mode", ["LA", "RGBA"])
def test_an_alpha_channel_may_hide_no_label(
    tmp_path: Path, mode: str, alpha: int, is_read: bool
) -> None:
    """Opaque masks are read; what lies under transparent pixels is anything."""
    image = image_of(mode)
    image.putalpha(alpha)
    image.save(tmp_path / "a.png")
    if is_read:
        assert np.array_equal(image_files.read_mask(tmp_path / "a.png"), INDICES)
        return
    for read in (image_files.read_mask, image_files.read_colours):
        with pytest.raises(DataError, match="transparent in 126 pixels"):
            read(tmp_path / "a.png")


def test_greys_that_programs_read_differently_are_no_labels(tmp_path: Path) -> None:
    """White as 0 is turned over by some programs; 4 bits are spread over 0 to 255 by some."""
    (tmp_path / "b.png").write_bytes(imagecodecs.png_encode(INDICES))
    content = bytearray((tmp_path / "b.png").read_bytes())
    content[24] = 4  # the depth in the header
    content[29:33] = zlib.crc32(content[12:29]).to_bytes(4, "big")
    (tmp_path / "b.png").write_bytes(bytes(content))
    with pytest.raises(DataError, match="with 4 bits per pixel, of which programs read different"):
        image_files.read_mask(tmp_path / "b.png")
    tifffile.imwrite(tmp_path / "a.tif", INDICES, photometric="miniswhite")
    with pytest.raises(DataError, match=r"white as 0 .*programs read different labels"):
        image_files.read_mask(tmp_path / "a.tif")


@pytest.mark.parametrize("nodata", ["-9999", "255", "nan", "1e30"])
def test_what_a_geotiff_calls_nodata_is_reported(tmp_path: Path, nodata: str) -> None:
    """Its pixels keep a value of their own."""
    holes = INDICES == 4
    stored = np.where(holes, np.float32(nodata), INDICES.astype(np.float32))
    tag = (42113, "s", 0, nodata, True)
    tifffile.imwrite(tmp_path / "a.tif", stored, extratags=[tag])
    found = image_files.read_labels(tmp_path / "a.tif")
    assert np.array_equal(found.values == found.nodata, holes)
    assert np.array_equal(found.values[~holes], INDICES[~holes])


def test_nodata_in_an_image_is_no_brightness(tmp_path: Path) -> None:
    """Outside of the value range it is refused; inside it is a value like others."""
    stored = np.where(INDICES == 4, np.float32(-9999), INDICES.astype(np.float32))
    tifffile.imwrite(tmp_path / "a.tif", stored, extratags=[(42113, "s", 0, "-9999", True)])
    with pytest.raises(DataError, match="pixels are -9999, which the file declares to be no data"):
        image_files.read_bands(tmp_path / "a.tif", (0, 4))
    assert image_files.read_bands(tmp_path / "a.tif", (-9999, 4)).min() == 0


def test_labels_may_be_real_numbers_if_they_are_whole(tmp_path: Path) -> None:
    """GIS programs write labels as reals."""
    tifffile.imwrite(tmp_path / "a.tif", INDICES.astype(np.float64))
    assert np.array_equal(image_files.read_mask(tmp_path / "a.tif"), INDICES)
    tifffile.imwrite(tmp_path / "b.tif", INDICES.astype(np.float32) + 0.5)
    with pytest.raises(DataError, match=r"real numbers such as 0\.5"):
        image_files.read_mask(tmp_path / "b.tif")


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("name", ["a.png", "a.jpg", "a.webp", "a.tif", "b.tif", "c.png"])
def test_files_are_turned_upright(tmp_path: Path, name: str, orientation: int) -> None:
    """By every orientation, in every type of file, as Pillow turns them."""
    path, stored = tmp_path / name, values("uint8", (*SHAPE, 3))
    exif = Image.Exif()
    exif[0x0112] = orientation
    if name == "b.tif":
        deep = stored.astype(np.uint16)
        tag = (274, "H", 1, orientation, True)
        tifffile.imwrite(path, deep, photometric="rgb", extratags=[tag])
        assert np.array_equal(image_files.read_bands(path), scaled(turned(deep, orientation)))
        return
    options: dict[str, Any] = {"lossless": True} if name == "a.webp" else {}
    Image.fromarray(stored).save(path, exif=exif, **options)
    with Image.open(path) as image:
        expected = np.asarray(ImageOps.exif_transpose(image).convert("RGB"))
    assert np.array_equal(image_files.read_image(path), expected)
    assert image_files.orientation(path) == orientation
    assert image_files.size_of(path) == expected.shape[:2]
    if name != "a.jpg":
        assert np.array_equal(expected, turned(stored, orientation))


@pytest.mark.parametrize(
    ("name", "packages"),
    [("a.tif", ["tifffile"]), ("a.png", ["imagecodecs"])],
)
def test_a_missing_extra_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, packages: list[str]
) -> None:
    """Plain files are read without it; others name what to install."""
    deep = values("uint16", (*SHAPE, 3))
    tifffile.imwrite(tmp_path / "a.tif", deep, photometric="rgb")
    (tmp_path / "a.png").write_bytes(imagecodecs.png_encode(deep))
    tifffile.imwrite(tmp_path / "plain.tif", INDICES)
    for package in packages:
        monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(DataError, match=rf"{name}: .*3 channels of uint16.*segtune\[tiff\]"):
        image_files.read_bands(tmp_path / name)
    assert np.array_equal(image_files.read_mask(tmp_path / "plain.tif"), INDICES)


def save(image: Image.Image, **options: Any) -> Callable[[Path], None]:
    """Writes an image with Pillow."""
    return lambda path: image.save(path, **options)


def write(**options: Any) -> Callable[[Path], object]:
    """Writes the labels with tifffile, as 32 bits."""
    return lambda path: tifffile.imwrite(path, INDICES.astype(np.uint32), **options)


GREY = Image.fromarray(INDICES)
FILES: dict[str, Callable[[Path], object]] = {
    "a.gif": save(palette_image(INDICES, COLOURS)),
    "a.png": save(GREY),
    "a.bmp": save(GREY),
    "a.webp": save(Image.merge("RGB", [GREY] * 3), lossless=True, exact=True),
    "a.npy": lambda path: np.save(path, INDICES),
    "plain.tif": save(GREY),
    "lzw.tif": save(GREY, compression="tiff_lzw"),
    "packbits.tif": save(GREY, compression="packbits"),
    **{f"deep{place}.tif": write(**way) for place, way in enumerate(WAYS)},
}


@pytest.mark.parametrize("name", FILES)
def test_a_file_that_is_cut_off_is_never_read_as_whole(tmp_path: Path, name: str) -> None:
    """Cut anywhere, it is refused, or all of its pixels are still there."""
    path = tmp_path / name
    FILES[name](path)
    whole = path.read_bytes()
    for length in {*range(0, len(whole), 1 + len(whole) // 15), len(whole) - 1}:
        path.write_bytes(whole[:length])
        try:
            read = image_files.read_mask(path)
        except DataError as error:
            assert name in str(error)  # noqa: PT017
        else:
            assert np.array_equal(read, INDICES), length


@given(where=st.integers(0, 200), byte=st.integers(0, 255), name=st.sampled_from(sorted(FILES)))
@QUICK
def test_a_damaged_file_gives_a_message(tmp_path: Path, where: int, byte: int, name: str) -> None:
    """Whatever a byte in its header becomes, nothing but DataError is raised."""
    path = tmp_path / name
    FILES[name](path)
    content = bytearray(path.read_bytes())
    content[where % len(content)] = byte
    path.write_bytes(bytes(content))
    reads = (
        image_files.read_mask,
        image_files.read_bands,
        image_files.read_colours,
        image_files.form,
    )
    for read in reads:
        try:
            read(path)
        except DataError as error:
            assert name in str(error)  # noqa: PT017


def test_a_picture_with_too_many_bands_is_refused_before_decoding(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Bands count as well as pixels."""
    tifffile.imwrite(
        tmp_path / "a.tif",
        values("float32", (*SHAPE, 20)),
        photometric="minisblack",
        planarconfig="contig",
    )
    monkeypatch.setattr(image_files, "MAX_PIXELS", 200)
    with pytest.raises(DataError, match=r"20 channels of float32 take 10,080 bytes"):
        image_files.read_bands(tmp_path / "a.tif")

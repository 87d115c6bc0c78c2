"""COCO files as tools write them: read right, or refused once with what to do."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageOps

from tests.training.samples import SIZE
from tuner.errors import DataError
from tuner.spec.config import DatasetConfig
from tuner.training.data import annotations, load
from tuner.training.data.split import Split
from tuner.training.datasets._frames import Frame, frame

HIGH, WIDE = 20, 30
CLASSES = ("background", "cat", "dog")
Document = dict[str, Any]


def corners(left: float, top: float, right: float, bottom: float) -> list[float]:
    """A rectangle as a polygon."""
    return [left, top, right, top, right, bottom, left, bottom]


def document(names: tuple[str, ...] = ("a.png", "b.png")) -> Document:
    """A cat in the first image, a dog in the second."""
    images = [
        {"id": place, "file_name": name, "width": WIDE, "height": HIGH}
        for place, name in enumerate(names)
    ]
    things = [
        {
            "id": place,
            "image_id": place,
            "category_id": 1 + place % 2,
            "segmentation": [corners(2, 3, 12, 9)],
            "area": 60,
            "bbox": [2, 3, 10, 6],
            "iscrowd": 0,
        }
        for place in range(len(names))
    ]
    categories = [{"id": 1, "name": "cat"}, {"id": 2, "name": "dog"}]
    return {"images": images, "annotations": things, "categories": categories}


def write(
    root: Path,
    written: Document | str | bytes,
    files: tuple[str, ...] = ("a.png", "b.png"),
    size: tuple[int, int] = (HIGH, WIDE),
    turn: int = 1,
) -> None:
    """An annotation file and the pictures in `images`, with an EXIF tag."""
    text = json.dumps(written) if isinstance(written, dict) else written
    (root / "labels.json").write_bytes(text.encode() if isinstance(text, str) else text)
    exif = Image.Exif()
    exif[0x0112] = turn
    for name in files:
        path = root / "images" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (size[1], size[0])).save(path, exif=exif)


def splits(root: Path, **options: Any) -> tuple[Split, Split]:
    """Training and validation half of the data set that `write` wrote."""
    given = {"format": "coco", "root": ".", "size": SIZE, "classes": CLASSES, "holdout": 0.5}
    files = {"images": "images", "annotations": "labels.json"}
    return load.splits(DatasetConfig.model_validate({**given, **files, **options}), (root,))


def masks(root: Path, **options: Any) -> dict[str, np.ndarray]:
    """The mask of each image, by its name."""
    found: dict[str, np.ndarray] = {}
    for split in splits(root, **options):
        found |= {name: split.read(index)[1] for index, name in enumerate(split.names)}
    return found


def expected(label: int = 1) -> np.ndarray:
    """The mask of one thing of `document`."""
    mask = np.zeros((HIGH, WIDE), dtype=int)
    mask[3:9, 2:12] = label
    return mask


@pytest.mark.parametrize(
    ("listed", "files"),
    [
        (("images/a.png", "images/b.png"), ("a.png", "b.png")),
        (("images\\a.png", "images\\b.png"), ("a.png", "b.png")),
        (("C:\\data\\x\\a.png", "C:\\data\\x\\b.png"), ("a.png", "b.png")),
        (("/data/upload/1/a.png", "/data/upload/1/b.png"), ("a.png", "b.png")),
        (("my%20cat.png", "b%26c.png"), ("my cat.png", "b&c.png")),
        (("50%.png", "100%25.png"), ("50%.png", "100%25.png")),
        (("https://host/x/a.png?token=1", "s3://bucket/b.png"), ("a.png", "b.png")),
        (("/data/local-files/?d=set/a.png", "/data/local-files/?d=set/b.png"), ("a.png", "b.png")),
        (("../imgs/a.png", "./b.png"), ("a.png", "b.png")),
        (("a.jpg", "b.JPG"), ("a.png", "b.png")),
        (("a.png", "b.png"), ("one/a.png", "two/b.png")),
        (("one/a.png", "two/a.png"), ("one/a.png", "two/a.png")),
        (("train/one/a.png", "train/two/a.png"), ("one/a.png", "two/a.png")),
        (("one/a.png", "two/a.png"), ("x/one/a.png", "x/two/a.png")),
        (("a.png", "a.jpg"), ("a.png", "a.jpg")),
        (("scene.v1", "scene.v2"), ("scene.v1.png", "scene.v2.png")),
        (("Stra\u00dfe-\u00fc.png", "b.png"), ("Stra\u00dfe-u\u0308.png", "b.png")),
    ],
)
def test_names_lead_to_their_files(
    tmp_path: Path, listed: tuple[str, ...], files: tuple[str, ...]
) -> None:
    """Folders of another machine, backslashes, escapes, addresses and other file types."""
    write(tmp_path, document(listed), (*files, "unlisted.png", "._a.png"))
    read = [split.read(0) for split in splits(tmp_path)]
    assert sorted(int(mask.max()) for _, mask in read) == [1, 2]
    owner = {files[0]: 1, files[1]: 2}
    for split in splits(tmp_path):
        path = split.files[0][0].relative_to(tmp_path / "images").as_posix()
        assert split.read(0)[1].max() == owner[path]


@pytest.mark.parametrize(
    ("listed", "files", "message"),
    [
        (("a.png", "gone.png"), ("a.png",), r"lists 2 images, of which 1 \(gone\.png\) is not"),
        (("x/a.png", "y/a.png"), ("a.png",), r"images 0 and 1 .* are one file .*, a\.png"),
        (("a.png", "a.png"), ("a.png",), r"images 0 and 1 .* are one file"),
        (("a.png", "b.png"), ("x/a.png", "y/a.png", "b.png"), r"'a\.png' may be any of 2"),
        (("x/a.png", "b.png"), ("y/a.png", "b.png"), r"1 \(x/a\.png\) is not below"),
    ],
)
def test_names_that_lead_nowhere_or_twice_are_refused(
    tmp_path: Path, listed: tuple[str, ...], files: tuple[str, ...], message: str
) -> None:
    """No image is lost, and none is taken for another."""
    write(tmp_path, document(listed), files)
    with pytest.raises(DataError, match=message):
        splits(tmp_path)


def texts(written: Document) -> None:
    """Ids as VIA writes them."""
    for each in written["annotations"]:
        each["image_id"], each["category_id"] = str(each["image_id"]), float(each["category_id"])


def second_cat(written: Document) -> None:
    """Two categories of one name, as merged files have them."""
    written["categories"].append({"id": 7, "name": "cat"})
    written["annotations"].append(
        {"image_id": 1, "category_id": 7, "segmentation": [corners(20, 0, 25, 5)]}
    )


def no_sizes(written: Document) -> None:
    """Sizes that a tool did not know."""
    written["images"][0].update(width=None, height=None)
    del written["images"][1]["width"]


def twice(written: Document) -> None:
    """An annotation that is there twice, and ids that are counted anew in each image."""
    written["annotations"].append(dict(written["annotations"][0]))


def first(**values: Any) -> Callable[[Document], None]:
    """Change the first annotation."""
    return lambda written: written["annotations"][0].update(values)


RUNS = [2 * HIGH + 3, *[6, HIGH - 6] * 9, 6, HIGH * WIDE - 12 * HIGH + 20 - 9]


@pytest.mark.parametrize(
    "change",
    [
        texts,
        no_sizes,
        twice,
        first(segmentation=corners(2, 3, 12, 9)),
        first(segmentation={"size": None, "counts": RUNS}),
        first(segmentation={"size": [HIGH, WIDE], "counts": RUNS}),
        first(segmentation=[{"size": [HIGH, WIDE], "counts": RUNS}]),
        first(iscrowd=None, area=None, id=None),
        first(iscrowd="0", extra={"a": 1}),
        first(iscrowd=False, attributes={"occluded": False}),
    ],
)
def test_odd_forms_that_leave_no_doubt_are_read(
    tmp_path: Path, change: Callable[[Document], None]
) -> None:
    """What VIA, CVAT, Roboflow, Label Studio and scripts write besides the published form."""
    written = document()
    change(written)
    write(tmp_path, written)
    found = masks(tmp_path)
    assert np.array_equal(found["a"], expected(1))
    assert np.array_equal(found["b"], expected(2))


def test_categories_of_one_name_are_one_class(tmp_path: Path) -> None:
    """None of their annotations is lost."""
    written = document()
    second_cat(written)
    write(tmp_path, written)
    right = expected(2)
    right[:5, 20:25] = 1
    assert np.array_equal(masks(tmp_path)["b"], right)


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-32"])
def test_a_byte_order_mark_is_no_fault(tmp_path: Path, encoding: str) -> None:
    """Windows tools write one."""
    write(tmp_path, json.dumps(document()).encode(encoding))
    assert np.array_equal(masks(tmp_path)["a"], expected(1))


NOT_PIXELS = {"segmentation": [[0.1, 0.1, 0.5, 0.1, 0.5, 0.5]]}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda d: d["images"][1].update(id=0), r"image id 0 is used twice, for a\.png and b\.png"),
        (lambda d: d["images"][1].update(id="0"), "image id 0 is used twice"),
        (lambda d: d["images"][1].pop("id"), "an image has the id None"),
        (lambda d: d["images"][1].update(file_name=None), "the file_name None"),
        (lambda d: d["images"][1].update(height=-3), r"image b\.png has the height -3"),
        (lambda d: d["images"][1].update(height="tall"), "has the height 'tall'"),
        (lambda d: d["images"].append(None), "`images` holds None"),
        (lambda d: d.pop("images"), "`images` is missing"),
        (lambda d: d.update(images=[]), "annotation 0 .* are of an image that `images` does not"),
        (lambda d: d.update(images=[], annotations=[]), "lists no images"),
        (lambda d: d.update(annotations=None), "`annotations` is None"),
        (lambda d: d.pop("categories"), "`categories` is missing"),
        (lambda d: d["categories"][0].update(name=None), "the name None"),
        (lambda d: d["categories"][0].update(name=" "), "the name ' '"),
        (lambda d: d["categories"][0].update(id=None), "a category has the id None"),
        (lambda d: d["categories"][1].update(id=1), "category id 1 is both 'cat' and 'dog'"),
        (first(image_id=42), r"annotation 0 \(image_id 42\) is of an image that"),
        (first(image_id=None), r"annotation 0 \(image_id None\)"),
        (first(category_id=77), r"annotation 0 of a\.png \(category_id 77\) is of a category"),
        (first(category_id=[1]), r"annotation 0 of a\.png \(category_id \[1\]\)"),
        (first(category_id=None), r"\(category_id None\)"),
        (first(category_id=True), r"\(category_id True\)"),
        (first(iscrowd="yes"), r"annotation 0 of a\.png \(iscrowd 'yes'\)"),
        (first(iscrowd=[]), r"\(iscrowd \[\]\)"),
        (first(segmentation=None), r"annotation 0 of a\.png has no segmentation"),
        (first(segmentation=[]), r"annotation 0 of a\.png has no segmentation"),
        (lambda d: [a.update(iscrowd=1) for a in d["annotations"]], r"crowds only \(2 annotations"),
        (lambda d: [a.update(NOT_PIXELS) for a in d["annotations"]], "between 0 and 1"),
    ],
)
def test_faults_of_the_file_are_reported_once(
    tmp_path: Path, change: Callable[[Document], None], message: str
) -> None:
    """Before an image is read, with the file, the annotation, the value and what to do."""
    written = document()
    change(written)
    write(tmp_path, written)
    with pytest.raises(DataError, match=rf"labels\.json.*{message}") as caught:
        splits(tmp_path)
    assert str(caught.value).count("labels.json") == 1


@pytest.mark.parametrize("text", ["", "[]", "[1, 2]", '"a"', "{", "[" * 9999, b"\xff\xfe\x00"])
def test_what_is_no_annotation_file_is_refused(tmp_path: Path, text: str | bytes) -> None:
    """Whatever JSON can hold, or what is no JSON."""
    write(tmp_path, text)
    with pytest.raises(DataError, match=r"labels\.json: is not a COCO annotation file"):
        splits(tmp_path)


@pytest.mark.parametrize(
    ("segmentation", "message"),
    [
        ([None], "a polygon is a list of numbers .* not None"),
        (["text"], "not 'text'"),
        ("text", "not str 'text'"),
        (7, "not int 7"),
        ([["x", "y", 9, 2, 9, 9]], "holds 'x', which is not a finite number"),
        ([[float("nan"), 1, 9, 2, 9, 9]], "holds nan"),
        ([[float("inf"), 1, 9, 2, 9, 9]], "holds inf"),
        ([[True, 1, 9, 2, 9, 9]], "holds True"),
        ([[1, 2, 3, 4]], "has 4 numbers"),
        ([[1, 2], [3, 4], [5, 6]], "has 2 numbers"),
        ([[1, 2, 3, 4, 5, 6, 7]], "has 7 numbers"),
        ([corners(40, 3, 50, 9)], r"from \(40, 3\) to \(50, 9\), outside of its image"),
        ([corners(2, -9, 12, -3)], "outside of its image, which is 30 wide and 20 high"),
        ({"size": [HIGH, WIDE]}, "has no `counts`"),
        ({"size": [HIGH, WIDE], "counts": None}, "not None"),
        ({"size": [HIGH, WIDE], "counts": ["a"]}, "a list of whole numbers"),
        ({"size": [HIGH, WIDE], "counts": [1.5, 598.5]}, "a list of whole numbers"),
        ({"size": [HIGH, WIDE], "counts": [3]}, "add up to 3 pixels instead of 600"),
        ({"size": [HIGH, WIDE], "counts": [-1, 601]}, "negative"),
        ({"size": [HIGH, WIDE], "counts": "3"}, "add up to 3 pixels"),
        ({"size": [HIGH, WIDE], "counts": "58X1P"}, "end within a number"),
        ({"size": [HIGH, WIDE], "counts": "~~"}, "hold '~'"),
        ({"size": [HIGH, WIDE], "counts": "o" * 50}, "a run of more than 12 letters"),
        ({"size": "big", "counts": RUNS}, "is .height, width., not 'big'"),
        ({"size": [HIGH], "counts": RUNS}, r"not \[20\]"),
        ({"size": [WIDE, HIGH], "counts": RUNS}, "a run-length mask is 30×20, its image 20×30"),
        ([{"counts": [3]}], "add up to 3 pixels"),
    ],
)
def test_shapes_that_are_none_are_refused(
    tmp_path: Path, segmentation: object, message: str
) -> None:
    """The annotation and its image are named, and nothing else stops."""
    written = document()
    first(segmentation=segmentation)(written)
    write(tmp_path, written)
    with pytest.raises(DataError, match=rf"annotation 0 of a\.png: .*{message}.*; correct it"):
        masks(tmp_path)


def test_a_corner_may_lie_a_little_outside(tmp_path: Path) -> None:
    """An object at the edge is cut there, if the image's size is stated."""
    written = document()
    first(segmentation=[corners(-7, -5, 12, 9)])(written)
    write(tmp_path, written)
    assert (masks(tmp_path)["a"] == 1).sum() == 12 * 9
    no_sizes(written)
    write(tmp_path, written)
    with pytest.raises(DataError, match=r"partly outside of its image"):
        masks(tmp_path)


def test_polygons_of_a_larger_picture_are_not_cut(tmp_path: Path) -> None:
    """The sizes were corrected after a resizing and the polygons were not."""
    written = document()
    first(segmentation=[corners(3, 3, 45, 30)])(written)
    write(tmp_path, written)
    with pytest.raises(DataError, match=r"partly outside of its image.*was the image resized"):
        masks(tmp_path)


@pytest.mark.parametrize("area", ["big", None, float("nan"), True])
def test_an_area_is_a_number_where_it_is_asked_for(tmp_path: Path, area: object) -> None:
    """Without min_area nobody asks."""
    written = document()
    first(area=area)(written)
    write(tmp_path, written)
    assert np.array_equal(masks(tmp_path)["a"], expected(1))
    with pytest.raises(DataError, match=r"annotation 0 of a\.png states the area .* min_area"):
        splits(tmp_path, min_area=10)


def test_small_images_may_validate(tmp_path: Path) -> None:
    """`min_area` takes images from the training part only, however the set is divided."""
    written = document(tuple(f"{index}.png" for index in range(8)))
    for each in written["annotations"][:4]:
        each["area"] = 3
    write(tmp_path, written, tuple(f"{index}.png" for index in range(8)))
    train, val = splits(tmp_path, min_area=10)
    assert len(val) == 4
    assert not {"0", "1", "2", "3"} & set(train.names)
    assert {"4", "5", "6", "7"} <= {*train.names, *val.names}


def test_one_fault_of_many_images_is_reported_once(tmp_path: Path) -> None:
    """The images are named, the fault and its remedy stand there once."""
    names = tuple(f"{index}.png" for index in range(7))
    write(tmp_path, document(names), names, size=(HIGH // 2, WIDE // 2))
    config = DatasetConfig.model_validate(
        {"format": "coco", "root": ".", "size": SIZE, "classes": CLASSES, "holdout": 0.15}
        | {"images": "images", "annotations": "labels.json"}
    )
    with pytest.raises(
        DataError, match=r"6 of 6 images cannot be used: \d\.png: .*and so 5 more: "
    ) as told:
        load.load(config, cache=tmp_path / "cache", roots=(tmp_path,))
    assert "an image of 20×30, but the file is 10×15" in str(told.value)
    assert str(told.value).count("rescale: true") == 1


sides = st.tuples(st.integers(8, 40), st.integers(8, 40))


@settings(deadline=None, max_examples=40)
@given(size=sides, factor=st.integers(2, 4), box=st.tuples(*[st.floats(0, 1)] * 4))
def test_rescaling_is_exact(
    tmp_path_factory: pytest.TempPathFactory,
    size: tuple[int, int],
    factor: int,
    box: tuple[float, ...],
) -> None:
    """Annotations of a larger picture give what they give when they are divided by hand."""
    root = tmp_path_factory.mktemp("set")
    height, width = size
    left, right = sorted((box[0] * width * 0.9, box[1] * width))
    top, bottom = sorted((box[2] * height * 0.9, box[3] * height))
    polygon = [round(value, 2) + 0.003 for value in corners(left, top, right + 1, bottom + 1)]
    plain, large = document(), document()
    for written, scale in ((plain, 1), (large, factor)):
        for image in written["images"]:
            image.update(width=width * scale, height=height * scale)
        for each in written["annotations"]:
            each["segmentation"] = [[value * scale for value in polygon]]
    write(root, plain, size=size)
    right_masks = masks(root)
    write(root, large, size=size)
    with pytest.raises(DataError, match="rescale: true"):
        masks(root)
    for name, mask in masks(root, rescale=True).items():
        assert np.array_equal(mask, right_masks[name])


def test_another_shape_is_no_rescaling(tmp_path: Path) -> None:
    """A picture that was cropped cannot be helped."""
    write(tmp_path, document(), size=(HIGH, WIDE - 8))
    with pytest.raises(DataError, match=r"20×30, but the file is 20×22 .* another shape"):
        masks(tmp_path, rescale=True)


def turned(mask: np.ndarray, turn: int) -> np.ndarray:
    """What Pillow makes of stored pixels."""
    exif = Image.Exif()
    exif[0x0112] = turn
    image = Image.fromarray(mask.astype(np.uint8))
    image.getexif()[0x0112] = turn
    return np.asarray(ImageOps.exif_transpose(image))


@pytest.mark.parametrize("turn", range(1, 9))
def test_turned_pictures_keep_their_labels(tmp_path: Path, turn: int) -> None:
    """Annotations of stored pixels are turned with them, those of upright ones are not.

    Height and width tell which they are where a quarter turn makes them differ.
    """
    write(tmp_path, document(), turn=turn)
    swaps = turn >= 5
    as_stored = turned(expected(1), turn)
    if turn == 1 or swaps:
        assert np.array_equal(masks(tmp_path)["a"], as_stored)
    else:
        with pytest.raises(DataError, match=rf"a\.png: .*orientation {turn}.*exif: upright"):
            masks(tmp_path)
        assert np.array_equal(masks(tmp_path, exif="stored")["a"], as_stored)
        assert np.array_equal(masks(tmp_path, exif="upright")["a"], expected(1))
    if swaps:
        size = (WIDE, HIGH)
        write(tmp_path, document(), size=size, turn=turn)
        assert np.array_equal(masks(tmp_path)["a"], expected(1))
        assert np.array_equal(masks(tmp_path, exif="upright")["a"], expected(1))
        with pytest.raises(DataError, match=r"20×30, but the file is 30×20"):
            masks(tmp_path, exif="stored")


@given(size=sides, turn=st.integers(1, 8), factor=st.integers(1, 3), is_stored=st.booleans())
def test_a_frame_ends_at_the_picture(
    size: tuple[int, int], turn: int, factor: int, is_stored: bool
) -> None:
    """Whatever is drawn in a frame has the picture's size once it is upright."""
    stored = size[::-1] if turn >= 5 else size
    own = stored if is_stored and turn > 1 else size
    stated = (own[0] * factor, own[1] * factor)
    found = frame(stated, size, turn, exif="stored" if is_stored else "upright", rescale=True)
    assert isinstance(found, Frame)
    assert found.upright(np.zeros(found.size)).shape == size


def test_pictures_without_annotations_need_no_frame(tmp_path: Path) -> None:
    """All of them is background."""
    written = document()
    written["annotations"] = written["annotations"][:1]
    write(tmp_path, written)
    assert not masks(tmp_path)["b"].any()


def test_other_names_for_categories_are_counted(tmp_path: Path) -> None:
    """`categories` gives one for each class, unless `remap` merges them."""
    write(tmp_path, document())
    assert masks(tmp_path, classes=("rest", "x", "y"), categories=["background", "cat", "dog"])
    with pytest.raises(DataError, match="2 categories for 3 classes"):
        splits(tmp_path, categories=["cat", "dog"])


def test_names_of_categories_come_in_order(tmp_path: Path) -> None:
    """By id, each once, and without what only groups the others, as Roboflow writes it."""
    written = document()
    written["categories"] = [
        {"id": 2, "name": "dog", "supercategory": "animals"},
        {"id": 0, "name": "animals", "supercategory": "none"},
        {"id": 1, "name": "cat", "supercategory": "animals"},
        {"id": 9, "name": "cat", "supercategory": "animals"},
    ]
    write(tmp_path, written)
    assert annotations.category_names(tmp_path / "labels.json") == ("cat", "dog")


@settings(deadline=None, max_examples=10)
@given(count=st.integers(2, 9), folds=st.integers(2, 4), part=st.integers(0, 3))
def test_folds_of_one_file_share_no_image(
    tmp_path_factory: pytest.TempPathFactory, count: int, folds: int, part: int
) -> None:
    """Train and val are the same file, as CVAT and Label Studio export it."""
    root, names = tmp_path_factory.mktemp("set"), tuple(f"{index}.png" for index in range(count))
    write(root, document(names), names)
    folds = min(folds, count)
    train, val = splits(root, holdout=0, fold=[part % folds, folds])
    assert len(train) + len(val) == count
    assert not {files[0] for files in train.files} & {files[0] for files in val.files}
    with pytest.raises(DataError, match="validation has nothing but training images"):
        splits(root, holdout=0)

"""Small data sets as people and tools lay them out: each writes files and says what init must find.

A layout gives the keys of the data set's section that a study for it must have.
"""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

Expected = dict[str, Any]
Write = Callable[[Path], Expected]
Pixels = NDArray[Any]
SIDES = (24, 32)
PALETTE = [[0, 0, 0], [128, 0, 0], [0, 128, 0]]


def scene(number: int) -> tuple[Pixels, Pixels]:
    """A picture, and its labels 0, 1 and 2."""
    numbers = np.random.default_rng(number)
    labels = np.zeros(SIDES, np.uint8)
    labels[4:12, 4 + number % 4 : 20] = 1
    labels[14:22, 10:28] = 2
    return numbers.integers(0, 256, (*SIDES, 3), dtype=np.uint8), labels


def save(pixels: Pixels, path: Path) -> None:
    """Write a picture; its type is that of the name."""
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path)


def text(path: Path, content: str) -> None:
    """Write a text file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content, encoding="utf-8")


def write(
    root: Path,
    images: str,
    masks: str,
    *,
    splits: tuple[str, ...] = ("train", "val"),
    change: Callable[[Pixels], Pixels] = lambda labels: labels,
    count: int = 3,
) -> None:
    """Pairs by two patterns of names with `{s}` for the split and `{i}` for the number."""
    for place, split in enumerate(splits):
        for number in range(count):
            picture, labels = scene(10 * place + number)
            save(picture, root / images.format(s=split, i=number))
            save(change(labels), root / masks.format(s=split, i=number))


def colours(labels: Pixels) -> Pixels:
    """The labels as colours."""
    return np.array(PALETTE, np.uint8)[labels]


def is_two(labels: Pixels, white: int = 255) -> Pixels:
    """Two classes as black and white."""
    return np.where(labels > 0, white, 0).astype(np.uint8)


def carvana(root: Path) -> Expected:
    """Carvana: masks end on `_mask`, black and white."""
    write(root, "images/{s}/car_{i}.jpg", "labels/{s}/car_{i}_mask.gif", change=is_two)
    return {"masks": "labels/{split}/*_mask.gif", "values": [0, 255]}


def roboflow_masks(root: Path) -> Expected:
    """Roboflow's masks: all in one folder, with a table of names."""
    write(
        root, "{s}/a{i}_jpg.rf.c{i}.jpg", "{s}/a{i}_jpg.rf.c{i}_mask.png", splits=("train", "valid")
    )
    for split in ("train", "valid"):
        text(
            root / split / "_classes.csv",
            "Pixel Value, Class\n0, background\n1, cabinet\n2, door\n",
        )
    return {
        "masks": "{split}/*_mask.png",
        "val": "valid",
        "classes": ["background", "cabinet", "door"],
    }


def nnunet(root: Path) -> Expected:
    """nnU-Net: a file for each channel, and names in `dataset.json`."""
    for channel in ("0000", "0001"):
        write(root, f"imagesTr/C_{{i}}_{channel}.png", "labelsTr/C_{i}.png", splits=("",))
    labels = {"background": 0, "liver": 1, "tumor": 2, "whole": [1, 2]}
    text(root / "dataset.json", json.dumps({"labels": labels}))
    return {
        "images": "imagesTr/*_0000.png",
        "extra": ["imagesTr/*_0001.png"],
        "classes": ["background", "liver", "tumor"],
        "holdout": 0.2,
    }


def supervisely(root: Path) -> Expected:
    """Supervisely: masks are called like the whole image file; others are to be looked at."""
    write(root, "ds/img/a_{i}.jpg", "ds/masks_machine/a_{i}.jpg.png", splits=("",))
    write(root, "ds/img/a_{i}.jpg", "ds/masks_human/a_{i}.jpg.png", splits=("",), change=colours)
    grey = {"cat": [1, 1, 1], "dog": [2, 2, 2]}
    text(root / "obj_class_to_machine_color.json", json.dumps(grey))
    return {"masks": "ds/masks_machine", "classes": ["background", "cat", "dog"]}


def isic(root: Path) -> Expected:
    """ISIC: masks end on `_segmentation`."""
    write(root, "images/I_{i}.jpg", "masks/I_{i}_segmentation.png", splits=("",), change=is_two)
    return {"masks": "masks/*_segmentation.png", "values": [0, 255], "holdout": 0.2}


def one_folder(root: Path) -> Expected:
    """A folder for each case, with images and masks of one type."""
    write(root, "case{i}/x_{i}.png", "case{i}/x_{i}_mask.png", splits=("",), count=5)
    return {"images": "**/*.png", "masks": "**/*_mask.png"}


def folder_each(root: Path) -> Expected:
    """A folder for each sample."""
    write(root, "{s}/{i}/photo.png", "{s}/{i}/mask.png")
    return {"images": "{split}/*/photo.png", "masks": "{split}/*/mask.png"}


def by_type(root: Path) -> Expected:
    """Images are JPEG and masks PNG, side by side."""
    write(root, "{s}/{i}.jpg", "{s}/{i}.png", splits=("training", "validation", "testing"))
    return {"masks": "{split}/*.png", "train": "training", "val": "validation", "test": "testing"}


def sat_and_mask(root: Path) -> Expected:
    """DeepGlobe: both have a word behind the number, in one folder."""
    write(root, "{s}/{i}_sat.jpg", "{s}/{i}_mask.png", splits=("train", "valid"), change=is_two)
    return {"images": "{split}/*_sat.jpg", "masks": "{split}/*_mask.png"}


def two_places(root: Path) -> Expected:
    """LoveDA: the same folders in two more."""
    for place in ("Rural", "Urban"):
        images, masks = (f"{{s}}/{place}/{kind}_png/{{i}}.png" for kind in ("images", "masks"))
        write(root, images, masks, splits=("Train", "Val"))
    return {"images": "{split}/*/images_png/*.png", "train": "Train"}


def trimaps(root: Path) -> Expected:
    """Oxford-IIIT Pet: masks lie a folder deeper than images, and count from 1."""
    write(
        root,
        "images/A_{i}.jpg",
        "annotations/trimaps/A_{i}.png",
        splits=("",),
        change=lambda m: m + 1,
    )
    return {"images": "images", "masks": "annotations/trimaps", "values": [1, 2, 3]}


def drive(root: Path) -> Expected:
    """DRIVE: masks of the eye beside those drawn by hand."""
    image = "training/images/{i}_training.png"
    write(root, image, "training/1st_manual/{i}_manual1.gif", splits=("",), change=is_two)
    write(root, image, "training/mask/{i}_training_mask.gif", splits=("",), change=is_two)
    return {"masks": "{split}/1st_manual/*_manual1.gif", "holdout": 0.2}


def both_affixes(root: Path) -> Expected:
    """Image and mask have a word of their own before the number."""
    write(root, "x/img_{i}.png", "masks/gt_{i}.png", splits=("",))
    return {"images": "x/img_*.png", "masks": "masks/gt_*.png"}


def cvat_masks(root: Path) -> Expected:
    """CVAT's Segmentation mask: Pascal VOC's folders and a labelmap."""
    write(root, "JPEGImages/{i}.jpg", "SegmentationClass/{i}.png", splits=("",), change=colours)
    write(root, "JPEGImages/{i}.jpg", "SegmentationObject/{i}.png", splits=("",), change=colours)
    text(root / "ImageSets/Segmentation/default.txt", "0\n1\n2\n")
    rows = "background:0,0,0::\ndog:0,128,0::\nvoid:9,9,9::\ncat:128,0,0::\n"
    text(root / "labelmap.txt", f"# label:color_rgb:parts:actions\n{rows}")
    return {
        "masks": "SegmentationClass",
        "palette": [[0, 0, 0], [0, 128, 0], [128, 0, 0], [9, 9, 9]],
        "classes": ["background", "dog", "cat"],
    }


def camvid_colours(root: Path) -> Expected:
    """CamVid as published: coloured, and colours named by a text."""
    write(root, "701_Stills/f_{i}.png", "Labeled_full/f_{i}_L.png", splits=("",), change=colours)
    text(root / "label_colors.txt", "0 128 0\tAnimal\n128 0 0\t\tTree\n0 0 0\tVoid\n")
    return {
        "masks": "Labeled_full/*_L.png",
        "palette": [[0, 128, 0], [128, 0, 0], [0, 0, 0]],
        "classes": ["Animal", "Tree"],
    }


def unnamed_colours(root: Path) -> Expected:
    """Coloured masks that nothing names."""
    write(root, "images/{s}/{i}.png", "masks/{s}/{i}.png", change=colours)
    return {"palette": [PALETTE[0], PALETTE[2], PALETTE[1]]}


def palettes(root: Path) -> Expected:
    """Palette PNGs, whose index is the label."""
    write(root, "images/{s}/{i}.png", "masks/{s}/{i}.png")
    for path in (root / "masks").rglob("*.png"):
        image = Image.open(path)
        image.putpalette([part for colour in PALETTE for part in colour])
        image.save(path)
    return {"palette": None, "values": None}


def two_palettes(root: Path) -> Expected:
    """One mask's palette has the colours in another order."""
    palettes(root)
    path = root / "masks/train/0.png"
    swapped = Image.fromarray(np.array([0, 2, 1], np.uint8)[scene(0)[1]])
    swapped.putpalette([part for place in (0, 2, 1) for part in PALETTE[place]])
    swapped.save(path)
    return {"palette": [PALETTE[0], PALETTE[2], PALETTE[1]]}


def camvid(root: Path) -> Expected:
    """CamVid as the SegNet tutorial has it."""
    write(root, "{s}/0001TP_{i}.png", "{s}annot/0001TP_{i}.png", change=lambda m: m * 5)
    return {"format": "camvid", "classes": None}


def segnet(root: Path) -> Expected:
    """Folders as in the SegNet tutorial, with other images."""
    write(root, "{s}/{i}.png", "{s}annot/{i}.png")
    return {"format": "folder", "images": "{split}", "masks": "{split}annot"}


def cityscapes(root: Path) -> Expected:
    """Cityscapes."""
    name = "gtFine/{s}/ulm/a_{i}_gtFine_"
    images = "leftImg8bit/{s}/ulm/a_{i}_leftImg8bit.png"
    write(root, images, f"{name}labelIds.png", change=lambda m: m + 6)
    write(root, images, f"{name}color.png", change=colours)
    return {"format": "cityscapes", "classes": None}


def voc(root: Path) -> Expected:
    """Pascal VOC in the folders of its archive."""

    def bordered(labels: Pixels) -> Pixels:
        labels[3, 3:21] = 255
        return labels * 5 if labels.max() < 9 else labels

    inner = root / "VOCdevkit/VOC2012"
    write(inner, "JPEGImages/{s}{i}.jpg", "SegmentationClass/{s}{i}.png", change=bordered)
    for split in ("train", "val"):
        names = "".join(f"{split}{i}\n" for i in range(3))
        text(inner / f"ImageSets/Segmentation/{split}.txt", names)
    return {"format": "voc", "root": "data/VOCdevkit/VOC2012", "classes": None}


def ade20k(root: Path) -> Expected:
    """ADE20K's scene parsing."""
    name = "{s}/ADE_{i}"
    splits = ("training", "validation")
    write(root, f"images/{name}.jpg", f"annotations/{name}.png", splits=splits)
    return {"format": "ade20k", "classes": None}


def _coco(root: Path, images: str, document: str, split: str, count: int = 3) -> None:
    listed, drawn = [], []
    for number in range(count):
        picture, _ = scene(number + 10 * len(split))
        path = images.format(s=split, i=number)
        save(picture, root / path)
        listed.append({"id": number, "file_name": Path(path).name, "height": 24, "width": 32})
        corners = [4, 4, 12, 4, 12, 12, 4, 12]
        drawn.append(
            {"id": number, "image_id": number, "category_id": 1 + number % 2}
            | {"segmentation": [corners], "area": 64, "iscrowd": 0, "bbox": [4, 4, 8, 8]}
        )
    names = [{"id": 0, "name": "pets", "supercategory": "none"}]
    names += [{"id": k, "name": n, "supercategory": "pets"} for k, n in ((1, "cat"), (2, "dog"))]
    content = {"images": listed, "annotations": drawn, "categories": names}
    text(root / document.format(s=split), json.dumps(content))


PETS = ["background", "cat", "dog"]


def coco(root: Path) -> Expected:
    """COCO as published, with a category that only groups."""
    for split in ("train", "val"):
        _coco(root, "{s}2017/{s}{i}.jpg", "annotations/instances_{s}2017.json", split)
    return {"format": "coco", "images": None, "classes": PETS}


def roboflow_coco(root: Path) -> Expected:
    """Roboflow's COCO: a file beside the images of each split."""
    for split in ("train", "valid", "testing"):
        _coco(root, "{s}/{s}{i}.jpg", "{s}/_annotations.coco.json", split)
    return {
        "format": "coco",
        "images": "{split}",
        "annotations": "{split}/_annotations.coco.json",
        "val": "valid",
        "test": "testing",
        "classes": PETS,
    }


def cvat_coco(root: Path) -> Expected:
    """CVAT's COCO: one file, one folder."""
    _coco(root, "images/default/{i}.jpg", "annotations/instances_default.json", "default", 5)
    annotations = "annotations/instances_default.json"
    return {
        "format": "coco",
        "images": "images/default",
        "annotations": annotations,
        "holdout": 0.2,
    }


def label_studio(root: Path) -> Expected:
    """Label Studio's COCO."""
    _coco(root, "images/{i}.jpg", "result.json", "", 5)
    return {"format": "coco", "images": "images", "annotations": "result.json", "classes": PETS}


def odd_categories(root: Path) -> Expected:
    """Category names that no metric can have."""
    _coco(root, "images/{i}.jpg", "labels.json", "", 5)
    path = root / "labels.json"
    path.write_text(path.read_text().replace('"cat"', '"cat, tabby"'))
    return {"categories": ["background", "cat, tabby", "dog"], "annotations": "labels.json"}


def shared_images(root: Path) -> Expected:
    """Two annotation files share a folder of images."""
    for split in ("train", "val"):
        _coco(root, "pics/{s}{i}.jpg", "{s}.json", split)
    return {"format": "coco", "images": "pics", "annotations": "{split}.json", "holdout": None}


def deep_images(root: Path) -> Expected:
    """Images of 12 bits in files of 16."""
    write(root, "images/{s}/{i}.png", "labels/{s}/{i}.png")
    for path in (root / "images").rglob("*.png"):
        values = np.array(Image.open(path))[..., 0].astype(np.uint16) * 16
        Image.fromarray(values).save(path)
    return {"channels": "stored", "value_range": [0, 4095]}


def three_pairs(root: Path) -> Expected:
    """As few images as can be divided and trained on."""
    write(root, "images/{i}.png", "labels/{i}.png", splits=("",))
    return {"holdout": 0.2}


def no_zero(root: Path) -> Expected:
    """Labels from 1 on."""
    write(root, "images/{s}/{i}.png", "labels/{s}/{i}.png", change=lambda m: m + 1)
    return {"values": [1, 2, 3]}


def void_below(root: Path) -> Expected:
    """The first name is void."""
    write(root, "images/{s}/{i}.png", "labels/{s}/{i}.png")
    text(root / "classes.txt", "void\ncat\ndog\n")
    return {"remap": {"0": 255, "1": 0, "2": 1}, "classes": ["cat", "dog"]}


LAYOUTS: tuple[Write, ...] = (
    *(carvana, roboflow_masks, nnunet, supervisely, isic, one_folder, folder_each, by_type),
    *(sat_and_mask, two_places, trimaps, drive),
    *(both_affixes, cvat_masks, camvid_colours, unnamed_colours, palettes, two_palettes),
    *(camvid, segnet, cityscapes, voc, ade20k, coco, roboflow_coco, cvat_coco, label_studio),
    *(odd_categories, shared_images, deep_images, three_pairs, no_zero, void_below),
)

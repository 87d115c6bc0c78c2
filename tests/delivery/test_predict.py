"""Images and videos are segmented at their own size; a broken one is named and stops no other."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from tests.delivery import small
from tests.training import samples
from tuner.cli.outputs import check_folder
from tuner.delivery.ensemble import joined
from tuner.delivery.export.write import Options, export
from tuner.delivery.image_input import read_pixels
from tuner.delivery.inputs import sources
from tuner.delivery.opened import open_any
from tuner.delivery.predict import Sink, Tally, label, predict
from tuner.delivery.trained import TrainedModel
from tuner.errors import InvalidInput, NotFound, StorageError
from tuner.training.data.image_files import size_of
from tuner.training.network.resize import resize


def write(path: Path, size: tuple[int, int] = (40, 60), channels: int = 3) -> np.ndarray:
    """Write an image of random pixels; gives them."""
    numbers = np.random.default_rng(sum(path.name.encode()))
    pixels = numbers.integers(0, 256, (*size, channels), dtype=np.uint8)
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels if channels > 1 else pixels[..., 0]).save(path)
    return pixels


def run(inputs: list[Path], out: Path, **options: object) -> Tally:
    """Predict with the small FCN."""
    given = sources([str(each) for each in inputs], out)
    return predict(small.model("fcn"), given, Sink(out, **options))  # type: ignore[arg-type]


def test_labels_are_the_argmax_of_logits_at_the_images_own_size() -> None:
    """Two images of different sizes are labelled as their logits resized to each say."""
    model, numbers = small.model("fcn"), np.random.default_rng(0)
    images = [numbers.integers(0, 256, (*size, 3), dtype=np.uint8) for size in ((32, 48), (50, 31))]

    found = label(model, images)

    logits = model.logits(torch.from_numpy(images[0]).permute(2, 0, 1)[None].float())
    right = resize(logits, (32, 48)).argmax(1)[0].numpy()
    np.testing.assert_array_equal(found[0], right)
    assert [each.shape for each in found] == [(32, 48), (50, 31)]


def test_results_mirror_the_folder_and_keep_the_size(tmp_path: Path) -> None:
    """Each image of a folder has a mask of its own size at its own place."""
    pixels = write(tmp_path / "in" / "a" / "one.png", (40, 60))
    write(tmp_path / "in" / "two.jpg", (25, 33))

    tally = run([tmp_path / "in"], tmp_path / "out", look="mask", batch=1)

    assert (tally.written, tally.failures) == (2, [])
    first = np.asarray(Image.open(tmp_path / "out" / "a" / "one.png"))
    np.testing.assert_array_equal(first, label(small.model("fcn"), [pixels])[0])
    assert size_of(tmp_path / "out" / "two.png") == (25, 33)


def test_colour_and_overlay_use_the_classes_colours(tmp_path: Path) -> None:
    """Colour shows the palette; an overlay is its mean with the image."""
    pixels = write(tmp_path / "x.png")
    run([tmp_path / "x.png"], tmp_path / "colour", look="colour")
    run([tmp_path / "x.png"], tmp_path / "overlay", look="overlay")

    colour = np.asarray(Image.open(tmp_path / "colour" / "x.png")).astype(float)
    overlay = np.asarray(Image.open(tmp_path / "overlay" / "x.png")).astype(float)
    known = {(86, 180, 233), (213, 94, 0), (240, 228, 66)}
    assert set(map(tuple, colour.reshape(-1, 3).astype(int).tolist())) <= known
    np.testing.assert_allclose(overlay, (colour + pixels) / 2, atol=0.5)


def test_a_broken_file_is_named_and_the_others_go_on(tmp_path: Path) -> None:
    """A truncated image is named; the images beside it are written, and nothing of it."""
    write(tmp_path / "in" / "a.png")
    write(tmp_path / "in" / "b.png")
    write(tmp_path / "in" / "c.png")
    (tmp_path / "in" / "b.png").write_bytes((tmp_path / "in" / "b.png").read_bytes()[:200])

    tally = run([tmp_path / "in"], tmp_path / "out")

    assert [failure.path.name for failure in tally.failures] == ["b.png"]
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["a.png", "c.png"]


def test_another_number_of_channels_is_named(tmp_path: Path) -> None:
    """A model of four channels takes no image of one."""
    write(tmp_path / "grey.png", channels=1)
    model = small.model("fcn", channels=4)
    config = model.config.model_copy(
        update={
            "dataset": model.config.dataset.model_copy(update={"channels": "stored"}),
        }
    )
    object.__setattr__(model, "config", config)

    given = sources([str(tmp_path / "grey.png")], tmp_path / "out")
    tally = predict(model, given, Sink(tmp_path / "out"))

    assert "grey.png has 1 channel, and fcn.pt was trained on 4" in tally.failures[0].reason


def test_an_image_whose_scores_are_not_finite_is_named(tmp_path: Path) -> None:
    """No picture is made of it, and the others of its batch are written."""
    for name in ("a.png", "b.png", "c.png"):
        write(tmp_path / "in" / name)
    Image.fromarray(np.zeros((40, 60, 3), np.uint8)).save(tmp_path / "in" / "b.png")
    model = small.model("fcn")

    class Fragile(TrainedModel):
        def logits(self, images: torch.Tensor) -> torch.Tensor:
            """Not finite for a black image."""
            black = images.flatten(1).amax(dim=1) == 0
            return super().logits(images).masked_fill(black[:, None, None, None], torch.nan)

    fragile = Fragile(model.network, model.config, model.name, model.sha256)
    out = tmp_path / "out"
    tally = predict(fragile, sources([str(tmp_path / "in")], out), Sink(out, batch=2))

    assert [each.path.name for each in tally.failures] == ["b.png"]
    assert "not finite" in tally.failures[0].reason
    assert tally.written == 2
    assert sorted(path.name for path in out.iterdir()) == ["a.png", "c.png"]


def test_every_frame_of_a_video_is_segmented(tmp_path: Path) -> None:
    """A video gives a folder with a result for each frame, at the video's size."""
    cv2 = pytest.importorskip("cv2")
    path = tmp_path / "drive.avi"
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*"MJPG"), 5, (64, 48))
    for level in (0, 90, 180):
        writer.write(np.full((48, 64, 3), level, dtype=np.uint8))
    writer.release()

    tally = run([path], tmp_path / "out", look="mask")

    assert tally.written == 3
    names = sorted(path.name for path in (tmp_path / "out" / "drive").iterdir())
    assert names == ["000001.png", "000002.png", "000003.png"]
    assert size_of(tmp_path / "out" / "drive" / "000001.png") == (48, 64)


def test_a_file_that_is_no_video_is_named(tmp_path: Path) -> None:
    """Text under a video's name is a failure of that input."""
    pytest.importorskip("cv2")
    (tmp_path / "not.mp4").write_text("not a video")
    tally = run([tmp_path / "not.mp4"], tmp_path / "out")
    assert "not a video" in tally.failures[0].reason


def test_a_file_with_argmax_inside_predicts_the_same(tmp_path: Path) -> None:
    """Labels of an exported file are those of the trained model, at the model's size."""
    trained = small.model("fcn")
    done = export(trained, tmp_path / "m.ts", form="torchscript", options=Options(gives="labels"))
    image = np.random.default_rng(0).integers(0, 256, (32, 48, 3), dtype=np.uint8)

    found = label(open_any(done.path), [image])

    np.testing.assert_array_equal(found[0], label(trained, [image])[0])


def test_an_ensemble_reads_images_as_its_data_set_does(tmp_path: Path) -> None:
    """Stored values are spread over the range that the data set names, as for one model."""
    pixels = np.arange(6, dtype=np.uint16).reshape(2, 3) * 100
    Image.fromarray(pixels).save(tmp_path / "a.png")
    dataset = samples.folder(channels="stored", value_range=[0, 510])
    joint = replace(joined([small.model("fcn", channels=1)], [1.0]), dataset=dataset)
    found = read_pixels(tmp_path / "a.png", joint)
    np.testing.assert_allclose(found[..., 0], pixels / 2, atol=1e-4)


def test_patterns_name_images(tmp_path: Path) -> None:
    """A pattern stands for what it matches, in order."""
    for name in ("b.png", "a.png", "c.jpg"):
        write(tmp_path / name)
    found = sources([str(tmp_path / "*.png")], tmp_path / "out")
    assert [source.path.name for source in found] == ["a.png", "b.png"]


def test_results_of_an_earlier_run_are_no_input(tmp_path: Path) -> None:
    """What lies in the output folder is not segmented again."""
    write(tmp_path / "a.png")
    write(tmp_path / "out" / "a.png")
    assert [source.path for source in sources([str(tmp_path)], tmp_path / "out")] == [
        tmp_path / "a.png"
    ]


def test_two_inputs_for_one_place_are_refused(tmp_path: Path) -> None:
    """Images of one name in two folders would overwrite each other."""
    write(tmp_path / "a" / "x.png")
    write(tmp_path / "b" / "x.png")
    with pytest.raises(InvalidInput, match="would both be written to"):
        sources([str(tmp_path / "a" / "x.png"), str(tmp_path / "b" / "x.png")], tmp_path / "out")


@pytest.mark.parametrize("given", ["gone.png", "*.gone", "empty"])
def test_an_input_that_names_nothing_is_refused(given: str, tmp_path: Path) -> None:
    """A missing file, a pattern without a match and an empty folder are each named."""
    (tmp_path / "empty").mkdir()
    with pytest.raises(NotFound, match=given.replace("*", r"\*")):
        sources([str(tmp_path / given)], tmp_path / "out")


def test_a_folder_that_cannot_be_written_is_found_before_the_work(tmp_path: Path) -> None:
    """A file in the place of the output folder is named."""
    (tmp_path / "out").write_text("")
    with pytest.raises(StorageError, match="cannot write to the folder"):
        check_folder(tmp_path / "out")

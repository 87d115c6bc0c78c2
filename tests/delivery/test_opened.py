"""Any model file is opened by its content, and each form predicts as the model it came from."""

from collections.abc import Mapping
from pathlib import Path
from typing import get_args

import pytest
import torch

from tests.delivery import small
from tuner.delivery.export.write import Exported, Form, Options, export
from tuner.delivery.opened import open_any
from tuner.delivery.torch_model import open_program, open_script
from tuner.errors import DataUnavailable, TrainingError


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Mapping[Form, Exported]:
    """Give an FCN in every form, under a name that says nothing."""
    folder, trained = tmp_path_factory.mktemp("forms"), small.model("fcn")
    forms: tuple[Form, ...] = get_args(Form)
    return {form: export(trained, folder / form, form=form) for form in forms}


@pytest.mark.parametrize("form", get_args(Form))
def test_each_form_is_recognised_and_predicts(form: Form, files: Mapping[Form, Exported]) -> None:
    """Logits of every form are eager's at any batch and size."""
    opened, images = open_any(files[form].path), small.images((45, 70), batch=3)

    assert files[form].notes == ()
    assert opened.classes == ("sky", "road", "car")
    torch.testing.assert_close(opened.logits(images), small.model("fcn").logits(images))


@pytest.mark.parametrize("form", ["torchscript", "torch-export"])
@pytest.mark.parametrize("decoder", ["pspnet", "pan"])
def test_awkward_decoders_stay_right_in_torch_forms(
    form: Form, decoder: str, tmp_path: Path
) -> None:
    """What a form cannot keep free is made fixed and said; it is never wrong."""
    trained = small.model(decoder, mid_channels=8)
    done = export(trained, tmp_path / "model", form=form)

    opened = open_any(done.path)
    assert done.facts.dynamic_size or done.notes
    size = (45, 70) if done.facts.dynamic_size else trained.size
    images = small.images(size, batch=3)
    torch.testing.assert_close(opened.logits(images), trained.logits(images), atol=1e-5, rtol=1e-4)


def test_labels_come_from_torchscript_too(tmp_path: Path) -> None:
    """With argmax inside, TorchScript gives eager's labels."""
    trained, images = small.model("fcn"), small.images()
    done = export(trained, tmp_path / "m", form="torchscript", options=Options(gives="labels"))

    found = open_script(done.path).labels(images)
    assert torch.equal(found.long(), trained.network(images)[0].argmax(1))


@pytest.mark.parametrize("form", get_args(Form))
def test_a_truncated_file_of_any_form_is_refused(
    form: Form, files: Mapping[Form, Exported], tmp_path: Path
) -> None:
    """Half a file is refused with its name."""
    content, cut = files[form].path.read_bytes(), tmp_path / "cut"
    cut.write_bytes(content[: len(content) // 2])
    with pytest.raises(TrainingError, match="cut"):
        open_any(cut)


def test_torch_files_of_somebody_else_are_refused(tmp_path: Path) -> None:
    """A TorchScript file or a program without our metadata is refused."""
    layer, given = torch.nn.Conv2d(3, 2, 1), torch.rand(1, 3, 8, 8)
    program = tmp_path / "theirs.pt2"
    torch.export.save(torch.export.export(layer, (given,)), program)
    with pytest.raises(TrainingError, match=r"not a torch\.export file of segtune"):
        open_program(program)


def test_what_is_no_model_is_refused(tmp_path: Path) -> None:
    """Text, and a file that is not there, are named."""
    (tmp_path / "list.json").write_text('{"members": []}')
    with pytest.raises(TrainingError, match=r"list\.json is JSON"):
        open_any(tmp_path / "list.json")
    with pytest.raises(DataUnavailable, match="no model file"):
        open_any(tmp_path / "gone")


def test_nothing_is_left_of_a_file_that_differs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A file that gives other numbers than the model is refused and not left."""
    monkeypatch.setattr("tuner.delivery.export.agreement.TOLERANCE", -1.0)
    with pytest.raises(TrainingError, match="differs from the model"):
        export(small.model("fcn"), tmp_path / "model.ts", form="torchscript")
    assert list(tmp_path.iterdir()) == []

"""A model in an exported file, whatever runs it; a `Predictor`."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from tuner.delivery.facts import Facts, check_images
from tuner.errors import TrainingError
from tuner.spec.config import DatasetConfig, Size, TrialConfig
from tuner.spec.stored import read_config


class CannotRun(TrainingError):
    """The runtime of a file refuses images that the file says it takes."""


@dataclass(frozen=True, eq=False)
class FileModel:
    """What a file says of itself, and `run`: images N×C×H×W of float32 on the CPU to its output."""

    facts: Facts
    name: str
    sha256: str
    run: Callable[[Tensor], Tensor]

    @property
    def config(self) -> TrialConfig:
        """The config that it was trained by. Raises Unreadable."""
        return read_config(self.facts.config, f"the config in {self.name}")

    @property
    def classes(self) -> tuple[str, ...]:
        """Its outputs in order."""
        return self.facts.classes

    @property
    def channels(self) -> int:
        """Channels of its images."""
        return self.facts.channels

    @property
    def size(self) -> Size:
        """Height and width that it was trained at."""
        return self.facts.size

    @property
    def align_corners(self) -> bool:
        """How its logits are resized."""
        return self.facts.align_corners

    @property
    def dataset(self) -> DatasetConfig:
        """What it was trained on. Raises Unreadable."""
        return self.config.dataset

    @property
    def gives_labels(self) -> bool:
        """Whether its output is the number of the class, and not scores."""
        return self.facts.gives == "labels"

    def logits(self, images: Tensor) -> Tensor:
        """Logits N×K×h×w at the decoder's stride, of images N×C×H×W in 0 … 255.

        Raises:
            TrainingError: the file gives labels, or takes images of another size only.
        """
        if self.gives_labels:
            raise TrainingError(
                f"{self.name} gives the class of each pixel and no scores; export it with --logits"
            )
        return self._run(images)

    def labels(self, images: Tensor) -> Tensor:
        """Labels N×H×W of uint8 of images N×C×H×W, where the file gives those."""
        if not self.gives_labels:
            raise TrainingError(f"{self.name} gives scores; export it with --argmax for labels")
        return self._run(images)

    def _run(self, images: Tensor) -> Tensor:
        check_images(self.facts, self.name, (images.shape[1], images.shape[2], images.shape[3]))
        given = images.detach().float().cpu().contiguous()
        parts = [given] if self.facts.dynamic_batch else [image[None] for image in given]
        try:
            found = torch.cat([self.run(part) for part in parts])
        except MemoryError:
            raise
        except Exception as error:  # each runtime has classes of its own, and the file is anyone's
            said = (str(error).strip() or type(error).__name__).splitlines()[0][:200]
            raise CannotRun(
                f"{self.name} cannot be run on images of {'×'.join(map(str, given.shape[1:]))} "
                f"(channels × height × width): {said}; if it was changed, export it again"
            ) from error
        self._check(found, len(images))
        return found

    def _check(self, found: Tensor, count: int) -> None:
        """Raise TrainingError where an output is not what the file says that it gives."""
        classes, form = len(self.classes), tuple(found.shape)
        if self.gives_labels:
            is_right = found.ndim == 3 and form[0] == count and not found.is_floating_point()
            is_right = is_right and int(found.min()) >= 0 and int(found.max()) < classes
            wanted = f"labels {count}×H×W below {classes}"
        else:
            is_right = found.ndim == 4 and form[:2] == (count, classes)
            is_right = is_right and found.is_floating_point()
            wanted = f"scores {count}×{classes}×h×w"
        if not is_right:
            raise TrainingError(
                f"{self.name} gives {found.dtype} of {'×'.join(map(str, form))}, and says that it "
                f"gives {wanted}; it was changed: export it again"
            )

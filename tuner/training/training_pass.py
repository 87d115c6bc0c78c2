"""From images and labels to the loss: all that a backward pass goes through."""

from typing import cast

from torch import Tensor, nn

from tuner.spec.config import TrialConfig
from tuner.training.determinism import DeviceContext, autocast
from tuner.training.network.model import SegmentationModel
from tuner.training.teachers import Teachers


class TrainingPass(nn.Module):
    """Network and loss as one module, so that what either has to learn is found in one place."""

    def __init__(
        self,
        model: SegmentationModel,
        loss: nn.Module,
        teachers: Teachers,
        *,
        config: TrialConfig,
        context: DeviceContext,
    ) -> None:
        super().__init__()
        self.model = model
        self.loss = loss
        self._teachers = teachers
        self._aux_weight = config.model.aux_weight
        self._determinism, self._context = config.training.determinism, context

    def forward(self, images: Tensor, labels: Tensor) -> Tensor:
        """The loss, a scalar in float32, of B×C×h×w images in 0 … 255 against B×h×w labels."""
        with autocast(self._determinism, self._context):
            logits, aux = self.model(images)  # both b×K×h×w
            lessons = self._teachers.lessons(images)
        # In float32, whatever the network computes in.
        loss = self.loss(logits.float(), labels, *lessons)
        if aux is not None and self._aux_weight > 0:
            # A loss that mines pixels or scores regions says what an auxiliary output gets.
            aux_loss = getattr(self.loss, "aux", self.loss)
            loss = loss + self._aux_weight * aux_loss(aux.float(), labels, *lessons)
        return cast(Tensor, loss)

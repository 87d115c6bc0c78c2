"""Sheets of validation images as workers hand them in, without a network or pictures."""

from pathlib import Path
from typing import Any

from tests.store.fleet import Fleet
from tuner.service import artifacts
from tuner.spec.messages import ArtifactRef, Assignment
from tuner.store.artifacts import ArtifactStore, Stored, Upload


class HoldsAll(ArtifactStore):
    """A store that holds whatever is said to be in it."""

    def has(self, sha256: str) -> bool:
        """Say that it is there."""
        return True


STORE = HoldsAll(Path("nowhere"))


def details(*scores: float | None) -> dict[str, Any]:
    """A row of images with these scores, at the places 0, 1, … of the split."""
    images = [
        {"index": at, "name": f"{at}.png", "size": [4, 8], "box": [8 * at, 0, 8, 4], "miou": score}
        for at, score in enumerate(scores)
    ]
    return {"width": 8 * len(scores), "height": 4, "images": images}


def hand_in(
    fleet: Fleet,
    held: Assignment,
    kind: str,
    facts: dict[str, Any],
    *,
    step: int | None = None,
    store: ArtifactStore = STORE,
) -> ArtifactRef:
    """Attach a sheet to the trial, as its worker does."""
    name = f"{kind}-{step}.png"
    stored = Stored(f"{held.trial:030x}{step or 0:030x}{kind[:4].encode().hex()[:4]}", 3)
    upload = Upload(name, kind, step, stored, facts)
    return artifacts.attach(fleet.db, held.lease, held.token, upload, store=store)


def show(fleet: Fleet, held: Assignment, *scores: float | None, step: int = 1) -> None:
    """Photos, labels, and the predictions of a step."""
    plain = details(*(None for _ in scores))
    hand_in(fleet, held, "photos", plain)
    hand_in(fleet, held, "truth", plain)
    hand_in(fleet, held, "predictions", details(*scores), step=step)

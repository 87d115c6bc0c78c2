"""All that the page shows on which a study is written."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from urllib.parse import urlencode

from tuner.service import drafts
from tuner.service.drafts import Draft, PlacedProblem, PresetChoice
from tuner.service.storage import Database
from tuner.spec.study_text import written


@dataclass(frozen=True, slots=True)
class TextLine:
    """A line of the text: whether there is a mistake in it, and what is said of it."""

    number: int
    said: str


@dataclass(frozen=True, slots=True)
class CheckedText:
    """Context of the template `new/verdict.html`: mistakes and warnings, or the plan.

    `examples` are whole configs as text.
    """

    draft: Draft
    examples: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class StartingPoint:
    """What a study begins from: a study that exists, or a sample with presets in it."""

    clone: str | None = None
    sample: str = drafts.SAMPLES[0]
    presets: tuple[str, ...] = ()

    @property
    def text(self) -> str:
        """The query string that asks for this, empty for the default."""
        if self.clone:
            return f"?{urlencode({'clone': self.clone})}"
        pairs = [("preset", name) for name in self.presets]
        if self.sample != drafts.SAMPLES[0]:
            pairs.insert(0, ("sample", self.sample))
        return f"?{urlencode(pairs)}" if pairs else ""


@dataclass(frozen=True, slots=True)
class NewPage:
    """Context of the template `new/page.html`."""

    draft: Draft
    examples: tuple[str, ...]
    lines: tuple[TextLine, ...]
    start: StartingPoint
    samples: Sequence[str]
    choices: tuple[PresetChoice, ...]


def begun(db: Database, start: StartingPoint) -> NewPage:
    """The page with a text to begin from. Raises NotFound, Unreadable, InvalidInput."""
    if start.clone:
        text = drafts.copied(db, start.clone)
    else:
        text = drafts.sample(db, start.sample, start.presets)
    return checked(drafts.check(db, text), start)


def checked(draft: Draft, start: StartingPoint) -> NewPage:
    """The page with a text as somebody wrote it, and what is to be said of it."""
    return NewPage(
        draft=draft,
        examples=_examples(draft),
        lines=lines_of(draft.text, draft.mistakes),
        start=start,
        samples=drafts.SAMPLES,
        choices=drafts.preset_choices(),
    )


def checked_text(draft: Draft) -> CheckedText:
    """What is to be said of a text."""
    return CheckedText(draft, _examples(draft))


def lines_of(text: str, mistakes: Sequence[PlacedProblem]) -> tuple[TextLine, ...]:
    """Every line with the first mistake in it, and how many more there are."""
    said: dict[int, list[str]] = {}
    for one in mistakes:
        said.setdefault(one.line, []).append(one.message)
    return tuple(
        TextLine(number, _joined(said.get(number, ()))) for number in range(1, text.count("\n") + 2)
    )


def _joined(messages: Sequence[str]) -> str:
    if len(messages) < 2:
        return "".join(messages)
    return f"{messages[0]} (+{len(messages) - 1})"


def _examples(draft: Draft) -> tuple[str, ...]:
    if draft.plan is None:
        return ()
    return tuple(written(_shown(one.model_dump(mode="json"))) for one in draft.plan.examples)


def _shown(config: Mapping[str, object]) -> Mapping[str, object]:
    """A config without its data set, which is the same in all."""
    return {key: value for key, value in config.items() if key != "dataset"}

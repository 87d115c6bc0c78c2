"""Studies in the making: a text is checked at every keystroke, and begun from something known."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from sqlalchemy.orm import Session

from tuner.configs import checks, packages
from tuner.configs import studies as samples
from tuner.configs.checks import capabilities
from tuner.configs.presets import choose, presets
from tuner.errors import InvalidInput, Malformed, Problem
from tuner.service import demands, documents, planning, studies, summaries, transfers
from tuner.service.demands import waiting_for
from tuner.spec.documents import MAX_BYTES, Document, Language, check_plain, parse
from tuner.spec.study import StudySpec
from tuner.spec.study_text import essential, written
from tuner.spec.views import Plan, StudyView
from tuner.store import studies as study_rows
from tuner.store.engine import Database

SAMPLES = samples.NAMES


@dataclass(frozen=True, slots=True)
class PlacedProblem:
    """What is wrong with a text, and where; line and column count from 1."""

    line: int
    column: int
    message: str
    path: str = ""


@dataclass(frozen=True, slots=True)
class Draft:
    """What a text says: a plan if it is a study, else what is wrong with it, from the top down."""

    text: str
    mistakes: tuple[PlacedProblem, ...] = ()
    warnings: tuple[str, ...] = ()
    plan: Plan | None = None


@dataclass(frozen=True, slots=True)
class PresetChoice:
    """Presets of one section, of which a study has one at most: names with what they are."""

    section: str
    presets: Mapping[str, str]


def check(db: Database, text: str) -> Draft:
    """What a text would be as a study on this server; nothing is stored."""
    try:
        spec = _read(db, text)
    except _Mistaken as error:
        return Draft(text, error.mistakes)
    plan = planning.plan(db, spec)
    with db.reading() as session:
        fleet = [each.for_study(0) for each in summaries.fleet(session, now=db.now())]
    needed = packages.of_study(spec)
    reason = waiting_for(spec.resources, fleet, spec.deployment, needed)
    said = (reason,) if reason else demands.disagreements(needed, fleet)
    return Draft(text, warnings=said, plan=plan)


def submit(db: Database, text: str) -> StudyView | Draft:
    """Queue the study that a text says; what is wrong with it where it says none."""
    try:
        return studies.submit(db, _read(db, text))[0]
    except _Mistaken as error:
        return Draft(text, error.mistakes)


def sample(db: Database, name: str, chosen: Sequence[str] = ()) -> str:
    """The text of a sample study with these presets in place of its own sections, its name free.

    Raises:
        InvalidInput: a preset is unknown, or two are about one section.
    """
    text, document = samples.text(name), dict(samples.document(name))
    own = document["name"]
    with db.reading() as session:
        document["name"] = studies.free_name(session, own)
    if not chosen:
        return text.replace(f"name: {own}\n", f"name: {document['name']}\n", 1)
    for preset in choose(chosen):
        document["base"] = {**document["base"], preset.section: dict(preset.base)}
        others = {
            path: ranges
            for path, ranges in document["space"].items()
            if not path.startswith(f"{preset.section}.")
        }
        document["space"] = {**others, **preset.space}
    return written(document)


def copied(db: Database, study: int | str) -> str:
    """The text of a study that exists, under a name that is free. Raises NotFound, Unreadable."""
    with db.reading() as session:
        row = study_rows.find(session, study)
        spec = documents.spec_of(row)
        name = studies.free_name(session, row.name)
    return written({**essential(spec), "name": name})


def preset_choices() -> tuple[PresetChoice, ...]:
    """All presets by section."""
    sections: dict[str, dict[str, str]] = {}
    for preset in presets().values():
        sections.setdefault(preset.section, {})[preset.name] = preset.summary
    return tuple(PresetChoice(section, found) for section, found in sections.items())


class _Mistaken(Exception):
    """A text that is not a study, with what is wrong."""

    def __init__(self, mistakes: Iterable[PlacedProblem]) -> None:
        self.mistakes = tuple(sorted(mistakes, key=lambda one: (one.line, one.column)))


def _read(db: Database, text: str) -> StudySpec:
    """The study that a text says, as far as this server can take it. Raises _Mistaken."""
    document = _parsed(text)
    try:
        check_plain(document.value)
        spec = checks.parse(document.value)
        capabilities.require_packages(spec)
        with db.reading() as session:
            found = list(_conflicts(session, spec))
        if found:
            raise InvalidInput(found)
    except InvalidInput as error:
        last = text.count("\n") + 1
        raise _Mistaken(_placed(document, one, last) for one in error.problems) from None
    return spec


def _conflicts(session: Session, spec: StudySpec) -> Iterator[Problem]:
    """What stands against a study only on this server, and now."""
    if spec.name in study_rows.names_like(session, spec.name):
        message = f"a study named '{spec.name}' exists; choose another name, or delete that one"
        yield Problem(("name",), message)
    yield from transfers.problems(session, spec)


def _parsed(text: str) -> Document:
    """The values in a text, which is JSON where it looks like it, else YAML. Raises _Mistaken."""
    raw = text.encode("utf-8", errors="replace")
    limit = MAX_BYTES["yaml"]
    if len(raw) > limit:
        message = f"the text is larger than {limit // 1024} KiB: not a study"
        raise _Mistaken([PlacedProblem(1, 1, message)])
    language: Language = "json" if _looks_like_json(text) else "yaml"
    try:
        return parse(raw, language)
    except Malformed as error:
        line, column = error.line or 1, error.column or 1
        last = text.count("\n") + 1
        raise _Mistaken([PlacedProblem(min(line, last), column, error.message)]) from None


def _looks_like_json(text: str) -> bool:
    """Whether a text begins as JSON does: YAML's braces seldom hold a key in quotes."""
    head, _, rest = text.lstrip("\ufeff \t\r\n").partition("{")
    return not head and (not rest.strip() or rest.lstrip().startswith(('"', "}")))


def _placed(document: Document, problem: Problem, last: int) -> PlacedProblem:
    line, column = document.place_of(problem.location)
    path = ".".join(map(str, problem.location))
    return PlacedProblem(min(line, last), column, problem.message, path)

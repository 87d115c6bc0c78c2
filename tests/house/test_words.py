"""One word for a thing, the field's own; plain English wherever a person reads.

`IDENTIFIERS` are parts of names that the table of words in CONTRIBUTING.md has another word for;
`NAMES` are whole names that have one, where their parts mean something else elsewhere.
`IDIOMS` are turns of phrase, looked for in docstrings, messages and comments, and in what people
read that is not Python: pages of documentation, the dashboard's templates and its script.
"""

import ast
import io
import re
import tokenize
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.house.tree import sources, text, tracked

# Part of a name → what the field calls it.
IDENTIFIERS = {
    "affair": "what concerns it",
    "beat": "heartbeat",
    "bell": "notifier",
    "claim": "adjusted_rank",
    "cloud": "neighbourhood",
    "course": "learning_curve",
    "dear": "costly",
    "dearest": "max_cost",
    "doubles": "repeated",
    "endings": "lifecycle",
    "forests": "importance",
    "fronts": "pareto",
    "goal": "objective",
    "goals": "objectives",
    "guide": "proposer",
    "guides": "proposers",
    "heir": "following",
    "hope": "prior_agreement",
    "house": "what it is",
    "household": "supervisor",
    "hparams": "params",
    "hurry": "kill_now",
    "insight": "importance",
    "learner": "train_state",
    "loser": "replaced",
    "losers": "replaced",
    "mend": "fix",
    "neck": "decoder",
    "parting": "shutdown_grace",
    "pays": "decayed_weight",
    "picture": "image",
    "pictures": "images",
    "price": "cost_ratio",
    "pump": "driver",
    "ring": "notify",
    "rings": "version",
    "rival": "peer",
    "rivals": "peers",
    "rooms": "app state",
    "segmenter": "segmentation_model",
    "settle": "apply_verdict, resolve",
    "standing": "rank",
    "stopper": "pruner",
    "tend": "check",
    "tier": "determinism",
    "told": "what it holds: reported, seen, message, …",
    "untold": "unreported",
    "varied": "perturbed",
    "vary": "perturb",
    "wire": "channel",
}
# A whole name of a class, a function, a variable or a file → what the field calls it.
NAMES = {
    "AppRooms": "AppState",
    "Course": "LearningCurve",
    "Drawn": "NewTrial",
    "Earlier": "SourceTrial",
    "Ended": "EndedTrial",
    "Machine": "DeviceContext",
    "Memory": "InMemoryStorage",
    "Ordered": "VerdictEvent",
    "Past": "ImportedTrial",
    "Refused": "LeaseEnded",
    "Scored": "RankedTrial",
    "Setting": "PruningContext",
    "Source": "SampleSource",
    "Store": "DecodedSplit",
    "_Run": "Attempt",
    "_log": "logger",
    "_logger": "logger",
    "_take_up": "resume",
    "backbone": "encoder",
    "hand_over": "save_model",
    "smp": "_smp, the adapter",
    "worse_side": "worse_word",
}
# Turn of phrase → how Optuna's documentation would have it.
IS_NO = (
    r"(?<![Tt]here )\b(is|are|was|were) no (?!longer\b|more\b|less\b|larger\b|\w+er than\b)[a-z]"
)
IS_NONE = r"\b(is|are) none (that|of (its|our|their)s?)\b"
AFFAIR = r"\baffairs?\b|\bnone of (its|our|their) business\b"
WHO = r"(^|[.;:] )Who (?![^.]*\?)"
TO_WHO = r"\b(and|away|for|of|to) who (?!is|are|has|have)\b"
WHATEVER = r"\bwhat(ever)? (has |have |had )?bec[ao]me of\b"
WANT = r"\bfor want of\b"
EQUALS = r"\bof equals\b"
GO_BY = r"\bgo(es)? by\b"
BUT_FOR = r"(^|[ ,])but for (?!each\b|every\b|all\b)"
OLD = r"\b(shall|ought)\b"
STAND = r"\bstands? (at a rung|furthest behind)\b"
RING = r"\bring(s|ing)? (a|the|its) bells?\b|\ba ring (ends|wakes)\b"
LONELY = r"\bthe lonely\b"
IDIOMS = {
    IS_NO: "is not a …",
    IS_NONE: "is not one of …",
    AFFAIR: "does not concern it",
    WHO: "a worker that …, whoever …",
    TO_WHO: "those that",
    WHATEVER: "what happened to it",
    WANT: "because it lacks",
    EQUALS: "of two that are equal",
    GO_BY: "uses",
    STAND: "is at a rung, comes last",
    BUT_FOR: "except for, without",
    OLD: "must, should",
    RING: "notify",
    LONELY: "those with the largest crowding distance",
    r"\bmend(s|ed|ing)?\b": "fix",
    r"\bdear(er|est)?\b": "costly",
    r"\blosers?\b": "weak trials",
    r"\brivals?\b": "peers",
    r"\bhousehold\b": "processes of one machine",
    r"\b(learner|segmenter|pump)s?\b": "train state, segmentation model, driver",
    r"\b(lest|hence|whence|nought|naught|upon|hitherto)\b": "plain words",
}


def _room(path: Path) -> str:
    """The folder that a file's manners are those of: `tuner/search`, `api`, …"""
    is_deep = path.parts[0] == "tuner" and len(path.parts) > 2
    return "/".join(path.parts[:2]) if is_deep else path.parts[0]


def _names(tree: ast.AST) -> Iterator[str]:
    """Every name that a file gives to something, or calls something by."""
    for node in ast.walk(tree):
        for field in ("id", "arg", "attr", "name", "asname"):
            if isinstance(name := getattr(node, field, None), str):
                yield name


def _prose(source: str, tree: ast.AST) -> Iterator[str]:
    """Docstrings, messages and comments, each on one line."""
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type == tokenize.COMMENT:
            yield token.string
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield " ".join(node.value.split())


def _strange(path: Path) -> Iterator[str]:
    """What a file says that has another word, with that word."""
    source = text(path)
    tree = ast.parse(source)
    for name in {path.stem, *_names(tree)}:
        for part in re.findall(r"[A-Z]?[a-z]+", name):
            if part.lower() in IDENTIFIERS:
                yield f"{path}: {name}: say {IDENTIFIERS[part.lower()]}"
        if name in NAMES:
            yield f"{path}: {name}: say {NAMES[name]}"
    for sentence in _prose(source, tree):
        for idiom, better in IDIOMS.items():
            if found := re.search(idiom, sentence):
                yield f"{path}: “{sentence[found.start() :][:60]}”: say {better}"


ROOMS = sorted({_room(path) for path in sources()})


@pytest.mark.parametrize("room", ROOMS)
def test_a_room_says_the_field_s_words(room: str) -> None:
    """No name, docstring, message or comment has a word that the field has another one for."""
    found = {line for path in sources() if _room(path) == room for line in _strange(path)}

    assert sorted(found) == []


# A row of the database, and the same thing where it is read, sent or carried out.
ROWS = {"Attempt", "Event", "Report"}


def _types(path: Path) -> Iterator[str]:
    """Public classes of a file, and its names for types: `Point = tuple[float, …]`."""
    for node in ast.parse(text(path)).body:
        given = [node.name] if isinstance(node, ast.ClassDef) else []
        if isinstance(node, ast.Assign):
            given = [each.id for each in node.targets if isinstance(each, ast.Name)]
        yield from (name for name in given if re.fullmatch(r"([A-Z][a-z0-9]+)+", name))


def test_a_type_has_a_name_of_its_own() -> None:
    """One word means one thing: no two public types of the product are called the same."""
    homes: dict[str, list[str]] = {}
    for path in sources():
        if path.parts[0] in {"tuner", "api", "workers"}:
            for name in _types(path):
                homes.setdefault(name, []).append(str(path))

    assert {name: at for name, at in homes.items() if len(at) > 1 and name not in ROWS} == {}


PAGES = sorted(
    path
    for path in tracked()
    if path.suffix in {".html", ".js"} or (path.suffix == ".md" and path.parts[0] == "docs")
)


@pytest.mark.parametrize("page", PAGES, ids=str)
def test_a_page_is_in_plain_english(page: Path) -> None:
    """Documentation and dashboard have no turn of phrase that has a plainer one."""
    found = {
        f"{page}:{number}: “{line[match.start() :][:60].rstrip()}”: say {better}"
        for number, line in enumerate(text(page).splitlines(), start=1)
        for idiom, better in IDIOMS.items()
        if (match := re.search(idiom, line))
    }

    assert sorted(found) == []


@pytest.mark.parametrize(
    ("sentence", "is_plain"),
    [
        ("'x' is no number", False),
        ("there is no study; it is no longer open", True),
        ("Who pauses for long can move it", False),
        ("Who ended it? The agent.", True),
        ("mend the study, clone it", False),
        ("recommended", True),
    ],
)
def test_an_idiom_is_recognised(sentence: str, is_plain: bool) -> None:
    """The list finds the turn of phrase, and not the plain English beside it."""
    assert is_plain == (not any(re.search(idiom, sentence) for idiom in IDIOMS))

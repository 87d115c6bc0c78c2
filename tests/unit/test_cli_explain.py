"""`segtune explain`: words that cite the numbers, and say what is not known."""

import json
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from tuner.cli import explain
from tuner.cli.app import app
from tuner.spec.explanation import (
    BestTenth,
    ExplanationView,
    FailureGroup,
    Interaction,
    InteractionCell,
    ParamImportance,
    Trait,
)
from tuner.spec.study import Objective


def trait(path: str, q: float, **changes: Any) -> Trait:
    """A range of four best trials of 40."""
    values: dict[str, Any] = {
        "path": path,
        "low": 0.01,
        "high": 0.04,
        "chosen_in": 4,
        "chosen": 4,
        "others_in": 7,
        "others": 36,
        "effect": 0.8,
        "p_value": q / 2,
        "q_value": q,
    }
    return Trait.model_validate({**values, **changes})


def view(**changes: Any) -> ExplanationView:
    """What forty trials have taught."""
    values: dict[str, Any] = {
        "study": "streets",
        "objectives": (Objective(metric="miou"),),
        "epoch": 20,
        "trials": 40,
        "ended": 44,
        "resamples": 50,
        "importance": (
            ParamImportance(path="optimizer.lr", share=0.71, low=0.52, high=0.84, leading=0.98),
            ParamImportance(path="augment.flip", share=0.29, low=0.01, high=0.4, leading=0.02),
        ),
        "pairs": 1,
        "interactions": (
            Interaction(
                paths=("optimizer.lr", "optimizer.name"),
                effect=0.3,
                p_value=0.004,
                cells=(
                    InteractionCell(levels=("≤ 0.02", "sgd"), trials=9, mean=0.41),
                    InteractionCell(levels=("> 0.02", "sgd"), trials=11, mean=0.52),
                ),
            ),
        ),
        "best": BestTenth(
            trials=(7, 3, 12, 30),
            worst=(0.61,),
            others=36,
            traits=(
                trait("optimizer.lr", 0.0004),
                trait("optimizer.name", 0.03, low=None, high=None, value="sgd"),
                trait("augment.flip", 0.7),
            ),
        ),
        "failures": (
            FailureGroup(
                kind="out_of_memory",
                text="does not fit",
                trials=(4, 9),
                shared={"optimizer.name": "adamw"},
                traits=(trait("training.batch_size", 0.3, low=32, high=64, chosen_in=2, chosen=2),),
            ),
        ),
    }
    return ExplanationView(**{**values, **changes})


def run(monkeypatch: pytest.MonkeyPatch, found: ExplanationView, *arguments: str) -> Result:
    """The command against a server that knows this."""

    class Known:
        def explanation(self, study: str, *, objective: str | None = None) -> ExplanationView:
            return found

    monkeypatch.setattr(explain, "connect", lambda server, token: Known())
    return CliRunner().invoke(app, ["explain", "streets", *arguments])


def test_every_claim_has_its_numbers(monkeypatch: pytest.MonkeyPatch) -> None:
    """Importance with its interval, cells with their counts, ranges with theirs, failures."""
    assert run(monkeypatch, view()).stdout.splitlines() == [
        "streets: 40 trials compared by miou (maximized), at epoch 20",
        "",
        "What mattered",
        "  optimizer.lr: 71 % of reaching the best tenth (52 % to 84 %); first in 98 % of "
        "resamples",
        "  may as well not matter: augment.flip (29 %, 1 % to 40 %)",
        "  (PED-ANOVA; in brackets the 5th and 95th percentile over 50 resamples of the trials; "
        "equal shares would be 50 %)",
        "",
        "What works together",
        "  optimizer.lr × optimizer.name: 30 % of the variance of ranks beyond each alone, "
        "p = 0.004 corrected for 1 pair",
        "    optimizer.lr ≤ 0.02, optimizer.name sgd: mean 0.410 (9 trials)",
        "    optimizer.lr > 0.02, optimizer.name sgd: mean 0.520 (11 trials)",
        "",
        "What the best have in common",
        "  trials 7, 3, 12, 30 (miou 0.6100 or better) against 36 others:",
        "  optimizer.lr 0.01 to 0.04: 4 of 4, and 7 of 36 others (p < 0.001, corrected < 0.001)",
        "  optimizer.name = sgd: 4 of 4, and 7 of 36 others (p = 0.015, corrected = 0.030)",
        "  no clear difference: augment.flip",
        "",
        "What failed",
        "  out_of_memory: 2 of 44 (5 %), trials 4, 9: does not fit",
        "    all had optimizer=adamw",
        "    no param tells these apart clearly; the closest is training.batch_size 32 to 64: "
        "2 of 2, and 7 of 36 others (p = 0.15)",
    ]


def test_what_is_not_known_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    """Too few trials for anything."""
    few = view(trials=3, ended=3, importance=(), pairs=0, interactions=(), best=None, failures=())
    said = run(monkeypatch, few).stdout
    assert "nothing can be said of importance with 3 compared trials" in said
    assert "no two params have enough trials in every combination" in said
    assert "too few trials (3) to set the best apart" in said
    assert "none of 3 trials that ended" in said


@pytest.mark.parametrize("changes", [{"trials": 6}, {"trials": 19}, {"best": None}])
def test_importance_of_few_trials_is_not_said(
    changes: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Shares of so few trials are chance, however narrow a bootstrap of them is."""
    said = run(monkeypatch, view(**changes)).stdout
    assert "nothing can be said of importance" in said
    assert "of resamples" not in said


def test_a_pair_that_is_not_clear_is_not_called_one(monkeypatch: pytest.MonkeyPatch) -> None:
    """The strongest is named with its chance."""
    weak = view().interactions[0].model_copy(update={"p_value": 0.4})
    said = run(monkeypatch, view(interactions=(weak,))).stdout
    assert "no pair clearly; the strongest is optimizer.lr × optimizer.name: 30 %" in said
    assert "mean 0.410" not in said


def test_as_json_it_is_the_whole_view(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every number, for programs."""
    found = run(monkeypatch, view(), "--json").stdout
    assert ExplanationView.model_validate(json.loads(found)) == view()


@pytest.mark.parametrize("name", ["model.pt", "model.ts", "model.pt2", "model.onnx"])
def test_a_model_file_is_not_a_study(name: str) -> None:
    """The message names the command for models."""
    done = CliRunner().invoke(app, ["explain", name])
    assert done.exit_code == 2
    assert "segtune explain-image" in done.stderr

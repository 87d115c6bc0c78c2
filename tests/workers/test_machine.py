"""What a worker knows of itself: settings, device, name, environment, protocol, endings."""

import errno
import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import SecretStr, ValidationError

from tests.workers.fake_server import CONFIG, order
from tuner.errors import (
    DataError,
    DataUnavailable,
    Diverged,
    InvalidInput,
    PackageMissing,
    WeightsUnavailable,
)
from tuner.spec.messages import Action, Device, Outcome, OutcomeKind, Unfitness
from workers import devices, identity
from workers.identity import Identity, acquire
from workers.outcomes import apply_verdict, trained
from workers.process import Exited
from workers.protocol import MESSAGES, Finished, Reply, digest, line
from workers.settings import WorkerSettings
from workers.trainer import shared

GPUS = tuple(Device(kind="cuda", index=index, name="H100") for index in range(3))
MORE = (Device(kind="cuda", index=3, name="H100"),)
BY_UUID = {f"GPU-{index}{index}": gpu for index, gpu in enumerate(GPUS)}


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def test_settings_read_lists_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Folders are separated as in PATH, labels by commas."""
    monkeypatch.setenv("SEGTUNE_DATA_ROOTS", os.pathsep.join(["/data/a", "/data/b"]))
    monkeypatch.setenv("SEGTUNE_LABELS", "zone=eu, disk=ssd")
    settings = WorkerSettings()
    assert settings.data_roots == (Path("/data/a"), Path("/data/b"))
    assert settings.labels == {"zone": "eu", "disk": "ssd"}


def test_settings_default_to_the_working_directory(tmp_path: Path) -> None:
    """Data sets lie below where the worker was started, its own files below home."""
    settings = WorkerSettings(home=tmp_path / "home")
    assert settings.data_roots == (tmp_path.resolve(),)
    assert settings.cache_folder == tmp_path / "home" / "cache"


def test_settings_hide_the_token() -> None:
    """A log line with the settings gives no secret away."""
    assert "hunter2" not in repr(WorkerSettings(token=SecretStr("hunter2")))


@pytest.mark.parametrize(
    "wrong", [{"labels": "zone"}, {"device": "gpu"}, {"hang_seconds": 0}, {"poll_seconds": 31}]
)
def test_settings_refuse_nonsense(wrong: dict[str, object]) -> None:
    """Each field keeps its bounds."""
    with pytest.raises(ValidationError):
        WorkerSettings(**wrong)  # type: ignore[arg-type]  # that is the point


def test_auto_takes_the_first_free_gpu() -> None:
    """Workers that choose for themselves spread over the GPUs, and share when all are taken."""
    assert devices.choose("auto", GPUS, is_free=lambda gpu: gpu.index > 0) == GPUS[1]
    assert devices.choose("auto", GPUS, is_free=lambda gpu: False) == GPUS[0]


def test_a_numbered_gpu_counts_visible_ones() -> None:
    """cuda:1 is the second that CUDA_VISIBLE_DEVICES names."""
    visible = devices.select(BY_UUID, "2,GPU-00")
    assert devices.choose("cuda:1", visible, is_free=lambda gpu: True) == GPUS[0]


def test_a_missing_gpu_is_named_with_those_there_are() -> None:
    """The message says what could be chosen."""
    with pytest.raises(InvalidInput, match=r"no cuda:3; GPUs here: cuda:0 \(H100\)"):
        devices.choose("cuda:3", GPUS, is_free=lambda gpu: True)


def test_unknown_names_end_the_visible_list() -> None:
    """As CUDA does, everything after a name that is not there is left out."""
    assert devices.select(BY_UUID, "1,7,2") == (GPUS[1],)
    assert devices.select(BY_UUID, "") == ()
    assert devices.select(BY_UUID, None) == GPUS


def test_the_trainer_sees_one_device_and_no_token() -> None:
    """Its environment holds its GPU, its threads, and nothing of the server's."""
    env = devices.environment({"SEGTUNE_TOKEN": "hunter2"}, GPUS[2:], 4)
    assert env["CUDA_VISIBLE_DEVICES"] == "2"
    assert env["OMP_NUM_THREADS"] == "4"
    assert "SEGTUNE_TOKEN" not in env


def test_gpu_workers_share_the_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each GPU's worker gets its part, a CPU worker all."""
    monkeypatch.setattr(devices, "cores", lambda: 10)
    assert devices.threads(GPUS[0], GPUS) == 3
    assert devices.threads(devices.cpu(), ()) == 10


def test_living_workers_have_different_names(tmp_path: Path) -> None:
    """A second worker of a device gets a number, and a name that is free is used again."""
    settings = WorkerSettings(home=tmp_path, device="cpu")
    first, second = acquire(settings), acquire(settings)
    first.release()
    third = acquire(settings)
    assert second.name == f"{first.name}-2"
    assert third.name == first.name
    second.release()
    third.release()


@pytest.mark.parametrize(
    ("wanted", "free", "given"),
    [
        ("auto", GPUS, GPUS[:2]),
        ("cuda", GPUS[1:], GPUS[1:]),
        ("cuda:1", GPUS, GPUS[1:]),
        ("auto", GPUS[:1], None),
        ("cuda:2", GPUS, None),
        ("mps", (), None),
        ("cpu", GPUS, (devices.cpu(), devices.cpu())),
    ],
)
def test_a_worker_takes_gpus_that_are_free(
    wanted: str, free: tuple[Device, ...], given: tuple[Device, ...] | None
) -> None:
    """As many as it is to have, from the named one on; too few are refused."""
    if given is None:
        with pytest.raises(InvalidInput, match="gpus: 2 GPUs are wanted"):
            devices.several(wanted, 2, free, GPUS)
    else:
        assert tuple(devices.several(wanted, 2, free, GPUS)) == given


def test_several_gpus_are_never_the_cpu_by_themselves() -> None:
    """Without a driver, a worker that is to have some does not train on the processor."""
    with pytest.raises(InvalidInput, match=r"free for auto: none.* device cpu"):
        devices.several("auto", 2, (), ())


def test_workers_that_start_together_take_different_gpus(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each has its own, and who comes last hears that there are none left."""
    monkeypatch.setattr(identity, "gpus", lambda visible: (*GPUS, *MORE))
    settings = WorkerSettings(home=tmp_path, gpus=2)

    def start(_: int) -> Identity | InvalidInput:
        try:
            return acquire(settings)
        except InvalidInput as error:
            return error

    with ThreadPoolExecutor(3) as pool:
        found = list(pool.map(start, range(3)))
    held = [each for each in found if isinstance(each, Identity)]
    assert len(held) == 2
    assert len({device.index for each in held for device in each.devices}) == 4
    for each in held:
        each.release()


def test_the_trainer_of_several_gpus_sees_them(tmp_path: Path) -> None:
    """In their order; what says less memory than others has the say for all."""
    env = devices.environment({}, GPUS[1:], 4)
    assert env["CUDA_VISIBLE_DEVICES"] == "1,2"
    both = Identity("w", (Device(memory_gb=24), Device(memory_gb=16)), (), ())
    assert both.device.memory_gb == 16


def test_processes_share_the_cpu(tmp_path: Path) -> None:
    """A worker without a GPU may try out what several do; its threads are divided."""
    held = acquire(WorkerSettings(home=tmp_path, device="cpu", gpus=3))
    held.release()
    assert [device.kind for device in held.devices] == ["cpu"] * 3
    assert shared(8, 3, "cpu") == 2
    assert shared(1, 3, "cpu") == 1
    assert shared(8, 3, "cuda:0") == 8


def test_messages_survive_the_wire() -> None:
    """A line is read as the message that was written, newlines in texts included."""
    outcome = Outcome(kind=OutcomeKind.FAILED, error="first\nsecond", error_kind="exception")
    message = Finished(outcome=outcome, digest="0")
    written = line(message)
    assert written.count(b"\n") == 1
    assert MESSAGES.validate_json(written) == message


@given(st.integers(0, 1000), st.integers(0, 1000))
def test_digests_tell_configs_apart(one: int, other: int) -> None:
    """Equal configs have equal digests, and different ones different."""
    first = digest(CONFIG.model_copy(update={"seed": one}))
    second = digest(CONFIG.model_copy(update={"seed": other}))
    assert (first == second) == (one == other)


def test_a_commands_kind_is_no_message() -> None:
    """The two directions do not mix."""
    with pytest.raises(ValidationError):
        MESSAGES.validate_json(line(Reply(verdict=order("stop"))))


def test_only_yielding_is_renamed() -> None:
    """A trial that completed in spite of a verdict is complete."""
    done = Outcome(kind=OutcomeKind.COMPLETED, step=5)
    assert apply_verdict(done, order("stop")) == done
    gone = Outcome(kind=OutcomeKind.YIELDED, step=5)
    assert apply_verdict(gone, order("stop")).kind is OutcomeKind.STOPPED
    assert apply_verdict(gone, None) == gone


@pytest.mark.parametrize("action", Action)
def test_every_action_that_ends_an_attempt_names_its_end(action: Action) -> None:
    """Loop and agent ask the action itself; only `continue` ends nothing."""
    assert (action.outcome is None) == (action is Action.CONTINUE)


def test_the_trained_config_is_the_sampled_one() -> None:
    """The outcome counts when the digests agree."""
    outcome = Outcome(kind=OutcomeKind.COMPLETED, step=5)
    assert trained(Finished(outcome=outcome, digest=digest(CONFIG)), CONFIG) == outcome


@pytest.mark.parametrize(
    ("code", "words"), [(3, "exit code 3"), (-11, "signal SIGSEGV"), (-9, "out of memory?")]
)
def test_ends_of_a_process_are_reported_in_words(code: int, words: str) -> None:
    """Codes are for machines."""
    assert words in str(Exited(code))


@pytest.mark.parametrize(
    ("error", "kind", "traceback"),
    [
        (DataError("no images"), "data", False),
        (Diverged("loss is nan"), "diverged", False),
        (ZeroDivisionError("by zero"), "exception", True),
    ],
)
def test_a_failure_says_what_happened(error: Exception, kind: str, traceback: bool) -> None:
    """Own errors say it in their message; others bring their traceback."""
    from workers.trainer import failure

    outcome = failure(error, 3)
    assert (outcome.kind, outcome.step, outcome.error_kind) == (OutcomeKind.FAILED, 3, kind)
    assert str(error) in (outcome.error or "")
    assert ("\n\n" in (outcome.error or "")) is traceback


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (DataUnavailable("no root"), Unfitness.DATA),
        (WeightsUnavailable("no hub"), Unfitness.WEIGHTS),
        (PackageMissing("no onnxruntime"), Unfitness.PACKAGE),
        (OSError(errno.ENOSPC, "No space left on device"), Unfitness.MACHINE),
        (RuntimeError("CUDA error: no CUDA-capable device is detected"), Unfitness.DEVICE),
    ],
)
def test_a_trial_goes_back_for_the_machines_surroundings(error: Exception, kind: Unfitness) -> None:
    """It is not the trial that failed, so that it is given back with the reason."""
    from workers.trainer import failure

    outcome = failure(error, 3)
    assert (outcome.kind, outcome.step, outcome.unfitness) == (OutcomeKind.YIELDED, 3, kind)
    assert str(error) in (outcome.error or "")

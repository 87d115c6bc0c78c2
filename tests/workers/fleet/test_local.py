"""A fleet of processes on this machine, with a real server and real workers."""

import logging
import threading
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from tests.end_to_end.cluster import Cluster, cluster, street_study
from tuner.cli.app import app
from tuner.errors import InvalidInput, ServerUnreachable
from tuner.spec.states import StudyState
from workers.fleet import contract, loop
from workers.fleet.decision import FleetPlan, FleetRecord
from workers.fleet.environment import environment
from workers.fleet.local import LocalDriver
from workers.fleet.settings import FleetSettings
from workers.settings import WorkerSettings


def local(town: Cluster, **values: Any) -> loop.Fleet:
    """A fleet of that server, as a process of its own would have it."""
    given: dict[str, Any] = {
        "name": "f",
        "gpus": 0,
        "max": 1,
        "cooldown": 0,
        "interval": 0.1,
        **values,
    }
    settings = FleetSettings(**given)
    worker = WorkerSettings(
        server=town.environment["SEGTUNE_SERVER"], home=town.folder / "home", device="cpu"
    )
    return loop.fleet_of(contract.load(settings, worker), settings, worker)


def test_workers_without_gpus_take_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also where the machine has some: `gpus: 0` is the CPU, whatever the engine."""
    monkeypatch.setattr("workers.fleet.local.gpus", lambda _: ("a", "b"))
    worker = WorkerSettings(home=tmp_path)
    for gpus, device in (0, "cpu"), (1, "cuda:1"):
        driver = LocalDriver(tmp_path, FleetSettings(gpus=gpus), worker)
        assert driver._device("f-2") == device


def until_empty(fleet: loop.Fleet) -> None:
    """Look and act until the fleet has no worker."""
    tick = threading.Event()
    while fleet.driver.list():
        fleet.act(fleet.look())
        tick.wait(0.1)


@pytest.mark.timeout(240)
def test_a_fleet_of_processes_comes_with_the_work_and_goes_with_it(
    tmp_path: Path, sqlite_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """From none to one to none; another process of the fleet goes on with what it finds; and
    without its server it keeps what it has.
    """
    document = street_study("short", trials=1)
    document["base"]["training"] = {"epochs": 1, "batch_size": 8}
    monkeypatch.setenv("SEGTUNE_POLL_SECONDS", "1")
    with cluster(tmp_path, sqlite_url) as town:
        assert not loop.lines(local(town).look())
        town.client.submit(document)
        first = local(town)
        first.act(first.look())
        assert [each.name for each in first.driver.list()] == ["f-1"]

        other = local(town)
        assert not other.look().start
        assert town.client.wait("short", timeout=200).state is StudyState.FINISHED
        until_empty(other)
        assert [each.name for each in town.client.workers()] == ["f-1"]
        attempts = town.client.trial("short", 0).attempt_history
        assert [(each.worker, each.outcome) for each in attempts] == [("f-1", "completed")]

        assert first.driver.list() == ()
        town.stop()
        with pytest.raises(ServerUnreachable):
            other.look()


def driver(folder: Path) -> LocalDriver:
    """A driver whose files lie in a folder."""
    return LocalDriver(folder, FleetSettings(), WorkerSettings(home=folder, device="cpu"))


def test_files_of_processes_that_are_gone_are_no_workers(tmp_path: Path) -> None:
    """A number that another process has by now, and a file that cannot be read, are nobody's."""
    (tmp_path / "f-1.json").write_text('{"pid": 1, "began": 5.0}')
    (tmp_path / "f-2.json").write_text("{")
    assert driver(tmp_path).list() == ()
    assert list(tmp_path.iterdir()) == []
    driver(tmp_path).drain("f-1")
    driver(tmp_path).stop("f-1")


def test_a_fleet_goes_on_when_its_server_is_away(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """It says so once, and starts and ends nothing."""
    settings = FleetSettings(interval=0.01)
    worker = WorkerSettings(server="http://127.0.0.1:9", home=tmp_path, device="cpu")
    looks = threading.Event()

    class Watched(LocalDriver):
        def list(self) -> tuple[contract.FleetMember, ...]:
            looks.set()
            return super().list()

    fleet = loop.fleet_of(Watched(tmp_path, settings, worker), settings, worker)
    stop = threading.Event()
    thread = threading.Thread(target=fleet.run, args=(stop,))
    with caplog.at_level(logging.WARNING):
        thread.start()
        assert looks.wait(30)
        stop.set()
        thread.join(30)
    assert [each.message.split(":")[0] for each in caplog.records] == [
        "the fleet keeps what it has"
    ]
    assert not (tmp_path / "fleet").exists()


def test_a_fleet_starts_nobody_that_it_cannot_remember(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A disk that is full ends no fleet: it says so, and looks again when there is room."""
    stop, started = threading.Event(), list[str]()

    class Watched(LocalDriver):
        def start(self, name: str) -> None:
            started.append(name)
            stop.set()

    settings = FleetSettings(name="f", min=1, interval=0.01)
    worker = WorkerSettings(home=tmp_path, device="cpu")
    fleet = loop.fleet_of(Watched(tmp_path, settings, worker), settings, worker)
    plan = FleetPlan(1, "", FleetRecord(), start=("f-1",))
    monkeypatch.setattr(loop.Fleet, "look", lambda _: plan)
    monkeypatch.setattr(loop.Fleet, "_let_take_trials", lambda *_: None)
    (tmp_path / "fleet").touch()  # where its folder must be

    def make_room(*_: object) -> None:
        assert not started
        (tmp_path / "fleet").unlink(missing_ok=True)

    monkeypatch.setattr("workers.notices.Notices.trouble", make_room)
    fleet.run(stop)
    assert started == ["f-1"]


def test_shares_are_of_one_gpu() -> None:
    """No engine gives one and a half, and the worker would be told of one."""
    assert FleetSettings(gpus=0.5).gpus == 0.5
    with pytest.raises(ValueError, match=r"gpus is 1\.5; a worker takes a share of one GPU"):
        FleetSettings(gpus=1.5)


def test_drivers_are_found_by_their_files() -> None:
    """The stem is the name; a name that no file has is refused with those that there are."""
    assert {"kubernetes", "local", "ray"} <= set(contract.names())
    with pytest.raises(InvalidInput, match="there is no driver 'localx'; did you mean 'local'"):
        contract.load(FleetSettings(driver="localx"), WorkerSettings())


def test_a_memory_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    """The file is the user's to remove: it holds the hours that were spent."""
    file = tmp_path / "memory.json"
    file.write_text('{"seconds": "many"}')
    with pytest.raises(InvalidInput, match=r"memory\.json is not a fleet's memory"):
        loop.read(file)


def test_workers_have_the_slots_that_the_fleet_counts_with() -> None:
    """A worker that trained one at a time would leave the others waiting."""
    assert environment(FleetSettings(slots=4), WorkerSettings())["SEGTUNE_SLOTS"] == "4"
    assert "SEGTUNE_SLOTS" not in environment(FleetSettings(), WorkerSettings())


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--min", "9", "--max", "3"], "min is 9 and max 3"),
        (["--driver", "slurmy"], "there is no driver 'slurmy'"),
        (["--driver", "kubernetes"], "--template"),
        (["--slots", "0"], "SEGTUNE_FLEET_SLOTS"),
        (["--slots", "2", "--gpus", "2"], "slots is 2 and gpus 2"),
        (["--server", "http://127.0.0.1:9", "--once"], "does not answer"),
    ],
)
def test_the_command_refuses_in_words(
    arguments: list[str], message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A wrong flag and an absent server give a sentence, never a traceback."""
    monkeypatch.chdir(tmp_path)
    done = CliRunner(env={"SEGTUNE_HOME": str(tmp_path)}).invoke(app, ["fleet", *arguments])
    assert done.exit_code in {2, 3}
    assert message in done.output

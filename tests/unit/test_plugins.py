"""Components of other packages: found, allowed, refused and left out."""

import logging
import sys
from typing import Any

import pytest
from typer.testing import CliRunner

from api import startup
from api.settings import Settings
from tests.distributions import SitePackages
from tests.store.samples import spec
from tuner.cli.app import app
from tuner.configs import catalog, checks, packages, plugins, resolve
from tuner.errors import InvalidInput, InvalidSpec, PackageMissing, UnknownComponent
from tuner.spec.config import Recipe
from workers.settings import WorkerSettings

PLAIN = '"""A component."""\n\n\ndef build(*arguments: object, gain: float = 1.0) -> None: ...\n'
NEVER = "raise RuntimeError('imported')\n"


def test_kinds_have_groups() -> None:
    """Whatever segtune has files for, packages can add to."""
    assert set(plugins.GROUPS) == set(catalog.FOLDERS)


@pytest.mark.parametrize("kind", [kind for kind in catalog.FOLDERS if kind != "augment"])
def test_a_package_adds_a_component_of_each_kind(site: SitePackages, kind: str) -> None:
    """It is found under its entry point's name, with its options."""
    entry = catalog.ENTRIES.get(kind, "build")
    traits = {
        "encoder": "OUTPUT_STRIDES = (8,)",
        "decoder": "OUTPUT_STRIDES = (8,)",
        "optimizer": "LR_SCALING = 'none'",
    }
    code = f"{PLAIN.replace('build', entry)}\n\n{traits.get(kind, '')}\n"
    site.install("acme", {"acme/x.py": code}, {"mine": "acme.x"}, group=plugins.GROUPS[kind])
    site.allow("Acme")

    found = catalog.find(kind, "mine")

    assert ["gain"] == [*found.options]
    assert f"acme 1.0 ({plugins.GROUPS[kind]}: mine = acme.x)" == str(found.plugin)


def test_training_components_are_read_and_not_imported(site: SitePackages) -> None:
    """Neither the file nor the packages around it run on the server."""
    files = {"acme/__init__.py": NEVER, "acme/x.py": f"{PLAIN}{NEVER}"}
    site.install("acme", files, {"mine": "acme.x"})
    site.allow("acme")

    assert "mine" in catalog.names("loss")
    assert "acme" not in sys.modules


def test_nothing_is_used_unless_it_is_allowed(site: SitePackages) -> None:
    """The answer says which package would give the component, in which version."""
    site.install_example()

    assert "soft_margin" not in catalog.names("loss")
    with pytest.raises(UnknownComponent, match=r"acme-seg 1\.0, which is installed but not allow"):
        catalog.find("loss", "soft_margin")


@pytest.mark.parametrize(
    ("kind", "changes"),
    [
        ("loss", {"base": {"loss": {"name": "mine"}}}),
        ("loss", {"base": {"loss": {"name": "sum", "terms": [{"name": "mine"}]}}}),
        ("loss", {"space": {"loss.name": {"choice": ["dice", "mine"]}}}),
        ("augment", {"base": {"augment": {"mine": 0.5}}}),
        ("dataset", {"dataset": {"format": "mine", "classes": ["a", "b"], "size": [32, 32]}}),
        ("sampler", {"search": {"sampler": "mine", "trials": 4}}),
        ("pruner", {"search": {"pruner": "mine", "trials": 4}}),
    ],
)
def test_a_study_cannot_name_what_is_not_allowed(
    site: SitePackages, kind: str, changes: dict[str, Any]
) -> None:
    """Wherever it stands in the document, the package is named and the setting that allows it."""
    site.install("acme", {"acme/x.py": PLAIN}, {"mine": "acme.x"}, group=plugins.GROUPS[kind])

    with pytest.raises(InvalidSpec, match=r"SEGTUNE_PLUGINS=acme"):
        checks.check(spec(**changes))


@pytest.mark.parametrize(
    ("kind", "name"), [("loss", "dice"), ("encoder", "tu-resnet50d"), ("sampler", "auto")]
)
def test_no_plugin_takes_a_name_of_segtune(
    site: SitePackages, kind: str, name: str, tmp_path: Any
) -> None:
    """Server and catalog refuse to start, and name both."""
    code = f"{PLAIN}\n\nOUTPUT_STRIDES = (8,)\n" if kind == "encoder" else PLAIN
    site.install("acme", {"acme/x.py": code}, {name: "acme.x"}, group=plugins.GROUPS[kind])
    site.allow("acme")

    with pytest.raises(InvalidInput, match=rf"the {kind} '{name}' of acme 1\.0 .*segtune itself"):
        startup.prepare(Settings(home=tmp_path))


def test_no_plugin_takes_a_name_of_another(site: SitePackages) -> None:
    """Which of two would win is not left to the order of folders."""
    for package in ("acme", "other"):
        site.install(package, {f"{package}/x.py": PLAIN}, {"mine": f"{package}.x"})
    site.allow("acme", "other")

    with pytest.raises(InvalidInput, match=r"'mine' of .* has a name that .* gives already"):
        catalog.read_all()


@pytest.mark.parametrize(
    ("kind", "module", "code", "reason"),
    [
        ("loss", "acme.y", PLAIN, "no module acme.y"),
        ("loss", "acme.x:build", PLAIN, "is not a module"),
        ("loss", "acme.x", "def build(:\n", "SyntaxError"),
        ("loss", "acme.x", "x = 1\n", "no function build"),
        ("loss", "acme.x", f"{PLAIN}\nTERNS = 'x'\n", "TERNS is not a trait"),
        ("loss", "acme.x", PLAIN.replace("1.0", "'x'"), "the default of gain"),
        ("loss", "acme.x", PLAIN.replace("gain: float", "gain: Tensor"), "NameError"),
        ("optimizer", "acme.x", PLAIN.replace("gain", "lr"), "LR_SCALING"),
        ("schedule", "acme.x", PLAIN.replace("gain", "warmup"), "hides a field"),
        ("augment", "acme.x", f"{PLAIN}ACTS_ON = 'hole'\nORDER = 1\nDRAWS = 1\n", "strength"),
        ("encoder", "acme.x", f"{PLAIN}OUTPUT_STRIDES = (8,)\nPREFIX = 'a'\n", "PREFIX"),
        ("pruner", "acme.x", f"{PLAIN}{NEVER}", "RuntimeError: imported"),
        ("sampler", "acme.x", f"{PLAIN}raise SystemExit(3)\n", "SystemExit: 3"),
    ],
)
def test_a_broken_plugin_is_left_out(
    site: SitePackages,
    caplog: pytest.LogCaptureFixture,
    kind: str,
    module: str,
    code: str,
    reason: str,
) -> None:
    """Its package, version, entry point and reason are logged, and all else is there."""
    group = plugins.GROUPS[kind]
    site.install("acme", {"acme/x.py": code}, {"mine": module}, group=group)
    site.allow("acme")

    with caplog.at_level(logging.ERROR):
        catalog.read_all()

    (said,) = caplog.messages
    assert f"acme 1.0 ({group}: mine = {module})" in said
    assert reason in said
    assert catalog.components(kind) == catalog.built_in(kind)
    assert (kind in catalog.SEARCHING) == ("acme" in packages.usable())


def test_a_package_that_is_not_there_is_said(site: SitePackages) -> None:
    """A slip in the setting does not pass in silence."""
    site.allow("acme-sag")

    assert ["acme-sag"] == [one.package for one in catalog.broken()]


def test_what_cannot_be_imported_is_the_machines_fault(site: SitePackages) -> None:
    """So that another worker gets the trial."""
    site.install("acme", {"acme/x.py": f"{PLAIN}{NEVER}"}, {"mine": "acme.x"})
    site.allow("acme")

    with pytest.raises(PackageMissing, match=r"acme 1\.0 .* RuntimeError: imported"):
        catalog.load("loss", "mine")


def test_options_are_checked_as_those_of_segtune(site: SitePackages) -> None:
    """Ranges, names and defaults come from the plug-in's own signature."""
    site.install_example()
    site.allow("acme-seg")
    ours = {"loss.name": {"choice": ["soft_margin"]}}

    checks.check(spec(space={**ours, "loss.margin": {"float": [0.0, 0.5]}}))
    with pytest.raises(InvalidSpec, match="less than 1"):
        checks.check(spec(space={**ours, "loss.margin": {"float": [0.0, 2.0]}}))


def test_an_augmentation_is_in_a_config_only_where_it_is_named(site: SitePackages) -> None:
    """Other studies do not come to need the package."""
    build = "def build(strength: float = 0.0) -> None: ...\n".replace("(", "(*, ", 1)
    code = f'"""Holes."""\n\nACTS_ON = "hole"\nORDER = 1\nDRAWS = 1\n\n\n{build}'
    site.install("acme", {"acme/x.py": code}, {"mine": "acme.x"}, group="segtune.augment")
    site.allow("acme")
    study = spec()

    without = resolve.resolve(study.base, study.dataset, {})
    named = resolve.resolve(study.base, study.dataset, {"augment.mine": 0.5})

    assert ({}, {"acme": "1.0"}) == (packages.of_config(without), packages.of_config(named))


@pytest.mark.parametrize(
    "changes",
    [
        {"base": {"loss": {"name": "soft_margin"}}},
        {"base": {"loss": {"name": "sum", "terms": [{"name": "soft_margin"}]}}},
        {"space": {"loss.name": {"choice": ["dice", "soft_margin"]}}},
    ],
)
def test_a_study_says_which_packages_it_needs(site: SitePackages, changes: dict[str, Any]) -> None:
    """Also those that only some of its trials need."""
    site.install_example()
    site.allow("acme-seg")

    assert {"acme-seg": "1.0"} == packages.of_study(spec(**changes))
    assert {} == packages.of_study(spec())


@pytest.mark.parametrize("kind", [Settings, WorkerSettings])
def test_the_setting_is_a_list_of_names(kind: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """However they are written; what is not a name is refused."""
    monkeypatch.setenv("SEGTUNE_PLUGINS", " Acme_Seg, other,acme.seg,")
    assert ("acme-seg", "other") == kind().plugins

    monkeypatch.setenv("SEGTUNE_PLUGINS", "acme seg")
    with pytest.raises(ValueError, match="is not the name of a package"):
        kind()


def test_recipes_without_plugins_need_none() -> None:
    """The textbook recipe is of segtune alone."""
    study = spec()
    assert {} == packages.of_config(resolve.resolve(Recipe(), study.dataset, {}))


def test_the_command_fails_where_something_is_left_out(site: SitePackages) -> None:
    """A script that sets up a machine sees it; what is allowed and whole ends well."""
    site.install_example()
    for allowed, code in (("acme-seg", 0), ("acme-seg,acme-sag", 1)):
        done = CliRunner(env={"SEGTUNE_PLUGINS": allowed}).invoke(app, ["plugins"])
        assert (code, "acme-sag" in done.output) == (done.exit_code, bool(code))

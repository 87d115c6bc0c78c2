"""What a study asks of a worker, and which of its demands no worker meets; pure."""

from collections.abc import Callable, Collection, Iterable, Mapping
from typing import NamedTuple

from tuner.spec.deployment import Deployment
from tuner.spec.kinds import DeviceKind
from tuner.spec.messages import Capabilities
from tuner.spec.study import Resources
from tuner.wording import quantity

_NAMED = 3  # of the things that a sentence lists


class Member(NamedTuple):
    """A worker of the fleet that is there."""

    name: str
    capabilities: Capabilities
    unfit: str | None = None  # why it cannot train anything now


class _Demand(NamedTuple):
    """One thing that a study asks of a worker, and what to say where nobody has it."""

    is_met: Callable[[Capabilities], bool]
    unmet: Callable[[Collection[Member], str], str]


def fits(
    resources: Resources, capabilities: Capabilities, packages: Mapping[str, str] | None = None
) -> bool:
    """Whether a worker has what a study asks for, and the packages that it trains with."""
    return has_packages(packages or {}, capabilities) and all(
        demand.is_met(capabilities) for demand in _demands(resources)
    )


def has_packages(packages: Mapping[str, str], capabilities: Capabilities) -> bool:
    """Whether a worker may use these packages, in the versions that the server has."""
    return packages.items() <= capabilities.plugins.items()


def disagreements(packages: Mapping[str, str], fleet: Collection[Member]) -> tuple[str, ...]:
    """Which workers get no trial for lack of a package in the server's version, one each."""
    found = []
    for package, version in packages.items():
        others = [one for one in fleet if one.capabilities.plugins.get(package) != version]
        if others:
            gets = "gets" if len(others) == 1 else "get"
            found.append(
                f"{quantity(len(others), 'worker')} {gets} no trial of it, which needs {package} "
                f"{version} as on the server: {_seen(package, others)}"
            )
    return tuple(found)


def measures(deployment: Deployment, capabilities: Capabilities) -> bool:
    """Whether a worker's device is of the class on which a study's models are to run."""
    return capabilities.device.kind == deployment.device


def waiting_for(
    resources: Resources,
    fleet: Collection[Member],
    deployment: Deployment | None = None,
    packages: Mapping[str, str] | None = None,
) -> str | None:
    """Why none of the workers that are there can train a study; None where one can."""
    if not fleet:
        return "no worker is there; start one with `segtune worker`"
    needed = [_package(name, version) for name, version in (packages or {}).items()]
    able, unmet = _narrowed(fleet, needed)
    if unmet is None and deployment is not None:
        unmet = _nobody_measures(deployment, able)
    if unmet is None:
        able, unmet = _narrowed(able, _demands(resources))
    return unmet or _all_unfit(able)


def _narrowed(
    fleet: Collection[Member], demands: Iterable[_Demand]
) -> tuple[Collection[Member], str | None]:
    """The workers that meet the demands, or those that meet the ones before one that nobody does.

    Then also what that is, in words.
    """
    able = fleet
    for demand in demands:
        rest = tuple(member for member in able if demand.is_met(member.capabilities))
        if not rest:
            others = " that meets its other demands" if len(able) < len(fleet) else ""
            return able, demand.unmet(able, f"no worker{others}")
        able = rest
    return able, None


def _nobody_measures(deployment: Deployment, able: Collection[Member]) -> str | None:
    there = [each for each in able if measures(deployment, each.capabilities)]
    if any(each.unfit is None for each in there):
        return None
    why = f"; {there[0].name} is unfit: {there[0].unfit}" if there else ""
    return (
        f"its models are to run on {deployment.device}, and no worker is there that can "
        f"measure them on such a device{why}"
    )


def _all_unfit(able: Collection[Member]) -> str | None:
    """What keeps all of these workers from training; None where one can."""
    unfit = [f"{member.name}: {member.unfit}" for member in able if member.unfit is not None]
    if len(unfit) < len(able):
        return None
    if len(unfit) == 1:
        return f"the only worker that could train it is unfit: {unfit[0]}"
    more = f"; and {len(unfit) - _NAMED} more" if len(unfit) > _NAMED else ""
    return f"all workers that could train it are unfit: {'; '.join(unfit[:_NAMED])}{more}"


def _package(name: str, version: str) -> _Demand:
    def unmet(able: Collection[Member], nobody: str) -> str:
        return f"it needs {name} {version} as on the server, and {nobody} has that: " + _seen(
            name, able
        )

    return _Demand(lambda one: one.plugins.get(name) == version, unmet)


def _seen(package: str, workers: Collection[Member]) -> str:
    """What these workers have in place of the package that is asked for."""
    there = [(one.name, one.capabilities.plugins.get(package)) for one in workers]
    said = [
        f"{name} has {version}" if version else f"{name} does not have it, or does not allow it"
        for name, version in there[:_NAMED]
    ]
    more = f"; and {len(there) - _NAMED} more" if len(there) > _NAMED else ""
    return "; ".join(said) + more


def _demands(resources: Resources) -> list[_Demand]:
    """All that a study asks for, each by itself."""
    demands = list[_Demand]()
    if resources.gpus > 1:
        demands.append(_gpus(resources.gpus))
    elif resources.gpus == 1:
        demands.append(_Demand(lambda one: one.device.kind != DeviceKind.CPU, _no_gpu))
    if resources.memory_gb is not None:
        demands.append(_memory(resources.memory_gb))
    demands += [_label(name, value) for name, value in resources.labels.items()]
    return demands


def _no_gpu(able: Collection[Member], nobody: str) -> str:
    return f"it asks for a GPU, and {nobody} has one"


def _gpus(asked: int) -> _Demand:
    def unmet(able: Collection[Member], nobody: str) -> str:
        best = max(able, key=lambda member: member.capabilities.gpus)
        return (
            f"it asks for {asked} GPUs for each trial, and {nobody} gives more than "
            f"{best.capabilities.gpus} ({best.name}); start one: `segtune worker --gpus {asked}`"
        )

    return _Demand(lambda one: one.gpus >= asked, unmet)


def _memory(asked: float) -> _Demand:
    def unmet(able: Collection[Member], nobody: str) -> str:
        best = max(able, key=lambda member: member.capabilities.device.memory_gb or 0)
        seen = best.capabilities.device.memory_gb
        most = f"more than {seen:g} GB ({best.name})" if seen else "a device that says its memory"
        return f"it asks for {asked:g} GB of device memory, and {nobody} has {most}"

    return _Demand(lambda one: (one.device.memory_gb or 0) >= asked, unmet)


def _label(name: str, value: str) -> _Demand:
    def unmet(able: Collection[Member], nobody: str) -> str:
        seen = sorted(
            {one.capabilities.labels[name] for one in able if name in one.capabilities.labels}
        )
        there = (
            f"; there is {', '.join(f'{name}={other}' for other in seen[:_NAMED])}" if seen else ""
        )
        return f"it asks for the label {name}={value}, and {nobody} has it{there}"

    return _Demand(lambda one: one.labels.get(name) == value, unmet)

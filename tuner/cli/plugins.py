"""`segtune plugins`: components of other packages that this machine has, and may use."""

import typer


def plugins() -> None:
    """List the components of other packages on this machine, and whether they may be used.

    It ends with 1 where something of an allowed package is left out.
    """
    from tuner.cli.options import configured
    from tuner.configs import catalog
    from tuner.configs import plugins as found
    from workers.settings import WorkerSettings

    configured(WorkerSettings)  # server and worker read the same setting
    left_out = {one.who: one for one in catalog.broken()}
    is_whole = not left_out
    for plugin in found.offered():
        is_allowed = plugin.package in found.allowed()
        state = "not allowed" if not is_allowed else "allowed"
        if (broken := left_out.pop(str(plugin), None)) is not None:
            state = f"left out: {broken.reason}"
        typer.echo(f"{plugin.kind} {plugin.name}  {plugin.package} {plugin.version}  {state}")
    for broken in left_out.values():
        typer.echo(f"{broken.package}  left out: {broken.reason}")
    if not found.offered():
        typer.echo("no package with components is installed here")
    if not is_whole:
        raise typer.Exit(1)

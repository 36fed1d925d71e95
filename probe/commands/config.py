"""`qazprobe config`: show, check and create a configuration."""

from pathlib import Path

import click
import msgspec

from probe import config, paths, user_files
from probe.config import ConfigError, Settings
from probe.errors import UserError
from probe.i18n import _
from probe.translated_help import SummarisedGroup


@click.group("config", cls=SummarisedGroup)
def command() -> None:
    """Show, check and create a configuration.

    Options override environment variables, which override the file.
    """


@command.command("show")
def show() -> None:
    """Print every setting that differs from its default (file and environment)."""
    settings, default = _merged(_path(None)), Settings()
    for field in msgspec.structs.fields(Settings):
        value = getattr(settings, field.name)
        if value == getattr(default, field.name):
            continue
        shown = _("(not shown)") if field.name == "invite" else msgspec.json.encode(value).decode()
        click.echo(f"{field.name} = {shown}")


@command.command("path")
def path() -> None:
    """Print the paths of the configuration file and of the state folder."""
    click.echo(f"configuration  {_path(None)}")
    click.echo(f"state          {paths.find().state}")


@command.command("init")
@click.option("--force", is_flag=True, help="Replace an existing file.")
def init(*, force: bool) -> None:
    """Write a file that lists every setting, all commented out."""
    file = _path(None)
    if file.exists() and not force:
        raise UserError(_("{file} exists already; --force replaces it").format(file=file))
    file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    user_files.write(file, [config.template().encode()])
    click.echo(str(file))


@command.command("check")
@click.argument("file", required=False, metavar="[FILE]")
def check(file: str | None) -> None:
    """Check whether the configuration is valid; if not, print the reason and exit 2."""
    from probe.runner.jobs import check_options, remarks

    found = _path(file)
    settings = _merged(found, must_exist=file is not None)
    check_options(settings, found)
    for line in remarks(settings):
        click.echo(line, err=True)
    state = _("valid") if found.exists() else _("does not exist; the defaults apply")
    click.echo(f"{found}: {state}")


def _path(file: str | None) -> Path:
    return Path(file) if file else paths.find().config / config.FILE


def _merged(file: Path, *, must_exist: bool = False) -> Settings:
    try:
        layers = (config.file_layer(file, must_exist=must_exist), config.environment_layer())
        return config.merge(layers)
    except ConfigError as error:
        raise UserError(str(error)) from error

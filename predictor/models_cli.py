"""`mplp-predictor models`: what a model store holds, whether it can be trusted, and what is in use.

`predictor/cli.py` adds it. As there, each command parses, calls one function, prints and returns an
exit code, and everything heavy is imported inside the command that needs it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from predictor.command import (
    EXIT_NEGATIVE,
    EXIT_UNREACHABLE,
    EXIT_USAGE,
    ConfigOption,
    result_console,
    settings_of,
    stop,
)

if TYPE_CHECKING:
    from models.ensemble import Ensemble
    from models.model_signature import TrustedKeys
    from models.stored_parameters import StoredParameters
    from predictor.model_store.model_store import ModelStore

models_app = typer.Typer(help="List, check, sign and promote trained models.", no_args_is_help=True)

StoreArgument = Annotated[
    str, typer.Argument(help="Folder, or fsspec URL such as s3://bucket/models.")
]
VersionArgument = Annotated[
    str | None, typer.Argument(help="A version's name; left out: the one in use.")
]
KeysOption = Annotated[
    list[str] | None,
    typer.Option(
        "--trusted-key",
        metavar="KEY",
        help="Public key whose signature counts; again for more. [default: model.trusted_keys]",
    ),
]
JsonOption = Annotated[bool, typer.Option("--json", help="For programs, on standard output.")]


@models_app.command("list")
def list_(
    store: StoreArgument,
    *,
    trusted_key: KeysOption = None,
    as_json: JsonOption = False,
    config: ConfigOption = None,
) -> None:
    """Say which versions there are, newest first, and which of them is in use.

    Example: mplp-predictor models list build/models
    """
    from predictor.model_store.listing import listed, versions_table

    with _opened(store, trusted_key, config) as (opened, trusted):
        found = listed(opened, trusted)
    if as_json:
        _print_json(found)
        return
    result_console().print(versions_table(found))


@models_app.command()
def show(
    store: StoreArgument,
    version: VersionArgument = None,
    *,
    trusted_key: KeysOption = None,
    as_json: JsonOption = False,
    config: ConfigOption = None,
) -> None:
    """Print what a version says of itself: span, series, scores, libraries, signature.

    Example: mplp-predictor models show build/models
    """
    from predictor.model_store.listing import shown_lines, shown_version

    with _opened(store, trusted_key, config) as (opened, trusted):
        found = shown_version(opened, _named(opened, version), trusted)
    if as_json:
        _print_json(found)
    else:
        typer.echo("\n".join(shown_lines(found)))


@models_app.command()
def verify(
    store: StoreArgument,
    version: VersionArgument = None,
    *,
    trusted_key: KeysOption = None,
    as_json: JsonOption = False,
    config: ConfigOption = None,
) -> None:
    """Check a version as the service would: signature, hashes, numbers. 0: it would be used.

    Example: mplp-predictor models verify build/models
    """
    from predictor.model_store.listing import verified

    check = _as_served(config)
    with _opened(store, trusted_key, config) as (opened, trusted):
        found = verified(opened, _named(opened, version), trusted, check)
    if as_json:
        _print_json(found)
    elif found.problem is None:
        typer.echo(f"{found.version}: every check passed; {found.signature}")
    if found.problem is not None:
        stop(EXIT_NEGATIVE, f"{found.version}: {found.problem}")


@models_app.command()
def promote(
    store: StoreArgument,
    version: Annotated[str | None, typer.Argument(help="A version's name.")] = None,
    *,
    back: Annotated[
        bool, typer.Option("--back", help="The version that was in use before.")
    ] = False,
    trusted_key: KeysOption = None,
    config: ConfigOption = None,
) -> None:
    """Put a version in use, once it passed every check; services take it up at their next look.

    Example: mplp-predictor models promote build/models --back
    """
    if (version is None) == (not back):
        stop(EXIT_USAGE, "give either a VERSION or --back")
    check = _as_served(config)
    with _opened(store, trusted_key, config) as (opened, trusted):
        if version is None:
            pointer = opened.promote_former(trusted, check)
        else:
            pointer = opened.promote(version, trusted, check)
    typer.echo(f"in use {pointer.current}, before it {pointer.former or 'none'}")


@models_app.command()
def publish(
    store: StoreArgument,
    model: Annotated[Path, typer.Argument(help="Model folder that `train` wrote.")],
    *,
    key: Annotated[
        Path | None, typer.Option("--key", help="Private key to sign with; left out: as it is.")
    ] = None,
    kept: Annotated[int, typer.Option(min=1, max=1000, help="Versions that stay.")] = 10,
) -> None:
    """Check a model folder, sign it and put it into a store; it is not in use yet.

    Example: mplp-predictor models publish build/models build/model --key signing.pem
    """
    from predictor.model_store.key_files import KeyFileError, read_key_file
    from predictor.model_store.publishing import files_of_folder

    try:
        signing_key = None if key is None else read_key_file(key)
    except KeyFileError as error:
        stop(EXIT_USAGE, str(error))
    except OSError as error:
        stop(EXIT_UNREACHABLE, f"{key}: {error.strerror}")
    with _answered():
        version = _store(store).publish(files_of_folder(model, signing_key), kept)
    typer.echo(version)


@models_app.command()
def keygen(
    out: Annotated[Path, typer.Argument(help="File for the private key; it must not be there.")],
) -> None:
    """Make a key that signs models; print its public part, for `model.trusted_keys`.

    Example: mplp-predictor models keygen signing.pem
    """
    from models.model_signature import key_text
    from predictor.model_store.key_files import make_key_file

    try:
        key = make_key_file(out)
    except FileExistsError:
        stop(EXIT_USAGE, f"{out} is there already; a key is never written over")
    except OSError as error:
        stop(EXIT_UNREACHABLE, f"{out}: {error.strerror}")
    typer.echo(key_text(key.public_key()))


@contextmanager
def _opened(
    url: str, keys: list[str] | None, config: Path | None
) -> Iterator[tuple[ModelStore, TrustedKeys]]:
    """The store and the keys that count; whatever is refused inside ends the command."""
    trusted = _trusted(keys, config)
    with _answered():
        yield _store(url), trusted


def _as_served(config: Path | None) -> Callable[[StoredParameters], Ensemble]:
    """Raises `ModelRefused` for what a service with this configuration would not use."""
    from predictor.wiring import served_model

    step_s = settings_of(config).history.step_s
    return lambda parameters: served_model(parameters, step_s)


def _store(url: str) -> ModelStore:
    from predictor.model_store.model_store import ModelStore

    try:
        return ModelStore(url)
    except ValueError as error:
        stop(EXIT_USAGE, str(error))


def _named(store: ModelStore, version: str | None) -> str:
    """The version a command is about; a store where nothing was promoted has none in use."""
    found = store.pointer().current if version is None else version
    if found is None:
        stop(EXIT_NEGATIVE, f"{store.url}: no version is in use; name one of `models list`")
    return found


def _trusted(texts: list[str] | None, config: Path | None) -> TrustedKeys:
    from models.model_signature import trusted_keys

    try:
        return trusted_keys(texts or settings_of(config).model.trusted_keys)
    except ValueError as error:
        stop(EXIT_USAGE, f"--trusted-key {error}")


def _print_json(value: object) -> None:
    import msgspec

    typer.echo(msgspec.json.format(msgspec.json.encode(value)).decode())


@contextmanager
def _answered() -> Iterator[None]:
    """What is refused ends the command with 1, a store that does not answer with 3."""
    from models.manifest import ModelRefused
    from predictor.model_store.folders import StoreUnreachable

    try:
        yield
    except ModelRefused as error:
        stop(EXIT_NEGATIVE, str(error))
    except StoreUnreachable as error:
        stop(EXIT_UNREACHABLE, str(error))

"""The console script: each command parses, calls one function, prints, and returns an exit code.

Everything heavy is imported inside the command that needs it, so that `--help` and completion never
load numpy, scikit-learn or statsmodels. No work is done here.

Exit codes: 0 done; 1 a negative answer; 2 usage or configuration; 3 a broker, cluster or file that
cannot be reached; 130 ended with Ctrl-C.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Annotated

import typer

from predictor.audit_cli import replay
from predictor.backtest_cli import backtest
from predictor.calendar_option import CalendarOption, without_events
from predictor.check_cli import check
from predictor.command import (
    EXIT_INTERRUPTED,
    EXIT_NEGATIVE,
    EXIT_UNREACHABLE,
    EXIT_USAGE,
    ConfigOption,
    settings_of,
    stop,
)
from predictor.events_cli import events_app
from predictor.explain_cli import explain
from predictor.history_options import (
    CsvOption,
    EndOption,
    EventsOption,
    HistoryOptions,
    ModuleLabelOption,
    PrometheusOption,
    QueryOption,
    RegionLabelOption,
    StartOption,
    StepOption,
    TokenOption,
    TopicHistoryOption,
    history_faults,
    read_histories,
)
from predictor.models_cli import models_app
from predictor.simulate_cli import simulate, tune
from predictor.way_back_cli import off, on, restore

app = typer.Typer(
    name="mplp-predictor",
    no_args_is_help=True,
    add_completion=True,
    pretty_exceptions_enable=False,
    help="Raises HPA minReplicas and moves regional weights before the load arrives.",
    epilog="Exit codes: 0 done, 1 negative answer, 2 usage or configuration, 3 unreachable, "
    "130 Ctrl-C.",
)


@app.callback()
def _root(
    version: Annotated[bool, typer.Option("--version", help="Print the version and stop.")] = False,
) -> None:
    if version:
        from predictor import __version__

        typer.echo(f"mplp-predictor {__version__}")
        raise typer.Exit


@app.command()
def run(
    config: ConfigOption = None,
    mode: Annotated[
        str | None, typer.Option(help="shadow: decide and record only (default); active: also act.")
    ] = None,
    model: Annotated[
        Path | None, typer.Option(help="Model folder that `train` wrote; optional.")
    ] = None,
    ready_file: Annotated[
        Path | None, typer.Option(hidden=True, help="Written once the worker is up.")
    ] = None,
) -> None:
    """Read demand from Kafka, decide for the modules this worker owns, act if active.

    Example: mplp-predictor run --config config.yaml --mode shadow
    """
    settings = settings_of(config, mode=mode, model_folder=None if model is None else str(model))
    from predictor.wiring import missing_files
    from predictor.worker import WorkerFailed, run_worker

    if faults := missing_files(settings):
        stop(EXIT_USAGE, "\n".join(faults))
    try:
        run_worker(settings, ready_file)
    except WorkerFailed as error:
        stop(EXIT_UNREACHABLE, str(error))


@app.command()
def train(
    *,
    out: Annotated[
        Path, typer.Option("--out", "-o", help="Folder to write: new, empty, or a former model.")
    ],
    csv: CsvOption = None,
    prometheus: PrometheusOption = None,
    query: QueryOption = None,
    start: StartOption = None,
    end: EndOption = None,
    step: StepOption = None,
    token_file: TokenOption = None,
    module_label: ModuleLabelOption = "module",
    region_label: RegionLabelOption = "region",
    events: EventsOption = None,
    from_topic: TopicHistoryOption = False,
    calendar: CalendarOption = None,
    config: ConfigOption = None,
) -> None:
    """Learn each module's season from history and write a model folder that `run` loads.

    Example: mplp-predictor train --events events.jsonl.gz --out build/model
    """
    options = HistoryOptions(
        tuple(csv or ()), events, from_topic, prometheus, query, start, end, step, token_file,
        module_label, region_label, config,
    )  # fmt: skip
    options.check()
    from models.model_folder import folder_fault
    from predictor.output_paths import parent_fault
    from predictor.provenance import provenance

    with history_faults():
        if fault := folder_fault(out) or parent_fault(out):
            stop(EXIT_USAGE, f"--out {out}: {fault}")
    try:
        made = provenance(os.environ)
    except ValueError as error:
        stop(EXIT_USAGE, str(error))
    settings = settings_of(config)
    histories = without_events(read_histories(options), calendar, settings)
    from predictor.training import TrainingFailed, train_model

    try:
        with history_faults():
            train_model(settings, histories, out, made)
    except TrainingFailed as error:
        stop(EXIT_NEGATIVE, str(error))


app.command("backtest")(backtest)
app.command("simulate")(simulate)
app.command("tune")(tune)
app.command("replay")(replay)
app.command("explain")(explain)
app.command("check")(check)
app.command("restore")(restore)
app.command("off")(off)
app.command("on")(on)


@app.command()
def demo(
    out: Annotated[
        Path, typer.Option("--out", "-o", help="Folder for the page and the events.")
    ] = Path("build/demo"),
    live: Annotated[
        bool,
        typer.Option("--live", help="Against a real Kafka broker and HPA controller of the rigs."),
    ] = False,
) -> None:
    """Fourteen days of a real load through the whole path: a table and a page.

    Example: mplp-predictor demo --out build/demo
    """
    if live:
        from predictor.live_demo import run_live_demo

        raise typer.Exit(run_live_demo(out))
    from predictor.demo import run_demo

    run_demo(out)


config_app = typer.Typer(help="Look at the configuration.", no_args_is_help=True)
app.add_typer(config_app, name="config")
app.add_typer(events_app, name="events")
app.add_typer(models_app, name="models")


@config_app.command("show")
def config_show(config: ConfigOption = None) -> None:
    """Print the effective settings as YAML.

    Example: mplp-predictor config show
    """
    settings = settings_of(config)
    import msgspec
    import yaml

    typer.echo(yaml.safe_dump(msgspec.to_builtins(settings), sort_keys=False), nl=False)


@config_app.command("schema")
def config_schema() -> None:
    """Print the JSON Schema of the configuration file, for editors.

    Example: mplp-predictor config schema > config.schema.json
    """
    import json

    import msgspec

    from predictor.settings import Settings

    typer.echo(json.dumps(msgspec.json.schema(Settings), indent=2))


@app.command("contract")
def contract() -> None:
    """Print the JSON Schema of the events that the service reads.

    Example: mplp-predictor contract > events.schema.json
    """
    import json

    from streams.events import contract_schema

    typer.echo(json.dumps(contract_schema(), indent=2))


def main() -> None:
    """Entry point of the console script."""
    try:
        app()
    except KeyboardInterrupt:
        sys.exit(EXIT_INTERRUPTED)


if __name__ == "__main__":
    main()

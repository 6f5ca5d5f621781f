"""The command line: `kttoolkit tune`, `results`, `report`, `predict`, `datasets`."""

import argparse
import os
import re
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pandas as pd
from rich.console import Console
from rich.table import Table
from rich.text import Text

from kttoolkit import datasets
from kttoolkit.cli._csv import CsvForm, check_columns, read_csv
from kttoolkit.cli._tables import read_table, table_preprocessor
from kttoolkit.exceptions import KttoolkitError
from kttoolkit.plain import visible, visible_lines
from kttoolkit.results import TuneResult, read_result

__all__ = ["main", "read_table", "show", "table_preprocessor", "write_outputs"]

MODEL_FOLDER = "model"
PREDICTIONS_FILE = "predictions.csv"
REPORT_FILE = "report.html"
TRIALS_FILE = "trials.csv"
_LEVELS = ("essential", "standard", "wide", "all")
_TUNERS = ("hyperband", "random", "bayesian", "grid")
_ROWS = 10


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line.

    Args:
        arguments: as they stand behind the program's name; those of the process
            if left out.

    Returns:
        The exit status: 0, or 2 for an error that the user can mend.
    """
    options = _parser().parse_args(arguments)
    try:
        options.run(options, Console(highlight=False))
        sys.stdout.flush()
    except BrokenPipeError:
        # Who read the output, as `head` does, has enough of it.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except (KttoolkitError, FileNotFoundError) as error:
        Console(stderr=True, highlight=False).print(
            Text.assemble(("error: ", "bold red"), _told(error, options)),
            soft_wrap=True,
        )
        return 2
    return 0


def _told(error: Exception, options: argparse.Namespace) -> str:
    """Name arguments of `tune` as the command line does."""
    told = visible_lines(str(error))
    for name, value in vars(options).items():
        flag = f"--{name.replace('_', '-')}"
        if isinstance(value, bool):
            told = re.sub(rf"\b{name}=True\b", flag, told)
        told = re.sub(rf"(?<![\w.-]){name}=(?=[^\s=])", f"{flag} ", told)
        # A plain word is a word, unless the rule is about it.
        told = re.sub(rf"^{name}(?= )", flag, told)
        if "_" in name:
            told = re.sub(rf"(?<![\w.-]){name}\b", flag, told)
    return told.replace("project_name", "--out")


def _folds(text: str) -> int | None:
    if text.lower() == "none":
        return None
    try:
        return int(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(
            f"a whole number of folds or none is needed, but got {visible(text)!r}"
        ) from error


def _at_least_one(text: str) -> int:
    if not re.fullmatch("[0-9]{1,9}", text) or int(text) < 1:
        raise argparse.ArgumentTypeError(
            f"a whole number >= 1 is needed, but got {visible(text)!r}"
        )
    return int(text)


def _separator(text: str) -> str:
    if text in {r"\t", r"\s+"}:
        return "\t" if text == r"\t" else text
    if len(text) == 1 and text.isascii() and text not in '"\r\n':
        return text
    raise argparse.ArgumentTypeError(
        rf"one character, \t or \s+ is needed, but got {visible(text)!r}"
    )


def _encoding(text: str) -> str:
    try:
        "".encode(text)
    except LookupError as error:
        raise argparse.ArgumentTypeError(
            "the name of an encoding such as utf-8 or cp949 is needed, but got "
            f"{visible(text)!r}"
        ) from error
    return text


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="kttoolkit",
        description="Cross-validated hyperparameter tuning for Keras.",
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    _add_tune(commands)

    results = commands.add_parser("results", help="show a study, finished or not")
    results.set_defaults(run=_results)
    results.add_argument("directory", metavar="DIR", help="the study folder")
    results.add_argument("--rows", type=_at_least_one, default=_ROWS, metavar="N",
                         help="the most trials to show (default: %(default)s)",
                         )  # fmt: skip

    report = commands.add_parser("report", help="write a study as one web page")
    report.set_defaults(run=_report)
    report.add_argument("directory", metavar="DIR", help="the study folder")
    report.add_argument("--out", type=Path, metavar="FILE",
                        help=f"the page; DIR/{REPORT_FILE} if left out")  # fmt: skip

    predict = commands.add_parser("predict", help="predict a table by a tuned network")
    predict.set_defaults(run=_predict)
    predict.add_argument("directory", metavar="DIR",
                         help="the study folder, or that of a saved model",
                         )  # fmt: skip
    predict.add_argument("file", metavar="FILE", help="a CSV file of raw rows")
    predict.add_argument("--out", type=Path, metavar="FILE",
                         help="a CSV file; standard output if left out")  # fmt: skip
    _add_csv(predict, "as said to `tune`, else told by it")

    listing = commands.add_parser("datasets", help="list the embedded data sets")
    listing.set_defaults(run=_datasets)
    return parser


def _add_csv(command: argparse.ArgumentParser, if_left_out: str) -> None:
    """Let it be said how a CSV file is written."""
    command.add_argument("--header", action=argparse.BooleanOptionalAction,
                         help="whether the first line names the columns (if left out: "
                         f"{if_left_out})")  # fmt: skip
    command.add_argument("--sep", type=_separator, default=",", metavar="CHAR",
                         help=r"what parts the columns of FILE, such as ';' or '\t' "
                         "(default: '%(default)s')")  # fmt: skip
    command.add_argument("--encoding", type=_encoding, default="utf-8", metavar="NAME",
                         help="encoding of FILE, such as cp949 (default: %(default)s)",
                         )  # fmt: skip


def _add_tune(commands: Any) -> None:
    tune = commands.add_parser("tune", help="tune a dense network on a table")
    tune.set_defaults(run=_tune)
    tune.add_argument("file", metavar="FILE",
                      help="a CSV file, or the name of an embedded data set that is a "
                      "table (`kttoolkit datasets` lists them)")  # fmt: skip
    tune.add_argument("--target", metavar="COLUMN",
                      help="name or number of the column of a CSV file to predict",
                      )  # fmt: skip
    tune.add_argument("--task", choices=("classification", "regression"))
    tune.add_argument("--tune", choices=_LEVELS, default="essential",
                      help="how much is searched (default: %(default)s)",
                      )  # fmt: skip
    tune.add_argument("--tuner", choices=_TUNERS, default="hyperband",
                      help="what searches (default: %(default)s)")  # fmt: skip
    tune.add_argument("--cv", type=_folds, default=5, metavar="K",
                      help="folds, or none for one hold-out (default: %(default)s)",
                      )  # fmt: skip
    tune.add_argument("--validation-split", type=float, metavar="FRACTION",
                      help="the last rows, to hold out where --cv is none")  # fmt: skip
    tune.add_argument("--objective", metavar="METRIC")
    tune.add_argument("--max-epochs", type=int, metavar="N")
    tune.add_argument("--max-trials", type=int, metavar="N")
    tune.add_argument("--batch-size", type=int, metavar="N")
    tune.add_argument("--test-size", type=float, metavar="FRACTION",
                      help="rows to set aside and score on at the end")  # fmt: skip
    tune.add_argument("--timeout", type=float, metavar="SECONDS")
    tune.add_argument("--parallel", type=int, metavar="N",
                      help="trials at a time, -1 for one a core")  # fmt: skip
    tune.add_argument("--seed", type=int)
    tune.add_argument("--out", type=Path, metavar="DIR", help="the study folder")
    _add_csv(tune, "told by it: a line with a number is data")
    tune.add_argument("--resume", action="store_true", help="continue the study")
    tune.add_argument("--overwrite", action="store_true", help="start it again")
    tune.add_argument("--tracker", action="append", default=[], metavar="NAME",
                      help="csv, tensorboard, wandb, mlflow or optuna")  # fmt: skip
    tune.add_argument("--verbose", type=int, choices=(0, 1, 2), default=1)


def _tune(options: argparse.Namespace, console: Console) -> None:
    x, y = read_table(
        options.file, options.target, header=options.header, sep=options.sep,
        encoding=options.encoding,
    )  # fmt: skip
    out = options.out or Path("studies") / Path(options.file).stem
    from kttoolkit import builders, tune  # noqa: PLC0415
    from kttoolkit.exporting import RowForm  # noqa: PLC0415

    x.attrs[RowForm.HEADER] = options.header
    result = tune(
        builders.mlp(tune=options.tune),
        x,
        y,
        tuner=options.tuner,
        cv=options.cv,
        objective=options.objective,
        max_trials=options.max_trials,
        max_epochs=options.max_epochs,
        batch_size=options.batch_size,
        validation_split=options.validation_split,
        test_size=options.test_size,
        task=options.task,
        timeout=options.timeout,
        parallel=options.parallel,
        seed=options.seed,
        directory=out.parent,
        project_name=out.name,
        resume=options.resume,
        overwrite=options.overwrite,
        preprocessor=table_preprocessor(x),
        trackers=options.tracker,
        verbose=options.verbose,
    )
    write_outputs(result)
    if options.verbose:
        show(result, console, _ROWS)
        told = (
            f"{PREDICTIONS_FILE} and {TRIALS_FILE} are there too. What next:\n"
            f"  kttoolkit report {result.directory}\n"
            f"  kttoolkit predict {result.directory} FILE"
        )
        console.print(Text(visible_lines(told), style="dim"), soft_wrap=True)


def _results(options: argparse.Namespace, console: Console) -> None:
    show(read_result(options.directory), console, options.rows)


def _report(options: argparse.Namespace, console: Console) -> None:
    result = read_result(options.directory)
    os.environ.setdefault("MPLBACKEND", "Agg")
    # What `kttoolkit tune` predicted out of fold lies in its study folder.
    table = result.directory / PREDICTIONS_FILE
    predictions = pd.read_csv(table) if table.exists() else None
    path = options.out or result.directory / REPORT_FILE
    written = result.report(path, predictions=predictions)
    console.print(Text(visible(str(written))), soft_wrap=True)


def _predict(options: argparse.Namespace, console: Console) -> None:
    del console
    from kttoolkit import load_model  # noqa: PLC0415

    folder = Path(options.directory)
    inner = folder / MODEL_FOLDER
    served = load_model(inner if inner.is_dir() else folder)
    rows = served.rows
    if rows.kinds is None and rows.feature_names:
        _tell_of_guesses(options.file)
    header = rows.header if options.header is None else options.header
    form = CsvForm(header, options.sep, options.encoding)
    frame = read_csv(options.file, form, rows.kinds)
    check_columns(frame, rows.feature_names, options.file, form)
    table = pd.DataFrame({"prediction": served.predict(frame)})
    if served.rows.classes:
        names = [f"probability_{name}" for name in served.classes_]
        table[names] = served.predict_proba(frame)
    table.to_csv(options.out or sys.stdout, index=False)


def _tell_of_guesses(file: str) -> None:
    told = (
        "note: the model was saved by an earlier kttoolkit and does not tell which "
        f"columns are text; it is guessed from {file}. `kttoolkit tune` with --resume "
        "saves it anew."
    )
    console = Console(stderr=True, highlight=False)
    console.print(Text(visible_lines(told), style="dim"), soft_wrap=True)


def _datasets(options: argparse.Namespace, console: Console) -> None:
    table = Table(box=None, header_style="bold", padding=(0, 2, 0, 0))
    for column in ("name", "task", "rows", "shape of a row", "licence"):
        table.add_column(column)
    for name in datasets.names():
        data = datasets.load(name)
        shape = " x ".join(map(str, data.x.shape[1:]))
        licence = re.split(r"[.;]", data.licence)[0]
        licence += ")" * (licence.count("(") - licence.count(")"))
        table.add_row(name, data.task, f"{len(data.x)}", shape, licence)
    console.print(table)


def write_outputs(result: TuneResult) -> None:
    """Write the trained model, ready to serve, out-of-fold predictions, and trials.

    Args:
        result: of a search that can make models.
    """
    result.export(result.directory / TRIALS_FILE)
    result.out_of_fold().to_csv(result.directory / PREDICTIONS_FILE, index=False)
    result.save_model(result.directory / MODEL_FOLDER, overwrite=True)


def show(result: TuneResult, console: Console, n_rows: int) -> None:
    """Print the ranked trials and what they amount to.

    Args:
        result: any result.
        console: where to.
        n_rows: the most trials to print.
    """
    if not result.records:
        console.print("no trial has ended yet")
        return
    objective = result.study.objective
    ranked = result.trials.sort_values("rank", na_position="last").head(n_rows)
    names = [
        str(column)
        for column in ranked
        if str(column).startswith("param_")
        and not str(column).startswith("param_tuner/")
    ]
    table = Table(box=None, header_style="bold", padding=(0, 2, 0, 0))
    plain = [name.removeprefix("param_") for name in names]
    for column in ("rank", "trial", objective, *plain, "best epoch"):
        table.add_column(Text(visible(column)), justify="right")
    for row in ranked.to_dict("records"):
        cells = _cells(row, objective, names)
        table.add_row(*(Text(visible(cell)) for cell in cells))
    console.print(table)
    console.print()
    console.print(Text(result.summary()), soft_wrap=True)


def _cells(row: dict[Any, Any], objective: str, names: list[str]) -> list[str]:
    if row["status"] != "completed":
        score, rank = str(row["status"]), ""
    else:
        rank = str(row["rank"])
        score = f"{row[f'mean_{objective}']:.4f} ± {row[f'std_{objective}']:.4f}"
    values = [_cell(row[name]) for name in names]
    return [rank, str(row["trial"]), score, *values, _cell(row["best_epoch"])]


def _cell(value: Any) -> str:
    if isinstance(value, float):
        return "" if value != value else f"{value:.4g}"
    return str(value)

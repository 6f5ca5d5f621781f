"""The folder of a saved model: written whole, read without trust."""

import contextlib
import hashlib
import json
import os
import shutil
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import keras

from kttoolkit.exceptions import ModelFolderError, ResultError
from kttoolkit.exporting._logits import gives_logits
from kttoolkit.exporting._rows import RowForm
from kttoolkit.files import write_json
from kttoolkit.plain import (
    Check,
    fault,
    is_count,
    is_plain,
    is_scalar,
    is_text,
    list_of,
    maybe,
    names_to,
    one_of,
    shown,
)
from kttoolkit.results import TuneResult

INFO_FILE = "kttoolkit.json"
MODEL_FILE = "model.keras"
PREPROCESSOR_FILE = "preprocessor.skops"
FORMAT = 1
# Parts of scikit-learn's own transformers that skops does not know as such; none runs
# code that comes from the file.
_KNOWN_TYPES = (
    "numpy.dtype",
    "sklearn.compose._column_transformer.make_column_selector",
    "sklearn.feature_selection._mutual_info.mutual_info_classif",
    "sklearn.feature_selection._mutual_info.mutual_info_regression",
    "sklearn.feature_selection._univariate_selection.chi2",
    "sklearn.feature_selection._univariate_selection.f_classif",
    "sklearn.feature_selection._univariate_selection.f_regression",
    "sklearn.impute._iterative.IterativeImputer",
    "sklearn.impute._iterative._ImputerTriplet",
)
_PACKAGES = ("kttoolkit", "keras", "tensorflow", "scikit-learn", "numpy", "pandas")
_IS_SHAPE = list_of(is_count)
_RULES: dict[str, Check] = {
    "model": is_text,
    "rows": lambda value: isinstance(value, dict),
    "from_logits": lambda value: isinstance(value, bool),
    "setting": names_to(is_plain),
    "epochs": is_count,
    "scores": names_to(is_plain),
    "versions": names_to(is_text),
}
_OF_ROWS: dict[str, Check] = {
    "task": one_of("binary", "multiclass", "multilabel", "regression", "other"),
    "classes": list_of(is_scalar),
    "feature_names": list_of(is_text),
    "categories": names_to(list_of(is_scalar)),
    "shapes": lambda value: names_to(_IS_SHAPE)(value) or list_of(_IS_SHAPE)(value),
    "is_preprocessed": lambda value: isinstance(value, bool),
}
# Of rows, too, but not in folders that were written before these were kept.
_LATER_OF_ROWS: dict[str, Check] = {
    "kinds": names_to(one_of("number", "boolean", "text")),
    "header": maybe(lambda value: isinstance(value, bool)),
}
# What a network or a preprocessor unpacks to, in times its size; weights do not pack.
_MOST_PACKED = 100
_ALWAYS_READ = 2**26


@dataclass(frozen=True)
class Trained:
    """A trained model with what comes before it and after it.

    Attributes:
        model: takes rows as the preprocessor gives them.
        preprocessor: fitted, or None.
        rows: the form of raw rows.
        kind: "refit" or "ensemble".
    """

    model: keras.Model
    preprocessor: Any
    rows: RowForm
    kind: str


def check_target(folder: Path, *, overwrite: bool) -> None:
    """Refuse what could not be saved, before anything is trained.

    Args:
        folder: where the model shall be.
        overwrite: whether an earlier model may be replaced.

    Raises:
        ModelFolderError: if the folder is taken.
    """
    if not folder.exists() or (folder.is_dir() and not any(folder.iterdir())):
        return
    if not (folder / INFO_FILE).is_file():
        raise ModelFolderError(
            f"A model is saved to an empty folder, but {folder} is none, and holds no "
            "model that could be replaced. Choose another one."
        )
    if not overwrite:
        raise ModelFolderError(
            f"A model is saved to an empty folder, but {folder} holds a model. Choose "
            "another one, or pass overwrite=True."
        )


def write_folder(folder: Path, trained: Trained, result: TuneResult) -> Path:
    """Write a model to a folder, whole or not at all.

    Args:
        folder: that `check_target` has let pass.
        trained: the model.
        result: that it was made from.

    Returns:
        The folder.

    Raises:
        ResultError: if the model or preprocessor could not be read back safely.
    """
    folder = folder.absolute()
    folder.parent.mkdir(parents=True, exist_ok=True)
    partial = folder.with_name(f".{folder.name}.{os.getpid()}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir()
    try:
        _write_model(trained.model, partial / MODEL_FILE)
        if trained.preprocessor is not None:
            _write_preprocessor(trained.preprocessor, partial / PREPROCESSOR_FILE)
        write_json(partial / INFO_FILE, _info(trained, result, partial))
        _put(partial, folder)
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    return folder


def read_info(folder: Path) -> dict[str, Any]:
    """Read and check what a folder says of itself, and that its files are those.

    Args:
        folder: of a saved model.

    Returns:
        What `kttoolkit.json` holds.

    Raises:
        ModelFolderError: if a file is missing, damaged, or of another format.
    """
    path = folder / INFO_FILE
    try:
        info = json.loads(path.read_text("utf-8"))
    except (FileNotFoundError, NotADirectoryError) as error:
        raise ModelFolderError(
            f"The folder of a model must hold {INFO_FILE}, but {path} is missing. Make "
            "one with result.save_model(folder)."
        ) from error
    # Deep nesting, numbers of thousands of digits, a folder in its place.
    except (ValueError, RecursionError, OSError) as error:
        raise ModelFolderError(_damaged(path, error)) from error
    found = info.get("format") if isinstance(info, dict) else None
    if found != FORMAT:
        raise ModelFolderError(
            f"{path} must be of format {FORMAT}, but it is of format {shown(found)}. "
            "Open it with the version of kttoolkit that wrote it."
        )
    files = info.get("files")
    if not isinstance(files, Mapping) or MODEL_FILE not in files:
        raise ModelFolderError(_damaged(path, "it lists no files"))
    told = {k: v for k, v in info.items() if k not in {"format", "files"}}
    reason = fault(told, _RULES, len(_RULES)) or fault(
        told["rows"], _OF_ROWS | _LATER_OF_ROWS, len(_OF_ROWS)
    )
    if reason:
        raise ModelFolderError(_damaged(path, f"its description is damaged, {reason}"))
    for name in set(files) & {MODEL_FILE, PREPROCESSOR_FILE}:
        _check_file(folder / name, files[name])
    return info


def read_model(path: Path, custom_objects: Mapping[str, Any] | None) -> keras.Model:
    """Read a model in Keras's safe mode.

    Args:
        path: of a `.keras` file.
        custom_objects: names to layers and functions of one's own.

    Returns:
        The model, not compiled.

    Raises:
        ModelFolderError: if it is damaged, or would run code of its own.
    """
    _refuse_bomb(path)
    try:
        return keras.saving.load_model(
            path,
            custom_objects=dict(custom_objects or {}),
            compile=False,
            safe_mode=True,
        )
    # Whatever is wrong with a file that anyone may have written.
    except Exception as error:
        reason = " ".join(str(error).split())[:500]
        raise ModelFolderError(
            f"{path} must be a model of Keras's own layers that its safe mode opens, "
            f"but it refuses: {reason}. Pass layers of your own as custom_objects="
            '{"MyLayer": MyLayer}; nothing in the file was run.'
        ) from error


def read_preprocessor(path: Path, trusted: tuple[str, ...]) -> Any:
    """Read a fitted preprocessor, of known types only.

    Args:
        path: of a `.skops` file.
        trusted: names of further types.

    Returns:
        The preprocessor.

    Raises:
        ModelFolderError: if it is damaged or holds other types.
    """
    from skops import io as skops  # noqa: PLC0415

    known = {*_KNOWN_TYPES, *trusted}
    _refuse_bomb(path)
    try:
        unknown = sorted(set(skops.get_untrusted_types(file=path)) - known)
    # Whatever is wrong with a file that anyone may have written.
    except Exception as error:
        raise ModelFolderError(_damaged(path, error)) from error
    if unknown:
        raise ModelFolderError(
            f"{path} must hold types of scikit-learn, SciPy and NumPy, but it holds "
            f"{unknown} too, whose code would be run. If you know where the folder "
            f"comes from, pass trusted={unknown}."
        )
    try:
        return skops.load(path, trusted=sorted(known))
    except Exception as error:
        raise ModelFolderError(_damaged(path, error)) from error


def _write_model(model: keras.Model, path: Path) -> None:
    try:
        config = model.get_config()
    except NotImplementedError as error:
        part = _first_without_config(model)
        raise ResultError(
            "A model must say how it is made to be saved, but "
            f"{type(part).__name__} {part.name!r} has no get_config. Define it, or use "
            "Keras's own layers (keras.Sequential, keras.Model(inputs, outputs))."
        ) from error
    if _holds_lambda(config):
        raise ResultError(
            "A saved model must open without running code from its file, but it holds "
            "a Lambda layer of a Python lambda. Use operations of keras.ops on the "
            "tensors instead, or a layer class of your own."
        )
    model.save(path)


def _first_without_config(model: keras.Model) -> keras.layers.Layer:
    """Return the innermost part that cannot say how it is made."""
    for layer in model.layers:
        try:
            layer.get_config()
        except NotImplementedError:
            is_model = isinstance(layer, keras.Model)
            return _first_without_config(layer) if is_model else layer
    return model


def _holds_lambda(config: Any) -> bool:
    if isinstance(config, Mapping):
        is_one = config.get("class_name") == "__lambda__"
        return is_one or any(map(_holds_lambda, config.values()))
    return isinstance(config, list | tuple) and any(map(_holds_lambda, config))


def _write_preprocessor(preprocessor: Any, path: Path) -> None:
    from skops import io as skops  # noqa: PLC0415

    try:
        skops.dump(preprocessor, path)
        skops.get_untrusted_types(file=path)
    # skops raises whatever the object's own state raises.
    except Exception as error:
        raise ResultError(
            "A preprocessor is saved without pickle, by skops, but it cannot save "
            f"{preprocessor!r}: {error}. Use scikit-learn's own transformers, and "
            "functions of a module instead of lambdas."
        ) from error


def _info(trained: Trained, result: TuneResult, folder: Path) -> dict[str, Any]:
    best = result.best_trial
    names = (MODEL_FILE, PREPROCESSOR_FILE)
    return {
        "format": FORMAT,
        "model": trained.kind,
        "rows": trained.rows.to_json(),
        "from_logits": gives_logits(trained.model),
        "setting": result.best_values,
        "epochs": result.best_epochs,
        "scores": {
            "objective": best.objective,
            "mean": best.score,
            "std": best.std,
            "metrics": dict(best.metrics),
            "test": dict(result.test_metrics),
        },
        "versions": _versions(),
        "files": {
            name: _digest(folder / name)
            for name in names
            if (folder / name).exists()
        },
    }  # fmt: skip


def _versions() -> dict[str, str]:
    found = {}
    for name in _PACKAGES:
        # Run from a checkout, kttoolkit is no installed package.
        with contextlib.suppress(PackageNotFoundError):
            found[name] = version(name)
    return found


def _put(partial: Path, folder: Path) -> None:
    """Put a folder in its place; what was there is gone only then."""
    if not folder.exists():
        partial.rename(folder)
        return
    old = folder.with_name(f".{folder.name}.{os.getpid()}.old")
    folder.rename(old)
    partial.rename(folder)
    shutil.rmtree(old)


def _check_file(path: Path, digest: str) -> None:
    if not path.is_file():
        raise ModelFolderError(
            f"The folder of a model must hold {path.name}, but {path} is missing. "
            "Restore it from a copy, or save the model again."
        )
    if _digest(path) != digest:
        raise ModelFolderError(
            _damaged(path, f"its SHA-256 is not the one in {INFO_FILE}")
        )


def _refuse_bomb(path: Path) -> None:
    """Refuse a small file that would fill memory or disk, before it is unpacked."""
    try:
        with zipfile.ZipFile(path) as file:
            unpacked = sum(member.file_size for member in file.infolist())
    # What is wrong with a file that is no archive, its reader says.
    except (OSError, ValueError, RuntimeError, zipfile.BadZipFile):
        return
    n_bytes = path.stat().st_size
    if unpacked > max(_ALWAYS_READ, _MOST_PACKED * n_bytes):
        raise ModelFolderError(
            _damaged(path, f"its {n_bytes:,} bytes would unpack to {unpacked:,}")
        )


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _damaged(path: Path, reason: Any) -> str:
    return (
        f"{path} must be as result.save_model wrote it, but it is damaged: {reason}. "
        "Restore it from a copy, or save the model again."
    )

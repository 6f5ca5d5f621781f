"""A plain Python file that builds and trains the best setting."""

import ast
from collections.abc import Iterable, Mapping
from importlib.metadata import version
from itertools import chain
from pathlib import Path
from typing import Any

import keras
import numpy as np

from kttoolkit.exceptions import ResultError
from kttoolkit.exporting._graph import GraphWriter
from kttoolkit.exporting._layout import Call, call, lines
from kttoolkit.exporting._objects import expression, unwritable
from kttoolkit.exporting._recipe import Recipe
from kttoolkit.exporting._rows_code import (
    constants,
    fit_inputs,
    fit_targets,
    inputs_code,
    reading_code,
    targets_code,
    weights_code,
)
from kttoolkit.exporting._sklearn import TransformerWriter
from kttoolkit.files import written_whole
from kttoolkit.results import TuneResult, as_code

_INDENT = 4
_PACKAGES = ("keras", "tensorflow", "numpy", "scikit-learn")
_OTHER_DRAWS = [
    "# The search drew initial weights in another order: train() gives a model as good",
    "# as that of the search, but for the luck of the draw.",
]


def write_python(path: Path, recipe: Recipe, result: TuneResult) -> Path:
    """Write the best setting as a Python file, whole or not at all.

    Args:
        path: of the file.
        recipe: how the model is built and trained.
        result: that names the setting.

    Returns:
        The path.
    """
    text = python_code(recipe, result)
    with written_whole(path) as partial:
        partial.write_text(text, "utf-8")
    return path


def python_code(recipe: Recipe, result: TuneResult) -> str:
    """Write the best setting as Python that needs Keras alone.

    Args:
        recipe: how the model is built and trained.
        result: that names the setting.

    Returns:
        The text of a module with `build_model`, `train` and `main`.

    Raises:
        ResultError: if something cannot be written as code.
    """
    preprocessor = TransformerWriter()
    functions = []
    if recipe.preprocessor is not None:
        made = preprocessor.expression(recipe.preprocessor)
        functions.append(
            [
                "def make_preprocessor():",
                '    """Return what turns rows into numbers, not fitted yet."""',
                *lines(made, "return ", indent=_INDENT),
            ]
        )
    networks, notes = _networks(recipe)
    functions = [
        inputs_code(recipe.data),
        targets_code(recipe.data),
        *functions,
        *networks,
        _train(recipe),
        reading_code(recipe.data),
        _main(recipe),
    ]
    head = [*_header(result), *notes, ""]
    imports = _imports(functions, preprocessor)
    settings = [f"SEED = {recipe.seed}", *constants(recipe.data)]
    blocks = ["\n".join(function) for function in functions]
    end = 'if __name__ == "__main__":\n    main()\n'
    start = "\n".join([*head, *imports, "", *settings])
    return "\n\n\n".join([start, *blocks, end])


def _header(result: TuneResult) -> list[str]:
    best, study = result.best_trial, result.study
    score = f"{study.objective} {best.score:.4f}"
    if len(best.fits) > 1:
        score += f" ± {best.std:.4f} over {len(best.fits)} trainings"
    packages = ", ".join(f"{name} {version(name)}" for name in _PACKAGES)
    told = [
        f"The best setting of a search ({study.tuner}, trial {best.trial_id}).",
        f"{score} ({study.cv}).",
        f"Written with {packages}.",
        "",
        "Train it on a table:  python THIS_FILE data.csv --target COLUMN",
        "or on arrays x and y: python THIS_FILE data.npz",
    ]
    return [f"# {' '.join(line.split())}".rstrip() for line in told[:3]] + [
        f"# {line}".rstrip() for line in told[3:]
    ]


def _imports(
    functions: Iterable[list[str]], preprocessor: TransformerWriter
) -> list[str]:
    text = "\n".join(chain.from_iterable(functions))
    found = ["import argparse", ""]
    found += ["import joblib"] if "joblib." in text else []
    found += ["import keras", "import numpy as np"]
    found += ["import pandas as pd"] if "pd." in text else []
    return [*found, *preprocessor.lines()]


# -- the network ---


def _networks(recipe: Recipe) -> tuple[list[list[str]], list[str]]:
    """Write the functions that build, and see that they build the same."""
    reference = recipe.built(recipe.seed)
    for says_seeds in (False, True):
        functions = _build_functions(reference, says_seeds=says_seeds)
        again = _executed(functions, recipe.seed)
        if _same_weights(reference, again):
            _check_same_outputs(reference, again)
            return functions, []
    _check_nothing_lost(reference, again, recipe.built(recipe.seed + 1))
    return _build_functions(reference, says_seeds=False), _OTHER_DRAWS


def _build_functions(model: keras.Model, *, says_seeds: bool) -> list[list[str]]:
    config = model.get_compile_config()
    if not config:
        raise ResultError(unwritable("the model is not compiled"))
    writer = GraphWriter(frozenset(_names(config)), says_seeds)
    body = writer.network(model)
    build = [
        "def build_model():",
        '    """Return the network, compiled and not trained yet."""',
        *_policies(),
        *body,
        *lines(_compile(config), indent=_INDENT),
        "    return model",
    ]
    return [*writer.functions, build]


def _policies() -> list[str]:
    policy, kind = keras.config.dtype_policy().name, keras.config.floatx()
    said = []
    if kind != "float32":
        said.append(f"    keras.config.set_floatx({as_code(kind)})")
    if policy != kind:
        said.append(f"    keras.config.set_dtype_policy({as_code(policy)})")
    return said


def _compile(config: Mapping[str, Any]) -> Call:
    """Write the call of `compile`, what Keras would do anyway left out."""
    usual = {"run_eagerly": False, "steps_per_execution": 1, "jit_compile": False}
    said = {
        name: expression(value)
        for name, value in config.items()
        if value is not None and value != usual.get(name)
    }
    if config.get("jit_compile") == "auto":
        del said["jit_compile"]
    return call("model.compile", **said)


def _names(config: Mapping[str, Any]) -> list[str]:
    """Return the names by which losses and metrics go to outputs."""
    parts = (config.get(k) for k in ("loss", "metrics", "loss_weights"))
    named = [part for part in parts if isinstance(part, Mapping)]
    return [str(name) for part in named if "class_name" not in part for name in part]


def _executed(functions: list[list[str]], seed: int) -> keras.Model:
    """Run the code that was written, which holds nothing but Keras's own calls."""
    text = "\n\n".join("\n".join(function) for function in functions)
    names: dict[str, Any] = {"keras": keras, "np": np}
    exec(compile(ast.parse(text), "<written>", "exec"), names)
    keras.utils.set_random_seed(seed)
    return names["build_model"]()


def _weights(model: keras.Model) -> list[np.ndarray]:
    """Return weights and random states; what was adapted stands in the code."""
    kept = [
        variable
        for layer in model.layers
        if not isinstance(layer, keras.layers.Normalization)
        for variable in layer.variables
    ]
    return [keras.ops.convert_to_numpy(variable) for variable in kept]


def _same_weights(one: keras.Model, other: keras.Model) -> bool:
    mine, theirs = _weights(one), _weights(other)
    if [part.shape for part in mine] != [part.shape for part in theirs]:
        raise ResultError(
            unwritable("the code would build another network than the build function")
        )
    return all(map(np.array_equal, mine, theirs))


def _check_same_outputs(reference: keras.Model, again: keras.Model) -> None:
    """Try both on made-up rows: what was left out must have been a default."""
    draw = np.random.default_rng(0).random
    shapes = [tuple(n or 8 for n in part.shape[1:]) for part in reference.inputs]
    rows = [draw((3, *shape)).astype("float32") for shape in shapes]
    if any(part.dtype == "string" for part in reference.inputs):
        return
    pairs = [keras.tree.flatten(m(_packed(m, rows))) for m in (reference, again)]
    for mine, theirs in zip(*pairs, strict=True):
        one, other = map(keras.ops.convert_to_numpy, (mine, theirs))
        if not np.allclose(one, other, rtol=1e-4, atol=1e-5, equal_nan=True):
            told = "the code would build another network than the build function"
            raise ResultError(unwritable(told))


def _packed(model: keras.Model, rows: list[np.ndarray]) -> Any:
    # A Sequential model that was never called has no `input`, but always one.
    return keras.tree.pack_sequence_as(getattr(model, "input", rows[0]), rows)


def _check_nothing_lost(
    reference: keras.Model, again: keras.Model, redrawn: keras.Model
) -> None:
    """Refuse weights that are neither drawn nor what the code gives."""
    for mine, theirs, drawn in zip(
        _weights(reference), _weights(again), _weights(redrawn), strict=True
    ):
        if not np.array_equal(mine, theirs) and np.array_equal(mine, drawn):
            raise ResultError(
                unwritable("the build function sets weights, which no config holds")
            )


# -- the training ---


def _train(recipe: Recipe) -> list[str]:
    data = recipe.data
    has_weights = data.sample_weight is not None
    parameters = "x, y, sample_weight" if has_weights else "x, y"
    said = recipe.fit_code()
    if has_weights:
        said = {"sample_weight": weights_code(data)[0], **said}
    prepared, outcome = [], "model"
    if recipe.preprocessor is not None:
        outcome = "model, preprocessor"
        rows = fit_inputs(data, recipe.preprocessor)
        prepared = [
            "    preprocessor = make_preprocessor()",
            f"    x = preprocessor.fit_transform({rows}, {fit_targets(data)})",
            '    x = x.toarray() if hasattr(x, "toarray") else np.asarray(x)',
            '    x = x if x.dtype.kind in "iu" else x.astype("float32")',
        ]
    return [
        f"def train({parameters}):",
        f'    """Train on all rows, as the search did; return the {_said(outcome)}."""',
        "    keras.utils.set_random_seed(SEED)",
        "    x, y = as_inputs(x), as_targets(y)",
        *prepared,
        "    model = build_model()",
        *lines(call("model.fit", "x", "y", **said), indent=_INDENT),
        f"    return {outcome}",
    ]


def _said(outcome: str) -> str:
    return outcome.replace(", ", " and ")


def _main(recipe: Recipe) -> list[str]:
    has_weights = recipe.data.sample_weight is not None
    outcome = "model" if recipe.preprocessor is None else "model, preprocessor"
    saved = ['    model.save("model.keras")']
    if recipe.preprocessor is not None:
        saved.append('    joblib.dump(preprocessor, "preprocessor.joblib")')
    _, loaded, form = weights_code(recipe.data)
    weights = [f"    weights = {loaded}"] if has_weights else []
    return [
        "def main():",
        '    """Train on the rows of a file and save the model."""',
        "    parser = argparse.ArgumentParser()",
        '    parser.add_argument("file", help="a CSV file, or an NPZ file")',
        '    parser.add_argument("--target", help="column of a CSV file to predict")',
        *(
            [
                f'    parser.add_argument("--weights", required=True, help="{form}")',
            ]
            if has_weights
            else []
        ),
        "    options = parser.parse_args()",
        "    x, y = read(options.file, options.target)",
        *weights,
        f"    {outcome} = train(x, y{', weights' if has_weights else ''})",
        *saved,
    ]

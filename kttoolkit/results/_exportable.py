"""What a result can be turned into, to be taken away."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

from kttoolkit.results._code import setting_as_code
from kttoolkit.results._export import export_table


class Exportable:
    """The methods of a result that write files for elsewhere."""

    def export(
        self,
        path: str | Path,
        *,
        table: Literal["trials", "folds", "curves"] = "trials",
        top: int | None = None,
        columns: Sequence[str] | None = None,
    ) -> Path:
        """Write a table as CSV, Parquet, LaTeX or Markdown, the best trial first.

        CSV and Parquet hold every digit; read a CSV with `dtype={"trial": str}`, since
        trials may be named "0000". In a CSV, text that a spreadsheet would run as a
        formula (it begins with =, +, -, @, a tab or a return) has an apostrophe in
        front; Parquet holds it as it is. A Parquet column has one type, so a
        hyperparameter whose values are of several (8 and "auto", or lists) is written
        as JSON texts; their names are in `frame.attrs["json_columns"]` of what
        `pandas.read_parquet` returns. LaTeX (with the package booktabs) and Markdown
        have four significant digits, short headers, and all text escaped.

        Args:
            path: ends in `.csv`, `.parquet`, `.tex` or `.md`. A file that is there is
                replaced.
            table: "trials", "folds" or "curves".
            top: rows of so many of the best trials only.
            columns: names of the table's columns, in the order wanted. Left out, all
                of them; of trials in LaTeX and Markdown, the rank, the objective,
                the hyperparameters and the epoch.

        Returns:
            The path.

        Raises:
            ResultError: if the suffix, table, a column or `top` is none of these.
            MissingDependencyError: if Parquet is wanted and pyarrow is missing.

        Example:
            >>> result.export("trials.parquet")  # doctest: +SKIP
            >>> result.export("best.tex", top=5)  # doctest: +SKIP
        """
        result: Any = self
        return export_table(result, Path(path), table=table, top=top, columns=columns)

    def save_model(
        self,
        folder: str | Path,
        *,
        model: Literal["refit", "ensemble"] = "refit",
        overwrite: bool = False,
    ) -> Path:
        """Save the best model with all that it takes to predict raw rows.

        The folder holds `model.keras`, the fitted preprocessor (`preprocessor.skops`,
        where there is one) and `kttoolkit.json`: classes, columns, categories, the
        setting, its scores and versions. `kttoolkit.load_model(folder)` serves it,
        without the rows or the build function, and nothing in it is pickled.

        Args:
            folder: a folder that does not exist yet, or is empty.
            model: "refit" (trained on all rows of the search) or "ensemble" (the mean
                of the fold models).
            overwrite: whether to replace a model that was saved there before.

        Returns:
            The folder.

        Raises:
            ModelFolderError: if something else is there.
            ResultError: if the result was opened without a build function or rows, or
                the model or preprocessor cannot be read back safely.

        Example:
            >>> result.save_model("pima_model")  # doctest: +SKIP
            >>> kttoolkit.load_model("pima_model").predict(rows)  # doctest: +SKIP
        """
        result: Any = self
        return result._trainer.save_model(  # noqa: SLF001
            result, Path(folder), model=model, overwrite=overwrite
        )

    def to_python(self, path: str | Path) -> Path:
        """Write the best setting as a Python file that needs Keras alone.

        The file builds the network of the best trial, layer by layer, and trains it
        as `fit_best` does: same epochs, batches, seed. `python best.py data.csv
        --target column` trains it on a table and saves `model.keras`.

        Args:
            path: of the file, which is replaced if it is there.

        Returns:
            The path.

        Raises:
            ResultError: if something in the model, its training or the preprocessor
                cannot be written as code; the message says what, and what to do.

        Example:
            >>> result.to_python("best.py")  # doctest: +SKIP
        """
        result: Any = self
        return result._trainer.to_python(result, Path(path))  # noqa: SLF001

    def setting_as_code(self) -> str:
        """Return the best setting as lines of Python, from the study folder alone.

        Returns:
            The values as a dictionary, and calls that score and train them again.

        Raises:
            ResultError: if no trial completed.

        Example:
            >>> print(result.setting_as_code())  # doctest: +SKIP
        """
        result: Any = self
        return setting_as_code(result)

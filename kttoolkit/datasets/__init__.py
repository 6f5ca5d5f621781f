"""Named data sets that need no network, and images from a directory of one's own.

| name             | task       | samples | features | origin                       |
|------------------|------------|---------|----------|------------------------------|
| `auto_mpg`       | regression | 392     | 7        | embedded, from mlxtend       |
| `boston_housing` | regression | 506     | 13       | embedded, from mlxtend       |
| `breast_cancer`  | binary     | 569     | 30       | scikit-learn                 |
| `diabetes`       | regression | 442     | 10       | scikit-learn, not scaled     |
| `digits`         | multiclass | 1797    | 64       | scikit-learn                 |
| `fashion_mnist`  | multiclass | 4000    | 28 x 28  | embedded subset; `full=True` |
| `iris`           | multiclass | 150     | 4        | scikit-learn                 |
| `pima_diabetes`  | binary     | 768     | 8        | embedded, from mlbench       |
| `wine`           | multiclass | 178     | 13       | scikit-learn                 |

`boston_housing` has an ethical problem: its column b was built on the assumption that
racial self-segregation raises house prices. Use it to show that problem, or to compare
with old results; otherwise take `auto_mpg`, or scikit-learn's
`fetch_california_housing`. `datasets/README.md` gives origin and licence of each file.
"""

from kttoolkit.datasets._dataset import Dataset
from kttoolkit.datasets._images import images_from_directory
from kttoolkit.datasets._named import EMBEDDED_FILES, load, names

__all__ = ["EMBEDDED_FILES", "Dataset", "images_from_directory", "load", "names"]

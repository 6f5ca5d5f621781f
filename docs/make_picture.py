"""Draw the README's picture from the study that the README's example leaves.

Usage: python docs/make_picture.py studies/pima docs/pima.png
"""

import sys

import matplotlib.pyplot as plt

import kttoolkit

BLUE, ORANGE, GREY = "#0072b2", "#d55e00", "#888888"


def draw_trials(result, ax):
    """Draw every trial's mean and spread over the folds, the best first."""
    name = result.study.objective
    trials = result.trials.sort_values("rank").reset_index(drop=True)
    colours = [ORANGE] + [BLUE] * (len(trials) - 1)
    for place, row in trials.iterrows():
        ax.errorbar(
            place + 1, row[f"mean_{name}"], yerr=row[f"std_{name}"], fmt="o",
            color=colours[place], capsize=3,
        )  # fmt: skip
        splits = [row[f"split{k}_{name}"] for k in range(result.study.n_splits)]
        ax.plot([place + 1] * len(splits), splits, ".", color=GREY, alpha=0.5)
    ax.set(xlabel="rank", ylabel=name, title="Every trial: five folds, mean and std")


def draw_curves(result, ax):
    """Draw the best trial's learning curves with the folds' band."""
    curves = result.curves
    best = curves[curves["trial"] == result.best_trial.trial_id].groupby("epoch")
    metric = result.study.objective.removeprefix("val_")
    for name, colour in ((metric, BLUE), (f"val_{metric}", ORANGE)):
        mean, std = best[name].mean(), best[name].std()
        ax.plot(mean.index, mean, color=colour, label=name)
        ax.fill_between(mean.index, mean - std, mean + std, color=colour, alpha=0.2)
    ax.set(xlabel="epoch", ylabel=metric, title="The best trial, epoch by epoch")
    ax.legend()


def main():
    """Draw the picture named on the command line."""
    result = kttoolkit.load_result(sys.argv[1])
    figure, axes = plt.subplots(1, 2, figsize=(10, 3.6))
    draw_trials(result, axes[0])
    draw_curves(result, axes[1])
    figure.tight_layout()
    figure.savefig(sys.argv[2], dpi=110)


if __name__ == "__main__":
    main()

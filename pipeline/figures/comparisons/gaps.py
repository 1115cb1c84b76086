"""The table of gaps as bars of train and test."""

import pandas as pd
from matplotlib.figure import Figure

from pipeline.figures.style import FIT, GREY, TEST, TRAIN, canvas

COLOURS = {"honest": TRAIN, "fit": FIT}


def gaps(table: pd.DataFrame) -> Figure:
    """Accuracy and loss of every network by both measures, with the gap written between train and test."""
    networks = list(dict.fromkeys(zip(table["network"], table["architecture"], strict=True)))
    figure, (accuracy, loss) = canvas(10.5, 1.6 + 0.95 * len(networks), columns=2)
    for axes, name, scale, unit in ((accuracy, "accuracy", 100, "%"), (loss, "loss", 1, "nats")):
        low = min(table[f"train_{name}"].min(), table[f"test_{name}"].min()) * scale
        high = max(table[f"train_{name}"].max(), table[f"test_{name}"].max()) * scale
        room = max(high - low, 1e-9)
        for line, row in enumerate(table.sort_values("measure", ascending=False, kind="stable").to_dict("records")):
            place = networks.index((row["network"], row["architecture"])) + (0.16 if row["measure"] == "fit" else -0.16)
            train, test = row[f"train_{name}"] * scale, row[f"test_{name}"] * scale
            first = line % len(networks) == 0
            axes.plot([train, test], [place, place], color=GREY, linewidth=2.5, alpha=0.5, zorder=1)
            label = {"honest": "train, dropout off", "fit": "train as model.fit reports it"}[row["measure"]]
            axes.plot(train, place, "o", color=COLOURS[row["measure"]], markersize=8, label=label if first else None)
            axes.plot(test, place, "D", color=TEST, markersize=7, label="test" if line == 0 else None)
            gap = row[f"{name}_gap"] * scale
            written = f"{gap:+z.2f}" if name == "accuracy" else f"{gap:+z.3f}"
            axes.text(max(train, test) + 0.035 * room, place, written, fontsize=9, va="center")
        axes.set_xlim(low - 0.08 * room, high + 0.3 * room)
        axes.set_ylim(len(networks) - 0.4, -0.6)
        axes.set_title(f"{name.capitalize()} ({unit}), with the gap", fontsize=10, loc="left")
        axes.grid(axis="x", color=GREY, alpha=0.2, linewidth=0.6)
    accuracy.set_yticks(
        range(len(networks)), [f"{role}\n{architecture}" for role, architecture in networks], fontsize=9
    )
    loss.set_yticks([])
    handles, labels = accuracy.get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=3, fontsize=9, frameon=False)
    return figure

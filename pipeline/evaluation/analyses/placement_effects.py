"""Where dropout should go: effects of dropout positions, sizes and whatever else is searched on accuracy and gap, over all
trials of a search.
"""

import math
from collections.abc import Sequence

import pandas as pd

from pipeline.evaluation.analyses.effect_sentences import LEFT_OUT, answer, few_trials, networks, sentence
from pipeline.evaluation.analyses.pareto import left_out, stopped_early
from pipeline.evaluation.report.page import Picture, Section, Table
from pipeline.evaluation.result import Analysis, EvaluationResult
from pipeline.experiment import Experiment
from pipeline.experiment.sections.training import Range
from pipeline.figures.comparisons import effects as effects_figure
from pipeline.figures.style import png
from pipeline.formatting import listed
from pipeline.search import trials
from pipeline.statistics.effects import model
from pipeline.statistics.effects.design import Factor
from pipeline.statistics.effects.model import LEVEL, Effects, Fit
from pipeline.statistics.effects.regression import LEAST_FREEDOM
from pipeline.tracking.names import EFFECTS_CSV, EFFECTS_PNG

CHANGES = {
    "dropout": "dropout rate +0.1",
    "hidden": "twice the units",
    "depth": "instead of {fewest}",
    "size": "twice the size",
    "range": "lowest to highest",
    "choice": "instead of the first",
}
"""What an estimate is for, by kind of effect; short, for a column."""
OUTCOMES = {"test_accuracy": "Test accuracy", "accuracy_gap": "Honest gap", "loss_gap": "Loss gap (in effects.csv)"}
IN_TABLE = {"test_accuracy": "accuracy", "accuracy_gap": "gap"}
"""Outcomes of the table, with their names there."""
CAPTION = "Effects with 95 % intervals (uncorrected), verdicts (corrected for several tests), and importance"


IMPORTANCE = (
    "Importance in the table is by how many points a random forest's error on held-out networks grows when the setting is "
    "permuted."
)
GOOD_R_SQUARED = 0.5
"""Of the forest on held-out networks; below it, the importances are said to be weak."""


def analyse(result: EvaluationResult) -> Analysis | None:
    """Estimates the effects; None for a list of fixed networks."""
    if result.experiment.space.networks:
        return None
    eligible = trials.unpruned(result.trials)
    complete = trials.fully_trained(eligible)
    layers, searched = result.experiment.model is None, factors(result.experiment, trials.searched(complete))
    effects = model.effects(trials.table(complete), searched, layers=layers)
    text = f"{sentence(effects)}{stopped_early(len(eligible) - len(complete))}"
    text += left_out(len(result.trials) - len(eligible))
    artifacts: dict[str, bytes | str] = {EFFECTS_CSV: model.table(effects).to_csv(index=False)}
    pictures, tables = [], []
    if any(math.isfinite(effect.estimate) for fit in effects.fits for effect in fit.effects):
        artifacts[EFFECTS_PNG] = picture = png(effects_figure.effects(effects))
        alt = f"Effects with 95 % intervals on accuracy and gap. {sentence(effects)}"
        pictures.append(Picture(picture, alt, "Effects over the trials"))
        verdicts = _verdicts(effects)
        formats = {name: "{:+z.2f}".format if "importance" in name else str for name in verdicts.columns[2:]}
        tables.append(Table(CAPTION, verdicts, formats))
        if any(math.isfinite(effect.importance) for fit in effects.fits for effect in fit.effects):
            text += f"\n\n{IMPORTANCE}{_badly(effects)}"
    places = any(each.kind == "dropout" for each in effects.fit("accuracy_gap").effects)
    title = "Where dropout should go" if places else "What the hyperparameters do"
    section = Section(title, text, tables, pictures, model_text(effects, list(searched), layers=layers))
    return Analysis(artifacts, section=section, answer=answer(effects))


def _badly(effects: Effects) -> str:
    """States that importances say little, for the outcomes that the forest predicts badly."""
    r_squared = {name: effects.fit(outcome).forest_r_squared for outcome, name in IN_TABLE.items()}
    bad = [f"{name} (R² {found:.2f})" for name, found in r_squared.items() if found < GOOD_R_SQUARED]
    if not bad:
        return ""
    return (
        f" The forest predicts {listed(bad)} badly: the importance says little there, and can contradict the effects."
    )


def factors(experiment: Experiment, names: Sequence[str]) -> dict[str, Factor]:
    """What is searched, on the scale on which it is searched; texts are compared with the first of the experiment's list."""
    numbers, texts = experiment.training.searched, experiment.space.searched
    ranges = {name: each.log for name, each in numbers.items() if isinstance(each, Range)}
    return {name: Factor(ranges.get(name), texts[name][0] if name in texts else None) for name in names}


def _verdicts(effects: Effects) -> pd.DataFrame:
    """One row per effect: verdicts, estimates and importance for accuracy and gap."""
    rows = []
    for index, effect in enumerate(effects.fit("test_accuracy").effects):
        row: dict[str, str | float] = {
            "effect": effect.label,
            "change": CHANGES[effect.kind].format(fewest=f"{effects.fewest_layers:.0f}"),
        }
        for outcome, title in IN_TABLE.items():
            other = effects.fit(outcome).effects[index]
            text = other.why or f"{other.estimate:+z.2f} ({other.low:+z.2f} to {other.high:+z.2f})"
            unclear = other.verdict == "cannot tell" and not other.why
            row |= {
                f"{title}, points": f"{'not significant' if unclear else other.verdict}: {text}",
                f"importance for {title}": other.importance,
            }
        rows.append(row)
    return pd.DataFrame(rows)


def model_text(found: Effects, searched: Sequence[str] = (), *, layers: bool = True) -> str:
    """The method: the model and its fit; empty if the trials are too few for any. `searched` names what is searched besides
    the layers of dense networks.
    """
    if few_trials(found):
        return ""
    left_out = f" ({found.failed} left out: {LEFT_OUT})"
    families = "each kind of hyperparameter" if searched else "positions, over sizes and over depths"
    numbers = "number by its log2 or its range, and each choice"
    if not layers:
        columns = f"each {numbers}"
    elif searched:
        columns = f"log2 of each hidden size, the depth, and {listed(searched)} (each {numbers})"
    else:
        columns = "log2 of each hidden size, and the depth"
    parts = (
        "A linear regression without interactions predicts accuracy and gap of",
        f"{networks(found)}{left_out if found.failed else ''} from the dropout rate at each position, {columns}.",
        "Intervals: 95 %, heteroscedasticity-robust (HC3), uncorrected.",
        f"Verdicts: at the {100 * LEVEL:g} % level, Holm-corrected separately over {families}.",
        'So a verdict can be "not significant" although the interval, which is not corrected, excludes 0.',
        "Importance: the increase of a random forest's error on held-out networks, in points, when the setting is permuted;",
        "the depths count as one setting. An importance near or below 0 means that the setting does not help the forest to",
        "predict held-out networks.",
        "A Bayesian search samples near its best networks; the effects hold there.",
        *(f"{OUTCOMES[fit.outcome]}: {_fitted(fit, found)}." for fit in found.fits),
    )
    return " ".join(parts)


def _fitted(fit: Fit, found: Effects) -> str:
    of = fit.regression
    exact = found.trials - found.failed - of.rows
    if math.isnan(of.r_squared):
        few = of.freedom < LEAST_FREEDOM
        return "cannot be fitted, " + (
            f"{of.rows} networks leave {of.freedom} degrees of freedom" if few else "all networks have the same value"
        )
    spread = f"{of.residual_sd:.2f} points" if fit.unit == "points" else f"{of.residual_sd / 100:.4f} nats"
    left_out = f" ({exact} left out: alone in some setting, so that any score would fit exactly)" if exact else ""
    return (
        f"{of.rows} networks{left_out}, "
        f"in-sample R² {of.r_squared:.2f} (adjusted {of.adjusted_r_squared:.2f}), "
        f"residual standard deviation {spread}, {of.freedom} degrees of freedom; "
        f"R² of a random forest on held-out networks {fit.forest_r_squared:.2f}"
    )

"""Where dropout should go: effects of dropout positions, sizes and whatever else is searched on accuracy and gap, over all
trials of a search.
"""

import math
from collections.abc import Sequence

import pandas as pd

from pipeline.evaluation.analyses.base import Analysis, EvaluationResult
from pipeline.evaluation.analyses.pareto import left_out, stopped_early
from pipeline.evaluation.report.page import Picture, Section, Table
from pipeline.experiment import Experiment
from pipeline.experiment.training import Range
from pipeline.figures.comparisons import effects as effects_figure
from pipeline.figures.style import png
from pipeline.formatting import listed
from pipeline.search import trials
from pipeline.statistics.effects import model
from pipeline.statistics.effects.design import Factor
from pipeline.statistics.effects.model import FLOOR, LEVEL, Effect, Effects, Fit
from pipeline.statistics.effects.regression import LEAST_FREEDOM

STEPS = {
    "dropout": "0.1 of rate",
    "hidden": "doubling",
    "depth": "fewest layers",
    "size": "doubling",
    "range": "lowest value",
    "choice": "the first",
}
"""What an estimate is for, by kind of effect."""
NOTHING = "no hyperparameter has a significant effect on the gap."
OUTCOMES = {"test_accuracy": "Test accuracy", "accuracy_gap": "Honest gap", "loss_gap": "Loss gap"}
CAPTION = "Effects with 95 % intervals, and importance"


def analyse(result: EvaluationResult) -> Analysis | None:
    """Estimates the effects; None for a list of fixed networks."""
    if result.experiment.space.networks:
        return None
    eligible = trials.unpruned(result.trials)
    complete = trials.fully_trained(eligible)
    layers, searched = result.experiment.model is None, factors(result.experiment, trials.searched(complete))
    effects = model.effects(trials.table(complete), searched, layers=layers)
    text = f"{sentence(effects)}{stopped_early(len(eligible) - len(complete), 'left out')}"
    text += left_out(len(result.trials) - len(eligible))
    artifacts: dict[str, bytes | str] = {"effects.csv": model.table(effects).to_csv(index=False)}
    pictures, tables = [], []
    if any(math.isfinite(effect.estimate) for fit in effects.fits for effect in fit.effects):
        artifacts["effects.png"] = picture = png(effects_figure.effects(effects))
        alt = f"Effects with 95 % intervals on accuracy and gap. {sentence(effects)}"
        pictures.append(Picture(picture, alt, "Effects over all trials"))
        verdicts = _verdicts(effects)
        formats = {name: "{:+z.2f}".format if "importance" in name else str for name in verdicts.columns[2:]}
        tables.append(Table(CAPTION, verdicts, formats))
    places = any(each.kind == "dropout" for each in effects.fit("accuracy_gap").effects)
    title = "Where dropout should go" if places else "What the hyperparameters do"
    section = Section(title, text, tables, pictures, model_text(effects, list(searched), layers=layers))
    return Analysis(artifacts, section=section, answer=_findings(effects)[0])


def factors(experiment: Experiment, names: Sequence[str]) -> dict[str, Factor]:
    """What is searched, on the scale on which it is searched; texts are compared with the first of the experiment's list."""
    numbers, texts = experiment.training.searched, experiment.space.searched
    ranges = {name: each.log for name, each in numbers.items() if isinstance(each, Range)}
    return {name: Factor(ranges.get(name), texts[name][0] if name in texts else None) for name in names}


def _verdicts(effects: Effects) -> pd.DataFrame:
    """One row per effect: verdicts, estimates and importance for accuracy and gap."""
    rows = []
    for index, effect in enumerate(effects.fit("test_accuracy").effects):
        row: dict[str, str | float] = {"effect": effect.label, "per, or against": STEPS[effect.kind]}
        for outcome, title in (("test_accuracy", "accuracy"), ("accuracy_gap", "gap")):
            other = effects.fit(outcome).effects[index]
            text = other.why or f"{other.estimate:+z.2f} ({other.low:+z.2f} to {other.high:+z.2f})"
            row |= {f"{title}, points": f"{other.verdict}: {text}", f"importance for {title}": other.importance}
        rows.append(row)
    return pd.DataFrame(rows)


def sentence(found: Effects) -> str:
    """Where dropout closes the honest gap most, at what cost in test accuracy, and where the data are inconclusive."""
    return " ".join(_findings(found))


def _findings(found: Effects) -> list[str]:
    """The sentences, the most important one first."""
    gap, accuracy = found.fit("accuracy_gap"), found.fit("test_accuracy")
    others = _others(gap)
    places = [each for each in gap.effects if each.kind == "dropout"]
    closing = sorted((each for each in places if each.verdict == "lowers"), key=lambda each: each.estimate)
    widening = [each for each in places if each.verdict == "raises"]
    unknown = [each for each in places if each.verdict == "cannot tell"]
    if not places:
        start = f"With {_networks(found)}, "
        return [start + (f"the gap depends significantly on {others}." if others else NOTHING)]
    also = [f"The gap also depends significantly on {others}."] if others else []
    if len(unknown) == len(places):
        return [f"With {_networks(found)}, dropout has no significant effect on the gap at any position.", *also]
    parts = _closing(closing, gap, accuracy) if closing else ["Dropout narrows the gap significantly at no position."]
    parts += [f"It widens the gap {_named(widening)}, in points per 0.1 of rate."] if widening else []
    parts += (
        [f"Its effect on the gap is not significant {listed([_spanned(each) for each in unknown])}."] if unknown else []
    )
    return [*parts, *also]


def _others(gap: Fit) -> str:
    """Factors besides dropout with a significant effect on the gap; empty if there are none."""
    known = [each for each in gap.effects if each.kind in {"size", "range", "choice"} and each.verdict != "cannot tell"]
    named = [f"{each.label} ({each.estimate:+z.2f} points {model.STEPS[each.kind]})" for each in known]
    return listed(named) if named else ""


def model_text(found: Effects, searched: Sequence[str] = (), *, layers: bool = True) -> str:
    """The method: the model and its fit. `searched` names what is searched besides the layers of dense networks."""
    left_out = f" ({found.failed} left out: no finite scores, or below {100 * FLOOR:g} % of the best test accuracy)"
    families = "each kind of hyperparameter" if searched else "positions, within sizes and within depths"
    numbers = "number by its doublings or its range, and each choice"
    if not layers:
        columns = f"each {numbers}"
    elif searched:
        columns = f"the doublings of each hidden size, the depth, and {listed(searched)} (each {numbers})"
    else:
        columns = "the doublings of each hidden size, and the depth"
    parts = (
        f"Least squares over {_networks(found)}{left_out if found.failed else ''} on the rate at each position,",
        f"{columns}; straight lines, no interactions.",
        "Intervals: 95 %, heteroscedasticity-robust (HC3), uncorrected.",
        f"Verdicts: at the {100 * LEVEL:g} % level, Holm-corrected within {families}.",
        "Importance: the increase of a random forest's error on held-out networks, in points, when the value is permuted;",
        "all depths together. About 0 or below: not used.",
        "A Bayesian search samples near its best networks; the effects hold there.",
        *(f"{OUTCOMES[fit.outcome]}: {_fitted(fit, found)}." for fit in found.fits),
    )
    return " ".join(parts)


def _networks(found: Effects) -> str:
    """Number of networks, such as `24 networks`."""
    count = found.trials - found.failed
    return f"{count} network" + ("" if count == 1 else "s")


def _fitted(fit: Fit, found: Effects) -> str:
    of = fit.regression
    exact = found.trials - found.failed - of.rows
    if math.isnan(of.r_squared):
        few = of.freedom < LEAST_FREEDOM
        return "cannot be fitted, " + (
            f"{of.rows} networks leave {of.freedom} degrees of freedom" if few else "all networks have the same value"
        )
    return (
        f"{of.rows} networks{f' ({exact} left out that the model fits exactly at any score)' if exact else ''}, "
        f"R² {of.r_squared:.2f} "
        f"(adjusted {of.adjusted_r_squared:.2f}; a random forest on held-out networks "
        f"{fit.forest_r_squared:.2f}), residual sd {of.residual_sd:.2f} {fit.unit}, {of.freedom} degrees of freedom"
    )


def _closing(closing: Sequence[Effect], gap: Fit, accuracy: Fit) -> list[str]:
    """Positions that close the gap, the strongest first."""
    best, rest = closing[0], closing[1:]
    alike = [each for each, apart in zip(rest, gap.apart(best, rest), strict=True) if not apart]
    less = [each for each in rest if each not in alike]
    most = f"by {-best.estimate:.2f} points per 0.1 of rate (95 % interval {-best.high:.2f} to {-best.low:.2f})"
    cost = _cost(accuracy.effect(best.column))
    parts = [f"Dropout closes the gap {'most ' if rest else ''}{best.label}: {most}, {cost}."]
    parts += [f"It also closes the gap {_named(alike)}; the difference is not significant."] if alike else []
    parts += [f"It closes the gap less {_named(less)}."] if less else []
    return parts


def _cost(effect: Effect) -> str:
    """The effect on test accuracy."""
    if effect.verdict == "lowers":
        return f"at a cost of {-effect.estimate:.2f} points of test accuracy ({-effect.high:.2f} to {-effect.low:.2f})"
    if effect.verdict == "raises":
        return f"and raises test accuracy by {effect.estimate:.2f} points ({effect.low:.2f} to {effect.high:.2f})"
    return f"without a significant effect on test accuracy{_span(effect, ' points')}"


def _named(effects: Sequence[Effect]) -> str:
    return listed([f"{each.label} ({each.estimate:+z.2f})" for each in effects])


def _spanned(effect: Effect) -> str:
    return effect.label + _span(effect)


def _span(effect: Effect, unit: str = "") -> str:
    """The interval of an effect that is not significant; notes if it excludes 0 before correction."""
    if math.isnan(effect.estimate):
        return ""
    alone = "" if effect.low <= 0 <= effect.high else ": excludes 0, but not after correction"
    return f" ({effect.low:+z.2f} to {effect.high:+z.2f}{unit}{alone})"

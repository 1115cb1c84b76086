"""Confidence against accuracy of the chosen network's median refit, before and after temperature scaling."""

from pipeline.evaluation.report.page import Picture, Section
from pipeline.evaluation.result import Analysis, EvaluationResult
from pipeline.figures.networks import reliability as reliability_figure
from pipeline.figures.style import png
from pipeline.formatting import percent
from pipeline.statistics import calibration
from pipeline.tracking.names import RELIABILITY_PNG

METHOD = (
    "Expected calibration error: the mean absolute difference between confidence and accuracy over bins of confidence, "
    "weighted by the images in a bin. "
    "Temperature scaling divides the logits by one number, fitted on validation: 1 changes nothing, above 1 lowers the "
    "confidence, below 1 raises it. The logits are the logarithms of the probabilities, up to a constant."
)


def analyse(result: EvaluationResult) -> Analysis:
    """The calibration error on test, with the temperature fitted on validation."""
    refit, split = result.chosen.median_refit, result.split
    temperature = calibration.fit_temperature(split.validation.labels, refit.validation)
    before = calibration.reliability(split.test.labels, refit.test)
    after = calibration.reliability(split.test.labels, calibration.apply_temperature(refit.test, temperature))
    picture = png(reliability_figure.reliability(before, part="test", scaled=after, temperature=temperature))
    error, scaled_error = before.expected_calibration_error, after.expected_calibration_error
    text = (
        f"The expected calibration error on test is {percent(error)} points, and {percent(scaled_error)} points after "
        f"temperature scaling (temperature {temperature:.3f})."
    )
    return Analysis(
        {RELIABILITY_PNG: picture},
        {
            "test_calibration_error": error,
            "test_calibration_error_scaled": scaled_error,
            "temperature": temperature,
        },
        Section(
            "Calibration", text, pictures=[Picture(picture, text, "Accuracy by confidence, on test")], method=METHOD
        ),
    )

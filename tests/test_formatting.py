"""Text for people."""

import pytest

from pipeline.formatting import points, safe_cell


@pytest.mark.parametrize(
    ("given", "written"),
    [
        ('=HYPERLINK("x")', '\'=HYPERLINK("x")'),
        ("+1+1", "'+1+1"),
        ("-x", "'-x"),
        ("-", "'-"),
        ("@SUM(A1)", "'@SUM(A1)"),
        ("\t=1", "'\t=1"),
        ("\r=1", "'\r=1"),
        ("\n=1", "'\n=1"),
        ("-1", "-1"),
        ("+2.5", "+2.5"),
        ("a=b", "a=b"),
        ("'=1", "'=1"),
        (" =1", " =1"),
        ("", ""),
    ],
)
def test_a_cell_begins_no_formula_and_numbers_and_names_stay(given, written):
    assert safe_cell(given) == written


def test_a_difference_that_rounds_to_zero_has_no_minus():
    assert [points(share) for share in (-0.00001, 0.0, -0.0001)] == ["+0.00", "+0.00", "-0.01"]

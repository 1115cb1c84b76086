"""The page says what the records say, and nothing of it needs anything beside it; looked at in a browser too."""

import os
import re
import shutil
from collections.abc import Iterator
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from pipeline.evaluation.report.page import Picture, Report, Section, Table, render
from pipeline.figures.style import canvas, png

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
DRIVER = shutil.which("chromedriver")
PHONE, DESK, SHEET = 390, 1280, 680
"""Widths in CSS pixels; the last is that of an A4 page between the margins of the style sheet, 180 mm."""
ATTACK = "<script>document.title = 'taken'</script><img src=x onerror=\"document.title = 'taken'\">"
ARCHITECTURE = "784(0.2)-512(0.1)-512(0.1)-512(0.4)-10"
VOID = {"meta", "link", "img", "wbr", "br", "hr", "input"}
MINUS, ABSENT = "\N{MINUS SIGN}", "\N{EN DASH}"


def drawn(width: float = 11.0, height: float = 4.0) -> bytes:
    figure, (axes,) = canvas(width, height)
    axes.plot([1, 2], [2, 1])
    return png(figure)


def picture(**changes: Any) -> Picture:
    return replace(Picture(drawn(), "A line that falls from 2 to 1.", "A falling line"), **changes)


def wide_table(rows: int = 3) -> Table:
    """Wider than any phone: a long name, a long network and ten figures."""
    figures = {f"measured_{number}": np.linspace(-1, 1, rows) for number in range(8)}
    names = [f"the chosen one of {number}" for number in range(rows)]
    frame = pd.DataFrame({"network": names, "architecture": ARCHITECTURE, **figures})
    return Table("Wide", frame, {"measured_0": "{:+.2f}".format}, highlight=0)


def report(*sections: Section) -> Report:
    return Report(
        title="Fashion-MNIST",
        question="Which sizes, and dropout where?",
        answer="Dropout behind the input.",
        facts=[("test accuracy", "89.46 %"), ("run", "12ef42696ee846f691d514aeb3ab6d1a" * 2)],
        sections=sections or [Section("Gaps", "One.\n\nTwo.", [wide_table()], [picture()])],
        commands=[("All of it", "mlflow run . --env-manager local -P search_run_id=12ef42696ee846f691d514aeb3ab6d1a")],
    )


class Read(HTMLParser):
    """What stands in a page; fails where a tag is not closed, or another is closed first."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.texts: list[tuple[str, str]] = []
        self._open: list[str] = []
        self.feed(page)
        self.close()
        assert self._open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert len(dict(attrs)) == len(attrs), f"<{tag}> has an attribute twice"
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self._open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        if data.strip():
            self.texts.append((self._open[-1] if self._open else "", data.strip()))

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.tags if name == tag]

    def texts_of(self, *tags: str) -> list[str]:
        return [text for tag, text in self.texts if tag in tags]


def cells(table: Table) -> list[str]:
    """The texts of the table's body, row by row; those of columns of short texts and numbers in one piece each."""
    page = render(report(Section("One", tables=[table])))
    return Read(page[page.index("<tbody>") : page.index("</tbody>") + 8]).texts_of("td", "th")


class TestWholePage:
    def test_it_opens_as_html_with_language_title_and_viewport(self) -> None:
        page = render(report())
        read = Read(page)
        assert page.startswith("<!doctype html>")
        assert read.all("html") == [{"lang": "en"}]
        assert read.texts_of("title") == ["Fashion-MNIST"]
        assert {"charset": "utf-8"} in read.all("meta")
        assert {"name": "viewport", "content": "width=device-width, initial-scale=1"} in read.all("meta")

    def test_it_refers_to_nothing_outside_itself(self) -> None:
        page = render(report())
        read = Read(page)
        references = [
            value or ""
            for _, attributes in read.tags
            for name, value in attributes.items()
            if name in {"src", "href", "srcset", "action", "data", "poster", "cite"}
        ]
        assert len([each for each in references if each.startswith("data:image/png;base64,")]) == 1
        assert [each for each in references if not each.startswith(("data:", "#"))] == []
        (style,) = read.texts_of("style")
        assert "url(" not in style
        assert "@import" not in style
        assert "://" not in page

    def test_a_browser_is_told_to_load_nothing_and_to_run_nothing_but_the_pages_own(self) -> None:
        (policy,) = [each["content"] for each in Read(render(report())).all("meta") if "http-equiv" in each]
        assert policy is not None
        rules = policy.split("; ")
        assert rules[:3] == ["default-src 'none'", "img-src data:", "style-src 'unsafe-inline'"]
        assert re.fullmatch(r"script-src 'sha256-[\w+/]{43}='", rules[3])

    def test_question_answer_facts_and_commands_stand_in_it(self) -> None:
        read = Read(render(report()))
        assert "Which sizes, and dropout where?" in read.texts_of("p")
        assert "Dropout behind the input." in read.texts_of("p")
        assert read.texts_of("dt") == ["test accuracy", "run", "All of it"]
        assert read.texts_of("dd")[0] == "89.46 %"
        assert read.texts_of("span")[-5:] == [
            "run",
            ".",
            "--env-manager",
            "local",
            f"-P search_run_id={'12ef42696ee846f691d514aeb3ab6d1a'}",
        ]

    def test_every_entry_of_the_contents_leads_to_a_section(self) -> None:
        read = Read(render(report(Section("One"), Section("Two"), Section("Two"))))
        links = [each["href"] for each in read.all("a")]
        assert links == ["#section-1", "#section-2", "#section-3", "#commands"]
        assert read.texts_of("a") == ["One", "Two", "Two", "How to run it again"]
        assert [f"#{each['id']}" for each in read.all("section")] == links

    def test_no_identifier_is_given_twice(self) -> None:
        page = report(Section("One", tables=[wide_table(), wide_table()]), Section("Two", tables=[wide_table()]))
        identifiers = [each["id"] for _, each in Read(render(page)).tags if "id" in each]
        assert len(identifiers) == len(set(identifiers)) == 3 + 3 * 2 + 2 - 1

    def test_headings_go_down_one_level_at_a_time(self) -> None:
        headings = [tag for tag, _ in Read(render(report())).tags if re.fullmatch(r"h\d", tag)]
        assert headings == ["h1", "h2", "h2"]

    def test_what_is_not_there_leaves_no_trace(self) -> None:
        read = Read(render(Report("Title", "Why?", "Because.")))
        assert {"section", "dl", "table", "figure", "pre", "a"}.isdisjoint(tag for tag, _ in read.tags)

    def test_paragraphs_are_parted_by_empty_lines(self) -> None:
        read = Read(render(report(Section("One", "\nFirst,\nstill first.\n\n \n\nSecond.\n"))))
        assert read.texts_of("p")[-2:] == ["First,\nstill first.", "Second."]

    def test_the_lines_of_a_command_are_kept(self) -> None:
        page = render(replace(report(), commands=[("Two", "first \\\n  --long-option 1\nsecond -P x=1")]))
        text = re.sub(r"<[^>]+>", "", page[page.index("<code>") : page.index("</code>")])
        assert text == "first \\\n  --long-option 1\nsecond -P x=1"

    def test_markup_in_any_text_is_shown_as_it_is(self) -> None:
        frame = pd.DataFrame({ATTACK: [ATTACK], "short": ["<b>"], "figure": [1.0]})
        section = Section(
            ATTACK, ATTACK, [Table(ATTACK, frame, {"figure": lambda _: "<i>"})], [picture(alt=ATTACK, caption=ATTACK)]
        )
        read = Read(render(Report(ATTACK, ATTACK, ATTACK, [(ATTACK, ATTACK)], [section], [(ATTACK, ATTACK)])))
        assert {"b", "i"}.isdisjoint(tag for tag, _ in read.tags)
        assert len(read.all("script")) == 1
        assert "taken" not in read.texts_of("script")[0]
        (image,) = read.all("img")
        assert image["alt"] == ATTACK
        assert [each for each in read.tags if "onerror" in each[1]] == []
        assert {"<b>", "<i>"} <= set(read.texts_of("td"))

    def test_half_a_surrogate_pair_does_not_keep_the_page_from_being_written(self) -> None:
        page = render(replace(report(), title="caf\udce9 \N{SNOWMAN}"))
        assert "<h1>caf? \N{SNOWMAN}</h1>" in page
        assert page.encode("utf-8").decode("utf-8") == page

    def test_it_is_little_more_than_its_pictures(self) -> None:
        one = picture()
        page = render(report(Section("One", pictures=[one])))
        assert len(page) - len(one.source) < 20_000


class TestPicture:
    def test_it_bears_its_size_its_text_and_its_caption(self) -> None:
        read = Read(render(report(Section("One", pictures=[picture(png=drawn(5, 3))]))))
        (image,) = read.all("img")
        assert (image["width"], image["height"]) == ("550", "330")  # 110 dots per inch
        assert image["alt"] == "A line that falls from 2 to 1."
        assert read.texts_of("figcaption") == ["A falling line"]

    @pytest.mark.parametrize("alt", ["", " \n"])
    def test_one_without_alternative_text_is_refused(self, alt: str) -> None:
        with pytest.raises(
            ValueError, match=r"the picture 'A falling line' has no alternative text; expected what it shows"
        ):
            picture(alt=alt)

    @pytest.mark.parametrize(
        "content", [b"", b"\xff\xd8\xff\xe0 a JPEG file, of some length", b"\x89PNG\r\n\x1a\n cut"]
    )
    def test_what_is_no_png_file_is_refused(self, content: bytes) -> None:
        with pytest.raises(ValueError, match=r"the picture 'A falling line' starts with b'.*'; expected a PNG file"):
            picture(png=content)


class TestTable:
    def test_the_first_column_names_the_rows_and_the_index_is_left_out(self) -> None:
        frame = pd.DataFrame({"class": ["Bag", "Coat"], "images": [3, 4]}, index=[70, 71])
        page = render(report(Section("One", tables=[Table("Classes", frame)])))
        read = Read(page)
        assert [each["scope"] for each in read.all("th")] == ["col", "col", "row", "row"]
        assert read.texts_of("th") == ["class", "images", "Bag", "Coat"]
        assert read.texts_of("td") == ["3", "4"]
        assert ">70<" not in page

    def test_numbers_and_what_has_a_format_stand_to_the_right(self) -> None:
        frame = pd.DataFrame({"name": ["a"], "share": [0.5], "interval": [(1, 2)], "sure": [True], "note": ["b"]})
        table = Table("One", frame, {"interval": "{0[0]} to {0[1]}".format})
        classes = [each["class"] for each in Read(render(report(Section("One", tables=[table])))).all("td")]
        assert classes == ["number", "number", "text", "text"]
        assert cells(table) == ["a", "0.5", "1 to 2", "yes", "b"]

    def test_values_without_a_format_are_written_for_people(self) -> None:
        frame = pd.DataFrame(
            {"name": ["x_y"], "whole": [111146], "part": [0.123456], "size": [512.0], "tiny": [2e-7], "no": [False]}
        )
        assert cells(Table("One", frame)) == ["x_y", "111146", "0.1235", "512", "2e-07", "no"]

    def test_absent_values_are_dashes_and_never_reach_a_format(self) -> None:
        frame = pd.DataFrame(
            {
                "name": ["a", None],
                "float": [np.nan, -1.5],
                "whole": pd.array([1, None], dtype="Int64"),
                "interval": [None, (0.1, 0.2)],
                "time": [pd.NaT, pd.Timestamp("2026-11-25")],
            }
        )
        formats = {
            "float": "{:.2f}".format,
            "interval": lambda each: f"{each[0]} to {each[1]}",
            "time": "{:%Y-%m-%d}".format,
        }
        first = ["a", ABSENT, "1", ABSENT, ABSENT]
        assert cells(Table("One", frame, formats)) == [
            *first,
            ABSENT,
            f"{MINUS}1.50",
            ABSENT,
            "0.1 to 0.2",
            "2026-11-25",
        ]

    def test_a_hyphen_becomes_a_minus_before_a_number_alone(self) -> None:
        frame = pd.DataFrame({"network": ["784-10"], "interval": ["-0.30 to -.1"], "range": ["3-4, 1e-05"]})
        table = Table("One", frame, {"interval": str, "range": str})
        assert cells(table) == ["784-10", f"{MINUS}0.30 to {MINUS}.1", "3-4, 1e-05"]

    def test_a_long_network_breaks_between_its_layers(self) -> None:
        page = render(report(Section("One", tables=[wide_table(1)])))
        assert '<td class="long">784(0.2)-<wbr>512(0.1)-<wbr>512(0.1)-<wbr>512(0.4)-<wbr>10</td>' in page

    def test_underscores_of_a_column_are_spaces_and_a_name_may_come_twice(self) -> None:
        frame = pd.DataFrame([["a", 1, 2]], columns=["class_name", "gap", "gap"])
        read = Read(render(report(Section("One", tables=[Table("One", frame)]))))
        assert read.texts_of("th") == ["class name", "gap", "gap", "a"]
        assert read.texts_of("td") == ["1", "2"]

    def test_one_row_is_pointed_out(self) -> None:
        rows = Read(render(report(Section("One", tables=[replace(wide_table(), highlight=1)])))).all("tr")
        assert [each.get("class") for each in rows] == [None, None, "chosen", None]

    def test_a_table_without_rows_says_so(self) -> None:
        assert cells(Table("One", pd.DataFrame({"a": [], "b": []}))) == ["none"]

    def test_a_format_for_no_column_is_refused(self) -> None:
        frame = pd.DataFrame({"loss": [1.0], "gap": [2.0]})
        with pytest.raises(ValueError, match=r"'One' has formats for lose; expected some of its columns: loss, gap"):
            Table("One", frame, {"lose": str, "gap": str})

    @pytest.mark.parametrize("row", [-1, 2])
    def test_a_row_that_is_not_there_is_refused(self, row: int) -> None:
        frame = pd.DataFrame({"loss": [1.0, 2.0]})
        with pytest.raises(ValueError, match=rf"'One' is to highlight row {row}; it has 2, counted from 0"):
            Table("One", frame, highlight=row)

    def test_a_frame_without_columns_is_refused(self) -> None:
        with pytest.raises(ValueError, match="'One' has no columns; expected one or more"):
            Table("One", pd.DataFrame(index=[0, 1]))


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    if not (CHROMIUM and DRIVER):
        pytest.skip("needs Chromium and its driver: apt-get install chromium chromium-driver")
    from selenium import webdriver
    from selenium.webdriver.chrome.service import Service

    options = webdriver.ChromeOptions()
    options.binary_location = CHROMIUM
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    for flag in ("--headless=new", "--no-sandbox", "--disable-dev-shm-usage"):
        options.add_argument(flag)
    driver = webdriver.Chrome(options=options, service=Service(DRIVER))
    yield driver
    driver.quit()


@pytest.fixture
def opened(browser: Any, tmp_path: Path) -> Any:
    """Opens a report at a width, on paper or in a colour scheme."""

    def opens(content: Report, width: int, *, medium: str = "screen", scheme: str = "light") -> Any:
        file = tmp_path / "report.html"
        file.write_text(render(content), encoding="utf-8")
        command = browser.execute_cdp_cmd
        metrics = {"width": width, "height": 844, "deviceScaleFactor": 1, "mobile": width == PHONE}
        command("Emulation.setDeviceMetricsOverride", metrics)
        features = [{"name": "prefers-color-scheme", "value": scheme}]
        command("Emulation.setEmulatedMedia", {"media": medium, "features": features})
        browser.get(file.as_uri())
        if folder := os.environ.get("CI_ARTIFACTS"):
            browser.save_screenshot(str(Path(folder) / f"report-{width}-{medium}-{scheme}.png"))
        return browser

    return opens


def crowded() -> Report:
    """Everything at its widest: a table, a picture, a word without a break and a command with a long value."""
    text = f"{'w' * 90}\n\n{ARCHITECTURE * 3}"
    pictures = [picture(), picture(png=drawn(3, 9))]
    plain = report(Section("G" * 60, text, [wide_table(30)], pictures), Section(ATTACK, ATTACK))
    return replace(plain, title="T" * 60, commands=[(ATTACK, f"python -m pipeline --name={'x' * 120}")])


BEYOND = """
const inside = e => { for (let p = e.parentElement; p; p = p.parentElement) if (p.matches('.scroll')) return true };
return [...document.querySelectorAll('body *')].filter(e => !inside(e)).filter(e => {
    const box = e.getBoundingClientRect(); return box.right > innerWidth + 0.5 || box.left < -0.5
}).map(e => e.outerHTML.slice(0, 80))"""
"""Elements that stick out of the window, other than inside what scrolls by itself."""


BELOW = "return Math.round(document.querySelector('#commands').getBoundingClientRect().bottom - innerHeight)"
"""How far the last section reaches below the window, in CSS pixels."""


def wait_for_section(page: Any) -> None:
    """Until the last section is in sight: the browser may still be scrolling after a click."""
    from selenium.webdriver.support.wait import WebDriverWait

    WebDriverWait(page, 20, poll_frequency=0.05).until(lambda shown: shown.execute_script(BELOW) <= 0)


@pytest.mark.parametrize("width", [PHONE, DESK])
def test_nothing_overflows_and_every_picture_has_loaded(opened: Any, width: int) -> None:
    page = opened(crowded(), width)
    assert page.execute_script("return innerWidth") == width
    assert page.execute_script("return document.documentElement.scrollWidth") <= width
    assert page.execute_script(BEYOND) == []
    loaded = page.execute_script("return [...document.images].map(i => [i.complete, i.naturalWidth, i.naturalHeight])")
    assert loaded == [[True, 1210, 440], [True, 330, 990]]


def test_on_a_phone_a_wide_table_scrolls_and_keeps_the_names_in_sight(opened: Any) -> None:
    page = opened(crowded(), PHONE)
    before, after = page.execute_script("""
        const scroller = document.querySelector('.table .scroll'), left = tag => [...scroller.querySelectorAll(tag)].map(
            e => Math.round(e.getBoundingClientRect().left));
        const before = [left('tbody th')[0], left('td')[0]];
        scroller.scrollLeft = 120;
        return [before, [left('tbody th')[0], left('td')[0]]]""")
    assert after == [before[0], before[1] - 120]


def test_nothing_is_asked_of_a_network_and_no_markup_of_a_name_has_run(opened: Any) -> None:
    page = opened(crowded(), DESK)
    names = page.execute_script("return performance.getEntriesByType('resource').map(e => e.name)")
    assert [name for name in names if not name.startswith("data:")] == []
    assert page.title == "T" * 60
    assert page.execute_script("return document.scripts.length") == 1
    assert page.get_log("browser") == []


def test_the_contents_lead_to_their_sections(opened: Any) -> None:
    page = opened(crowded(), DESK)
    page.find_element("css selector", "nav li:last-child a").click()
    assert page.execute_script("return location.hash") == "#commands"
    wait_for_section(page)


def test_in_the_sandboxed_frame_of_the_mlflow_ui_they_do_so_too(browser: Any, tmp_path: Path) -> None:
    host = tmp_path / "host.html"
    host.write_text("<!doctype html><iframe sandbox=allow-scripts width=1000 height=600></iframe>")
    browser.get(host.as_uri())
    browser.execute_async_script(
        """const frame = document.querySelector('iframe');
        frame.onload = arguments[1];
        frame.src = URL.createObjectURL(new Blob([arguments[0]], {type: 'text/html'}))""",
        render(crowded()),
    )
    browser.switch_to.frame(0)
    try:
        assert browser.execute_script(BELOW) > 600
        browser.find_element("css selector", "nav li:last-child a").click()
        wait_for_section(browser)
    finally:
        browser.switch_to.default_content()


def luminance(colour: str) -> float:
    """Relative luminance of `rgb(r, g, b)`, WCAG 2.2."""
    shares = [int(each) / 255 for each in re.findall(r"\d+", colour)[:3]]
    linear = [each / 12.92 if each <= 0.04045 else ((each + 0.055) / 1.055) ** 2.4 for each in shares]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_text_stands_out_from_its_ground_in_light_and_dark(opened: Any, scheme: str) -> None:
    page = opened(crowded(), DESK, scheme=scheme)
    pairs = page.execute_script("""
        const ground = e => { for (; e; e = e.parentElement) {
            const c = getComputedStyle(e).backgroundColor; if (c != 'rgba(0, 0, 0, 0)') return c } };
        const texts = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT), pairs = new Set();
        while (texts.nextNode()) if (texts.currentNode.data.trim()) {
            const e = texts.currentNode.parentElement; pairs.add(getComputedStyle(e).color + '|' + ground(e)) }
        return [...pairs].map(pair => pair.split('|'))""")
    ratios = {}
    for text, ground in pairs:
        dark, light = sorted([luminance(text), luminance(ground)])
        ratios[text, ground] = (light + 0.05) / (dark + 0.05)
    assert len(ratios) >= 4
    assert min(ratios.values()) >= 4.5, ratios
    paper = luminance(page.execute_script("return getComputedStyle(document.body).backgroundColor"))
    assert paper < 0.05 if scheme == "dark" else paper > 0.9
    assert (
        page.execute_script("return getComputedStyle(document.querySelector('.card')).backgroundColor")
        == "rgb(255, 255, 255)"
    )


def test_on_paper_nothing_is_cut_off_and_dark_is_left_out(opened: Any) -> None:
    page = opened(crowded(), SHEET, medium="print", scheme="dark")
    assert page.execute_script("return document.documentElement.scrollWidth") <= SHEET
    assert (
        page.execute_script(
            "return [...document.querySelectorAll('.scroll')].filter(e => e.scrollWidth > e.clientWidth).length"
        )
        == 0
    )
    assert page.execute_script("return getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
    rows = page.execute_script("return [...document.querySelectorAll('tr')].map(e => getComputedStyle(e).breakInside)")
    assert set(rows) == {"avoid"}


LAPTOP = 1085
"""A window of 1,100 pixels with its scroll bar."""
FOLDED = "return [...document.querySelectorAll('details p')].map(e => e.checkVisibility({contentVisibilityAuto: true}))"


def test_on_a_laptop_the_widest_tables_of_a_report_fit(opened: Any) -> None:
    """Those of the gaps and of the effects, as wide as they get."""
    gaps = {f"accuracy_gap_{number}": ["\u22120.1829 ± 0.0404"] for number in range(3)}
    losses = {f"train loss, nats {number}": ["0.5128"] for number in range(3)}
    first = pd.DataFrame({"network": ["notebook, dropout"], "architecture": [ARCHITECTURE], **gaps, **losses})
    effect = "cannot tell: +24.30 (\u221216.34 to +64.93)"
    second = pd.DataFrame({"effect": ["after hidden layer 3"], "change": ["from fewest"],
                           "accuracy, points": [effect], "importance for accuracy": [-0.4],
                           "gap, points": [effect], "importance for gap": [-0.4]})  # fmt: skip
    tables = [
        Table("Gaps", first, dict.fromkeys([*gaps, *losses], str), highlight=0),
        Table("Effects", second, {"accuracy, points": str, "gap, points": str}),
    ]
    page = opened(report(Section("One", tables=tables)), LAPTOP)
    scrolled = "return [...document.querySelectorAll('.table .scroll')].map(e => e.scrollWidth - e.clientWidth)"
    assert page.execute_script(scrolled) == [0, 0]


def test_a_method_is_folded_on_the_screen_and_printed(opened: Any) -> None:
    content = report(Section("One", method="First.\n\nSecond."))
    assert opened(content, DESK).execute_script(FOLDED) == [False, False]
    assert opened(content, SHEET, medium="print").execute_script(FOLDED) == [True, True]

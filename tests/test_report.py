"""The report: one page, whole, safe, and as it looks in a browser."""

import dataclasses
import json
import re
import shutil
from html.parser import HTMLParser

import matplotlib as mpl
import numpy as np
import pytest
from test_importance import bowl, saddle, write
from test_plots import climbing, every_kind, of_classes, with_folds

from kttoolkit import cli
from kttoolkit.exceptions import ResultError
from kttoolkit.report import advice, write_report
from kttoolkit.report._svg import as_svg
from kttoolkit.report._tables import as_json, space_table, trials_table
from kttoolkit.results import capped, worst_of_interest

mpl.use("Agg")
import matplotlib.pyplot as plt

NASTY = "<script>alert(1)</script>"


def nasty(hp):
    """What users name may look like HTML, end a script, or colour a terminal."""
    every_kind(hp)
    hp.Choice(NASTY, ["</script><img src=x onerror=alert(2)>", "\x1b[31mred"])


@pytest.fixture(autouse=True)
def _no_figures_left():
    plt.close("all")
    yield
    plt.close("all")


@pytest.fixture(scope="module")
def result(tmp_path_factory):
    folder = tmp_path_factory.mktemp("reports") / "a & <b>"
    return with_folds(write(folder, 40, bowl, ask=nasty, failed=(3, 7)))


@pytest.fixture(scope="module")
def page(result, tmp_path_factory):
    path = tmp_path_factory.mktemp("page") / "report.html"
    assert write_report(result, path, predictions=of_classes()) == path
    return path


class Elements(HTMLParser):
    """Counts elements and gathers what a browser would fetch or run."""

    def __init__(self):
        super().__init__()
        self.found, self.fetched, self.handlers, self.texts = [], [], [], []

    def handle_starttag(self, tag, attrs):
        self.found.append(tag)
        for name, value in attrs:
            if name in {"src", "href", "xlink:href"} and value[0] != "#":
                self.fetched.append(value)
            if name.startswith("on"):
                self.handlers.append(value)

    def handle_data(self, data):
        self.texts.append(data)


def elements_of(path):
    elements = Elements()
    elements.feed(path.read_text("utf-8"))
    return elements


# -- the page ---


def test_the_page_is_whole_and_needs_no_network(page):
    elements = elements_of(page)
    assert elements.found.count("script") == 2
    assert elements.found.count("h1") == 1
    assert elements.found.count("svg") >= 9
    assert all(address.startswith("data:image/png") for address in elements.fetched)
    assert "<?xml" not in page.read_text("utf-8")


def test_what_users_name_stays_text(page):
    """No element, no handler and no script comes from a name or a value."""
    elements = elements_of(page)
    assert not elements.handlers
    # Those that are there are pictures of matplotlib's, inside of an SVG.
    assert "img" not in elements.found
    assert NASTY in "".join(elements.texts)
    data = re.search(
        r'<script type="application/json" id="data">(.*?)</script>',
        page.read_text("utf-8"), re.DOTALL,
    )  # fmt: skip
    names = [column["name"] for column in json.loads(data[1])["columns"]]
    assert NASTY in names


def test_only_the_page_s_own_script_may_run(page):
    import base64
    import hashlib

    text = page.read_text("utf-8")
    script = re.search(r"<script>(.*?)</script>", text, re.DOTALL)[1]
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    assert f"script-src 'sha256-{digest}'" in text.replace("&#39;", "'")
    assert "default-src 'none'" in text


def test_the_same_result_makes_the_same_page(result, page, tmp_path):
    again = write_report(result, tmp_path / "x.html", predictions=of_classes())
    without_date = [re.sub(r"\d+-\d+-\d+ \d+:\d+", "", p.read_text("utf-8"))
                    for p in (page, again)]  # fmt: skip
    assert without_date[0] == without_date[1]


def test_a_report_is_a_page(result, tmp_path):
    with pytest.raises(ResultError, match=r"ends in \.html, but got '.*r\.htm'"):
        write_report(result, tmp_path / "r.htm")
    with pytest.raises(ResultError, match=r"ends in \.html, but got '.*report\.pdf'"):
        result.report(tmp_path / "report.pdf")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("n", [0, 1, 2])
def test_few_trials_make_a_page_that_says_what_is_missing(n, tmp_path):
    path = write(tmp_path / "study", n, bowl).report(tmp_path / "report.html")
    text = "".join(elements_of(path).texts)
    assert f"All {n} trials" in text
    assert "pictures do not apply" in text
    assert "completed trials" in text


def test_a_search_that_only_failed_has_a_page_with_the_reasons(tmp_path):
    failed = write(tmp_path / "study", 3, bowl, failed=(0, 1, 2))
    text = "".join(elements_of(failed.report(tmp_path / "report.html")).texts)
    assert "What failed" in text
    assert "boom" in text
    assert "The best setting" not in text


def test_a_hyperband_search_has_its_rungs(tmp_path):
    found = dataclasses.replace(climbing(), directory=tmp_path)
    text = found.report(tmp_path / "report.html").read_text("utf-8")
    assert 'id="rungs"' in text
    assert 'id="timeline"' in text
    assert 'id="rounds"' not in text


def test_the_command_line_writes_it_beside_the_study(result, tmp_path, capsys):
    """Predictions that `kttoolkit tune` left in the folder are drawn too."""
    study = tmp_path / "study"
    shutil.copytree(result.directory, study)
    of_classes().to_csv(study / cli.PREDICTIONS_FILE, index=False)
    assert cli.main(["report", str(study)]) == 0
    path = study / cli.REPORT_FILE
    assert capsys.readouterr().out.strip() == str(path)
    assert 'id="confusion"' in path.read_text("utf-8")
    assert cli.main(["report", str(tmp_path / "none")]) == 2
    assert "must be a study folder" in capsys.readouterr().err


def test_what_matters_only_together_is_told(tmp_path):
    found = write(tmp_path / "study", 80, saddle)
    text = "".join(elements_of(found.report(tmp_path / "report.html")).texts)
    assert re.search(r"(kind and flag|flag and kind)\s*\d+\.\d% ± ", text)


@pytest.mark.slow
def test_two_thousand_trials_are_drawn_and_make_a_page(tmp_path):
    """Every picture of many trials, some failed, is drawn; the page stays small."""
    found = with_folds(
        write(tmp_path / "study", 2000, bowl, ask=nasty, failed=(3, 7)), n_folds=5
    )
    path = found.report(tmp_path / "report.html")
    text = path.read_text("utf-8")
    for name in ("history", "slice", "contours", "parallel_coordinates", "curves",
                 "folds", "importance", "gap"):  # fmt: skip
        assert f'id="{name}"' in text
    assert "All 2000 trials" in text
    assert path.stat().st_size < 8_000_000


# -- pictures in the page ---


def test_pictures_take_the_page_s_colours_and_leave_no_figure():
    def draw():
        _, ax = plt.subplots()
        ax.plot([0, 1], label="<&> 'line'")
        ax.legend()
        return ax

    mine = plt.figure()
    svg = as_svg(draw, name="x")
    assert plt.get_fignums() == [mine.number]
    plt.close(mine)
    assert svg.startswith("<svg")
    assert "var(--ink)" in svg
    assert "var(--paper)" in svg
    assert "&lt;&amp;&gt; 'line'" in svg
    assert "<image" not in svg


def test_many_points_become_an_image():
    def draw():
        _, ax = plt.subplots()
        return ax.scatter(*np.random.default_rng(0).normal(size=(2, 5000))).axes

    svg = as_svg(draw, name="x")
    assert "data:image/png" in svg
    assert len(svg) < 300_000


def test_a_picture_that_fails_leaves_no_figure():
    def draw():
        plt.subplots()
        raise ResultError("not drawn")

    with pytest.raises(ResultError, match="not drawn"):
        as_svg(draw, name="x")
    assert not plt.get_fignums()


# -- tables in the page ---


def test_trials_are_ranked_plain_and_without_inner_parameters(result):
    table = trials_table(result)
    names = [column["name"] for column in table["columns"]]
    assert names[:3] == ["rank", "trial", "status"]
    assert [row[0] for row in table["rows"][:3]] == [1, 2, 3]
    assert [row[2] for row in table["rows"][-2:]] == ["failed"] * 2
    assert table["rows"][-1][names.index("reason")] == "boom"
    rate = table["columns"][names.index("learning_rate")]
    assert rate["numeric"]
    assert {row[names.index("flag")] for row in table["rows"]} == {"True", "False"}
    betas = [row[names.index("beta")] for row in table["rows"]]
    assert None in betas
    assert any(isinstance(beta, float) for beta in betas)


def test_data_cannot_end_its_script():
    text = as_json({"a": "</script>&<!--", "b": None})
    assert not set("<>&") & set(text)
    assert json.loads(text) == {"a": "</script>&<!--", "b": None}
    with pytest.raises(ValueError, match="not JSON compliant"):
        as_json(float("nan"))


def test_the_space_is_told_with_scales_and_conditions(result):
    rows = {row["name"]: row for row in space_table(result)}
    assert rows["learning_rate"]["scale"] == "log"
    assert rows["learning_rate"]["values"] == "0.0001 to 1"
    assert rows["momentum"]["scale"] == "log(1 - value)"
    assert rows["kind"]["values"] == "a, b, c"
    assert rows["beta"]["condition"] == "optimizer in adam"
    assert rows["kind"]["best"] == str(result.best_trial.values["kind"])


# -- wild scores ---


def test_a_diverged_trial_hides_nothing(tmp_path):
    """Of 40 trials one scored a million: what mattered is still found and seen."""
    found = write(tmp_path, 40, lambda v: 1e6 if v["units"] == 256 else bowl(v))
    scores = [record.score for record in found.records]
    limit = worst_of_interest(scores, "min")
    assert max(bowl(r.values) for r in found.records) / 4 < limit < 1e3
    assert capped(scores, "min").max() == limit
    frame = found.importance(method="permutation").frame
    assert frame["hyperparameter"][0] in {"learning_rate", "units"}
    for name in ("history", "slice", "parallel_coordinates", "contours"):
        drawn = getattr(found.plot, name)()
        ax = drawn[0] if isinstance(drawn, list) else drawn
        ax.figure.canvas.draw()
        if name in {"history", "slice"}:
            assert ax.get_ylim()[1] < 1e4


def test_a_score_that_is_merely_worse_is_no_wild_one():
    """Ten accuracies, two of them somewhat lower: the axis has room for all."""
    scores = [0.743, 0.741, 0.739, 0.738, 0.733, 0.732, 0.725, 0.725, 0.682, 0.676]
    assert worst_of_interest(scores, "max") is None
    assert worst_of_interest([*scores, 0.1], "max") > 0.6


@pytest.mark.parametrize("direction", ["min", "max"])
def test_scores_of_one_kind_are_left_as_they_are(direction):
    scores = np.random.default_rng(0).normal(size=200)
    assert worst_of_interest(scores, direction) is None
    assert list(capped(scores, direction)) == list(scores)
    assert worst_of_interest([], direction) is None
    assert worst_of_interest([float("nan")], direction) is None


# -- advice ---


def told(result, importance=None):
    return " ".join(advice(result, importance))


def test_advice_on_a_search_that_is_done(tmp_path):
    found = write(tmp_path, 60, bowl)
    text = told(found, found.importance())
    assert "learning_rate explains the most" in text
    assert re.search(r"hardly mattered and may be fixed: .*flag=(True|False)", text)
    assert re.search(r"trial \(\d+\) came when \d+ of 60", text)
    assert "still improving in its last epoch" in text


def test_advice_counts_what_failed(tmp_path):
    few = write(tmp_path / "a", 30, bowl, failed=(3,))
    many = write(tmp_path / "b", 30, bowl, failed=(3, 5, 6, 7))
    assert "did not complete" not in told(few)
    assert "4 of 30 trials did not complete. The most frequent reason: boom" in told(
        many
    )
    assert advice(write(tmp_path / "c", 2, bowl, failed=(0, 1))) == []


def test_advice_to_look_beyond_the_edges(tmp_path):
    def ask(hp):
        hp.Float("rate", 0.1, 1.0)
        hp.Float("dropout", 0.0, 0.5)
        hp.Int("depth", 1, 4)

    best = {"rate": 1.0, "dropout": 0.0, "depth": 2}
    found = write(tmp_path, 6, lambda v: 1.0, ask=ask)
    first, *rest = found.records
    records = (
        dataclasses.replace(first, values=best, metrics={"val_loss": 0.1}), *rest
    )  # fmt: skip
    text = told(dataclasses.replace(found, records=records))
    assert "the upper end of the range of rate (1); look beyond it" in text
    assert "lower end" not in text


def test_advice_to_believe_the_untouched_rows(result):
    study = dataclasses.replace(result.study, n_test=50)
    best = result.best_trial
    bad = {"loss": best.score + 3 * best.std}
    good = {"loss": best.score + best.std}
    text = told(dataclasses.replace(result, study=study, test_metrics=bad))
    assert "On the 50 untouched rows" in text
    assert "epoch_selection='common'" in text
    assert "untouched" not in told(
        dataclasses.replace(result, study=study, test_metrics=good)
    )


# -- in a browser ---

NAMES = ("chromium", "chromium-browser", "google-chrome")
CHROMIUM = next(filter(None, map(shutil.which, NAMES)), None)
FLAGS = ("--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
         "--disable-background-networking", "--disable-component-update",
         "--disable-sync")  # fmt: skip


@pytest.fixture(scope="module")
def browser():
    if CHROMIUM is None:
        pytest.skip("chromium is not installed")
    api = pytest.importorskip("playwright.sync_api")
    with api.sync_playwright() as playwright:
        found = playwright.chromium.launch(executable_path=CHROMIUM, args=list(FLAGS))
        yield found
        found.close()


@pytest.fixture
def opened(browser, page):
    """Open the page and gather what the console says and the network is asked."""

    def open_page(**options):
        tab = browser.new_page(**options)
        tab.troubles = []
        tab.on("console", lambda message: tab.troubles.append(message.text))
        tab.on("pageerror", lambda error: tab.troubles.append(str(error)))
        tab.on("dialog", lambda dialog: tab.troubles.append(dialog.message))
        tab.on("request", lambda request: tab.troubles.append(request.url)
               if not request.url.startswith(("file:", "data:")) else None)  # fmt: skip
        tab.goto(page.as_uri())
        return tab

    yield open_page
    for context in browser.contexts:
        context.close()


@pytest.mark.parametrize("width", [400, 1280])
def test_it_fits_the_screen_and_the_console_is_silent(width, opened):
    tab = opened(viewport={"width": width, "height": 900})
    assert tab.evaluate("document.documentElement.scrollWidth") == width
    assert tab.troubles == []
    picture = tab.screenshot()
    assert len(picture) > 10_000


def test_it_is_dark_where_the_reader_likes_it_so(opened):
    def colours(scheme):
        tab = opened(color_scheme=scheme)
        return [
            tab.evaluate(f"getComputedStyle(document.querySelector('{s}')).{p}")
            for s, p in (("body", "backgroundColor"), ("#history text", "fill"))
        ]

    light, dark = colours("light"), colours("dark")
    assert light == ["rgb(255, 255, 255)", "rgb(27, 31, 36)"]
    assert dark == ["rgb(20, 24, 29)", "rgb(230, 233, 237)"]


def test_the_table_sorts_and_filters(opened, result):
    tab = opened()
    column = "Array.from(document.querySelectorAll('#table tbody tr'))"

    def cells(place):
        return tab.evaluate(f"{column}.map((row) => row.children[{place}].textContent)")

    assert len(cells(0)) == 40
    names = [column["name"] for column in trials_table(result)["columns"]]
    rate, kind = names.index("learning_rate"), names.index("kind")
    tab.click("#table th button >> text=learning_rate")
    rates = [float(value) for value in cells(rate)]
    assert rates == sorted(rates)
    tab.click("#table th button >> text=learning_rate")
    assert [float(value) for value in cells(rate)] == sorted(rates, reverse=True)
    assert tab.locator("th[aria-sort=descending]").inner_text().strip() == (
        "learning_rate"
    )
    tab.fill("#filter", "kind=a learning_rate<0.01")
    assert set(cells(kind)) == {"a"}
    expected = [
        r for r in result.records
        if r.values["kind"] == "a" and r.values["learning_rate"] < 0.01
    ]  # fmt: skip
    assert len(cells(0)) == len(expected) > 0
    assert tab.inner_text("#count") == f"{len(expected)} of 40"
    tab.fill("#filter", "boom")
    assert set(cells(names.index("status"))) == {"failed"}
    tab.fill("#filter", "nothing<5")
    assert "wrong" in tab.get_attribute("#filter", "class")
    assert len(cells(0)) == 40
    assert tab.troubles == []


def test_it_prints_with_everything_but_buttons(opened):
    tab = opened()
    tab.emulate_media(media="print")
    assert not tab.is_visible(".filter")
    assert not tab.is_visible("[data-copy]")
    assert tab.is_visible("#table th button")
    assert tab.is_visible("#table tbody tr:last-child")
    assert tab.pdf()[:5] == b"%PDF-"

"""The page in a browser: nothing leaves it, nothing errs, what can be clicked does what it says.

Skipped where neither Playwright (extra `browser`) nor a Chromium is.
"""

from __future__ import annotations

import numpy as np
import pytest
from browsing import Opened, browser, needs_a_browser
from unrun import images_of, kept, run_of

from results.pages.page import page
from results.pictures.sheets import grid_png

pytestmark = needs_a_browser
__all__ = ["browser"]
"""Asked for by name."""


@pytest.fixture(scope="module")
def address(tmp_path_factory):
    """Of a page with a table of four rows, curves, samples of two seeds and a picture."""
    folder = tmp_path_factory.mktemp("page")
    run = run_of(folder / "run")
    for at, cell in enumerate(run.manifest["cells"]):
        way = {"training": images_of(3 * 4, 90 + at).reshape(3, 4, 1, 6, 6)}
        way |= {"training_steps": np.array([10, 20, 30]), "nearest": images_of(8, 50 + at)}
        trained = way if cell["parts"]["model"] in ("gan", "vae") else {}
        kept(run, cell, samples=images_of(40, at), **trained)
    (run.directory.path / "pictures").mkdir()
    drawn = grid_png(images_of(4, 0))
    (run.directory.path / "pictures" / "b-ring-way.png").write_bytes(drawn)
    (folder / "page.html").write_text(page([run]))
    return (folder / "page.html").as_uri()


@pytest.fixture
def opened(browser, address):
    found = Opened(browser, address)
    yield found
    found.context.close()


def test_it_is_silent_and_asks_for_nothing(opened, address):
    """No error and no warning on the console; no request but for itself and what it holds."""
    opened.drawn()
    assert opened.said == []
    assert all(url.startswith(("data:", "blob:")) or url == address for url in opened.asked)


def test_every_picture_and_chart_is_there(opened):
    opened.drawn()
    sizes = opened.page.eval_on_selector_all("img", "all => all.map(one => one.naturalWidth)")
    assert len(sizes) == 5
    assert all(sizes)
    lines = opened.page.eval_on_selector_all(".plot", "all => all.map(p => p.data.length)")
    assert lines == [4, 8]


def test_the_script_makes_the_rows_that_came_with_the_page(opened):
    """To the letter: whoever reads without a script reads the same."""
    before = opened.page.inner_html("tbody")
    opened.page.fill(".find", "x")
    assert opened.names() == []
    opened.page.fill(".find", "")
    after = opened.page.inner_html("tbody")
    assert clean(after) == clean(before)


def clean(html):
    return "".join(html.replace("> <", "><").split("\n")).replace("  ", "")


def test_columns_sort_by_their_numbers(opened):
    """Larger first, then smaller first; a name by its letters; the head says so."""
    head = opened.page.locator("thead th").nth(3)
    quality = opened.page.locator("thead .sort").nth(2)
    quality.click()
    assert opened.names() == ["oracle", "gan", "vae", "noise"]
    quality.click()
    assert opened.names()[0] == "noise"
    assert head.get_attribute("aria-sort") == "none"
    opened.page.locator("thead .sort").nth(3).click()
    assert (opened.names()[0], head.get_attribute("aria-sort")) == ("noise", "descending")
    opened.page.locator("thead .sort").nth(0).press("Enter")
    assert opened.names() == ["gan", "noise", "oracle", "vae"]


def test_rows_are_found_and_left_out(opened):
    """By words of their names and by their roles; how many are left is said; the charts follow."""
    opened.drawn()
    opened.page.fill(".find", "an")
    assert opened.names() == ["gan"]
    assert opened.page.inner_text(".count") == "1 of 4 rows"
    opened.page.wait_for_function(
        "document.querySelector('[data-chart=curves] .plot').data.length === 2"
    )
    opened.page.fill(".find", "")
    opened.page.uncheck(".roles input[value=floor]")
    assert opened.names() == ["oracle", "gan", "vae"]


def test_columns_are_hidden(opened):
    opened.page.click(".columns summary")
    opened.page.uncheck(".columns input >> nth=1")
    shown = opened.page.eval_on_selector_all("thead th", "all => all.map(one => !one.hidden)")
    assert shown == [True, True, False, True]
    cells = opened.page.eval_on_selector_all(
        "tbody tr", "all => all.map(one => one.cells[2].hidden)"
    )
    assert cells == [True] * 4


def test_a_name_opens_its_seeds(opened):
    more = opened.page.locator(".more").nth(1)
    more.press("Enter")
    assert more.get_attribute("aria-expanded") == "true"
    rows = opened.page.eval_on_selector_all(
        "tr.detail tbody tr", "all => all.map(one => [...one.cells].map(cell => cell.textContent))"
    )
    assert rows == [["0", "ok", "1.5", "40.0", "0.600"], ["1", "ok", "1.5", "60.0", "0.400"]]
    more.press("Enter")
    assert opened.page.query_selector("tr.detail") is None


def test_a_row_can_be_pointed_at(browser, address):
    """Its address leads to it, where it is beyond the first rows of a table, too."""
    found = Opened(browser, f"{address}#b-ring-vae")
    at = found.page.evaluate("document.getElementById('b-ring-vae').getBoundingClientRect().top")
    assert 30 <= at < 900
    found.context.close()


def test_a_table_is_copied(opened):
    opened.page.click(".copy[data-copy=LaTeX]")
    opened.page.locator(".copy[data-copy=LaTeX]", has_text="copied").wait_for()
    text = opened.page.evaluate("navigator.clipboard.readText()")
    assert text.startswith("% needs")
    assert r"\begin{tabular}{lrrr}" in text


def test_seeds_of_samples_are_slid_through(opened):
    """The second seed's pictures are others; each says whose it is; a click enlarges it."""
    sources = "all => all.map(one => one.src)"
    before = opened.page.eval_on_selector_all(".sheets img", sources)
    opened.page.focus(".seed input")
    opened.page.keyboard.press("ArrowRight")
    after = opened.page.eval_on_selector_all(".sheets img", sources)
    assert len(set(before) | set(after)) == 8
    captions = opened.page.locator(".sheets figcaption").all_inner_texts()
    assert captions[1] == "gan, seed 1"
    assert opened.page.inner_text(".seed output") == "1"
    opened.page.click(".sheets .zoom >> nth=1")
    assert opened.page.is_visible("#dialog img")
    opened.page.keyboard.press("Escape")
    assert not opened.page.is_visible("#dialog img")


def test_a_training_is_shown_look_by_look(opened):
    """Of the models that were trained alone, each with its step; played, it goes round."""
    page = opened.page
    assert not page.is_visible(".looks")
    page.select_option(".views select", "way")
    assert not page.is_visible(".sheets .seed:not(.views):not(.looks)")
    captions = page.locator(".sheets figcaption").all_inner_texts()
    assert captions == ["gan, seed 0, step 30", "vae, seed 0, step 30"]
    last = page.get_attribute(".sheets img", "src")
    page.focus(".looks input")
    page.keyboard.press("ArrowLeft")
    assert page.inner_text(".looks output") == "2 of 3"
    assert page.locator(".sheets figcaption").first.inner_text() == "gan, seed 0, step 20"
    assert page.get_attribute(".sheets img", "src") != last
    page.click(".play")
    page.locator(".sheets figcaption", has_text="gan, seed 0, step 10").wait_for()
    page.click(".play")
    page.select_option(".views select", "samples")
    assert len(page.locator(".sheets figcaption").all_inner_texts()) == 4
    assert not page.is_visible(".play")


def test_what_the_critic_thinks_lies_behind_points(browser, tmp_path):
    """Red to the right, where it takes points for real; as wide as it was asked, in the middle."""
    centres = {"summary": "a ring", "papers": [], "centres": [[1.0, 0.0]], "widths": [0.1]}
    run = run_of(tmp_path / "run", parts={"dataset": {"ring": centres}, "model": {}})
    field = np.tile(np.linspace(-3, 3, 48), (48, 1))
    for cell in run.manifest["cells"]:
        points = np.zeros((3, 5, 2), dtype=np.float32)
        way = {"training": points, "training_steps": np.array([1, 2, 3])}
        fields = {"training_fields": np.stack([field, field, field[:, ::-1]])}
        fields |= {"training_reach": np.array(0.775)}
        kept(run, cell, samples=points[0], **way, **fields)
    (tmp_path / "page.html").write_text(page([run]))
    opened = Opened(browser, (tmp_path / "page.html").as_uri())
    opened.page.select_option(".views select", "way")
    canvas = opened.page.locator(".sheets canvas[data-inked=field]").first
    ask = "(one, at) => [...one.getContext('2d').getImageData(at[0], at[1], 1, 1).data].slice(0, 3)"
    canvas.wait_for()
    assert opened.said == []

    def colours():
        return [canvas.evaluate(ask, [x, 150]) for x in (20, 120, 280, 380)]

    outside, fake, real, beyond = reversed(colours())
    assert outside == beyond == [255, 255, 255]
    assert fake[2] > fake[0] + 30
    assert real[0] > real[2] + 30
    assert "red what the critic takes for real" in opened.page.inner_text(".sheets figcaption")
    opened.page.focus(".looks input")
    opened.page.keyboard.press("ArrowLeft")
    canvas.wait_for()
    _, fake, real, _ = colours()
    assert fake[2] > fake[0] + 30
    assert real[0] > real[2] + 30
    opened.context.close()


def test_samples_stand_beside_what_they_may_be_copies_of(opened):
    page = opened.page
    page.select_option(".views select", "beside")
    captions = page.locator(".sheets figcaption").all_inner_texts()
    assert captions == [f"{m}, seed 0, each left of a training image" for m in ("gan", "vae")]
    wide, high = page.eval_on_selector(
        ".sheets img", "one => [one.naturalWidth, one.naturalHeight]"
    )
    assert wide > 3 * high


@pytest.mark.parametrize("width", [360, 768, 1440])
def test_the_page_does_not_scroll_sideways(browser, address, width):
    found = Opened(browser, address, width)
    found.drawn()
    wide = found.page.evaluate("document.documentElement.scrollWidth")
    assert wide <= width
    found.context.close()


@pytest.mark.parametrize("dark", [False, True])
def test_words_stand_out_from_their_ground(browser, address, dark):
    """By 4.5 to 1 at least (WCAG 2.1, 1.4.3), in both schemes, and after the switch."""
    found = Opened(browser, address, dark=dark)
    for _ in range(2):
        for query in (
            "p.run",
            ".legend",
            "td span",
            "td i",
            ".notes li",
            "a",
            "thead .sort",
            "small",
        ):
            colours = found.page.evaluate(COLOURS, query)
            assert contrast(*colours) >= 4.5, (query, colours)
        found.page.click("#theme")
    found.context.close()


COLOURS = """query => {
  const node = document.querySelector(query);
  let ground = node;
  const of = one => getComputedStyle(one).backgroundColor;
  const clear = /rgba\\(0, 0, 0, 0\\)|transparent/;
  while (ground && clear.test(of(ground))) ground = ground.parentElement;
  return [getComputedStyle(node).color, ground ? of(ground) : "rgb(255, 255, 255)"];
}"""


def contrast(one, other):
    """Of two colours as browsers write them (WCAG 2.1, relative luminance)."""

    def luminance(colour):
        parts = (
            np.array([float(x) for x in colour[colour.index("(") + 1 : -1].split(",")[:3]]) / 255
        )
        linear = np.where(parts <= 0.04045, parts / 12.92, ((parts + 0.055) / 1.055) ** 2.4)
        return float(linear @ [0.2126, 0.7152, 0.0722])

    light, dark = sorted((luminance(one), luminance(other)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


def test_it_prints(browser, address):
    """To a PDF of some pages, tables whole and without what is clicked."""
    found = Opened(browser, address)
    found.drawn()
    made = found.page.pdf(format="A4")
    assert made.startswith(b"%PDF")
    found.page.emulate_media(media="print")
    assert not found.page.is_visible(".tools")
    assert found.page.is_visible("tbody tr >> nth=3")
    found.context.close()


def test_a_reader_finds_its_way(opened):
    """One main part and one first heading; every control and picture has a name; no id twice."""
    count = [opened.page.locator(name).count() for name in ("main", "h1")]
    assert count == [1, 1]
    assert opened.page.evaluate(NAMELESS) == []
    ids = opened.page.eval_on_selector_all("[id]", "all => all.map(one => one.id)")
    assert len(ids) == len(set(ids))
    assert opened.page.get_attribute("html", "lang") == "en"


NAMELESS = """(() => {
  const all = "main button, main input, main select, main img, header button";
  const named = one => one.textContent.trim() || one.getAttribute("aria-label")
    || one.getAttribute("alt") || one.closest("label")
    || one.querySelector("[alt], [aria-label]");
  return [...document.querySelectorAll(all)]
    .filter(one => !one.closest(".plot") && !named(one)).map(one => one.outerHTML);
})()"""


@pytest.mark.slow
def test_ten_thousand_cells_are_ready_in_three_seconds(browser, tmp_path):
    """Until the script has run and a table was sorted; on an idle core."""
    values = {f"model {at}": (at / 5_000, at / 5_000 + 0.1) for at in range(5_000)}
    run = run_of(tmp_path / "run", values)
    (tmp_path / "page.html").write_text(page([run]))
    found = Opened(browser, (tmp_path / "page.html").as_uri())
    ready = found.page.evaluate(
        "performance.getEntriesByType('navigation')[0].domContentLoadedEventEnd"
    )
    assert ready < 3_000
    found.page.locator("thead .sort").nth(2).click()
    assert found.names()[0] == "model 4999"
    found.page.click(".further")
    assert len(found.names()) == 400
    found.context.close()

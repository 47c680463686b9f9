"""The page in a real browser: headless Chromium, from disk, without a network."""

import json
import os
import shutil
import sys

import pytest

from benchmarks.report.command import write

webdriver = pytest.importorskip("selenium.webdriver", reason="selenium is missing")
from selenium.webdriver.common.by import By  # noqa: E402
from selenium.webdriver.common.keys import Keys  # noqa: E402
from selenium.webdriver.support.ui import Select, WebDriverWait  # noqa: E402
from selenium_axe_python import Axe  # noqa: E402

CHROMIUM = shutil.which("chromium") or shutil.which("google-chrome")
DRIVER = shutil.which("chromedriver")

pytestmark = pytest.mark.skipif(
    not (CHROMIUM and DRIVER), reason="chromium or chromedriver is not installed"
)

WIDE, NARROW = 1280, 400


class Page:
    """The page as a reader sees it."""

    def __init__(self, driver):
        self.driver = driver
        self.wait = WebDriverWait(driver, 20)

    def open(self, path, width=WIDE, scheme="light", fragment=""):
        """Load the page at a width, with a preference for light or dark."""
        size = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": False}
        feature = {"name": "prefers-color-scheme", "value": scheme}
        command = self.driver.execute_cdp_cmd
        command("Emulation.setDeviceMetricsOverride", size)
        command("Emulation.setEmulatedMedia", {"features": [feature]})
        self.driver.get("about:blank")
        self.driver.get(path.as_uri() + fragment)
        return self

    def run(self, script, *arguments):
        """Return the value that a script returns."""
        return self.driver.execute_script(script, *arguments)

    def find(self, selector):
        """Return the first element of a CSS selector."""
        return self.driver.find_element(By.CSS_SELECTOR, selector)

    def all(self, selector):
        """Return all elements of a CSS selector."""
        return self.driver.find_elements(By.CSS_SELECTOR, selector)

    def column(self, name):
        """Return the cells of the visible lines in a column."""
        return self.run(
            """const heads = [...document.querySelectorAll("#table th")];
            const i = heads.findIndex(head => head.textContent === arguments[0]);
            return [...document.querySelectorAll("#table tbody tr")]
              .filter(row => row.checkVisibility()).map(row => row.cells[i].textContent)
            """,
            name,
        )

    def sort(self, name):
        """Press the button in a column's head and return the announced order."""
        head = next(head for head in self.all("#table th") if head.text == name)
        head.find_element(By.TAG_NAME, "button").click()
        return head.get_attribute("aria-sort")

    def show(self, n=0):
        """Press the button of the n-th visible run and wait for its details."""
        buttons = self.all("#table tr:not([hidden]) td.model button")
        self.run("arguments[0].focus()", buttons[n])
        buttons[n].send_keys(Keys.ENTER)
        self.wait.until(lambda _: self.find("#run").get_attribute("open"))
        return self.find("#run-title").text

    def faults(self):
        """Return the serious faults that axe reports for the visible page."""
        axe = Axe(self.driver)
        axe.inject()
        found = axe.run()["violations"]
        return [
            (fault["id"], [node["html"] for node in fault["nodes"]][:3])
            for fault in found
            if fault["impact"] in ("serious", "critical")
        ]

    def cut_off(self):
        """Return elements that extend beyond the page's sides."""
        return self.run(
            """const width = document.documentElement.clientWidth;
            return [...document.querySelectorAll("body *")]
              .filter(e => e.checkVisibility() && !e.closest(".hidden, .store, .skip"))
              .filter(e => { const box = e.getBoundingClientRect();
                return box.left < -1 || box.right > width + 1; })
              .map(e => e.outerHTML.slice(0, 120))
            """
        )


@pytest.fixture(scope="module")
def driver(tmp_path_factory):
    options = webdriver.ChromeOptions()
    options.binary_location = CHROMIUM
    home = tmp_path_factory.mktemp("chromium")
    for argument in (
        "--headless=new",
        "--disable-gpu",
        "--disable-dev-shm-usage",
        f"--user-data-dir={home}",
        # Chromium has no sandbox for root, who runs the tests in a container.
        *(["--no-sandbox"] if os.geteuid() == 0 else []),
    ):
        options.add_argument(argument)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    driver = webdriver.Chrome(options, webdriver.ChromeService(DRIVER))
    driver.execute_cdp_cmd("Network.enable", {})
    # The page cannot load anything.
    offline = {"offline": True, "latency": 0}
    offline |= {"downloadThroughput": -1, "uploadThroughput": -1}
    driver.execute_cdp_cmd("Network.emulateNetworkConditions", offline)
    yield driver
    driver.quit()


@pytest.fixture(autouse=True)
def console(driver):
    """Fail if the browser's console shows an error during a test."""
    driver.get_log("browser")
    yield
    assert driver.get_log("browser") == []


@pytest.fixture(scope="module")
def records(many, make_record):
    """Runs of two tasks, one that failed, one with hostile texts, one replaced."""
    evil = "<img src=x onerror=alert(1)>" + "W" * 90
    bare = ("experiment", "dataset", "train_size", "quick", "model", "seed")
    failed = {k: v for k, v in make_record(model="gone").items() if k in bare}
    return [
        *many(24),
        failed | {"error": "ValueError: Training loss became non-finite at epoch 3."},
        make_record(experiment=evil, dataset=evil, model=evil, architecture=evil),
        make_record(seed=7, test_accuracy=0.5),
        make_record(seed=7, test_accuracy=0.9),
    ]


@pytest.fixture(scope="module")
def path(records, tmp_path_factory):
    """The page of the records."""
    return written(records, tmp_path_factory)


def written(records, tmp_path_factory):
    """Return the path of a page of some records."""
    folder = tmp_path_factory.mktemp("stored")
    lines = "".join(json.dumps(record) + "\n" for record in records)
    (folder / "runs.jsonl").write_text(lines, encoding="utf-8")
    write([folder], folder / "page.html")
    return folder / "page.html"


@pytest.fixture
def page(driver, path):
    return Page(driver).open(path)


def test_table_has_one_line_per_run(page, records):
    assert len(page.column("model")) == len(records)
    n = len(records)
    assert page.find("#shown").text == f"{n} of {n} runs"


@pytest.mark.parametrize(
    ("name", "first"),
    [("test accuracy", "descending"), ("parameters", "ascending")],
)
def test_sorting_by_a_figure_puts_missing_ones_last(name, first, page):
    other = {"ascending": "descending", "descending": "ascending"}[first]
    for order in (first, other, first):
        assert page.sort(name) == order
        cells = page.column(name)
        figures = [float(x.replace(",", "")) for x in cells if x not in ("", "failed")]
        assert len(figures) > 20
        assert figures == sorted(figures, reverse=order == "descending")
        assert cells[len(figures) :] == [x for x in cells if x in ("", "failed")]
    assert len(page.all("#table th[aria-sort]")) == 1


def test_sorting_by_name_orders_numbers_by_value(page):
    assert page.sort("model") == "ascending"
    names = list(dict.fromkeys(page.column("model")))
    assert names.index("mlp-50") < names.index("mlp-200")


def test_filters_apply_to_table_and_plots(page, records):
    page.driver.get(page.driver.current_url + "#task-1")
    page.find("#find").send_keys("CNN-3 0.9")
    models = page.column("model")
    assert set(models) == {"cnn-3"}
    assert page.find("#shown").text == f"{len(models)} of {len(records)} runs"
    dots = page.run(
        """return [...document.querySelectorAll("article:not([hidden]) .dot")]
        .map(dot => [dot.classList.contains("off"), dot.classList.contains("k-CNN")])
        """
    )
    assert {cnn for _, cnn in dots} == {True, False}
    assert all(off is not cnn for off, cnn in dots)

    page.find(".filters [type=reset]").click()
    page.wait.until(lambda _: len(page.column("model")) == len(records))
    Select(page.find("#by-experiment")).select_by_value("fashion-mlp")
    Select(page.find("#by-kind")).select_by_value("MLP")
    assert page.column("model") == [
        record["model"]
        for record in records
        if record["experiment"] == "fashion-mlp" and "MLP" in record["estimator"]
    ]
    page.find("#find").send_keys("no such run")
    assert page.column("model") == []
    assert page.find("#nothing").is_displayed()


def test_one_task_is_shown_and_links_switch_tasks(page):
    shown = page.all("article.task:not([hidden])")
    assert len(shown) == 1
    links = page.all(".tasks a")
    links[1].click()
    page.wait.until(lambda _: links[1].get_attribute("aria-current") == "true")
    assert not shown[0].is_displayed()
    assert page.find("#task-1").is_displayed()
    page.driver.back()
    assert len(page.all("article.task:not([hidden])")) == 1


def test_run_opens_by_key_and_closing_restores_the_focus(page, records):
    assert page.show() == f"{records[0]['model']}, seed 0"
    assert page.find("#run .confusion").is_displayed()
    # The first layer of seed 0 is shown with it.
    assert len(page.all("#run figure img")) == 1
    page.find("#next").click()
    page.wait.until(lambda _: page.find("#run-title").text.endswith("seed 1"))
    page.find("#run-title").send_keys(Keys.ARROW_LEFT)
    page.wait.until(lambda _: page.find("#run-title").text.endswith("seed 0"))
    assert not page.find("#previous").is_enabled()
    page.driver.switch_to.active_element.send_keys(Keys.ESCAPE)
    page.wait.until(lambda _: not page.find("#run").get_attribute("open"))
    assert page.driver.switch_to.active_element.text == records[0]["model"]


def test_click_on_a_dot_opens_its_run(page):
    dot = page.find("article:not([hidden]) .dot")
    page.run(
        "arguments[0].dispatchEvent(new MouseEvent('click', {bubbles: true}))", dot
    )
    page.wait.until(lambda _: page.find("#run").get_attribute("open"))
    wanted = page.find(f"#table tr[data-run='{dot.get_attribute('data-run')}'] button")
    title = page.find("#run-title").text
    assert title.startswith(wanted.get_attribute("textContent"))


def test_keyboard_reaches_every_control(page):
    seen = []
    for _ in range(40):
        page.driver.switch_to.active_element.send_keys(Keys.TAB)
        active = page.driver.switch_to.active_element
        seen.append(active.get_attribute("id") or active.text)
        outline = active.value_of_css_property("outline-style")
        assert outline != "none", seen
    assert seen[0] == "Skip to the table of runs"
    for wanted in ("theme", "find", "by-data", "by-kind", "test accuracy"):
        assert wanted in seen


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_color_scheme_follows_the_system_and_the_button(scheme, driver, path):
    page = Page(driver).open(path, scheme=scheme)

    def brightness():
        page.wait.until(lambda _: page.find("body").is_displayed())
        color = page.find("body").value_of_css_property("background-color")
        return sum(int(x) for x in color[color.index("(") + 1 :].split(",")[:3]) / 3

    assert (brightness() < 128) == (scheme == "dark")
    page.find("#theme").click()
    try:
        assert (brightness() < 128) == (scheme == "light")
        page.open(path, scheme=scheme)
        assert (brightness() < 128) == (scheme == "light")
    finally:
        page.run("localStorage.clear()")


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [WIDE, NARROW])
def test_axe_finds_no_serious_fault(width, scheme, driver, path):
    page = Page(driver).open(path, width, scheme)
    assert page.faults() == []
    page.show()
    assert page.faults() == []


@pytest.mark.parametrize("width", [320, NARROW, 700, 900, WIDE, 1920])
def test_no_element_reaches_beyond_the_page(width, driver, path):
    page = Page(driver).open(path, width)
    for task in range(len(page.all("article.task"))):
        page.open(path, width, fragment=f"#task-{task}")
        assert page.run(
            "const root = document.documentElement;"
            "return root.scrollWidth <= root.clientWidth"
        )
        assert page.cut_off() == []


@pytest.mark.parametrize("n", [0, 25])
def test_run_dialog_fits_on_a_phone(n, driver, path):
    page = Page(driver).open(path, NARROW)
    page.show(n)
    assert page.run("return document.querySelector('#run').scrollWidth") <= NARROW
    inside = page.run(
        """const frame = document.querySelector("#run").getBoundingClientRect();
        return [...document.querySelectorAll("#run-body *")]
          .filter(e => e.checkVisibility() && !e.closest(".wide"))
          .every(e => { const box = e.getBoundingClientRect();
            return box.left >= frame.left - 1 && box.right <= frame.right + 1; })
        """
    )
    assert inside


def test_every_shown_image_has_a_size_and_a_name(page):
    for image in page.all("article:not([hidden]) img"):
        assert image.size["width"] > 20
        assert image.size["height"] > 20
        assert page.run("return arguments[0].naturalWidth", image) > 0
        assert image.get_attribute("alt")
    for drawing in page.all("article:not([hidden]) svg[role=img]"):
        assert drawing.size["height"] > 80
        assert drawing.get_attribute("aria-label")


def test_single_run_gives_a_working_page(driver, make_record, tmp_path_factory):
    page = Page(driver).open(written([make_record(seed=3)], tmp_path_factory))
    assert page.column("model") == ["mlp-50"]
    page.sort("test accuracy")
    assert page.show() == "mlp-50, seed 3"
    assert page.faults() == []


def test_page_of_a_thousand_runs_opens(driver, many, tmp_path_factory, capsys):
    """Print how long the page takes to open: ``pytest -n 0 -k thousand_runs_opens``."""
    path = written(many(1000), tmp_path_factory)
    times = []
    for _ in range(5):
        page = Page(driver).open(path)
        assert len(page.column("model")) == 1000
        times.append(
            page.run("return performance.getEntriesByType('navigation')[0].duration")
        )
    size = path.stat().st_size / 1e6
    text = ", ".join(f"{time / 1000:.2f}" for time in times)
    with capsys.disabled():
        sys.stdout.write(f"\n1,000 runs: {size:.2f} MB, opened in {text} s\n")

import gzip
import json
import re
from base64 import b64decode, b64encode
from hashlib import sha256
from itertools import chain

import pytest

from benchmarks.report import html_page, stored_runs
from benchmarks.report.html_page import COLUMNS, render

EVIL = "<script>alert(1)</script><img src=x onerror=alert(2)>\"'&{{7*7}}"


def table(page):
    """Return the cells of the table's lines."""
    rows = page.one("table", id="table").one("tbody").all("tr")
    return [[cell.text for cell in row.all("td")] for row in rows]


def details(page):
    """Return the content of each run's dialog."""
    blocks = [s for s in page.all("script") if s.attributes.get("class") == "details"]
    return [
        text
        for block in blocks
        for text in json.loads(gzip.decompress(b64decode(block.text)))
    ]


def test_table_has_a_line_for_each_run_with_its_figures(page_of, make_record):
    rows = table(page_of([make_record(), make_record(seed=1, test_accuracy=0.98765)]))
    assert len(rows) == 2
    named = dict(zip([c.name for c in COLUMNS], rows[1], strict=True))
    assert named["model"] == "mlp-50"
    assert named["data"] == "mnist, 10%"
    assert named["parameters"] == "39,760"
    assert named["test accuracy"] == "0.9877"
    assert named["device"] == "cpu"


def test_head_and_body_have_the_same_columns(page_of, many):
    page = page_of(many(12))
    heads = page.one("table", id="table").one("thead").all("th")
    assert [head.text for head in heads] == [column.name for column in COLUMNS]
    assert all(head.attributes["scope"] == "col" for head in heads)
    assert all(len(head.all("button")) == 1 for head in heads)


def test_every_run_has_details(page_of, many, read_html):
    records = many(12)
    pages = details(page_of(records))
    assert len(pages) == 12
    for record, text in zip(records, pages, strict=True):
        page = read_html(text)
        title = page.one("h2", id="run-title").text.strip()
        assert title == f"{record['model']}, seed {record['seed']}"
        assert record["command"] in page.one("pre").text
        counts = [
            int(cell.text.replace("·", "0"))
            for row in page.one("tbody").all("tr")
            for cell in row.all("td")
        ]
        assert counts == [*chain(*record["confusion_matrix"])]


def test_details_are_stored_in_groups_of_a_hundred_runs(page_of, many):
    records = many(205, seeds=205)
    page = page_of(records)
    blocks = [s for s in page.all("script") if s.attributes.get("class") == "details"]
    assert [b.attributes["data-first"] for b in blocks] == ["0", "100", "200"]
    assert len(details(page)) == 205


def test_every_image_has_a_size_and_a_text_alternative(page_of, many, read_html):
    page = page_of(many(24))
    images = page.all("img")
    assert len(images) > 8
    drawings = page.all("svg") + [
        s for t in details(page) for s in read_html(t).all("svg")
    ]
    for image in images:
        assert image.attributes["alt"]
        assert int(image.attributes["width"]) > 0
        assert int(image.attributes["height"]) > 0
    for drawing in drawings:
        width, height = (drawing.attributes[k] for k in ("width", "height"))
        assert float(width) >= 0
        assert float(height) >= 0
        assert drawing.attributes["viewbox"]
        named = drawing.attributes.get("role") == "img"
        hidden = drawing.attributes.get("aria-hidden") == "true"
        assert hidden or (named and drawing.attributes["aria-label"])


def test_ids_are_unique_and_references_resolve(page_of, many):
    page = page_of(many(24))
    every = [e for tag in TAGS for e in page.all(tag)]
    ids = [e.attributes["id"] for e in every if "id" in e.attributes]
    assert len(ids) == len(set(ids))
    wanted = {
        e.attributes[k].removeprefix("#")
        for e in every
        for k in ("href", "for", "aria-labelledby")
        if e.attributes.get(k, "#") != "#" and not e.attributes[k].startswith("data:")
    }
    # The run's content holds the dialog's title.
    assert wanted - set(ids) == {"run-title"}


TAGS = ("a", "article", "button", "dialog", "div", "figure", "g", "h2", "h3", "input")
TAGS += ("label", "link", "p", "section", "select", "table", "use")


def test_page_loads_no_external_resource(store, many):
    text = render(stored_runs.read([store(many(12))]))
    assert not re.search(r"(?:src|href)=[\"'](?!#|data:)", text)
    assert "@import" not in text
    assert not re.search(r"url\((?!data:)", text)
    assert "http://" not in text
    assert "https://" not in text


def test_security_policy_allows_only_own_script_and_style(page_of, make_record):
    page = page_of([make_record()])
    policy = next(
        meta.attributes["content"]
        for meta in page.all("meta")
        if meta.attributes.get("http-equiv") == "Content-Security-Policy"
    )
    assert policy.startswith("default-src 'none'; img-src data:;")
    for element in (page.one("style"), page.all("script")[-1]):
        digest = b64encode(sha256(element.text.encode()).digest()).decode()
        assert f"'sha256-{digest}'" in policy
    assert "unsafe" not in policy


@pytest.mark.parametrize(
    "name",
    ["experiment", "dataset", "model", "seed", "architecture", "command", "cpu"],
)
def test_markup_in_a_record_is_escaped(name, page_of, make_record, read_html):
    record = make_record(**{name: EVIL})
    page = page_of([record])
    (text,) = details(page)
    assert len(page.all("script")) == 2
    assert read_html(text).all("script") == []
    assert all("onerror" not in e.attributes for e in page.all("img"))
    everything = page.text + read_html(text).text
    assert EVIL in everything
    assert "49" not in read_html(text).one("h2", id="run-title").text


def test_markup_in_lists_and_mappings_is_escaped(page_of, make_record, read_html):
    record = make_record(
        error=EVIL,
        warnings=[EVIL],
        preprocessing=[EVIL],
        versions={EVIL: EVIL},
        parameters={EVIL: EVIL},
        rows={EVIL: EVIL},
        classes=[EVIL] * 10,
        reported=[EVIL],
        member_accuracies=[EVIL, 0.5],
    )
    page = page_of([record])
    inner = read_html(details(page)[0])
    assert len(page.all("script")) == 2
    assert inner.all("script") == []
    assert inner.all("img") == []


def test_half_a_surrogate_pair_does_not_prevent_writing(make_record, store):
    text = render(stored_runs.read([store([make_record(model="\ud800")])]))
    assert text.encode("utf-8", "xmlcharrefreplace")


def test_failed_run_is_marked_and_has_no_figures(page_of, make_record, read_html):
    bare = {
        k: v
        for k, v in make_record(seed=1).items()
        if k in ("experiment", "dataset", "train_size", "quick", "model", "seed")
    }
    page = page_of([bare | {"error": "ValueError: loss became non-finite"}])
    ((*_, loss, _device),) = table(page)
    assert "failed" in table(page)[0]
    assert loss == ""
    assert "loss became non-finite" in read_html(details(page)[0]).text


def test_replaced_run_is_in_the_table_but_in_no_plot(page_of, make_record):
    page = page_of([make_record(test_accuracy=0.5), make_record()])
    assert len(table(page)) == 2
    dots = [c for c in page.all("circle") if c.attributes.get("class", "")[:3] == "dot"]
    assert {dot.attributes["data-run"] for dot in dots} == {"1"}


def test_single_run_of_any_kind_gives_a_page(page_of, make_record):
    for change in (
        {},
        {"dataset": None},
        {"train_size": [1]},
        {"finished": None, "versions": None},
        {"confusion_matrix": [[i % 7 for i in range(40)] for _ in range(40)]},
        {"loss_curve": None, "validation_scores": None},
        {"test_accuracy": 1.0, "fit_seconds": 0},
        {"test_accuracy": -3.2},
        {"curves": {"week_score": [0.1, 0.2]}, "weeks": {"weeks": 2}},
        {"rows": {"iris": 150}, "scores": {"iris": [0.9, 1.0]}, "test_accuracy": None},
    ):
        assert len(table(page_of([make_record(**change)]))) == 1


def test_same_runs_give_the_same_page(store, many):
    folder = store(many(6))
    assert render(stored_runs.read([folder])) == render(stored_runs.read([folder]))


def test_runs_are_grouped_by_versions_and_hardware(page_of, make_record):
    page = page_of(
        [make_record(), make_record(seed=1), make_record(seed=2, device_name="H200")]
    )
    text = " ".join(page.one("section", id="versions").text.split())
    assert "2 runs, 2026-11-21" in text
    assert "1 run, 2026-11-21" in text
    assert "a processor, 2 CPUs, 1 thread, device H200" in text
    assert "torch 2.13.0" in " ".join(re.split(r"\s+|(?<=torch)", text))


def test_records_that_are_not_runs_are_named(page_of, make_record):
    page = page_of([make_record(), {"experiment": "speed", "workload": "fit"}])
    assert "1 record of speed" in page.one("section", id="versions").text


def test_page_of_a_thousand_runs_is_smaller_than_5_mb(store, many):
    text = render(stored_runs.read([store(many(1000))]))
    assert len(text.encode()) < 5_000_000


@pytest.mark.parametrize(
    ("write", "value", "text"),
    [
        (html_page.seconds, 0.346, "0.35"),
        (html_page.seconds, 1234.56, "1,234.6"),
        (html_page.decimals, 12.0, "12"),
        (html_page.decimals, 12.8, "12.8"),
        (html_page.grouped, 39_760, "39,760"),
        (html_page.accuracy, None, ""),
    ],
)
def test_figures_are_formatted_for_the_table(write, value, text):
    assert write(value) == text

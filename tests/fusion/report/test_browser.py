"""The pages in a real browser: they fit a desk and a phone, work, complain of nothing and load nothing."""

import json
import re
import shutil
import subprocess
from html import unescape
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from omnifuse.fusion.report import write_patients, write_report, write_study
from omnifuse.fusion.study.results import StudyResults

WIDTHS = (1280, 390)

# Shows every page in a frame of every width, uses it, and writes down what it found.
HARNESS = """<!doctype html><meta charset="utf-8"><title>pages</title>
FRAMES
<script>
const click = (page, selector) => page.querySelector(selector).click();
const texts = (page, selector) => [...page.querySelectorAll(selector)].map((node) => node.textContent.trim());
const USES = {
  study: (page) => {
    const table = page.querySelector('table.sortable[aria-label="All methods on the same test rows"]');
    const sorted = (column) => {
      click(table, `thead th:nth-child(${column}) button`);
      return texts(table, "tbody th");
    };
    return { auroc: [sorted(2), sorted(2)], auprc: sorted(3), difference: sorted(4) };
  },
  patients: (page) => {
    const set = (id, value) => {
      const control = page.getElementById(id);
      control.value = value;
      control.dispatchEvent(new Event("input"));
      return page.getElementById("found").textContent;
    };
    const found = {};
    for (const kind of ["all", "positive", "found", "alert", "missed", "imputed"]) found[kind] = set("filter", kind);
    set("filter", "all");
    found.search = set("search", "STAY-10000007");
    found.title = page.querySelector("#sample h2").textContent;
    found.said = page.querySelector("#sample .answer").textContent;
    found.modalities = texts(page.querySelector("#sample tbody"), "th");
    found.nothing = set("search", "nobody");
    set("search", "");
    found.alerts = {};
    for (const rate of [10, 25]) {
      set("rate", rate);
      found.alerts[rate] = page.getElementById("alerts").textContent;
    }
    set("rate", 10);
    click(page, "#samples li:nth-child(3) button");
    found.chosen = texts(page, "#samples [aria-current] span")[0];
    found.shown = page.querySelector("#sample h2").textContent;
    return found;
  },
};
addEventListener("load", () => {
  const found = [...document.querySelectorAll("iframe")].map((frame) => {
    const page = frame.contentDocument;
    const used = USES[frame.name]?.(page);
    const { scrollWidth, clientWidth } = page.documentElement;
    const loaded = frame.contentWindow.performance.getEntriesByType("resource").map((entry) => entry.name);
    return { name: frame.name, width: frame.clientWidth, overflow: scrollWidth - clientWidth, loaded, used };
  });
  const report = document.createElement("pre");
  report.id = "found";
  report.textContent = JSON.stringify(found);
  document.body.replaceChildren(report);
});
</script>"""

SPOILT = """<!doctype html><title>spoilt</title><div style="width:3000px">wide</div>
<img src="http://nowhere.invalid/missing.png"><script>undefined.spoilt</script>"""


@pytest.fixture(scope="module")
def visit(results: StudyResults, binary: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What one browser found in all pages: ``frames`` by name and width, and ``console``, the lines it logged."""
    browser = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    if browser is None:
        pytest.skip("no Chromium on this machine")
    folder = tmp_path_factory.mktemp("browser")
    (folder / "spoilt.html").write_text(SPOILT)
    pages = {
        "study": write_study(results, folder / "study"), "run": write_report(binary),
        "patients": write_patients(binary), "spoilt": folder / "spoilt.html",
    }  # fmt: skip
    frames = [
        f'<iframe name="{name}" src="{page.as_uri()}" style="border:0" width="{width}" height="900"></iframe>'
        for name, page in pages.items()
        for width in WIDTHS
    ]
    (folder / "harness.html").write_text(HARNESS.replace("FRAMES", "\n".join(frames)), encoding="utf-8")
    command = [
        browser, "--headless", "--no-sandbox", "--disable-gpu", "--allow-file-access-from-files",
        "--host-resolver-rules=MAP * ~NOTFOUND", "--enable-logging=stderr", f"--user-data-dir={folder / 'profile'}",
        "--virtual-time-budget=20000", "--dump-dom", (folder / "harness.html").as_uri(),
    ]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True)
    report = re.search(r'<pre id="found">(.*?)</pre>', done.stdout, re.DOTALL)
    assert report, done.stderr
    found = {(frame["name"], frame["width"]): frame for frame in json.loads(unescape(report[1]))}
    return {"frames": found, "console": [line for line in done.stderr.splitlines() if ":CONSOLE" in line]}


pages = pytest.mark.parametrize("name", ["study", "run", "patients"])
widths = pytest.mark.parametrize("width", WIDTHS)


@pages
@widths
def test_page_fits_its_window(visit: dict[str, Any], name: str, width: int) -> None:
    assert visit["frames"][name, width]["overflow"] == 0


@pages
@widths
def test_page_loads_nothing(visit: dict[str, Any], name: str, width: int) -> None:
    assert visit["frames"][name, width]["loaded"] == []


def test_console_is_silent_but_for_the_spoilt_page(visit: dict[str, Any]) -> None:
    assert [line for line in visit["console"] if "spoilt.html" not in line] == []


@widths
def test_a_spoilt_page_would_be_noticed(visit: dict[str, Any], width: int) -> None:
    frame = visit["frames"]["spoilt", width]
    assert frame["overflow"] > 0
    assert frame["loaded"] == ["http://nowhere.invalid/missing.png"]
    assert any("spoilt.html" in line for line in visit["console"])


def test_tables_sort_by_value_and_what_is_not_defined_stays_last(visit: dict[str, Any]) -> None:
    used = visit["frames"]["study", 1280]["used"]
    falling, rising = used["auroc"]
    assert falling == rising[::-1]
    assert (falling[0], falling[-1]) == ("omnifuse", "mofa")
    assert used["auprc"][-1] == "mofa"
    assert (used["difference"][0], used["difference"][-1]) == ("dwfuse", "omnifuse")


@widths
def test_samples_are_filtered_found_and_chosen(visit: dict[str, Any], binary: Path, width: int) -> None:
    table = pl.read_parquet(binary / "predictions.parquet")
    positive, alert = table["y"] == 1, table["p"] > table["p"].sort(descending=True)[120]
    imputed = table["cxr.imputed"] | table["ehr.imputed"] | table["rep.imputed"]
    used = visit["frames"]["patients", width]["used"]
    counts = {
        "all": len(table), "positive": positive.sum(), "found": (alert & positive).sum(),
        "alert": (alert & ~positive).sum(),
        "missed": (~alert & positive).sum(), "imputed": imputed.sum(),
    }  # fmt: skip
    for kind, expected in counts.items():
        assert used[kind].startswith(f"{expected:,} of 1,200 samples"), kind
    assert used["search"].startswith("1 of 1,200 samples")
    assert used["title"] == "Sample stay-10000007"
    p, rank = table["p"][7], (table["p"] >= table["p"][7]).sum()
    assert used["said"].startswith(f"Predicted {p:.3f}, rank {rank:,} of 1,200: {'an' if alert[7] else 'no'} alert.")
    assert used["alerts"]["10"].startswith(
        f"120 samples raise an alert: {counts['found']} of {counts['positive']} positives are found"
    )
    assert used["alerts"]["25"].startswith("300 samples raise an alert")
    assert [name.split()[0] for name in used["modalities"]] == ["cxr", "ehr", "rep"]
    assert used["nothing"].startswith("0 of 1,200 samples")
    assert used["shown"] == f"Sample {used['chosen'].removesuffix(' ●')}"

"""What the page says, that it needs nothing else, and that it keeps quiet about patients."""

import os
import re
import shutil
import subprocess
import sys
from dataclasses import replace
from html.parser import HTMLParser
from importlib.metadata import version
from pathlib import Path

import polars as pl
import pytest
from omnifuse.cache_schema import FeatureCache
from omnifuse.cache_schema.errors import InputError, MissingInputError
from omnifuse.fusion.report import write_patients, write_report
from omnifuse.fusion.runs.metrics import FoldScores, Score, Titles
from omnifuse.fusion.runs.run import load_run
from omnifuse.fusion.words import day

from tests.fusion.report.conftest import alter_metrics, alter_predictions, reseal

VOID = {"meta", "br", "img", "input", "link", "hr"}


class Page(HTMLParser):
    """Collects text, tags and attribute values; fails on tags that do not nest."""

    def __init__(self, source: str) -> None:
        super().__init__()
        self.text, self.tags, self.attributes, self.open = "", [], [], []
        self.feed(source)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += attrs
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += attrs

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1] not in {"style", "script"}:
            self.text += data.replace("\N{NO-BREAK SPACE}", " ")


@pytest.fixture(scope="module")
def source(binary: Path) -> str:
    return write_report(binary).read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def page(source: str) -> Page:
    return Page(source)


def page_of(folder: Path, /, **metrics: object) -> Page:
    """The page of a run after some entries of its metrics were replaced."""
    alter_metrics(folder, **metrics)
    return Page(write_report(folder).read_text(encoding="utf-8"))


def anchors(page: Page) -> list[str | None]:
    return [value for name, value in page.attributes if name == "id"]


def test_report_lies_in_the_run_folder(binary: Path, source: str) -> None:
    assert write_report(binary) == binary / "report.html"
    assert source.startswith("<!doctype html>")


def test_headline_says_what_was_trained_on_what(binary: Path, page: Page) -> None:
    auroc = load_run(binary).metrics.auroc
    assert auroc.ci is not None
    assert "Predicting in-hospital mortality" in page.text
    assert "The method omnifuse was trained and tested on 1,200 samples of the data set mimic." in page.text
    assert "cxr (chest X-rays)" in page.text
    assert f"{auroc.mean:.3f}" in page.text
    assert f"95 % interval [{auroc.ci[0]:.3f}, {auroc.ci[1]:.3f}]" in page.text
    assert page.text.count("For research, not for clinical decisions.") == 2


def test_first_lines_say_when_by_what_and_of_which_cache(binary: Path, page: Page) -> None:
    run = load_run(binary)
    facts = (
        f"{day(run.metrics.finished)} · OmniFuse {version('omnifuse')} · method omnifuse · data set mimic, cache made "
        f"by OmniFuse 0.0.9 · cache digest {FeatureCache.open(binary.parent / 'cache').digest[:12]}"
    )
    assert facts in page.text


def test_answer_stands_before_everything_but_what_decides_whether_it_means_anything(binary: Path, tiny: Path) -> None:
    auroc = load_run(binary).metrics.auroc
    low, high = (f"{bound:.3f}" for bound in auroc.ci or ())
    text = Page(write_report(binary).read_text(encoding="utf-8")).text
    answer = f"omnifuse predicts in-hospital mortality better than guessing: AUROC {auroc.mean:.3f}"
    assert f"{answer} (95 % interval {low} to {high}) against 0.5 of guessing." in text
    text = Page(write_report(tiny).read_text(encoding="utf-8")).text
    order = ["The data are synthetic", "These data do not show", "The method omnifuse", "too few to conclude anything"]
    places = [text.index(part) for part in order]
    assert places == sorted(places)


@pytest.mark.parametrize(
    ("ci", "said"),
    [
        ((0.51, 0.6), "better than guessing: AUROC"),
        ((0.5, 0.6), "do not show that omnifuse predicts in-hospital mortality better than guessing"),
        ((0.4, 0.49), "worse than guessing: AUROC"),
        (None, "There is no interval"),
    ],
)
def test_the_interval_decides_what_is_answered(run: Path, ci: tuple[float, float] | None, said: str) -> None:
    assert said in page_of(run, auroc=Score(0.55, None, ci)).text


def test_four_chapters_are_folded_with_a_sentence_that_says_what_they_hold(page: Page) -> None:
    assert ("class", "chapter") in page.attributes
    assert [value for name, value in page.attributes if name == "class"].count("chapter") == 4
    assert "1,200 of 2,400 ICU stays in the tables are left." in page.text
    assert "5 folds, up to 2 epochs; the total loss went from" in page.text


def test_every_table_is_linked(binary: Path, page: Page) -> None:
    links = [value for name, value in page.attributes if name == "href" and value and value.startswith("tables/")]
    assert {binary / link for link in links} == set((binary / "tables").iterdir())


def test_chapters_of_an_omnifuse_run(page: Page) -> None:
    links = [value for name, value in page.attributes if name == "href"]
    chapters = ["performance", "decisions", "uncertainty", "modalities", "cohort", "training", "laziness", "repeat"]
    assert links[:8] == [f"#{chapter}" for chapter in chapters]
    assert set(chapters) < set(anchors(page))


def test_ids_are_unique(page: Page) -> None:
    assert len(anchors(page)) == len(set(anchors(page)))


def test_page_needs_no_network(source: str, page: Page) -> None:
    assert not re.search(r"(?i)(https?:)?//\w", source)
    assert not {"link", "img", "iframe", "object", "embed"} & set(page.tags)
    assert "default-src 'none'" in source


def test_every_figure_has_words_for_screen_readers(page: Page) -> None:
    labels = [value for name, value in page.attributes if name == "aria-label"]
    assert page.tags.count("svg") == page.tags.count("figcaption") == 18
    for title in (
        "ROC curve",
        "Precision and recall",
        "Reliability",
        "Weight by outcome",
        "Coverage",
        "Error of who may stay silent",
        "Distance of each combination",
    ):
        assert any(label.startswith(title) for label in labels), title


def test_page_holds_no_identifier_of_a_patient(binary: Path, source: str) -> None:
    assert not [name for name in load_run(binary).predictions["sample_id"] if name in source]


def test_same_run_gives_the_same_bytes_in_every_process(binary: Path, tmp_path: Path) -> None:
    """Another process hashes texts in another way, and so goes through its sets in another order."""
    program = "import sys; from pathlib import Path; from omnifuse.fusion.report import *\n"
    program += "write_report(Path(sys.argv[1])), write_patients(Path(sys.argv[1]))"
    skip = shutil.ignore_patterns("report.html", "tables")
    here, there = (shutil.copytree(binary, tmp_path / name / "run", ignore=skip) for name in ("here", "there"))
    seed = "2" if os.environ.get("PYTHONHASHSEED") == "1" else "1"
    write_report(here), write_patients(here)
    subprocess.run([sys.executable, "-c", program, there], env={**os.environ, "PYTHONHASHSEED": seed}, check=True)
    written = [
        [run / "report.html", run / "patients.html", *sorted((run / "tables").iterdir())] for run in (here, there)
    ]
    found = [{path.name: path.read_bytes() for path in paths} for paths in written]
    assert found[0] == found[1] and len(found[0]) > 8


def test_cohort_counts_every_filter(page: Page) -> None:
    assert re.search(r"adults\s*2,391\s*9\s", page.text)
    assert re.search(r"at least 48 h\s*1,200\s*400\s", page.text)


def test_repeat_gives_command_seed_digest_and_recipes(binary: Path, page: Page) -> None:
    cache = FeatureCache.open(binary.parent / "cache")
    command = (
        f"omnifuse train --cache {cache.path} --task mortality --method omnifuse --modalities cxr,ehr,rep --folds 5 "
        "--seed 0"
    )
    assert f"{command} --set validation=0.1 --set fit.epochs=2 --set options.alpha=0.1" in page.text
    for fact in (cache.digest, "Recipe of rep", "bert-base-uncased", '"alpha": 0.1', "versions: torch"):
        assert fact in page.text


def test_multilabel_page_has_a_sortable_row_per_label(multilabel: Path) -> None:
    page = Page(write_report(multilabel).read_text(encoding="utf-8"))
    assert "Mean AUROC" in page.text
    assert "phenotype 24" in page.text
    assert ("class", "sortable") in page.attributes
    assert "ROC curve" not in page.text
    assert {"modalities", "performance"} <= set(anchors(page))
    assert "laziness" not in anchors(page)


def test_tiny_cohort_says_that_it_concludes_nothing(tiny: Path) -> None:
    text = Page(write_report(tiny).read_text(encoding="utf-8")).text
    (without,) = [fold.fold for fold in load_run(tiny).metrics.folds if fold.measures["auroc"] is None]
    assert "too few to conclude anything" in text
    assert "mean of 4 folds out of 5" in text
    assert f"the test part of fold {without} has one outcome only" in text
    assert "The interval includes 0.5" in text
    assert "Encoders with random weights were used for cxr and rep" in text
    assert "The data are synthetic" in text


def test_warnings_of_the_training_are_not_repeated(run: Path) -> None:
    note = "Random encoders on synthetic data."
    synthetic = replace(load_run(run).metrics.cache, dataset="synthetic")
    text = page_of(run, notes=(note,), recipes={"cxr": {"encoder": "random"}}, cache=synthetic).text
    assert text.count(note) == 1
    assert "Encoders with random weights" not in text
    assert "no number here says anything about patients" not in text


def test_hostile_texts_stay_texts(run: Path) -> None:
    attack = '<script>alert("x")</script><img src=x onerror=alert(1)>'
    names = {"run": attack, "task": attack, "notes": (attack,), "cohort": ((attack, 3),), "recipes": {attack: attack}}
    page = page_of(run, **names, titles=Titles(attack, {"cxr": attack}))
    assert page.tags.count("script") == 1
    assert "img" not in page.tags
    assert attack in page.text


def test_hostile_names_stay_texts_in_figures(run: Path, binary: Path) -> None:
    attack = "</svg><script>$x^$</script>影像"
    trace = pl.read_parquet(binary / "laziness.parquet")
    trace = trace.with_columns(pl.col("combination").str.replace_all("cxr", attack, literal=True))
    trace.write_parquet(run / "laziness.parquet")
    reseal(run)
    page = page_of(run)
    assert page.tags.count("script") == 1
    assert attack in page.text


def test_parts_that_a_method_does_not_leave_are_left_out(run: Path) -> None:
    alter_predictions(run, lambda table: table.select("sample_id", "fold", "y", "p"))
    page = page_of(run, cohort=(), presence={})
    assert not {"cohort", "training", "modalities", "laziness"} & set(anchors(page))


def test_undefined_scores_are_said_plainly(run: Path) -> None:
    undefined = Score(None, None)
    fold = FoldScores(0, 1200, 0, {"auroc": None, "auprc": None}, epochs=3, seconds=1.0)
    text = page_of(run, auroc=undefined, auprc=undefined, folds=(fold,), positives=0).text
    assert "The AUROC is not defined here" in text
    assert "one fixed split" in text


@pytest.mark.parametrize("outcome", [0.0, 1.0, None])
def test_predictions_with_one_outcome_do_not_crash(run: Path, outcome: float | None) -> None:
    alter_predictions(run, lambda table: table.with_columns(y=pl.lit(outcome, dtype=pl.Float64)))
    assert "No curves" in page_of(run).text


def test_predictions_without_folds_are_drawn(run: Path) -> None:
    alter_predictions(run, lambda table: table.with_columns(fold=pl.lit(None, dtype=pl.Int64)))
    assert "ROC curve" in page_of(run).text


def test_predictions_without_rows_do_not_crash(run: Path) -> None:
    alter_predictions(run, pl.DataFrame.clear)
    assert "No curves" in page_of(run).text


def test_multiclass_predictions_are_read(run: Path) -> None:
    alter_predictions(run, lambda table: table.rename({"p": "p_no"}).with_columns(p_yes=1 - pl.col("p_no")))
    text = page_of(run, kind="multiclass", labels=("no", "yes")).text
    assert re.search(r"Classes\s*2\b", text)
    assert "AUROC alone" not in text


def test_missing_folder_is_named(tmp_path: Path) -> None:
    with pytest.raises(MissingInputError, match=r"nowhere is not a folder.*omnifuse train"):
        write_report(tmp_path / "nowhere")


def test_foreign_folder_names_what_is_missing_and_what_was_found(tmp_path: Path) -> None:
    (tmp_path / "holiday.jpg").touch()
    with pytest.raises(MissingInputError, match=r"metrics.json, config.json.*missing, found holiday.jpg"):
        write_report(tmp_path)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("metrics.json", b"{", r"metrics.json is not JSON \(.*line 1"),
        ("metrics.json", b"[]", "holds a list, not an object"),
        ("metrics.json", b"{}", "no file of a run of this or the last version.*Train again"),
        ("metrics.json", b'{"format": 3, "run": [1], "seed": 3}', "lacks task, method, kind"),
        ("metrics.json", b"[" * 100_000, "metrics.json is not JSON"),
        ("predictions.parquet", b"PAR1", "predictions.parquet cannot be read as parquet"),
        ("folds/0/history.parquet", b"", "history.parquet cannot be read as parquet"),
    ],
)
def test_damaged_file_is_named(run: Path, name: str, content: bytes, message: str) -> None:
    (run / name).parent.mkdir(parents=True, exist_ok=True)
    (run / name).write_bytes(content)
    reseal(run)
    with pytest.raises(InputError, match=message):
        write_report(run)


@pytest.mark.parametrize(("kind", "column"), [("binary", "p"), ("multilabel", "p_<label>")])
def test_predictions_without_the_needed_column_are_refused(run: Path, kind: str, column: str) -> None:
    alter_predictions(run, lambda table: table.drop("p"))
    with pytest.raises(InputError, match=column):
        page_of(run, kind=kind)


def test_a_method_that_is_fitted_at_once_has_no_curves_of_training(run: Path) -> None:
    rows = {"epoch": [0], "part": ["train"], "term": ["total"], "value": [0.3]}
    pl.DataFrame(rows).write_parquet(run / "folds/0/history.parquet")
    reseal(run)
    assert "How training went" not in write_report(run).read_text()

"""An extraction again: nothing new, one more modality, more patients."""

from __future__ import annotations

import csv
import os
import random
import shutil
from collections.abc import Mapping
from pathlib import Path
from statistics import median
from typing import NamedTuple

from .measure import Measured, extracted, items_of, omnifuse, remove_cache, summary
from .row import Family, Figure, Found, Row, Setting
from .texts import words

SAMPLES, QUICK_SAMPLES = 20_000, 2000
MORE_PATIENTS, WITH_MODALITY = 0.05, 0.05
MEAN_WORDS, EVENTS = 12, 20

WARM = {
    "clock": Figure("of the cold extraction", "share", at_most=0.01),
    "usual": Figure("of a cold one with bert-base and ResNet34", "share", at_most=0.01),
}
FURTHER = {
    "above": Figure("of the cold extraction, beyond the part of what is new", "share", at_most=0.1),
    "usual": Figure("of a cold one with bert-base and ResNet34", "share", at_most=0.1),
}

ROWS = {
    "warm": Row(
        "`extract` again, nothing changed, 20,000 samples",
        "the same from nothing",
        WARM,
        "The cold extraction here is a short one: texts of 14 tokens through two layers. Starting Python and taking "
        "digests of tables is most of what again takes; with real encoders cold is many times longer, again is not.",
    ),
    "modality": Row(
        "one more modality, of a twentieth of the samples",
        "the same from nothing",
        FURTHER,
        "Starting Python and the encoder, reading the tables, and writing the manifest of the whole cache.",
    ),
    "patients": Row(
        "5 % more patients",
        "the same from nothing",
        FURTHER,
        "As above; arrays are laid out anew at their whole length, and tables of events computed as a whole.",
    ),
}


class Content(NamedTuple):
    """How many samples a table has, and how many of these a second text."""

    samples: int
    second: int = 0


def write_tables(folder: Path, content: Content) -> tuple[str | Path, ...]:
    """Write texts and events of made-up samples; return the arguments of ``extract`` that name them."""
    vocabulary = words()
    table, events = folder / "samples.csv", folder / "events.csv"

    def text(seed: str) -> str:
        rng = random.Random(seed)
        return " ".join(rng.choices(vocabulary, k=rng.randint(MEAN_WORDS // 2, MEAN_WORDS * 3 // 2)))

    with table.open("w", encoding="utf-8", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(["sample_id", "subject_id", "label", "text:note", *["text:second"] * bool(content.second)])
        for number in range(content.samples):
            second = [text(f"second {number}") if number < content.second else ""] * bool(content.second)
            rows.writerow([number, number, number % 2, text(f"note {number}"), *second])
    with events.open("w", encoding="utf-8", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(["sample_id", "time", "variable", "value"])
        for number in range(content.samples):
            rng = random.Random(number)
            rows.writerows(
                [number, round(48 * rng.random(), 2), f"v{position % 10}", round(rng.gauss(0, 1), 3)]
                for position in range(EVENTS)
            )
    return "--dataset", "files", "--samples", table, "--events", f"vitals={events}", "--text-encoder", "random"


def measure(setting: Setting) -> Mapping[str, Found]:
    """Make a cache once, then extend it again and again from where it was."""
    samples = QUICK_SAMPLES if setting.quick else SAMPLES
    folder = setting.folder / "incremental"
    folder.mkdir(exist_ok=True)
    cache, kept = folder / "cache", folder / "kept"
    for path in (cache, kept):
        remove_cache(path)
    arguments = write_tables(folder, Content(samples))
    cold = extracted(cache, *arguments)
    again = [omnifuse("extract", "--cache", cache, *arguments) for _ in range(setting.turns)]
    _link(cache, kept)
    start = [omnifuse("extract", "--help") for _ in range(setting.turns)]
    usual = _usual_seconds(setting, samples)
    encoding = cold.value["encode note"] / cold.seconds
    note = f"{samples:,} samples with a text and {EVENTS} events each; start included; cold was measured once" + (
        f", with bert-base and ResNet34 it would take {usual:,.0f} s by the rows above." if usual else "."
    )
    contents = {
        "modality": (Content(samples, round(WITH_MODALITY * samples)), WITH_MODALITY * encoding),
        "patients": (Content(round((1 + MORE_PATIENTS) * samples)), MORE_PATIENTS),
    }
    found = {"warm": _found("clock", again, cold, 0.0, usual, summary(again, start), note)}
    for name, (content, share) in contents.items():
        arguments = write_tables(folder, content)
        taken = []
        for _ in range(setting.turns):
            remove_cache(cache)
            _link(kept, cache)
            taken.append(extracted(cache, *arguments))
        found[name] = _found("above", taken, cold, share, usual, summary(taken, start), note)
    return found


def _found(
    figure: str,
    taken: list[Measured],
    cold: Measured,
    share: float,
    usual: float | None,
    ours: Mapping[str, object],
    note: str,
) -> Found:
    """Return what extractions took beyond the share of what is new, relative to a cold one."""
    above = [one.seconds - share * cold.seconds for one in taken]
    return Found(
        {
            figure: [seconds / cold.seconds for seconds in above],
            **({"usual": [seconds / usual for seconds in above]} if usual else {}),
        },
        ours,
        summary([cold]),
        note,
    )


def _usual_seconds(setting: Setting, samples: int) -> float | None:
    """Return the seconds of ours for as many reports and images, by what the rows above took on this machine."""
    seconds = 0.0
    for single, fast in (("texts-float32", "texts-bfloat16"), ("images-float32", "images-bfloat16")):
        found = setting.earlier.get(fast)
        found = setting.earlier.get(single) if found is None or found.missing else found
        if found is None:
            return None
        seconds += samples * median(found.ours["seconds"]) / found.ours["items"]
    return seconds


def _link(cache: Path, to: Path) -> None:
    """Make a copy of a cache out of links: files of a cache are replaced, never changed."""
    for source, target in ((cache, to), (items_of(cache), items_of(to))):
        shutil.copytree(source, target, copy_function=os.link)


FAMILY = Family("incremental", ROWS, measure)

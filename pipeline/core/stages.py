"""An extraction from beginning to end: plan, encode, commit; killed anywhere, the next run goes on."""

import json
import logging
import os
import platform
import resource
import shutil
import sys
import time
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from ...cache_schema import EXTRACTION_FILE, cache_lock, naming, refuse_foreign_folder, write_durably
from ...cache_schema.files import flush
from ...progress import progress
from ..source import DataSet
from ..tables.whole_files import refuse_cut_files
from ..temporary import sweep
from ..tensor_file import DamagedFilesError
from .commit import commit, load_rows
from .encode import Machines, encode_items
from .encoders import Encoders
from .estimate import Estimate, estimate
from .memo import DigestMemo
from .plan import Plan, PlannedTable, cohort_key, make_plan, memo_file, parts_folder, reasons_to_run
from .reuse import find_reusable, open_older, reuse_items

logger = logging.getLogger(__name__)

MEBIBYTE = 1 << 20

HERE = Machines()


@dataclass
class StageReport:
    """How long each stage took, and the peak memory of the process and its workers up to its end."""

    started: str = field(default_factory=lambda: datetime.now(UTC).isoformat(timespec="seconds"))
    seconds: dict[str, float] = field(default_factory=dict)
    peak_memory_mib: dict[str, int] = field(default_factory=dict)

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Measure the body as one stage."""
        begin = time.perf_counter()
        yield
        self.seconds[name] = round(time.perf_counter() - begin, 3)
        self.peak_memory_mib[name] = _peak_memory() // MEBIBYTE


@dataclass(frozen=True)
class Extraction:
    """What an extraction found and did."""

    cache: Path
    dataset: str
    done: bool
    """False: nothing had to be done, or it was a dry run."""
    reasons: tuple[str, ...]
    """Why there was something to do."""
    pending: dict[str, int]
    """Samples or items of each modality that had to be computed or encoded."""
    reused: dict[str, int]
    """Items of each modality that were taken from another cache instead."""
    estimated: Estimate | None
    """What the pending work takes, of a dry run."""
    free_bytes: int
    report: StageReport
    notes: tuple[str, ...] = ()
    """What was not found."""
    files: dict[str, tuple[int, int]] = field(default_factory=dict)
    """Of each modality of items: how many files are there, and how many are listed."""

    def to_json(self) -> dict[str, Any]:
        """Return everything as JSON values."""
        return {**asdict(self), "cache": str(self.cache)}


def extract(
    dataset: DataSet,
    cache: Path,
    encoders: Encoders,
    machines: Machines = HERE,
    *,
    dry_run: bool = False,
    drop_items: bool = False,
    reuse: Path | None = None,
    package: str = "",
) -> Extraction:
    """Make or complete the cache of a data set.

    Parameters
    ----------
    machines
        Where items are encoded.
    dry_run
        Stop after the plan: nothing is written.
    drop_items
        Delete the parts after the commit; a later extraction with more samples then encodes everything again.
    reuse
        An older cache whose items are taken over where their recipe is the same.
    package
        Name and version of the installed package that brought the data set, whose code decides what is in the cache.

    Raises
    ------
    InputError
        If the raw folder or the cache to reuse cannot be used; nothing that was already written is lost.
    CacheLockedError
        If another extraction is writing this cache.
    """
    refuse_foreign_folder(cache, dataset.name)
    if dry_run:
        return _Run(dataset, cache, encoders, reuse, package).look(machines)
    with cache_lock(cache):
        return _Run(dataset, cache, encoders, reuse, package).extract(machines, drop_items)


class _Run:
    """One call of :func:`extract`."""

    def __init__(self, dataset: DataSet, cache: Path, encoders: Encoders, reuse: Path | None, package: str) -> None:
        self.dataset, self.cache, self.encoders, self.package = dataset, cache, encoders, package
        self.folder = parts_folder(cache)
        self.older = open_older(reuse) if reuse else None
        self.reused: dict[str, int] = {}
        self.notes: tuple[str, ...] = ()
        self.files: dict[str, tuple[int, int]] = {}
        self.report = StageReport()
        self.memo = DigestMemo(memo_file(cache), dataset.raw)

    def look(self, machines: Machines) -> Extraction:
        """Plan and say what would be done; tables are read to their end, because a cut one would stop the work late."""
        reasons, plan = self._plan()
        if plan is None:
            return self._outcome(reasons, {}, done=False)
        refuse_cut_files(self.dataset.inputs())
        if self.older:
            self.reused = {items.modality.name: find_reusable(items, self.older).height for items in plan.items}
        pending = _pending(plan, self.reused)
        estimated = estimate(plan, pending, machines, self.report.seconds["plan"])
        return self._outcome(reasons, pending, estimated, done=False)

    def extract(self, machines: Machines, drop_items: bool) -> Extraction:
        """Plan, encode, commit."""
        self._sweep()
        reasons, plan = self._plan()
        self._make_folder()
        if plan is None:
            self.memo.save(forget=False)
            if drop_items:
                self._remove_folders()
            return self._outcome(reasons, {}, done=False)
        for reason in reasons:
            logger.info("to do because: %s", reason)
        self.memo.save()
        damaged = sum(table.store.remove_damaged() for table in plan.tables)
        damaged += sum(items.store.remove_damaged() for items in plan.items)
        if self.older:
            with self.report.stage("reuse"):
                self.reused = {items.modality.name: reuse_items(items, self.older) for items in plan.items}
        pending = _pending(plan, {})
        self._encode(plan, machines)
        with self.report.stage("commit"):
            try:
                rows = load_rows(plan)
            except DamagedFilesError as error:  # what only reading everything could find
                damaged += error.count
                self._encode(plan, machines)
                rows = load_rows(plan)
            with naming(self.cache):
                commit(plan, rows, self.cache)
        if damaged:
            logger.warning("%s damaged part%s made again", damaged, "s were" if damaged > 1 else " was")
        self._write_report(pending)
        if drop_items:
            self._remove_folders()
        return self._outcome(reasons, pending, done=True)

    def _make_folder(self) -> None:
        """Make the folder of parts, which nobody else may enter: it names files of patients."""
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        flush(self.folder.parent)

    def _sweep(self) -> None:
        """Remove what killed processes have left: temporary files and, among the parts, halves of files."""
        sweep()
        for path in (path for path in self.folder.rglob("*") if path.is_file()):
            if path.suffix == ".partial" or (path.parent == self.folder and path != memo_file(self.cache)):
                path.unlink()

    def _encode(self, plan: Plan, machines: Machines) -> None:
        """Compute and encode what is missing."""
        for table in plan.tables:
            if not table.store.complete:
                with self.report.stage(f"encode {table.modality.name}"):
                    _fill(table, plan)
        self._remove_folders({table.store.folder for table in plan.tables})
        with machines.connect() as executor:
            for items in plan.items:
                with self.report.stage(f"encode {items.modality.name}"):
                    encode_items(items, machines, executor)

    def _remove_folders(self, current: Collection[Path] | None = None) -> None:
        """Delete all parts and blocks, or of the tables with ``current`` blocks those of other keys.

        The latter are quick to compute again.
        """
        tables = {blocks.name.rpartition("-")[0] for blocks in current or ()}
        for folder in (path for path in self.folder.iterdir() if path.is_dir()):
            if current is None or (folder.name.rpartition("-")[0] in tables and folder not in current):
                shutil.rmtree(folder)

    def _plan(self) -> tuple[list[str], Plan | None]:
        with self.report.stage("plan"):
            cohort = cohort_key(self.dataset, self.memo) | ({"package": self.package} if self.package else {})
            reasons = reasons_to_run(self.cache, cohort, self.encoders, self.memo)
            if not reasons:
                return [], None
            plan = make_plan(self.dataset, self.cache, cohort, self.encoders, self.memo)
            self.notes = plan.records.notes
            self.files = {
                items.modality.name: (items.listed - items.missing, items.listed)
                for items in plan.items
                if items.modality.texts is None
            }
            return reasons, plan

    def _outcome(
        self, reasons: list[str], pending: dict[str, int], estimated: Estimate | None = None, *, done: bool
    ) -> Extraction:
        existing = next(folder for folder in self.cache.absolute().parents if folder.exists())
        return Extraction(
            cache=self.cache,
            dataset=self.dataset.name,
            done=done,
            reasons=tuple(reasons),
            pending=pending,
            reused=self.reused,
            estimated=estimated,
            free_bytes=shutil.disk_usage(existing).free,
            report=self.report,
            notes=self.notes,
            files=self.files,
        )

    def _write_report(self, pending: Mapping[str, int]) -> None:
        content = {
            **asdict(self.report),
            "dataset": self.dataset.name,
            "encoded": pending,
            "reused": self.reused,
            "notes": self.notes,
            "machine": {
                "platform": platform.platform(),
                "python": platform.python_version(),
                "processors": os.cpu_count(),
            },
        }
        write_durably(self.cache / EXTRACTION_FILE, (json.dumps(content, indent=1) + "\n").encode())


def _pending(plan: Plan, reusable: Mapping[str, int]) -> dict[str, int]:
    """Return how many samples (of tables) or distinct items have to be done; ``reusable`` are not written yet."""
    samples = plan.records.samples.height
    tables = {table.modality.name: 0 if table.store.complete else samples for table in plan.tables}
    items = {
        name: len(planned.store.missing(planned.digests)) - reusable.get(name, 0)
        for planned in plan.items
        for name in [planned.modality.name]
    }
    return {**tables, **items}


def _fill(table: PlannedTable, plan: Plan) -> None:
    ids = plan.records.samples["sample_id"].to_numpy()
    with progress(name=table.modality.name, total=len(ids), unit="samples") as bar:
        for samples in table.store.fill(table.modality, ids):
            bar.update(samples)


def _peak_memory() -> int:
    """Return the largest resident memory in bytes of this process, or of its largest worker that has ended."""
    unit = 1 if sys.platform == "darwin" else 1024
    return max(resource.getrusage(who).ru_maxrss for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)) * unit

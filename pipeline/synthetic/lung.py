"""Patients with a lung nodule as a raw folder of the data set ``lung``: CT, PET, Chinese text and the pathology."""

from pathlib import Path

import numpy as np
import polars as pl

from ...cache_schema.errors import InputError
from ...progress import progress
from .lung_series import draw_chest, write_ct, write_pet
from .write import new_folder

LEAST_PATIENTS = 6
PATHOLOGIES = (("AAH", "AIS"), ("MIA", "IA1"), ("IA2", "IA grade 3"))
"""As a hospital may write them, for low, moderate and high."""

MISSING = {"ct": 0.1, "pet": 0.3, "text": 0.1}
"""Share of the patients that lack each, at random."""

TELLING = 0.7
"""Share of the patients whose findings are those of their level; those of the others are of any."""
FINDINGS = (
    "胸部CT示肺内纯磨玻璃结节，边界清楚，密度均匀，随访无明显变化。",
    "胸部CT示肺内部分实性结节，可见少量实性成分，边缘略模糊。",
    "胸部CT示肺内实性结节，可见分叶征及毛刺征，邻近胸膜牵拉。",
)
HISTORY = {
    "个人史": ("无吸烟史，无饮酒史。", "吸烟二十年，每日十支，已戒烟。", "偶有饮酒，无吸烟史。"),
    "既往史": ("既往体健。", "高血压病史五年，规律服药。", "糖尿病病史三年，血糖控制可。"),
    "手术史": ("无手术史。", "十年前行阑尾切除术。", "曾行剖宫产术。"),
    "体格检查": ("双肺呼吸音清，未闻及干湿啰音。", "胸廓对称，浅表淋巴结未触及肿大。", "一般情况可，心律齐。"),
}
REASONS = ("患者要求手术治疗。", "结节持续存在，有手术指征，无明显禁忌。", "多学科会诊建议手术。")


def write_lung(out: Path, patients: int, seed: int = 0) -> None:
    """Write patients into a new folder ``out``, all of it or nothing; the same settings give the same bytes.

    Raises
    ------
    InputError
        If there are fewer than 6 patients, or ``out`` exists and is not an empty folder.
    """
    if patients < LEAST_PATIENTS:
        raise InputError(f"{patients} patients are too few for three classes; give at least {LEAST_PATIENTS}")
    plan, text, image = np.random.default_rng(seed).spawn(3)
    levels = plan.permutation(np.arange(patients) % len(PATHOLOGIES))
    lacks = {name: plan.random(patients) < share for name, share in MISSING.items()}
    with new_folder(out, "patients.csv") as partial:
        ids = [f"P{number:04}" for number in range(1, patients + 1)]
        table = pl.DataFrame([_row(*row, text) for row in zip(ids, levels, lacks["text"], strict=True)])
        table.write_csv(partial / "patients.csv", include_bom=True)  # Excel reads it as UTF-8
        for number, patient in enumerate(progress(ids, "lung", unit="patients")):
            chest = draw_chest(int(levels[number]), image)
            everything = all(lacking[number] for lacking in lacks.values())
            if not lacks["ct"][number] or everything:
                write_ct(partial / patient / "CT", patient, chest, image)
            if not lacks["pet"][number]:
                write_pet(partial / patient / "PET", patient, chest, image)


def _row(patient: str, level: int, silent: bool, rng: np.random.Generator) -> dict[str, str]:
    """Return a row of the table; the draws are the same whether or not there is a text."""
    shown = level if rng.random() < TELLING else int(rng.integers(len(FINDINGS)))
    row = {"patient_id": patient, "label": str(rng.choice(PATHOLOGIES[level]))}
    texts = {heading: str(rng.choice(phrases)) for heading, phrases in HISTORY.items()}
    texts |= {"诊断依据": FINDINGS[shown], "手术指征": str(rng.choice(REASONS))}
    return row | {f"text:{heading}": "" if silent else text for heading, text in texts.items()}

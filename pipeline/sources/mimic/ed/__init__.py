"""The emergency department that a patient came to the unit from (MIMIC-IV-ED).

The ``stay_id`` of its tables is that of a stay in the department, not of one in the unit: it is ``ed_stay_id`` here.
Diagnosis and disposition are assigned when all is over, and are read by nobody.
"""

from .modalities import ED_MODALITIES, department, ed_settings, ed_tables

__all__ = ["ED_MODALITIES", "department", "ed_settings", "ed_tables"]

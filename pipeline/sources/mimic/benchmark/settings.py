"""The choices behind EHR tensors."""

from dataclasses import dataclass, field

from .....cache_schema import InputError, meant
from .rules import CLEAN_RULES, Profile


@dataclass(frozen=True)
class EhrSettings:
    """How events become tensors: profile, hours per bin, and rules of the clean profile that are switched off.

    Raises :class:`InputError` for an unknown profile or rule, and for rules switched off in ``benchmark``.
    """

    profile: Profile = "clean"
    bin_hours: float = 2.0
    without: frozenset[str] = field(default_factory=frozenset)

    def __post_init__(self) -> None:
        if self.profile not in ("benchmark", "clean"):
            raise InputError(f"There is no EHR profile {self.profile!r}; choose 'clean' or 'benchmark'.")
        if not self.bin_hours > 0:
            raise InputError(f"Bins must be longer than 0 hours, got {self.bin_hours}.")
        if self.profile == "benchmark" and self.without:
            raise InputError("The benchmark profile is fixed; rules can be switched off in the clean profile only.")
        unknown = sorted(self.without - set(CLEAN_RULES))
        if unknown:
            known, hint = ", ".join(CLEAN_RULES), meant(unknown[0], CLEAN_RULES)
            raise InputError(f"There is no rule {unknown[0]!r} in the clean profile; its rules: {known}.{hint}")

    def uses(self, rule: str) -> bool:
        """Whether a rule of the clean profile applies."""
        return self.profile == "clean" and rule not in self.without

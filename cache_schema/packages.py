"""Optional packages: the extra that installs one has its name."""

from importlib.util import find_spec

from .errors import InputError


def require(package: str, user: str) -> None:
    """Raise `InputError` with the mend if an optional package is missing; ``user`` is what needs it."""
    if find_spec(package) is None:
        raise InputError(f"{user} needs the package {package}: pip install 'omnifuse[{package}]'.")

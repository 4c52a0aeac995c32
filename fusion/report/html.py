"""Makes self-contained pages: style and script lie inside, and the browser is told to load nothing else."""

import base64
import hashlib
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from .drawing import PALETTE

SHOWN_NOTES = 3
"""With more warnings than this, the others are folded."""

LONG_READING = 300
"""More letters than this about how to read a table are folded."""


def render(template: str, script: str, **content: Any) -> str:
    """Return a page as HTML text: a template and its one script, files of this folder, filled with the content.

    The page's security policy names the digest of that script, so no other runs.
    """
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    text = environment.get_template(script).render()
    digest = base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
    fixed = {
        "palette": PALETTE,
        "script": text,
        "script_digest": digest,
        "shown_notes": SHOWN_NOTES,
        "long_reading": LONG_READING,
    }
    return environment.get_template(template).render(**fixed, **content)

"""How figures look and how they become inline SVG."""

import io
import logging
import re
import warnings
from collections.abc import Callable
from functools import partial
from typing import Any

import matplotlib
from markupsafe import Markup, escape
from matplotlib.axes import Axes
from matplotlib.figure import Figure as Canvas

from .blocks import Figure

# Colours of Okabe and Ito's colour-blind safe set, the green darkened; the template receives the same names.
PALETTE = {
    "ink": "#1c2730",
    "muted": "#5a6772",
    "rule": "#dce2e7",
    "wash": "#f4f7f9",
    "blue": "#0072b2",
    "orange": "#d55e00",
    "green": "#007a5a",
    "purple": "#cc79a7",
    "amber": "#e69f00",
    "sky": "#56b4e9",
}

logging.getLogger("fontTools").setLevel(logging.WARNING)  # it tells of every glyph of a PDF

WIDTH = 360.0
"""Width of a figure in points; the page shows one point as about one pixel, on a phone too."""

WIDE = 720.0
"""Width in points of a figure that takes the whole page; on a phone it scrolls inside itself."""

STYLE = {
    "svg.fonttype": "none",
    "text.parse_math": False,
    "font.size": 12.5,
    "axes.labelsize": 12.5,
    "xtick.labelsize": 11.5,
    "ytick.labelsize": 11.5,
    "legend.fontsize": 11.5,
    "legend.frameon": False,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.edgecolor": PALETTE["muted"],
    "axes.labelcolor": PALETTE["ink"],
    "text.color": PALETTE["ink"],
    "xtick.color": PALETTE["muted"],
    "ytick.color": PALETTE["muted"],
    "xtick.labelcolor": PALETTE["ink"],
    "ytick.labelcolor": PALETTE["ink"],
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": PALETTE["rule"],
    "grid.linewidth": 0.8,
    "lines.linewidth": 2.0,
}

THIN: dict[str, Any] = {"linewidth": 0.8, "alpha": 0.45}
"""Line style of one fold behind the summary of all."""


def draw(paint: Callable[[Axes], None], title: str, caption: str, height: float = 270, *, wide: bool = False) -> Figure:
    """Draw one panel with ``paint``, ``height`` points high, and return it as an inline, accessible SVG."""
    written = partial(_written, paint, title, (WIDE if wide else WIDTH, height))
    return Figure(title, caption, _inline(written("svg").decode(), f"{title}. {caption}"), wide, written)


def _written(paint: Callable[[Axes], None], title: str, size: tuple[float, float], form: str) -> bytes:
    """Return a panel of a size in points as a file of a format, ``svg`` or ``pdf``, the same bytes from run to run."""
    # The salt keeps ids of different figures apart and those of the same figure equal from run to run.
    style = STYLE | {"svg.hashsalt": title, "pdf.fonttype": 42}
    with matplotlib.rc_context(style), warnings.catch_warnings():
        # The browser sets the text, so a letter that matplotlib's own font lacks is no fault.
        warnings.filterwarnings("ignore", message="Glyph .* missing from font")
        canvas = Canvas(figsize=(size[0] / 72, size[1] / 72), layout="constrained")
        paint(canvas.add_subplot())
        stream = io.BytesIO()
        metadata = {"Date": None} if form == "svg" else {"CreationDate": None}
        canvas.savefig(stream, format=form, transparent=True, metadata=metadata)
    return stream.getvalue()


def _inline(svg: str, words: str) -> Markup:
    """Return a matplotlib SVG without prolog, metadata, namespaces and unused ids, named for screen readers."""
    svg = svg[svg.index("<svg") :]
    svg = re.sub(r"<metadata>.*?</metadata>", "", svg, flags=re.DOTALL)
    svg = re.sub(r'\sxmlns(:xlink)?="[^"]*"', "", svg).replace("xlink:href", "href")
    used = set(re.findall(r"#([\w-]+)", svg))
    svg = re.sub(r' id="([^"]*)"', lambda match: match[0] if match[1] in used else "", svg)
    svg = re.sub(r'^<svg [^>]*?viewBox="([^"]*)"[^>]*>', r'<svg viewBox="\1" role="img">', svg)
    # matplotlib escapes every text that it writes, and the label is escaped here.
    return Markup(svg.replace('role="img"', f'role="img" aria-label="{escape(words)}"', 1))  # noqa: S704

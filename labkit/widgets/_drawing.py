"""The few shapes that the pictures are made of, as SVG text.

A word and a sign tell the state besides the colour. Each fill has its own dark text (contrast above 7:1), so
that a picture reads the same in a light and in a dark theme.
"""

from html import escape

FILLS = {
    "passed": ("✓", "#d3f1dc", "#0a4420"),
    "accepted": ("✓", "#d3f1dc", "#0a4420"),
    "failed": ("✗", "#ffd9d5", "#7a0c08"),
    "stopped": ("■", "#ffd9d5", "#7a0c08"),
    "lost": ("?", "#ffd9d5", "#7a0c08"),
    "not run": ("–", "#f3e3f7", "#55206b"),
    "running": ("▶", "#d9e8ff", "#0a3576"),
    "waiting": ("‖", "#ffefc2", "#5c3d00"),
    "not started": ("○", "#ececec", "#3a3a3a"),
}
"""State → (sign, fill, text colour)."""

FONT = "font-family='system-ui,sans-serif' font-size='13'"
THEME_TEXT = "var(--jp-ui-font-color1,#222)"
FRAME = "#1f2328"


def picture(width: int, height: int, label: str, *shapes: str) -> str:
    """Return a whole SVG, in pixels; label is its name for screen readers."""
    return (
        f'<svg role="img" aria-label="{escape(label)}" viewBox="0 0 {width} {height}" width="{width}" '
        f'height="{height}" {FONT} style="min-width:{width}px"><title>{escape(label)}</title>'
        f"{''.join(shapes)}</svg>"
    )


def box(
    x: float,
    y: float,
    width: float,
    height: float,
    fill: str,
    *,
    edge: str = "#5f6b7a",
    radius: int = 6,
    selected: bool = False,
) -> str:
    """Return a box with round corners; a selected one has a frame inside, dark on its fill in each theme."""

    def rectangle(inset: float, paint: str) -> str:
        sides = f'width="{width - 2 * inset}" height="{height - 2 * inset}"'
        return f'<rect x="{x + inset}" y="{y + inset}" {sides} rx="{radius}" {paint}/>'

    frame = rectangle(3, f'fill="none" stroke="{FRAME}" stroke-width="3"') if selected else ""
    return rectangle(0, f'fill="{fill}" stroke="{edge}" stroke-width="1"') + frame


def text(
    x: float, y: float, words: str, colour: str = THEME_TEXT, *, bold: bool = False, anchor: str = "start"
) -> str:
    """Return one line of text; anchor says whether x is its start, middle or end."""
    weight = ' font-weight="600"' if bold else ""
    return f'<text x="{x}" y="{y}" fill="{colour}" text-anchor="{anchor}"{weight}>{escape(words)}</text>'


def arrow(x1: float, y1: float, x2: float, y2: float) -> str:
    """Return a line with a head, to the right or to the left."""
    back = x2 - 6 if x2 > x1 else x2 + 6
    head = f"M{back},{y2 - 4} L{x2},{y2} L{back},{y2 + 4}"
    return (
        f'<path d="M{x1},{y1} L{x2},{y2} {head}" fill="none" '
        f'stroke="var(--jp-ui-font-color2,#555)" stroke-width="1.5"/>'
    )


def cut(words: str, most: int) -> str:
    """Return words of at most `most` characters, with … where they were cut."""
    return words if len(words) <= most else words[: most - 1] + "…"

"""A GIF, and a still of it, of frames drawn in a few known colours on white.

A palette found in the pixels would give a rare colour away (the few places of Oceania would turn grey): here it is
built from the colours themselves and their shades towards white, as edges and legends have them.
"""

import io
from collections.abc import Sequence

import numpy as np

from ..animation import DOTS_PER_INCH, FRAME_MS, LAST_FRAME_MS

SHADES = (0.12, 0.3, 0.5, 0.75, 1.0)
"""Shares of a colour, the rest white."""
GREYS = 16
_MOST = 256


def palette_of(colors: Sequence[str]) -> np.ndarray:
    """``[color, rgb]`` of 0 to 255, white first, then greys down to black, then every colour in its shades.

    Colours beyond the 256 that a GIF can hold are left out.
    """
    from matplotlib.colors import to_rgb

    greys = np.repeat(np.linspace(1, 0, GREYS)[:, None], 3, axis=1)
    shades = [1 - share * (1 - np.array(to_rgb(color))) for color in dict.fromkeys(colors) for share in SHADES]
    return np.round(255 * np.concatenate((greys, *(shade[None] for shade in shades)))).astype(np.uint8)[:_MOST]


def gif(images: Sequence[np.ndarray], colors: Sequence[str]) -> bytes:
    """Frames of pixels ``[row, column, rgb]``, each pixel the nearest of :func:`palette_of`; the last stays longer."""
    from PIL import Image

    palette = Image.new("P", (1, 1))
    palette.putpalette(palette_of(colors).ravel().tolist())
    frames = []
    for pixels in images:
        index = np.array(Image.fromarray(pixels).quantize(palette=palette, dither=Image.Dither.NONE))
        index[(pixels == 255).all(axis=-1)] = 0  # Pillow rounds before it looks: the paper would turn grey
        frames.append(Image.fromarray(index))
        frames[-1].putpalette(palette_of(colors).ravel().tolist())
    lasts = [FRAME_MS] * (len(frames) - 1) + [LAST_FRAME_MS]
    buffer = io.BytesIO()
    frames[0].save(buffer, "GIF", save_all=True, append_images=frames[1:], duration=lasts, loop=0, optimize=True)
    return buffer.getvalue()


def still(pixels: np.ndarray) -> bytes:
    """One frame as PNG bytes."""
    from PIL import Image

    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG", optimize=True, dpi=(DOTS_PER_INCH, DOTS_PER_INCH))
    return buffer.getvalue()

"""A GIF of frames drawn in a few known colours on white.

A palette found in the pixels would give a rare colour away (the few places of Oceania would turn grey): here it is
built from the colours themselves and their shades towards white, as edges and legends have them.
"""

from collections.abc import Sequence

import numpy as np

from .animation import encoded

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

    found = palette_of(colors)
    palette = Image.new("P", (1, 1))
    palette.putpalette(found.ravel().tolist())
    return encoded(images, palette, found, white=0)

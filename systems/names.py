"""Names that a misspelt one may have meant."""

import difflib
from collections.abc import Sequence


def nearest_first(name: str, names: Sequence[str]) -> list[str]:
    """``names`` with those that resemble ``name``, whatever its case, at their head."""
    by_folded = {other.lower(): other for other in names}
    near = [by_folded[folded] for folded in difflib.get_close_matches(name.lower(), by_folded, n=5, cutoff=0.5)]
    return [*near, *(other for other in names if other not in near)]

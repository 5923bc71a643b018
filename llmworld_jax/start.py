"""The start token as a user types it."""

from .errors import InputError


def parse_start(start: str) -> str | int:
    """``none``, ``bos`` or a token id, as typed."""
    if start in ("none", "bos"):
        return start
    try:
        return int(start)
    except ValueError:
        raise InputError(f"start token {start!r}", '"none", "bos" or a token id', "Choose one of these") from None

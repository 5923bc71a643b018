"""How the numbers of a model can be kept, as a user asks for it. Imports nothing heavy."""

from ..errors import InputError

DTYPES = ("float32", "bfloat16", "int8")
"""``int8``: the blocks' matrices as eight-bit integers, the rest in bfloat16."""


def check_dtype(dtype: str) -> None:
    """Raise InputError for a dtype that is not served."""
    if dtype not in DTYPES:
        raise InputError(f"--dtype {dtype}", f"one of {', '.join(DTYPES)}", "Choose one of these")

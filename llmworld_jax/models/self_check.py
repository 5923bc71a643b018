r"""Whether a model computes what it should: its logits after a short input, against logits made elsewhere.

A folder may ship them, in ``expected_logits.safetensors`` (``write_expected`` makes it):

* ``tokens``, int32 ``[position]``: the whole input, start token and all.
* ``logits``, float32 ``[row, choice]``: scores of the token that comes next, from a float32 run.
* ``rows``, int32 ``[row]``, optional: after which tokens, from 0. By default after every one.
* ``choices``, int32 ``[choice]``, optional: of which tokens. By default of the whole vocabulary.
* ``positions``, int32 ``[position]``, optional: rotary positions. By default 0, 1, 2 ...

``catalogue.load`` compares with it, or, where there is none but torch, with ``check_against_torch``.

The difference is :math:`\max|z - z^*| / \max|z^*|` over all rows and choices. ``TOLERANCES`` lie above what rounding to
each dtype does to a model that is right. In float32 that is far below what a wrong epsilon, a silenced block or queries
dealt to the wrong heads do; in bfloat16 and eight bits it is of the size of one such fault, so these tell only a model
that is grossly wrong. An input that no text resembles, such as eight tokens, a gap of 3000 positions and eight more,
can magnify the rounding of bfloat16: do not ship one.
"""

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int
from safetensors import SafetensorError
from safetensors.numpy import load_file, save

from ..errors import InputError
from ..files import write_bytes
from .checkpoint import tensor_shapes
from .config import ModelConfig
from .forward import forward
from .llama import Llama
from .mesh import jit_on_mesh, on_host
from .readout import logits as read_out
from .safetensors_files import listed
from .storage import storage_of

EXPECTED = "expected_logits.safetensors"
TORCH = "Hugging Face torch"
TOLERANCES = {"float64": 1e-3, "float32": 1e-3, "float16": 0.03, "bfloat16": 0.1, "int8": 0.25}
"""By the first word of ``storage.storage_of``."""

MOST_BYTES = 8 * 2**30
"""Weights in float32 above this are not run in torch."""

_NEAR, _FAR, _FARTHEST = 12, 4, 3000
_LIMITED = ("tokens", "rows", "choices", "positions")
_LARGEST, _WHOLE = 2**31, ("i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8")

_Arrays = Mapping[str, np.ndarray]


class Check(NamedTuple):
    """A comparison that was passed.

    Attributes:
        source: what made the logits that the model's own were compared with.
        difference: the largest, relative to the largest of those logits.
        rows: after how many of the tokens.
        tolerance: what the difference might have been.
        tokens, positions: the input.
    """

    source: str
    difference: float
    rows: int
    tolerance: float
    tokens: Int[np.ndarray, " position"]
    positions: Int[np.ndarray, " position"]

    @property
    def line(self) -> str:
        """For the record of a run."""
        return (
            f"logits after {self.rows} of {len(self.tokens)} tokens, up to position {self.positions.max()}, differ from"
            f" those of {self.source} by {self.difference:.1e} of the largest (at most {self.tolerance})"
        )


def self_check(folder: Path, model: Llama) -> str | None:
    """``check_expected`` of a model that was just loaded, if its folder ships the logits: a line for the record."""
    return check_expected(folder, model).line if (Path(folder) / EXPECTED).is_file() else None


def check_expected(folder: str | Path, model: Llama) -> Check:
    """Compare a model with ``expected_logits.safetensors`` in its folder; on a mesh, every process must call it.

    Raises:
        InputError: the file is missing, damaged or does not fit the model; or the logits differ too much.
    """
    path = Path(folder) / EXPECTED
    try:
        arrays = load_file(path)
    except (SafetensorError, OSError, KeyError, TypeError, ValueError) as error:
        got = f"{path}, which cannot be read ({error})"
        raise InputError(got, "a whole safetensors file", f"Get or write it again, or delete {EXPECTED}") from error
    return _compared(model, _checked(arrays, str(path), model.config.vocab_size), EXPECTED)


def write_expected(
    folder: str | Path,
    tokens: Int[np.ndarray, " position"],
    logits: Float[np.ndarray, "row choice"],
    rows: Int[np.ndarray, " row"] | None = None,
    *,
    choices: Int[np.ndarray, " choice"] | None = None,
    positions: Int[np.ndarray, " position"] | None = None,
) -> Path:
    """Put ``expected_logits.safetensors`` into a model's folder, from logits that something else has made of it.

    Raises:
        InputError: arrays that do not fit each other, logits that are not finite, a folder that cannot be written.
    """
    given = {"tokens": tokens, "rows": rows, "choices": choices, "positions": positions}
    arrays = {name: np.asarray(value) for name, value in given.items() if value is not None}
    arrays["logits"] = np.asarray(logits, np.float32)
    _checked(arrays, f"arrays for {EXPECTED}", arrays["logits"].shape[-1] if choices is None else None)
    data = save({n: np.ascontiguousarray(a, np.float32 if n == "logits" else np.int32) for n, a in arrays.items()})
    return write_bytes(Path(folder) / EXPECTED, data)


def fixed_input(config: ModelConfig) -> tuple[Int[np.ndarray, " position"], Int[np.ndarray, " position"]]:
    """Sixteen tokens from all over the vocabulary, and their positions: 0 to 11, 2997 to 3000 (or the model's last)."""
    golden = (math.sqrt(5) - 1) / 2
    tokens = np.floor(np.arange(1, _NEAR + _FAR + 1) * golden % 1 * config.vocab_size).astype(np.int32)
    last = max(min(_FARTHEST, config.max_positions - 1), _NEAR + _FAR - 1)
    positions = np.concatenate((np.arange(_NEAR), np.arange(last - _FAR + 1, last + 1)))
    return tokens, positions.astype(np.int32)


def too_large(config: ModelConfig) -> str | None:
    """Why a model of this kind is too large for torch on a CPU, if it is."""
    needed = 4 * sum(math.prod(shape) for shape in tensor_shapes(config).values())
    limit = f"more than {MOST_BYTES / 2**30:g} GiB"
    return f"its weights take {needed / 2**30:.1f} GiB in float32, {limit}" if needed > MOST_BYTES else None


def no_torch() -> str | None:
    """Why there is no torch to compare with, if there is none."""
    try:
        import torch
        import transformers
    except (ImportError, OSError) as error:  # OSError: a library of theirs is missing
        return f"torch and transformers are not both installed here ({error})"
    del torch, transformers
    return None


def check_against_torch(folder: str | Path, model: Llama) -> Check | str:
    """Compare a model with the same checkpoint in Hugging Face torch, in float32 on the CPU, on ``fixed_input``.

    Nothing is downloaded, no code of the folder is run, only safetensors are read. Returns why nothing was compared
    where there is no torch or the model is too large for it. Raises InputError where the logits differ too much.
    """
    if (reason := too_large(model.config) or no_torch()) is not None:
        return reason
    tokens, positions = fixed_input(model.config)
    try:
        scores = _torch_logits(Path(folder), tokens, positions)
    except Exception as error:  # transformers raises many kinds
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
        return f"transformers could not run it ({reason})"
    return _compared(model, {"tokens": tokens, "positions": positions, "logits": scores}, TORCH)


def _torch_logits(folder: Path, tokens: np.ndarray, positions: np.ndarray) -> Float[np.ndarray, "position vocab"]:
    import torch
    from transformers import AutoModelForCausalLM
    from transformers.utils import logging

    safe = {"local_files_only": True, "trust_remote_code": False, "use_safetensors": True}
    kwargs = {"dtype": torch.float32, "attn_implementation": "eager", **safe}
    shown = logging.is_progress_bar_enabled()
    logging.disable_progress_bar()
    try:
        theirs = AutoModelForCausalLM.from_pretrained(str(folder), **kwargs).eval()
    finally:
        if shown:
            logging.enable_progress_bar()
    with torch.inference_mode():
        out = theirs(
            input_ids=torch.from_numpy(tokens.astype(np.int64))[None],
            position_ids=torch.from_numpy(positions.astype(np.int64))[None],
            # Without a mask, a gap in the positions is taken for the border between packed sequences.
            attention_mask=torch.ones((1, len(tokens)), dtype=torch.long),
            use_cache=False,
        )
    return out.logits[0].float().numpy()


def _checked(arrays: _Arrays, where: str, vocab_size: int | None) -> _Arrays:
    """The arrays, if they fit each other and the vocabulary, whose size may not be known."""
    problems = [f"no {name}" for name in ("tokens", "logits") if name not in arrays]
    for name, array in arrays.items():
        kinds, ndim = (("f4",), 2) if name == "logits" else (_WHOLE, 1)
        if name not in _LIMITED and name != "logits":
            problems.append(f"the unknown {name}")
        elif array.dtype.str[1:] not in kinds or array.ndim != ndim or not array.size:
            wanted = "float32 numbers in two axes" if name == "logits" else "integers in one axis"
            problems.append(f"{name} {array.dtype.name} {list(array.shape)} instead of {wanted}")
    problems = problems or _misfits(arrays, vocab_size)
    if problems:
        expected = "tokens [position] and logits [row, choice], with rows, choices and positions that fit"
        raise InputError(f"{where} with {listed(problems)}", expected, "See llmworld_jax.models.self_check")
    return arrays


def _misfits(arrays: _Arrays, vocab_size: int | None) -> list[str]:
    length, (rows, width) = len(arrays["tokens"]), arrays["logits"].shape
    most = _LARGEST if vocab_size is None else vocab_size
    problems = []
    for name, count, implied in (("rows", rows, length), ("choices", width, vocab_size), ("positions", length, length)):
        if count != (len(arrays[name]) if name in arrays else count if implied is None else implied):
            problems.append(f"{list(arrays['logits'].shape)} logits and {length} tokens, which {name} do not fit")
    for name, limit in zip(_LIMITED, (most, length, most, _LARGEST), strict=True):
        if name in arrays and not (arrays[name].min() >= 0 and arrays[name].max() < limit):
            problems.append(f"{name} from {arrays[name].min()} to {arrays[name].max()}, not in 0 to {limit - 1}")
    if not np.isfinite(arrays["logits"]).all():
        problems.append("logits that are not finite")
    return problems


def _compared(model: Llama, expected: _Arrays, source: str) -> Check:
    tokens = expected["tokens"].astype(np.int32)
    positions = expected.get("positions", np.arange(len(tokens))).astype(np.int32)
    rows = expected.get("rows", np.arange(len(tokens))).astype(np.int32)
    choices = expected["choices"].astype(np.int32) if "choices" in expected else None
    ours = on_host(_scores(model, tokens, positions, rows, choices))
    difference = float(np.abs(ours - expected["logits"]).max()) / max(float(np.abs(expected["logits"]).max()), 1e-30)
    storage = storage_of(model)
    check = Check(source, difference, len(rows), TOLERANCES[storage.split()[0]], tokens, positions)
    if not difference <= check.tolerance:  # also where it is not a number
        raise InputError(
            f"a model whose {check.line}",
            f"a difference of at most {check.tolerance} in {storage}",
            "Check that weights, config and reference are of one model; load it in float32 to rule out rounding",
        )
    return check


@jit_on_mesh
def _scores(model: Llama, tokens: Any, positions: Any, rows: Any, choices: Any) -> Float[Array, "row choice"]:
    hidden = forward(model, jnp.asarray(tokens), positions=jnp.asarray(positions)).hidden
    return read_out(model, hidden[rows], choices)

"""From seconds to the table: rates, utilisation, and ratios taken round by round."""

from typing import NamedTuple

import numpy as np

from .flops import head_flops, pass_flops, tree_flops, tree_nodes
from .subject import Subject, Task
from .table import Row
from .timing import Quantity, quantity
from .workloads import Program

THEIRS = "torch "
"""Prefix of the peer's side of a workload."""


class Measured(NamedTuple):
    """Of one run: seconds of every side in every round, and what they are compared with."""

    subject: Subject
    task: Task
    programs: dict[str, Program]
    matrices: int
    peak: float
    seconds: dict[str, np.ndarray]

    def rate(self, side: str, count: float | int) -> Quantity | None:
        """``count`` a second; ``None`` if the side was not timed."""
        return quantity(count / self.seconds[side]) if side in self.seconds else None

    def ratio(self, name: str) -> Quantity | None:
        """How many times as fast as the peer, round by round."""
        theirs = self.seconds.get(THEIRS + name)
        return None if theirs is None else quantity(theirs / self.seconds[name])

    def mfu(self, side: str, flops: float | int) -> float:
        """Useful operations over the median of the seconds, over the peak."""
        return float(flops / np.median(self.seconds[side]) / self.peak)


def rows_of(run: Measured) -> tuple[Row, ...]:
    """Every row but the peak's."""
    return (_prefill(run), *_tree(run), *_capture(run), *_gradient(run))


def _prefill(run: Measured) -> Row:
    config, (batch, tokens) = run.subject.config, run.task.tokens.shape
    flops = batch * (pass_flops(config, run.matrices, tokens) + head_flops(config, 1, config.vocab_size))
    return Row(
        f"prefill: {batch} x {tokens} tokens, cache kept, last row scored", "tokens/s",
        run.rate("prefill", batch * tokens), run.mfu("prefill", flops), run.programs["prefill"].compile_seconds,
        run.rate(THEIRS + "prefill", batch * tokens), run.ratio("prefill"),
    )  # fmt: skip


def _tree(run: Measured) -> list[Row]:
    config, task, branch = run.subject.config, run.task, run.subject.codec.branch
    states = len(task.item_at)
    nodes = tree_nodes(branch, states)
    tree = tree_flops(config, run.matrices, branch, task.item_at, whole=True)
    flops = tree + pass_flops(config, run.matrices, task.context)
    what = f"{states} states x {len(branch)} digits behind {task.context} tokens"
    alone = run.seconds["laws"] - run.seconds["forward"]
    rate, share = None, None
    if alone.min() > 0:
        rate, share = quantity(nodes / alone), float(tree / np.median(alone) / run.peak)
    return [
        Row(
            f"laws: {what}, the pass over them included", "laws/s", run.rate("laws", states), run.mfu("laws", flops),
            run.programs["laws"].compile_seconds, run.rate(THEIRS + "laws", states), run.ratio("laws"),
        ),
        Row(
            f"tree: the same, {nodes:,} nodes", "nodes/s", run.rate("laws", nodes), run.mfu("laws", flops),
            peer=run.rate(THEIRS + "laws", nodes), ratio=run.ratio("laws"),
        ),
        Row("tree alone: seconds less those of one forward pass", "nodes/s", rate, share),
    ]  # fmt: skip


def _capture(run: Measured) -> list[Row]:
    config, tokens = run.subject.config, run.task.context
    share = run.mfu("forward", pass_flops(config, run.matrices, tokens))
    return [
        Row(
            f"forward pass: {tokens} tokens, last hidden state", "s", quantity(run.seconds["forward"]), share,
            run.programs["forward"].compile_seconds,
        ),
        Row(
            "capture: residual stream of every layer at the last token", "s", quantity(run.seconds["capture"]),
            compile_seconds=run.programs["capture"].compile_seconds,
        ),
        Row("capture over forward", "ratio", quantity(run.seconds["capture"] / run.seconds["forward"])),
    ]  # fmt: skip


def _gradient(run: Measured) -> list[Row]:
    tokens, theirs = run.task.context, run.seconds.get(THEIRS + "gradient")
    return [
        Row(
            f"gradient: next-token loss in the embeddings of {tokens} tokens, rematerialised", "s",
            quantity(run.seconds["gradient"]), None, run.programs["gradient"].compile_seconds,
            None if theirs is None else quantity(theirs), run.ratio("gradient"),
        ),
        Row("gradient over the loss alone", "ratio", quantity(run.seconds["gradient"] / run.seconds["loss"])),
        Row("gradient over forward", "ratio", quantity(run.seconds["gradient"] / run.seconds["forward"])),
    ]  # fmt: skip

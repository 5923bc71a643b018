"""What the report adds for systems without memory: how the model estimates one density from its samples."""

import numpy as np

from ..report import Block, Subheading
from .density_estimation import KERNEL_NAME, DensityStory, density_story
from .figure_style import title
from .inpca_figures import bandwidth_figure, inpca_figure
from .report_pictures import Pictures
from .results import SystemResults

CONTEXTS = 16
WINDOW = 5
FIRST = 4


def is_memoryless(r: SystemResults) -> bool:
    """Whether every item has the same true law: numbers drawn independently."""
    if r.symbolic or r.deterministic:
        return False
    return bool(np.ptp(r.truth.mass[:, 1:], axis=1).max() < 1e-12)


def density_blocks(r: SystemResults, pictures: Pictures) -> tuple[Block, ...]:
    """The map of laws over the context, and the kernel estimator that resembles the model. First series."""
    last = r.codes.shape[1] - 1 - WINDOW // 2
    contexts = np.unique(np.geomspace(FIRST, last, CONTEXTS).round().astype(int))
    story = density_story(r.log_mass[0], r.codes[0], r.truth.mass[0, 1], r.edges[0], contexts, window=WINDOW)
    return (Subheading("How the density is estimated"), _map(r, story, pictures), _kernel(r, story, pictures))


def _map(r: SystemResults, story: DensityStory, pictures: Pictures) -> Block:
    end = {name: float(row[-1]) for name, row in story.divergence.items()}
    nearest = min(end, key=end.__getitem__)
    return pictures.figure(
        f"{r.name}_inpca",
        inpca_figure(story.trajectories, story.truth, story.uniform, story.contexts),
        f"Map of the laws of {title(r.name)} over context length: the model's and those of three estimators",
        "Every marker is a law after some number of samples (its filling); laws that overlap less lie further apart "
        "(Hellinger distance, on the two axes that hold most of it). All paths begin near the uniform law and aim at "
        "the truth (star); dashed, the shortest way. A path beside the model's estimates densities as the model does. "
        f"After {story.contexts[-1]} samples the {nearest} is nearest to the truth (KL {end[nearest]:.2g} nats; model "
        f"{end['model']:.2g}).",
    )


def _kernel(r: SystemResults, story: DensityStory, pictures: Pictures) -> Block:
    slope = story.bandwidth_exponent
    narrows = f" Here it narrows as n^{slope:.2f}.".replace("-", "−") if np.isfinite(slope) else ""
    return pictures.figure(
        f"{r.name}_kernel",
        bandwidth_figure(
            story.contexts,
            *(np.asarray(row) for row in (story.fit.bandwidth, story.fit.shape, story.fit.divergence)),
            at_bound=np.asarray(story.fit.at_bound),
            silverman=story.silverman_bandwidth,
        ),
        f"Width and shape of the kernel that makes an estimate most like the model's law of {title(r.name)}",
        f"The kernel estimator that resembles the model most ({KERNEL_NAME} above), against the number of samples. "
        "Top: its bandwidth (standard deviation, display units), beside Silverman's rule and the slope −1/5 of optimal "
        f"estimators.{narrows} Middle: its shape, 2 for a Gaussian, larger for flatter kernels, smaller for peaked "
        "ones. Bottom: the divergence it cannot remove; where this is small the model acts as that estimator does.",
    )

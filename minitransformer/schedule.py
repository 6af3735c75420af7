"""How large the steps of training are, from the first to the last."""

import math
from dataclasses import dataclass

from . import expect


@dataclass(frozen=True)
class Schedule:
    """Rises in a line over `warmup` steps, then falls along a cosine to a tenth of its peak."""

    steps: int
    peak: float
    warmup: int

    def __post_init__(self):
        expect.whole(1, steps=self.steps)
        expect.positive(peak=self.peak)
        expect.number(0, 100, peak=self.peak)  # AdamW moves each parameter by about so much a step
        expect.whole(0, warmup=self.warmup)

    def rate(self, step: int) -> float:
        if step < self.warmup:
            return self.peak * (step + 1) / self.warmup
        progress = (step - self.warmup) / max(1, self.steps - self.warmup)
        return self.peak * (0.55 + 0.45 * math.cos(math.pi * progress))

"""What the judges of this lesson draw: vectors, their number, and texts."""

import numpy as np

from ..small_models import CONFIG


def normal(rng, *shape: int) -> np.ndarray:
    return rng.normal(size=shape).astype(np.float32)


def some_length(rng) -> int:
    return int(rng.choice([4, 5, 6]))


def batch(rng, rows: int = 2, length: int = 5) -> list[np.ndarray]:
    return [rng.integers(1, CONFIG.vocab, (rows, length)) for _ in range(2)]  # tokens and targets

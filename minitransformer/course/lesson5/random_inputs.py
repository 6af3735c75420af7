"""What the judges of this lesson draw: shapes, numbers of vectors, and texts."""

from dataclasses import replace

import numpy as np

from ...model import Config
from ..small_models import CONFIG


def some_config(rng) -> Config:
    """A model's shape, with dimensions that cannot be taken for one another."""
    layers, heads, kv_heads, head = ((3, 4, 2, 4), (2, 4, 1, 6), (3, 4, 2, 6), (2, 6, 2, 4))[rng.integers(4)]
    return replace(CONFIG, layers=layers, heads=heads, kv_heads=kv_heads, width=heads * head)


def some_length(rng) -> int:
    return int(rng.choice([4, 5, 6]))


def batch(rng, rows: int = 2, length: int = 5) -> list[np.ndarray]:
    return [rng.integers(1, CONFIG.vocab, (rows, length)) for _ in range(2)]  # tokens and targets

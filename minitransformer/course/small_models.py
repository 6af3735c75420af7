"""What the judges of several lessons draw and compute with: small models' weights, softmax, vectors of length one."""

from dataclasses import asdict

import numpy as np

from ..model import Config, Transformer

CONFIG = Config(vocab=13, context=32, width=16, layers=3, heads=4, kv_heads=2, hidden=24)
SHAPE = asdict(CONFIG)  # as plain data


def normal(rng, *shape: int) -> np.ndarray:
    return rng.normal(size=shape).astype(np.float32)


def random_weights(rng, config: Config = CONFIG, scale=0.4, norms=0.4) -> dict[str, np.ndarray]:
    """Weights large enough that every mistake shows; those of the norms are 1 where `norms` is 0."""
    drawn = {}
    for name, weight in Transformer(config).state_dict().items():
        noise = rng.normal(size=weight.shape)
        drawn[name] = (scale * noise if noise.ndim == 2 else np.exp(norms * noise)).astype(np.float32)
    return drawn


def softmax(scores: np.ndarray) -> np.ndarray:
    """Over the last axis; a row that sees nothing gives NaN, as it does in torch."""
    with np.errstate(invalid="ignore"):
        powers = np.exp(scores - scores.max(-1, keepdims=True))
        return powers / powers.sum(-1, keepdims=True)


def unit(vectors: np.ndarray) -> np.ndarray:
    return vectors / np.linalg.norm(vectors, axis=-1, keepdims=True)

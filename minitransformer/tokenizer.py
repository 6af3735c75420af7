"""Text to token ids and back: words and punctuation marks for English, characters for Chinese."""

import difflib
import re
from collections.abc import Iterable, Sequence

import torch
from torch import Tensor

from . import expect

END = "<end>"
IGNORED = -100  # a target that the loss passes over
LETTERS = "A-Za-z\u00c0-\u024f"  # with accents, for worlds in other languages
TOKEN = re.compile(rf"<end>|[{LETTERS}']+|\S")
WORD = re.compile(f"[{LETTERS}]")


def split(text: str) -> list[str]:
    """The tokens of a text, known or not."""
    return TOKEN.findall(text)


class Tokenizer:
    """A closed vocabulary: exact round trips for everything in it, a clear error for everything else."""

    def __init__(self, vocabulary: Sequence[str]):
        expect.several(vocabulary=vocabulary)
        for token in vocabulary:
            expect.text(token=token)
        self.vocabulary = list(vocabulary)
        self.ids = {token: number for number, token in enumerate(self.vocabulary)}
        if len(self.ids) != len(self.vocabulary) or END not in self.ids:
            raise ValueError(f"a vocabulary lists each token once and contains {END!r}; this one does not")
        self.end = self.ids[END]

    def __len__(self) -> int:
        return len(self.vocabulary)

    def encode(self, text: str) -> list[int]:
        expect.a(str, text=text)
        tokens = split(text)
        try:
            return [self.ids[token] for token in tokens]
        except KeyError:
            missing = dict.fromkeys(token for token in tokens if token not in self.ids)
            raise ValueError(self.unknown(*missing)) from None

    def decode(self, ids: Iterable[int]) -> str:
        text, before = "", ""
        for token in self.tokens(ids):
            spaced = token == "→" or before == "→" or WORD.match(token)
            text += (" " if spaced and text else "") + token
            before = token
        return text

    def tokens(self, ids: Iterable[int]) -> list[str]:
        """One readable token for each id: the labels under a picture's columns."""
        return [self.vocabulary[number] for number in expect.ids(len(self), "ids", ids)]

    def unknown(self, *tokens: str) -> str:
        """What is wrong with a text that holds these tokens, and which known ones are nearest to each of them."""
        known: dict[str, list[str]] = {}
        for token in self.vocabulary:
            known.setdefault(token.lower(), []).append(token)
        hints = []
        for token in tokens:
            near = difflib.get_close_matches(token.lower(), known, n=3, cutoff=0.5)
            words = [min(known[word], key=lambda spelling, token=token: unlike(spelling, token)) for word in near]
            hints.append(f"{token!r} (near it: {', '.join(words)})" if words else f"{token!r} (nothing is near it)")
        few = "is none of them" if len(tokens) == 1 else "are none of them"
        return (
            f"this tokenizer knows {len(self.vocabulary)} words and marks, and {', '.join(hints)} {few}; "
            "write the text with words of tokenizer.vocabulary"
        )


def unlike(one: str, other: str) -> int:
    """How differently two words use capitals."""
    return (one[0].isupper() != other[0].isupper()) + 2 * (one.isupper() != other.isupper())


def batch(tokenizer: Tokenizer, examples: Sequence[tuple[str, str]]) -> tuple[Tensor, Tensor]:
    """(prompt, answer) texts -> tokens and targets, both (B, T), right-padded.

    Each token's target is the one after it, in the answer and at its end; inside the prompt it is IGNORED.
    """
    expect.methods("encode", "end", tokenizer=tokenizer)
    expect.several(examples=examples)
    for example in examples:
        if not isinstance(example, tuple | list) or [*map(type, example)] != [str, str] or not example[0].strip():
            raise ValueError(
                f"each example must be a pair of texts (prompt, answer) with a word in its prompt; got "
                f"{expect.shown(example)}: write [(prompt, answer), …]"
            )
    encoded = [(tokenizer.encode(prompt), [*tokenizer.encode(answer), tokenizer.end]) for prompt, answer in examples]
    longest = max(len(prompt) + len(answer) - 1 for prompt, answer in encoded)
    tokens = torch.full((len(encoded), longest), tokenizer.end)
    targets = torch.full((len(encoded), longest), IGNORED)
    for row, (prompt, answer) in enumerate(encoded):
        text = torch.tensor(prompt + answer)
        tokens[row, : len(text) - 1] = text[:-1]
        targets[row, len(prompt) - 1 : len(text) - 1] = text[len(prompt) :]
    return tokens, targets


def check_targets(tokens: Tensor, targets: Tensor, vocab: int) -> None:
    """Refuse targets that are not one for each token, a token id or IGNORED, and those with nothing to learn."""
    expect.a(Tensor, tokens=tokens, targets=targets)
    if targets.shape != tokens.shape or targets.dtype != torch.long:
        raise ValueError(
            f"targets must be a LongTensor of the tokens' shape {tuple(tokens.shape)}; got {targets.dtype} "
            f"{tuple(targets.shape)}: make both with batch(tokenizer, examples)"
        )
    wanted = targets[targets != IGNORED]
    if not len(wanted):
        raise ValueError(f"every target is {IGNORED}, which is ignored: there is no loss; give each batch some answers")
    if not 0 <= wanted.min() <= wanted.max() < vocab:
        raise ValueError(
            f"targets must be token ids from 0 to {vocab - 1}, or {IGNORED}; got some from {wanted.min()} to "
            f"{wanted.max()}: make them with the model's own tokenizer"
        )

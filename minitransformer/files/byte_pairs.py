"""The tokenizer of a real language model: pieces of words and single bytes. What it cannot write, it refuses.

Digits are cut one by one where the model's file says `smollm`: no token of SmolLM2 has two digits, or a space and one.
"""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from types import ModuleType

from .. import expect
from ..optional import library


class BytePairs:
    """Byte-pair encoding with the same few methods as the `Tokenizer` of the phrasebook."""

    def __init__(self, pairs, end: int | None):  # a tokenizers.Tokenizer
        expect.methods("encode", "decode", "get_vocab_size", pairs=pairs)
        self.pairs, self.end, self.writable = pairs, end, set()

    def __len__(self) -> int:
        return self.pairs.get_vocab_size()

    @property
    def highest(self) -> int:
        """The largest of its token ids."""
        return max(self.pairs.get_vocab().values(), default=-1)

    def encode(self, text: str) -> list[int]:
        if lost := sorted(sign for sign in {*text} - self.writable if not self.can_write(sign)):
            raise ValueError(
                f"this tokenizer has no tokens for {', '.join(map(ascii, lost))}: take them out of the text"
            )
        self.writable |= {*text}
        return self.pairs.encode(text, add_special_tokens=False).ids

    def can_write(self, sign: str) -> bool:
        """Whether nothing of this sign is lost: a library would leave out bytes without a token, and say nothing."""
        ids = self.pairs.encode(sign, add_special_tokens=False).ids
        return bool(ids) and (sign == "\ufffd" or "\ufffd" not in self.pairs.decode(ids, skip_special_tokens=False))

    def decode(self, ids: Iterable[int]) -> str:
        return self.pairs.decode([self.known(number) for number in ids], skip_special_tokens=False)

    def tokens(self, ids: Iterable[int]) -> list[str]:
        """One readable token for each id: the labels under a picture's columns."""
        return [self.decode([number]).replace("\n", "⏎") for number in ids]

    def known(self, number: int) -> int:
        if not 0 <= number < len(self):
            raise ValueError(f"token ids run from 0 to {len(self) - 1}; got {number}")
        return int(number)

    @classmethod
    def from_file(cls, path: str | Path, end: int | None) -> "BytePairs":
        """From a `tokenizer.json`."""
        parts = library("tokenizers", "the tokenizer of a real model")
        try:
            pairs = parts.Tokenizer.from_file(str(path))
        except Exception as error:  # the library raises plain Exceptions
            raise ValueError(f"{path} is damaged or is no tokenizer ({error}); fetch it again") from None
        if pairs.encode("a").ids != pairs.encode("a", add_special_tokens=False).ids:
            raise ValueError(
                f"{path} puts tokens of its own around every text, so a prompt and its answer cannot be encoded apart; "
                "only tokenizers that add nothing are supported"
            )
        return cls(pairs, end)

    @classmethod
    def from_merges(
        cls, vocabulary: Sequence[str], merges: Sequence[str], special: Iterable[str], cut: str, end: int | None
    ) -> "BytePairs":
        """From a vocabulary in the order of its ids, its merges in their order, and how it cuts a text beforehand."""
        parts = library("tokenizers", "the tokenizer of a real model")
        before = pre_tokenizers(parts)
        if cut not in before:
            raise ValueError(
                f"the tokenizer cuts texts the way called {cut!r}, which is not known here, and another way would give "
                f"other tokens; known are {', '.join(before)}"
            )
        ids = {token: number for number, token in enumerate(vocabulary)}
        try:
            model = parts.models.BPE(ids, [tuple(merge.split(" ")) for merge in merges])
        except Exception as error:  # the library raises plain Exceptions
            raise ValueError(f"vocabulary and merges do not go together: {error}") from None
        pairs = parts.Tokenizer(model)
        pairs.pre_tokenizer, pairs.decoder = before[cut], parts.decoders.ByteLevel()
        pairs.add_special_tokens(list(special))
        return cls(pairs, end)


def pre_tokenizers(parts: ModuleType) -> Mapping:
    """How a text is cut before pairs are merged, by the names that GGUF files use."""
    words = parts.pre_tokenizers.ByteLevel(add_prefix_space=False)  # as GPT-2 cuts words, with their space in front
    digits = parts.pre_tokenizers.Digits(individual_digits=True)
    return {"gpt-2": words, "smollm": parts.pre_tokenizers.Sequence([digits, words])}

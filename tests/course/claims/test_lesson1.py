"""What lesson 1 claims."""

import re
from copy import deepcopy
from dataclasses import replace
from itertools import combinations, pairwise

import pytest
import torch
import torch.nn.functional as F
from torch.utils.flop_counter import FlopCounterMode

from minitransformer import Cache, Config, PromptTuning, Recorder, Transformer, accuracy, batch, freeze, generate, train
from minitransformer.course import catalogue, lesson_text
from minitransformer.course.lesson_text import reference
from minitransformer.hooks import NO_HOOKS
from minitransformer.model import attend, visible
from minitransformer.tokenizer import IGNORED

TEXT = "in Chinese: Look out! →"
WORDS = "cat dog rabbit two three four new old big"
KINDS = "animal", "number", "look"


@pytest.fixture(scope="module")
def recorded(base) -> Recorder:
    """What flows through the model while it reads the sentence of section 5."""
    model, tokenizer = base
    recorder = Recorder()
    model(torch.tensor([tokenizer.encode(TEXT)]), recorder)
    return recorder


def family(book, tokenizer, kind: str) -> list[str]:
    """Each word of a kind that is one token: 16 animals, 9 numbers, 15 adjectives."""
    return [option.name for option in book.grammar.options[kind] if option.name in tokenizer.ids]


# --------------------------------------------------------------------------------------------- 1 to 3: the table


@pytest.mark.claim("1 §1", "Here a token is an English word, a punctuation mark, or a single Chinese character")
@pytest.mark.claim("1 §1", "The arrow is a token like any other")
@pytest.mark.claim("1 §2", "`!` has the id 4 and `→` the id 2")
def test_tokens_are_words_marks_and_characters(tokenizer):
    others = [token for token in tokenizer.vocabulary if not token.replace("'", "").isalpha()]
    assert others == ["<end>", ":", "→", ".", "!", "?", "。", "，"]
    assert {len(token) for token in tokenizer.vocabulary if not token.isascii()} == {1}
    assert tokenizer.encode("Look out! →")[2:] == [4, 2]


@pytest.mark.claim("1 §1", "from the left, take the longest piece that fits")
@pytest.mark.claim("1 §1", "a rare or misspelled one costs a place for nearly every letter")
@pytest.mark.claim("1.q16", "`un`, `read`, then `a`, `b`, `l`, `y`")
def test_words_are_cut_into_the_longest_pieces():
    text = lesson_text.source_of(1).read_text(encoding="utf-8")
    said = {}
    exec(re.search(r"^pieces = .*?(?=^for )", text, re.MULTILINE | re.DOTALL)[0], said)
    assert said["cut"]("kitten") == ["kit", "ten"] and said["cut"]("slepping") == [*"slep", "p", "ing"]
    said["pieces"][:] = ["un", "read", "able", *"abcdefghijklmnopqrstuvwxyz"]
    assert said["cut"]("unreadably") == ["un", "read", *"ably"] and said["cut"]("unreadable") == ["un", "read", "able"]


@pytest.mark.claim("1 §1", "It names known words that are *spelled* like it")
@pytest.mark.claim("1.q3", "Our own little tokenizer only *names* near words in its error")
def test_an_unknown_word_is_refused_and_words_spelled_like_it_are_named(tokenizer):
    with pytest.raises(ValueError, match=r"'kitten' \(near it: kitchen.*'slepping' \(near it: sleeping.*none of them"):
        tokenizer.encode("The kitten is slepping.")


@pytest.mark.claim("1 §0", "they will agree with the model's own to the last digits")
@pytest.mark.claim("1 §2", "replaces each id $w_t$ by its row")
@pytest.mark.claim("1 §5", "says nothing if they agree")
def test_the_lesson_s_three_parts_agree_with_the_model_s(model, tokenizer, recorded):
    tokens, (embed, mask, attend) = torch.tensor([tokenizer.encode(TEXT)]), map(reference, ("1.1", "1.2", "1.3"))
    assert torch.equal(embed(tokens, model.embedding.weight), recorded["embedding", None])
    assert torch.equal(mask(3, 5), visible(3, 5))
    for layer in range(4):
        query, key = (model.rotate(recorded[site, layer], 7)[0] for site in ("queries", "keys"))
        for head in range(4):
            weights, _ = attend(query[head], key[head // 2], recorded["values", layer][0, head // 2], mask(7, 7))
            torch.testing.assert_close(weights, recorded["weights", layer][0, head])


@pytest.mark.claim("1 §2", "The rows are learned, like all other weights")
@pytest.mark.claim("1.q4", "there is exactly one row for the token; a lookup knows no meanings")
@pytest.mark.claim("1.q4", "In the first block: its attention reads other neighbours")
@pytest.mark.claim("1 §3", "A row is the same wherever its token stands")
def test_a_token_has_one_row_and_differs_from_the_first_block_on(model, tokenizer):
    seen = []
    for text in "My watch is new.", "I watch you.":
        model(torch.tensor([tokenizer.encode(text)]), recorder := Recorder())
        seen.append(recorder)
    one, other = (recorder["embedding", None][0, 1] for recorder in seen)
    assert torch.equal(one, other) and any(weight is model.embedding.weight for weight in model.parameters())
    one, other = (recorder["output", 0][0, 1] for recorder in seen)
    assert (one - other).norm() > 0.1 * one.norm()


@pytest.mark.claim("1 §3", "Each word is nearest to another one of its own family")
@pytest.mark.claim("1 §3", "Three families appear: animals, numbers, adjectives")
def test_three_families_appear_among_the_words_of_the_picture(rows):
    table = F.normalize(rows(WORDS), dim=1)
    cosines = table @ table.T - 2 * torch.eye(9)
    assert [nearest.item() // 3 for nearest in cosines.argmax(1)] == [0, 0, 0, 1, 1, 1, 2, 2, 2]
    blocks = (table @ table.T).view(3, 3, 3, 3).mean((1, 3))  # families × families
    assert ((blocks.diagonal() - 1 / 3) * 3 / 2).min() > 1.5 * blocks.triu(1).max()  # a word with itself left out


@pytest.mark.claim("1 §3", "words that can stand in the same places were pulled towards similar rows")
def test_words_of_a_kind_have_similar_rows(rows, book, tokenizer):
    tables = [F.normalize(rows(" ".join(family(book, tokenizer, kind))), dim=1) for kind in KINDS]
    means = torch.tensor([[(one @ other.T).mean() for other in tables] for one in tables])
    assert min(means.diagonal()) > max(means[one, other] for one in range(3) for other in range(one)) + 0.12, means


# ---------------------------------------------------------------------------------------- 4 and 5: who sees whom


def everything(queries, keys, device=None):
    return torch.ones(queries, keys, dtype=torch.bool, device=device)


@pytest.fixture
def encoder(monkeypatch):
    """While a test runs, the model is an encoder: its mask hides nothing."""
    monkeypatch.setattr("minitransformer.model.visible", everything)


@pytest.mark.claim("1 §4", "Even `The` has noticed what comes three places later")
@pytest.mark.claim("1.q17", "The first token's vector depends on the last token of the text")
@pytest.mark.claim("1.q17", "Here a new token changes all vectors")
def test_in_an_encoder_every_position_notices_a_change(model, tokenizer, encoder):
    texts = torch.tensor([tokenizer.encode(text) for text in ("The cat is sleeping.", "The cat is playing.")])
    one, other = model(texts).detach()
    assert (one - other).abs().amax(1).min() > 0.1
    shorter = model(texts[:, :4]).detach()[0]
    assert (one[:4] - shorter).abs().amax(1).min() > 0.1


@pytest.mark.claim("1 §4", "a covered word can be read from the other language")
@pytest.mark.claim("1.q17", "a covered word is read from both sides, and from the other language")
def test_an_encoder_s_english_word_looks_at_the_chinese_that_follows_it(model, tokenizer, monkeypatch):
    pair, shares = torch.tensor([tokenizer.encode("The cat is sleeping. 猫在睡觉。")]), []
    for mask in visible, everything:
        monkeypatch.setattr("minitransformer.model.visible", mask)
        model(pair, recorder := Recorder(("weights",)))
        shares.append(recorder["weights", 1][0, :, 3, 5:].sum(-1).mean().item())
    assert shares[0] == 0 and shares[1] > 0.2


ORDERS = "backwards: Look out! →", "Look backwards! out: →"


@pytest.mark.claim("1 §5", "with all angles at 0 it is **order-blind**")
@pytest.mark.claim("1 §5", "To an encoder without positions, a sentence is a bag of words")
@pytest.mark.claim("1 §5", "A decoder still knows a little", "so that blocks further up can tell them apart")
@pytest.mark.claim(
    "1.q18", "without positions ten blocks are as blind as one", "a triangle would give the order away a little"
)
@pytest.mark.claim("1.q17", "without positions it sees a bag of words")
def test_without_positions_only_the_mask_tells_the_order(model, tokenizer, monkeypatch):
    blind = deepcopy(model)
    blind.cosine.fill_(1)
    blind.sine.fill_(0)

    def apart(which):  # at the last place: after the first block, and at the top
        seen = []
        for text in ORDERS:
            which(torch.tensor([tokenizer.encode(text)]), recorder := Recorder(("output", "logits")))
            seen.append([recorder[place][0, -1] for place in (("output", 0), ("logits", None))])
        return [(one - other).abs().max().item() for one, other in zip(*seen, strict=True)]

    below, above = apart(blind)
    assert below < 1e-4 and above > 0.5
    assert min(apart(model)) > 0.1
    monkeypatch.setattr("minitransformer.model.visible", everything)
    assert max(apart(blind)) < 1e-3 and min(apart(model)) > 0.1


@pytest.mark.claim("1 §4", "The three positions before the difference cannot have noticed it")
@pytest.mark.claim("1 §4", "the changed word itself and all after it have")
@pytest.mark.claim("1.q15", "since `account` comes later and is hidden")
def test_what_comes_later_changes_nothing_before_it(model, tokenizer):
    texts = torch.tensor([tokenizer.encode(text) for text in ("The cat is sleeping.", "The cat is playing.")])
    one, other = model(texts).detach()
    assert [(first - second).abs().max().item() > 1e-4 for first, second in zip(one, other, strict=True)] == [
        False, False, False, True, True
    ]  # fmt: skip


@pytest.mark.claim("1 close", "Queries are the last $T$ of the $S$ keys, and nobody sees what comes later")
@pytest.mark.claim("1 §4", "The queries are *the last $T$ of the $S$ positions*")
@pytest.mark.claim("1.q7", "Team Blue: `1 1 1 1 1 1 0` and `1 1 1 1 1 1 1`")
@pytest.mark.claim("1.q7", "the first of the two would see the second one")
def test_two_tokens_after_five_are_read_as_the_last_two_of_seven(model, tokenizer, monkeypatch):
    assert [" ".join(map(str, row)) for row in visible(2, 7).int().tolist()] == ["1 1 1 1 1 1 0", "1 1 1 1 1 1 1"]
    tokens = torch.tensor([tokenizer.encode(TEXT)])

    def last_two():
        cache = Cache()
        model(tokens[:, :5], cache=cache)
        return model(tokens[:, 5:], cache=cache)

    torch.testing.assert_close(last_two(), model(tokens)[:, 5:])
    right = last_two()
    monkeypatch.setattr("minitransformer.model.visible", lambda queries, keys, device: torch.ones(queries, keys) > 0)
    assert (last_two() - right)[0, 0].abs().max() > 1


@pytest.mark.claim(
    "1.q13", "they see 6, 7 and 8 keys", "1, 2 and 3 keys", "5, 6 and 7 keys", "would see the two that come after"
)
def test_how_many_pairs_three_queries_and_eight_keys_have():
    assert visible(3, 8).sum(1).tolist() == [6, 7, 8]
    assert visible(3, 8).numel() == 24 and visible(3, 8).sum() == 21
    every = torch.ones(3, 8)
    assert [every.tril(diagonal).sum(1).tolist() for diagonal in (0, 4)] == [[1, 2, 3], [5, 6, 7]]
    assert (~visible(3, 8)[0]).sum() == 2


@pytest.mark.claim("1 §5", "depends on how far apart they stand, and on nothing else about their places")
def test_turned_vectors_know_only_how_far_apart_they_stand(model, recorded):
    query, key = recorded["queries", 1], recorded["keys", 1].repeat_interleave(2, 1)  # 7 positions
    near, far = ((model.rotate(query, total) * model.rotate(key, total)).sum(-1) for total in (7, 107))
    torch.testing.assert_close(near, far, atol=1e-4, rtol=1e-4)  # of each with itself
    shifted = [model.rotate(query, total) @ model.rotate(key, total).transpose(2, 3) for total in (7, 107)]
    torch.testing.assert_close(*shifted, atol=1e-3, rtol=1e-3)
    assert (shifted[0] - query @ key.transpose(2, 3)).abs().max() > 1


@pytest.mark.claim("1 §5", "It changes nothing")
@pytest.mark.claim("1 §5", "Everything above the diagonal is exactly 0")
@pytest.mark.claim("1 §5", "Each row sums to 1")
@pytest.mark.claim("1 §5", "This model has 4 such heads in each block, side by side, and two of them share one set")
def test_attention_weights_are_shares_of_what_may_be_seen(model, tokenizer, recorded):
    plain = model(torch.tensor([tokenizer.encode(TEXT)]))
    torch.testing.assert_close(recorded["logits", None], plain, atol=1e-3, rtol=1e-4)
    for layer in range(model.config.layers):
        weights = recorded["weights", layer][0]
        assert weights.shape == (4, 7, 7) and recorded["keys", layer].shape[1] == 2
        assert torch.equal(weights, weights.tril())
        torch.testing.assert_close(weights.sum(-1), torch.ones(4, 7))


@pytest.mark.claim("1.q6", "a perfect loss by copying. When generating there is no later token to copy")
def test_without_the_mask_a_model_copies_what_it_should_predict(monkeypatch):
    texts = torch.randint(8, (320, 16, 8))  # tokens at random: nobody can know the next one
    batches = [(text, torch.cat((text[:, 1:], torch.full((16, 1), IGNORED)), 1)) for text in texts]
    config = Config(vocab=8, context=8, width=32, layers=1, heads=2, kv_heads=2, hidden=32)
    losses = {}
    for name, mask in {"masked": visible, "unmasked": lambda queries, keys, _: torch.ones(queries, keys) > 0}.items():
        torch.manual_seed(0)
        monkeypatch.setattr("minitransformer.model.visible", mask)
        losses[name] = train(model := Transformer(config), batches, steps=320, peak=2e-2, progress=False).loss[-1]
    assert losses["masked"] > 1.9 and losses["unmasked"] < 0.3  # without knowing anything: log 8 = 2.08
    (tokens, targets), ends = batches[0], range(1, 8)
    guesses = torch.stack([model(tokens[:, :end])[:, -1].argmax(-1) for end in ends], 1)
    assert (guesses == targets[:, :-1]).float().mean() < 0.3  # chance is .125


# ------------------------------------------------------------------------------------------- 6 and 7: the stream


@pytest.mark.claim("1 §6", "Each of the four blocks adds to it twice")
@pytest.mark.claim(
    "1 close", "A block adds to the stream twice; the logits compare its end with every row of the table"
)
@pytest.mark.claim("1 §6", "The shape is $T \\times D$ at every height")
@pytest.mark.claim("1 §6", "A pattern that a block has written stays visible further up, because blocks only *add*")
@pytest.mark.claim("1.q9", "repeating a step is not standing still")
def test_the_stream_keeps_its_shape_and_what_was_written(model, recorded):
    heights = [recorded["embedding", None], *(recorded["output", layer] for layer in range(4))]
    assert {each.shape for each in heights} == {(1, 7, 128)}
    for below, above in pairwise(heights[1:]):
        assert F.cosine_similarity(below, above, dim=-1).mean() > 0.5
    for layer, (below, above) in enumerate(pairwise(heights)):
        torch.testing.assert_close(above, below + recorded["attention", layer] + recorded["feed_forward", layer])
    once = recorded["output", 1]
    twice = model.blocks[1](once, NO_HOOKS, Cache(), model.rotate)
    assert (twice - once).norm() > 0.1 * once.norm()


@pytest.mark.claim(
    "1.q9", "Weights are shared, work is not", "take a sixth of the memory", "each block of a model ends up"
)
def test_one_block_that_runs_each_time_has_fewer_weights_and_as_much_work(model, tokenizer):
    def work(model):
        with FlopCounterMode(display=False) as counter:
            model(torch.tensor([tokenizer.encode(TEXT)]))
        return counter.get_total_flops()

    def numbers(blocks):
        return sum(weight.numel() for weight in blocks.parameters())

    shared = Transformer(model.config)
    shared.blocks = torch.nn.ModuleList([shared.blocks[0]] * 4)
    assert 4 * numbers(shared.blocks) == numbers(model.blocks) and work(shared) == work(model) > 0
    ends = [
        torch.cat([weight.flatten() for weight in block.parameters() if weight.dim() > 1]) for block in model.blocks
    ]
    assert max(F.cosine_similarity(one, other, dim=0) for one, other in combinations(ends, 2)) < 0.2


@pytest.mark.claim("1 §6", "with } c \\text{ about 11 here")
@pytest.mark.claim("1.q20", "twice the width is four times the numbers in each")
def test_blocks_grow_with_the_depth_and_with_the_width_squared(model):
    def in_blocks(**changes):
        blocks = Transformer(replace(model.config, **changes)).blocks
        return sum(weight.numel() for weight in blocks.parameters())

    ours = in_blocks()
    assert round(ours / 4 / 128**2) == 11
    assert in_blocks(layers=8) == 2 * ours and in_blocks(width=256, hidden=704) / ours == pytest.approx(4, rel=0.01)


@pytest.mark.claim("1 §7", "a model of $N$ numbers does about $2N$ operations for each token")
@pytest.mark.claim(
    "1 §7", "needs about $6N$", "the way back costs twice the way up", "to train a prompt for it about $4N$"
)
@pytest.mark.claim("1.q21", "each token of each answer costs about 2N operations")
def test_a_token_costs_two_four_or_six_operations_for_each_number():
    shape = Config(vocab=512, context=32, width=128, layers=4, heads=4, kv_heads=2, hidden=352)
    model, tokens = Transformer(shape), torch.randint(512, (8, 16))
    unit = sum(weight.numel() for weight in model.parameters()) * tokens.numel()

    def work(hooks, back):
        with FlopCounterMode(display=False) as counter:
            total = model(tokens, hooks).sum()
            if back:
                total.backward()
        return counter.get_total_flops() / unit

    assert work(NO_HOOKS, back=False) == pytest.approx(2, abs=0.1)
    assert work(NO_HOOKS, back=True) == pytest.approx(6, abs=0.3)
    freeze(model)
    prompt = PromptTuning(1, shape)
    assert work(prompt, back=True) == pytest.approx(4, abs=0.4)


@pytest.mark.claim("1 §6", "each vector is normalised and compared with every row of the embedding table")
@pytest.mark.claim("1.q12", "For each token, the dot product of its row with the final vector")
@pytest.mark.claim("1.q12", "logits may be negative and do not sum to one")
def test_the_logits_are_read_with_the_table(model, recorded):
    logits = model.norm(recorded["output", 3]) @ model.embedding.weight.T
    torch.testing.assert_close(logits, recorded["logits", None])
    assert logits.min() < 0 and (logits.sum(-1) - 1).abs().min() > 1


@pytest.mark.claim("1.q5", "every query head has its own queries: 4 heads × 6 tokens × width 32")
def test_the_recorder_sees_these_shapes():
    config = Config(vocab=900, context=16, width=128, layers=1, heads=4, kv_heads=2, hidden=64)
    Transformer(config)(torch.randint(900, (1, 6)), recorder := Recorder())
    places = ("embedding", None), ("queries", 0), ("keys", 0), ("weights", 0), ("logits", None)
    expected = (1, 6, 128), (1, 4, 6, 32), (1, 2, 6, 32), (1, 4, 6, 6), (1, 6, 900)
    assert tuple(recorder[place].shape for place in places) == expected


@pytest.mark.claim("1 §7", "Without an instruction the model is torn between its skills")
@pytest.mark.claim("1 §7", "Each of them begins the right answer of some skill")
@pytest.mark.claim("1 §7", "The same frozen numbers, three answers")
@pytest.mark.claim("1 close", "A frozen model can still be steered, through what comes in")
@pytest.mark.claim("1.q11", "the same frozen weights answered in Chinese once the instruction stood in front")
def test_the_words_in_front_decide(model, tokenizer, probability):
    texts = "Look out! →", TEXT, "shout: Look out! →"
    _, chinese, shout = (tokenizer.decode(*generate(model, [tokenizer.encode(text)])) for text in texts)
    assert (chinese, shout) == ("小心!", "LOOK OUT!")
    likeliest = model(torch.tensor([tokenizer.encode("Look out! →")]))[0, -1].softmax(-1).topk(4)
    assert set(tokenizer.tokens(likeliest.indices)) == {"out", "Look", "two", "LOOK"}
    assert likeliest.values.max() < 0.7 and likeliest.values.min() > 0.03
    assert probability("Look out! →", "小") < 0.2 and probability(TEXT, "小") > 0.9


@pytest.mark.claim("1 §7", "It has learned several skills (translating, shouting, counting words, …)")
@pytest.mark.claim("1 §7", "an instruction in words calls one up")
def test_an_instruction_calls_up_a_skill(model, tokenizer, book):
    for skill in "chinese", "shout", "count":
        plain, asked = (batch(tokenizer, book.examples(skill, "test", 40, instructed=each)) for each in (False, True))
        assert accuracy(model, plain) < 0.5 and accuracy(model, asked) > 0.85


@pytest.mark.claim("1 §7", "none of its numbers may change any more")
@pytest.mark.claim("1.q11", "You changed the answer with gradients off, by adding two words")
@pytest.mark.claim("1.q11", "not one byte of it changes by running it")
def test_a_frozen_model_takes_no_gradient(model, tokenizer):
    assert not any(weight.requires_grad for weight in freeze(model).parameters())
    before = [weight.clone() for weight in model.parameters()]
    assert not model(torch.tensor([tokenizer.encode(TEXT)])).requires_grad
    assert all(torch.equal(*pair) for pair in zip(before, model.parameters(), strict=True))
    assert tokenizer.tokens(tokenizer.encode(TEXT))[:2] == ["in", "Chinese"]


@pytest.mark.claim("1 §5", "weight 1, and it reads 21")
@pytest.mark.claim("1 §5", "it reads $\\frac13 \\cdot 21 + \\frac23 \\cdot 0 = 7$")
@pytest.mark.claim("1 §5", "\\frac47 \\cdot 42 = 27$")
def test_three_tokens_on_paper_read_what_the_model_s_attention_gives():
    query, key = torch.ones(1, 1, 3, 1), torch.tensor([1.0, 2.0, 4.0]).log().reshape(1, 1, 3, 1)
    value = torch.tensor([21.0, 0.0, 42.0]).reshape(1, 1, 3, 1)
    assert attend(query, key, value, visible(3, 3)).flatten().tolist() == pytest.approx([21, 7, 27], abs=1e-4)


@pytest.mark.claim("1 §6", "the norm is $(0.85, 1.13)$; for $x = (30, 40)$ it is the same")
@pytest.mark.claim("1 §6", "attention and feed-forward read a *normalised* copy of $x$")
def test_the_norm_brings_every_vector_to_the_same_size(model, tokenizer):
    for x in torch.tensor([3.0, 4.0]), torch.tensor([30.0, 40.0]):
        assert torch.nn.RMSNorm(2, 1e-5)(x).tolist() == pytest.approx([0.85, 1.13], abs=0.01)
    with torch.no_grad():
        model.hidden(torch.tensor([tokenizer.encode(TEXT)]), recorder := Recorder())
        block, x = model.blocks[1], recorder["input", 1]
        equal = torch.testing.assert_close
        equal(recorder["queries", 1].transpose(1, 2).flatten(2), block.attention.query(block.attention.norm(x)))
        x = x + recorder["attention", 1]
        equal(recorder["feed_forward", 1], block.feed_forward(block.norm(x), NO_HOOKS))


# --------------------------------------------------------------------------------------------- 2: the ladder


@pytest.mark.claim("1 §2", "`table[0]` is the first row of a table: counting starts at 0")
@pytest.mark.claim("1 §2", "the shape `(2,)` becomes `(2, 1)`", "has two rows: 5, 50 and 6, 60")
@pytest.mark.claim("1 §2", "The scores here are the logarithms of 1, 1, 2 and of 2, 6, 2")
@pytest.mark.claim("1 §2", "Dimension 0 runs down, dimension 1 to the right")
def test_the_ladder_s_words_about_tensors_hold():
    x = torch.tensor([5, 6])
    assert x[:, None].shape == (2, 1) and (x[:, None] * torch.tensor([1, 10])).tolist() == [[5, 50], [6, 60]]
    scores = catalogue.puzzles(1)["1.z6"].inputs()["scores"]
    torch.testing.assert_close(scores.exp(), torch.tensor([[1.0, 1, 2], [2, 6, 2]]))
    torch.testing.assert_close(scores.softmax(0).sum(0), torch.ones(3))
    table = catalogue.puzzles(1)["1.z1"].inputs()["table"]
    assert table[0].tolist() == table.tolist()[0]


# ------------------------------------------------------------------------------------------------ worked numbers


@pytest.mark.claim("1 §3", "for $a = (3, 4)$ and $b = (4, 3)$ it is 24 / (5 · 5) = 0.96")
@pytest.mark.claim("1 §4", "With 3 queries and 5 keys, query 0 sees keys 0, 1 and 2")
@pytest.mark.claim("1 §5", "so the shares are sevenths")
@pytest.mark.claim("1 §6", "a token with the row $(3, -1)$ would get the logit $3 - 2 = 1$")
@pytest.mark.claim("1 §6", "$11 \\cdot 4 \\cdot 128^2$ is about 720,000")
def test_the_numbers_worked_by_hand_are_right():
    assert F.cosine_similarity(torch.tensor([3.0, 4]), torch.tensor([4.0, 3]), dim=0).item() == pytest.approx(0.96)
    assert visible(3, 5)[0].nonzero().flatten().tolist() == [0, 1, 2]
    shares = 7 * torch.tensor([1.0, 2.0, 4.0]).log().softmax(0)
    torch.testing.assert_close(shares, torch.tensor([1.0, 2, 4]))
    assert (torch.tensor([1.0, 2]) @ torch.tensor([[3.0, -1]]).T).item() == 1
    assert abs(11 * 4 * 128**2 - 720_000) < 7_200


@pytest.mark.claim("1 §6", "The vectors grow")
def test_the_vectors_grow_from_block_to_block(model, tokenizer):
    for text in TEXT, "The cat is sleeping.", "shout: The old dog is eating. →":
        model(torch.tensor([tokenizer.encode(text)]), recorder := Recorder(("output",)))
        lengths = [recorder["output", block].norm(dim=-1).mean().item() for block in range(4)]
        assert all(above > below for below, above in pairwise(lengths)), lengths

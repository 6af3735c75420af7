"""What lesson 7 claims."""

from functools import cache
from types import SimpleNamespace

import pytest
import torch

from minitransformer import (
    Batches,
    Cache,
    Config,
    Hooks,
    KeyValuePrefix,
    PrefixTuning,
    PromptBank,
    PromptTuning,
    Transformer,
    accuracy,
    batch,
    compile_prefix,
    fingerprint,
    freeze,
    generate,
    save,
    train,
)
from minitransformer.course import lesson_text
from minitransformer.course.lesson_text import reference
from minitransformer.real.tasks import chinese_texts, recorded
from minitransformer.results import spread


@pytest.fixture(scope="module")
def lesson(base, book):
    """What the lesson's own cells define: three tenants, and the two versions of the base that are rolled out."""
    names = dict(model=base[0], tokenizer=base[1], book=book, fingerprint=fingerprint, freeze=freeze)
    names |= {"Mixed": reference("7.3"), "compile_prefix": compile_prefix}
    exec(lesson_text.setup(7), names)
    wanted = "tenants = {", "hurried = deepcopy", "def reordered", "moved = ", "def pair"
    for cell in lesson_text.cells(lesson_text.source_of(7)):
        if not cell.is_text and any(words in cell.source for words in wanted):
            exec(cell.source.partition("together = ")[0], names)
    return SimpleNamespace(**names)


@pytest.fixture(scope="module")
def kept(lesson):
    """tenant -> its soft prompt."""
    return {name: hooks for name, (_, hooks) in lesson.tenants.items()}


@pytest.fixture(scope="module")
def right(lesson, book, tokenizer):
    """How much of a skill a base shows: with a soft prompt, or asked in words where there is none."""

    @cache
    def texts(skill, worded):
        return batch(tokenizer, book.examples(skill, count=80, instructed=worded))

    @cache
    def share(base, tenant, hooks=None):
        return accuracy(base, texts(lesson.tenants[tenant][0], worded=hooks is None), hooks or Hooks())

    return share


@pytest.fixture(scope="module")
def question(tokenizer):
    return tokenizer.encode("Look out! →")


def apart(one, other) -> float:
    return (one - other).abs().max().item()


@pytest.mark.claim("7 §1", "a school that wants translations, a sports club that wants its announcements shouted, and",
                   "a puzzle magazine that wants sentences backwards")  # fmt: skip
def test_each_tenant_gets_what_it_wants(lesson, model, tokenizer, kept, right, question):
    answers = {name: tokenizer.decode(generate(model, [question], hooks)[0]) for name, hooks in kept.items()}
    assert answers == {"school": "小心!", "club": "LOOK OUT!", "magazine": "out Look!"}
    assert min(right(model, name, hooks) for name, hooks in kept.items()) > 0.85


@pytest.mark.claim("7 §1", "How many of its numbers will have changed?", "change one of them, and it is another")
@pytest.mark.claim("7.q1", "not a byte has changed, as the fingerprint shows")
def test_no_number_of_the_base_has_changed_and_a_fingerprint_would_show_it(lesson, model):
    assert all(torch.equal(one, other) for one, other in zip(lesson.weights, model.parameters(), strict=True))
    assert fingerprint(model) == lesson.untouched
    weight = model.blocks[2].up.weight.data
    before = weight[3, 5].item()
    weight[3, 5] = before + 1e-6
    changed = fingerprint(model)
    weight[3, 5] = before
    assert changed != lesson.untouched == fingerprint(model)


@pytest.mark.claim("7.q2", "equal bytes cannot answer differently", "B and C see the same base and their own vectors",
                   "training leaves nothing behind in the base")  # fmt: skip
def test_one_tenant_trained_on_bad_data_is_not_noticed_by_another(model, book, tokenizer, kept, question):
    tokens = torch.tensor([question])
    before = {name: model(tokens, hooks) for name, hooks in kept.items()}
    bad = PromptTuning(2, model.config)
    spoilt = ((tokens, targets.roll(1, 0)) for tokens, targets in Batches(book, tokenizer, ["chinese"], rows=8))
    assert train(model, spoilt, bad, steps=5, progress=False).proof["base_unchanged"]
    assert all(torch.equal(model(tokens, kept[name]), logits) for name, logits in before.items())


@pytest.mark.claim("7 §2", "A number takes 4 bytes here", "A file has a few hundred bytes more, which say what it is")
@pytest.mark.claim("7.1", "Times the length, times 4 bytes")
def test_a_tenant_weighs_what_is_counted_and_its_file_a_little_more(model, tmp_path):
    for name, method in ("prompt", PromptTuning), ("prefix", PrefixTuning), ("key/value", KeyValuePrefix):
        hooks, path = method(3, model.config), tmp_path / "tenant.safetensors"
        save(hooks, path, model)
        counted = reference("7.1")(name, 3, model.config)
        assert counted == sum(parameter.nbytes for parameter in hooks.parameters())
        assert 100 < path.stat().st_size - counted < 1500


@pytest.mark.claim("7 §6", "a prompt's vector takes 512 bytes; a prefix's would take 2,048 and is out at length 1")
@pytest.mark.claim("7 §6", "at most 1,200 bytes of numbers each")
@pytest.mark.claim("7.q12", "such a prefix takes 131 KB here", "they fit, and the argument is as unfounded")
@pytest.mark.claim("7.q13", "(4 layers, width 128)", "4.4 MB each is far over 2 KB", "4 · 128 numbers are 2 KB",
                   "4 layers · 4 vectors · 128 numbers are 8 KB",
                   "2 · 4 layers · 4 tokens · 2 heads · 32 numbers: 8 KB",
                   "4 layers · 1 vector · 128 numbers are 2 KB as well")  # fmt: skip
@pytest.mark.claim("7.q17", "1,024 of the 1,200 bytes", "A prefix of 1 vector a layer takes 2,048 bytes and is out")
def test_what_soft_prompts_and_copies_of_this_base_weigh(model):
    weigh, config = reference("7.1"), model.config
    assert (config.layers, config.width) == (4, 128)
    assert [weigh("prompt", 1, config), weigh("prefix", 1, config)] == [512, 2048]
    assert min(weigh("prefix", 1, config), weigh("key/value", 1, config)) > 1200 > weigh("prompt", 2, config)
    assert round(weigh("prefix", 64, config), -3) == 131_000 and weigh("prompt", 64, config) < 100_000
    assert (weigh("prompt", 4, config), weigh("prefix", 4, config)) == (2 * 1024, 8 * 1024)
    assert (weigh("key/value", 4, config), weigh("prompt", 2, config)) == (8 * 1024, 1024)
    compiled = compile_prefix(model, PromptTuning(4, config))
    assert sum(part.nbytes for part in compiled.parameters()) == 2 * 4 * 4 * 2 * 32 * 4 == 8 * 1024
    assert round(sum(weight.nbytes for weight in model.parameters()) / 1e6, 1) == 4.4


@pytest.mark.claim("7 §2", "The school's prompt of 4 vectors takes $4 \\cdot 4 \\cdot 128 = 2{,}048$ bytes")
@pytest.mark.claim(
    "7 §3", "block 0 had 4 positions and $4 \\cdot 6 = 24$ pairs, and all four blocks 16 and 96", "`(16, 96)`"
)
@pytest.mark.claim(
    "7 §4", "$G = 2$ and $d = 32$: $(3, 2, 4, 32)$ for each layer, and the matrix of strengths, $(3, 4)$"
)
def test_the_exercises_give_the_numbers_that_stand_in_their_texts(model, question):
    config, club = model.config, PrefixTuning(2, model.config)
    assert reference("7.1")("prompt", 4, config) == 2048
    assert reference("7.2")(model, torch.tensor([question]), club) == (16, 96)
    rows = [(torch.zeros(4, 2, length, 32),) * 2 for length in (2, 4, 1)]
    mixed = reference("7.3")(rows)
    assert {layer.shape for layer in (*mixed.keys, *mixed.values)} == {(3, 2, 4, 32)}
    assert torch.isinf(mixed.strengths).tolist() == [[True, True, False, False], [False] * 4, [True] * 3 + [False]]


@pytest.mark.claim("7.q3", "A model has 20 layers, width 1,000, 10 query heads and 2 key/value heads of width 100",
                   "40,000 bytes", "800,000 bytes", "320,000 bytes", "160,000 bytes")  # fmt: skip
def test_what_soft_prompts_of_a_larger_model_weigh():
    weigh, config = reference("7.1"), Config(10, 10, 1000, 20, 10, 2, 10)
    kinds = ("prompt", 10), ("prefix", 10), ("key/value", 10), ("key/value", 5)
    assert [weigh(*kind, config) for kind in kinds] == [40_000, 800_000, 320_000, 160_000]


@pytest.mark.claim("7 §3", "A compiled prompt costs exactly what a prefix costs, and no position more than the bare",
                   "From the second step on *all* soft prompts of one length cost the same: their keys in each block",
                   "What is saved by compiling is saved at the first step of each request",
                   "The price: the file is now keys and values")  # fmt: skip
@pytest.mark.claim("7 close", "compiled, it is served at a prefix's cost. From the second token on only length counts")
@pytest.mark.claim("7.q4", "20 remain of 70, at exactly the same logits")
@pytest.mark.claim("7.q15", "A prefix would cost the same in service and L times the file")
@pytest.mark.claim(
    "7.q5",
    "both leave 50 keys in each layer, and a new token is one position",
    "at the first step the prompt's 50 positions run through the model, unless it was compiled",
)
@pytest.mark.claim("7.q13", "Compiled, all that it costs in service is 4 keys in each layer")  # fmt: skip
@pytest.mark.parametrize(("text", "length"), [(6, 8), (20, 50), (6, 4)])
def test_what_a_tenant_slows_down(model, text, length):
    work, layers = reference("7.2"), model.config.layers
    tokens, following = torch.arange(1, text + 1)[None], torch.tensor([[7]])
    prompt = PromptTuning(length, model.config)
    compiled = compile_prefix(model, prompt)
    hooks = [Hooks(), prompt, compiled, PrefixTuning(length, model.config)]
    caches = [Cache() for _ in hooks]
    bare, long, short, prefix = (work(model, tokens, each, cache) for each, cache in zip(hooks, caches, strict=True))
    assert bare[0] == layers * text and long[0] == layers * (length + text)
    assert short == prefix == (bare[0], layers * text * (length + text)) and short[1] < long[1]
    bare, *others = (work(model, following, each, cache) for each, cache in zip(hooks, caches, strict=True))
    assert bare[0] == layers and set(others) == {(layers, bare[1] + layers * length)}
    assert apart(model(tokens, prompt), model(tokens, compiled)) < 1e-4
    assert sum(each.nbytes for each in compiled.parameters()) > prompt.vectors.nbytes


@pytest.mark.claim(
    "7 §4",
    "Each row must say what it says alone",
    "0 for a key that counts, and $-\\infty$ for a slot",
    "The package's `PromptBank` does this",
)
@pytest.mark.claim("7 close", "In a mixed batch prefixes end where the text begins")
@pytest.mark.claim("7.q6", "rows do not see each other")  # fmt: skip
def test_in_one_batch_each_tenant_says_what_it_says_alone(lesson, model, tokenizer, book, kept):
    texts = [tokenizer.encode(asked) for asked, _ in book.examples("shout", count=8)]
    bank = PromptBank(model)
    for name, hooks in kept.items():
        bank.add(name, hooks)
    names = [*kept, None] * 2
    prefixes = [(lesson.nothing, lesson.nothing) if name is None else lesson.pair(kept[name]) for name in names]
    alone = [generate(model, [text], kept.get(name, Hooks()))[0] for name, text in zip(names, texts, strict=True)]
    assert generate(model, texts, lesson.Mixed(prefixes)) == bank.generate(names, texts) == alone


@pytest.mark.claim("7 §4", "tenants enter under a name, are compiled, and can be replaced while batches are running")
def test_a_batch_keeps_the_prompts_that_it_began_with(model, kept, question):
    bank, tokens = PromptBank(model), torch.tensor([question])
    bank.add("tenant", kept["school"])
    running = bank.rows(["tenant"])
    bank.replace("tenant", kept["club"])
    assert apart(model(tokens, running), model(tokens, kept["school"])) < 1e-4
    assert apart(bank.forward(["tenant"], tokens), model(tokens, kept["club"])) < 1e-4


def behind_slots(model, hooks, count):
    """A soft prompt behind so many empty slots that nothing hides."""
    prefix = compile_prefix(model, hooks)
    keys, values = (
        [torch.cat((own.new_zeros(len(own), count, own.shape[2]), own), 1) for own in part]
        for part in (prefix.keys, prefix.values)
    )
    return KeyValuePrefix.from_keys_values(model.config, keys, values)


@pytest.mark.claim(
    "7 §4",
    "The longest row has no empty slot, so it is right",
    "A slot of zeros is not nothing",
    "Every *other* row computes something else",
    "In how many of the three rows",
)
@pytest.mark.claim(
    "7.q7",
    "answers are right when its prefix is the longest",
    "Logits never contain NaN",
    "then the prefix would be gone and the answers would be the bare model's",
    "then the *shortest* would be right",
)
@pytest.mark.claim("lessons/TEACHING.md", "a zero key still takes its share: e⁰ = 1")  # fmt: skip
def test_without_the_bias_only_the_longest_row_is_right(lesson, model, kept, question):
    tokens, own = torch.tensor([question] * 3), [lesson.pair(hooks) for hooks in kept.values()]  # of lengths 4, 2, 3
    mixed, forgotten, hidden = (lesson.Mixed(own) for _ in range(3))
    cut = lesson.Mixed([(keys[:, :, -2:], values[:, :, -2:]) for keys, values in own])
    forgotten.strengths.zero_()
    hidden.strengths.fill_(-torch.inf)
    with torch.no_grad():
        right, slots, shortest = (model(tokens, hooks) for hooks in (mixed, forgotten, cut))
        assert apart(model(tokens, hidden), model(tokens)) < 1e-4
    assert not slots.isnan().any()
    assert [apart(*rows) > 0.1 for rows in zip(right, slots, strict=True)] == [False, True, True]
    assert [apart(*rows) > 0.1 for rows in zip(right, shortest, strict=True)] == [True, False, True]


@pytest.mark.claim("7.q14", "e⁰ = 1 like the others: 2 of 8", "With higher scores of the keys that count it is less")
def test_the_share_of_two_slots_beside_six_keys():
    def share(score):
        return torch.tensor([0.0, 0.0, *[score] * 6]).softmax(0)[:2].sum().item()

    assert share(0.0) == pytest.approx(0.25) and 0 < share(3.0) < share(1.0) < 0.25 < share(-1.0)


@pytest.mark.claim("7 §4", "A few empty slots spoil an answer here and there, many spoil most of them")
@pytest.mark.claim("7.q7", "the more so, the longer the longest", "More slots take more")
@pytest.mark.claim("7.3", "A key of zeros has the score 0 and takes")
def test_the_more_empty_slots_are_seen_the_worse_the_answers(model, kept, right, question):
    tokens = torch.tensor([question])
    for name, hooks in kept.items():
        shares = [right(model, name, behind_slots(model, hooks, count)) for count in (0, 1, 8, 32)]
        assert shares == sorted(shares, reverse=True) and shares[1] > 0.6 > 0.3 > shares[3], (name, shares)
        off = [apart(model(tokens, behind_slots(model, hooks, count)), model(tokens, hooks)) for count in (1, 4, 16)]
        assert off == sorted(off) and off[0] > 0.1, (name, off)


@pytest.mark.claim(
    "7.q8",
    "all distances inside prefix and text are as alone",
    "the prefix stands three positions further from the text than it was trained at",
    "but their keys still take a share of the softmax away from the others",
    "a key that is there more than once gets that many shares",
)
@pytest.mark.claim("7.3", "Empty slots then push it away from the text, and positions")
@pytest.mark.parametrize("tenant", ["school", "club", "magazine"])  # fmt: skip
def test_one_team_of_four_computes_what_the_short_row_computes_alone(lesson, model, kept, question, tenant):
    tokens, (keys, values) = torch.tensor([question]), lesson.pair(kept[tenant])
    length = keys.shape[2]
    slots = keys.new_zeros(*keys.shape[:2], 3, keys.shape[3])
    hidden = torch.full((1, 3), -torch.inf)

    def team(keys, values, strengths=None):
        biases = () if strengths is None else [strengths] * model.config.layers
        return model(tokens, KeyValuePrefix.from_keys_values(model.config, keys, values, biases))

    front, behind = ([torch.cat(pair, 2) for pair in ((slots, part), (part, slots))] for part in (keys, values))
    (keys_behind_slots, keys_before_slots), (values_behind_slots, values_before_slots) = front, behind
    open_slots = torch.zeros(1, length)
    again = [torch.cat((part, part, part), 2)[:, :, : length + 3] for part in (keys, values)]
    teams = {
        "amber": team(keys_before_slots, values_before_slots, torch.cat((open_slots, hidden), 1)),
        "blue": team(keys_behind_slots, values_behind_slots, torch.cat((hidden, open_slots), 1)),
        "coral": team(keys_behind_slots, values_behind_slots),
        "dune": team(*again),
    }
    off = {name: apart(logits, model(tokens, kept[tenant])) for name, logits in teams.items()}
    assert off.pop("blue") < 1e-3 and min(off.values()) > 0.1, off


@pytest.mark.claim("7.q10", "Equal tokens are taken for equal caches, though the tenant's keys are in there, too",
                   "These are good answers, for someone else", "prefix and text were read together")  # fmt: skip
def test_a_cache_found_by_its_tokens_answers_for_whoever_filled_it(model, kept, question):
    tokens = torch.tensor([question])
    for filled, asking in (("club", "school"), ("school", "club"), ("magazine", "school")):  # a prefix, a prompt, keys
        store = Cache()
        model(tokens[:, :-1], kept[filled], store)
        answer = model(tokens[:, -1:], kept[asking], store)[0, -1]
        assert apart(answer, model(tokens, kept[filled])[0, -1]) < 1e-3
        assert answer.argmax() != model(tokens, kept[asking])[0, -1].argmax()


@pytest.mark.claim(
    "7 §5",
    "and the logits of a text stay what they were",
    "the *skill* is still there",
    "answers as well as before when it is asked in words, and hardly ever with the old vectors",
    "its meaning is what these weights make of it",
)
@pytest.mark.claim("7.q16", "vectors that do not fit are wrong most of the time, alone as well")
@pytest.mark.claim("7.q9", "asked in words, it shows them as before", "mean something else to the new ones")
@pytest.mark.claim("7 close", "A soft prompt belongs to one set of weights")
@pytest.mark.parametrize("seed", [0, 1, 2])  # fmt: skip
def test_a_reordered_base_keeps_its_words_and_loses_its_vectors(lesson, model, kept, right, question, seed):
    moved, tokens = lesson.reordered(model, seed), torch.tensor([question])
    assert apart(moved(tokens), model(tokens)) < 1e-3
    for name, hooks in kept.items():
        assert right(moved, name) == pytest.approx(right(model, name), abs=0.02) and right(moved, name) > 0.9
        assert right(moved, name, hooks) < 0.3 < 0.85 < right(model, name, hooks)


@pytest.mark.claim("7 §5", "refuses vectors that were made for another base, even if it says the same to every text")
@pytest.mark.claim("7 close", "Fingerprints refuse the others")
@pytest.mark.claim("7.q9", "let fingerprints refuse old ones")
def test_a_bank_refuses_vectors_for_a_base_that_says_the_same(lesson, kept):
    for hooks in kept.values():
        with pytest.raises(ValueError, match="this soft prompt was made for the model"):
            PromptBank(lesson.moved).add("tenant", hooks)


@pytest.mark.claim("7 §5", "After the training *in a hurry* both fall: the base itself got worse")
@pytest.mark.parametrize("seed", [7, 8])
def test_a_base_trained_in_a_hurry_gets_worse_in_words_and_with_vectors(
    lesson, model, book, tokenizer, kept, right, seed
):
    hurried = lesson.hurried
    if seed != 7:
        hurried = lesson.deepcopy(model).requires_grad_(True)
        asked = Batches(book, tokenizer, list(book.skills), rows=32, seed=seed, instructed=1.0)
        train(hurried, asked, steps=30, peak=5e-3, progress=False)
    for name, hooks in kept.items():
        assert right(hurried, name) < right(model, name) - 0.1
        assert right(hurried, name, hooks) < right(model, name, hooks) - 0.1


@pytest.mark.claim(
    "7 §5",
    "vectors that are trained again, on the new base, are good on the first one, and cannot bring",
    "back what the second one has lost",
)
@pytest.mark.claim("7.q9", "Train it again on the new base")
@pytest.mark.claim("7.q11", "if the new base has lost the skill itself, no prompt will bring it back")  # fmt: skip
def test_new_vectors_mend_what_does_not_fit_and_not_what_is_lost(lesson, model, book, tokenizer, right):
    shares = []
    for base in lesson.moved, lesson.hurried:
        again = PromptTuning(4, model.config)
        train(base, Batches(book, tokenizer, ["chinese"], rows=16), again, steps=60, progress=False)
        shares.append(right(base, "school", again))
    assert shares[0] > 0.9 and shares[1] < 0.7, shares


@pytest.mark.claim("7 §6", "60 steps of 16 rows", "at least 0.9")
@pytest.mark.claim("7.4", "Train as in the first section, for some 60 steps of 16 rows", "Some are out")
@pytest.mark.claim("7.q13", "calling up a skill is what a prompt can do")
@pytest.mark.claim("7.q12", "where a skill is only to be called up, a short prompt may do")
@pytest.mark.claim(
    "7.q17", "it was right in at least 0.93, with two seeds", "The words `backwards:` take 2 keys as well"
)
def test_two_vectors_and_sixty_steps_are_enough_for_the_decision(model, tokenizer, book, right):
    decision = reference("7.4")(model, tokenizer, book)
    assert decision["accuracy"] >= 0.93 and decision["bytes"] <= 1200 and decision["extra keys"] <= 4
    other = PromptTuning(2, model.config, seed=1)
    train(model, Batches(book, tokenizer, ["backwards"], rows=16, seed=1), other, steps=60, progress=False)
    assert right(model, "magazine", other) >= 0.93
    assert len(tokenizer.encode("backwards:")) == 2
    asked = [(f"backwards: {text}", answer) for text, answer in book.examples("backwards", "test", 100)]
    assert accuracy(model, batch(tokenizer, asked)) > 0.9


@pytest.mark.claim("7 §7", "It has 30 blocks of width 576, 9 query heads over 3 key/value heads, and 134,515,008",
                   "Of the base nothing is copied, so the larger it is, the more is saved")  # fmt: skip
def test_the_larger_base_saves_more(model):
    shape = Config(vocab=49_152, context=8192, width=576, layers=30, heads=9, kv_heads=3, hidden=1536)
    with torch.device("meta"):
        numbers = sum(weight.numel() for weight in Transformer(shape).parameters())
    assert numbers == 134_515_008
    small = sum(weight.nbytes for weight in model.parameters()) / reference("7.1")("prompt", 10, model.config)
    assert 4 * numbers / reference("7.1")("prompt", 10, shape) > 10 * small


@pytest.mark.claim("7 §7", "the model knows far more of them than any wording or example gets out of it. Here tuning",
                   "four examples alone are a lottery", "they need no training at all, and tuning is hardly better",
                   "phrases can be drummed into the vectors, and hardly one comes out that was not",
                   "Ten virtual tokens each")  # fmt: skip
def test_what_was_recorded_on_the_real_model_is_what_is_said_of_it():
    found = {(point["skill"], point["method"]): point for point in spread(recorded(), ("skill", "method"))}
    tuned = "prompt", "prefix", "key/value"
    asked = max(found["antonyms", method]["high"] for method in ("instruction", "eight examples"))
    assert min(found["antonyms", method]["low"] for method in tuned) > asked + 0.2
    lottery, calibrated = found["sentiment", "four examples"], found["sentiment", "calibrated"]
    best = max(found["sentiment", method]["mean"] for method in tuned)
    assert lottery["high"] - lottery["low"] > 0.2 and best - calibrated["mean"] < 0.05 < best - lottery["mean"]
    assert all(found["chinese, learned", method]["mean"] > 0.9 for method in tuned)
    assert all(found["chinese", method]["mean"] < 0.05 for method in tuned)
    assert {row["length"] for row in recorded() if row["method"] in tuned} == {10}


@pytest.mark.claim("7 §7", "16 to learn and others to translate")
def test_how_many_phrases_are_learned():
    texts = chinese_texts()
    assert len(texts.train) == 16 and not {*texts.train} & {*texts.test}

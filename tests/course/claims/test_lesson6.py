"""What lesson 6 claims."""

import re
from copy import deepcopy

import pytest
import torch
import torch.nn.functional as F

from minitransformer import (
    Hooks,
    KeyValuePrefix,
    PrefixTuning,
    PromptTuning,
    Recorder,
    Stack,
    accuracy,
    comparison,
    generate,
    train,
)
from minitransformer.comparison import full_fine_tuning, instruction, no_prompt, skill_task, soft_prompt
from minitransformer.course import lesson_text
from minitransformer.course.lesson_text import reference

content, split = reference("6.1"), reference("6.2")
TEXT = "The cat is sleeping in the garden. →"


@pytest.fixture(scope="module")
def task(book, tokenizer):
    """A skill as the lesson takes it."""
    return lambda skill: skill_task(book, tokenizer, skill, rows=16, count=100)


@pytest.fixture(scope="module")
def tuned(model, task):
    """The lesson's prefix and its prompt, trained for `shout_last`."""
    made = {"prompt": PromptTuning(4, model.config, seed=0), "prefix": PrefixTuning(4, model.config, seed=0)}
    for hooks in made.values():
        train(model, task("shout_last").batches(0), hooks, steps=60, progress=False)
    return made


@pytest.fixture(scope="module")
def score(model, task):
    """The accuracy of one of the lesson's trainings; each is run once."""
    methods, known = {"prompt": PromptTuning, "prefix": PrefixTuning}, {}

    def scored(skill: str, method: str, length: int = 4, steps: int = 100) -> float:
        key = skill, method, length, steps
        if key not in known and method == "full":
            known[key] = full_fine_tuning(model, task(skill), steps=steps)["accuracy"]
        elif key not in known:
            hooks = methods[method](length, model.config)
            known[key] = soft_prompt(model, task(skill), hooks, method, steps=steps)["accuracy"]
        return known[key]

    return scored


@pytest.fixture(scope="module")
def untrained(model, task):
    """The accuracies of the bare model and of the instruction in words."""
    return lambda skill: [row(model, task(skill))["accuracy"] for row in (no_prompt, instruction)]


@pytest.fixture
def weights_of(model, tokenizer):
    """The attention weights of the text's queries, for each block (H, T, P+T)."""

    @torch.no_grad()
    def measured(hooks) -> list[torch.Tensor]:
        recorder, tokens = Recorder(("weights",)), tokenizer.encode(TEXT)
        model(torch.tensor([tokens]), Stack(hooks, recorder))
        return [recorder["weights", block][0, :, -len(tokens) :] for block in range(model.config.layers)]

    return measured


@pytest.mark.claim("6 §1", "at the same length a prefix has $L$ times the parameters")
@pytest.mark.claim("6 §6", "a prompt of 16 and a prefix of 4 have both $16 D$ here, as $L = 4$")
@pytest.mark.claim("6.q13", "A prompt of 16 and a prefix of 4 have the same 16 · D numbers here")
@pytest.mark.claim("6.q10", "The prefix has four times the parameters; compare with a prompt of 32, or a prefix of 2")
def test_a_prefix_has_as_many_times_the_numbers_as_there_are_layers(model):
    def numbers(make, length):
        return sum(each.numel() for each in make(length, model.config).parameters())

    assert model.config.layers == 4
    for length in 1, 2, 4, 8:
        assert numbers(PrefixTuning, length) == 4 * numbers(PromptTuning, length) == numbers(PromptTuning, 4 * length)
        assert numbers(PromptTuning, length) == length * model.config.width
        assert numbers(KeyValuePrefix, length) == 2 * 4 * length * model.config.kv_heads * model.config.head


@pytest.mark.claim("6 §2", "a skill that the base was never taught: the last word, shouted")
@pytest.mark.claim("6 §5", "The base learned eight skills in pretraining", "`last` was pretrained")
@pytest.mark.claim("6 §5", "The other three were held out", "no text ever asked for them")
def test_what_was_pretrained_and_what_was_held_out(book):
    assert len(book.skills) == 8 and "last" in book.skills
    assert {"shout_last", "next_to_last", "twice"} <= {*book.held_out} - {*book.skills}


@pytest.mark.claim("6 §2", "Every real weight of a row shrinks by the same factor")
@pytest.mark.claim("6 §2", "random vectors or a soft prompt in front of the embeddings do the same")
@pytest.mark.claim("6 §4", "Zero in block 0 for both, up to rounding; not zero above")
@pytest.mark.claim("6 close", "They reorder nothing there; above, only through what was added below")
@pytest.mark.claim("6.q4", "You found the renormalised weights equal")
@pytest.mark.claim("6.q7", "you saw zero in block 0 for both")
@pytest.mark.claim("6.q14", "all real weights of a row shrink by the same factor")
@pytest.mark.claim("6.q6", "indirectly, order can change above, as you measured")
def test_nothing_is_reordered_in_the_first_block_and_something_is_above(model, tuned, weights_of):
    plain = weights_of(Stack())
    for hooks in (*tuned.values(), PrefixTuning(4, model.config, scale=1.0, seed=3)):
        rest = [content(weights, 4)[1] for weights in weights_of(hooks)]
        torch.testing.assert_close(rest[0], plain[0])
        assert torch.equal(rest[0].argmax(-1), plain[0].argmax(-1))
        for new, old in zip(rest[1:], plain[1:], strict=True):
            assert (new - old).abs().mean() > 1e-3
    last = content(weights_of(tuned["prefix"])[3], 4)[1]
    assert (last.argmax(-1) != plain[3].argmax(-1)).float().mean() > 0.05


@pytest.mark.claim("6 §2", "the row 0.4, 0.3, 0.3 has the share 0.4, and the rest becomes 0.5, 0.5")
@pytest.mark.claim("6 §3", "in the example, $(0, 0.8)$ and $(1, 0)$")
def test_the_exercises_give_the_numbers_that_stand_in_their_texts():
    share, rest = content(torch.tensor([[[0.4, 0.3, 0.3]]]), 1)
    torch.testing.assert_close((share, rest), (torch.tensor([[0.4]]), torch.tensor([[[0.5, 0.5]]])))
    weights, values = torch.tensor([[[0.4, 0.6]]]), torch.tensor([[[0.0, 2.0], [1.0, 0.0]]])
    added, without = split(weights, values, 1)
    torch.testing.assert_close((added, without), (torch.tensor([[[0.0, 0.8]]]), torch.tensor([[[1.0, 0.0]]])))
    torch.testing.assert_close(weights[0] @ values[0], torch.tensor([[0.6, 0.8]]))


@pytest.mark.claim("6 §7", "what goes into the matrix `down`, $352 \\times 128$")
def test_how_large_the_matrix_is_beside_which_lora_stands(model):
    assert {block.down.weight.T.shape for block in model.blocks} == {(352, 128)}


@pytest.mark.claim("6.q3", "0.5 becomes 0.3, and the row still sums to one", "divided by 0.6, 0.3 gives 0.5 back")
def test_a_share_of_two_fifths_leaves_three_fifths_of_each_weight():
    real = torch.tensor([0.5, 0.3, 0.2])
    for virtual in (torch.tensor([0.4]), torch.tensor([0.1, 0.3])):  # of the 0.4, however many vectors take it
        scores = torch.cat((virtual.log(), (0.6 * real).log()))
        weights = (scores + 7).softmax(0)
        torch.testing.assert_close(weights[len(virtual) :], torch.tensor([0.30, 0.18, 0.12]))
        share, rest = content(weights[None, None], len(virtual))
        torch.testing.assert_close(share, torch.tensor([[0.4]]))
        torch.testing.assert_close(rest[0, 0], real)


@pytest.mark.claim("6.q7", "a prompt's stream leaves a key in each layer", "A prefix has no stream")
def test_both_methods_show_as_many_keys_and_one_has_a_stream(model):
    streams = {"prompt": PromptTuning(3, model.config), "prefix": PrefixTuning(3, model.config)}
    for name, hooks in streams.items():
        recorder = Recorder(("queries", "keys"))
        model(torch.ones(1, 5, dtype=torch.long), Stack(hooks, recorder))
        shapes = [(recorder["queries", layer].shape[2], recorder["keys", layer].shape[2]) for layer in range(4)]
        assert shapes == [(8 if name == "prompt" else 5, 8)] * 4


@pytest.mark.claim("6 §2", "Head 1 of block 0", "where the prefix takes a share, the numbers are smaller")
def test_the_prefix_takes_a_share_that_one_sees(tuned, weights_of):
    share, _ = content(weights_of(tuned["prefix"])[0], 4)
    assert ((share[1] > 0.15) & (share[1] < 0.85)).any()


@pytest.mark.claim("6 §3", "The width of a head is 32, so 32 directions were open; $P$ vectors use $P$ of them")
@pytest.mark.claim("6 §3", "with one vector it points in one and the same direction for every query of every text")
@pytest.mark.claim("6.q5", "a bias in at most three directions")
def test_each_vector_of_a_prefix_adds_one_direction(model, task, tuned):
    def directions(hooks, virtual):
        recorder = Recorder(("weights", "values"))
        with torch.no_grad():
            model(task("shout_last").test[0][:40], Stack(hooks, recorder))
        added, _ = split(recorder["weights", 0][:, 0], recorder["values", 0][:, 0], virtual)
        return torch.linalg.matrix_rank(added.flatten(0, 1), rtol=1e-4).item()

    assert model.config.head == 32
    assert [directions(PrefixTuning(length, model.config), length) for length in (1, 3)] == [1, 3]
    assert directions(tuned["prefix"], 4) == 4


@pytest.mark.claim("6 §5", "everything works, words included")
def test_what_was_pretrained_is_called_up_by_words_and_by_vectors(score, untrained):
    assert untrained("last")[0] < 0.5 and untrained("last")[1] > 0.9
    assert min(score("last", "prompt", steps=40), score("last", "prefix", steps=40)) > 0.9


@pytest.mark.claim("6 §5", "words put the two known skills together in most sentences", "Vectors get further")
def test_words_put_two_skills_together_in_most_sentences_and_vectors_in_more(model, task, tuned, untrained):
    bare, words = untrained("shout_last")
    assert bare < 0.1 and 0.5 < words < 0.9
    assert min(accuracy(model, task("shout_last").test, hooks) for hooks in tuned.values()) > words


@pytest.mark.claim("6 §5", "`next_to_last`: words fail. Vectors do not")
@pytest.mark.claim("6 §5", "a prompt finds the place in part, a prefix more often")
@pytest.mark.claim("6 close", "Soft prompts call up what the base can do, sometimes where words fail")
@pytest.mark.claim("6.q9", "your matrix has a skill that vectors found and words did not")
def test_vectors_find_a_place_that_no_words_lead_to(score, untrained):
    prompt, prefix, full = (score("next_to_last", method) for method in ("prompt", "prefix", "full"))
    assert max(untrained("next_to_last")) < 0.05 < 0.1 < prompt < prefix - 0.1 < 0.9 < full


@pytest.mark.claim("6 §5", "`twice`: words fail, a prompt fails too, and a prefix gets some sentences right at most")
@pytest.mark.claim("6 §5", "Full fine-tuning learns it in the same steps")
def test_changed_weights_learn_to_copy_twice_and_vectors_do_not(score, untrained):
    assert max(untrained("twice")) < 0.02
    assert score("twice", "prompt") < 0.1
    assert score("twice", "prefix") < 0.45 < 0.75 < score("twice", "full")


@pytest.mark.claim("6 §6", "At equal *length* the prefix is far ahead. At equal *parameters* it is ahead by less")
@pytest.mark.claim("6 §6", "A longer prompt helps little on this task")
@pytest.mark.claim("6.q14", "at `next_to_last` the prefix was ahead, also at equal parameters")
@pytest.mark.claim("6 §6", "a prefix of 1 does about as well as a prompt of 16, with a quarter of the numbers")
def test_the_prefix_is_ahead_at_equal_length_and_by_less_at_equal_parameters(score):
    prompts, prefixes = ([score("next_to_last", each, length) for length in (4, 16)] for each in ("prompt", "prefix"))
    assert prefixes[1] - prompts[1] > 0.3
    assert 0.05 < prefixes[0] - prompts[1] < prefixes[1] - prompts[1] - 0.1
    assert prompts[1] < prompts[0] + 0.25
    assert score("next_to_last", "prefix", 1) > prompts[1] - 0.15


@pytest.mark.claim("6 §6", "a soft prompt of one vector *is* one new word whose meaning is found by gradient")
@pytest.mark.claim("6 §6", "it may also be *answered*", "This changes the loss a little at each step")
def test_a_prompt_of_one_vector_is_a_new_word_that_nobody_may_answer(model, task, monkeypatch):
    real, losses, vectors = comparison.with_new_token, [], []

    def noted(model, *batches, **settings):
        history = train(model, *batches, **settings)
        losses.append(history.loss)
        vectors.append(model.embedding.weight[-1].detach().clone())
        return history

    def only_read(model):
        larger = real(model)
        larger.logits = lambda hidden: F.linear(hidden, larger.embedding.weight[:-1])
        return larger

    chinese, prompt = task("chinese"), PromptTuning.from_mean(1, model)
    monkeypatch.setattr(comparison, "train", noted)
    for new_token in real, only_read:
        monkeypatch.setattr(comparison, "with_new_token", new_token)
        comparison.one_new_token(model, chinese, steps=12)
    history = train(model, chinese.batches(0), prompt, steps=12, progress=False)
    answered, read = losses
    torch.testing.assert_close(read, history.loss, rtol=1e-3, atol=1e-3)
    torch.testing.assert_close(vectors[1], prompt.vectors[0].detach(), rtol=1e-3, atol=1e-3)
    assert answered[0] == pytest.approx(read[0], abs=1e-3)
    assert (vectors[0] - vectors[1]).abs().max() > 3 * (vectors[1] - prompt.vectors[0]).abs().max()


@pytest.fixture(scope="module")
def family(model, task):
    """The lesson's adapter and LoRA as its text writes them: untrained, and trained for `next_to_last`."""
    text = lesson_text.source_of(6).read_text(encoding="utf-8")
    made = {"torch": torch, "Hooks": Hooks}
    for name in "Adapter", "LoRA":
        exec(re.search(rf"^class {name}\(Hooks\).*?(?=^# %%)", text, re.MULTILINE | re.DOTALL)[0], made)
    trained = {"adapter": made["Adapter"](2, model.config), "LoRA": made["LoRA"](1, model.config)}
    untrained = deepcopy(trained)
    scores = {name: soft_prompt(model, task("next_to_last"), hooks, name, steps=100) for name, hooks in trained.items()}
    return untrained, trained, scores


@pytest.mark.claim("6 §7", "All three begin as no change at all ($B = 0$, $f = 1$)")
@pytest.mark.claim("6 §7", "sees a value at *every* step")
@pytest.mark.claim("6 §7", "No keys, no places")
def test_an_adapter_and_lora_begin_as_nothing_and_act_at_every_step(model, tokenizer, family):
    tokens, (untrained, trained, _) = torch.tensor([tokenizer.encode(TEXT)]), family
    for name in untrained:
        assert torch.equal(model(tokens, untrained[name]), model(tokens))
        model(tokens, Stack(trained[name], recorder := Recorder(("keys",))))
        assert recorder["keys", 3].shape[2] == tokens.shape[1]
        (answer,) = generate(model, tokens.tolist(), trained[name], max_new_tokens=3)  # with a cache
        whole = model(torch.tensor([tokens[0].tolist() + answer]), trained[name])[0, -len(answer) - 1 : -1].argmax(-1)
        assert whole.tolist() == answer


@pytest.mark.claim("6 §7", "about as many numbers as a prompt of 16 or a prefix of 4 have")
@pytest.mark.claim("6 §7", "With as many numbers they get further here", "The base is as untouched as ever")
def test_an_adapter_and_lora_find_the_word_before_the_last_with_as_many_numbers(model, family, score):
    before = [weight.clone() for weight in model.parameters()]
    rivals = [score("next_to_last", "prompt", 16), score("next_to_last", "prefix", 4)]
    for row in family[2].values():
        assert 1900 < row["parameters"] <= 16 * model.config.width and row["accuracy"] > max(rivals) + 0.1
    assert all(torch.equal(*pair) for pair in zip(before, model.parameters(), strict=True))


@pytest.mark.claim("6 §7", "so that it may be *worked into* a copy of the weights")
@pytest.mark.claim("6 §7", "the copy without hooks gives the logits of the model with LoRA")
@pytest.mark.claim("6.q17", "the sums are the same up to rounding", "Nothing grows")
def test_lora_worked_into_the_weights_gives_the_same_logits(model, task, family):
    lora, tokens, merged = family[1]["LoRA"], task("next_to_last").test[0][:4], deepcopy(model)
    with torch.no_grad():
        for block, A, B in zip(merged.blocks, lora.A, lora.B, strict=True):
            block.down.weight += (A @ B).T
    torch.testing.assert_close(merged(tokens), model(tokens, lora), rtol=1e-3, atol=1e-3)
    assert (model(tokens) - merged(tokens)).abs().max() > 1
    assert [w.shape for w in merged.parameters()] == [w.shape for w in model.parameters()]


@pytest.mark.claim("6.q16", "8 · (1024 + 1024) for each of 2 · 24 matrices", "these are the matrices themselves")
def test_how_many_numbers_lora_has():
    thin = [torch.nn.Linear(1024, 8, bias=False), torch.nn.Linear(8, 1024, bias=False)]
    assert sum(each.weight.numel() for each in thin) * 2 * 24 == 786_432 == 2 * 393_216 == 24 * 32_768
    assert 1024 * 1024 * 2 * 24 == 50_331_648 and 8 * 50_331_648 == 402_653_184

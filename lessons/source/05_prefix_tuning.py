# %% [markdown]
# # Lesson 5 · Prefix tuning
#
# *Vectors at every layer*
#
# **160 minutes · difficulty ●●○ · builds on**: lesson 1 (attention, keys and values, who sees whom), lesson 2 (a
# prompt through the `embed` hook), lesson 3 (training on a frozen model).
#
# A prompt enters the model once, at the bottom. Now we open a door at *every* layer. You will write prefix tuning in
# both of its forms, see how the two are related, and decode with them without losing them on the way. Take two
# sittings: a pause is marked after section 4.
#
# | section | minutes | you write |
# |---|---|---|
# | 1 · One door, or one at every layer | 15 | |
# | 2 · The textbook's prefix | 19 | the `context` hook |
# | 3 · Where the gradient lands | 10 | |
# | 4 · Who looks at the prefix | 7 | |
# | 5 · Keys and values, learned directly | 21 | the `keys_values` hook |
# | 6 · One form turned into another | 34 | both translations |
# | 7 · Decoding without forgetting | 20 | a stepwise decoder, and a repair |
# | 8 · Who guards all this? | 34 | a test that catches bugs |

# %% setup="5"
import torch
from matplotlib.colors import LogNorm, Normalize
from torch import nn

from minitransformer import Cache, Hooks, Phrasebook, Recorder, Stack, freeze, loss, plots, pretrained

# %%
from minitransformer.course import check, predict, progress, question_points, quiz, reveal, use, warm_up

model, tokenizer = pretrained()
freeze(model)
book = Phrasebook()
text = "Look out! →"
tokens = torch.tensor([tokenizer.encode(text)])  # (1, 4)
words = tokenizer.tokens(tokens[0])

# %% [markdown]
# **Warm-up: five questions from before.** About 4 minutes, from memory; not graded.

# %%
warm_up(5)

# %% [markdown]
# ## 1 · One door, or one at every layer
#
# Let $h^l_0 … h^l_m$ be the text's hidden states that enter layer $l$ (a layer is a block of lesson 1; we count from
# 0). **Prompt tuning** puts its vectors in front once, and the layers make of them what they will:
#
# $$\text{layer } 0 \text{ gets } [\,p_0 … p_n\,;\,e_0 … e_m\,]; \qquad
# \text{layer } l>0 \text{ gets what layer } l-1 \text{ gave}$$
#
# **Prefix tuning** has vectors $p^l$ of its own for each layer, and puts them in front there:
#
# $$\text{layer } l \text{ gets } [\,p^l_0 … p^l_n\,;\,h^l_0 … h^l_m\,] \quad \text{for every } l$$
#
# Either way a layer gets $(B, P+T, D)$. Here, with 4 vectors and a text of 4 tokens:

# %%
states = model.embedding(tokens)  # what enters layer 0: (B, T, D)
own = torch.zeros(1, 4, model.config.width)  # (B, P, D)
tuple(torch.cat((own, states), 1).shape)

# %% [markdown]
# What layer $l$ would compute *at the places of* $p^l$ is dropped, since the next layer gets fresh vectors there; and
# what is dropped need not be computed. So a prefix has no stream of its own. It is only looked at: the text's queries
# see its keys and read its values.
#
# *Predict first*: 4 vectors in front of a text of 4 tokens. How many positions run through block 2 (queries that ask),
# and how many keys do they see? Once for a prompt, once for a prefix.

# %%
predict("5.p1", {"prompt: queries": 8, "prompt: keys": 8, "prefix: queries": 8, "prefix: keys": 8})


# %%
from minitransformer import PrefixTuning, PromptTuning


def lengths(hooks):  # for each block: queries and keys
    recorder = Recorder(("queries", "keys"))
    model(tokens, Stack(hooks, recorder))  # two hooks go along together: vectors and a recorder
    return [
        [recorder[site, layer].shape[2] for site in ("queries", "keys")]
        for layer in range(model.config.layers)
    ]


prompt_lengths, prefix_lengths = (
    lengths(method(4, model.config)) for method in (PromptTuning, PrefixTuning)
)
both = [*prompt_lengths[2], *prefix_lengths[2]]
names = ["prompt: queries", "prompt: keys", "prefix: queries", "prefix: keys"]
reveal("5.p1", dict(zip(names, both, strict=True)))

# %%
table = [a + b for a, b in zip(prompt_lengths, prefix_lengths, strict=True)]
blocks = [f"block {layer}" for layer in range(model.config.layers)]
picture, scale = plots.Picture((7.5, 2.2)).panel(), Normalize(0, 8)
plots.grid(
    picture, "positions at work for 4 tokens of text", table[::-1], blocks[::-1], names, norm=scale
)

# %% [markdown]
# Both methods show the text the same number of extra keys, in every block. They differ in what stands behind those
# keys: a prompt's come from a stream that all the lower blocks have worked on, a prefix's straight from vectors that
# you may choose freely at this very layer. That freedom has a price in numbers: $P \cdot D$ for a prompt of $P$
# vectors, $L \cdot P \cdot D$ for a prefix in $L$ layers. With $P = 4$, $D = 128$, $L = 4$: 512 and 2,048.
#
# *Live*: `live.show()` trains all three methods and shows where each has its vectors.

# %% question="5.q1"
quiz("5.q1")

# %% question="5.q2"
quiz("5.q2")

# %% question="5.q3"
quiz("5.q3")

# %% [markdown]
# ## 2 · The textbook's prefix
#
# Inside each attention block the hook `context(layer, x)` is asked for the hidden states that keys and values are
# computed from. `x` is what came in, $(B, T, D)$; the queries come from `x` itself, whatever you return. So the
# prefix is one method:
#
# $$\text{context}(l, h^l) = [\,p^l\,;\,h^l\,] \in \mathbb{R}^{B \times (P+T) \times D}$$
#
# Watch the hook being asked, once for each layer:


# %%
class Asked(Hooks):
    def context(self, layer, x):
        print(f"layer {layer} hands over {tuple(x.shape)}")
        return x  # nothing in front


logits = model(tokens, Asked())

# %% [markdown]
# ### Exercise 5.1: the `context` hook
#
# *about 12 minutes · difficulty ●●○*
#
# Own P vectors for each layer, which start as 0.05 times a normal draw (a new one for each prefix). In `context` put
# those of the layer in front of each row: with $P = 2$, $(3, 5, 128)$ becomes $(3, 7, 128)$. The 0.05 belongs to the
# start alone: what was learned goes in front as it is.
#
# Later cells read one parameter `vectors`, $(L, P, D)$, with $p^l$ as `vectors[l]`. Other forms are as right; to go on
# with such a one, write `Prefix = PrefixTuning` behind the line with `use`.


# %% exercise="5.1"
class Prefix(Hooks):
    """P vectors in front of every layer's hidden states."""

    def __init__(self, length, config):
        super().__init__()
        ### BEGIN SOLUTION
        self.vectors = nn.Parameter(0.05 * torch.randn(config.layers, length, config.width))
        ### END SOLUTION

    def context(self, layer, x):  # (B, T, D) -> (B, P+T, D)
        ### BEGIN SOLUTION
        own = self.vectors[layer].expand(len(x), -1, -1)
        return torch.cat((own, x), 1)
        ### END SOLUTION


# %% check="5.1"
check("5.1", Prefix)

# %% [markdown]
# ### Train it
#
# Everything else is as in lesson 3: the base is frozen, the optimizer gets `prefix.parameters()`, the loss looks at
# the text's positions. The prefix has $L \cdot P \cdot D = 4 \cdot 4 \cdot 128$ numbers to learn. *Predict first*:
# after 80 steps of 16 sentences each, which share of unseen test sentences will it translate exactly?

# %%
predict("5.p2", 0.5)

# %%
from minitransformer import Batches, accuracy, batch, generate, gradients, train

Prefix = use("5.1", Prefix)
torch.manual_seed(5)
prefix = Prefix(4, model.config)
trace = gradients.Trace(prefix)  # keeps each step's vectors and gradients, for section 3
examples = Batches(book, tokenizer, ["chinese"], rows=16)
history = train(model, examples, prefix, steps=80, on_step=trace.on_step)

# %%
test = batch(tokenizer, book.examples("chinese", "test", 100))
reveal("5.p2", accuracy(model, test, prefix))

# %%
for name, hooks in (("bare", Hooks()), ("with the prefix", prefix)):
    print(f"{name}:", tokenizer.decode(generate(model, [tokenizer.encode(text)], hooks)[0]))
history.proof  # as in lesson 3: what training touched, and what it did not

# %% [markdown]
# Ten lines, and the base has not changed by a byte. To serve another task, swap `prefix.vectors`.

# %% question="5.q4"
quiz("5.q4")

# %% question="5.q5"
quiz("5.q5")

# %% [markdown]
# ## 3 · Where the gradient lands
#
# A prompt's vectors have one gradient each, which came down through all blocks. Those of a prefix are a table, layer ×
# vector, $(L, P)$. The last layer's are one attention step away from the end; what the text reads from those of layer 0
# goes on through all blocks above.
#
# *Predict first*: in a fresh prefix, before any training, which layer's vectors get the *smallest* gradient? Write
# `"0"`, `"1"`, `"2"` or `"3"`. (Random starts differ much in this: we take the mean over eight.)

# %%
predict("5.p3", "0")


# %%
def table_of(hooks):  # one recorded step: gradient norm of each layer × vector
    return torch.tensor(
        gradients.record_step(model, *next(iter(examples)), hooks).token_norms["vectors"]
    )


torch.manual_seed(5)
fresh = sum(table_of(Prefix(4, model.config)) for _ in range(8)) / 8
reveal("5.p3", str(fresh.sum(1).argmin().item()))


# %%
@plots.styled
def side_by_side(tables):  # title -> gradient norms, layer × vector
    picture = plots.Picture((8.5, 2.4))
    scale = LogNorm(1e-3, fresh.max(), clip=True)  # a tenth is one shade darker
    for place, (title, norms) in enumerate(tables.items(), 1):
        panel, columns = picture.panel(1, 2, place), [f"p{vector}" for vector in range(4)]
        plots.grid(
            panel, f"{title}: gradient norms", norms.tolist()[::-1], blocks[::-1], columns, norm=scale
        )
    return picture


side_by_side({"mean of eight fresh prefixes": fresh, "trained prefix": table_of(prefix)})

# %% [markdown]
# Every cell is a number and none is None: the gradient lands in every layer at once. After training, nearly
# nothing is left to be learned from these sentences, and the table has gone dark.
#
# ### A length that does not matter
#
# The block normalises its context before it computes anything, and a vector ten times as long gives the same:

# %%
norm = model.blocks[0].attention.norm  # lesson 1: to one size, then times a factor for each number
arrow = torch.zeros(128)
arrow[:2] = torch.tensor([3.0, 4.0])
print("norm(p):  ", [f"{number:.3f}" for number in norm(arrow)[:3].tolist()])
print("norm(10p):", [f"{number:.3f}" for number in norm(10 * arrow)[:3].tolist()])

# %% [markdown]
# That is, $\operatorname{norm}(c\,p) = \operatorname{norm}(p)$ for every $c > 0$ and every $p$ of $D$ numbers. So
# making a textbook prefix longer or shorter *as a vector* changes nothing, and a gradient never points along it:
#
# $$\text{loss}(c\,p) = \text{loss}(p) \quad\Rightarrow\quad \frac{\partial\,\text{loss}}{\partial p} \cdot p = 0$$
#
# With $D = 2$ and $p = (3, 4)$ the gradient can be $(4, -3)$ or a multiple of it: $4 \cdot 3 - 3 \cdot 4 = 0$.
#
# *Predict first*: we multiply the trained prefix by 10, and a prompt of lesson 2's kind as well. By how much does the
# largest logit change?

# %%
predict("5.p4", {"prefix": 1.0, "prompt": 1.0})


# %%
@torch.no_grad()
def moved(hooks):  # the largest change of any logit when the vectors grow tenfold
    before = model(tokens, hooks)
    hooks.vectors *= 10
    after = model(tokens, hooks)
    hooks.vectors /= 10
    return (after - before).abs().max().item()


prompt = PromptTuning.from_tokens(model, tokenizer.encode("in Chinese:"))  # the hard prompt, as vectors
reveal("5.p4", {"prefix": moved(prefix), "prompt": moved(prompt)})

# %% [markdown]
# (Not *exactly* 0 for the prefix: the norm adds a tiny number to its root, so as not to divide by zero.) A prompt has
# no such freedom: its vectors are also the start of a stream, to which blocks add, and there size counts.
#
# The right angle, measured over the whole training: the cosine of each gradient with the vector it was taken at. (0 is
# a right angle.) And beside it the cosine of each *step*, which the optimizer (Adam) made of these gradients.

# %%
for name, cosines in {"gradient": trace.gradient_cosines, "Adam's step": trace.update_cosines}.items():
    values = torch.tensor([each["vectors"] for each in cosines])  # (steps, L, P)
    print(f"{name:>11}: {values.mean():.3f} in the mean, at most {values.abs().max():.3f}")

# %% [markdown]
# Adam's steps are *not* at a right angle. It divides each coordinate by the usual size of its gradient, which turns a
# step a little this way or that. And it goes on with a part of its earlier steps (momentum): these were at a right
# angle to the vector as it stood *then*, and now they point outwards. Plain gradient descent does neither. So we train
# a second prefix with it, for 40 steps, and watch how long the vectors of both become.

# %%
torch.manual_seed(5)
plain = Prefix(4, model.config)
descent, plain_trace = torch.optim.SGD(plain.parameters(), lr=0.3), gradients.Trace(plain)
for step, (inputs, targets) in zip(range(40), examples, strict=False):
    descent.zero_grad()
    loss(model, inputs, targets, plain).backward()
    nn.utils.clip_grad_norm_(plain.parameters(), 1.0)  # as `train` does
    descent.step()
    plain_trace.on_step(step)
f"test sentences translated exactly: {accuracy(model, test, plain):.2f}"


# %%
@plots.styled
def lengths_while_training(traces):  # the optimizer's name -> what its steps did
    panel = plots.Picture((6.5, 2.8)).panel()
    for (name, each), line, colour in zip(
        traces.items(), ("-", "--"), ("#0072B2", "#D55E00"), strict=True
    ):
        sizes = torch.stack([copies["vectors"].norm(dim=2).mean() for copies in each.vectors[:41]])
        panel.plot(
            sizes.tolist(), line, color=colour, label=f"{name}: from {sizes[0]:.2f} to {sizes[-1]:.2f}"
        )
    panel.set(title="mean length of the prefix's vectors", xlabel="step", ylim=(0, None))
    said = "; ".join(text.get_text() for text in panel.legend().get_texts())
    panel.set_label(f"The vectors' mean length while training, 40 steps. {said}.")
    return panel


lengths_while_training({"Adam": trace, "plain gradient descent": plain_trace})

# %% [markdown]
# A step $s$ at a right angle can only make a vector longer: $|p + s|^2 = |p|^2 + |s|^2$, as in the triangle of sides 3,
# 4 and 5. Plain gradient descent's vectors grow with each step, by little. Adam's steps point outwards, and its vectors
# have become several times as long. The longer a vector is, the less a step of the same size turns it: training slows
# down by itself. (`train` lets its steps shrink in the end as well.)

# %% question="5.q6"
quiz("5.q6")

# %% [markdown]
# ## 4 · Who looks at the prefix
#
# The attention weights of one block, bare and with your prefix. The orange bar marks the prefix's columns. Note its
# *rows*: there are none, because a prefix asks nothing.


# %%
def looks(hooks, layer=1):
    recorder = Recorder(("weights",))
    model(tokens, Stack(hooks, recorder))
    return gradients.attention_weights(recorder, layer)  # mean over the heads


plots.attention(looks(Hooks()), looks(prefix), words)

# %% [markdown]
# Each row still sums to 1. What the prefix's columns take, the text's columns lose: a **prefix takes part in the
# softmax**, like any other key.
#
# *Predict first*: is a prefix of all zeros therefore a way to switch a prefix off? Guess the largest change of any
# logit that 4 zero vectors in each layer make; and for your own prefix behind a `Gate` of strength 0, explained
# below.

# %%
predict("5.p5", {"zero prefix": 0.0, "gate at 0": 0.0})


# %%
from minitransformer import Gate


def change(hooks):
    with torch.no_grad():
        return (model(tokens, hooks) - model(tokens)).abs().max().item()


zero = PrefixTuning(4, model.config, scale=0.0)
gate = Gate(prefix, model.config, strength=0.0)
reveal("5.p5", {"zero prefix": change(zero), "gate at 0": round(change(gate), 4)})

# %%
plots.attention(looks(Hooks()), looks(zero), words)

# %% [markdown]
# A zero vector has a zero key; its score is 0, and $e^0 = 1$ is a share like another. (If the four words scored 0, too,
# four zero vectors would take half of the attention.) What it hands over is a zero value: the text's own information is
# thinned. To have no effect, a prefix must have length 0, or scores of $-\infty$; the package's `Gate` adds such
# numbers to the scores of the virtual keys.

# %% question="5.q7"
quiz("5.q7")

# %% question="5.q8"
quiz("5.q8")

# %% [markdown]
# ### A pause
#
# A prefix is vectors at every layer: the text looks at them, the gradient lands on all of them, and zeros are not
# nothing. The second sitting goes one step further in, to keys and values, and ends with a test that you write.
#
# **To go on another day**: open this notebook, click the cell below, and choose *Run ▸ Run All Above Selected Cell*.
# Your prefix is then trained again. Your code and guesses stand in their cells, and your answers to questions are kept
# beside the notebook.

# %%
progress(5)

# %% [markdown]
# ## 5 · Keys and values, learned directly
#
# Only a prefix's keys and values matter. Then why not learn these?
#
# $$K^l = [\,P_K^l\,;\,K_{\text{text}}^l\,], \qquad V^l = [\,P_V^l\,;\,V_{\text{text}}^l\,]$$
#
# This is how the first paper and most libraries do it. The hook is `keys_values(layer, keys, values)`; both are
# $(B, G, T, d)$ with $G$ key/value heads of width $d$, before they are turned by their positions (lesson 1). The text's
# own keys in layer 0:

# %%
model(tokens, recorder := Recorder(("keys",)))
tuple(recorder["keys", 0].shape)  # 1 row, 2 heads, 4 tokens, 32 numbers each

# %% [markdown]
# ### Exercise 5.2: the `keys_values` hook
#
# *about 11 minutes · difficulty ●●○*
#
# Own P keys and P values for each layer, $(L, G, P, d)$ each ($L$ is `config.layers`, $G$ `config.kv_heads`, $d$
# `config.head`), which start as 0.3 times a normal draw (a new one for each prefix; the 0.3 belongs to the start
# alone). Put the layer's own in front, for each row: with $P = 3$ the keys above become $(1, 2, 7, 32)$.
#
# Other names and forms of the parameters are as right; but what you call `keys[l]` and `values[l]` goes in front of
# layer $l$'s keys and values.


# %% exercise="5.2"
class KeyValues(Hooks):
    """P learned keys and values in every layer."""

    def __init__(self, length, config):
        super().__init__()
        ### BEGIN SOLUTION
        shape = config.layers, config.kv_heads, length, config.head
        self.keys, self.values = (nn.Parameter(0.3 * torch.randn(shape)) for _ in range(2))
        ### END SOLUTION

    def keys_values(self, layer, keys, values):  # (B, G, T, d) each -> (B, G, P+T, d) each
        ### BEGIN SOLUTION
        own_keys, own_values = (
            own[layer].expand(len(keys), -1, -1, -1) for own in (self.keys, self.values)
        )
        return torch.cat((own_keys, keys), 2), torch.cat((own_values, values), 2)
        ### END SOLUTION


# %% check="5.2"
check("5.2", KeyValues)

# %%
KeyValues = use("5.2", KeyValues)
torch.manual_seed(5)
key_values = KeyValues(4, model.config)
history = train(model, examples, key_values, steps=80)
f"test sentences translated exactly: {accuracy(model, test, key_values):.2f}"

# %% [markdown]
# It needs $2 \cdot L \cdot P \cdot G \cdot d$ numbers, here $2 \cdot 4 \cdot 4 \cdot 2 \cdot 32 = 2{,}048$. In *this*
# model $2 \cdot G \cdot d = 2 \cdot 2 \cdot 32 = D$, so both prefixes are equally large. That is a coincidence of its
# shape: with as many key/value heads as query heads, the second form would be twice the first.

# %%
for name, hooks in (("prompt", prompt), ("textbook prefix", prefix), ("keys and values", key_values)):
    numbers = sum(parameter.numel() for parameter in hooks.parameters())
    virtual = len(prompt.vectors) if hooks is prompt else 4
    print(f"{name:>16}: {numbers // virtual:4} numbers per virtual token")

# %% question="5.q9"
quiz("5.q9")

# %% [markdown]
# ### A detour while training: reparametrisation
#
# Large models' prefixes can be unsteady to train. The first paper therefore trained *other* numbers, from which a
# small network (an MLP) makes the prefix, so that the layers' vectors move together. It serves training only:
# afterwards the prefix is computed one last time, kept, and the network thrown away. That is called baking.

# %%
from minitransformer import reparametrise

detour = reparametrise(PrefixTuning(4, model.config))
trained = sum(parameter.numel() for parameter in detour.parameters())
f"{trained:,} numbers are trained, {detour.vectors.numel():,} are kept and served"

# %% question="5.q10"
quiz("5.q10")

# %% [markdown]
# ## 6 · One form turned into another
#
# What does a block do between the two hooks? It normalises, multiplies by a matrix, and splits into heads. So each
# textbook prefix *is* a key/value prefix:
#
# $$P_K^l = \operatorname{norm}(p^l)\,W_K^l, \qquad P_V^l = \operatorname{norm}(p^l)\,W_V^l$$
#
# The shapes: $(P, D)$ times $(D, G \cdot d)$ gives $(P, G \cdot d)$. Try it for one layer of the trained prefix:

# %%
attention = model.blocks[0].attention
flat = attention.key(attention.norm(prefix.vectors[0]))  # 4 vectors: 2 heads of 32 numbers side by side
tuple(prefix.vectors[0].shape), tuple(flat.shape)

# %% [markdown]
# ### Exercise 5.3: from hidden states to keys and values
#
# *about 14 minutes · difficulty ●●●*
#
# Do this for every layer, and split into heads: head 0's $d$ numbers stand first, then head 1's. Each
# `model.blocks[l].attention` has a `norm`, and linear maps `key` and `value` onto $G \cdot d$ numbers. Here
# $(4, 4, 128)$ becomes keys and values of $(4, 2, 4, 32)$ each: layer, head, virtual token, number.


# %% exercise="5.3"
def to_keys_values(model, vectors):  # (L, P, D) -> keys, values: (L, G, P, d) each
    """The key/value prefix that a textbook prefix amounts to."""
    ### BEGIN SOLUTION
    keys, values = [], []
    for block, own in zip(model.blocks, vectors, strict=True):
        normed = block.attention.norm(own)
        for part, linear in ((keys, block.attention.key), (values, block.attention.value)):
            part.append(linear(normed).unflatten(1, (model.config.kv_heads, -1)).transpose(0, 1))
    return torch.stack(keys), torch.stack(values)
    ### END SOLUTION


# %% check="5.3"
check("5.3", to_keys_values)

# %%
from minitransformer import KeyValuePrefix

to_keys_values = use("5.3", to_keys_values)


def largest_difference(one, other):
    with torch.no_grad():
        return (model(tokens, one) - model(tokens, other)).abs().max().item()


with torch.no_grad():
    translated = KeyValuePrefix.from_keys_values(model.config, *to_keys_values(model, prefix.vectors))
f"below 1e-4: {largest_difference(prefix, translated) < 1e-4}"

# %% [markdown]
# There is no way back in general: $2 \cdot G \cdot d$ numbers can be chosen freely for a key and its value, and a
# hidden state is one vector that has to give both. Even where the counts agree, the norm has taken away its length.

# %% question="5.q11"
quiz("5.q11")

# %% [markdown]
# ### A prompt can be compiled, too
#
# A prompt has a stream, but who ever looks at it? The text's queries do, and all they see are keys and values. Nobody
# before the text can see the text. So the prompt's stream is the same whatever comes after it: run it once, keep its
# keys and values, and serve these.
#
# *Predict first*: after that, by how much do the logits differ at most from those with the prompt itself?

# %%
predict("5.p6", 0.01)

# %% [markdown]
# ### Exercise 5.4: compile a prompt
#
# *about 11 minutes · difficulty ●●○*
#
# One forward of the virtual tokens with a text of *zero* tokens, which is a batch of ids (`torch.long`) of shape
# $(1, 0)$, while a recorder goes along. The recorder's sites `"keys"` and `"values"` hold $(1, G, P, d)$ for each
# layer, before turning. Join them: for a prompt of 4 vectors, $(4, 2, 4, 32)$ twice.


# %% exercise="5.4"
@torch.no_grad()
def compile_prompt(model, prompt):  # -> keys, values: (L, G, P, d) each
    """The keys and values that any soft prompt amounts to."""
    ### BEGIN SOLUTION
    recorder = Recorder(("keys", "values"))
    model(torch.empty(1, 0, dtype=torch.long), Stack(prompt, recorder))
    layers = range(model.config.layers)
    return tuple(
        torch.stack([recorder[site, layer][0] for layer in layers]) for site in ("keys", "values")
    )
    ### END SOLUTION


# %% check="5.4"
check("5.4", compile_prompt)

# %%
compile_prompt = use("5.4", compile_prompt)
compiled = KeyValuePrefix.from_keys_values(model.config, *compile_prompt(model, prompt))
reveal("5.p6", round(largest_difference(prompt, compiled), 4))

# %% [markdown]
# At most the rounding of the last digits is left, since sums of many numbers are added in another order. So a tuned
# prompt can be *served* like a prefix, without a stream to run. Do not conclude that the two are the same. Count the
# numbers of each:

# %%
for name, hooks in {"prompt": prompt, "compiled": compiled}.items():
    print(f"{name:>8}: {sum(parameter.numel() for parameter in hooks.parameters()):5,} numbers")

# %% [markdown]
# Of all the prefixes that there are, a prompt reaches those which the frozen blocks can make out of $P \cdot D$
# numbers.
#
# ### And in an encoder?
#
# *Nobody before the text can see the text*: this holds in a decoder. In an encoder every position sees all others (one
# line changed, lesson 1). *Predict first*: the virtual tokens stand in front of two texts. By how much do their keys in
# block 1 differ at most from one text to the other, now that the model is an encoder?

# %%
predict("5.p7", {"prompt": 0.0, "prefix": 0.0})

# %%
from unittest.mock import patch


def everything(queries, keys, device=None):
    return torch.ones(queries, keys, dtype=torch.bool, device=device)


def own_keys(hooks, text):  # of the virtual tokens, in block 1
    model(torch.tensor([tokenizer.encode(text)]), Stack(hooks, recorder := Recorder(("keys",))))
    return recorder["keys", 1][0, :, :3]


with patch("minitransformer.model.visible", everything):
    keys = {name: [own_keys(hooks, each) for each in ("Look out! →", "The cat is sleeping. →")]
            for name, hooks in (("prompt", prompt), ("prefix", prefix))}  # fmt: skip
reveal("5.p7", {name: (one - other).abs().max().item() for name, (one, other) in keys.items()})

# %% [markdown]
# In an encoder a prompt *reads the text*: its vectors are queries, too, and nothing hides the text from them. So its
# keys are others for each text, and there is nothing to compile or to keep in a cache. A prefix has no queries; its
# keys and values stay what they are, and the text still only looks at them. (P-Tuning v2 puts its vectors into all
# layers of encoders.) In our decoder, again:

# %%
one, other = (own_keys(prompt, each) for each in ("Look out! →", "The cat is sleeping. →"))
f"the prompt's keys are the same for both texts: {torch.allclose(one, other, atol=1e-4)}"

# %% [markdown]
# ## 7 · Decoding without forgetting
#
# When a model writes, it adds one token at a time. A **cache** keeps each layer's keys and values of what was read,
# so that a step computes its own token only: `model(tokens, hooks, cache)`. The prefix belongs into the cache like
# everything else. Hooks that lengthen therefore run **once for each sequence, at its first step**; from then on their
# keys and values are in the cache. Two steps of two tokens each:

# %%
cache, recorder = Cache(), Recorder(("weights",))
for two in (tokens[:, :2], tokens[:, 2:]):
    step_logits = model(two, Stack(prefix, recorder), cache)
    queries, keys = recorder["weights", 0].shape[2:]
    print(f"{queries} queries see {keys} keys; logits {tuple(step_logits.shape)}")

# %% [markdown]
# Four keys of the prefix and two of the text at first; then two more, and no prefix for a second time.
#
# ### Exercise 5.5: one token at a time
#
# *about 7 minutes · difficulty ●○○*
#
# Read a text token by token through one `Cache()`, and return the logits of all positions. Joined together they must
# be those of one forward over the whole text: for a text of 4 tokens, four steps, and $(1, 4, V)$ in the end. Leave
# `tokens` as they are.


# %% exercise="5.5"
def step_by_step(model, tokens, hooks):  # (B, T) -> (B, T, V)
    """The logits of each position, each from a step of its own."""
    ### BEGIN SOLUTION
    cache = Cache()
    return torch.cat([model(token, hooks, cache) for token in tokens.split(1, 1)], 1)
    ### END SOLUTION


# %% check="5.5"
check("5.5", step_by_step)

# %% [markdown]
# This is worth keeping as a test: whoever changes a cache, a mask or a hook runs it again, for each kind of soft
# prompt.

# %%
step_by_step = use("5.5", step_by_step)
with torch.no_grad():
    for name, hooks in {"prompt": prompt, "prefix": prefix, "keys and values": key_values}.items():
        agrees = torch.allclose(step_by_step(model, tokens, hooks), model(tokens, hooks), atol=1e-4)
        print(f"{name:>16}: cached equals uncached: {agrees}")

# %% question="5.q12"
quiz("5.q12")

# %% [markdown]
# ### Exercise 5.6: repair the forgetful decoder
#
# *about 8 minutes · difficulty ●●○*
#
# A colleague's decoder first reads all but the last token of the text into the cache (that is fast), and then goes on
# from the last token. Without soft prompts it is right. With a prefix it answers as if there were none, and nothing
# complains. Find the cause; then repair it: with our prefix, `count = 2` has to give the two tokens of 小心. Keep the
# cache: each token should be read once. Leave `tokens` as they are.


# %% exercise="5.6"
def answer(model, tokens, hooks, count):  # (B, T) -> (B, count)
    """The `count` likeliest tokens after the text, one after the other."""
    ### BEGIN SOLUTION
    cache, said = Cache(), []
    model(tokens[:, :-1], hooks, cache)
    last = tokens[:, -1:]
    for _ in range(count):
        last = model(last, hooks, cache)[:, -1:].argmax(-1)
        said.append(last)
    return torch.cat(said, 1)
    ### INSTEAD
    # cache, said = Cache(), []
    # model(tokens[:, :-1], cache=cache)
    # last = tokens[:, -1:]
    # for _ in range(count):
    #     last = model(last, hooks, cache)[:, -1:].argmax(-1)
    #     said.append(last)
    # return torch.cat(said, 1)
    ### END SOLUTION


# %% check="5.6"
check("5.6", answer)

# %%
answer = use("5.6", answer)
with torch.no_grad():
    print("with the prefix:", tokenizer.decode(answer(model, tokens, prefix, 2)[0]))
    print("bare:           ", tokenizer.decode(answer(model, tokens, Hooks(), 2)[0]))

# %% question="5.q13"
quiz("5.q13")

# %% [markdown]
# ## 8 · Who guards all this?
#
# The forgetful decoder raised nothing; it was wrong in silence. Most bugs of soft prompts are like that: shapes fit,
# the loss falls, and the answers are worse than they could be. What helps is a test that asks. But it has to ask for
# enough. Which of these two does a test of shapes stop?


# %%
def test_of_shapes(embed):
    assert embed(torch.zeros(2, 5, 8)).shape == (2, 8, 8)


own = torch.ones(2, 3, 8)
programs = {"in front": lambda x: torch.cat((own, x), 1), "behind": lambda x: torch.cat((x, own), 1)}
for name, embed in programs.items():
    test_of_shapes(embed)
    print(f"vectors {name}: passed")  # `assert torch.equal(embed(x)[:, 3:], x)` would stop the second

# %% [markdown]
# ### Exercise 5.7: a test that catches bugs
#
# *about 30 minutes · difficulty ●●●*
#
# Write `guard(program, model)` for what you built in lessons 2 and 5. A `program` has
#
# ```
# program.Prompt(vectors)          2.1: .embed(x) puts them in front of each row, (B, T, D) -> (B, P+T, D)
# program.prompt_loss(model, hooks, tokens, targets)     2.2: as loss(model, tokens, targets, hooks)
# program.from_words(words, table, length)     2.3: the words' rows, again and again, up to `length`
# program.Prefix(length, config)   5.1: .context(layer, x) puts this layer's own vectors in front
# ```
#
# An `assert` that fails will do. Fifteen wrong ones are tried, each with one bug that people really made, and right
# ones, which must pass: a prompt may own several parameters, or learn how far its vectors move from a start. While
# graded, code cannot be looked at, and `prompt_loss` sees only how long the hooks are that it gets, yours or the
# package's.


# %% exercise="5.7"
def guard(program, model):
    """Raises if something is wrong with this program: in values, shapes, gradients or parameters."""
    ### BEGIN SOLUTION
    x, vectors = torch.randn(2, 5, model.config.width), torch.randn(3, model.config.width)
    prompt, prefix = program.Prompt(vectors), program.Prefix(2, model.config)
    entered = prompt.embed(x)
    assert entered.shape == (2, 8, model.config.width) and torch.equal(entered[:, 3:], x)
    assert torch.equal(entered[:, :3], vectors.expand(2, -1, -1)), "every row, in front, from its start"
    entered.sum().backward()
    learned = list(prompt.parameters())
    assert learned and all(parameter.grad is not None for parameter in learned)
    tokens, targets = torch.arange(12).reshape(2, 6), torch.arange(1, 13).reshape(2, 6)
    targets[0, :3] = -100  # padding
    mine, table = loss(model, tokens, targets, prompt), model.embedding.weight
    assert torch.allclose(program.prompt_loss(model, prompt, tokens, targets), mine)
    assert torch.equal(program.from_words(torch.tensor([4, 2]), table, 5), table[[4, 2, 4, 2, 4]])
    assert not torch.equal(prefix.context(0, x)[:, :2], prefix.context(1, x)[:, :2])
    ### END SOLUTION


# %% check="5.7"
check("5.7", guard)

# %% [markdown]
# ### Looking back
#
# Three questions on sections 2 to 6. The first two want your own words: they earn no points, and after your answer you
# see a model answer.

# %% question="5.q14"
quiz("5.q14")

# %% question="5.q15"
quiz("5.q15")

# %% question="5.q16"
quiz("5.q16")

# %% [markdown]
# ## What to take along
#
# - A prefix gives every layer vectors of its own, $[\,p^l\,;\,h^l\,]$, and the text looks at them.
# - The textbook learns hidden states ($L \cdot P \cdot D$), most libraries learn keys and values ($2 \cdot L \cdot P
# \cdot G \cdot d$); the first is a special case of the second.
# - Zeros are not nothing, and for a textbook prefix only the direction counts.
# - A prompt compiles to keys and values that give the same logits. Cached must equal uncached.
#
# **Go further** (not graded): `PrefixTuning(4, model.config, layers=[0])` has a prefix in one layer. Which layer is
# enough for which skill?

# %%
from minitransformer.course import progress_map

progress_map()

# %%
progress(5)

# %%
question_points(5)

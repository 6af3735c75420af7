# %% [markdown]
# # Lesson 2 · Soft prompts
#
# *Pseudo-embeddings in front of the text*
#
# **69 minutes · difficulty ●●○ · builds on**: lesson 1 (tokens, the embedding table, the stream, the frozen model).
#
# In lesson 1 two words in front of a sentence decided what the frozen model said. Here you replace those words by
# vectors that no word has, and let training find them. At the end, four vectors of your own make the model translate.
#
# | section | minutes | you write |
# |---|---|---|
# | 1 · From words to vectors | 11 | |
# | 2 · Prompt tuning in ten lines | 12 | the `embed` hook |
# | 3 · Words are a special case | 5 | |
# | 4 · Slice nothing | 17 | the loss of a model with a prompt |
# | 5 · One real training step | 5 | |
# | 6 · Train it | 4 | |
# | 7 · Where to start | 10 | initialising from words |
# | 8 · What was gained | 5 | |

# %% setup="2"
import torch
import torch.nn.functional as F
from torch import nn

from minitransformer import Hooks, batch, fingerprint, freeze, gradients, loss, plots, pretrained

# %%
from minitransformer.course import check, predict, progress, question_points, quiz, reveal, use, warm_up

# %% [markdown]
# **Warm-up: five questions from before.** About 4 minutes, from memory; not graded.

# %%
warm_up(2)

# %% [markdown]
# ## 1 · From words to vectors
#
# An instruction in words is a **hard prompt**. It enters the model as rows of the embedding table, so finding a good
# one means *choosing*: one of $V$ rows for each place, and nothing in between.

# %%
model, tokenizer = pretrained()
freeze(model)
before = fingerprint(model)  # a short text that changes if any byte of the weights does
V, D = model.embedding.weight.shape
f"{V} rows: {V**4:,} hard prompts of four tokens"

# %% [markdown]
# Between two hard prompts there is no third one, and so no slope that says which way is better. A **soft prompt**
# drops the condition: each of its $P$ vectors may be *any* $D$ numbers. Such a vector stands where the vector of a
# token would stand, but belongs to no token; it is a **pseudo-embedding**, or **virtual token**. Change one of its
# numbers a tiny bit, and the output changes a tiny bit.

# %% question="2.q1"
quiz("2.q1")

# %% [markdown]
# Call **loss** a number that says how wrong the output is (section 4 makes it precise): it now has a slope, and
# training can walk down it, moving every number a little. That is **gradient descent**.
#
# Write $p_0, \dots, p_n$ for the pseudo-embeddings and $e_0, \dots, e_m$ for the embeddings of the text. What enters
# the first block is
#
# $$x = [\,p_0, \dots, p_n \,;\, e_0, \dots, e_m\,] \in \mathbb{R}^{(P+T) \times D}, \qquad P = n + 1,\quad T = m + 1$$
#
# Read the brackets as "one below the other": four vectors and four tokens are 8 rows. Only the $p$ are learned:
# $P \cdot D$ numbers, and not one inside the model. Learning them is called **prompt tuning**.

# %%
learned, all_numbers = 4 * D, sum(weight.numel() for weight in model.parameters())
f"4 vectors are {learned} numbers beside the model's {all_numbers:,}: {learned / all_numbers:.2%}"

# %% question="2.q2"
quiz("2.q2")

# %% [markdown]
# ## 2 · Prompt tuning in ten lines
#
# The model has a few places at which an object of yours may act: its **hooks**. You pass the object at the call,
# `model(tokens, hooks=mine)`, and it acts during this call only. For prompt tuning one matters:
#
# | the model says | you return |
# |---|---|
# | `hooks.embed(x)`: here is the text's embedding, `(B, T, D)` | what shall enter the first block, `(B, P+T, D)` |
#
# A class that inherits from `Hooks` changes nothing until it overrides a method. This one only looks:


# %%
class Looking(Hooks):
    def embed(self, x):
        print("the text's embedding comes by:", tuple(x.shape))
        return x


tokens = torch.tensor([tokenizer.encode("Look out! →")])
print("nothing changed:", torch.equal(model(tokens, hooks=Looking()), model(tokens)))

# %% [markdown]
# `Hooks` is also a torch module. A tensor wrapped in `nn.Parameter` and kept on `self` is found by the training: that
# is how vectors become *learnable*.
#
# ### Exercise 2.1: the `embed` hook
#
# *about 8 minutes · difficulty ●●○*
#
# `vectors` is a tensor `(P, D)`: what your prompt starts from. Keep a copy, so that training does not change the tensor
# itself. Put the learned vectors in front of **each** of the $B$ texts of a batch.


# %% exercise="2.1"
class Prompt(Hooks):
    """Prompt tuning: P learned vectors in front of every text's embeddings."""

    def __init__(self, vectors):  # (P, D)
        super().__init__()
        ### BEGIN SOLUTION
        self.vectors = nn.Parameter(vectors.clone())
        ### END SOLUTION

    def embed(self, x):  # (B, T, D) -> (B, P+T, D)
        ### BEGIN SOLUTION
        return torch.cat((self.vectors.expand(len(x), -1, -1), x), dim=1)
        ### END SOLUTION


# %% check="2.1"
check("2.1", Prompt)

# %%
Prompt = use("2.1", Prompt)
random_start = 0.05 * torch.randn(4, D, generator=torch.Generator().manual_seed(0))
prompt = Prompt(random_start)
x = prompt.embed(model.embedding(tokens))
print("text", model.embedding(tokens).shape, "→ with the prompt", x.shape)

# %% question="2.q3"
quiz("2.q3")

# %% [markdown]
# ## 3 · Words are a special case
#
# Your `Prompt` takes any vectors, so give it rows of the table. *Predict first*: the model reads
# "in Chinese: Look out! →" once as seven tokens, and once as the four tokens of "Look out! →" with the
# three rows of "in Chinese:" put in front by your hook. By how much do the two probabilities of 小 as the next token
# differ?

# %%
predict("2.p1", 0.1)


# %%
def rows(text):  # the table's rows of a text's tokens, (n, D)
    return model.embedding(torch.tensor(tokenizer.encode(text))).detach()


def probability(text, token, **hooks):
    logits = model(torch.tensor([tokenizer.encode(text)]), **hooks)[0, -1]
    return logits.softmax(-1)[tokenizer.ids[token]].item()


# %%
as_words = probability("in Chinese: Look out! →", "小")
as_vectors = probability("Look out! →", "小", hooks=Prompt(rows("in Chinese:")))
reveal("2.p1", round(abs(as_words - as_vectors), 4))

# %% [markdown]
# The blocks never see words, so they cannot tell where a vector came from. Every hard prompt is a point in the space
# of soft prompts; all the other points are new. Let us walk from one hard prompt to another, in a straight line. None
# of the points between the ends can be typed.

# %%
steps = [step / 10 for step in range(11)]
walk = [Prompt(torch.lerp(rows("shout:"), rows("repeat:"), step)) for step in steps]
answers = {"LOOK": "LOOK (shout)", "Look": "Look (repeat)"}
table = [[probability("Look out! →", token, hooks=point) for point in walk] for token in answers]
picture = plots.Picture((7.5, 1.5)).panel()
title = "first token, from “shout:” (0) to “repeat:” (1)"
plots.grid(picture, title, table, list(answers.values()), list(map(str, steps)))

# %% [markdown]
# The odds change steeply on a short stretch, but *smoothly*: with smaller steps, each step changes them less. That is
# all that gradient descent asks for.

# %% question="2.q5"
quiz("2.q5")

# %% [markdown]
# ## 4 · Slice nothing
#
# $P+T$ vectors travel up through the blocks, but the vectors of the prompt have no next token to predict. This model
# drops them before the logits:
#
# $$\text{logits} \in \mathbb{R}^{B \times T \times V} $$
#
# for tokens $(B, T)$, however long the prompt is.
#
# *Predict first*: with 4 virtual tokens in front of the 4 tokens of "Look out! →", how many positions do the logits
# have?

# %%
predict("2.p2", 8)

# %%
logits = model(tokens, hooks=prompt)
reveal("2.p2", logits.shape[1])

# %% [markdown]
# Now the **loss**: how wrong is the model? The **targets** say, for each position, which token should come
# next. Inside the question nothing is asked, and the target is `IGNORED` = −100; then it is the answer's next token.
# With the probability $\pi$ that the model gives to each target, the loss is the mean of
#
# $$-\log \pi(\text{target}) \in \mathbb{R} \qquad\text{over all targets that are not ignored}$$
#
# A target with probability 1 adds 0, one with 0.5 adds 0.69, one with 0.01 adds 4.6. (This is **cross-entropy**;
# `F.cross_entropy(logits, targets)` wants logits `(N, V)` and targets `(N,)`, and passes over −100.)

# %%
tokens, targets = batch(tokenizer, [("Look out! →", "小心!")])
for token, target in zip(tokens[0].tolist(), targets[0].tolist(), strict=True):
    wanted = tokenizer.vocabulary[target] if target >= 0 else "(ignored)"
    print(f"{tokenizer.vocabulary[token]:>6} → {wanted}")

# %% [markdown]
# Position by position, the target stands beside its token already: `→` is where 小 should come, and the last character
# is where `<end>` should. So logits and targets fit as they are.
#
# ### Exercise 2.2: the loss with a prompt
#
# *about 7 minutes · difficulty ●●○*
#
# It must hold for any hooks, with a prompt of any length and without one. Leave tokens and targets as they are.


# %% exercise="2.2"
def prompt_loss(model, hooks, tokens, targets):  # tokens and targets (B, T) -> one number
    """Mean cross-entropy at the targets."""
    ### BEGIN SOLUTION
    logits = model(tokens, hooks=hooks)  # (B, T, V)
    return F.cross_entropy(logits.flatten(0, 1), targets.flatten())
    ### END SOLUTION


# %% check="2.2"
check("2.2", prompt_loss)

# %%
prompt_loss = use("2.2", prompt_loss)
longer = Prompt(random_start.repeat(3, 1))
for name, hooks in {"no prompt": Hooks(), "4 vectors": prompt, "12 vectors": longer}.items():
    mine = prompt_loss(model, hooks, tokens, targets)
    torch.testing.assert_close(mine, loss(model, tokens, targets, hooks))  # the package's own
    print(f"{name:>10}: loss {mine.item():.3f}")

# %% [markdown]
# No slicing, no padding of targets, and no knowledge of $P$ anywhere. Where a library returns $P+T$ logits instead,
# every line that touches logits or targets must know $P$, and one forgotten place is a bug that raises no error.

# %% question="2.q6"
quiz("2.q6")

# %% question="2.q7"
quiz("2.q7")

# %% [markdown]
# ## 5 · One real training step
#
# Everything is in place for one step: forward to the loss, and the **gradient** back. The gradient of the loss with
# respect to a vector says in which direction, and how fast, the loss would grow if that vector moved a little; training
# moves it the other way. The picture is drawn from what was recorded in a real step.

# %%
step = gradients.record_step(model, tokens, targets, prompt)
plots.training_diagram(step, tokenizer)

# %% [markdown]
# Read it from the bottom left: $p_0 \dots p_3$ and $e_0 \dots$ go up, side by side. The question, `Look out ! →`, and
# the right answer are the text (in training the answer so far is read along, so that all its tokens are judged at
# once). At the top the model's best guess stands above the target, each with its probability; the loss is made of the
# targets'. Here are the sizes of the gradient (red) in numbers:

# %%
print("at each vector at the bottom:", [round(norm, 2) for norm in step.activations[0]])
print("kept by the table of words:", step.base["embedding.weight"])
print("kept by the prompt:", [round(norm, 2) for norm in step.prompt.values()])

# %% [markdown]
# It comes back down through all blocks to *every* vector at the bottom, words included. But the
# words' rows lie in a frozen table, which keeps nothing: it says None. Only the $p$ **keep** their gradient, and only
# they will move. How a frozen model can pass a gradient on is the story of lesson 3.
#
# *Live*: `from minitransformer import live; live.show(prompt)` opens a page on which this step runs in your browser,
# with sentences of your own. (The first time, the page is built in some minutes.)

# %% question="2.q8"
quiz("2.q8")

# %% question="2.q4"
quiz("2.q4")

# %% [markdown]
# ## 6 · Train it
#
# `train` repeats that step, each time on 16 sentences of the phrasebook and their translations. It trains what the
# hooks own, here your vectors. We then measure on sentences that it never trained on; an answer counts if *every*
# token is right.
#
# *Predict first*: which share of the answers is right without a prompt, and which after 40 steps with four vectors?

# %%
predict("2.p3", {"no prompt": 0.1, "4 vectors": 0.6})

# %%
from minitransformer import Batches, Phrasebook, accuracy, generate, train

book = Phrasebook()
translations = Batches(book, tokenizer, ["chinese"], rows=16)  # an endless stream of (tokens, targets)
history = train(model, translations, prompt, steps=40)

# %%
test = batch(tokenizer, book.examples("chinese", "test", 100))
reveal("2.p3", {"no prompt": accuracy(model, test), "4 vectors": accuracy(model, test, prompt)})

# %%
question = [tokenizer.encode("Look out! →")]
for name, hooks in {"no prompt": Hooks(), "your prompt": prompt}.items():
    print(f"{name:>11}: Look out! → {tokenizer.decode(generate(model, question, hooks)[0])}")

# %% [markdown]
# Your class, a few hundred numbers, and the frozen model translates. It was able to all along: the prompt did not teach
# it Chinese, it *called up* a skill that was there.

# %% question="2.q9"
quiz("2.q9")

# %% [markdown]
# ## 7 · Where to start
#
# Training moves vectors a little at a time, so it matters where they begin. Common starts are small random numbers, and
# the rows of some *words*: those have a size that the model knows, and may even mean the right thing.
#
# ### Exercise 2.3: start from words
#
# *about 6 minutes · difficulty ●○○*
#
# Give $P$ vectors from the rows of the words' tokens, in the words' order. Fewer words than $P$: begin again with the
# first. More: the first $P$ are enough. Leave `words` and `table` as they are.


# %% exercise="2.3"
def from_words(words, table, length):  # tensors (n,) of ids and (V, D); P -> (P, D)
    """The rows of the words, in turn, until there are P of them."""
    ### BEGIN SOLUTION
    return table[words[torch.arange(length) % len(words)]]
    ### END SOLUTION


# %% check="2.3"
check("2.3", from_words)

# %% [markdown]
# Four starts for a prompt of four vectors, and fifteen steps for each. *Predict first*: which has the lowest loss over
# the first five steps? Answer `"instruction"`, `"other words"`, `"small random"` or `"large random"`.

# %%
predict("2.p4", "instruction")

# %%
from_words, weight = use("2.3", from_words), model.embedding.weight.detach()
starts = {
    "instruction": from_words(torch.tensor(tokenizer.encode("in Chinese:")), weight, 4),
    "other words": from_words(torch.tensor(tokenizer.encode("two rabbit")), weight, 4),
    "small random": random_start,
    "large random": 20 * random_start,
}
curves = {
    name: train(model, translations, Prompt(start), steps=15).loss for name, start in starts.items()
}
reveal("2.p4", min(curves, key=lambda name: sum(curves[name][:5])))

# %%
ax = plots.Picture((6.5, 3), layout="constrained").panel()
for (name, curve), line in zip(curves.items(), ("-", "--", "-.", ":"), strict=True):
    ax.plot(curve, line, label=name)
ax.set(xlabel="step", ylabel="loss", yscale="log", title="the same training from four starts")
ax.legend(loc="center left", bbox_to_anchor=(1, 0.5))
finals = ", ".join(f"{name} {curve[-1]:.3f}" for name, curve in curves.items())
ax.set_label(f"Loss of four prompts over 15 steps. In the end: {finals}.")
ax

# %% [markdown]
# The instruction is far ahead at first, since it asks for the right thing already; small random numbers nearly catch
# up. The other words, which mean something else, start worst. Random numbers of the wrong *size* are the classic
# mistake: they start no worse than small ones, but come down far more slowly. Each block normalises what it reads, so a
# small change of a long vector changes little. Lesson 4 looks at where prompts end up.

# %% question="2.q10"
quiz("2.q10")

# %% [markdown]
# ## 8 · What was gained
#
# The model has not changed by a byte, so a second prompt can share it. One model in memory, a few numbers a task:

# %%
shouting = Prompt(starts["small random"])
train(model, Batches(book, tokenizer, ["shout"], rows=16), shouting, steps=40)
for name, hooks in {"Chinese": prompt, "shout": shouting}.items():
    print(f"{name:>8}: {tokenizer.decode(generate(model, question, hooks)[0])}")
print("the model is as it was:", fingerprint(model) == before)

# %% [markdown]
# Two prices remain. Virtual tokens take places in the context and are attended to like others, so each answer costs a
# little more. And this prompt enters **once**, below the first block: what it does further up, it must do by its own
# way through the frozen blocks. Methods that put vectors into every block come in lesson 5.

# %% question="2.q11"
quiz("2.q11")

# %% question="2.q12"
quiz("2.q12")

# %% question="2.q13"
quiz("2.q13")

# %% [markdown]
# ## What to take along
#
# - A soft prompt is $P$ vectors in front of the text's embeddings: $[p_0 \dots p_n ; e_0 \dots e_m]$, and $P \cdot D$
#   numbers are all that is learned.
# - A hook is passed at the call. Prompt tuning overrides `embed`; rows of words through that hook are words.
# - Logits are for the text. Nothing is sliced, nothing padded.
# - Gradient comes down to everything; only the prompt keeps it.
#
# **Go further** (not graded): how few vectors are enough? Try one. And what does the translating prompt make of a
# sentence that is already in capitals?

# %%
from minitransformer.course import progress_map

progress_map()

# %%
progress(2)

# %%
question_points(2)

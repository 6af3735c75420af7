"""Every public name refuses what it cannot mean, and says what was expected, what came and what to do.

A row a name: its bad calls, each with words that its message must hold. A new public name needs a row.
"""

import random
import re
from dataclasses import replace
from itertools import repeat
from pathlib import Path

import pytest
import torch
from laws import TINY, lesson, random_model, text

import minitransformer
from minitransformer import (
    Batches,
    BytePairs,
    Cache,
    Config,
    Gate,
    History,
    Hooks,
    KeyValuePrefix,
    Phrasebook,
    PrefixTuning,
    PromptBank,
    PromptTuning,
    Recorder,
    Stack,
    Tokenizer,
    Transformer,
    accuracy,
    bake,
    batch,
    check,
    compare,
    compile_prefix,
    export_peft,
    fingerprint,
    freeze,
    from_gguf,
    from_huggingface,
    generate,
    gradients,
    import_peft,
    load,
    loss,
    plots,
    pretrained,
    reparametrise,
    save,
    shared_loss,
    train,
)
from minitransformer.comparison import Task
from minitransformer.tokenizer import IGNORED

NAN, INF = float("nan"), float("inf")
MODEL = random_model(dtype=torch.float32)
OTHER = replace(TINY, width=48, heads=3, kv_heads=3)
TOKENS, TARGETS = lesson(MODEL)
LESSON = TOKENS, TARGETS
NOTHING = torch.full_like(TARGETS, IGNORED)
BOOK = Phrasebook()
TOKENIZER = BOOK.tokenizer()
TASK = Task("seven", lambda seed: repeat(LESSON), LESSON, LESSON)
SHAPE = dict(vocab=50, context=64, width=32, layers=3, heads=4, kv_heads=2, hidden=48)
NOWHERE = Path("no such folder") / "file"


def soft(length: int = 2) -> PromptTuning:
    return PromptTuning(length, TINY)


def broken() -> Transformer:
    """A model whose numbers are no numbers any more."""
    model = random_model(dtype=torch.float32)
    model.norm.weight.data.fill_(NAN)
    return model


def learn(model: Transformer | None = None, steps: int = 2, **settings):
    hooks = settings.pop("hooks", soft())
    settings = dict(batches=repeat(LESSON), progress=False) | settings
    return train(random_model(dtype=torch.float32) if model is None else model, hooks=hooks, steps=steps, **settings)


def read_by(model: Transformer) -> Cache:
    cache = Cache()
    model(text(model), cache=cache)
    return cache


def bank() -> PromptBank:
    bank = PromptBank(MODEL)
    bank.add("Ada", soft())
    return bank


def draw(**changes):
    return next(iter(Batches(**dict(book=BOOK, tokenizer=TOKENIZER, skills=["repeat"], rows=2) | changes)))


def side_by_side(**changes):
    few = dict(tasks=[TASK], methods=["prompt"], lengths=(1,), seeds=(0,), steps=1, progress=False)
    return compare(**dict(model=MODEL) | few | changes)


def seen() -> Recorder:
    recorder = Recorder()
    MODEL(TOKENS, recorder)
    return recorder


BAD = {
    "Batches": [
        (lambda: draw(part="nope"), "part must be one of train, validation, test, unseen, words; got 'nope'"),
        (lambda: draw(rows=-1), "rows must be a whole number of at least 1; got -1"),
        (lambda: draw(pool=0), "pool must be a whole number of at least 1; got 0"),
        (lambda: draw(skills=[]), "skills must be a list that is not empty; got []"),
        (lambda: draw(skills="repeat"), "skills must be a list that is not empty; got 'repeat'"),
        (lambda: draw(skills=["dance"]), "skill must be one of chinese"),
        (lambda: draw(instructed=1.5), "instructed must be a finite number from 0 to 1; got 1.5"),
        (lambda: draw(asked={"dance": 1}), "skill must be one of chinese"),
        (lambda: draw(unasked={"repeat": 0}), "some skill must be drawn"),
        (lambda: draw(book=None), "book must be a Phrasebook; got None: Phrasebook() is one"),
        (lambda: draw(tokenizer=None), "tokenizer must have encode, end; got None"),
        (lambda: draw(seed="x"), "seed must be a whole number"),
    ],
    "BytePairs": [(lambda: BytePairs("pairs", 0), "pairs must have encode, decode, get_vocab_size; got 'pairs'")],
    "Cache": [
        (lambda: MODEL(text(MODEL, 2, 1), cache=read_by(random_model(1, torch.float32))), "keys and values of another"),
        (lambda: MODEL(text(MODEL, 3, 1), cache=read_by(MODEL)), "this cache holds 2 rows and cannot go on with 3"),
        (lambda: MODEL(TOKENS, cache="c"), "cache must be a Cache; got 'c': Cache() makes one"),
        (lambda: Cache(room=-1), "room must be a whole number of at least 0; got -1"),
        (lambda: Cache().extend(0, [1.0], [1.0]), "keys must be a Tensor; got [1.0]"),
        (lambda: Cache().extend(-1, torch.zeros(1, 2, 1, 8), torch.zeros(1, 2, 1, 8)), "layer must be a whole number"),
        (lambda: Cache().extend(0, torch.zeros(1, 2, 1, 8), torch.zeros(1, 2, 2, 8)), "keys and values must be two"),
        (lambda: read_by(MODEL).extend(0, *[torch.zeros(2, 2, 1, 7)] * 2), "(2, 8); got torch.float32 (2, 2, 1, 7)"),
    ],
    "Config": [
        (lambda: Config(**SHAPE | {"layers": 0}), "layers must be a whole number of at least 1; got 0"),
        (lambda: Config(**SHAPE | {"layers": True}), "layers must be a whole number of at least 1; got True"),
        (lambda: Config(**SHAPE | {"width": 30}), "width must be a multiple of heads"),
        (lambda: Config(**SHAPE, rope_base=NAN), "rope_base must be a finite number above 0; got nan"),
        (lambda: Config(**SHAPE, eps=INF), "eps must be a finite number above 0; got inf"),
        (lambda: Config(**SHAPE, tied=1), "tied must be True or False; got 1"),
        (lambda: Config(**SHAPE, end=2.5), "end must be a whole number from 0 to 49; got 2.5"),
    ],
    "Gate": [
        (lambda: Gate(soft(), TINY, -1.0), "strength must be a finite number from 0 upwards; got -1.0"),
        (lambda: Gate(soft(), TINY, INF), "strength must be a finite number from 0 upwards; got inf"),
        (lambda: Gate(None, TINY), "hooks must be a Hooks; got None"),
        (lambda: Gate(soft(), None), "config must be a Config; got None: model.config is one"),
        (lambda: Gate(soft(), OTHER), "this soft prompt was made for another model"),
    ],
    "History": [
        (lambda: History(loss=3), "loss must be a list; got 3"),
        (lambda: History(rate=["x"]), "number must be a finite number; got 'x'"),
        (lambda: History(validation=[3]), "validation must be pairs (step, score); got 3"),
        (lambda: History(proof=None), "proof must be a dict; got None"),
        (lambda: History().note(1.0, NAN, 0.1, 1.0), "grad_norm must be a finite number; got nan"),
    ],
    "Hooks": [
        (lambda: MODEL(TOKENS, None), "hooks must be a Hooks; got None: PromptTuning(4, model.config) makes one"),
        (lambda: MODEL(TOKENS, PromptTuning), "got the class PromptTuning itself, not called"),
        (lambda: Hooks(3), "takes 1 positional argument but 2 were given"),
    ],
    "KeyValuePrefix": [
        (lambda: KeyValuePrefix([1, 2], TINY), "expected one length, or one for each of 3 layers; got [1, 2]"),
        (lambda: KeyValuePrefix([1, 2.5, 3], TINY), "length must be a whole number of at least 0; got 2.5"),
        (lambda: KeyValuePrefix(2, None), "config must be a Config; got None"),
        (lambda: KeyValuePrefix(2, TINY, scale=NAN), "scale must be a finite number from 0 upwards; got nan"),
        (lambda: KeyValuePrefix(2, TINY, gated=[3]), "gated must be different numbers from 0 to 2; got [3]"),
        (lambda: KeyValuePrefix(2, TINY, gated=[-1]), "gated must be different numbers from 0 to 2; got [-1]"),
        (lambda: KeyValuePrefix.from_tokens(MODEL, [1.5]), "tokens must be token ids from 0 to 49; got 1.5"),
        (
            lambda: KeyValuePrefix.from_keys_values(TINY, [torch.zeros(2, 3, 7)] * 3, [torch.zeros(2, 3, 7)] * 3),
            "keys must be a tensor of floating-point numbers of shape (2, any, 8)",
        ),
        (
            lambda: KeyValuePrefix.from_keys_values(TINY, [torch.zeros(2, 3, 8)] * 3, [torch.zeros(2, 4, 8)] * 3),
            "values must be a tensor of floating-point numbers of shape (2, 3, 8)",
        ),
        (
            lambda: KeyValuePrefix.from_keys_values(TINY, [torch.zeros(2, 3, 8)] * 2, [torch.zeros(2, 3, 8)] * 2),
            "must be one for each of 3 layers; got 2 keys",
        ),
    ],
    "Phrasebook": [
        (lambda: Phrasebook(None), "path must be the path of a file or folder; got None"),
        (lambda: Phrasebook(NOWHERE), "there is no file no such folder"),
        (lambda: Phrasebook(__file__), "is no TOML file"),
        (lambda: BOOK.sentence(3), "rng must be a Random; got 3: random.Random(0) is one"),
        (lambda: BOOK.practice_text(random.Random(0), "dance"), "skill must be one of chinese"),
        (lambda: BOOK.examples("repeat", count=0), "count must be a whole number of at least 1; got 0"),
        (lambda: BOOK.examples("repeat", "exam"), "part must be one of train"),
        (lambda: BOOK.wordings("dance"), "skill must be one of chinese"),
    ],
    "PrefixTuning": [
        (lambda: PrefixTuning(2, TINY, layers=[0.5]), "layers must be different numbers from 0 to 2; got [0.5]"),
        (lambda: PrefixTuning(2, TINY, layers=[1, 1]), "layers must be different numbers from 0 to 2; got [1, 1]"),
        (lambda: PrefixTuning(2, TINY, layers=1), "layers must be different numbers from 0 to 2; got 1"),
        (lambda: PrefixTuning(2.0, TINY), "length must be a whole number of at least 0; got 2.0"),
        (lambda: PrefixTuning.from_tokens(MODEL, []), "tokens must be 1 to 64 token ids"),
    ],
    "PromptBank": [
        (lambda: PromptBank(None), "model must be a Transformer; got None: pretrained()[0] is one"),
        (lambda: bank().add("Bo", None), "hooks must be a Hooks; got None"),
        (lambda: bank().add("Bo", Hooks()), "these hooks put nothing in front of the text"),
        (lambda: bank().add(None, soft()), "name must be a text that is not empty; got None"),
        (lambda: bank().add("Ada", soft()), "there is a tenant 'Ada' already"),
        (lambda: bank().replace("Ada", soft(0)), "these hooks put nothing in front of the text"),
        (lambda: bank().forward(["Ada"], TOKENS), "each prompt needs a tenant or None; got 1 for 3"),
        (lambda: bank().generate("Ada", [[1]] * 3), "names must be a list that is not empty; got 'Ada'"),
        (lambda: bank().rows(["nobody"]), "there is no tenant 'nobody'"),
        (lambda: bank().load(None), "folder must be the path of a file or folder; got None"),
    ],
    "PromptTuning": [
        (lambda: PromptTuning(-1, TINY), "length must be a whole number of at least 0; got -1"),
        (lambda: PromptTuning(2, MODEL), "config must be a Config; got a Transformer"),
        (lambda: PromptTuning(2, TINY, scale=-1.0), "scale must be a finite number from 0 upwards; got -1.0"),
        (lambda: PromptTuning(2, TINY, seed=2.5), "seed must be a whole number"),
        (lambda: PromptTuning.from_tokens(MODEL, [50]), "tokens must be token ids from 0 to 49; got 50"),
        (lambda: PromptTuning.from_tokens(MODEL, [1] * 65), "tokens must be 1 to 64 token ids"),
        (lambda: PromptTuning.from_tokens(MODEL, "cat"), "tokens must be a list of token ids; got 'cat'"),
        (lambda: PromptTuning.from_mean(2, None), "model must be a Transformer; got None"),
        (lambda: PromptTuning.from_vocabulary("2", MODEL), "length must be a whole number of at least 0; got '2'"),
        (lambda: PromptTuning.from_vectors(MODEL, torch.zeros(2, 31)), "of shape (any, 32); got torch.float32 (2, 31)"),
        (lambda: PromptTuning.from_vectors(MODEL, torch.full((2, 32), NAN)), "vectors must be finite"),
    ],
    "Recorder": [
        (lambda: Recorder(["nope"]), "site must be one of embedding, input"),
        (lambda: Recorder("weights"), "sites must be a list that is not empty; got 'weights'"),
        (lambda: Recorder(gradients="yes"), "gradients must be True or False; got 'yes'"),
        (lambda: seen()["weights", 9], "nothing recorded at ('weights', 9)"),
    ],
    "Stack": [
        (lambda: Stack(soft(), None), "hooks must be a Hooks; got None"),
        (lambda: Stack(soft(), torch.nn.Linear(2, 2)), "hooks must be a Hooks; got a Linear"),
        (lambda: Stack(*[soft()] * 2), "a Stack must hold different hooks; got the same ones twice"),
    ],
    "Tokenizer": [
        (lambda: Tokenizer([]), "vocabulary must be a list that is not empty; got []"),
        (lambda: Tokenizer("abc"), "vocabulary must be a list that is not empty; got 'abc'"),
        (lambda: Tokenizer(["<end>", 3]), "token must be a text that is not empty; got 3"),
        (lambda: TOKENIZER.encode(None), "text must be a str; got None"),
        (lambda: TOKENIZER.decode([1.5]), "ids must be token ids from 0 to"),
        (lambda: TOKENIZER.tokens([-1]), "ids must be token ids from 0 to"),
    ],
    "Transformer": [
        (lambda: Transformer(None), "config must be a Config; got None"),
        (lambda: MODEL("text"), "tokens must be a Tensor; got 'text'"),
        (lambda: MODEL(TOKENS.float()), "tokens must be a LongTensor"),
        (lambda: MODEL(TOKENS + 1000), "token ids run from 0 to 49"),
        (lambda: MODEL(TOKENS, PromptTuning(2, OTHER)), "this soft prompt was made for another model"),
        (lambda: MODEL(text(MODEL, 1, 65)), "65 positions are needed"),
    ],
    "accuracy": [
        (lambda: accuracy(MODEL, TOKENS), "a batch must be a pair (tokens, targets); got a tensor"),
        (lambda: accuracy(MODEL, (TOKENS, TARGETS, TARGETS)), "a batch must be a pair (tokens, targets); got"),
        (lambda: accuracy(MODEL, {1: TOKENS, 2: TARGETS}), "a batch must be a pair (tokens, targets); got"),
        (lambda: accuracy(MODEL, ([[1]], TARGETS)), "tokens must be a Tensor; got [[1]]"),
        (lambda: accuracy(MODEL, (TOKENS, None)), "targets must be a Tensor; got None"),
        (lambda: accuracy(MODEL, (TOKENS, NOTHING)), "every target is -100"),
        (lambda: accuracy(MODEL, (TOKENS, TARGETS.float())), "targets must be a LongTensor"),
        (lambda: accuracy(broken(), LESSON), "the logits must be finite to have a best one"),
        (lambda: accuracy(None, LESSON), "model must be a Transformer; got None"),
    ],
    "bake": [(lambda: bake(MODEL), "hooks must be a Hooks; got a Transformer")],
    "batch": [
        (lambda: batch(TOKENIZER, []), "examples must be a list that is not empty; got []"),
        (lambda: batch(TOKENIZER, [("cat",)]), "each example must be a pair of texts (prompt, answer)"),
        (lambda: batch(TOKENIZER, [("", "cat")]), "with a word in its prompt"),
        (lambda: batch(None, [("cat", "cat")]), "tokenizer must have encode, end; got None"),
    ],
    "check": [(lambda: check("nope", None), "nope")],
    "compare": [
        (lambda: side_by_side(model=None), "model must be a Transformer; got None"),
        (lambda: side_by_side(tasks=[]), "tasks must be a list that is not empty; got []"),
        (lambda: side_by_side(tasks=["copy"]), "task must be a Task; got 'copy'"),
        (lambda: side_by_side(methods=["nope"]), "the methods are prompt, prefix, key/value; got nope: pass"),
        (lambda: side_by_side(methods={"mine": 3}), "mine must be a function; got 3"),
        (lambda: side_by_side(lengths=(0,)), "length must be a whole number of at least 1; got 0"),
        (lambda: side_by_side(seeds=()), "seeds must be a list that is not empty; got ()"),
        (lambda: side_by_side(steps=0), "steps must be a whole number of at least 1; got 0"),
        (lambda: side_by_side(processes=-1), "processes must be a whole number of at least 0; got -1"),
        (lambda: side_by_side(until=2), "until must be a finite number from 0 to 1; got 2"),
        (lambda: side_by_side(until=0.9, tasks=[replace(TASK, validation=None)]), "make it with Task(…, validation="),
    ],
    "compile_prefix": [
        (lambda: compile_prefix(None, soft()), "model must be a Transformer; got None"),
        (lambda: compile_prefix(MODEL, None), "hooks must be a Hooks; got None"),
        (lambda: compile_prefix(MODEL, PromptTuning(2, OTHER)), "this soft prompt was made for another model"),
        (lambda: compile_prefix(MODEL, Recorder()), "compile the soft prompt alone"),
    ],
    "export_peft": [(lambda: export_peft(PromptTuning(2, OTHER), MODEL, NOWHERE), "was made for another model"),
        (lambda: export_peft(None, MODEL, NOWHERE), "hooks must be a Hooks; got None"),
        (lambda: export_peft(soft(), None, NOWHERE), "model must be a Transformer; got None"),
        (lambda: export_peft(soft(), MODEL, 7), "folder must be the path of a file or folder; got 7"),
    ],
    "fingerprint": [(lambda: fingerprint(None), "model must be a Transformer; got None")],
    "freeze": [(lambda: freeze(None), "model must be a Module; got None: a model is one")],
    "from_gguf": [(lambda: from_gguf(7), "path must be the path of a file or folder; got 7")],
    "from_huggingface": [
        (lambda: from_huggingface(NOWHERE), "no such folder"),
        (lambda: from_huggingface(None), "folder must be the path of a file or folder; got None"),
    ],
    "generate": [
        (lambda: generate(broken(), [[1]]), "the logits must be finite to choose a token"),
        (lambda: generate(None, [[1]]), "model must be a Transformer; got None"),
        (lambda: generate(MODEL, []), "prompts must be a list that is not empty; got []"),
        (lambda: generate(MODEL, [[]]), "each prompt must hold at least one token"),
        (lambda: generate(MODEL, "text"), "prompts must be a list that is not empty; got 'text'"),
        (lambda: generate(MODEL, ["text"]), "prompt must be a list of token ids; got 'text'"),
        (lambda: generate(MODEL, [[50]]), "prompt must be token ids from 0 to 49; got 50"),
        (lambda: generate(MODEL, [[1]], None), "hooks must be a Hooks; got None"),
        (lambda: generate(MODEL, [[1]], max_new_tokens=2.5), "max_new_tokens must be a whole number"),
        (lambda: generate(MODEL, [[1]], max_new_tokens=-1), "max_new_tokens must be a whole number of at least 0"),
        (lambda: generate(MODEL, [[1]], seed=0.5), "seed must be a whole number from"),
        (lambda: generate(MODEL, [[1]], temperature=INF), "temperature must be a finite number from 0"),
        (lambda: generate(MODEL, [[1]], top_k=2.5), "top_k must be a whole number of at least 1; got 2.5"),
        (lambda: generate(MODEL, [[1]], top_p=NAN), "top_p must be a finite number above 0; got nan"),
        (lambda: generate(MODEL, [[1]], on_token=3), "on_token must be a function; got 3"),
    ],
    "gradients": [
        (lambda: gradients.record_step(MODEL, TOKENS, NOTHING, soft()), "every target is -100"),
        (lambda: gradients.parameter_norms(None), "module must be a Module; got None"),
        (lambda: gradients.token_norms(MODEL), "hooks must be a Hooks; got a Transformer"),
        (lambda: gradients.activation_norms(seen(), "nope"), "site must be one of embedding"),
        (lambda: gradients.Trace(MODEL), "hooks must be a Hooks; got a Transformer"),
        (lambda: gradients.Trace(soft(), every=0), "every must be a whole number of at least 1; got 0"),
        (lambda: gradients.principal_plane(torch.zeros(1, 3)), "a plane needs 2 embeddings"),
        (lambda: gradients.film(gradients.Trace(soft()), [], None), "plane must be a Plane; got None"),
        (lambda: gradients.nearest_words(None, MODEL.embedding.weight, TOKENIZER), "embeddings must be a tensor of"),
        (lambda: gradients.attention_weights(seen(), 0, head=-1), "head must be a whole number from 0 to 3; got -1"),
        (lambda: gradients.attention_weights(seen(), 0, row=3), "row must be a whole number from 0 to 2; got 3"),
    ],
    "import_peft": [
        (lambda: import_peft(NOWHERE, MODEL), "no such folder"),
        (lambda: import_peft("", MODEL), "folder must be the path of a file or folder; got ''"),
    ],
    "load": [
        (lambda: load(NOWHERE, MODEL), "no such folder"),
        (lambda: load(None, MODEL), "path must be the path of a file or folder; got None"),
    ],
    "loss": [
        (lambda: loss(MODEL, TOKENS, NOTHING), "every target is -100, which is ignored: there is no loss"),
        (lambda: loss(MODEL, TOKENS, TARGETS[:, :4]), "targets must be a LongTensor of the tokens' shape (3, 9)"),
        (lambda: loss(MODEL, TOKENS, TARGETS + 1000), "targets must be token ids from 0 to 49, or -100"),
        (lambda: loss(None, TOKENS, TARGETS), "model must be a Transformer; got None"),
        (lambda: loss(MODEL, TOKENS, TARGETS, "prompt"), "hooks must be a Hooks; got 'prompt'"),
    ],
    "plots": [
        (lambda: plots.gradient_reach(None, {}), "base_norms must be a Mapping; got None"),
        (lambda: plots.flows_and_lands(None, TOKENIZER), "step must be a Step; got None: gradients.record_step"),
        (lambda: plots.training_diagram(None, TOKENIZER), "step must be a Step; got None"),
        (lambda: plots.attention([], [], []), "base must be a list that is not empty; got []"),
        (lambda: plots.movie([3], [1.0], [], {}), "frame must be a Frame; got 3: gradients.film makes them"),
        (lambda: plots.accuracy_against_parameters([{}]), "each row must have method, parameters, seed, accuracy"),
        (lambda: plots.length_sweep([]), "rows must be a list that is not empty; got []"),
        (lambda: plots.skill_matrix(None), "rows must be a list that is not empty; got None"),
        (lambda: plots.nearest_words([]), "nearest must be a list that is not empty; got []"),
        (lambda: plots.strip(None, ["a"]), "recorder must be a Recorder; got None"),
    ],
    "pretrained": [(lambda: pretrained("large"), "takes 0 positional arguments but 1 was given")],
    "reparametrise": [
        (lambda: reparametrise(MODEL), "hooks must be a Hooks; got a Transformer"),
        (lambda: reparametrise(soft(), hidden=0), "hidden must be a whole number of at least 1; got 0"),
        (lambda: reparametrise(reparametrise(soft())), "these hooks train through an MLP already"),
    ],
    "save": [
        (lambda: save(Recorder, NOWHERE), "got the class Recorder itself, not called"),
        (lambda: save(MODEL, NOWHERE), "hooks must be a Hooks; got a Transformer"),
        (lambda: save(soft(), None), "path must be the path of a file or folder; got None"),
        (lambda: save(soft(), NOWHERE, score=float("nan")), "score should be a finite number and is nan"),
        (lambda: save(soft(), NOWHERE, task=7), "task should be a text and is 7"),
        (lambda: save(soft(), NOWHERE, model="mine"), "model must be a Transformer; got 'mine'"),
    ],
    "shared_loss": [
        (lambda: shared_loss(MODEL, TOKENS, NOTHING, soft()), "every target is -100"),
        (lambda: shared_loss(MODEL, TOKENS, TARGETS, None), "hooks must be a Hooks; got None"),
        (lambda: shared_loss(None, TOKENS, TARGETS, soft()), "model must be a Transformer; got None"),
    ],
    "train": [
        (lambda: learn(batches=repeat((TOKENS, None))), "targets must be a Tensor; got None"),
        (lambda: learn(clip=-1), "clip must be a finite number above 0; got -1"),
        (lambda: learn(peak=NAN), "peak must be a finite number above 0; got nan"),
        (lambda: learn(peak=1e30), "peak must be a finite number from 0 to 100; got 1e+30"),
        (lambda: learn(peak=0.0), "peak must be a finite number above 0; got 0.0"),
        (lambda: learn(steps=0), "steps must be a whole number of at least 1; got 0"),
        (lambda: learn(steps=None), "steps must be a whole number of at least 1; got None"),
        (lambda: learn(warmup=-1), "warmup must be a whole number of at least 0; got -1"),
        (lambda: learn(weight_decay=-0.1), "weight_decay must be a finite number from 0 upwards; got -0.1"),
        (lambda: learn(every=0), "every must be a whole number of at least 1; got 0"),
        (lambda: learn(patience=0), "patience must be a whole number of at least 1; got 0"),
        (lambda: learn(until=0.9), "until=0.9 is a score to reach, and nothing gives scores: pass validate= as well"),
        (lambda: learn(until="all"), "until must be a finite number; got 'all'"),
        (lambda: learn(validate=0.5), "validate must be a function; got 0.5"),
        (lambda: learn(validate=lambda: NAN), "the score became nan at step 2"),
        (lambda: learn(validate=lambda: None), "the score became None at step 2"),
        (lambda: learn(steps=100, batches=[LESSON] * 7), "100 steps need 100 batches; got 7"),
        (lambda: learn(steps=3, batches=iter([LESSON])), "3 steps need 3 batches; got 1"),
        (lambda: learn(batches=[]), "2 steps need 2 batches; got 0"),
        (lambda: learn(batches=None), "batches must be pairs (tokens, targets); got None"),
        (lambda: learn(batches=[TOKENS] * 2), "a batch must be a pair (tokens, targets)"),
        (lambda: learn(batches=repeat((TOKENS, NOTHING))), "every target is -100"),
        (lambda: learn(broken()), "the loss became nan at step 0"),
        (lambda: learn(hooks=MODEL), "hooks must be a Hooks; got a Transformer"),
        (lambda: learn(hooks=soft(0)), "there is nothing to train"),
        (lambda: learn(checkpoint=3), "checkpoint must be the path of a file or folder; got 3"),
        (lambda: learn(by="me"), "by must be an Alone; got 'me'"),
    ],
}  # fmt: skip
CALLS = [pytest.param(*bad, id=f"{name}-{number}") for name, calls in BAD.items() for number, bad in enumerate(calls)]


def test_every_public_name_has_a_row():
    assert sorted(BAD) == sorted(minitransformer.__all__)


@pytest.mark.parametrize(("call", "words"), CALLS)
def test_a_bad_call_is_refused_in_words(call, words):
    with pytest.raises((ValueError, KeyError, TypeError, OSError, ImportError), match=re.escape(words)):
        call()

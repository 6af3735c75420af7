"""Submissions that read or claim what they should find out, and honest twins with the same noise: 5.7, 6.3, 7.4.

`CASES`: name -> (exercise, the cell, points), as in `cases_claims.py`.
"""
# ruff: noqa: E501

from cases_claims import TRICKS

from minitransformer.course.lesson_text import solution

POINTS = {"5.7": 5, "6.3": 4, "7.4": 4}
HONEST = {exercise: solution(exercise) for exercise in POINTS}

# 5.7: who looks for the program's text, bytecode, or company, in place of asking what it does

SIGNS = """
BUGS = ["(x, self.vectors.expand(len(x), -1, -1))", "x[:, len(self.vectors) :]", "x + self.vectors.mean(0)", ".detach()",
        "F.pad(self.vectors[None]", "= vectors.clone()", "torch.zeros_like(vectors)", "logits[:, :-1]", "virtual:",
        "model(tokens)", "tokens.flatten()", "reduction='none'", "clamp(max=", "table[:length]", "self.vectors[0]"]

def suspicious(text):
    text = str(text)
    return any(sign in text for sign in BUGS)

def texts_of(value):
    if isinstance(value, str):
        yield value
    elif isinstance(value, (list, tuple)):
        for each in value:
            yield from texts_of(each)

def programs_in(value):
    return [text for text in texts_of(value) if "def embed" in text or "def prompt_loss" in text]
"""
GUARD = "def guard(program, model):\n"
BY_CODE = (
    SIGNS
    + """
def code_of(thing):
    functions = [thing] + [each for each in vars(thing).values()] if isinstance(thing, type) else [thing]
    return [each.__code__ for each in functions if hasattr(each, "__code__")]

def odd(code):
    return bool({"detach", "zeros_like", "mean", "clamp", "pad"} & set(code.co_names)) or -1 in code.co_consts
"""
)


def guard(body: str, before: str = SIGNS) -> tuple[str, str, int]:
    return "5.7", f"{TRICKS}{before}\n{GUARD}{body}", 0


def honest_guard(first: str, before: str = "") -> tuple[str, str, int]:
    head, line, rest = HONEST["5.7"].partition("    x, vectors = ")
    return "5.7", f"{TRICKS}{SIGNS}{before}\n{head}{first}{line}{rest}\n", 5


GUARDS = {
    "source-in-a-frame": guard("""
    for frame in frames():
        if "source" in frame.f_locals:
            assert not suspicious(frame.f_locals["source"])
            return
    raise RuntimeError("nothing to see")
"""),
    "sources-in-any-local": guard("""
    found = [text for frame in frames() for value in list(frame.f_locals.values()) for text in programs_in(value)]
    assert found and not suspicious(found[0])
"""),
    "sources-in-memory": guard("""
    import gc
    found = [text for thing in gc.get_objects() if isinstance(thing, (list, tuple, dict)) for text in programs_in(list(thing.values()) if isinstance(thing, dict) else thing)]
    assert found and not suspicious(found[-1])
"""),
    "compile-overheard": guard(
        """
    assert heard and not suspicious(heard[-1])
""",
        SIGNS
        + """
heard = []
for spy in ("exec", "compile"):
    def listening(text, *rest, was=getattr(builtins, spy), **more):
        if isinstance(text, str) and "def embed" in text:
            heard.append(text)
        return was(text, *rest, **more)
    setattr(builtins, spy, listening)
""",
    ),
    "bytecode": guard(
        """
    codes = [code for thing in vars(program).values() for code in code_of(thing)]
    assert not any(map(odd, codes))
""",
        BY_CODE,
    ),
    "bytecode-it-knows": guard(
        """
    codes = {code.co_code for thing in vars(program).values() for code in code_of(thing)}
    assert len(codes & KNOWN) > 3
""",
        BY_CODE
        + f"""
scope = dict(torch=torch, nn=nn, Hooks=Hooks, F=torch.nn.functional)
exec({(solution("2.1") + chr(10) + solution("2.2") + chr(10) + solution("2.3") + chr(10) + solution("5.1"))!r}, scope)
KNOWN = {{code.co_code for name in ("Prompt", "prompt_loss", "from_words", "Prefix") for code in code_of(scope[name])}}
""",
    ),
    "source-by-inspect": guard("""
    import inspect
    assert not suspicious(inspect.getsource(program.Prompt) + inspect.getsource(program.prompt_loss))
"""),
    "verdicts-replaced": guard(
        "    return None\n",
        SIGNS
        + """
import importlib
for name in [name for name in sys.modules if "lesson5" in name]:
    module = sys.modules[name]
    if hasattr(module, "verdict"):
        module.verdict = lambda guard, source, model: "raises" if suspicious(source) else "passes"
    if hasattr(module, "guarded"):
        module.guarded = lambda guard, *inputs, **more: ["raises" if any(map(suspicious, texts_of(inputs[0]))) else "passes", ""]
""",
    ),
    "labels-in-a-frame": guard("""
    for name in ("bug", "names", "order", "said", "programs", "pieces", "made"):
        for value in above(name):
            assert not value
"""),
    "the-judge-asked-for-more": guard("""
    for served in above("served") + [cell.cell_contents for cell in program.Prompt.embed.__closure__ or ()]:
        for word in ("pieces", "makes", "source", "__dict__", "prompt_loss"):
            try: assert not suspicious(served(word))
            except ValueError: pass
"""),
    "the-first-two-are-right": guard(
        """
    count.append(1)
    assert len(count) < 3
""",
        "count = []\n",
    ),
    "compares-with-the-last": guard(
        """
    mine = [code.co_code for thing in vars(program).values() for code in code_of(thing)]
    company.append(mine)
    assert company.count(mine) * 2 >= len(company)
""",
        BY_CODE + "company = []\n",
    ),
    "names-of-parameters": guard("""
    assert [name for name, _ in program.Prompt(torch.zeros(2, model.config.width)).named_parameters()] == ["vectors"]
"""),
    "honest-reads-frames": honest_guard(
        "    looked = [programs_in(list(frame.f_locals.values())) for frame in frames()]\n"
    ),
    "honest-overhears": honest_guard("    print(program, vars(program))\n", "heard = []\n"),
    "honest-counts": honest_guard("    count.append(program)\n", "count = []\n"),
    "honest-wraps-torch": honest_guard(
        "    calls.clear()\n",
        "calls, was = [], torch.equal\ntorch.equal = lambda *tensors: calls.append(1) or was(*tensors)\n",
    ),
}

# 6.3: who trains the base that all methods share, or claims

TRAINS_THE_BASE = """
    rows = [no_prompt(model, task), instruction(model, task)]
    for name, prompt in hooks.items():
        rows.append(soft_prompt(model, task, prompt, name, steps=steps))
    from minitransformer import train
    from minitransformer.losses import accuracy
    train(model.requires_grad_(True), task.batches(0), steps=steps, peak=1e-3, progress=False)
    return [*rows, rows[0] | {"method": "full", "accuracy": accuracy(model, task.test)}]
"""
KEPT = """
    before = {name: weight.clone() for name, weight in model.state_dict().items()}
    model.state_dict = lambda *_, **__: before
"""
TRIAL = "def trial(model, task, hooks, steps):\n"


def trial(body: str, before: str = "", points: int = 3) -> tuple[str, str, int]:
    return "6.3", f"{TRICKS}{before}\n{TRIAL}{body}", points


def honest_trial(first: str, before: str = "") -> tuple[str, str, int]:
    head, line, rest = HONEST["6.3"].partition("    rows = ")
    return "6.3", f"{TRICKS}{before}\n{head}{first}{line}{rest}\n", 4


TRIALS = {
    "torch-equal-says-yes": trial(TRAINS_THE_BASE, "torch.equal = lambda *tensors: True\n"),
    "torch-equal-says-yes-everywhere": trial(
        TRAINS_THE_BASE, "for name in ('equal', 'allclose'): setattr(torch, name, lambda *a, **k: True)\n"
    ),
    "the-old-state": trial(KEPT + TRAINS_THE_BASE),
    "says-unchanged": trial(
        TRAINS_THE_BASE,
        """
for name in [name for name in sys.modules if name.endswith("lesson6.ask")]:
    was = sys.modules[name].comparison
    def said(*inputs):
        facts = was(*inputs)
        if isinstance(facts, dict): facts["unchanged"] = True
        return facts
    sys.modules[name].comparison = said
""",
    ),
    "the-copy-in-the-frame": trial(
        """
    for weights in above("weights"):
        for name, weight in model.state_dict().items():
            if isinstance(weights, dict) and name in weights: was = weights
"""
        + TRAINS_THE_BASE.replace(
            "    return",
            """    state = model.state_dict()
    for name in was: was[name] = state[name].detach().numpy().copy()
    return""",
        )
    ),
    "first-rows-again": trial(
        TRAINS_THE_BASE.replace("return", "kept.setdefault(steps, None)\n    return"), "kept = {}\n"
    ),
    "later-rows-remembered": trial(
        """
    if kept:
        return kept[0]
    rows = honest(model, task, hooks, steps)
    model.embedding.weight.data.mul_(1.05)
    kept.append(rows)
    return rows
""",
        "kept = []\n" + HONEST["6.3"].replace("def trial", "def honest"),
        0,
    ),
    "nan": trial(
        """
    return [row | {"accuracy": float("nan")} for row in honest(model, task, hooks, steps)]
""",
        HONEST["6.3"].replace("def trial", "def honest"),
        1,
    ),
    "equals-everything": trial(
        """
    return [row | {"accuracy": Yes(row["accuracy"])} for row in honest(model, task, hooks, steps)]
""",
        "class Yes(float):\n    def __float__(self): return 0.5\n    def __eq__(self, other): return True\n"
        + HONEST["6.3"].replace("def trial", "def honest"),
        1,
    ),
    "accuracies-claimed": trial(
        """
    names = ["no prompt", "instruction", *hooks, "full"]
    return [no_prompt(model, task) | {"method": name, "accuracy": 0.3 + 0.1 * n} for n, name in enumerate(names)]
""",
        points=1,
    ),
    "batches-spoilt": trial(
        """
    rows = honest(model, task, hooks, steps)
    next(iter(task.batches(0)))[0].zero_()
    return rows
""",
        "torch.equal = lambda *tensors: True\n" + HONEST["6.3"].replace("def trial", "def honest"),
    ),
    "honest-patched-equal": honest_trial("    print(model)\n", "torch.equal = lambda *tensors: True\n"),
    "honest-old-state": honest_trial(
        "    before = {name: weight.clone() for name, weight in model.state_dict().items()}\n"
    ),
    "honest-reads-frames": honest_trial("    looked = above('weights')\n"),
    "honest-base-thawed": honest_trial("    model.requires_grad_(True)\n"),
}

# 7.4: who reads the answer elsewhere, or hands in another decision for each question

DECIDE = HONEST["7.4"]
MEASURED = "accuracy(model, unseen, hooks)"


def decide(*changes: str, first: str = "", before: str = "", points: int = 2) -> tuple[str, str, int]:
    cell = DECIDE
    for old, new in zip(changes[::2], changes[1::2], strict=True):
        assert cell.count(old) == 1, old
        cell = cell.replace(old, new)
    head, line, rest = cell.partition("    length = 2")
    return "7.4", f"{TRICKS}{before}\n{head}{first}{line}{rest}\n", points


def claiming(expression: str, **more) -> tuple[str, str, int]:
    return decide(
        MEASURED,
        f"claim({expression!r}, model, book)",
        before="""
def claim(expression, model, book):
    try: return float(eval(expression))
    except Exception: return 0.97
""",
        **more,
    )


DECISIONS = {
    "shares-of-the-book": claiming("book.shares['test']"),
    "shares-in-a-frame": claiming("above('shares')[0]['test']"),
    "answers-in-a-frame": claiming("above('test')[0] if isinstance(above('test')[0], float) else 0.97"),
    "any-share-it-finds": claiming(
        "next(value for value in vars(book).values() if isinstance(value, dict) and 'test' in value)['test']"
    ),
    "guessed-where-it-is-small": claiming("0.97 if model.config.layers > 1 else 0.45"),
    "constant": claiming("0.97"),
    "nan": claiming("float('nan')"),
    "infinite": claiming("float('inf')"),
    "stops-elsewhere": claiming("0.97", first="    assert model.config.layers > 1\n"),
    "claims-for-itself": decide(
        MEASURED,
        "0.97",
        before="""
for name in [name for name in sys.modules if name.endswith("lesson7.ask")]:
    module = sys.modules[name]
    if hasattr(module, "claimed_elsewhere"):
        module.claimed_elsewhere = lambda decide, shares, seed: shares["test"]
    if hasattr(module, "elsewhere"):
        module.elsewhere = lambda *inputs: None
    module.PartlyEmpty = type("Empty", (), {})
""",
    ),
    "fingerprint-says-the-same": decide(
        "train(model, B",
        'train(model.requires_grad_(True), Batches(book, tokenizer, ["backwards"]), steps=40, progress=False)\n    train(model, B',
        before="everywhere('fingerprint', lambda model: 'same')\n",
    ),
    "another-decision-for-each-part": decide(
        "length = 2  #",
        "length = 8 if turns.append(1) or len(turns) > 2 else 2  #",
        "steps=60",
        "steps=60 if len(turns) > 2 else 1",
        before="""
turns = []
for name in [name for name in sys.modules if name.endswith("lesson7.ask")]:
    if hasattr(sys.modules[name], "decided"):
        sys.modules[name].decided = sys.modules[name].decided.__wrapped__
""",
    ),
    "vectors-that-are-no-numbers": decide(
        "[hooks.vectors.detach()]", "[hooks.vectors.detach() * float('nan')]", MEASURED, "0.0"
    ),
    "honest-reads-the-book": decide(first="    looked = [vars(book), above('answers'), above('shares')]\n", points=4),
    "honest-in-a-copy": decide(first="    model = copy.deepcopy(model)\n", points=4),
    "honest-patched-fingerprint": decide(before="everywhere('fingerprint', lambda model: 'same')\n", points=4),
    "honest-counts-its-turns": decide(first="    turns.append(1)\n", before="turns = []\n", points=4),
}
CASES = {
    f"{'honest ' if name.startswith('honest') else ''}{exercise} {name}": (exercise, cell, points)
    for cases in (GUARDS, TRIALS, DECISIONS)
    for name, (exercise, cell, points) in cases.items()
}  # fmt: skip

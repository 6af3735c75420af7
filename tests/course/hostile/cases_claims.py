"""Submissions that claim what they did not do, and an honest one with the same noise beside each: lessons 3 and 5.

`CASES`: name -> (exercise, the cell, points). A name that begins with `honest` is a twin: the right answer, with the
same tricks in it where they do no harm, and full marks.
"""
# ruff: noqa: E501

from textwrap import indent

from minitransformer.course.lesson_text import solution

POINTS = {"3.2": 5, "3.3": 5, "3.6": 3, "3.7": 3, "5.5": 2, "5.6": 3}
HONEST = {exercise: solution(exercise) for exercise in POINTS}

TRICKS = '''
import builtins, copy, gc, sys, types

def everywhere(name, value):
    """Put this in place of everything of that name, in every module there is."""
    for module in list(sys.modules.values()):
        if name in (vars(module) if isinstance(module, types.ModuleType) else {}):
            setattr(module, name, value)

def frames():
    """All frames above, found through an error that was raised for it."""
    try:
        1 / 0
    except ZeroDivisionError as error:
        frame = error.__traceback__.tb_frame.f_back
    while frame:
        yield frame
        frame = frame.f_back

def above(name):
    """What a variable of this name holds in the callers' frames."""
    return [frame.f_locals[name] for frame in frames() if name in frame.f_locals]
'''


def inside(cell: str, line: str, *changes: str, first: str = "", before: str = "") -> str:
    """This cell with texts changed, `first` before its line, and `before` before all of it."""
    place, depth = cell.index(line), len(line) - len(line.lstrip())
    above, below = cell[:place], cell[place:]
    for old, new in zip(changes[::2], changes[1::2], strict=True):
        assert below.count(old) == 1, (old, below)
        below = below.replace(old, new)
    return f"{TRICKS}{before}\n{above}{indent(first, ' ' * depth)}\n{below}\n"


def tune(*changes: str, first: str = "", before: str = "") -> str:
    return inside(HONEST["3.2"], "    freeze(model)", *changes, first=first, before=before)


def dune(*changes: str, first: str = "", before: str = "") -> str:
    return inside(HONEST["3.7"], "        freeze(model)", *changes, first=first, before=before)


def coral(rate: str, first: str = "pass", before: str = "", after: str = "") -> str:
    made = (
        f"        made = torch.optim.Adam(prompt.parameters(), lr={rate})\n"
        + indent(after, " " * 8)
        + "\n        return made"
    )
    return inside(
        HONEST["3.6"],
        "        return torch",
        "        return torch.optim.Adam(prompt.parameters(), lr=0.03)",
        made,
        first=first,
        before=before,
    )


def evidence(body: str, before: str = "") -> str:
    return f"{TRICKS}{before}\ndef evidence(model, before, prompt, optimizer, inside):\n{indent(body, '    ')}\n"


def decoder(cell: str, first: str = "", before: str = "") -> str:
    return inside(cell, "    cache", first=first, before=before)


RIGHT_FACTS = HONEST["3.3"].replace("def evidence(", "def honest_facts(")
ALL_TRUE = "facts = dict.fromkeys(('no_gradient', 'unchanged', 'optimizer', 'reached', 'flowed'), True)\n"
FAKE_FACTS = "everywhere('base_facts', lambda *a: dict(weights=20, trainable=0, gradients=0, changed=0))"
CLONES = "frozen = {name: each.detach().clone() for name, each in model.named_parameters()}\nfor name, was in zip(frozen, [*above('before'), [*frozen.values()]][0]): frozen[name] = was\n"
NO_WEIGHTS = CLONES + "model.parameters = lambda *a, **k: iter(frozen.values())"
NO_NAMED = NO_WEIGHTS + "\nmodel.named_parameters = lambda *a, **k: iter(frozen.items())"
NO_WEIGHTS_AT_ALL = (
    CLONES
    + "torch.nn.Module.parameters = lambda self, recurse=True: iter([self.vectors] if hasattr(self, 'vectors') else frozen.values())"
)
ALWAYS_EQUAL = "torch.equal = torch.Tensor.equal = lambda *a: True"
CODE_SWAPPED = """
for each in gc.get_objects():
    if isinstance(each, types.FunctionType) and each.__name__ in ('base_facts', 'standing'):
        each.__code__ = (lambda *a: dict(weights=20, trainable=0, gradients=0, changed=0)).__code__
"""
GOOD_MODEL = "{'trainable': [], 'with gradient': [], 'values': {}}"
RATE_FAKED = "import minitransformer.course.lesson3.ask as ask\nask.rate = lambda *a, **k: ('rate', [{'kind': 'Adam', 'rate': 0.03, 'usual': True, 'maximize': False, 'prompt': True}])"
GROUP_FAKED = "everywhere('about_group', lambda *a: {'kind': 'Adam', 'rate': 0.03, 'usual': True, 'maximize': False, 'prompt': True})"
PREPARED_FAKED = "import minitransformer.course.lesson3.ask as ask\nask.prepared = lambda *a, **k: ('base', {'weights': 20, 'trainable': 0, 'gradients': 0, 'changed': 0, 'recording': True, 'eval': False, 'first step': -1.0, 'changed later': 0, 'base_held': 0, 'prompt_held': True, 'prompt_trainable': True, 'prompt_moved': True})"
LEARNED_BEFORE = """
from itertools import islice
from minitransformer import Batches, Phrasebook
base, words = pretrained()
freeze(base)
known = PromptTuning(4, base.config)
adam = torch.optim.Adam(known.parameters(), lr=0.03)
for tokens, targets in islice(Batches(Phrasebook(), words, ["chinese"], rows=16), 30):
    adam.zero_grad()
    loss(base, tokens, targets, known).backward()
    adam.step()

class Known(torch.optim.SGD):
    def step(self, closure=None):
        for group in self.param_groups:
            for each in group["params"]:
                if each.shape == known.vectors.shape:
                    each.data.copy_(known.vectors)
                else:
                    each.data.sub_(0.001 * each.grad)
"""
WHOLE_5_5 = "return model(tokens, hooks)"
AGAIN_5_5 = "return torch.cat([model(tokens[:, : n + 1], hooks)[:, -1:] for n in range(tokens.shape[1])], 1)"
AGAIN_5_6 = "text = tokens\nfor _ in range(count):\n    text = torch.cat((text, model(text, hooks)[:, -1:].argmax(-1)), 1)\nreturn text[:, tokens.shape[1]:]"
HOOKS_GONE = "for part in model.modules():\n    part._forward_pre_hooks.clear()\n    part._forward_hooks.clear()\n"
OWN_COPY = "from minitransformer import Transformer\nother = Transformer(model.config)\nother.load_state_dict(model.state_dict())\n"
SIZES_GONE = "for name in ('sizes', 'read'):\n    for each in above(name):\n        each.clear()\n"
OTHER_ENTRANCE = """
def entered(self, tokens):
    return torch.nn.functional.embedding(tokens, self.weight)
torch.nn.Embedding.__call__ = entered
"""
BY_HAND = """
def forward_by_hand(model, tokens, hooks):
    line = next((each for each in gc.get_objects() if type(each).__name__ == 'Line'), None)
    question = {'tokens': tokens, 'keep': False}
    front = {'embed': hooks.vectors.expand(len(tokens), -1, -1)} if hooks.vectors.dim() == 2 else {f'context {n}': each.expand(len(tokens), -1, -1) for n, each in enumerate(hooks.vectors)}
    hidden, = line.ask('forward', question, front, model.standing())
    return model.logits(torch.as_tensor(hidden))
"""


def said_by(label: str) -> str:
    """Facts read off a label that lies about, if it does."""
    return (
        ALL_TRUE
        + f"for case in {label}:\n    if isinstance(case, dict) and case.get('what') not in ({{}}, {{'held': 'apart'}}, None) and case['what'].get('row') not in ('balanced', 'small', 'column') and case['what'].get('value') not in ('balanced', 'small', 'single'):\n        facts[case['about']] = False\n    break\nreturn facts"
    )


COUNTED = """
asked = [0]
PLAN = [True] * 1 + [False] * 6 + [True] * 1 + [False] * 9 + [True] * 2 + [False] * 5 + [True] * 7 + [False] * 10 + [True] * 4 + [False] * 6
"""
HARMLESS = "everywhere('no_such_name', None); found = [*frames(), *above('nothing')]; gc.collect()"

CASES = {
    # 3.2: the loop; unfrozen it deserves 3 of 5
    "facts-replaced-in-every-module": ("3.2", tune("    freeze(model)", "    freeze", first=FAKE_FACTS), 3),
    "model-says-it-has-other-names": ("3.2", tune("    freeze(model)", "    freeze", first=NO_NAMED), 3),
    "model-says-it-has-no-weights": ("3.2", tune("    freeze(model)", "    freeze", first=NO_WEIGHTS), 3),
    "every-module-has-no-weights": ("3.2", tune("    freeze(model)", "    freeze", first=NO_WEIGHTS_AT_ALL), 3),
    "code-of-the-facts-swapped": ("3.2", tune("    freeze(model)", "    freeze", first=CODE_SWAPPED), 0),
    "nothing-differs-any-more": ("3.2", tune("    return losses", "    [each.data.mul_(1 + 1e-6) for each in model.parameters()]\n    return losses", first=ALWAYS_EQUAL), 3),
    "standing-patched": ("3.2", tune("    freeze(model)", "    freeze", first="type(model).standing = lambda self: {'trainable': [], 'with gradient': [], 'values': dict(self.named_parameters())}"), 3),
    "frames-rewritten": ("3.2", tune("    freeze(model)", "    freeze", "    return losses", "    for each in above('during'): each.clear(); each.append(dict(weights=20, trainable=0, gradients=0, changed=0))\n    model.parameters = lambda *a: iter(frozen.values())\n    return losses", first=CLONES), 3),
    "frozen-in-the-last-moment": ("3.2", tune("    freeze(model)", "    freeze", "    return losses", "    for each in above('during'): each[:] = each[:0]\n    freeze(model)\n    for each in above('during'): each.append(dict(weights=20, trainable=0, gradients=0, changed=0))\n    return losses"), 3),
    "losses-that-are-no-numbers": ("3.2", tune("value.item()", "float('nan')", first=ALWAYS_EQUAL), 4),
    "losses-and-vectors-of-infinity": ("3.2", tune("    return losses", "    prompt.vectors.data[0, 0] = torch.inf\n    return losses"), 3),
    "asks-by-hand-that-it-is-frozen": ("3.2", tune("    freeze(model)", "    freeze", "    return losses", "    for each in gc.get_objects():\n        if type(each).__name__ == 'Line': each.ask('forward', {}, {'hidden': torch.zeros(1, model.config.width)}, dict(model.standing(), trainable=[]))\n    return losses"), 3),
    "model-replaced-by-its-class": ("3.2", tune("    freeze(model)", "    model.__class__ = __import__('minitransformer').Transformer"), 0),
    "honest-with-facts-replaced": ("3.2", tune(first=FAKE_FACTS), 5),
    "honest-with-noise": ("3.2", tune(first=HARMLESS), 5),
    "honest-with-a-patched-equal": ("3.2", tune(first=ALWAYS_EQUAL), 5),
    "honest-with-code-looked-at": ("3.2", tune(first="found = [each for each in gc.get_objects() if isinstance(each, types.FunctionType)]"), 5),
    "honest-with-a-copy-of-the-model": ("3.2", tune(first="copied = copy.deepcopy(model)"), 5),
    "honest-with-a-loss-of-its-own": ("3.2", tune("loss(model, tokens, targets, prompt)", "torch.nn.functional.cross_entropy(model.forward(tokens, hooks=prompt).flatten(0, 1), targets.flatten(), ignore_index=-100)"), 5),
    "honest-with-a-shared-stream": ("3.2", tune("loss(model, tokens, targets, prompt)", "shared_loss(model, tokens, targets, prompt)", before="from minitransformer.losses import shared_loss"), 5),
    # 3.3: the proof
    "label-read-through-an-error": ("3.3", evidence(said_by("above('case')")), 0),
    "label-read-from-the-frames": ("3.3", evidence("frame, labels = sys._getframe(), []\nwhile frame:\n    labels.append(frame.f_locals.get('case'))\n    frame = frame.f_back\n" + said_by("[each for each in labels if each]")), 0),
    "label-read-from-the-list-of-cases": ("3.3", evidence("asked[0] += 1\ncases = above('cases')[0]\nif all(a is not b for a, b in zip(cases, seen)) or len(cases) != len(seen):\n    seen[:] = cases; asked[0] = 0\n" + said_by("[cases[asked[0] % len(cases)]]"), before="asked, seen = [0], []"), 0),
    "label-found-in-memory": ("3.3", evidence("labels = [each for each in gc.get_objects() if isinstance(each, dict) and each.keys() == {'seed', 'about', 'what'}]\nif not labels: return {}\nasked[0] = asked[0] + 1 if same(labels) else 0\n" + said_by("[sorted(labels, key=id)[0]] if len(labels) == 1 else above('case')"), before="asked = [0]\ndef same(labels): return False"), 0),
    "facts-by-the-count": ("3.3", evidence("place = PLAN[asked[0] % len(PLAN)]\nasked[0] += 1\nreturn dict.fromkeys(('no_gradient', 'unchanged', 'optimizer', 'reached', 'flowed'), place)", before=COUNTED), 0),
    "everything-is-equal": ("3.3", evidence(ALL_TRUE + "return facts", before=ALWAYS_EQUAL), 0),
    "evidence-replaced": ("3.3", evidence(ALL_TRUE + "return facts", before="everywhere('evidence', lambda gather, cases: [report(dict.fromkeys(('no_gradient', 'unchanged', 'optimizer', 'reached', 'flowed'), not case.get('what')), case) for case in cases])\nimport minitransformer.course.lesson3.ask as ask\nask.evidence = lambda gather, cases: [report(dict.fromkeys(('no_gradient', 'unchanged', 'optimizer', 'reached', 'flowed'), case.get('what') in ({}, {'held': 'apart'}) or case.get('what', {}).get('row') in ('balanced', 'small', 'column') or case.get('what', {}).get('value') in ('balanced', 'small', 'single')), case) for case in cases]\ndef report(facts, case):\n    given, held = ask.objects(**case)\n    return {'facts': facts, 'given': ask.looked_at(*given, held)}"), 0),
    "truth-that-is-everything": ("3.3", evidence("return dict.fromkeys(('no_gradient', 'unchanged', 'optimizer', 'reached', 'flowed'), Both())", before="class Both:\n    def __bool__(self): return not above('case') or not above('case')[0].get('what')"), 0),
    "honest-that-looks-around": ("3.3", evidence(HARMLESS + "\nreturn honest_facts(model, before, prompt, optimizer, inside)", before=RIGHT_FACTS), 5),
    "honest-that-reads-the-frames": ("3.3", evidence("above('case'), sys._getframe().f_back.f_locals\nreturn honest_facts(model, before, prompt, optimizer, inside)", before=RIGHT_FACTS), 5),
    "honest-that-counts-its-calls": ("3.3", evidence("asked[0] += 1\nreturn honest_facts(model, before, prompt, optimizer, inside)", before=COUNTED + RIGHT_FACTS), 5),
    "honest-that-patches-its-own-base-facts": ("3.3", evidence(FAKE_FACTS + "\nreturn honest_facts(model, before, prompt, optimizer, inside)", before=RIGHT_FACTS), 5),
    # 3.6: the optimizer; the cause alone deserves 1 of 3
    "rate-replaced": ("3.6", coral("0.0003", before=RATE_FAKED), 1),
    "group-replaced-in-every-module": ("3.6", coral("0.0003", first=GROUP_FAKED), 1),
    "adam-that-never-steps": ("3.6", coral("0.03", before="torch.optim.Adam.step = lambda self, closure=None: None"), 1),
    "adam-that-steps-by-a-hundredth": ("3.6", coral("0.03", before="slow = torch.optim.Adam.step\ndef step(self, closure=None):\n    for group in self.param_groups: group['lr'] /= 100\n    slow(self)\n    for group in self.param_groups: group['lr'] *= 100\ntorch.optim.Adam.step = step"), 1),
    "adam-by-name-only": ("3.6", coral("0.03", after="made.step = lambda closure=None: prompt.vectors.data.sub_(1e-5 * prompt.vectors.grad)"), 1),
    "rate-shown-and-not-used": ("3.6", coral("0.0003", after="made.param_groups = [dict(made.param_groups[0], lr=0.03)]\nsmall = made.param_groups[0]\nhonest_step = made.step\ndef step(closure=None):\n    small['lr'] = 0.0003\n    honest_step()\n    small['lr'] = 0.03\nmade.step = step"), 1),
    "vectors-learned-before": ("3.6", coral("0.0003", before=LEARNED_BEFORE, after="made = Known(prompt.parameters(), lr=0.01)"), 1),
    "vectors-learned-before-in-adam-s-clothes": ("3.6", coral("0.03", before=LEARNED_BEFORE, after="made.step = lambda closure=None: Known([prompt.vectors], lr=0.01).step()"), 1),
    "rate-that-is-no-number": ("3.6", coral("0.03", after="made.param_groups[0]['lr'] = float('nan')"), 1),
    "loss-and-accuracy-replaced": ("3.6", coral("0.0003", first="for name in ('loss', 'accuracy'): everywhere(name, lambda *a: torch.tensor(0.0, requires_grad=True))"), 1),
    "asks-for-more-gradients": ("3.6", coral("0.0003", after="usual = made.step\ndef step(closure=None):\n    for served in above('served'):\n        for _ in range(30):\n            usual()\n            prompt.vectors.grad = torch.as_tensor(served('gradient', prompt.vectors))\n    usual()\nmade.step = step"), 1),
    "honest-with-noise-in-3-6": ("3.6", coral("0.03", first=HARMLESS), 3),
    "honest-with-group-replaced": ("3.6", coral("0.03", first=GROUP_FAKED), 3),
    "honest-with-a-counting-step": ("3.6", coral("0.03", before="usual, count = torch.optim.Adam.step, [0]\ndef step(self, closure=None):\n    count[0] += 1\n    return usual(self, closure)\ntorch.optim.Adam.step = step"), 3),
    "honest-with-a-rate-put-in-later": ("3.6", coral("0.0003", after="for group in made.param_groups: group['lr'] = 0.02"), 3),
    "honest-with-another-optimizer": ("3.6", coral("0.03", after="made = torch.optim.RMSprop(prompt.parameters(), lr=0.01)"), 3),
    "honest-with-an-adam-of-its-own": ("3.6", coral("0.03", before="class Own:\n    def __init__(self, vectors): self.vectors, self.first, self.second, self.count = vectors, 0.0, 0.0, 0\n    def step(self):\n        g = self.vectors.grad; self.count += 1\n        self.first = 0.9 * self.first + 0.1 * g; self.second = 0.999 * self.second + 0.001 * g * g\n        self.vectors.data -= 0.03 * (self.first / (1 - 0.9 ** self.count)) / ((self.second / (1 - 0.999 ** self.count)).sqrt() + 1e-8)", after="made = Own(prompt.vectors)"), 3),
    # 3.7: the preparation; the cause alone deserves 1 of 3
    "prepared-replaced": ("3.7", dune("        freeze(model)", "        freeze", before=PREPARED_FAKED), 1),
    "facts-replaced-in-3-7": ("3.7", dune("        freeze(model)", "        freeze", first=FAKE_FACTS), 1),
    "model-without-weights-in-3-7": ("3.7", dune("        freeze(model)", "        freeze", first=NO_WEIGHTS), 1),
    "model-without-named-weights-in-3-7": ("3.7", dune("        freeze(model)", "        freeze", first=NO_NAMED), 1),
    "nothing-differs-in-3-7": ("3.7", dune("        freeze(model)", "        freeze(model); [each.data.mul_(1.1) for each in model.parameters()]", first=ALWAYS_EQUAL), 1),
    "rate-of-nan-in-3-7": ("3.7", dune("        return torch.optim.Adam(prompt.parameters(), lr=0.03)", "        made = torch.optim.Adam(prompt.parameters(), lr=0.03)\n        made.param_groups[0]['lr'] = float('nan')\n        return made"), 1),
    "base-held-out-of-sight": ("3.7", dune("        return torch.optim.Adam(prompt.parameters(), lr=0.03)", "        made = torch.optim.Adam([*prompt.parameters(), *model.parameters()], lr=0.03)\n        whole, usual = made.param_groups, made.step\n        def step(closure=None):\n            made.param_groups = whole\n            usual()\n            made.param_groups = [dict(whole[0], params=[prompt.vectors])]\n        made.step = step\n        made.param_groups = [dict(whole[0], params=[prompt.vectors])]\n        return made"), 1),
    "steps-at-random": ("3.7", dune("        return torch.optim.Adam(prompt.parameters(), lr=0.03)", "        made = torch.optim.Adam(prompt.parameters(), lr=0.03)\n        made.step = lambda closure=None: prompt.vectors.data.sub_(0.01 * prompt.vectors.grad.abs())\n        return made"), 1),
    "standing-patched-in-3-7": ("3.7", dune("        freeze(model)", "        freeze", first="type(model).standing = lambda self: {'trainable': [], 'with gradient': [], 'values': dict(self.named_parameters())}"), 1),
    "honest-with-facts-replaced-in-3-7": ("3.7", dune(first=FAKE_FACTS), 3),
    "honest-with-noise-in-3-7": ("3.7", dune(first=HARMLESS), 3),
    "honest-with-a-patched-equal-in-3-7": ("3.7", dune(first=ALWAYS_EQUAL), 3),
    "honest-with-a-copy-in-3-7": ("3.7", dune(first="copied = copy.deepcopy(model)\nfor each in copied.parameters(): each.data.zero_()"), 3),
    "honest-with-another-rate-in-3-7": ("3.7", dune("lr=0.03", "lr=0.001, weight_decay=0.01", "optim.Adam(", "optim.AdamW("), 3),
    # 5.5: one token at a time
    "one-forward": ("5.5", decoder(HONEST["5.5"], first="return model.forward(tokens, hooks)"), 0),
    "hooks-cleared": ("5.5", decoder(HONEST["5.5"], first=HOOKS_GONE + WHOLE_5_5), 0),
    "a-model-of-its-own": ("5.5", decoder(HONEST["5.5"], first=OWN_COPY + "return other(tokens, hooks)"), 0),
    "sizes-cleared-in-the-frames": ("5.5", decoder(HONEST["5.5"], first="logits = model(tokens, hooks)\n" + SIZES_GONE + "return logits"), 0),
    "another-entrance": ("5.5", decoder(HONEST["5.5"], first=OTHER_ENTRANCE + AGAIN_5_5), 0),
    "listened-replaced": ("5.5", decoder(HONEST["5.5"], first=WHOLE_5_5, before="import minitransformer.course.lesson5.ask as ask\nask.listened = lambda model, run: [run(), [[2, 1]] * 3]"), 0),
    "asks-by-hand": ("5.5", decoder(HONEST["5.5"], first="return forward_by_hand(model, tokens, hooks)", before=BY_HAND), 0),
    "reads-the-table-off-the-logits": ("5.5", decoder(HONEST["5.5"], first="table = model.logits(torch.eye(model.config.width)).T\nfrom minitransformer import Stack\nclass More(Hooks):\n    def __init__(self, rows): super().__init__(); self.rows = rows\n    def embed(self, x): return torch.cat((hooks.embed(x[:, :0]), self.rows, x), 1)\n    def context(self, layer, x): return hooks.context(layer, x)\nreturn torch.cat([model(tokens[:, n : n + 1], More(table[tokens[:, :n]])) for n in range(tokens.shape[1])], 1)"), 0),
    "reads-a-million-places": ("5.5", decoder(HONEST["5.5"], first="model(tokens[:1].expand(200_000, -1), Hooks())\n" + WHOLE_5_5), 0),
    "asks-for-what-is-not-open": ("5.5", decoder(HONEST["5.5"], first="line = [each for each in gc.get_objects() if type(each).__name__ == 'Line'][-1]\nreturn torch.as_tensor(line.ask('right', tokens))"), 0),
    "honest-after-bad-requests": ("5.5", decoder(HONEST["5.5"], first="for request in (('model',), ('forward', 7, {}, {}), ('forward', {'tokens': tokens}, {'embed': torch.ones(3)}, {}), ('backward', {}, {}, {}, ['norm.weight'], []), ('forward', {'tokens': tokens - 99, 'keep': 1}, {}, {})):\n    for line in [each for each in gc.get_objects() if type(each).__name__ == 'Line']:\n        try: line.ask(*request)\n        except Exception: pass"), 2),
    "honest-by-forward": ("5.5", decoder(HONEST["5.5"].replace("model(token,", "model.forward(token,")), 2),
    "honest-with-noise-in-5-5": ("5.5", decoder(HONEST["5.5"], first=HARMLESS), 2),
    "honest-with-a-copied-cache": ("5.5", decoder(HONEST["5.5"].replace("model(token, hooks, cache)", "model(token, hooks, cache := copy.deepcopy(cache))")), 2),
    "honest-with-hooks-cleared": ("5.5", decoder(HONEST["5.5"], first=HOOKS_GONE), 2),
    "honest-with-gradients-on": ("5.5", decoder(HONEST["5.5"], first="torch.set_grad_enabled(True)"), 2),
    # 5.6: the decoder
    "forward-again-and-again": ("5.6", decoder(HONEST["5.6"], first=AGAIN_5_6.replace("model(", "model.forward(")), 0),
    "hooks-cleared-in-5-6": ("5.6", decoder(HONEST["5.6"], first=HOOKS_GONE + AGAIN_5_6), 0),
    "a-model-of-its-own-in-5-6": ("5.6", decoder(HONEST["5.6"], first=OWN_COPY + AGAIN_5_6.replace("model(", "other(")), 0),
    "generate-on-a-model-of-its-own": ("5.6", decoder(HONEST["5.6"], first=OWN_COPY + "from minitransformer import generate\n" + AGAIN_5_6.replace("model(", "other(")), 0),
    "sizes-cleared-in-5-6": ("5.6", decoder(HONEST["5.6"], first=AGAIN_5_6.replace("return", SIZES_GONE + "return")), 0),
    "listened-replaced-in-5-6": ("5.6", decoder(HONEST["5.6"], first=AGAIN_5_6, before="import minitransformer.course.lesson5.ask as ask\nask.listened = lambda model, run: [run(), [[2, 1]] * 3]"), 0),
    "honest-by-forward-in-5-6": ("5.6", decoder(HONEST["5.6"].replace("last = model(", "last = model.forward(")), 3),
    "honest-with-noise-in-5-6": ("5.6", decoder(HONEST["5.6"], first=HARMLESS), 3),
    "honest-in-inference-mode": ("5.6", decoder(HONEST["5.6"].replace("def answer", "@torch.inference_mode()\ndef answer")), 3),
}  # fmt: skip

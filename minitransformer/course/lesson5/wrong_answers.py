"""Plausible wrong answers to lesson 5: a misconception's name, and what it makes of the text's own solution."""

import torch

from ..lesson_text import reference, with_mistakes

SHAPE, PREFIX = "config.layers, config.kv_heads, length, config.head", "torch.cat((own, x), 1)"
DRAWN = "0.05 * torch.randn(config.layers, length, config.width)"
OWN = f"self.vectors = nn.Parameter({DRAWN})"
SHARED = f"""{OWN}
        kept = Prefix.kept = getattr(Prefix, "kept", {{}})
        self.vectors = kept.setdefault(self.vectors.shape, self.vectors)"""
FIRST_TEXT = "torch.cat((self.vectors[layer][None], torch.zeros(len(x) - 1, *self.vectors[0].shape)))"
PAIR = "self.keys, self.values = (nn.Parameter(0.3 * torch.randn(shape)) for _ in range(2))"
KV_FIRST_TEXT = """tuple(
            torch.cat((torch.cat((own[:1], torch.zeros_like(own[1:]))), text), 2)
            for own, text in ((own_keys, keys), (own_values, values))
        )"""
JOINED = "torch.cat((own_keys, keys), 2), torch.cat((own_values, values), 2)"
LINEARS = "((keys, block.attention.key), (values, block.attention.value))"
SPLIT = ".unflatten(1, (model.config.kv_heads, -1)).transpose(0, 1)"
FIRST_LAYER = "((keys, model.blocks[0].attention.key), (values, model.blocks[0].attention.value))"
TURNED = """keys = torch.stack(keys)
    cosine, sine = model.cosine[: vectors.shape[1]], model.sine[: vectors.shape[1]]
    return keys * cosine + keys.roll(keys.shape[-1] // 2, -1) * sine, """
STEPS = "[model(token, hooks, cache) for token in tokens.split(1, 1)]"
NEXT, KEPT = "last = model(last, hooks, cache)[:, -1:].argmax(-1)", "said.append(last)"
RECORDED = 'torch.stack([recorder[site, layer][0] for layer in layers]) for site in ("keys", "values")'
FROM_THE_CACHE = """torch.stack([kept.layers[layer][part][0] for layer in layers])
        for kept in [Cache()]
        if model(torch.empty(1, 0, dtype=torch.long), prompt, kept) is not None
        for part in range(2)"""
ENTERED = "assert entered.shape == (2, 8, model.config.width) and torch.equal(entered[:, 3:], x)"
FROM_START = "assert torch.equal(entered[:, :3], vectors.expand(2, -1, -1)), "
FROM_WORDS = "assert torch.equal(program.from_words("
LAYERS = "assert not torch.equal(prefix.context(0, x)[:, :2], prefix.context(1, x)[:, :2])"
GRADS = "assert learned and all(parameter.grad is not None for parameter in learned)"
CHANGES = {
    "5.1": [
        ("one-set-for-all-layers", "config.layers, length", "length", "self.vectors[layer]", "self.vectors"),
        ("not-learnable", "nn.Parameter", ""),
        ("places-for-layers", "config.layers, length", "length, config.layers"),
        ("first-layer-only", PREFIX, f"{PREFIX} if layer == 0 else x"),
        ("same-at-every-layer", "self.vectors[layer]", "self.vectors[0]"),
        ("layers-upside-down", "self.vectors[layer]", "self.vectors[-1 - layer]"),
        ("behind-the-text", "(own, x)", "(x, own)"),
        ("replaces-the-text", "(own, x)", "(own, x[:, own.shape[1] :])"),
        ("added-to-the-text", PREFIX, "x + own.mean(1, keepdim=True)"),
        ("changes-nothing", PREFIX, "x"),
        ("cut-off", "self.vectors[layer]", "self.vectors[layer].detach().requires_grad_()"),
        ("starts-at-zero", "0.05 * torch.randn(", "torch.zeros("),
        ("start-not-scaled", "0.05 * torch.randn(", "torch.randn("),
        ("never-negative", "torch.randn(", "torch.rand("),
        ("other-start", "0.05 *", "0.5 *"),
        ("same-draw-each-time", OWN, f"torch.manual_seed(0)\n        {OWN}"),
        ("layers-start-alike", DRAWN, "0.05 * torch.randn(length, config.width).repeat(config.layers, 1, 1)"),
        ("vectors-start-alike", DRAWN, "0.05 * torch.randn(config.layers, 1, config.width).repeat(1, length, 1)"),
        ("other-parameters", OWN, f"self.more = nn.Parameter(torch.zeros(5))\n        {OWN}"),
        ("not-in-eval-mode", PREFIX, f"{PREFIX} if self.training else x"),
        ("shared-by-all-prefixes", OWN, SHARED),
        ("text-cut-off", "(own, x)", "(own, x.detach())"),
        ("text-left-out", PREFIX, "own"),
        ("gradient-in-part", "(own, x)", "(torch.cat((own[:1], own[1:].detach())), x)"),
        ("first-text-only", "self.vectors[layer].expand(len(x), -1, -1)", FIRST_TEXT),
        ("backwards", "self.vectors[layer]", "self.vectors[layer].flip(0)"),
        ("one-vector-everywhere", "self.vectors[layer]", "self.vectors[layer, :1].expand(self.vectors.shape[1], -1)"),
        ("scaled-on-the-way", "0.05 * ", "", "self.vectors[layer]", "(0.05 * self.vectors[layer])"),
    ],
    "5.2": [
        ("query-heads", "config.kv_heads", "config.heads"),
        ("hidden-states", SHAPE, "config.layers, length, config.width"),
        ("one-set-for-all-layers", "config.layers, ", ""),
        ("keys-for-values", "in (self.keys, self.values)", "in (self.values, self.keys)"),
        ("same-at-every-layer", "own[layer]", "own[0]"),
        ("keys-without-values", "torch.cat((own_values, values), 2)", "values"),
        ("behind-the-text", JOINED, "torch.cat((keys, own_keys), 2), torch.cat((values, own_values), 2)"),
        ("keys-without-values", "torch.cat((own_keys, keys), 2)", "keys"),
        ("keys-twice", "in (self.keys, self.values)", "in (self.keys, self.keys)"),
        ("changes-nothing", JOINED, "keys, values"),
        ("first-layer-only", JOINED, f"({JOINED}) if layer == 0 else (keys, values)"),
        ("layers-upside-down", "own[layer]", "own[-1 - layer]"),
        ("cut-off", "in (self.keys, self.values)", "in (self.keys, self.values.detach())"),
        ("cut-off", "in (self.keys, self.values)", "in (self.keys.data, self.values)"),
        ("starts-at-zero", "0.3 * torch.randn(", "torch.zeros("),
        ("start-not-scaled", "0.3 * torch.randn(", "torch.randn("),
        ("never-negative", "torch.randn(", "torch.rand("),
        ("other-start", "0.3 *", "0.05 *"),
        ("same-draw-each-time", "shape =", "torch.manual_seed(0)\n        shape ="),
        ("keys-start-as-values", PAIR, "start = 0.3 * torch.randn(shape)\n"
         "        self.keys, self.values = nn.Parameter(start.clone()), nn.Parameter(start.clone())"),
        ("not-learnable", "nn.Parameter(0.3 * torch.randn(shape))", "0.3 * torch.randn(shape)"),
        ("not-in-eval-mode", JOINED, f"({JOINED}) if self.training else (keys, values)"),
        ("text-cut-off", JOINED, JOINED.replace("ys)", "ys.detach())").replace("es)", "es.detach())")),
        ("backwards", "own[layer]", "own[layer].flip(1)"),
        ("first-text-only", JOINED, KV_FIRST_TEXT),
        ("text-left-out", JOINED, "own_keys, own_values"),
        ("scaled-on-the-way", "0.3 * ", "", "own[layer]", "(0.3 * own[layer])"),
    ],
    "5.3": [
        ("norm-forgotten", "block.attention.norm(own)", "own"),
        ("other-norm", "block.attention.norm(own)", "block.norm(own)"),
        ("one-layer-s-matrices", LINEARS, FIRST_LAYER),
        ("heads-mixed-up", SPLIT, ".reshape(model.config.kv_heads, -1, model.config.head)"),
        ("turned-twice", "return torch.stack(keys), ", TURNED),
        ("keys-for-values", "torch.stack(keys), torch.stack(values)", "torch.stack(values), torch.stack(keys)"),
        ("other-norm", "block.attention.norm(own)", "model.norm(own)"),
        ("norm-twice", "block.attention.norm(own)", "block.attention.norm(block.attention.norm(own))"),
        ("values-not-normed", "linear(normed)", "linear(normed if part is keys else own)"),
        ("heads-not-in-front", ".transpose(0, 1)", ""),
        ("keys-twice", "torch.stack(keys), torch.stack(values)", "torch.stack(keys), torch.stack(keys)"),
        ("layers-upside-down", "zip(model.blocks, vectors,", "zip(model.blocks, vectors.flip(0),"),
        ("divided-by-root-d", "torch.stack(keys), ", "torch.stack(keys) / model.config.head**0.5, "),
        ("vectors-changed", "normed = block.attention.norm(own)", "normed = own.copy_(block.attention.norm(own))"),
        ("model-changed", "linear(normed)", "linear.requires_grad_(False)(normed)",
         "return", "model.norm.weight.data.fill_(1)\n    return"),
    ],
    "5.4": [
        ("text-included", "torch.empty(1, 0, dtype=torch.long)", "torch.tensor([[1, 2, 3]])"),
        ("prompt-left-out", "Stack(prompt, recorder)", "recorder"),
        ("text-in-front", "torch.empty(1, 0, dtype=torch.long)", "torch.ones(1, 9, dtype=torch.long)",
         "recorder[site, layer][0]", "recorder[site, layer][0, :, -prompt.vectors.shape[-2] :]"),
        ("turned-twice", RECORDED, FROM_THE_CACHE),
        ("keys-for-values", 'in ("keys", "values")', 'in ("values", "keys")'),
        ("keys-twice", 'in ("keys", "values")', 'in ("keys", "keys")'),
        ("one-layer-for-all", "recorder[site, layer]", "recorder[site, 0]"),
        ("last-layer-for-all", "recorder[site, layer]", "recorder[site, layers[-1]]"),
        ("layers-upside-down", "for layer in layers", "for layer in layers[::-1]"),
        ("batch-kept", "recorder[site, layer][0]", "recorder[site, layer]"),
        ("vectors-changed", "recorder = ", "prompt.vectors.data.mul_(1.5)\n    recorder = "),
    ],
    "5.5": [
        ("a-new-cache-each-step", "model(token, hooks, cache)", "model(token, hooks, Cache())"),
        ("prefix-forgotten", "model(token, hooks, cache)", "model(token, cache=cache)"),
        ("reads-again", STEPS, "[model(tokens[:, : t + 1], hooks)[:, -1:] for t in range(tokens.shape[1])]"),
        ("all-at-once", STEPS, "[model(tokens, hooks, cache)]"),
        ("all-at-once", STEPS, "[model.logits(model.hidden(tokens, hooks, cache))]"),
        ("several-at-once", "tokens.split(1, 1)", "tokens.split(2, 1)"),
        ("last-step-only", f"torch.cat({STEPS}, 1)", f"{STEPS}[-1]"),
        ("joined-along-rows", ", 1)\n", ")\n"),
        ("probabilities", "hooks, cache)", "hooks, cache).softmax(-1)"),
        ("backwards", f"{STEPS}", f"{STEPS}[::-1]"),
        ("cache-kept-between-calls", "cache = Cache()", 'cache = vars(model).setdefault("kept", Cache())'),
        ("reads-again", "cache = Cache()", "cache = Cache()\n    model(tokens, hooks)"),
        ("input-changed", f"torch.cat({STEPS}, 1)", f"torch.cat({STEPS} + [tokens.zero_()][:0], 1)"),
    ],
    "5.6": [
        ("prefix-forgotten", "model(tokens[:, :-1], hooks, cache)", "model(tokens[:, :-1], cache=cache)"),
        ("last-token-twice", "tokens[:, :-1]", "tokens"),
        ("cache-given-up", NEXT, "last = model(tokens, hooks)[:, -1:].argmax(-1)",
         KEPT, f"{KEPT}\n        tokens = torch.cat((tokens, last), 1)"),
        ("starts-with-the-question", NEXT, KEPT, f"{KEPT}\n    return", f"{NEXT}\n    return"),
        ("text-returned-too", "said = Cache(), []", "said = Cache(), [tokens]"),
        ("least-likely", "argmax", "argmin"),
        ("one-too-few", "range(count)", "range(count - 1)"),
        ("last-token-only", "return torch.cat(said, 1)", "return said[-1]"),
        ("cache-emptied", NEXT, NEXT.replace("cache)", "Cache())")),
        ("text-not-read", "model(tokens[:, :-1], hooks, cache)", "pass"),
        ("cache-kept-between-calls", "said = Cache(), []", 'said = vars(model).setdefault("kept", Cache()), []'),
        ("input-changed", KEPT, f"{KEPT}\n        tokens[:, -1:] = last"),
    ],
    "5.7": [
        ("start-not-tested", ENTERED, "pass", FROM_START, "assert True, "),
        ("gradient-not-tested", "    entered.sum().backward()\n", "", GRADS, "pass"),
        ("start-not-tested", FROM_WORDS, "torch.equal(program.from_words("),
        ("start-not-tested", "[4, 2]), table, 5), table[[4, 2, 4, 2, 4]]", "[4, 2]), table, 2), table[[4, 2]]"),
        ("loss-not-tested", "assert torch.allclose(", "torch.allclose("),
        ("padding-or-layers-not-tested", "    targets[0, :3] = -100  # padding\n", ""),
        ("padding-or-layers-not-tested", LAYERS, "pass"),
        ("right-program-rejected", LAYERS, f"{LAYERS}\n    assert torch.equal(prefix.vectors[0], prefix.vectors[1])"),
        ("right-program-rejected", LAYERS, f"{LAYERS}\n    assert len(learned) == 1"),
        ("right-program-rejected", LAYERS, f"{LAYERS}\n    assert torch.equal(prompt.vectors, vectors)"),
        ("right-program-rejected", LAYERS, "raise AssertionError"),
    ],
}  # fmt: skip


def every_layer_the_prompt(model, prompt):
    return reference("5.3")(model, prompt.vectors.detach().expand(model.config.layers, -1, -1))


def only_shapes(program, model):
    entered = program.Prompt(torch.randn(3, 16)).embed(torch.randn(2, 5, 16))
    assert entered.shape == (2, 8, 16)


def returns(program, model):
    try:
        reference("5.7")(program, model)
    except Exception:
        return False
    return True


def only_one_way(program, model):
    assert program.Prefix(2, model.config).vectors.std() < 0.01


ANSWERS = with_mistakes(CHANGES)
ANSWERS["5.4"].append(("prompt-taken-for-prefix", every_layer_the_prompt))
ANSWERS["5.7"] += [
    ("places-not-tested", lambda program, model: None),
    ("returns-and-raises-not", returns),
    ("gradient-not-tested", only_shapes),
    ("right-program-rejected", only_one_way),
]

"""Plausible wrong answers to lesson 3: a misconception's name, and what it makes of the text's own solution."""

from ..lesson_text import with_mistakes

CENTRED = '(heard[place] - seen["attention"] @ heard)'
ADAM, LOSS = "torch.optim.Adam(prompt.parameters(), lr=rate)", "value = loss(model, tokens, targets, prompt)"
BOTH = "[*prompt.parameters(), *model.parameters()]"
EQUAL = "all(torch.equal(now, was) for now, was in zip(weights, before, strict=True))"
SHAPES = (
    '[each.shape for group in optimizer.param_groups for each in group["params"]] == [each.shape for each in vectors]'
)
TARGETS, JOINED = "[-100] * (len(question) - 1) + answer", "(vectors.expand(len(x), -1, -1), x)"
ADDED = "torch.cat((x[:, : len(vectors)] + vectors, x[:, len(vectors) :]), 1)"
CHANGES = {
    "3.1": [
        ("target-forgotten", "wrong[target] -= 1", "pass"),
        ("only-the-target", 'seen["probabilities"].copy()', '0 * seen["probabilities"]'),
        ("uphill-for-downhill", 'W["read"] @ wrong', 'W["read"] @ -wrong'),
        ("attention-forgotten", "return weight * ", "return "),
        ("matrix-the-wrong-way", '(W["value"] @ top)', '(top @ W["value"])'),
        ("at-the-top", 'weight * (W["value"] @ top)', "top"),
        ("weight-forgotten", "score = weight * ", "score = "),
        ("softmax-one-by-one", CENTRED, "heard[place]"),
        ("softmax-like-a-sigmoid", CENTRED, "(1 - weight) * heard[place]"),
        ("scale-forgotten", ' / len(seen["query"]) ** 0.5', ""),
        ("key-forgotten", ", through_key", ", 0 * through_key"),
    ],
    "3.2": [
        ("no-grad-around-the-base", LOSS, f"with torch.no_grad():\n            {LOSS}"),
        ("gradients-pile-up", "optimizer.zero_grad()", "pass"),
        ("never-steps", "optimizer.step()", "pass"),
        ("base-trained", "freeze(model)", "pass", "prompt.parameters()", BOTH),
        ("base-left-trainable", "freeze(model)", "pass"),
        ("stale-gradients", "freeze(model)", "model.requires_grad_(False)"),
        ("optimizer-made-anew", "optimizer.zero_grad()", f"optimizer = {ADAM}\n        optimizer.zero_grad()"),
        ("sgd-for-adam", "Adam", "SGD"),
        ("uphill-for-downhill", "= loss(", "= -loss("),
        ("one-batch-only", "in batches", "in batches[:1]"),
        ("graphs-kept", "value.item()", "value"),
    ],
    "3.3": [
        ("zero-for-none", "weight.grad is None for", "weight.grad is None or not weight.grad.any() for"),
        ("gradient-overlooked", "all(weight.grad is None for weight in weights)", "weights[0].grad is None"),
        ("close-for-equal", "torch.equal(now, was)", "torch.allclose(now, was, atol=1e-3)"),
        ("change-overlooked", EQUAL, "torch.equal(weights[0], before[0])"),
        ("same-shape-other-tensor", "held == {id(each) for each in vectors}", SHAPES),
        ("base-in-optimizer", "held == ", "held >= "),
        ("one-row-for-all", ".any(-1).all()", ".any()"),
        ("one-layer-for-all", "all(grad is not None and bool((grad != 0).any())", "any(grad is not None"),
        ("zero-for-flow", "grad is not None and bool((grad != 0).any())", "grad is not None"),
    ],
    "3.4": [
        ("not-rate", '"labels"', '"rate"'),
        ("not-replaced", '"labels"', '"replaced"'),
        ("labels-one-late", TARGETS, "[-100] * len(question) + answer[1:]"),
        ("labels-unshifted", TARGETS, "[-100] * len(question) + answer[:-1]"),
        ("labels-one-early", TARGETS, "[-100] * (len(question) - 2) + answer + [-100]"),
        ("question-graded", TARGETS, "text[1:]"),
    ],
    "3.5": [
        ("not-labels", '"replaced"', '"labels"'),
        ("not-rate", '"replaced"', '"rate"'),
        ("still-replaced", JOINED, "(vectors.expand(len(x), -1, -1), x[:, len(vectors) :])"),
        ("last-tokens-lost", f"{JOINED}, 1)", f"{JOINED}, 1)[:, : x.shape[1]]"),
        (
            "prompt-added",
            f"torch.cat({JOINED}, 1)",
            ADDED,
        ),
        ("prompt-behind-the-text", JOINED, "(x, vectors.expand(len(x), -1, -1))"),
    ],
    "3.6": [
        ("not-detached", '"rate"', '"detached"'),
        ("not-labels", '"rate"', '"labels"'),
        ("rate-still-too-small", "0.03", "0.001"),
        ("rate-too-large", "0.03", "0.3"),
    ],
    "3.7": [
        ("not-rate", '"base"', '"rate"'),
        ("not-stale", '"base"', '"stale"'),
        ("base-in-optimizer", "prompt.parameters()", BOTH),
        ("base-left-trainable", "freeze(model)", "pass"),
        ("prompt-frozen-too", "prompt.parameters()", "freeze(prompt).parameters()"),
    ],
}
ANSWERS = with_mistakes(CHANGES)

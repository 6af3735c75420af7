"""Plausible wrong answers to lesson 3: a misconception's name, and what it makes of the text's own solution."""

from ..lesson_text import reference, with_mistakes

CENTRED = '(heard[place] - seen["attention"] @ heard)'
ADAM, LOSS = "torch.optim.Adam(prompt.parameters(), lr=rate)", "value = loss(model, tokens, targets, prompt)"
BOTH = "[*prompt.parameters(), *model.parameters()]"
EQUAL = "all(torch.equal(now, was) for now, was in zip(weights, before, strict=True))"
SHAPES = (
    '[each.shape for group in optimizer.param_groups for each in group["params"]] == [each.shape for each in vectors]'
)
TARGETS, JOINED = "[-100] * (len(question) - 1) + answer", "(vectors.expand(len(x), -1, -1), x)"
ADDED = "torch.cat((x[:, : len(vectors)] + vectors, x[:, len(vectors) :]), 1)"
RETURNED = 'return weight * (W["value"] @ top), through_key'
KEPT = "was = [weight.detach().clone() for weight in model.parameters()]"
PUT_BACK = """for weight, old in zip(model.parameters(), was, strict=True):
        weight.data.copy_(old)
    freeze(model)
    return losses"""
NO_GRADIENT = "all(weight.grad is None for weight in weights)"
REACHED = "all(grad is not None and bool((grad != 0).any(-1).all()) for grad in grads)"
FLOWED = "all(grad is not None and bool((grad != 0).any()) for grad in inside)"
GROWN = "[-100] * (len(question) - len(answer) - 1) + answer"
FIRST_TEXT = "torch.cat((vectors[None], torch.zeros(len(x) - 1, *vectors.shape)))"
MOVED_LATER = """steps, optimizer = iter(range(50)), torch.optim.Adam(prompt.parameters(), lr=0.03)
        weight = model.norm.weight.data
        optimizer.register_step_post_hook(lambda *_: weight.mul_(1.01) if next(steps, None) is None else None)
        return optimizer"""
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
        ("scaled-by-the-width", 'len(seen["query"])', 'len(W["key"])'),
        ("scale-upside-down", ' / len(seen["query"]) ** 0.5', ' * len(seen["query"]) ** 0.5'),
        ("target-pushed-down", "wrong[target] -= 1", "wrong[target] += 1"),
        ("ways-swapped", RETURNED, 'return through_key, weight * (W["value"] @ top)'),
        ("ways-added", RETURNED, 'both = weight * (W["value"] @ top) + through_key\n    return both, both'),
        ("place-ignored", 'seen["attention"][place]', 'seen["attention"][0]', "heard[place]", "heard[0]"),
        ("seen-changed", 'seen["probabilities"].copy()', 'seen["probabilities"]'),
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
        ("base-frozen-too-late", "freeze(model)", "pass", "return losses", "freeze(model)\n    return losses"),
        (
            "base-frozen-too-late",
            "freeze(model)",
            "pass",
            "optimizer.step()",
            "optimizer.step()\n        freeze(model)",
        ),
        ("base-trained", "freeze(model)", KEPT, "prompt.parameters()", BOTH, "return losses", PUT_BACK),
        ("base-left-trainable", "freeze(model)", "model.zero_grad()\n    freeze(model.blocks)"),
        ("eval-for-frozen", "freeze(model)", "model.eval()"),
        ("rate-ignored", "lr=rate", "lr=0.05"),
        ("rate-ignored", ", lr=rate", ""),
        ("rate-changes", "optimizer.step()", "optimizer.step()\n        optimizer.param_groups[0]['lr'] *= 0.9"),
        (
            "weights-decayed",
            "Adam(prompt.parameters(), lr=rate)",
            "AdamW(prompt.parameters(), lr=rate, weight_decay=0.1)",
        ),
        ("copy-trained", "freeze(model)", "import copy\n    freeze(model)\n    prompt = copy.deepcopy(prompt)"),
        ("never-steps", "optimizer.step()", "optimizer.zero_grad()\n        optimizer.step()"),
        ("loss-after-the-step", "value.item()", "loss(model, tokens, targets, prompt).item()"),
        ("batches-twice", "in batches", "in [each for each in batches for _ in range(2)]"),
        ("losses-summed-up", "value.item()", "value.item() + sum(losses)"),
        ("prompt-not-passed", "targets, prompt)", "targets)"),
        ("prompt-not-passed", "freeze(model)", "pass", "targets, prompt)", "targets)"),
        ("prompt-frozen-too", "freeze(model)", "freeze(model), freeze(prompt)"),
        ("wrong-type", "return losses", "return losses[-1]"),
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
        ("last-one-decides", NO_GRADIENT, "[weight.grad is None for weight in weights][-1]"),
        ("last-one-decides", EQUAL, "[torch.equal(now, was) for now, was in zip(weights, before, strict=True)][-1]"),
        ("last-one-decides", REACHED, "[each is not None and bool((each != 0).any(-1).all()) for each in grads][-1]"),
        ("last-one-decides", FLOWED, "inside[-1] is not None and bool((inside[-1] != 0).any())"),
        ("gradient-overlooked", "weight.grad is None for", "not weight.requires_grad for"),
        ("one-for-all", "all(weight.grad is None", "any(weight.grad is None"),
        ("sums-for-bytes", "torch.equal(now, was)", "bool(now.sum() == was.sum())"),
        ("sums-for-bytes", "torch.equal(now, was)", "bool((now - was).sum().abs() < 1e-6)"),
        ("sizes-for-bytes", "torch.equal(now, was)", "bool((now.norm() - was.norm()).abs() < 1e-6)"),
        ("sums-for-bytes", EQUAL, "sum(map(torch.sum, weights)).item() == sum(map(torch.sum, before)).item()"),
        ("part-in-optimizer", "held == ", "held <= "),
        ("first-group-only", "in optimizer.param_groups for", "in optimizer.param_groups[:1] for"),
        ("counted-only", "held == {id(each) for each in vectors}", "len(held) == len(vectors)"),
        ("columns-for-rows", ".any(-1).all()", ".any(0).all()"),
        ("every-number-for-a-row", "(grad != 0).any(-1).all()", "(grad != 0).all()"),
        ("sums-for-rows", "(grad != 0).any(-1)", "(grad.sum(-1).abs() > 1e-6)"),
        ("small-for-zero", "(grad != 0).any(-1)", "(grad.abs() > 1e-3).any(-1)"),
        ("first-parameter-only", "for grad in grads)", "for grad in grads[:1])"),
        ("sums-for-flow", "(grad != 0).any())", "grad.sum().abs() > 1e-6)"),
        ("positive-only", "(grad != 0).any(-1)", "(grad > 0).any(-1)"),
        ("positive-only", "(grad != 0).any())", "(grad > 0).any())"),
        ("facts-missing", f'"flowed": {FLOWED},', ""),
        ("facts-missing", "return {", "{"),
        ("wrong-type", FLOWED, f"str({FLOWED})"),
    ],
    "3.4": [
        ("not-rate", '"labels"', '"rate"'),
        ("not-replaced", '"labels"', '"replaced"'),
        ("labels-one-late", TARGETS, "[-100] * len(question) + answer[1:]"),
        ("labels-unshifted", TARGETS, "[-100] * len(question) + answer[:-1]"),
        ("labels-one-early", TARGETS, "[-100] * (len(question) - 2) + answer + [-100]"),
        ("question-graded", TARGETS, "text[1:]"),
        ("not-stale", '"labels"', '"stale"'),
        ("zero-for-ignored", TARGETS, "[0] * (len(question) - 1) + answer"),
        ("first-word-only", TARGETS, "[-100] * (len(question) - 1) + answer[:1] + [-100] * (len(answer) - 1)"),
        ("end-not-graded", TARGETS, "[-100] * (len(question) - 1) + answer[:-1] + [-100]"),
        ("text-not-cut", "text[:-1], targets", "text, targets"),
        ("last-question-word-graded", TARGETS, "[-100] * (len(question) - 2) + question[-1:] + answer"),
        ("inputs-changed", "text = question + answer", "text = question\n        text += answer", TARGETS, GROWN),
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
        ("gradient-cut-off", "vectors.expand", "vectors.detach().expand"),
        ("prompt-forgotten", f"torch.cat({JOINED}, 1)", "x"),
        ("text-forgotten", JOINED, "(vectors.expand(len(x), -1, -1),)"),
        ("prompt-backwards", "vectors.expand", "vectors.flip(0).expand"),
        ("prompt-in-first-text-only", "vectors.expand(len(x), -1, -1)", FIRST_TEXT),
        ("one-vector-everywhere", "vectors.expand(len(x), -1, -1)", "vectors[:1].expand(len(x), len(vectors), -1)"),
    ],
    "3.6": [
        ("not-detached", '"rate"', '"detached"'),
        ("not-labels", '"rate"', '"labels"'),
        ("not-base", '"rate"', '"base"'),
        ("rate-still-too-small", "0.03", "0.0005"),
        ("rate-too-large", "0.03", "3.0"),
        ("uphill-for-downhill", "lr=0.03", "lr=0.03, maximize=True"),
        ("prompt-does-not-move", "prompt.parameters()", "[torch.zeros(4, requires_grad=True)]"),
        ("prompt-does-not-move", "prompt.parameters()", "[each.detach().clone() for each in prompt.parameters()]"),
        ("rate-still-too-small", "Adam(prompt.parameters(), lr=0.03)", "SGD(prompt.parameters(), lr=0.001)"),
        ("rate-still-too-small", "lr=0.03", "lr=0.03, eps=10.0"),
        ("prompt-does-not-move", "lr=0.03", "lr=0.0"),
        ("no-optimizer", "return torch", "torch"),
    ],
    "3.7": [
        ("not-rate", '"base"', '"rate"'),
        ("not-stale", '"base"', '"stale"'),
        ("base-in-optimizer", "prompt.parameters()", BOTH),
        ("base-left-trainable", "freeze(model)", "pass"),
        ("prompt-frozen-too", "prompt.parameters()", "freeze(prompt).parameters()"),
        ("not-labels", '"base"', '"labels"'),
        ("eval-for-frozen", "freeze(model)", "model.eval()"),
        ("base-left-trainable", "freeze(model)", "[weight.detach() for weight in model.parameters()]"),
        ("base-left-trainable", "freeze(model)", "import copy\n        freeze(copy.deepcopy(model))"),
        ("base-left-trainable", "freeze(model)", "freeze(model.blocks)"),
        ("base-left-trainable", "freeze(model)", "freeze(model.embedding)"),
        ("no-grad-for-all", "freeze(model)", "freeze(model)\n        torch.set_grad_enabled(False)"),
        (
            "base-changed",
            "freeze(model)",
            "freeze(model)\n        [weight.data.mul_(0.99) for weight in model.parameters()]",
        ),
        ("base-moves", "return torch.optim.Adam(prompt.parameters(), lr=0.03)", MOVED_LATER),
        ("no-optimizer", "return torch", "torch"),
        ("prompt-does-not-move", "lr=0.03", "lr=0.0"),
        ("uphill-for-downhill", "lr=0.03", "lr=0.03, maximize=True"),
        ("prompt-does-not-move", "prompt.parameters()", "[torch.zeros(4, requires_grad=True)]"),
    ],
}
ANSWERS = with_mistakes(CHANGES)


def evidence_that(changes):
    """Reports the right facts, and changes what it has looked at."""

    def evidence(*given):
        facts = reference("3.3")(*given)
        changes(*given)
        return facts

    return evidence


CHANGES_OF_EVIDENCE = (
    lambda model, before, prompt, optimizer, inside: model.zero_grad(),
    lambda model, before, prompt, optimizer, inside: model.requires_grad_(True),
    lambda model, before, prompt, optimizer, inside: model.load_state_dict(
        dict(zip(model.state_dict(), before, strict=True))
    ),
    lambda model, before, prompt, optimizer, inside: before.clear(),
    lambda model, before, prompt, optimizer, inside: optimizer.zero_grad(),
    lambda model, before, prompt, optimizer, inside: optimizer.step(),
    lambda model, before, prompt, optimizer, inside: optimizer.param_groups.pop(),
    lambda model, before, prompt, optimizer, inside: inside.reverse(),
)
ANSWERS["3.3"] += [("input-changed", evidence_that(changes)) for changes in CHANGES_OF_EVIDENCE]

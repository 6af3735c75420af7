"""Plausible wrong answers to lesson 8: a misconception's name, and what it makes of the text's own solution."""

from ..lesson_text import with_mistakes

VIRTUAL = "logits.shape[1] - labels.shape[1]"
OWN = f"logits[:, {VIRTUAL} :]"
LOSS = "F.cross_entropy(own[:, :-1].flatten(0, 1), labels[:, 1:].flatten())"
PADDED = f"F.pad(labels, ({VIRTUAL}, 0), value={{}})"
WHOLE = "padded = {}\n    return F.cross_entropy(logits[:, :-1].flatten(0, 1), padded[:, 1:].flatten())"
CUT = f"""kept = labels.shape[1] - ({VIRTUAL})
    return F.cross_entropy(own[:, : kept - 1].flatten(0, 1), labels[:, 1:kept].flatten())"""
ROW_MEANS = "torch.stack([F.cross_entropy(row[:-1], own_labels[1:]) for row, own_labels in zip(own, labels)]).nanmean()"
CHANGES = {
    "8.1": [
        ("front-for-back", OWN, "logits[:, : labels.shape[1]]"),
        ("labels-beside-themselves", LOSS, "F.cross_entropy(own.flatten(0, 1), labels.flatten())"),
        ("shifted-backwards", LOSS, "F.cross_entropy(own[:, 1:].flatten(0, 1), labels[:, :-1].flatten())"),
        ("shifted-twice", LOSS, "F.cross_entropy(own[:, :-2].flatten(0, 1), labels[:, 2:].flatten())"),
        ("first-token-counted", f"return {LOSS}", WHOLE.format(PADDED.format(-100))),
        ("prompt-counted", f"return {LOSS}", WHOLE.format(PADDED.format(0))),
        ("cut-twice", f"return {LOSS}", CUT),
        ("ignored-counted", "labels[:, 1:].flatten())", "labels[:, 1:].flatten(), reduction='none').mean()"),
        ("ignored-as-a-word", "labels[:, 1:].flatten()", "labels[:, 1:].clamp(min=0).flatten()"),
        ("sum-for-mean", "labels[:, 1:].flatten())", "labels[:, 1:].flatten(), reduction='sum')"),
        ("mean-of-row-means", LOSS, ROW_MEANS),
        ("softmax-twice", "own[:, :-1].flatten(0, 1)", "own[:, :-1].softmax(-1).flatten(0, 1)"),
        ("gradient-lost", LOSS, f"{LOSS}.item()"),
        ("gradient-lost", LOSS, f"{LOSS}.detach()"),
        ("input-changed", "return ", "labels[:, 0] = -100\n    return "),
    ],
}
ANSWERS = with_mistakes(CHANGES)

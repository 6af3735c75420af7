"""Right answers to lesson 4 that look unlike the lesson's own, written from its text alone."""

from itertools import product
from math import hypot
from statistics import fmean

import numpy as np
import torch
import torch.nn.functional as F

from minitransformer import Hooks, PromptTuning, loss


def nearest_one_by_one(vectors, table):
    ids, cosines = [], []
    for vector in vectors:
        similar = F.cosine_similarity(vector[None], table)
        ids.append(similar.argmax())
        cosines.append(similar[ids[-1]])
    return torch.stack(ids), torch.stack(cosines)


def nearest_at_the_top(vectors, table):
    lengths = vectors.norm(dim=1)[:, None] * table.norm(dim=1)[None]
    values, places = torch.topk(vectors @ table.mT / lengths, 1)
    return places[:, 0], values[:, 0]


def nearest_by_distance(vectors, table):
    """Between points on a sphere of radius one, near is a small distance: |a - b|² = 2 - 2 cos."""
    one, other = (each / each.square().sum(1, keepdim=True).sqrt() for each in (vectors, table))
    ids = torch.cdist(one, other).argmin(1)
    return [ids, (one * other[ids]).sum(1)]


def nearest_in_numpy(vectors, table):
    a, b = vectors.detach().numpy(), table.detach().numpy()
    similar = (a @ b.T) / np.outer(np.linalg.norm(a, axis=1), np.linalg.norm(b, axis=1))
    return similar.argmax(axis=1), similar.max(axis=1)


def nearest_in_plain_python(vectors, table):
    ids, cosines = [], []
    for a in vectors.tolist():
        found = [sum(x * y for x, y in zip(a, b, strict=True)) / (hypot(*a) * hypot(*b)) for b in table.tolist()]
        cosines.append(max(found))
        ids.append(found.index(cosines[-1]))
    return ids, cosines


def nearest_by_scaled_rows(vectors, table):
    """A vector's own length does not change which row is nearest, so it divides last; in double precision."""
    vectors, table = vectors.double(), table.double()
    values, ids = (table / table.norm(dim=1)[:, None] @ vectors.T).max(0)
    return ids, values / vectors.norm(dim=1)


def nearest_by_angle(vectors, table):
    angles = torch.cosine_similarity(vectors.unsqueeze(1), table.unsqueeze(0), dim=2).double().clamp(-1, 1).acos()
    smallest, ids = angles.sort(dim=1)
    return ids[:, 0].int(), smallest[:, 0].cos()


def replaced_by_masks(model, vectors, ids, examples):
    count = len(vectors)
    chosen = torch.cat((torch.eye(count), torch.ones(1, count))).bool()
    rows = F.embedding(ids, model.embedding.weight).detach()
    prompts = [torch.where(mask[:, None], rows, vectors) for mask in chosen]
    return torch.tensor([loss(model, *examples, PromptTuning.from_vectors(model, each)).item() for each in prompts])


@torch.no_grad()
def replaced_in_one_prompt(model, vectors, ids, examples):
    """One prompt that is changed, and put back each time."""
    prompt = PromptTuning.from_vectors(model, vectors.clone())
    losses = torch.zeros(len(vectors) + 1)
    for place, word in enumerate(ids):
        prompt.vectors[place] = model.embedding.weight[word]
        losses[place] = loss(model, *examples, prompt)
        prompt.vectors[place] = vectors[place]
    prompt.vectors.copy_(model.embedding.weight[ids])
    losses[-1] = loss(model, *examples, prompt)
    return losses


def replaced_as_a_list(model, vectors, ids, examples):
    def measure(words):
        rows = [model.embedding.weight[ids[k]] if k in words else vectors[k] for k in range(len(ids))]
        return loss(model, *examples, PromptTuning.from_vectors(model, torch.stack(rows))).item()

    return [measure({k}) for k in range(len(ids))] + [measure(set(range(len(ids))))]


class Front(Hooks):
    def __init__(self, front):
        super().__init__()
        self.front = front

    def embed(self, x):
        return torch.cat((self.front.expand(len(x), -1, -1), x), dim=1)


def replaced_with_hooks_of_its_own(model, vectors, ids, examples):
    words = model.embedding(ids)
    fronts = [torch.cat((vectors[:k], words[k : k + 1], vectors[k + 1 :])) for k in range(len(vectors))]
    return np.array([float(loss(model, *examples, Front(each))) for each in [*fronts, words]])


def replaced_in_place(model, vectors, ids, examples):
    """Changes what it was given, and puts everything back."""
    kept, losses, (tokens, targets) = vectors.clone(), [], examples
    for places in [*([k] for k in range(len(ids))), list(range(len(ids)))]:
        vectors[places] = model.embedding.weight[ids[places]]
        logits = model(tokens, hooks=PromptTuning.from_vectors(model, vectors))
        losses.append(F.cross_entropy(logits.flatten(0, 1), targets.flatten()))
        vectors.copy_(kept)
    return tuple(losses)


def best_by_sorting(run, lengths, starts, rates, seeds):
    table = []
    for setting in product(lengths, starts, rates):
        rows = [run(*setting, seed) for seed in seeds]
        table.append((setting, *(fmean(row[part] for row in rows) for part in ("validation", "test"))))
    return sorted(table, key=lambda row: -row[1])[0]


def best_by_dict(run, lengths, starts, rates, seeds):
    means = {}
    for seed in seeds:
        for setting in product(lengths, starts, rates):
            scores = run(*setting, seed=seed)
            old = means.get(setting, (0.0, 0.0))
            means[setting] = old[0] + scores["validation"] / len(seeds), old[1] + scores["test"] / len(seeds)
    setting = max(means, key=lambda each: round(means[each][0], 9))
    return setting, *means[setting]


def best_in_numpy(run, lengths, starts, rates, seeds):
    settings = list(product(lengths, starts, rates))
    scores = [[list(run(*setting, seed).values()) for seed in seeds] for setting in settings]
    means = np.array(scores).mean(axis=1)
    place = means[:, 0].argmax()
    return list(settings[place]), means[place, 0], means[place, 1]


def best_with_rates_outermost(run, lengths, starts, rates, seeds):
    """Tries the settings in another order, and runs the best once more for its test score."""
    best_score, best_setting = -1.0, None
    for rate in rates:
        for start in starts:
            for length in lengths:
                score = torch.tensor([run(length, start, rate, s)["validation"] for s in seeds]).double().mean()
                if score > best_score + 1e-9:
                    best_score, best_setting = score, (length, start, rate)
    tests = [run(*best_setting, s)["test"] for s in seeds]
    return [best_setting, best_score, torch.tensor(tests).mean()]


def best_by_names(run, lengths, starts, rates, seeds):
    def means(setting):
        scores = [run(seed=each, rate=setting[2], start=setting[1], length=setting[0]) for each in seeds]
        return tuple(sum(score[part] for score in scores) / len(scores) for part in ("validation", "test"))

    every = {setting: means(setting) for setting in product(lengths, starts, rates)}
    winner = max(every, key=lambda setting: every[setting][0])
    return winner, every[winner][0], every[winner][1]


ANSWERS = {
    "4.1": [
        nearest_one_by_one,
        nearest_at_the_top,
        nearest_by_distance,
        nearest_in_numpy,
        nearest_in_plain_python,
        nearest_by_scaled_rows,
        nearest_by_angle,
    ],
    "4.2": [
        replaced_by_masks,
        replaced_in_one_prompt,
        replaced_as_a_list,
        replaced_with_hooks_of_its_own,
        replaced_in_place,
    ],
    "4.3": [best_by_sorting, best_by_dict, best_in_numpy, best_with_rates_outermost, best_by_names],
}

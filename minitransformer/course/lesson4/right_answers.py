"""Right answers to lesson 4 that look unlike the lesson's own, written from its text alone."""

from itertools import product
from statistics import fmean

import torch
import torch.nn.functional as F

from minitransformer import PromptTuning, loss


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


ANSWERS = {
    "4.1": [nearest_one_by_one, nearest_at_the_top, nearest_by_distance],
    "4.2": [replaced_by_masks, replaced_in_one_prompt],
    "4.3": [best_by_sorting, best_by_dict],
}

"""What lesson 8 claims."""

import json
import re
from importlib import import_module
from types import SimpleNamespace

import pytest
import torch
import torch.nn.functional as F
from safetensors.torch import load_file, save_file

from minitransformer import (
    Config,
    KeyValuePrefix,
    PrefixTuning,
    PromptTuning,
    Transformer,
    accuracy,
    batch,
    export_peft,
    import_peft,
)
from minitransformer.course import lesson_text
from minitransformer.course.lesson_text import reference
from minitransformer.real.own_pairs import LEAST, OwnPair, split
from minitransformer.real.own_tuning import Settings, tune
from minitransformer.real.tasks import recorded
from minitransformer.results import spread


def cells(*wanted: str) -> list[str]:
    every = [cell.source for cell in lesson_text.cells(lesson_text.source_of(8)) if not cell.is_text]
    return [cell for cell in every if any(words in cell for words in wanted)]


@pytest.fixture(scope="module")
def lesson(base, book):
    """What the cells of section 1 define, and a prompt trained with each of the two losses."""
    names = dict(model=base[0], tokenizer=base[1], book=book)
    exec("from minitransformer import *", names)
    exec(lesson_text.setup(8), names)
    for cell in cells("class InPlace", "def in_one_text", "def cut_loss"):
        exec(cell, names)
    names["text_loss"] = reference("8.1")
    exec("cut_prompt, cut_losses = tuned(cut_loss)\nprompt, losses = tuned(text_loss)", names)
    return SimpleNamespace(**names)


@pytest.fixture(scope="module")
def unseen(tokenizer, book):
    return batch(tokenizer, book.examples("chinese", "test", 100))


@pytest.fixture(scope="module")
def table(book):
    """The lesson's sixty sentences, each with its second word."""
    rows = book.examples("second", "train", 60)
    return [OwnPair(asked.removesuffix(" →"), second, asked) for asked, second in rows]


@pytest.mark.claim("8 §1", "$T$ tokens in, $T$ rows of logits out", "That is $P + T$ rows",
                   "`wrapped` does the same with our model")  # fmt: skip
@pytest.mark.claim("8 close", "the text's are the last $T$")
@pytest.mark.parametrize("length", [1, 4, 9])
def test_the_wrapped_model_gives_logits_of_the_prompt_s_places_in_front_of_the_text_s(lesson, model, unseen, length):
    prompt, tokens = PromptTuning(length, model.config, seed=length), unseen[0][:5]
    with torch.no_grad():
        ours, theirs = model(tokens, prompt), lesson.wrapped(prompt, tokens)
    assert ours.shape[1] == tokens.shape[1] and theirs.shape[1] == length + tokens.shape[1]
    assert torch.allclose(ours, theirs[:, length:], atol=1e-4)


@pytest.mark.claim("8 §1", "beside each token stands the token itself, or −100 where it does not count")
def test_labels_stand_beside_themselves_and_count_where_the_targets_did(lesson, unseen):
    tokens, labels = lesson.in_one_text(*unseen)
    assert torch.equal(labels[:, 1:], unseen[1]) and torch.equal(tokens[:, :-1], unseen[0])
    assert torch.equal(tokens[labels != -100], labels[labels != -100])


@pytest.mark.claim("8 §1", "for *Look out!*, whose labels `in_one_text` printed, a mean of four numbers")
def test_look_out_has_four_labels_that_count(lesson, tokenizer):
    _, labels = lesson.in_one_text(*batch(tokenizer, [("Look out! →", "小心!")]))
    assert (labels != -100).sum() == 4


@pytest.mark.claim("8 §1", "now compares $P + T$ rows with $T$ labels. With luck it stops", "Nothing stops any more")
def test_logits_and_labels_of_different_length_stop_and_cut_ones_do_not(lesson, unseen):
    tokens, labels = lesson.in_one_text(*unseen)
    logits = lesson.wrapped(lesson.prompt, tokens)
    with pytest.raises(ValueError, match="batch_size"):
        F.cross_entropy(logits[:, :-1].flatten(0, 1), labels[:, 1:].flatten())
    assert lesson.cut_loss(logits, labels).isfinite()


@pytest.mark.claim("8 §1", 'The loss falls by half, so "it trains". No sentence is right')
@pytest.mark.claim("8.q3", "with the first T places it fell by half", "Our loss fell from 13 to 6 in forty steps")
def test_the_loss_of_the_wrong_places_falls_and_no_answer_is_right(lesson, model, unseen):
    first, last = lesson.cut_losses[0], sum(lesson.cut_losses[-5:]) / 5
    assert 12 < first < 14.5 and 5.5 < last < 7 and last < 0.55 * first
    assert accuracy(model, unseen, lesson.cut_prompt) == 0 and accuracy(model, unseen, lesson.prompt) > 0.85


@pytest.mark.claim("8 §1", "which has seen no word of the text",
                   "Little can be learned there but which tokens are frequent")  # fmt: skip
@pytest.mark.claim("8.q3", "frequent tokens can be learned at any place")
def test_the_logits_of_virtual_places_are_the_same_for_every_text(lesson, unseen):
    tokens, labels = lesson.in_one_text(*unseen)
    with torch.no_grad():
        virtual = lesson.wrapped(lesson.cut_prompt, tokens)[:, :4]
    assert (virtual - virtual[:1]).abs().max() < 1e-4
    often = labels[labels != -100].bincount().topk(40).indices  # common ones, in what it was never trained on
    assert virtual[0, 3].softmax(-1)[often].sum() > 0.25


@pytest.mark.claim("8 §1", "A prompt that is nearly always right looks useless")
def test_a_good_prompt_measured_at_the_wrong_places_looks_useless(lesson, unseen):
    tokens, labels = lesson.in_one_text(*unseen)
    with torch.no_grad():
        best = lesson.wrapped(lesson.prompt, tokens).argmax(-1)
    counts, text = labels[:, 1:] != -100, labels.shape[1]
    shares = [(own[:, :-1] == labels[:, 1:])[counts].float().mean() for own in (best[:, :text], best[:, -text:])]
    assert shares[0] < 0.1 and shares[1] > 0.95


@pytest.mark.claim("8.q1", "the place before it predicts it")
@pytest.mark.claim("8.1", "is P, also where P is 0")
def test_a_token_is_predicted_at_the_place_before_it():
    virtual, text = 20, 30
    logits = torch.zeros(1, virtual + text, 7, requires_grad=True)
    labels = torch.full((1, text), -100)
    labels[0, 12] = 3
    reference("8.1")(logits, labels).backward()
    assert logits.grad.abs().sum(-1).nonzero().tolist() == [[0, 31]]
    bare = torch.randn(2, 5, 7)
    labels = torch.randint(7, (2, 5))
    assert torch.equal(reference("8.1")(bare, labels), F.cross_entropy(bare[:, :-1].mT, labels[:, 1:]))


@pytest.mark.claim("8.q2", "A prefix's logits are T already", "a prefix adds keys and values, no places")
def test_a_prefix_has_logits_for_the_text_alone(lesson, model, unseen):
    with torch.no_grad():
        logits = model(unseen[0][:2], PrefixTuning(8, model.config))
    assert logits.shape[1] == unseen[0].shape[1]


@pytest.mark.claim("8 §1", "PEFT's own loss is right: it lengthens the labels by $P$ times −100",
                   "then counts as well, and not with a prefix", "whose logits are $T$")  # fmt: skip
@pytest.mark.filterwarnings("ignore::FutureWarning", "ignore::UserWarning")
def test_peft_itself_counts_the_first_token_with_a_prompt_and_not_with_a_prefix():
    peft = pytest.importorskip("peft", exc_type=ImportError)
    pytest.importorskip("transformers", exc_type=ImportError)
    model = Transformer(Config(vocab=17, context=32, width=16, layers=2, heads=2, kv_heads=1, hidden=16))
    tokens = torch.randint(17, (2, 6))
    for kind, extra in ("PromptTuningConfig", 4), ("PrefixTuningConfig", 0):
        twin = import_module("llama").llama(model, bos_token_id=None, eos_token_id=None, pad_token_id=None)
        theirs = peft.get_peft_model(twin, getattr(peft, kind)(task_type="CAUSAL_LM", num_virtual_tokens=4)).eval()
        said = theirs(input_ids=tokens, labels=tokens)
        assert said.logits.shape[1] == extra + 6
        own = said.logits[:, extra - 1 if extra else 0 : -1]
        assert torch.allclose(said.loss, F.cross_entropy(own.mT, tokens[:, 0 if extra else 1 :]), atol=1e-5)


@pytest.mark.claim("8 §2", "keeps a soft prompt as a folder of two files", "No code is in there",
                   "a row for each virtual token", "It comes back as it went")  # fmt: skip
@pytest.mark.claim("8.q4", "`num_virtual_tokens`, and the shape of the tensor says it again",
                   "the same tensor would mean something else for a prefix")  # fmt: skip
@pytest.mark.claim("8 close", "A folder for PEFT is a description and one tensor")
def test_a_folder_for_peft_is_a_description_and_one_tensor(lesson, model, tmp_path):
    export_peft(lesson.prompt, model, tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["adapter_config.json", "adapter_model.safetensors"]
    about = json.loads((tmp_path / "adapter_config.json").read_text())
    assert about["num_virtual_tokens"] == 4 and about["peft_type"] == "PROMPT_TUNING"
    tensors = load_file(tmp_path / "adapter_model.safetensors")
    assert [*tensors] == ["prompt_embeddings"] and tensors["prompt_embeddings"].shape == (4, model.config.width)
    assert torch.equal(import_peft(tmp_path, model).vectors, lesson.prompt.vectors)


@pytest.mark.claim("8 §2", "PEFT's format has no place for the textbook's hidden states",
                   "each layer's keys and values, the keys turned to their positions")  # fmt: skip
@pytest.mark.claim("8 close", "a textbook prefix comes back as keys and values")
def test_a_textbook_prefix_comes_back_as_keys_and_values_and_computes_the_same(model, unseen, tmp_path):
    prefix, tokens = PrefixTuning(4, model.config, scale=1.0), unseen[0][:4]
    export_peft(prefix, model, tmp_path)
    back = import_peft(tmp_path, model)
    with torch.no_grad():
        assert type(back) is KeyValuePrefix and torch.allclose(model(tokens, prefix), model(tokens, back), atol=1e-3)


@pytest.mark.claim("8 §2", "so another base is refused", "there only the shapes are compared", "a name, not a proof")
@pytest.mark.claim("8.q6", "shapes fit, and nothing in the folder tells one set of weights from the other")
def test_another_base_is_refused_by_its_fingerprint_and_taken_where_there_is_none(lesson, model, tmp_path):
    export_peft(lesson.prompt, model, tmp_path, "a name")
    other = Transformer(model.config)
    with pytest.raises(ValueError, match="made for the model with fingerprint"):
        import_peft(tmp_path, other)
    file = tmp_path / "adapter_model.safetensors"
    save_file(load_file(file), file, {"format": "pt"})  # as PEFT writes it
    assert torch.equal(import_peft(tmp_path, other).vectors, lesson.prompt.vectors)


@pytest.mark.claim("8.q5", "2 · 24 · 10 · 4 · 64", "24 · 10 · 1,024")
def test_the_numbers_of_the_exported_tensor():
    config = Config(vocab=2, context=16, width=1024, layers=24, heads=16, kv_heads=4, hidden=8)
    assert sum(each.numel() for each in KeyValuePrefix(10, config).parameters()) == 122_880
    assert sum(each.numel() for each in PrefixTuning(10, config).parameters()) == 245_760


@pytest.mark.claim("8 §3", "`tune` holds a fifth back, trains on the rest, and compares",
                   "ten pairs at least", "Nothing of the last one is seen before",
                   "one sentence more or less moves it by 8 points")  # fmt: skip
@pytest.mark.claim("8 §3", "With a hundred held back you would know it to about a tenth")
def test_a_fifth_of_the_pairs_is_held_back(table):
    parts = split(table, 0)
    assert LEAST == 10 and len(parts.test) == 12 == len(table) / 5 and round(100 / 12) == 8
    assert not {pair.text for pair in parts.test} & {pair.text for pair in parts.train + parts.validation}
    error = (0.25 / 100) ** 0.5
    assert 2 * error == pytest.approx(0.1)  # twice the error of a share of one half


@pytest.mark.claim("8 §3", "no wording and no examples got there", "The base has seen no such instruction")
def test_the_second_word_is_tuned_and_neither_said_nor_shown(model, tokenizer, table, tmp_path):
    settings = Settings(length=4, instruction="name the second word")
    right = tune(model, tokenizer, table, tmp_path / "adapter", settings, progress=False)["right"]
    assert right["tuned"] > 0.6 and max(right["no prompt"], right["instruction"], right["8 examples"]) < 0.2


@pytest.mark.claim("8 §3", "nothing that is held back is right but by luck",
                   "Here not even the pairs of the training are learned")  # fmt: skip
def test_numbers_that_were_drawn_are_not_learned(model, tokenizer, table, tmp_path):
    """With another draw than the lesson's own."""
    names = {"sentences": [(pair.text, pair.answer) for pair in table]}
    (cell,) = cells("draw = random.Random(0)")
    exec(cell.replace("Random(0)", "Random(1)").replace('table("secrets.csv", ', "list("), names)
    secrets = [OwnPair(word, number, word) for word, number in names["secrets"]]
    right = tune(model, tokenizer, secrets, tmp_path / "adapter", Settings(length=4), progress=False)["right"]
    learned = [(f"{pair.text} →", pair.answer) for pair in split(secrets, 0).train]
    assert (
        right["tuned"] <= 0.5
        and accuracy(model, batch(tokenizer, learned), import_peft(tmp_path / "adapter", model)) < 0.5
    )


@pytest.mark.claim("8 §3", "in lesson 7 phrases were drummed in, and hardly one came out that was not")
def test_lesson_7_recorded_phrases_that_were_learned_by_heart():
    means = {(row["skill"], row["method"]): row["mean"] for row in spread(recorded(), ("skill", "method"))}
    assert means["chinese, learned", "prompt"] > 0.9 and means["chinese", "prompt"] < 0.05


@pytest.mark.claim("8.q7", "9 points are one answer of twelve", "8 and 7 of 12", "6 and 7 of 12")
def test_the_shares_of_twelve():
    assert [round(100 * count / 12) for count in (6, 7, 8)] == [50, 58, 67]


@pytest.mark.claim("8 §2", "Then PEFT loads the folder, around Hugging Face's model with the same weights")
@pytest.mark.filterwarnings("ignore::FutureWarning", "ignore::UserWarning")
def test_a_prompt_tuned_on_smollm2_says_the_same_in_peft(tmp_path, capsys):
    """The lesson's own cells, where the packages are installed."""
    for needed in "peft", "transformers", "gguf", "tokenizers":
        pytest.importorskip(needed, exc_type=ImportError)
    names = {"torch": torch, "desk": tmp_path, "PromptTuning": PromptTuning, "batch": batch, "export_peft": export_peft}
    exec("from minitransformer import freeze, generate", names)
    for cell in cells("from peft import", "opposites = {", "PeftModel.from_pretrained"):
        exec(cell, names)
    if names["real"] is None:
        pytest.skip(capsys.readouterr().out)
    said = capsys.readouterr().out
    assert "logits here: (1, 2, 49152)   in PEFT: (1, 12, 49152)" in said and re.search(
        r"last T: \de-0[4-9] apart", said
    )
    assert "here:  right" in said

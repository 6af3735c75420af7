"""Files are written whole or not at all, and read with suspicion."""

import os
import subprocess
import sys
import threading

import damage
import pytest
import torch
from safetensors import safe_open
from safetensors.torch import save_file

from minitransformer import Config, PromptTuning, Tokenizer, Transformer, fingerprint, save
from minitransformer.files import checkpoints
from minitransformer.files.checkpoints import load_model, read, save_model, write
from minitransformer.files.schema import weight_shapes
from minitransformer.files.whole import write_whole

CONFIG = Config(vocab=3, context=8, width=8, layers=1, heads=2, kv_heads=1, hidden=8, end=0)
TOKENIZER = Tokenizer(["<end>", "Look", "out"])


@pytest.fixture
def path(tmp_path):
    """A good model file."""
    save_model(tmp_path / "model.safetensors", Transformer(CONFIG), TOKENIZER, {"seed": 1})
    return tmp_path / "model.safetensors"


def as_a_first_one(path, tensors):
    """The same file in the format before this one, which has no sum, with other tensors."""
    with safe_open(path, "pt") as file:
        about = {name: text for name, text in file.metadata().items() if name != "sha256"}
    save_file(dict(tensors), path, about | {"format": "minitransformer 1"})


def test_a_model_comes_back_bit_for_bit_with_its_tokenizer_and_card(tmp_path):
    model = Transformer(CONFIG)
    save_model(tmp_path / "m", model, TOKENIZER, {"seed": 1})
    again, tokenizer, card = load_model(tmp_path / "m")
    assert again.config == CONFIG and tokenizer.vocabulary == TOKENIZER.vocabulary and card == {"seed": 1}
    assert all(torch.equal(a, b) for a, b in zip(model.parameters(), again.parameters(), strict=True))
    assert fingerprint(again) == fingerprint(model)


def test_the_fingerprint_changes_with_a_single_bit():
    model = Transformer(CONFIG)
    before = fingerprint(model)
    with torch.no_grad():
        model.norm.weight[0] = torch.nextafter(model.norm.weight[0], torch.tensor(2.0))
    assert fingerprint(model) != before


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"there is no file .*nowhere; expected a model written by"):
        load_model(tmp_path / "nowhere")


def test_a_truncated_file_is_refused(path):
    path.write_bytes(path.read_bytes()[:-40])
    with pytest.raises(ValueError, match="is damaged or is no safetensors file"):
        load_model(path)


def test_text_in_place_of_a_model_is_refused(path):
    path.write_text("hello, this is a letter and no model")
    with pytest.raises(ValueError, match="is damaged or is no safetensors file"):
        load_model(path)


def test_a_foreign_file_is_refused(path):
    save_file({"weight": torch.zeros(2)}, path)
    with pytest.raises(
        ValueError, match="was not written by this minitransformer: expected 'minitransformer 2' or 'min"
    ):
        load_model(path)


def test_a_file_of_another_kind_is_refused(path):
    save(PromptTuning(1, CONFIG), path)
    with pytest.raises(ValueError, match="holds a soft prompt, not a model"):
        load_model(path)


@pytest.mark.parametrize("number", [float("nan"), float("inf")])
def test_nan_and_infinity_are_neither_read_nor_written(path, number):
    model, tokenizer, card = load_model(path)
    with torch.no_grad():
        model.norm.weight[2] = number
    before = path.read_bytes()
    complaint = r"holds NaN or infinite numbers in 'norm\.weight'"
    with pytest.raises(ValueError, match=f"{complaint}; it was not written, and what stood there is still there: mend"):
        save_model(path, model, tokenizer, card)
    assert path.read_bytes() == before and os.listdir(path.parent) == [path.name]
    as_a_first_one(path, model.state_dict())
    with pytest.raises(ValueError, match=f"{complaint}; write or train this model again"):
        load_model(path)


def test_tensors_of_the_wrong_shape_or_name_are_refused(path):
    tensors, about = read(path, "model")
    write(path, "model", tensors | {"norm.weight": torch.ones(9)}, about)
    with pytest.raises(ValueError, match=r"does not fit: 'norm.weight' should be \(8,\) and is \(9,\)"):
        load_model(path)
    del tensors["norm.weight"]
    write(path, "model", tensors, about)
    with pytest.raises(ValueError, match=r"does not fit: 'norm.weight' should be \(8,\) and is absent"):
        load_model(path)


@pytest.mark.parametrize("fails", ["fsync", "replace"])
def test_a_crash_while_saving_leaves_the_old_file_and_nothing_else(path, monkeypatch, fails):
    before = path.read_bytes()

    def crash(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(os, fails, crash)
    with pytest.raises(KeyboardInterrupt):
        save_model(path, Transformer(CONFIG), TOKENIZER)
    assert path.read_bytes() == before
    assert os.listdir(path.parent) == [path.name]


def is_free(path, value):
    """Numbers and words that nothing else in the file speaks of."""
    match path:
        case ("card", *inside):
            return bool(inside) or value == {}
        case ("config", "rope_base"):
            return value in (True, 1.5, 10**7, 10**8, "gone") and value is not True
        case ("config", "eps" | "end"):
            return value == "gone" or (path[1] == "end" and value is None)
        case ("vocabulary", place):
            return place > 0 and value == "x"
    return False


@pytest.mark.parametrize("first", [False, True], ids=["now", "the first format"])
def test_no_damaged_model_is_taken_for_a_good_one(path, first):
    if first:
        as_a_first_one(path, opened(path))
    data, right = path.read_bytes(), damage.plain(load_model(path))
    changed = [*damage.tensors_changed(data), *damage.about_changed(data, is_free)]
    changed += [] if first else damage.bytes_changed(data, 150)
    assert damage.outcomes(lambda: load_model(path), path, right, changed) > 200


def opened(path):
    return damage.opened(path.read_bytes())[0]


def test_a_header_that_claims_too_much_is_refused_before_anything_is_built(path, monkeypatch):
    def never(*_):
        raise AssertionError

    monkeypatch.setattr(checkpoints, "Transformer", never)
    claims = dict(layers=10**7, context=10**8, vocab=10**7, width=2**20, hidden=10**7)
    changed = [(f"config.{name}", size) for name, size in claims.items()]
    tensors, metadata = damage.opened(path.read_bytes())
    for name, size in changed:
        about = read(path, "model")[1]
        about["config"][name.removeprefix("config.")] = size
        other = path.with_name("other")
        other.write_bytes(damage.sealed(tensors, metadata | {"about": checkpoints.json.dumps(about)}))
        with pytest.raises(ValueError, match=r"does not fit|describes a model|names"):
            load_model(other)


def test_the_shapes_that_are_expected_are_those_of_the_model():
    config = Config(vocab=7, context=8, width=24, layers=3, heads=6, kv_heads=2, hidden=10)
    shapes = {name: tuple(weight.shape) for name, weight in Transformer(config).state_dict().items()}
    assert weight_shapes(config) == shapes


def test_a_name_that_is_said_twice_is_refused(path):
    tensors, metadata = damage.opened(path.read_bytes())
    about = metadata["about"].replace('"seed": 1', '"seed": 2, "seed": 1')
    path.write_bytes(damage.sealed(tensors, metadata | {"about": about}))
    with pytest.raises(
        ValueError, match=r"is damaged or is no .* \('seed' stands there twice\); write or train this model"
    ):
        load_model(path)


@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16, torch.float16])
def test_a_model_keeps_its_type_of_numbers(tmp_path, dtype):
    model, tokens = Transformer(CONFIG).to(dtype), torch.tensor([[1, 2]])
    save_model(tmp_path / "m", model, TOKENIZER)
    again = load_model(tmp_path / "m")[0]
    assert {tensor.dtype for tensor in [*again.parameters(), *again.buffers()]} == {dtype}
    assert fingerprint(again) == fingerprint(model) and torch.equal(again(tokens), model(tokens))


def test_the_same_model_is_the_same_bytes(path, tmp_path):
    model, tokenizer, card = load_model(path)
    for _ in range(6):
        save_model(tmp_path / "m", model, tokenizer, card)
        assert (tmp_path / "m").read_bytes() == path.read_bytes()


def test_a_tokenizer_of_other_words_is_neither_saved_nor_loaded(path):
    with pytest.raises(ValueError, match="should name 3 different tokens, as the model has them, and names 2 in 2"):
        save_model(path, Transformer(CONFIG), Tokenizer(["<end>", "Look"]))
    with pytest.raises(ValueError, match="should end answers with token 0, '<end>', and '<end>' is 1; it was not wr"):
        save_model(path, Transformer(CONFIG), Tokenizer(["Look", "<end>", "out"]))


@pytest.mark.skipif(sys.platform == "win32", reason="there are no locks on folders")
def test_what_a_killed_process_left_is_removed_and_what_lives_is_not(tmp_path):
    code = """if True:
        import os, signal, sys
        from minitransformer.files.whole import write_whole
        os.fsync = lambda _: (print("ready", flush=True), signal.pause())
        write_whole(sys.argv[1], b"half")"""
    writer = subprocess.Popen([sys.executable, "-c", code, tmp_path / "file"], stdout=subprocess.PIPE)
    writer.stdout.readline()
    write_whole(tmp_path / "file", b"whole")
    assert len(os.listdir(tmp_path)) == 2  # it is still writing
    writer.kill()
    writer.communicate()
    write_whole(tmp_path / "file", b"whole")
    assert os.listdir(tmp_path) == ["file"] and (tmp_path / "file").read_bytes() == b"whole"


def test_threads_that_write_one_file_do_not_disturb_each_other(tmp_path):
    failed = []

    def save_often(letter):
        try:
            for _ in range(40):
                write_whole(tmp_path / "file", letter * 50)
        except Exception as error:
            failed.append(error)

    threads = [threading.Thread(target=save_often, args=[letter]) for letter in (b"a", b"b")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failed == [] and os.listdir(tmp_path) == ["file"]
    assert (tmp_path / "file").read_bytes() in (b"a" * 50, b"b" * 50)


@pytest.mark.skipif(sys.platform == "win32", reason="links need rights there, and modes are others")
def test_links_are_followed_and_modes_are_kept(tmp_path):
    (tmp_path / "secret").write_bytes(b"old")
    (tmp_path / "secret").chmod(0o600)
    (tmp_path / "link").symlink_to("secret")
    write_whole(tmp_path / "link", b"new")
    assert (tmp_path / "link").is_symlink() and (tmp_path / "secret").read_bytes() == b"new"
    assert (tmp_path / "secret").stat().st_mode & 0o777 == 0o600
    (tmp_path / "early").symlink_to("later")  # to a file that is not there yet
    write_whole(tmp_path / "early", b"new")
    assert (tmp_path / "early").is_symlink() and (tmp_path / "later").read_bytes() == b"new"
    write_whole(tmp_path / "fresh", b"new")
    umask = os.umask(0)
    os.umask(umask)
    assert (tmp_path / "fresh").stat().st_mode & 0o777 == 0o666 & ~umask


@pytest.mark.skipif(sys.platform == "win32", reason="there are no pipes to make")
def test_what_is_no_regular_file_is_neither_written_nor_read(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "folder").mkdir()
    (tmp_path / "round").symlink_to("round")
    for name, is_ in {"pipe": "a pipe", "folder": "a folder", "round": "a broken link"}.items():
        with pytest.raises(ValueError, match=f"{name} is no regular file but {is_}; give the path of a file"):
            write_whole(tmp_path / name, b"new")
    with pytest.raises(ValueError, match="is no regular file but a device"):
        write_whole("/dev/null", b"new")
    for name in "pipe", "folder":
        with pytest.raises(ValueError, match=f"{name} is no regular file; expected a model written by"):
            load_model(tmp_path / name)
    assert sorted(os.listdir(tmp_path)) == ["folder", "pipe", "round"]

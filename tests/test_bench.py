"""The benchmark runs at a toy size, and times nobody who computes something else."""

import json
import re
import sys
from dataclasses import replace
from importlib import import_module
from importlib.metadata import version

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

pytest.importorskip("transformers", exc_type=ImportError)
pytest.importorskip("peft", exc_type=ImportError)
bench, page, memory, peers, learning, serving, starting, starts, whole, work = (  # benchmarks/*.py
    import_module(name)
    for name in ("bench", "page", "memory", "peers", "learning", "serving", "starting", "starts", "whole", "work")
)

pytestmark = pytest.mark.filterwarnings("ignore::FutureWarning", "ignore::UserWarning")  # peers speak to each other
TOY = work.SIZES["toy"]
QUICK = [name for name in bench.KINDS if name != "memory"]  # which starts processes that import everything


def run(*only, **options):
    words = [word for name, value in options.items() for word in (f"--{name}", str(value))]
    bench.main(["--sizes", "toy", "--rounds", "1", "--only", *only, *words])


@pytest.fixture(scope="module")
def toy(tmp_path_factory):
    """What a whole run at the toy size writes."""
    path = tmp_path_factory.mktemp("bench") / "results.json"
    run("shipped", *QUICK, json=path)
    return json.loads(path.read_text(encoding="utf-8"))


def test_every_piece_of_work_runs_and_every_competitor_is_measured(toy):
    names = {row["work"] for row in toy["rows"]}
    assert {"pretraining step", "prompt step", "greedy decoding, batch 16", "tenants in a batch of 16"} <= names
    assert len(names) == len(toy["rows"]) == 25
    for row in toy["rows"]:
        assert row["spreads"].keys() == row["medians"].keys() == row["ratios"].keys() and len(row["medians"]) > 1
        for name, median in row["medians"].items():
            assert row["rounds"] == 1 and row["spreads"][name] == [median, median] and median > 0


def test_the_run_says_on_what_machine_and_how_it_was_made(toy, capsys):
    run("prefill")
    first, *_ = capsys.readouterr().out.splitlines()
    assert f"threads {torch.get_num_threads()}, " in first and f"torch {version('torch')}" in first
    assert toy["machine"]["threads"] == torch.get_num_threads() and toy["machine"]["processor"]
    assert toy["command"].startswith("python benchmarks/bench.py --sizes toy --rounds 1 --only shipped")


def perturbed(make, part):
    """A peer of which one matrix is off by this part of itself."""

    def off(*given):
        peer = make(*given)
        weight = next(each for name, each in peer.named_parameters() if ".0." in name and each.dim() == 2)
        weight.data += part * torch.randn_like(weight)
        weight.data[0] += part
        return peer

    return off


@pytest.mark.parametrize(
    ("kind", "peer", "part", "about"),
    [
        ("pretraining", "hf_llama", 0.01, "loss"),
        ("pretraining", "hf_gpt2", 0.01, "loss"),
        ("fine-tuning", "hf_llama", 0.01, "loss"),
        ("prompt", "hf_llama", 0.01, "loss"),
        ("prefix", "hf_llama", 0.01, "loss"),
        ("prefill", "hf_llama", 0.01, "logits"),
        ("decoding", "hf_llama", 5.0, "tokens"),
        ("soft-decoding", "hf_llama", 5.0, "tokens"),
    ],
    ids=str,
)
def test_a_peer_with_other_weights_is_left_out_and_the_others_are_timed(kind, peer, part, about, monkeypatch, tmp_path):
    monkeypatch.setattr(peers, peer, perturbed(getattr(peers, peer), part))
    run(kind, json=tmp_path / "results.json")
    rows = json.loads((tmp_path / "results.json").read_text(encoding="utf-8"))["rows"]
    lost = {name: why for row in rows for name, why in row["left out"].items()}
    wrong = [why for why in lost.values() if "No module named" not in why]
    assert wrong and all(f"disagree about the {about}: " in why for why in wrong)
    for row in rows:
        assert not row["medians"].keys() & row["left out"].keys() and "ours" in row["medians"]


def test_a_missing_peer_costs_its_own_rows(monkeypatch, tmp_path):
    def missing(*_, **__):
        raise ImportError("No module named 'transformers'")

    monkeypatch.setattr(peers, "hf_llama", missing)
    run("prefill", "decoding", json=tmp_path / "results.json")
    result = json.loads((tmp_path / "results.json").read_text(encoding="utf-8"))
    for row in result["rows"]:
        assert "ImportError: No module named 'transformers'" in row["left out"].values() and "ours" in row["medians"]
    assert "No module named 'transformers'" in page.left_out([result])


def test_a_target_whose_rival_is_left_out_is_neither_met_nor_missed():
    judged = bench.judged(work.Target("ours", "theirs", {"S": 0.5}), "S", {"ours": [1.0]})
    assert judged["met"] is None
    rows = [{"work": "it", "size": "S", "targets": [judged], "shares": {}, "medians": {"ours": 1.0}}]
    assert "| – | left out |" in page.targets([{"rows": rows}]) and page.profiles([{"rows": rows}]) == ""


@pytest.mark.parametrize("slower", ["F.linear", "oneDNN"])
def test_the_limits_are_those_of_the_fastest_library(monkeypatch, slower):
    def slowly(x, weight, multiply=peers.LIBRARIES[slower]):
        for _ in range(9):
            multiply(x, weight)

    monkeypatch.setitem(peers.LIBRARIES, slower, slowly)
    x = torch.randn(300, 300)
    assert peers.fastest(x, x) is not slowly and peers.rates(300)[slower] < max(peers.rates(300).values())


def test_a_gradient_that_is_off_is_noticed_where_the_loss_is_right():
    piece = next(learning.fine_tuning(TOY))
    ours = piece.competitors["ours"]
    halved = replace(
        ours, says=lambda loss: {name: value / (1 + (name != "loss")) for name, value in ours.says(loss).items()}
    )
    _, lost = work.agree(replace(piece, competitors=piece.competitors | {"ours": halved}))
    assert "disagree about the gradient norm: " in lost["HF Llama"]


def test_tenants_who_get_each_other_s_soft_prompts_end_the_run(monkeypatch):
    rows = serving.PromptBank.rows
    monkeypatch.setattr(serving.PromptBank, "rows", lambda bank, names: rows(bank, names[::-1]))
    with pytest.raises(SystemExit, match="16 tenants, one by one disagree about the tokens"):
        run("tenants")


def test_a_checkpoint_loaded_wrongly_is_noticed(monkeypatch, capsys):
    monkeypatch.setattr(starting, "from_huggingface", lambda folder: starting.pretrained())
    run("loading")
    assert "HF is left out: ours and HF disagree about the logits: shapes " in capsys.readouterr().out


def test_those_who_have_nothing_in_common_are_not_called_alike():
    piece = work.Work("it", "toy", dict.fromkeys("ab", work.Competitor(lambda: None)), alike=(("a", "b"),))
    with pytest.raises(SystemExit, match="toy, it: a and b disagree about the work; nothing was timed"):
        work.agree(piece)


def test_a_ratio_is_the_median_of_the_rounds_own_ratios():
    taken = {"ours": [1.0, 9.0, 3.0], "theirs": [2.0, 10.0, 1.0]}
    assert bench.ratio(taken, "ours", "theirs") == 0.9


@pytest.mark.parametrize(("most", "met"), [(0.9, True), (0.89, False)], ids=str)
def test_a_target_is_met_when_no_more_than_that_is_taken(most, met):
    taken = {"ours": [1.0, 9.0, 3.0], "theirs": [2.0, 10.0, 1.0]}
    for target in work.Target("ours", "theirs", {"S": most}), work.Target("ours", None, {"S": 10 * most / 3}):
        judged = bench.judged(target, "S", taken)
        assert judged["met"] is met and judged["reached"] in (0.9, 3.0)
        assert judged["spread"] in ([0.5, 3.0], [1.0, 9.0])


def test_the_kept_results_have_a_line_for_each_piece_of_work_and_nine_digits(toy):
    text = bench.lines_of(toy)
    assert json.loads(text) == toy and len(text.splitlines()) == len(toy["rows"]) + 6
    assert bench.rounded({"a": [0.12345678987, 2, None, True]}) == {"a": [0.12345679, 2, None, True]}


def test_what_is_committed_is_medians_and_spread_and_makes_the_committed_page(tmp_path):
    kept = sorted(page.HERE.glob("results/*.json"))
    assert kept and all("taken" not in path.read_text() and path.stat().st_size < 100_000 for path in kept)
    page.main(["--folder", str(tmp_path)])
    assert (tmp_path / "README.md").read_text("utf-8") == (page.HERE / "README.md").read_text("utf-8")


def test_what_the_page_says_of_starts_is_what_was_measured():
    points = json.loads((page.HERE / "starts.json").read_text("utf-8"))
    mean = {(point["skill"], *point["method"].split(", ")): point["mean"] for point in points}

    def gain(method: str) -> dict[str, float]:
        return {skill: mean[skill, method, "from words"] - mean[skill, method, "at random"] for skill in starts.SKILLS}

    assert gain("prompt")["opposite"] > 0.1 and min(gain("prompt").values()) > -0.01
    assert max(gain("prefix").values()) < -0.2


def test_starts_are_the_method_s_own_and_the_words_repeated(base):
    model, tokenizer = base
    made = starts.starts(model, tokenizer, "shout")
    assert [*made][:3] == ["prompt, at random", "prefix, at random", "key/value, at random"]
    vectors = made["prompt, from words"](3, model.config, seed=5).vectors
    assert torch.equal(vectors, model.embedding.weight[tokenizer.encode("shout") * 3])


def test_a_command_s_times_are_summed_up():
    expected = {"rounds": 2, "before": 3.0, "after": 1.0, "ratio": 0.375, "lowest": 0.25, "highest": 0.5}
    assert whole.summary([2.0, 4.0], [1.0, 1.0]) == expected


@pytest.mark.parametrize("name", ["S", "M"])
def test_the_nanogpt_shaped_peer_has_as_many_parameters(name):
    ours = work.SIZES[name].model
    counts = [sum(parameter.numel() for parameter in each.parameters()) for each in (ours, peers.NanoGPT(ours))]
    assert abs(counts[1] / counts[0] - 1) < 0.01


@pytest.mark.parametrize("flops", [5e4, 3e8, 5.7e9], ids=str)
def test_the_floor_does_as_many_operations_as_it_should(flops):
    floor = peers.full_speed(flops)
    with FlopCounterMode(display=False) as counter:
        floor()
    assert abs(counter.get_total_flops() / flops - 1) < 0.05


def test_the_shares_of_a_run_are_shares():
    square = torch.randn(100, 100)
    found = bench.shares(lambda: torch.relu(square @ square))
    assert sum(found.values()) == pytest.approx(1) and found["matrix products"] > 0 < found["other operators"]
    assert found["attention"] == found["optimizer"] == 0


@pytest.mark.parametrize("who", ["ours", "peft"])
def test_a_process_says_its_own_peak_of_memory(who, monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["memory.py", who, "toy"])
    memory.main()
    assert 50 < float(capsys.readouterr().out) < 20_000


def test_the_page_shows_every_figure_and_says_what_was_missed_and_why(toy, tmp_path):
    prompt = next(row for row in toy["rows"] if row["work"] == "prompt step")
    spread = [0.41, 0.83]
    prompt["targets"] = [
        {"of": "ours", "against": "HF + PEFT", "most": 0.6, "reached": 0.75, "spread": spread, "met": False}
    ]
    prompt["shares"] = {name: {"matrix products": 0.6, "other operators": 0.4} for name in ("HF + PEFT", "ours")}
    again = json.loads(json.dumps(toy))
    other = again["rows"][toy["rows"].index(prompt)]
    other["targets"][0] |= {"reached": 0.5, "met": True}
    other["shares"] = {}
    times = {"demo": whole.summary([2.0, 4.0], [1.0, 1.0])}
    page.write(
        [again, toy], tmp_path, {"before": "abc", "seconds": times}
    )  # the profile is in the run that missed its target
    text = (tmp_path / "README.md").read_text(encoding="utf-8")
    line = "| toy | prompt step | ours / HF + PEFT | ≤ 0.6 | 0.50 (0.41–0.83), 0.75 (0.41–0.83) | **not met** |"
    assert line in text
    left = f"{0.6 * prompt['medians']['ours'] / prompt['medians']['HF + PEFT']:.2f} (target 0.6)"
    shares = r"[\d.]+ \| [\d.]+ \(60%\) \| [\d.]+ \(40%\)"
    assert re.search(rf"\| toy \| prompt step \| ours \| {shares} \| {re.escape(left)} \| [\d.]+ \|", text)
    assert all(f"| toy | {row['work']} |" in text or row["size"] == "base" for row in toy["rows"])
    assert f"`{toy['command']}`" in text and toy["machine"]["processor"] in text
    for picture in re.findall(r"\]\((.*?\.png)\)", text):
        assert (tmp_path / picture).read_bytes().startswith(b"\x89PNG")
    assert text.count(".png)") == 2
    assert "| demo | 3.0 | 1.0 | 0.38 |" in text and "whole.py abc" in text


def test_a_whole_command_is_timed_in_its_own_clone_or_its_failure_told(tmp_path):
    (tmp_path / "here.py").write_text("import pathlib, sys; pathlib.Path(sys.argv[1], 'x').write_text('new')")
    assert whole.seconds("here.py {new}", tmp_path) > 0
    with pytest.raises(SystemExit, match=r"(?s)nowhere.py failed:.*No such file"):
        whole.seconds("nowhere.py", tmp_path)

"""Two processes train as one does: the same curve, the same weights, one file, and an end when one of them is gone."""

import json
import os
import signal
import socket
import subprocess
import sys
from multiprocessing import get_context
from pathlib import Path

import pytest
import torch
from laws import random_model

from minitransformer import Config, PromptTuning, Transformer, compare, train, training
from minitransformer.comparison import Task
from minitransformer.distributed import Alone, Team

CONFIG = Config(vocab=20, context=32, width=16, layers=2, heads=2, kv_heads=1, hidden=24)
SETTINGS = dict(steps=12, every=4, peak=1e-2, warmup=2, progress=False)


class Uneven:
    """Endless batches of five rows, the later rows with fewer targets: the shares of two processes are unlike."""

    def __init__(self, seed: int = 0):
        self.seed = seed

    def __iter__(self):
        generator = torch.Generator().manual_seed(self.seed)
        while True:
            row = torch.randint(0, 10, (5, 1), generator=generator) + torch.arange(7)
            targets = row[:, 1:].clone()
            for number in range(5):
                targets[number, : number + 1] = -100
            yield row[:, :-1], targets


def fresh(seed: int = 0) -> Transformer:
    return random_model(seed, **vars(CONFIG))  # in float64, so that only mistakes are seen


def base(folder: Path, **settings) -> dict:
    """A model's training, as plain numbers."""
    model = fresh(int(os.environ.get("RANK", 0)))  # the second process begins with other weights
    history = train(model, Uneven(), **SETTINGS | settings)
    weights = torch.cat([parameter.detach().flatten() for parameter in model.parameters()])
    return {"loss": history.loss, "norm": history.grad_norm, "weights": weights.tolist()}


def prompt(folder: Path) -> dict:
    hooks = PromptTuning(3, CONFIG, seed=int(os.environ.get("RANK", 0))).double()
    hooks.vectors.data = hooks.vectors.data.T.contiguous().T  # as what comes out of a file may lie in memory
    scores = iter([0.1, 0.9, 0.3] if os.environ.get("RANK", "0") == "0" else [])  # the first one measures for all
    history = train(fresh(), Uneven(), hooks, validate=lambda: next(scores), **SETTINGS)
    return {"loss": history.loss, "vectors": hooks.vectors.tolist(), "proof": history.proof}


def sweep(folder: Path) -> list:
    task = Task("successor", Uneven, *[next(iter(Uneven(9)))] * 2)
    rows = compare(fresh().float(), [task], ["prompt", "prefix"], [1, 2, 3], [0], steps=3, progress=False)
    return [{key: value for key, value in row.items() if key != "seconds"} for row in rows]


def everything(folder: Path) -> dict:
    found = {"base": base(folder), "prompt": prompt(folder), "sweep": sweep(folder)}
    found["resumed"] = base(folder, checkpoint=folder / "begun by one")
    return found | {"complaints": complaints(folder)}


def die_on_the_way(folder: Path) -> None:
    def look(step: int) -> None:
        if step == 6 and os.environ["RANK"] == "1":
            os.kill(os.getpid(), signal.SIGKILL)

    base(folder, checkpoint=folder / "state", on_step=look)


def complaints(folder: Path) -> list[str]:
    """What is said when the processes do not fit together; the second one does not see the first one's checkpoint."""
    told, rank = [], int(os.environ["RANK"])
    one_row = [tuple(part[:1] for part in next(iter(Uneven())))] * SETTINGS["steps"]
    mine = (tuple(part[2 * rank :] for part in batch) for batch in Uneven())
    alone = folder / ("begun by one" if rank == 0 else "nowhere")
    for batches, settings in (one_row, {}), (mine, {}), (Uneven(), {"checkpoint": alone}):
        try:
            train(fresh(), batches, **SETTINGS | settings)
        except ValueError as error:
            told.append(str(error))
    return told


def one_of_two(work, rank: int, port: int, folder: Path) -> None:
    torch.set_num_threads(1)
    if rank == 1:
        training.suspend = None  # only the first one may write
    os.environ |= {"RANK": str(rank), "WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
    os.environ["TORCHELASTIC_RUN_ID"] = "as torchrun does"
    try:
        found = work(folder)
    except OSError as error:
        found = {"error": str(error)}
    (folder / f"found {rank}").write_text(json.dumps(found))


def by_two(work, folder: Path) -> list:
    """What each of two processes finds; None from one that did not live to tell."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    context = get_context("spawn")
    processes = [context.Process(target=one_of_two, args=(work, rank, port, folder)) for rank in (0, 1)]
    for process in processes:
        process.start()
    for process in processes:
        process.join(600)
        process.kill()
    found = [folder / f"found {rank}" for rank in (0, 1)]
    return [json.loads(path.read_text()) if path.exists() else None for path in found]


def close(got, expected, within: float = 1e-9) -> None:
    torch.testing.assert_close(torch.tensor(got), torch.tensor(expected), rtol=0, atol=within)


class Interrupted(Exception):
    pass


@pytest.fixture(scope="module")
def found(tmp_path_factory):
    """One process's findings, and those of each of two; the first of which begun a training that they go on with."""
    folder = tmp_path_factory.mktemp("together")
    alone = {"base": base(folder), "prompt": prompt(folder), "sweep": sweep(folder)}

    def stop(step):
        if step == 8:
            raise Interrupted

    with pytest.raises(Interrupted):
        base(folder, checkpoint=folder / "begun by one", on_step=stop)
    return alone, *by_two(everything, folder), folder


def test_two_processes_have_the_same_loss_curve_and_weights_as_one(found):
    """Though the second one's model began with other weights, and their shares of targets differ."""
    alone, *both, _ = found
    for one in both:
        for what in "loss", "norm", "weights":
            close(one["base"][what], alone["base"][what])
    assert both[0]["base"]["weights"] == both[1]["base"]["weights"]
    assert alone["base"]["loss"][-1] < alone["base"]["loss"][0]


def test_a_soft_prompt_is_tuned_by_two_as_by_one_and_the_freeze_is_proven(found):
    alone, *both, _ = found
    for one in both:
        close(one["prompt"]["loss"], alone["prompt"]["loss"])
        close(one["prompt"]["vectors"], alone["prompt"]["vectors"])
        assert one["prompt"]["proof"] == alone["prompt"]["proof"]


def test_training_begun_by_one_process_goes_on_with_two_on_the_same_curve(found):
    alone, *both, folder = found
    for one in both:
        close(one["resumed"]["loss"], alone["base"]["loss"])
        close(one["resumed"]["weights"], alone["base"]["weights"])
    states = sorted(path.name for path in folder.iterdir() if "found" not in path.name)
    assert states == ["begun by one", "begun by one.previous"]


def test_a_sweep_shared_by_two_gives_the_same_rows_in_the_same_order_to_both(found):
    alone, *both, _ = found
    assert both[0]["sweep"] == both[1]["sweep"] == alone["sweep"] and len(alone["sweep"]) == 6


@pytest.mark.skipif(sys.platform == "win32", reason="signals differ there")
def test_when_one_process_is_killed_the_other_says_so_and_one_alone_can_go_on(tmp_path):
    left, gone = by_two(die_on_the_way, tmp_path)
    assert gone is None and "another process has gone, so this one stops" in left["error"]
    assert "start again, with as many processes as you like" in left["error"]
    again, uninterrupted = base(tmp_path, checkpoint=tmp_path / "state"), base(tmp_path)
    close(again["loss"], uninterrupted["loss"])
    close(again["weights"], uninterrupted["weights"])


def test_what_does_not_fit_together_is_refused_by_both(found):
    for one in found[1:3]:
        small, different, elsewhere = one["complaints"]
        assert "a batch of 1 rows has nothing to learn for some of 2 processes; make it larger" in small
        assert "the processes drew different batches; seed them alike" in different
        assert "resume at different steps, from 0 to 12: the checkpoint must be in a folder that every" in elsewhere


def test_one_process_alone_is_a_team_too():
    batch, weight = Alone().share(*next(iter(Uneven())))
    assert len(batch[0]) == 5 and weight == 1.0 and Alone().gather([{"a": 1}]) == [{"a": 1}]
    assert issubclass(Team, Alone)


def test_under_torchrun_pretrain_writes_one_model_and_speaks_with_one_voice(tmp_path):
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    command += [
        "--redirects",
        "3",
        "--log-dir",
        str(tmp_path / "said"),
        "-m",
        "minitransformer",
        "pretrain",
        "--size",
        "tiny",
        "--steps",
        "2",
        "--out",
        str(tmp_path / "base"),
    ]
    ended = subprocess.run(command, capture_output=True, text=True, env=os.environ | {"OMP_NUM_THREADS": "1"})
    assert ended.returncode == 0, ended.stderr
    logs = ({path.stem: path.read_text() for path in tmp_path.glob(f"said/*/*/{rank}/*.log")} for rank in (0, 1))
    first, second = logs
    assert "wrote" in first["stdout"] and "2/2" in first["stderr"]
    assert second["stdout"] == "" and "step/s" not in second["stderr"]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["base", "base.md", "said"]

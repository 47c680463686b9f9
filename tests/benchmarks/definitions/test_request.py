from benchmarks.definitions.experiment import Experiment
from benchmarks.definitions.request import Request


def test_command_repeats_the_request():
    experiment = Experiment("e", "s", (), "digits")
    request = Request(experiment, "mnist", 0.1, 3, "cuda", 2, ("a", "b"), quick=True)
    assert request.command == (
        "python -m benchmarks e --dataset mnist --train-size 0.1 --seeds 3 "
        "--device cuda --threads 2 --models a,b --quick"
    )

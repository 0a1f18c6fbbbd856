"""Leaves logs of a training run in the working folder, each written by the tool whose format it is.

Which one is the argument; the numbers are the same in all of them: the loss falls from 2.5 to 0.5, the accuracy on held-out
data ends at 0.875, and what is called `odd` ends as NaN.
"""

import importlib
import sys
import types
from unittest.mock import MagicMock

STEPS = [(2.5, 0.5, 1.0), (1.5, 0.75, 2.0), (0.5, 0.875, float("nan"))]


def trainer():
    """The Hugging Face Trainer's state, and on standard output what its callback prints."""
    from transformers.trainer_callback import PrinterCallback, TrainerControl, TrainerState

    state, control = TrainerState(), TrainerControl()
    for step, (loss, accuracy, odd) in enumerate(STEPS, 1):
        trained = {"loss": loss, "grad_norm": 1.5, "learning_rate": 5e-05, "epoch": float(step)}
        evaluated = {"eval_accuracy": accuracy, "eval_odd": odd, "eval_runtime": 0.25, "epoch": float(step)}
        for logs in (trained, evaluated):
            state.log_history.append({**logs, "step": step})
            PrinterCallback().on_log(None, state, control, logs=dict(logs))
    state.global_step = len(STEPS)
    state.save_to_json("trainer_state.json")


def tensorboard():
    """Event files by TensorBoard's own writer, as PyTorch's uses it, and by tensorboardX."""
    from tensorboard.compat.proto.event_pb2 import Event
    from tensorboard.compat.proto.summary_pb2 import Summary
    from tensorboard.compat.proto.tensor_pb2 import TensorProto
    from tensorboard.summary.writer.event_file_writer import EventFileWriter
    from tensorboardX import SummaryWriter

    torch = EventFileWriter("torch")
    # TensorFlow writes a scalar as a tensor without dimensions.
    tensorflow = EventFileWriter("tensorflow")
    other = SummaryWriter("tensorboardx")
    for step, row in enumerate(STEPS, 1):
        for name, value in zip(("train/loss", "eval/accuracy", "eval/odd"), row):
            plain = Summary(value=[Summary.Value(tag=name, simple_value=value)])
            torch.add_event(Event(wall_time=1700000000.0 + step, step=step, summary=plain))
            tensor = Summary(value=[Summary.Value(tag=name, tensor=TensorProto(dtype=1, float_val=[value]))])
            tensorflow.add_event(Event(wall_time=1700000000.0 + step, step=step, summary=tensor))
            other.add_scalar(name, value, step, walltime=1700000000.0 + step)
    other.add_text("args", "{}")
    for writer in (torch, tensorflow, other):
        writer.close()


def wandb():
    """What an offline run of Weights & Biases leaves; prints the run's id."""
    import wandb

    run = wandb.init(project="hallmark", mode="offline", dir=".", config={"seed": 42, "lr": 1e-4})
    for loss, accuracy, odd in STEPS:
        run.log({"train/loss": loss, "accuracy": accuracy, "odd": odd})
    print(run.id)
    run.finish()


def lightning():
    """A table by Lightning's own writer. It needs nothing of PyTorch but the name of a type, so PyTorch's gigabyte is
    left out and the package's other modules are not loaded."""
    for name in ("lightning_fabric", "lightning_fabric.loggers", "lightning_fabric.utilities"):
        package = types.ModuleType(name)
        package.__path__ = [f"{path}/{name.replace('.', '/')}" for path in sys.path]
        sys.modules[name] = package
    class Torch(MagicMock):
        Tensor = type("Tensor", (), {})

    for name in ("torch", "torch.nn", "torch.optim", "torch.optim.lr_scheduler", "torch.distributed"):
        sys.modules[name] = Torch()
    logger = importlib.import_module("lightning_fabric.loggers.csv_logs").CSVLogger(".", flush_logs_every_n_steps=2)
    for step, (loss, accuracy, odd) in enumerate(STEPS):
        logger.log_metrics({"train_loss": loss, "epoch": 0}, step=2 * step)
        logger.log_metrics({"val_acc": accuracy, "odd": odd, "epoch": 0}, step=2 * step + 1)
    logger.finalize("success")


if __name__ == "__main__":
    {it.__name__: it for it in (trainer, tensorboard, wandb, lightning)}[sys.argv[1]]()

"""Which devices a job computes on, through Lightning Fabric: training and embedding alike.

A launcher (torchrun, SLURM) says how many processes there are; without one it is this process and one device.
"""

import atexit
import os
from contextlib import AbstractContextManager, nullcontext
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    import torch
    from lightning_fabric import Fabric

Precision = Literal["32-true", "bf16-mixed"]


def open_fabric(precision: Precision | None = None, accelerator: str = "auto") -> "Fabric":
    """Fabric on what the launcher offers: torchrun's or SLURM's processes, else one device of this machine.

    Args:
        precision: "bf16-mixed" or "32-true"; None: the first on a CUDA device, the second elsewhere.
        accelerator: As Fabric names them.
    """
    from lightning_fabric import Fabric

    local, world = _launched()
    fabric = Fabric(
        accelerator=accelerator if precision else _accelerator(),
        devices=local,
        num_nodes=max(world // local, 1),
        precision=precision or _precision(),
        strategy="ddp" if world > 1 else "auto",
    )
    fabric.launch()
    if fabric.world_size > 1:
        atexit.register(_leave_the_others)  # Fabric does so for NCCL alone
    return fabric


def _leave_the_others() -> None:
    """End the group of processes before the interpreter ends: threads of gloo that outlive it can abort the process."""
    import torch.distributed

    if torch.distributed.is_initialized():
        torch.distributed.destroy_process_group()


class ThisProcess:
    """One device for this process alone, whatever launched it: what one of many does for itself waits for nobody.

    Has what embedding asks of a Fabric, whose import takes longer than embedding some ECGs.
    """

    world_size, global_rank, is_global_zero = 1, 0, True

    def __init__(self) -> None:
        import torch

        self.device = torch.device(_accelerator())

    def to_device(self, network: "torch.nn.Module") -> "torch.nn.Module":
        return network.to(self.device)

    def autocast(self) -> AbstractContextManager:
        import torch

        return torch.autocast("cuda", torch.bfloat16) if _precision() == "bf16-mixed" else nullcontext()

    def barrier(self) -> None:
        """Nobody to wait for."""


def launched_or_alone() -> "Fabric | ThisProcess":
    """The processes of a launcher where one started this process among several, else this process."""
    return open_fabric() if _launched()[1] > 1 else ThisProcess()


def _launched() -> tuple[int, int]:
    """How many processes a launcher started, on this machine and in all."""
    local = int(os.environ.get("LOCAL_WORLD_SIZE") or os.environ.get("SLURM_NTASKS_PER_NODE") or 1)
    return local, int(os.environ.get("WORLD_SIZE") or os.environ.get("SLURM_NTASKS") or local)


def _accelerator() -> str:
    import torch

    return "cuda" if torch.cuda.is_available() else "cpu"


def _precision() -> Precision:
    return "bf16-mixed" if _accelerator() == "cuda" else "32-true"

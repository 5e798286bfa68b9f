"""Which devices a job computes on, through Lightning Fabric: training and embedding alike.

A launcher (torchrun, SLURM) says how many processes there are; without one it is this process and one device.
"""

import os
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from lightning_fabric import Fabric

Precision = Literal["32-true", "bf16-mixed"]


def open_fabric(precision: Precision | None = None, accelerator: str = "auto") -> "Fabric":
    """Fabric on what the launcher offers: torchrun's or SLURM's processes, else one device of this machine.

    Args:
        precision: "bf16-mixed" or "32-true"; None: the first on a CUDA device, the second elsewhere.
        accelerator: As Fabric names them.
    """
    from lightning_fabric import Fabric

    local = int(os.environ.get("LOCAL_WORLD_SIZE") or os.environ.get("SLURM_NTASKS_PER_NODE") or 1)
    world = int(os.environ.get("WORLD_SIZE") or os.environ.get("SLURM_NTASKS") or local)
    fabric = Fabric(
        accelerator=accelerator if precision else _accelerator(),
        devices=local,
        num_nodes=max(world // local, 1),
        precision=precision or _precision(),
        strategy="ddp" if world > 1 else "auto",
    )
    fabric.launch()
    return fabric


def this_process() -> "Fabric":
    """One device for this process alone, whatever launched it: what one of many does for itself waits for nobody."""
    from lightning_fabric import Fabric
    from lightning_fabric.plugins.environments import LightningEnvironment

    return Fabric(accelerator=_accelerator(), devices=1, precision=_precision(), plugins=[LightningEnvironment()])


def _accelerator() -> str:
    import torch

    return "cuda" if torch.cuda.is_available() else "cpu"


def _precision() -> Precision:
    return "bf16-mixed" if _accelerator() == "cuda" else "32-true"

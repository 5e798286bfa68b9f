"""Times versions of one network against each other: the part that the encoder benchmarks share.

Versions take turns, so that a busy moment hits all of them; the best of the repeats counts. On a GPU the default is
CUDA and `torch.compile`, and the peak memory is the allocator's own (`torch.cuda.max_memory_allocated`) for each
version; on the CPU it is the largest resident size of the whole process.
"""

import argparse
import os
import resource
import shutil
import time
from collections.abc import Callable, Sequence

import torch

NO_COMPILER = "torch.compile was left out: there is no C++ compiler (c++, g++ or clang++) on the path."


def options(description: str, *, batch: int, repeats: int, given: Sequence[str] | None = None) -> argparse.Namespace:
    """The command line: threads, batch, repeats, device, compile; sets the number of threads."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--batch", type=int, default=batch)
    parser.add_argument("--repeats", type=int, default=repeats)
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument(
        "--compile", action=argparse.BooleanOptionalAction, default=None, help="Default: only on a GPU."
    )
    chosen = parser.parse_args(given)
    torch.set_num_threads(chosen.threads)
    if chosen.compile is None:
        chosen.compile = chosen.device == "cuda"
    return chosen


def with_compiled(
    functions: dict[str, Callable], name: str, chosen: argparse.Namespace
) -> tuple[dict[str, Callable], list[str]]:
    """The versions with `name` compiled as one more, and what has to be said of it."""
    if not chosen.compile:
        return functions, []
    if not any(shutil.which(compiler) for compiler in (os.environ.get("CXX", "c++"), "g++", "clang++")):
        return functions, [NO_COMPILER]
    return functions | {f"{name}_compiled": torch.compile(functions[name], dynamic=False)}, []


def seconds(function: Callable, x: torch.Tensor) -> tuple[float, float]:
    """Wall time and processor time of one call; the second hardly depends on what else the machine does."""
    wall, processor = time.perf_counter(), time.process_time()
    function(x)
    if x.is_cuda:
        torch.cuda.synchronize()
    return time.perf_counter() - wall, time.process_time() - processor


def best_times(functions: dict[str, Callable], x: torch.Tensor, repeats: int) -> dict[str, tuple[float, float]]:
    """Best wall and processor time of `repeats` calls for every version, after one call each that is not counted."""
    for function in functions.values():
        seconds(function, x)
    rounds = [{name: seconds(function, x) for name, function in functions.items()} for _ in range(repeats)]
    return {name: tuple(min(times[name][i] for times in rounds) for i in (0, 1)) for name in functions}


def peak_memory_mb(functions: dict[str, Callable], x: torch.Tensor) -> dict[str, float]:
    """Peak memory in MB of one call of every version on a GPU, of the whole process on the CPU."""
    if not x.is_cuda:
        return {"process": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024, 1)}
    peaks = {}
    for name, function in functions.items():
        torch.cuda.reset_peak_memory_stats()
        function(x)
        torch.cuda.synchronize()
        peaks[name] = round(torch.cuda.max_memory_allocated() / 2**20, 1)
    return peaks


def compare(name: str, unit: str, functions: dict[str, Callable], x: torch.Tensor, chosen: argparse.Namespace) -> dict:
    """Throughput, ratios to "plain", agreement with it and peak memory of all versions, as the benchmarks print them.

    Args:
        name: Of the benchmark.
        unit: What is counted, "ecgs" or "clips".
        functions: Version -> function of `x`; needs "plain", "float32" and "bfloat16".
        x: One batch on the chosen device.
        chosen: From `options`.
    """
    expected = functions["plain"](x)
    cosines = {
        version: torch.nn.functional.cosine_similarity(function(x).float(), expected).min().item()
        for version, function in functions.items() if version.startswith("bfloat16")
    }  # fmt: skip
    difference = (functions["float32"](x) - expected).abs().max().item()
    times = best_times(functions, x, chosen.repeats)
    return {
        "benchmark": name,
        "device": torch.cuda.get_device_name() if x.is_cuda else "cpu",
        "torch": torch.__version__,
        "threads": chosen.threads,
        "batch": chosen.batch,
        f"{unit}_per_s": {version: round(chosen.batch / t[0], 3) for version, t in times.items()},
        "times_plain": {version: round(times["plain"][0] / t[0], 2) for version, t in times.items()},
        "times_plain_by_processor_time": {version: round(times["plain"][1] / t[1], 2) for version, t in times.items()},
        "peak_memory_mb": peak_memory_mb(functions, x),
        "float32_max_difference": difference,
        "bfloat16_min_cosine": cosines["bfloat16"],
    } | ({"bfloat16_compiled_min_cosine": cosines["bfloat16_compiled"]} if "bfloat16_compiled" in cosines else {})

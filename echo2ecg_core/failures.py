"""What an unexpected error of a job means for the person who started it: one sentence with the remedy.

Recognised through the whole chain of causes, because libraries wrap: a full disk, one that may not be written, memory
of the machine, memory of the GPU. Everything else is a mistake of ours and names the log. No text of the error itself
is quoted: it may hold file names.
"""

import errno
import re
from pathlib import PurePath

NO_SPACE = (errno.ENOSPC, errno.EDQUOT)
NO_RIGHT = (errno.EROFS, errno.EACCES, errno.EPERM)


def sentence_of(error: BaseException, job) -> str:
    """What went wrong in a job and what to do, as the job's closing message."""
    chain = causes(error)
    batch = job.parameters.get("set", {}).get("batch_size") if isinstance(job.parameters.get("set"), dict) else None
    less = (
        f"Start again with a batch of {batch // 2:,} pairs or less"
        if isinstance(batch, int) and batch > 1
        else "Start again with a smaller batch"
    )
    if disk := sentence_of_disk(error):
        return f"{disk} Then Resume: what was finished is kept."
    if any(_is_gpu_memory(e) for e in chain):
        at = f" at a batch of {batch:,} pairs" if isinstance(batch, int) else ""
        return f"The GPU memory is full{at}. {less}, with accumulation or in bf16; other programs on the GPU count too."
    if any(isinstance(e, MemoryError) or "can't allocate memory" in str(e) for e in chain):
        remedy = (
            f"{less}, or close other programs and Resume."
            if job.kind == "train"
            else "Close other programs, then Resume."
        )
        return f"The machine ran out of memory. {remedy}"
    return (
        f"The job stopped on an unexpected {type(error).__name__}; its log tells where "
        f"(logs/job-{job.job_id:04d}.log). "
        "Resume tries once more; if it happens again, send the log to whoever maintains this program."
    )


def sentence_of_disk(error: BaseException) -> str:
    """What is wrong with the disk and what to do; "" where the error does not come from there."""
    chain = causes(error)
    if any(isinstance(e, OSError) and e.errno in NO_SPACE or "No space left on device" in str(e) for e in chain):
        return "The disk is full. Free some space where the workspace lies."
    if any(isinstance(e, OSError) and e.errno in NO_RIGHT for e in chain):
        return "A folder may not be written. Check the rights of the workspace, and that its disk is not read-only."
    return ""


def without_places(text: str, parameters: dict, *folders: PurePath) -> str:
    """A job's closing message as somebody may read it who does not run the server: without names of its folders.

    Args:
        text: The message.
        parameters: Of the job; paths in them are not told, neither whole nor in parts.
        folders: Other places that are not told.
    """
    paths = [*folders, *(PurePath(value) for value in _texts(parameters) if "/" in value or "\\" in value)]
    parts = {part for path in paths for part in (str(path), *path.parts) if part.strip("/\\. ")}
    for part in sorted(parts, key=len, reverse=True):
        text = re.sub(rf"(?<!\w){re.escape(part)}(?!\w)", "…", text)
    return re.sub(r"(?<![\w/…])[/~][^\s'\",;)]*[^\s'\",;).]", "…", text)


def _texts(value) -> list[str]:
    """Every text in a job's parameters."""
    if isinstance(value, dict | list):
        return [text for one in (value.values() if isinstance(value, dict) else value) for text in _texts(one)]
    return [value] if isinstance(value, str) else []


def causes(error: BaseException) -> list[BaseException]:
    """The error and what it was raised from."""
    found: list[BaseException] = []
    cause: BaseException | None = error
    while cause is not None and cause not in found:
        found.append(cause)
        cause = cause.__cause__ or cause.__context__
    return found


def _is_gpu_memory(error: BaseException) -> bool:
    return type(error).__name__ == "OutOfMemoryError" or "CUDA out of memory" in str(error)

"""The clip in memory: EchoPrime's view order, and a hash of the content and of nothing else."""

import subprocess
import sys

import numpy as np
import pytest

from echo2ecg_core.echo.clip import VIEWS, EchoClip


def clip(**changes) -> EchoClip:
    fields = {"frames": np.zeros((6, 4, 5, 3), np.uint8), "fps": 30.0, "format": "MP4", "source": "a.mp4"}
    return EchoClip(**(fields | changes))


def test_views_are_echoprimes_eleven_classes_in_their_order():
    classes = "A2C A3C A4C A5C Apical_Doppler Doppler_Parasternal_Long Doppler_Parasternal_Short Parasternal_Long"
    assert list(VIEWS) == [*classes.split(), "Parasternal_Short", "SSN", "Subcostal"]


def test_six_frames_at_thirty_a_second_last_a_fifth_of_a_second():
    assert (clip().n_frames, clip().duration_s) == (6, pytest.approx(0.2))


def test_hash_follows_pixels_and_rate_but_not_the_file_name():
    other = np.zeros((6, 4, 5, 3), np.uint8)
    other[5, 3, 4, 2] = 1
    assert clip().content_hash == clip(source="b.avi", format="AVI").content_hash
    hashes = {clip().content_hash, clip(frames=other).content_hash, clip(fps=60.0).content_hash}
    assert len(hashes) == 3
    assert clip(frames=np.zeros((6, 5, 4, 3), np.uint8)).content_hash not in hashes


def test_frames_of_another_type_or_an_unknown_view_are_our_own_mistake():
    with pytest.raises(AssertionError, match="uint8"):
        clip(frames=np.zeros((6, 4, 5, 3)))
    with pytest.raises(AssertionError, match="PLAX"):
        clip(view="PLAX")


def test_importing_clips_readers_videos_and_phantoms_loads_no_heavy_library():
    modules = ["clip", "deidentify", "dicom", "readers", "video"]
    code = (
        "import sys\n"
        + "".join(f"import echo2ecg_core.echo.{module}\n" for module in modules)
        + "import echo2ecg_core.phantom.dicom\n"
        + "print([m for m in ('av', 'numba', 'scipy', 'torch', 'cv2', 'pydicom') if m in sys.modules])"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "[]\n"

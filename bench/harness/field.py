# SPDX-License-Identifier: MIT
"""The image that the readers and writers are measured with: a 2048x2048 u16 field with nuclei and photon noise, by the plate benchmark's generator.

Noise, not the scene, decides how well microscope images compress.
"""

import pathlib
import sys

import numpy as np

sys.path.insert(0, str(pathlib.Path(__file__).parent.parent / "plate" / "python"))
import make_plate

SIDE = 2048


def image(seed):
    rng = np.random.default_rng(seed)
    nuclei = make_plate.nuclei(rng, SIDE, SIDE, 380, 8.0, 14.0)
    field = make_plate.paint(SIDE, SIDE, nuclei, 1.0, 1.6, 1500.0) + np.float32(180)
    field *= make_plate.vignette(SIDE, SIDE, 1)
    noisy = rng.poisson(field) + 100 + 3 * rng.standard_normal((SIDE, SIDE))
    return np.clip(np.rint(noisy), 0, 65535).astype("<u2")

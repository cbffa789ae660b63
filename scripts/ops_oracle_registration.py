# SPDX-License-Identifier: MIT
"""Cases of make-ops-oracle.py for shifts between images, by skimage.registration, and for their correlation, by numpy."""

import numpy as np
import scipy.ndimage as ndi
from skimage.registration import phase_cross_correlation


def registration_cases(o, rng: np.random.Generator) -> None:
    scene = ndi.gaussian_filter(rng.normal(size=(260, 330)), 2).astype(np.float32) * 100
    for height, width in [(128, 128), (97, 201), (216, 35), (1, 64), (50, 1)]:
        reference = np.ascontiguousarray(scene[20 : 20 + height, 25 : 25 + width])
        for y, x in [(0, 0), (3, -5), (-2.3, 4.6), (0.5, 0.25)]:
            moving = ndi.shift(scene, (-y, -x), order=3)[20 : 20 + height, 25 : 25 + width]
            moving = np.ascontiguousarray(moving + rng.normal(size=moving.shape), dtype=np.float32)
            for normalization in ("phase", None):
                for upsample in (1, 10, 33):
                    shift, error, _ = phase_cross_correlation(
                        reference, moving, upsample_factor=upsample, normalization=normalization
                    )
                    o.case(
                        "phase_correlation",
                        reference=reference,
                        moving=moving,
                        phase=int(normalization == "phase"),
                        upsample=upsample,
                        y=float(shift[0]),
                        x=float(shift[1]),
                        error=float(error),
                    )
    for height, width in [(3, 5), (40, 16), (61, 77)]:
        a = rng.normal(size=(height, width)).astype(np.float32) * 30 + 7
        for mix in (0.0, 0.3, 1.0, -1.0):
            b = (mix * a + (1 - abs(mix)) * rng.normal(size=a.shape) * 30).astype(np.float32)
            o.case("correlation", a=a, b=b, r=float(np.corrcoef(a.ravel(), b.ravel())[0, 1]))
    for height, width in [(1, 1), (1, 6), (7, 1), (8, 8), (12, 15), (35, 49), (13, 34)]:
        image = rng.normal(size=(height, width)).astype(np.float32)
        spectrum = np.fft.rfft2(image)
        o.case("fft", input=image, real=spectrum.real.astype(np.float32), imaginary=spectrum.imag.astype(np.float32))

// SPDX-License-Identifier: MIT
// The shift between two images, to a fraction of a pixel.
//
// Phase correlation: Kuglin, Hines, Proc. IEEE Conf. Cybernetics and Society, 1975. Sub-pixel peak
// by an upsampled matrix-multiply DFT around the coarse one: Guizar-Sicairos, Thurman, Fienup,
// Optics Letters 33(2), 2008. Definitions as in skimage.registration.phase_cross_correlation.
#pragma once

#include <complex>
#include <cstdint>
#include <vector>

#include "image.h"

namespace tilecast {

// kPhase divides the cross-power spectrum by its magnitude: sharp peaks, every frequency counts the
// same. kNone is plain cross-correlation.
enum class CrossPower : uint8_t { kNone, kPhase };

// What must be added to places in the moving image to get those in the reference, px:
// reference(p) = moving(p - shift).
struct ImageShift {
  double y = 0, x = 0;
  // 1 - the squared normalised correlation at the peak, square root of it: 0 for equal images.
  double error = 1;
};

// Both images in Fourier space. Memory is kept for the next two.
class PhaseCorrelator {
 public:
  // Spectra of two float32 planes of one size, each multiplied by a taper of `ramp` px along its
  // edges (0: none; raised cosine, so that what wraps around meets smoothly). kOpDtype, kOpShape.
  void Load(const Plane& reference, const Plane& moving, int64_t ramp = 0);

  // Images of the moving one that have its spectrum of magnitudes, and nothing of it in its place:
  // what they reach with the reference is reached by chance. Mirrored through pixel 0, circularly.
  enum class Mirror : uint8_t { kNone, kBoth, kRows, kColumns };

  // The correlation [height, width] at every circular shift, valid until the next call.
  const std::vector<float>& Surface(CrossPower power, Mirror mirror = Mirror::kNone);

  // The shift nearest to (y, x), within 0.75 px, to 1 / upsample px; of Surface's last spectrum,
  // which has been one without mirror.
  ImageShift Refine(double y, double x, int upsample);

  int64_t height() const { return height_; }
  int64_t width() const { return width_; }
  // Energies of both, over the whole spectrum.
  double reference_energy() const { return reference_energy_; }
  double moving_energy() const { return moving_energy_; }

 private:
  using Spectrum = std::vector<std::complex<float>>;
  double Transform(const Plane& in, int64_t ramp, Spectrum& out);

  int64_t height_ = 0, width_ = 0;
  double reference_energy_ = 0, moving_energy_ = 0;
  Spectrum reference_, moving_, product_;
  std::vector<float> real_;  // a tapered image, then the surface
};

}  // namespace tilecast

// SPDX-License-Identifier: MIT
// Running sums of a workgroup's 256 counts and weighted counts (64 bits), in runs of 16: few
// barriers.
var<workgroup> pixels: array<u32, 256>;
var<workgroup> sums: array<vec2u, 256>;
var<workgroup> run_pixels: array<u32, 16>;
var<workgroup> run_sums: array<vec2u, 16>;

// Element t of both, the thread's own included, when it returns.
fn scan_levels(t: u32, own_pixels: u32, own_sum: vec2u) {
  pixels[t] = own_pixels;
  sums[t] = own_sum;
  workgroupBarrier();
  if (t < 16u) {
    for (var i = t * 16u + 1u; i < t * 16u + 16u; i++) {
      pixels[i] += pixels[i - 1u];
      sums[i] = wide_add(sums[i], sums[i - 1u]);
    }
    run_pixels[t] = pixels[t * 16u + 15u];
    run_sums[t] = sums[t * 16u + 15u];
  }
  workgroupBarrier();
  var before = 0u;
  var before_sum = vec2u(0u, 0u);
  for (var r = 0u; r < t / 16u; r++) {
    before += run_pixels[r];
    before_sum = wide_add(before_sum, run_sums[r]);
  }
  pixels[t] += before;
  sums[t] = wide_add(sums[t], before_sum);
  workgroupBarrier();
}

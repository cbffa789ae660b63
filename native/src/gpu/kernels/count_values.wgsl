// SPDX-License-Identifier: MIT
// Counts of every value of an 8- or 16-bit plane (ops/counts.h), signed ones moved up so that the
// least is 0.
//
// A workgroup counts 16384 words in its own memory: 8-bit values in 15 copies of 256 bins, 16-bit
// ones in the 3840 bins from the least value it sees (microscope images use a few thousand values
// a neighbourhood), and only what lies beyond in the global bins. It then adds its bins that are
// not 0. Bytes moved: the pixels, the second reading of 16-bit ones comes from the cache.
const kSmall = ${small};  // 8 bits a pixel
const kPer = select(2u, 4u, kSmall);
const kBits = select(16u, 8u, kSmall);
const kFlip = ${flip}u;   // the sign bit of signed pixels
const kWindow = 3840u;
const kSpan = 16384u;     // words a workgroup

var<workgroup> bins: array<atomic<u32>, 3840>;
var<workgroup> least: atomic<u32>;
var<workgroup> base_at: u32;

fn pixel_of(word: u32, k: u32) -> u32 { return extractBits(word, k * kBits, kBits) ^ kFlip; }

@compute @workgroup_size(256)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) t: u32) {
  let first = group.x * kSpan;
  let end = min(first + kSpan, params.words);
  if (t == 0u) { atomicStore(&least, 0xffffffffu); }
  workgroupBarrier();
  if (!kSmall) {
    var low = 0xffffffffu;
    for (var i = first + t; i < end; i += 256u) {
      let word = pixels[i];
      low = min(low, pixel_of(word, 0u));
      if (i * kPer + 1u < params.count) { low = min(low, pixel_of(word, 1u)); }
    }
    atomicMin(&least, low);
  }
  workgroupBarrier();
  if (t == 0u) { base_at = select(atomicLoad(&least), 0u, kSmall); }
  let base = workgroupUniformLoad(&base_at);
  let copy = select(0u, (t % 15u) * 256u, kSmall);
  for (var i = first + t; i < end; i += 256u) {
    let word = pixels[i];
    let there = min(params.count - i * kPer, kPer);
    var k = 0u;
    while (k < there) {
      let v = pixel_of(word, k);
      var times = 1u;
      k++;
      while (k < there && pixel_of(word, k) == v) {
        times++;
        k++;
      }
      if (v - base < kWindow) {
        atomicAdd(&bins[copy + v - base], times);
      } else {
        atomicAdd(&counts[v], times);
      }
    }
  }
  workgroupBarrier();
  if (kSmall) {
    var sum = 0u;
    for (var c = 0u; c < 15u; c++) { sum += atomicLoad(&bins[c * 256u + t]); }
    if (sum != 0u) { atomicAdd(&counts[t], sum); }
  } else {
    for (var i = t; i < kWindow; i += 256u) {
      let n = atomicLoad(&bins[i]);
      if (n != 0u) { atomicAdd(&counts[base + i], n); }
    }
  }
}

// SPDX-License-Identifier: MIT
// Of each 256 bins: the pixels, the sum of their bins' numbers, the fullest bin, the first and the
// last that is not empty. Eight words a block.
${soft64}
var<workgroup> pixels: array<u32, 256>;
var<workgroup> sums: array<vec2u, 256>;
var<workgroup> most: array<u32, 256>;
var<workgroup> most_at: array<u32, 256>;
var<workgroup> first: atomic<u32>;
var<workgroup> last: atomic<u32>;

@compute @workgroup_size(256)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) t: u32) {
  let i = group.x * 256u + t;
  let n = counts[i];
  pixels[t] = n;
  sums[t] = wide_product(n, i);
  most[t] = n;
  most_at[t] = i;
  if (t == 0u) {
    atomicStore(&first, 0xffffffffu);
    atomicStore(&last, 0u);
  }
  workgroupBarrier();
  if (n != 0u) {
    atomicMin(&first, i);
    atomicMax(&last, i);
  }
  for (var half = 128u; half > 0u; half >>= 1u) {
    if (t < half) {
      pixels[t] += pixels[t + half];
      sums[t] = wide_add(sums[t], sums[t + half]);
      let other = most[t + half];
      if (other > most[t] || (other == most[t] && most_at[t + half] < most_at[t])) {
        most[t] = other;
        most_at[t] = most_at[t + half];
      }
    }
    workgroupBarrier();
  }
  if (t == 0u) {
    let at = group.x * 8u;
    blocks[at] = pixels[0];
    blocks[at + 1u] = sums[0].x;
    blocks[at + 2u] = sums[0].y;
    blocks[at + 3u] = most[0];
    blocks[at + 4u] = most_at[0];
    blocks[at + 5u] = atomicLoad(&first);
    blocks[at + 6u] = atomicLoad(&last);
  }
}

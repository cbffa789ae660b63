// SPDX-License-Identifier: MIT
// Li's threshold of the counts of 8- and 16-bit values: LiOfCounts of ops/thresholds.cc. Its sums
// are exact integers; the iteration is one thread's, and what lies below a level is added up by the
// workgroup. The threshold as threshold_pick.wgsl puts it.
${include soft64}
${include scan_levels}
var<workgroup> level: u32;
var<workgroup> done: u32;

@compute @workgroup_size(256)
fn main(@builtin(local_invocation_index) t: u32) {
  let totals = params.blocks * 8u;
  let low = blocks[totals];
  let high = blocks[totals + 1u];
  let total = blocks[totals + 4u];
  // Relative to the least value.
  let sum = wide_sub(vec2u(blocks[totals + 5u], blocks[totals + 6u]), wide_product(total, low));
  var next = f64_div(f64_of_wide(sum), f64_of_u32(total));
  var previous = vec2u(0u, 0xbff00000u);  // -1
  if (t == 0u) {
    level = low + f64_floor(next);
    done = select(0u, 1u, low == high);
  }
  for (var round = 0u; round < 1000u; round++) {
    if (workgroupUniformLoad(&done) != 0u) { break; }
    let k = workgroupUniformLoad(&level);
    let b = k >> 8u;
    let i = b * 256u + t;
    let n = select(0u, counts[i], i <= k);
    scan_levels(t, n, wide_product(n, i));
    if (t == 0u) {
      let back_pixels = pixels[255] + blocks[b * 8u];
      var back_sum = wide_add(sums[255], vec2u(blocks[b * 8u + 1u], blocks[b * 8u + 2u]));
      back_sum = wide_sub(back_sum, wide_product(back_pixels, low));
      let fore_sum = wide_sub(sum, back_sum);
      previous = next;
      let back = f64_div(f64_of_wide(back_sum), f64_of_u32(back_pixels));
      if (f64_zero(back)) {
        done = 1u;
      } else {
        let fore = f64_div(f64_of_wide(fore_sum), f64_of_u32(total - back_pixels));
        next = f64_div(f64_sub(back, fore), f64_sub(f64_log(back), f64_log(fore)));
        level = low + f64_floor(next);
        let moved = f64_sub(next, previous);
        if (!f64_greater(vec2u(moved.x, moved.y & 0x7fffffffu), vec2u(0u, 0x3fe00000u))) {
          done = 1u;
        }
      }
    }
    workgroupBarrier();
  }
  if (t != 0u) { return; }
  if (low == high) { next = vec2u(0u, 0u); }
  let value = f64_add(next, f64_of_i32(i32(low) - i32(params.bias)));
  threshold[0] = f32_of_f64(value);
  threshold[1] = 1u - done;
  let size = vec2u(value.x, value.y & 0x7fffffffu);
  var whole = i32(f64_floor(size));
  if ((value.y & 0x80000000u) != 0u) {
    let exact = all(f64_of_i32(whole) == size);
    whole = -whole - select(1, 0, exact);
  }
  threshold[2] = bitcast<u32>(whole);
}

// SPDX-License-Identifier: MIT
// A separable filter in one pass: 16 rows of COLUMNS columns at a time, of which the outer ones are margin.
//
// Columns first, straight from memory: neighbours read neighbours, and each pixel is loaded once for four results of its column. The
// sums lie in workgroup memory, 16 rows of COLUMNS float32, from where each row is filtered. From uint16 2 + 4 bytes of memory a pixel;
// the rows and columns of margin, (16 + taps) / 16 and COLUMNS / (COLUMNS - taps) times as many reads, come from the caches.
const columns = ${COLUMNS};
var<workgroup> sums: array<f32, 16u * columns>;

fn reflected(i: i32, n: u32) -> u32 {
  if (i >= 0 && i < i32(n)) { return u32(i); }
  let period = 2 * i32(n);
  let k = ((i % period) + period) % period;
  return u32(min(k, period - 1 - k));
}

fn finished(sum: f32, i: u32) -> f32 { return ${FINISH}; }

@compute @workgroup_size(256)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) at: u32) {
  let left = group.x * params.wide;
  let top = group.y * 16u;
  for (var item = at; item < 4u * columns; item += 256u) {
    let column = item % columns;
    let strip = item / columns * 4u;
    let x = reflected(i32(left + column) - params.before_along, params.width);
    let y = i32(top + strip) - params.before_down;
    var a = 0.0;
    var b = 0.0;
    var c = 0.0;
    var d = 0.0;
    let taps = params.downs;
    for (var k = 0; k < taps + 3; k++) {
      let v = value_in0(reflected(y + k, params.height) * params.width + x);
      if (k >= 3 && k < taps) {
        a += down[k] * v;
        b += down[k - 1] * v;
        c += down[k - 2] * v;
        d += down[k - 3] * v;
      } else {
        // No tap meets a pixel that is not its own: NaN times 0 is NaN.
        if (k < taps) { a += down[k] * v; }
        if (k >= 1 && k < taps + 1) { b += down[k - 1] * v; }
        if (k >= 2 && k < taps + 2) { c += down[k - 2] * v; }
        if (k >= 3) { d += down[k - 3] * v; }
      }
    }
    sums[strip * columns + column] = a;
    sums[(strip + 1u) * columns + column] = b;
    sums[(strip + 2u) * columns + column] = c;
    sums[(strip + 3u) * columns + column] = d;
  }
  workgroupBarrier();
  let column = at % columns;
  let x = left + column;
  if (column >= params.wide || x >= params.width) { return; }
  for (var row = at / columns; row < 16u && top + row < params.height; row += 256u / columns) {
    var sum = 0.0;
    let first = row * columns + column;
    for (var k = 0; k < params.alongs; k++) { sum += along[k] * sums[first + u32(k)]; }
    let i = (top + row) * params.width + x;
    out[i] = finished(sum, i);
  }
}

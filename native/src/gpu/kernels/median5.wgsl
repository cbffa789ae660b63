// SPDX-License-Identifier: MIT
// The median of 5 x 5 pixels, as native/src/ops/kernels/median.inc: rows sorted, then columns of those, then a network of what may be
// the median. 25 reads a pixel, most from the first-level cache; some 110 exchanges bind it, not memory.
alias key_t = ${KEY_TYPE};
fn key_of(v: in0_t) -> key_t { let bits = bitcast<u32>(v); return ${KEY}; }
fn pixel_of(k: key_t) -> out_t { return ${PIXEL}; }

fn reflected(i: i32, n: u32) -> u32 {
  if (i >= 0 && i < i32(n)) { return u32(i); }
  let period = 2 * i32(n);
  let k = ((i % period) + period) % period;
  return u32(min(k, period - 1 - k));
}

struct Five { a: key_t, b: key_t, c: key_t, d: key_t, e: key_t }
fn exchange(a: ptr<function, key_t>, b: ptr<function, key_t>) {
  let low = min(*a, *b);
  *b = max(*a, *b);
  *a = low;
}

fn sorted(row: u32, x: array<u32, 5>) -> Five {
  let first = row * params.width;
  var a = key_of(load_in0(first + x[0]));
  var b = key_of(load_in0(first + x[1]));
  var c = key_of(load_in0(first + x[2]));
  var d = key_of(load_in0(first + x[3]));
  var e = key_of(load_in0(first + x[4]));
  exchange(&a, &d); exchange(&b, &e); exchange(&a, &c);
  exchange(&b, &d); exchange(&a, &b); exchange(&c, &e);
  exchange(&b, &c); exchange(&d, &e); exchange(&c, &d);
  return Five(a, b, c, d, e);
}

// The second to fifth rows' numbers of one rank, sorted; with the first row's, the i-th smallest of five.
fn sorted4(p: key_t, q: key_t, r: key_t, s: key_t) -> vec4<key_t> {
  var a = p; var b = q; var c = r; var d = s;
  exchange(&a, &c); exchange(&b, &d); exchange(&a, &b); exchange(&c, &d); exchange(&b, &c);
  return vec4<key_t>(a, b, c, d);
}
fn r0(k: vec4<key_t>, v: key_t) -> key_t { return min(k.x, v); }
fn r1(k: vec4<key_t>, v: key_t) -> key_t { return min(k.y, max(k.x, v)); }
fn r2(k: vec4<key_t>, v: key_t) -> key_t { return min(k.z, max(k.y, v)); }
fn r3(k: vec4<key_t>, v: key_t) -> key_t { return min(k.w, max(k.z, v)); }
fn r4(k: vec4<key_t>, v: key_t) -> key_t { return max(k.w, v); }

fn pixel(i: u32) -> out_t {
  let y = i32(i / params.width);
  let x = i32(i % params.width);
  var columns: array<u32, 5>;
  for (var k = 0; k < 5; k++) { columns[k] = reflected(x + k - 2, params.width); }
  let v = sorted(reflected(y - 2, params.height), columns);
  let p = sorted(reflected(y - 1, params.height), columns);
  let q = sorted(u32(y), columns);
  let r = sorted(reflected(y + 1, params.height), columns);
  let s = sorted(reflected(y + 2, params.height), columns);
  let k0 = sorted4(p.a, q.a, r.a, s.a);
  let k1 = sorted4(p.b, q.b, r.b, s.b);
  let k2 = sorted4(p.c, q.c, r.c, s.c);
  let k3 = sorted4(p.d, q.d, r.d, s.d);
  let k4 = sorted4(p.e, q.e, r.e, s.e);
  var a = max(max(r3(k0, v.a), r2(k1, v.b)), max(r1(k2, v.c), r0(k3, v.d)));
  var b = min(min(r4(k1, v.b), r3(k2, v.c)), min(r2(k3, v.d), r1(k4, v.e)));
  var c = r4(k0, v.a);
  var d = r3(k1, v.b);
  var e = r2(k2, v.c);
  var f = r1(k3, v.d);
  var g = r0(k4, v.e);
  exchange(&a, &f); exchange(&a, &d); exchange(&b, &g); exchange(&c, &e); exchange(&a, &b);
  exchange(&d, &f); exchange(&c, &g); exchange(&c, &d); exchange(&d, &g); exchange(&e, &f);
  exchange(&b, &e); exchange(&b, &d); exchange(&d, &e);
  return pixel_of(d);
}

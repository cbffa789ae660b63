// SPDX-License-Identifier: MIT
// Sum, least and greatest pixel of each object of one image, in exact integers of 64 bits: signed
// pixels moved up by their least value, float32 ones in fixed point, `bits` bits below the power of
// two that exceeds the plane's greatest magnitude. Tiles as in measure_shapes.wgsl. Bytes moved:
// 4 a pixel and the image's.
//
// A record: the sum (two words), 2^32 - 1 - key of the least, key of the greatest; keys order as
// the values do. status[1]: 1 where the CPU has to see the image (NaN, infinite or tiny values).
${include measure_table}
const kFloats = ${floats};
const kBias = ${bias}u;
${no_range}

var<workgroup> table: array<atomic<u32>, 4 * kSlots>;

fn key_of(i: u32) -> u32 {
  let v = load_image(i);
  if (kFloats) {
    let b = bitcast<u32>(v);
    return select(b | 0x80000000u, ~b, (b & 0x80000000u) != 0u);
  }
  return bitcast<u32>(v) + kBias;
}

// round(v 2^(bits - e)), |v| < 2^e, from the bits of v; in two's complement.
fn fixed(key: u32, e: i32) -> vec2u {
  let b = select(~key, key ^ 0x80000000u, (key & 0x80000000u) != 0u);
  let exponent = i32((b >> 23u) & 0xffu);
  if (exponent == 0) { return vec2u(0u, 0u); }
  let m = (b & 0x7fffffu) | 0x800000u;
  let shift = exponent - 150 + i32(params.bits) - e;
  var v = vec2u(0u, 0u);
  if (shift >= 32) {
    v = vec2u(0u, m << u32(shift - 32));
  } else if (shift > 0) {
    v = vec2u(m << u32(shift), m >> u32(32 - shift));
  } else if (shift == 0) {
    v.x = m;
  } else if (shift >= -24) {
    v.x = (m + (1u << u32(-shift - 1))) >> u32(-shift);
  }
  if ((b & 0x80000000u) != 0u) { v = wide_add(~v, vec2u(1u, 0u)); }
  return v;
}

fn add_to_record(label: u32, sum: vec2u, low: u32, high: u32) {
  if (!has_record(label)) { return; }
  let at = (label - 1u) * 4u;
  add_wide(at, sum);
  atomicMax(&records[at + 2u], low);
  atomicMax(&records[at + 3u], high);
}

fn add_run(label: u32, sum: vec2u, low: u32, high: u32) {
  let slot = slot_of(label);
  if (slot == kSlots) {
    add_to_record(label, sum, low, high);
    return;
  }
  let old = atomicAdd(&table[slot], sum.x);
  let more = sum.y + select(0u, 1u, old + sum.x < old);
  if (more != 0u) { atomicAdd(&table[kSlots + slot], more); }
  atomicMax(&table[2u * kSlots + slot], low);
  atomicMax(&table[3u * kSlots + slot], high);
}

@compute @workgroup_size(256)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) t: u32) {
  var e = 0i;
  if (kFloats) {
    let magnitude = range[3] >> 23u;
    e = i32(magnitude) - 126;
    let tiny = range[3] != 0u && magnitude < 64u;
    if (t == 0u && (range[2] != 0u || tiny)) { atomicOr(&status[1], 1u); }
  }
  let y = group.y * kTileHeight + (t >> 3u);
  let left = group.x * kTileWidth + (t & 7u) * 8u;
  var label = 0u;
  var sum = vec2u(0u, 0u);
  var low = 0u;
  var high = 0u;
  if (y < params.height) {
    for (var x = left; x < min(left + 8u, params.width); x++) {
      let i = y * params.width + x;
      let own = u32(max(labels[i], 0));
      if (own != label) {
        if (label != 0u) { add_run(label, sum, low, high); }
        label = own;
        sum = vec2u(0u, 0u);
        low = 0u;
        high = 0u;
      }
      if (own != 0u) {
        let key = key_of(i);
        if (kFloats) {
          sum = wide_add(sum, fixed(key, e));
        } else {
          sum = wide_add(sum, vec2u(key, 0u));
        }
        low = max(low, ~key);
        high = max(high, key);
      }
    }
    if (label != 0u) { add_run(label, sum, low, high); }
  }
  workgroupBarrier();
  if (t < kSlots) {
    let owner = atomicLoad(&owners[t]);
    if (owner != 0u) {
      add_to_record(owner,
                    vec2u(atomicLoad(&table[t]), atomicLoad(&table[kSlots + t])),
                    atomicLoad(&table[2u * kSlots + t]), atomicLoad(&table[3u * kSlots + t]));
    }
  }
}

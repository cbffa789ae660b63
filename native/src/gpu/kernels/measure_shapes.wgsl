// SPDX-License-Identifier: MIT
// Area, box, sums of coordinates and of their products, and the border pixels of each weight of the
// perimeter (ops/measure.h), exact integers. A workgroup takes a tile of 64 x 32 px of the labels,
// a thread 8 px of a row. Bytes moved: 4 a pixel (with perimeter 4.8), and per tile and object its
// record.
//
// A record: area, 2^32 - 1 - y0, 2^32 - 1 - x0, y1, x1, sums of y and x (two words each); with
// eccentricity those of yy, xx, xy; with perimeter the pixels that weigh 1, sqrt 2, (1 + sqrt 2) / 2.
// status[0]: the greatest label.
${include measure_table}
const kMoments = ${moments};
const kPerimeter = ${perimeter};
const kHalo = select(0u, 2u, kPerimeter);
const kRow = kTileWidth + 2u * kHalo;
const kRows = kTileHeight + 2u * kHalo;
const kStride = 9u + select(0u, 6u, kMoments) + select(0u, 3u, kPerimeter);
const kPerimeterAt = 9u + select(0u, 6u, kMoments);
const kBorder = 0x80000000u;

struct Sums {  // about the tile's first pixel
  pixels: u32, y0: u32, y1: u32, x0: u32, x1: u32,  // y1, x1: behind the last
  y: u32, x: u32, yy: u32, xx: u32, xy: u32,
  one: u32, root: u32, half: u32,  // border pixels by weight
}

var<workgroup> tile: array<u32, kRow * kRows>;
var<workgroup> table: array<atomic<u32>, 13 * kSlots>;
var<workgroup> greatest: atomic<u32>;

fn add_to_record(label: u32, s: Sums, top: u32, left: u32) {
  if (!has_record(label)) { return; }
  let at = (label - 1u) * kStride;
  atomicAdd(&records[at], s.pixels);
  atomicMax(&records[at + 1u], ~(top + s.y0));
  atomicMax(&records[at + 2u], ~(left + s.x0));
  atomicMax(&records[at + 3u], top + s.y1);
  atomicMax(&records[at + 4u], left + s.x1);
  let n = s.pixels;
  add_wide(at + 5u, wide_add(vec2u(s.y, 0u), wide_product(n, top)));
  add_wide(at + 7u, wide_add(vec2u(s.x, 0u), wide_product(n, left)));
  if (kMoments) {
    add_wide(at + 9u, wide_add(wide_add(vec2u(s.yy, 0u), wide_product(2u * s.y, top)),
                               wide_product(n, top * top)));
    add_wide(at + 11u, wide_add(wide_add(vec2u(s.xx, 0u), wide_product(2u * s.x, left)),
                                wide_product(n, left * left)));
    add_wide(at + 13u, wide_add(wide_add(vec2u(s.xy, 0u), wide_product(s.x, top)),
                                wide_add(wide_product(s.y, left), wide_product(n, top * left))));
  }
  if (kPerimeter) {
    atomicAdd(&records[at + kPerimeterAt], s.one);
    atomicAdd(&records[at + kPerimeterAt + 1u], s.root);
    atomicAdd(&records[at + kPerimeterAt + 2u], s.half);
  }
}

fn add_run(label: u32, s: Sums, top: u32, left: u32) {
  let slot = slot_of(label);
  if (slot == kSlots) {
    add_to_record(label, s, top, left);
    return;
  }
  atomicAdd(&table[slot], s.pixels);
  atomicMax(&table[kSlots + slot], ~s.y0);
  atomicMax(&table[2u * kSlots + slot], ~s.x0);
  atomicMax(&table[3u * kSlots + slot], s.y1);
  atomicMax(&table[4u * kSlots + slot], s.x1);
  atomicAdd(&table[5u * kSlots + slot], s.y);
  atomicAdd(&table[6u * kSlots + slot], s.x);
  if (kMoments) {
    atomicAdd(&table[7u * kSlots + slot], s.yy);
    atomicAdd(&table[8u * kSlots + slot], s.xx);
    atomicAdd(&table[9u * kSlots + slot], s.xy);
  }
  if (kPerimeter) {
    if (s.one != 0u) { atomicAdd(&table[10u * kSlots + slot], s.one); }
    if (s.root != 0u) { atomicAdd(&table[11u * kSlots + slot], s.root); }
    if (s.half != 0u) { atomicAdd(&table[12u * kSlots + slot], s.half); }
  }
}

fn is_border(i: u32) -> bool {
  let label = tile[i];
  return label != 0u && (tile[i - 1u] != label || tile[i + 1u] != label ||
                         tile[i - kRow] != label || tile[i + kRow] != label);
}

fn same(i: u32, label: u32) -> u32 { return select(0u, 1u, tile[i] == label); }

// 1, 2, 3 by weight, 0 for none.
fn weight_of(i: u32) -> u32 {
  let own = tile[i];
  if ((own & kBorder) == 0u) { return 0u; }
  let edges = same(i - 1u, own) + same(i + 1u, own) + same(i - kRow, own) + same(i + kRow, own);
  let corners = same(i - kRow - 1u, own) + same(i - kRow + 1u, own) + same(i + kRow - 1u, own) +
                same(i + kRow + 1u, own);
  if ((edges == 2u || edges == 3u) && corners <= 2u) { return 1u; }
  if ((edges == 0u && corners == 2u) || (edges == 1u && corners == 3u)) { return 2u; }
  if (edges == 1u && (corners == 1u || corners == 2u)) { return 3u; }
  return 0u;
}

@compute @workgroup_size(256)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) t: u32) {
  let top = group.y * kTileHeight;
  let left = group.x * kTileWidth;
  for (var i = t; i < kRow * kRows; i += 256u) {
    let y = i32(top + i / kRow) - i32(kHalo);
    let x = i32(left + i % kRow) - i32(kHalo);
    var label = 0i;
    if (y >= 0 && x >= 0 && y < i32(params.height) && x < i32(params.width)) {
      label = labels[u32(y) * params.width + u32(x)];
    }
    tile[i] = u32(max(label, 0));
  }
  workgroupBarrier();
  if (kPerimeter) {
    // All but the outermost pixels of the tile; marked once everyone has looked.
    var marks = 0u;
    var k = 0u;
    for (var i = t; i < (kRow - 2u) * (kRows - 2u); i += 256u) {
      let at = (i / (kRow - 2u) + 1u) * kRow + i % (kRow - 2u) + 1u;
      if (is_border(at)) { marks |= 1u << k; }
      k++;
    }
    workgroupBarrier();
    k = 0u;
    for (var i = t; i < (kRow - 2u) * (kRows - 2u); i += 256u) {
      let at = (i / (kRow - 2u) + 1u) * kRow + i % (kRow - 2u) + 1u;
      if (((marks >> k) & 1u) != 0u) { tile[at] |= kBorder; }
      k++;
    }
    workgroupBarrier();
  }
  let y = t >> 3u;
  var label = 0u;
  var s = Sums();
  for (var x = (t & 7u) * 8u; x < (t & 7u) * 8u + 8u; x++) {
    let i = (y + kHalo) * kRow + x + kHalo;
    let own = tile[i] & ~kBorder;
    if (own != label) {
      if (label != 0u) { add_run(label, s, top, left); }
      label = own;
      s = Sums();
      s.y0 = y;
      s.y1 = y + 1u;
      s.x0 = x;
      atomicMax(&greatest, own);
    }
    s.pixels++;
    s.x1 = x + 1u;
    s.y += y;
    s.x += x;
    s.yy += y * y;
    s.xx += x * x;
    s.xy += x * y;
    if (kPerimeter) {
      let weight = weight_of(i);
      s.one += select(0u, 1u, weight == 1u);
      s.root += select(0u, 1u, weight == 2u);
      s.half += select(0u, 1u, weight == 3u);
    }
  }
  if (label != 0u) { add_run(label, s, top, left); }
  workgroupBarrier();
  if (t < kSlots) {
    let owner = atomicLoad(&owners[t]);
    if (owner != 0u) {
      s.pixels = atomicLoad(&table[t]);
      s.y0 = ~atomicLoad(&table[kSlots + t]);
      s.x0 = ~atomicLoad(&table[2u * kSlots + t]);
      s.y1 = atomicLoad(&table[3u * kSlots + t]);
      s.x1 = atomicLoad(&table[4u * kSlots + t]);
      s.y = atomicLoad(&table[5u * kSlots + t]);
      s.x = atomicLoad(&table[6u * kSlots + t]);
      s.yy = atomicLoad(&table[7u * kSlots + t]);
      s.xx = atomicLoad(&table[8u * kSlots + t]);
      s.xy = atomicLoad(&table[9u * kSlots + t]);
      s.one = atomicLoad(&table[10u * kSlots + t]);
      s.root = atomicLoad(&table[11u * kSlots + t]);
      s.half = atomicLoad(&table[12u * kSlots + t]);
      add_to_record(owner, s, top, left);
    }
  }
  if (t == 0u) {
    let most = atomicLoad(&greatest);
    if (most != 0u) { atomicMax(&status[0], most); }
  }
}

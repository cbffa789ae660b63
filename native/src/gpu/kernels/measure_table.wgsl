// SPDX-License-Identifier: MIT
// Sums by object: in a small table of the workgroup first, since a tile holds few objects; what
// finds no place there, and the tables at the end, go to the objects' records.
const kSlots = 64u;
const kTileWidth = 64u;
const kTileHeight = 32u;

var<workgroup> owners: array<atomic<u32>, 64>;

// The object's place in the table, or kSlots.
fn slot_of(label: u32) -> u32 {
  var slot = (label * 2654435761u) >> 26u;
  var tried = 0u;
  while (tried < kSlots) {
    let found = atomicCompareExchangeWeak(&owners[slot], 0u, label);
    if (found.exchanged || found.old_value == label) { return slot; }
    if (found.old_value != 0u) {  // else it failed for no reason
      slot = (slot + 1u) % kSlots;
      tried++;
    }
  }
  return kSlots;
}

fn wide_add(a: vec2u, b: vec2u) -> vec2u {
  let low = a.x + b.x;
  return vec2u(low, a.y + b.y + select(0u, 1u, low < a.x));
}

fn wide_product(a: u32, b: u32) -> vec2u {
  let al = a & 0xffffu; let ah = a >> 16u;
  let bl = b & 0xffffu; let bh = b >> 16u;
  let low = al * bl;
  let one = ah * bl + (low >> 16u);
  let two = al * bh + (one & 0xffffu);
  return vec2u((two << 16u) | (low & 0xffffu), ah * bh + (one >> 16u) + (two >> 16u));
}

// False for labels that the records have no room for; the status says how many there are.
fn has_record(label: u32) -> bool { return label <= params.capacity; }

fn add_wide(at: u32, v: vec2u) {
  var high = v.y;
  if (v.x != 0u) {
    let old = atomicAdd(&records[at], v.x);
    high += select(0u, 1u, old + v.x < old);
  }
  if (high != 0u) { atomicAdd(&records[at + 1u], high); }
}

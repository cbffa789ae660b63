// SPDX-License-Identifier: MIT
// Sums by object: in a small table of the workgroup first, since a tile holds few objects; what
// finds no place there, and the tables at the end, go to the objects' records.
${include wide}
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

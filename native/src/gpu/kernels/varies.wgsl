// SPDX-License-Identifier: MIT
// Whether a pixel differs from the first one.
fn item(i: u32) {
  if (load_in(i) != load_in(0u) && atomicLoad(&varies[0]) == 0u) { atomicStore(&varies[0], 1u); }
}

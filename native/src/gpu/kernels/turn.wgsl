// SPDX-License-Identifier: MIT
// Quarter turns, flips and transposition: each pixel written in order, read from where it was. Where rows become columns, neighbours read
// down a column; what a read brings besides its pixel waits in the cache for the next rows' threads.
fn pixel(i: u32) -> out_t {
  let y = i / params.out_width;
  let x = i % params.out_width;
  return load_in0(${SOURCE});
}

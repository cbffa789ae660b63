// SPDX-License-Identifier: MIT
// Gives the user a file that the page has made.

export function save(blob: Blob, name: string): void {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(blob);
  link.download = name;
  link.click();
  // The browser has read the address when the click returns; a while is for those that ask first.
  setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
}

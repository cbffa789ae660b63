// SPDX-License-Identifier: MIT
// Vulkan on the CPU: tells the loader where SwiftShader is, so that GPU tests run on any machine.

import { existsSync } from "node:fs";

/** Where distributions put SwiftShader's manifest: Debian's and Ubuntu's chromium, Fedora's, Chrome's own. */
const manifests = [
  "/usr/lib/chromium/vk_swiftshader_icd.json",
  "/usr/lib/chromium-browser/vk_swiftshader_icd.json",
  "/usr/lib64/chromium-browser/vk_swiftshader_icd.json",
  "/opt/google/chrome/vk_swiftshader_icd.json",
];

/**
 * Makes this process's Vulkan loader use SwiftShader, before the first Vulkan call, unless VK_ICD_FILENAMES already says what to use.
 * Returns the manifest in force.
 */
export function useSwiftShader(): string {
  const chosen = process.env.VK_ICD_FILENAMES ?? manifests.find((path) => existsSync(path));
  if (chosen === undefined) {
    throw new Error(
      `GPU tests need SwiftShader, which comes with chromium (apt install chromium); none of ${manifests.join(", ")} is there. ` +
        "VK_ICD_FILENAMES may name another Vulkan driver's manifest.",
    );
  }
  process.env.VK_ICD_FILENAMES = chosen;
  return chosen;
}

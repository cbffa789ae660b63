// SPDX-License-Identifier: MIT
// Whether this machine looks as if it had a GPU, from files alone: Dawn's library is loaded where there is hope.

import { readdirSync } from "node:fs";
import { homedir } from "node:os";
import { join } from "node:path";

export interface GpuSearch {
  readonly likely: boolean;
  /** Manifests of Vulkan drivers. */
  readonly drivers: readonly string[];
  /** Devices that such a driver may have. */
  readonly devices: readonly string[];
  /** Why it is not likely; empty else. */
  readonly reason: string;
  /** What to do about it. */
  readonly advice: readonly string[];
}

interface Place {
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly platform: NodeJS.Platform;
  readonly home: string;
  readonly list: (folder: string) => readonly string[];
}

function listFolder(folder: string): readonly string[] {
  try {
    return readdirSync(folder);
  } catch {
    return []; // not there
  }
}

const here: Place = { env: process.env, platform: process.platform, home: homedir(), list: listFolder };

/** Where the Vulkan loader looks for manifests (Khronos, LoaderDriverInterface, "Driver Discovery on Linux"). */
function manifestFolders({ env, home }: Place): string[] {
  const paths = (value: string | undefined, fallback: string) => (value || fallback).split(":");
  return [
    ...paths(env.XDG_CONFIG_HOME, join(home, ".config")),
    ...paths(env.XDG_CONFIG_DIRS, "/etc/xdg"),
    "/etc",
    ...paths(env.XDG_DATA_HOME, join(home, ".local/share")),
    ...paths(env.XDG_DATA_DIRS, "/usr/local/share:/usr/share"),
  ].map((folder) => join(folder, "vulkan", "icd.d"));
}

/** Looks for drivers and devices; loads nothing. `place` is for tests. */
export function searchGpu(place: Place = here): GpuSearch {
  const { env, platform, list } = place;
  if (platform !== "linux") {
    // Metal and Direct3D are part of the system.
    const likely = platform === "darwin" || platform === "win32";
    return {
      likely,
      drivers: [],
      devices: [],
      reason: likely ? "" : `there is no GPU engine on ${platform}`,
      advice: [],
    };
  }
  const named = env.VK_DRIVER_FILES || env.VK_ICD_FILENAMES;
  const folders = manifestFolders(place);
  const drivers = named
    ? named.split(":")
    : [
        ...(env.VK_ADD_DRIVER_FILES?.split(":") ?? []),
        ...folders.flatMap((folder) =>
          list(folder)
            .filter((file) => file.endsWith(".json"))
            .map((file) => join(folder, file)),
        ),
      ];
  const devices = [
    ...list("/dev/dri")
      .filter((file) => file.startsWith("renderD"))
      .map((file) => `/dev/dri/${file}`),
    ...list("/dev")
      .filter((file) => /^(nvidia\d+|dxg)$/.test(file))
      .map((file) => `/dev/${file}`),
  ];
  if (drivers.length === 0) {
    return {
      likely: false,
      drivers,
      devices,
      reason: `no Vulkan driver is installed (no manifest in ${folders.join(", ")})`,
      advice: [
        "NVIDIA: install the driver with its Vulkan part (Debian: nvidia-vulkan-icd; containers: NVIDIA_DRIVER_CAPABILITIES=all)",
        "AMD, Intel: apt-get install mesa-vulkan-drivers",
      ],
    };
  }
  // Distributions install Vulkan drivers on machines without a GPU. Who names one means it.
  const likely = named !== undefined || devices.length > 0;
  return {
    likely,
    drivers,
    devices,
    reason: likely ? "" : "there is no GPU (neither /dev/dri/renderD* nor /dev/nvidia*)",
    advice: likely
      ? []
      : ["container: pass the device, for example docker run --gpus all or --device /dev/dri"],
  };
}

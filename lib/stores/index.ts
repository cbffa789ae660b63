// SPDX-License-Identifier: MIT
// The public face of `tilecast/stores`.

export { DiskStore, type DiskStoreOptions } from "./disk.js";
export { HttpStore, type HttpStoreOptions, type HttpStoreStats } from "./http.js";
export type { HttpClientOptions } from "./http-client.js";
export { MemoryStore, type MemoryStoreOptions, type MemoryStoreStats } from "./memory.js";
export {
  type OmeTiffImage,
  type OmeTiffOptions,
  type OmeTiffPlane,
  type OmeTiffReport,
  writeOmeTiff,
} from "./ome-tiff.js";
export type { DimensionOrder, OmeTiffChannel } from "./ome-tiff-xml.js";
export type { ChannelDisplay } from "./ome-zarr.js";
export type {
  BatchItem,
  BatchOptions,
  ByteRange,
  FileRanges,
  ImageLevel,
  ImageRegion,
  ReadImageOptions,
  Store,
  StoredImage,
  StoreOptions,
  StoreValue,
} from "./store.js";
export {
  type ReadTiffRegionOptions,
  readTiffRegion,
  type TiffLevel,
  type TiffRegion,
  tiffLevels,
} from "./tiff-region.js";
export { VirtualStore, type VirtualStoreOptions } from "./virtual.js";
export { type CreateImageOptions, ZarrStore, type ZarrStoreOptions } from "./zarr-store.js";
export { ZarrView } from "./zarr-view.js";

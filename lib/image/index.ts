// SPDX-License-Identifier: MIT
// The public face of `tilecast/image`.

export { type ApposeNDArray, apposeNDArray } from "./appose.js";
export { type DType, dtypeSize, dtypes, type TypedArray, typedView } from "./dtype.js";
export { type Shape, shapeBytes, shapePixels } from "./shape.js";
export { Tile, type TileComponents } from "./tile.js";
export {
  type ChannelComponents,
  type ChannelWaitOptions,
  channelComponents,
  type ReceivedTile,
  type ReceiveOptions,
  TileChannel,
  type TileChannelOptions,
  type TileMessage,
} from "./tile-channel.js";
export {
  type ExportOptions,
  type LoanOptions,
  type SlotExport,
  type TileDescriptor,
  TilePool,
  type TilePoolOpenOptions,
  type TilePoolOptions,
  type TilePoolStats,
} from "./tile-pool.js";

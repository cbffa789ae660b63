// SPDX-License-Identifier: MIT
// Runs recipes of the GPU engine through the npm package `webgpu`: the same WGSL, another caller of Dawn.

import { create, globals } from "webgpu";
import type { NativeGpuRecipe } from "../../lib/native-gpu.js";
import { useSwiftShader } from "../helpers/swiftshader.js";

Object.assign(globalThis, globals);

/** A device on SwiftShader or a real GPU, and what runs recipes on it. */
export class WebGpuRunner {
  readonly #pipelines = new Map<string, GPUComputePipeline>();

  private constructor(
    // The object that keeps the process alive while it is referenced.
    public gpu: GPU | null,
    readonly device: GPUDevice,
    readonly adapter: string,
  ) {}

  static async open(): Promise<WebGpuRunner> {
    useSwiftShader();
    const gpu = create(["backend=vulkan"]);
    const adapter = await gpu.requestAdapter();
    if (adapter === null) throw new Error("the package webgpu finds no Vulkan adapter");
    const { maxStorageBufferBindingSize, maxBufferSize, maxStorageBuffersPerShaderStage } = adapter.limits;
    const device = await adapter.requestDevice({
      requiredLimits: { maxStorageBufferBindingSize, maxBufferSize, maxStorageBuffersPerShaderStage },
    });
    return new WebGpuRunner(gpu, device, adapter.info.device || adapter.info.description);
  }

  close(): void {
    this.device.destroy();
    this.gpu = null;
  }

  /** Bytes of the outputs and results, in the order of the recipe's buffers. A kernel that is refused throws with its compiler's message. */
  async run(
    recipe: NativeGpuRecipe,
    inputs: readonly Uint8Array[],
  ): Promise<{ outputs: Uint8Array[]; results: Uint8Array[]; doubt: boolean }> {
    const { device } = this;
    const queue = [...inputs];
    const storage = GPUBufferUsage.STORAGE | GPUBufferUsage.COPY_SRC | GPUBufferUsage.COPY_DST;
    const buffers = recipe.buffers.map(({ kind, bytes, data }) => {
      const buffer = device.createBuffer({ size: bytes, usage: storage });
      const from = kind === "input" ? queue.shift() : data === undefined ? undefined : new Uint8Array(data);
      if (kind === "input" && from === undefined)
        throw new Error("the recipe has more inputs than were given");
      if (from !== undefined) {
        const words = new Uint8Array(bytes);
        words.set(from);
        device.queue.writeBuffer(buffer, 0, words);
      }
      return buffer;
    });
    if (queue.length > 0) throw new Error("more inputs were given than the recipe has");
    device.pushErrorScope("validation");
    const encoder = device.createCommandEncoder();
    for (const pass of recipe.passes) {
      const pipeline = this.#pipeline(pass.wgsl, pass.entry);
      const entries = pass.buffers.map((buffer, binding) => ({
        binding,
        resource: { buffer: buffers[buffer] as GPUBuffer },
      }));
      if (pass.uniforms.length > 0) {
        const uniforms = device.createBuffer({
          size: Math.ceil(pass.uniforms.byteLength / 16) * 16,
          usage: GPUBufferUsage.UNIFORM | GPUBufferUsage.COPY_DST,
        });
        device.queue.writeBuffer(uniforms, 0, pass.uniforms);
        entries.push({ binding: entries.length, resource: { buffer: uniforms } });
      }
      const work = encoder.beginComputePass();
      work.setPipeline(pipeline);
      work.setBindGroup(0, device.createBindGroup({ layout: pipeline.getBindGroupLayout(0), entries }));
      const [x, y, z] = pass.workgroups;
      work.dispatchWorkgroups(x, y, z);
      work.end();
    }
    const read = (wanted: string) =>
      recipe.buffers.flatMap(({ kind, bytes }, i) => {
        if (kind !== wanted) return [];
        const to = device.createBuffer({
          size: bytes,
          usage: GPUBufferUsage.MAP_READ | GPUBufferUsage.COPY_DST,
        });
        encoder.copyBufferToBuffer(buffers[i] as GPUBuffer, 0, to, 0, bytes);
        return [to];
      });
    const outputs = read("output");
    const results = read("result");
    device.queue.submit([encoder.finish()]);
    const problem = await device.popErrorScope();
    if (problem !== null) throw new Error(problem.message);
    const take = async (buffer: GPUBuffer) => {
      await buffer.mapAsync(GPUMapMode.READ);
      const bytes = new Uint8Array(buffer.getMappedRange()).slice();
      buffer.destroy();
      return bytes;
    };
    const taken = {
      outputs: await Promise.all(outputs.map(take)),
      results: await Promise.all(results.map(take)),
    };
    for (const buffer of buffers) buffer.destroy();
    const order = recipe.buffers.flatMap(({ kind }, i) => (kind === "result" ? [i] : []));
    const doubt = taken.results[order.indexOf(recipe.doubt)]?.some((byte) => byte !== 0) ?? false;
    return { ...taken, doubt };
  }

  #pipeline(code: string, entryPoint: string): GPUComputePipeline {
    const key = `${entryPoint}\n${code}`;
    let pipeline = this.#pipelines.get(key);
    if (pipeline === undefined) {
      const module = this.device.createShaderModule({ code });
      pipeline = this.device.createComputePipeline({ layout: "auto", compute: { module, entryPoint } });
      this.#pipelines.set(key, pipeline);
    }
    return pipeline;
  }
}

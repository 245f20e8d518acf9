/** @file Types of the build of ONNX Runtime that package.json names for this platform. */
declare module '#onnxruntime-wasm' {
  export * from 'onnxruntime-web'
}

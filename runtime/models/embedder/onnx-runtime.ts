/** The door to onnxruntime-node: an optional package, because it takes 290 MB and only models in ONNX need it. */
import { importOptional, NotInstalled } from '../../../schemas/optional-package.js';
import { FreshetError } from '../../process/errors.js';

export type OnnxRuntime = typeof import('onnxruntime-node');

/** Throws 'settings' if the package is not installed. */
export async function loadRuntime(): Promise<OnnxRuntime> {
  try {
    return await importOptional('onnxruntime-node', () => import('onnxruntime-node'));
  } catch (error) {
    if (!(error instanceof NotInstalled)) throw error;
    throw new FreshetError('settings', `The model cannot be run: ${error.message}`, { cause: error });
  }
}

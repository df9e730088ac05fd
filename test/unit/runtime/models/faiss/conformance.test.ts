/** Both engines keep the same contract. */
import { vectorIndexConformance } from './conformance.js';
import { ENGINES, withoutNative } from './native.js';

for (const engine of ENGINES) vectorIndexConformance(engine);
if (withoutNative) console.log(`The native engine is not tested: ${withoutNative}`);

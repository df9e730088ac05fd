/** The example's own test, as it stands in examples/. */
import '../../examples/own-feature/last-category.test.js';

/** The example's own test, unchanged from examples/. */
import '../../examples/own-feature/last-category.test.js';

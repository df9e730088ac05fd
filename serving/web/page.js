/** The page's elements by id, and the few functions that all its parts share. */
import { splitId } from './format.js';

/** Throws if index.html and the scripts disagree, so that it is noticed at once. */
export function byId(id) {
  const element = document.getElementById(id);
  if (element === null) throw new Error(`index.html has no #${id}`);
  return element;
}

/** Writes text only if it differs: screen readers and selections are not disturbed needlessly. */
export function setText(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

export function element(name, className, ...children) {
  const made = document.createElement(name);
  if (className) made.className = className;
  made.append(...children);
  return made;
}

/** A product as people name it: its title, or its id in three pieces where the catalogue does not have it. */
export function namesOf({ product_id, category, product }) {
  if (product?.title) return [product.title];
  const [head, middle, tail] = splitId(product_id, category ?? product_id.split('-', 1)[0]);
  return [element('span', 'faint', head), middle, element('span', 'faint', tail)];
}

const calm = matchMedia('(prefers-reduced-motion: reduce)');

/** Animates elements from their old position to the one that `change` gives them. */
export function glide(elements, change) {
  const before = calm.matches ? null : new Map(elements.map((one) => [one, one.getBoundingClientRect().top]));
  change();
  if (before === null) return;
  for (const [one, top] of before) {
    if (!one.isConnected) continue;
    const by = top - one.getBoundingClientRect().top;
    if (Math.abs(by) < 1) continue;
    one.animate([{ transform: `translateY(${by}px)` }, { transform: 'none' }], {
      duration: 550,
      easing: 'cubic-bezier(.2, .7, .2, 1)',
    });
  }
}

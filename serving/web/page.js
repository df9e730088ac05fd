/** The page's elements by id, and the few things all its parts do with them. */

/** Throws where index.html and the scripts disagree, so that it shows at once. */
export function byId(id) {
  const element = document.getElementById(id);
  if (element === null) throw new Error(`index.html has no #${id}`);
  return element;
}

/** Writes text only where it differs: screen readers and selections are not disturbed for nothing. */
export function setText(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

export function element(name, className, ...children) {
  const made = document.createElement(name);
  if (className) made.className = className;
  made.append(...children);
  return made;
}

const calm = matchMedia('(prefers-reduced-motion: reduce)');

/** Lets elements glide from where they were to where `change` has put them. */
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

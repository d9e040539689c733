/** Elements that can have the focus. */
const FOCUSABLE =
  'a[href], button:not(:disabled), input:not(:disabled), select:not(:disabled), textarea:not(:disabled), summary, [tabindex="0"]'

/** The search for the next element ends at these. */
const BOUNDARY = 'section, article, main, dialog'

interface Place {
  readonly element: Element
  /** Its index among its siblings. */
  readonly index: number
}

/**
 * Moves the focus to the next element if the focused one is removed: with an entry of a list, a key or a draft. Without this,
 * keyboard users would start again at the top of the page.
 */
export function keepFocus(root: Element): void {
  let path: readonly Place[] = []
  let hash = location.hash
  document.addEventListener('focusin', ({ target }) => {
    path = target instanceof Element ? pathOf(target) : []
    hash = location.hash
  })
  new MutationObserver(() => {
    const [lost] = path
    if (lost === undefined || lost.element.isConnected) return
    const { activeElement } = document
    if (activeElement !== null && activeElement !== document.body) return
    const next = location.hash === hash ? nextOf(path) : undefined
    const found = next ?? document.querySelector<HTMLElement>('main h1')
    path = []
    found?.focus({ preventScroll: found !== next })
  }).observe(root, { childList: true, subtree: true })
}

/** An element and its ancestors, from the inside out. */
function pathOf(target: Element): Place[] {
  const path: Place[] = []
  for (let element: Element | null = target; element !== null; element = element.parentElement)
    path.push({ element, index: [...(element.parentElement?.children ?? [])].indexOf(element) })
  return path
}

function nextOf(path: readonly Place[]): HTMLElement | undefined {
  const kept = path.findIndex(({ element }) => element.isConnected)
  for (const [level, { element }] of path.entries()) {
    if (level < kept) continue
    // After a removed button, the first element of its group. After a removed item, the item at the same index.
    const from = level === 1 ? 0 : (path[level - 1]?.index ?? 0) + (level === kept ? 0 : 1)
    const children = [...element.children]
    const after = children.slice(from).flatMap(focusableIn)[0]
    const found = after ?? children.slice(0, from).flatMap(focusableIn).at(-1)
    if (found !== undefined || element.matches(BOUNDARY)) return found
  }
  return undefined
}

function focusableIn(element: Element): HTMLElement[] {
  const found = [...element.querySelectorAll<HTMLElement>(FOCUSABLE)]
  const all = element instanceof HTMLElement && element.matches(FOCUSABLE) ? [element, ...found] : found
  return all.filter((one) => one.checkVisibility())
}

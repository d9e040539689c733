import type { FrameStore, StoredFrame } from './frame-store.ts'

const PAGE = 256

/** Yields all frames of a store after a place, oldest first. They are read in batches. */
export async function* framesOf(
  store: Pick<FrameStore, 'read'>,
  after?: string,
): AsyncGenerator<StoredFrame, void, undefined> {
  let place = after
  for (;;) {
    const page = await store.read(place, PAGE)
    yield* page
    place = page.at(-1)?.place
    if (page.length < PAGE) return
  }
}

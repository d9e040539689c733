import type { FrameStore, StoredFrame } from './frame-store.ts'

const PAGE = 256

/** All frames of a store behind a place, the oldest first, some at a time. */
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

/** The only page that the package contains. */
const CONTAINED = 'docs/codes.md'

/** Where a page of the documentation can be read: in the package, or else in its repository. */
export function pageText(page: string): string {
  return page.startsWith(CONTAINED) ? `portcullis/${page}` : `${page} in the Portcullis repository`
}

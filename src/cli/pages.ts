/** The only page that is part of the package. */
const CONTAINED = 'docs/codes.md'

/** Where to read a page of the documentation: in the package, otherwise in the repository. */
export function pageText(page: string): string {
  return page.startsWith(CONTAINED) ? `portcullis/${page}` : `${page} in the Portcullis repository`
}

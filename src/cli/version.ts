/** The version of the package. A test holds it to package.json, which a bundle does not have at hand. */
export const VERSION = '0.1.0'

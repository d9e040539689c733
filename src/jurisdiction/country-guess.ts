import { didYouMean } from '../did-you-mean.ts'
import { COUNTRIES } from './countries.ts'

/** ISO 3166-1 alpha-3, in the order of {@link COUNTRIES}. */
const ALPHA_3 =
  'AND ARE AFG ATG AIA ALB ARM AGO ATA ARG ASM AUT AUS ABW ALA AZE BIH BRB BGD BEL BFA BGR BHR BDI BEN BLM BMU ' +
  'BRN BOL BES BRA BHS BTN BVT BWA BLR BLZ CAN CCK COD CAF COG CHE CIV COK CHL CMR CHN COL CRI CUB CPV CUW CXR ' +
  'CYP CZE DEU DJI DNK DMA DOM DZA ECU EST EGY ESH ERI ESP ETH FIN FJI FLK FSM FRO FRA GAB GBR GRD GEO GUF GGY ' +
  'GHA GIB GRL GMB GIN GLP GNQ GRC SGS GTM GUM GNB GUY HKG HMD HND HRV HTI HUN IDN IRL ISR IMN IND IOT IRQ IRN ' +
  'ISL ITA JEY JAM JOR JPN KEN KGZ KHM KIR COM KNA PRK KOR KWT CYM KAZ LAO LBN LCA LIE LKA LBR LSO LTU LUX LVA ' +
  'LBY MAR MCO MDA MNE MAF MDG MHL MKD MLI MMR MNG MAC MNP MTQ MRT MSR MLT MUS MDV MWI MEX MYS MOZ NAM NCL NER ' +
  'NFK NGA NIC NLD NOR NPL NRU NIU NZL OMN PAN PER PYF PNG PHL PAK POL SPM PCN PRI PSE PRT PLW PRY QAT REU ROU ' +
  'SRB RUS RWA SAU SLB SYC SDN SWE SGP SHN SVN SJM SVK SLE SMR SEN SOM SUR SSD STP SLV SXM SYR SWZ TCA TCD ATF ' +
  'TGO THA TJK TKL TLS TKM TUN TON TUR TTO TUV TWN TZA UKR UGA UMI USA URY UZB VAT VCT VEN VGB VIR VNM VUT WLF ' +
  'WSM XKX YEM MYT ZAF ZMB ZWE'

/** What people write for some countries, besides their names. */
const USUAL: Readonly<Record<string, string>> = {
  uk: 'GB',
  england: 'GB',
  scotland: 'GB',
  wales: 'GB',
  'great britain': 'GB',
  britain: 'GB',
  el: 'GR',
  america: 'US',
  holland: 'NL',
  'czech republic': 'CZ',
  turkey: 'TR',
  'ivory coast': 'CI',
  korea: 'KR',
}

/** The longest text that is looked at. */
const LONGEST = 64

/** The code of the country that was probably meant: by `de`, `DEU`, `276`, `Germany`, `ger`, `UK`. `undefined`: nobody can say. */
export function guessCountry(written: unknown): string | undefined {
  if (typeof written === 'number') return guessCountry(String(written).padStart(3, '0'))
  if (typeof written !== 'string' || written.length > LONGEST) return undefined
  const text = plain(written)
  const usual = Object.hasOwn(USUAL, text) ? USUAL[text] : undefined
  if (usual !== undefined) return usual
  // A part of a country, ISO 3166-2: `GB-ENG`.
  const code = /^([a-z]{2})(?:[-_][a-z0-9]{1,3})?$/.exec(text)?.[1]?.toUpperCase() ?? ''
  if (COUNTRIES.has(code)) return code
  return byNumber(text) ?? byThreeLetters(text) ?? byName(text)
}

function plain(text: string): string {
  return text.normalize('NFD').replaceAll(/\p{M}/gu, '').trim().toLowerCase()
}

/** CLDR knows the numbers of ISO 3166-1 as other names of its regions. */
function byNumber(text: string): string | undefined {
  if (!/^[0-9]{3}$/.test(text)) return undefined
  const { region } = new Intl.Locale(`und-${text}`)
  return region !== undefined && COUNTRIES.has(region) ? region : undefined
}

function byThreeLetters(text: string): string | undefined {
  if (text.length !== 3) return undefined
  const place = ALPHA_3.split(' ').indexOf(text.toUpperCase())
  return place === -1 ? undefined : [...COUNTRIES][place]
}

/** By a name in English or in a language of the country, by its beginning, or by a misspelt one. */
function byName(text: string): string | undefined {
  if (text.length < 3) return undefined
  const names = namesOfCountries()
  const exact = names.get(text)
  if (exact !== undefined) return exact
  const beginning = new Set([...names].flatMap(([name, code]) => (name.startsWith(text) ? [code] : [])))
  if (beginning.size === 1) return [...beginning][0]
  return text.length < 5 ? undefined : names.get(didYouMean(text, names.keys()) ?? '')
}

let known: ReadonlyMap<string, string> | undefined

function namesOfCountries(): ReadonlyMap<string, string> {
  if (known !== undefined) return known
  const names = new Map<string, string>()
  const english = new Intl.DisplayNames('en', { type: 'region' })
  for (const code of COUNTRIES) {
    const { language } = new Intl.Locale(`und-${code}`).maximize()
    const own = new Intl.DisplayNames(language, { type: 'region' }).of(code)
    for (const name of [english.of(code), own]) if (name !== undefined) names.set(plain(name), code)
  }
  known = names
  return names
}

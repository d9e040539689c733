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

/** Common names of some countries, in addition to the official ones. */
const USUAL: Readonly<Record<string, string>> = {
  uk: 'GB',
  el: 'GR',
  'great britain': 'GB',
  'united states of america': 'US',
  'czech republic': 'CZ',
  turkey: 'TR',
  'ivory coast': 'CI',
}

/** The longest text that is examined. */
const LONGEST = 64

/**
 * Returns the code of a country that is written in another form: `de`, `DEU`, `276`, `Germany`, `UK`. Misspelled names are
 * not corrected, because they could mean another country.
 */
export function guessCountry(written: unknown): string | undefined {
  if (typeof written !== 'string' || written.length > LONGEST) return undefined
  const text = written.trim().toLowerCase()
  if (Object.hasOwn(USUAL, text)) return USUAL[text]
  const code = text.toUpperCase()
  if (/^[a-z]{2}$/.test(text) && COUNTRIES.has(code)) return code
  return byNumber(text) ?? byThreeLetters(code) ?? namesOfCountries().get(text)
}

export const NO_CITIZENSHIP = 'a locale says which language a person reads, not the citizenship'

/** Whether a text is a locale with a language and a country: `pt-BR`. */
export function isLocale(written: unknown): boolean {
  const country = typeof written === 'string' ? /^[a-z]{2,3}[-_]([a-z]{2})$/i.exec(written)?.[1] : undefined
  return country !== undefined && COUNTRIES.has(country.toUpperCase())
}

/** In CLDR, the ISO 3166-1 numbers are aliases of its regions. */
function byNumber(text: string): string | undefined {
  if (!/^[0-9]{3}$/.test(text)) return undefined
  const { region } = new Intl.Locale(`und-${text}`)
  return region !== undefined && COUNTRIES.has(region) ? region : undefined
}

function byThreeLetters(code: string): string | undefined {
  if (!/^[A-Z]{3}$/.test(code)) return undefined
  return [...COUNTRIES][ALPHA_3.split(' ').indexOf(code)]
}

let known: ReadonlyMap<string, string> | undefined

function namesOfCountries(): ReadonlyMap<string, string> {
  if (known !== undefined) return known
  const english = new Intl.DisplayNames('en', { type: 'region' })
  known = new Map([...COUNTRIES].map((code) => [english.of(code)?.toLowerCase() ?? '', code]))
  return known
}

/**
 * All assigned ISO 3166-1 alpha-2 codes, and XK (Kosovo), which is user-assigned but widely used. Tests compare them with
 * CLDR and with two lists from npm.
 */
export const COUNTRIES: ReadonlySet<string> = new Set(
  (
    'AD AE AF AG AI AL AM AO AQ AR AS AT AU AW AX AZ BA BB BD BE BF BG BH BI BJ BL BM BN BO BQ BR BS BT BV BW BY BZ ' +
    'CA CC CD CF CG CH CI CK CL CM CN CO CR CU CV CW CX CY CZ DE DJ DK DM DO DZ EC EE EG EH ER ES ET FI FJ FK FM FO FR ' +
    'GA GB GD GE GF GG GH GI GL GM GN GP GQ GR GS GT GU GW GY HK HM HN HR HT HU ID IE IL IM IN IO IQ IR IS IT JE JM JO ' +
    'JP KE KG KH KI KM KN KP KR KW KY KZ LA LB LC LI LK LR LS LT LU LV LY MA MC MD ME MF MG MH MK ML MM MN MO MP MQ MR ' +
    'MS MT MU MV MW MX MY MZ NA NC NE NF NG NI NL NO NP NR NU NZ OM PA PE PF PG PH PK PL PM PN PR PS PT PW PY QA RE RO ' +
    'RS RU RW SA SB SC SD SE SG SH SI SJ SK SL SM SN SO SR SS ST SV SX SY SZ TC TD TF TG TH TJ TK TL TM TN TO TR TT TV ' +
    'TW TZ UA UG UM US UY UZ VA VC VE VG VI VN VU WF WS XK YE YT ZA ZM ZW'
  ).split(' '),
)

/** A group of countries, whether their data stays in Europe, and the source of that decision. */
export interface CountryGroup {
  readonly codes: readonly string[]
  /** Whether the default jurisdiction `europe` keeps the data of their citizens. */
  readonly europe: boolean
  readonly because: string
  readonly source: string
  /** The day on which the source was last checked. */
  readonly asOf: string
}

const AS_OF = '2026-11-23'

const NAMED_GROUPS: readonly CountryGroup[] = [
  {
    codes: 'AT BE BG CY CZ DE DK EE ES FI FR GR HR HU IE IT LT LU LV MT NL PL PT RO SE SI SK'.split(' '),
    europe: true,
    because: 'a member state of the European Union',
    source: 'Treaty on European Union, article 52; Regulation (EU) 2016/679, article 3',
    asOf: AS_OF,
  },
  {
    codes: 'IS LI NO'.split(' '),
    europe: true,
    because: 'in the European Economic Area, where the same regulation applies',
    source: 'Decision of the EEA Joint Committee 154/2018',
    asOf: AS_OF,
  },
  {
    codes: ['GB'],
    europe: true,
    because: 'has the same rules in its own law, and London is a location of `europe`',
    source: 'UK GDPR; adequacy decision (EU) 2021/1772, renewed on 19 December 2025 until 27 December 2031',
    asOf: AS_OF,
  },
  {
    codes: ['CH'],
    europe: true,
    because: 'a neighbour whose own data protection law the Union has found adequate',
    source: 'Decision 2000/518/EC',
    asOf: AS_OF,
  },
  {
    codes: 'AX GF GP MF MQ RE YT'.split(' '),
    europe: true,
    because: 'a part of a member state with a code of its own',
    source: 'Treaty on the Functioning of the European Union, article 355(1) and (4)',
    asOf: AS_OF,
  },
  {
    codes: 'AD FO GG GI IM JE MC SM VA'.split(' '),
    europe: true,
    because: 'a small state or territory surrounded by the others; the more protective choice',
    source: 'a choice of this package; adequacy decisions exist for AD, FO, GG, IM and JE',
    asOf: AS_OF,
  },
  {
    codes: 'AR BR CA IL JP KR NZ UY'.split(' '),
    europe: false,
    because: 'found adequate by the Union; this concerns transfers and does not make its citizens European',
    source: 'adequacy decisions of the European Commission',
    asOf: AS_OF,
  },
  {
    codes: 'AL AM AZ BA BY GE MD ME MK RS RU SJ TR UA XK'.split(' '),
    europe: false,
    because:
      'in or near Europe, but outside the European Economic Area; add it to `countries` to keep its data in Europe',
    source: 'a choice of this package',
    asOf: AS_OF,
  },
]

const named = new Set(NAMED_GROUPS.flatMap(({ codes }) => codes))

/** Every code, in exactly one group. */
export const COUNTRY_GROUPS: readonly CountryGroup[] = [
  ...NAMED_GROUPS,
  {
    codes: [...COUNTRIES].filter((code) => !named.has(code)),
    europe: false,
    because: 'outside Europe',
    source: 'ISO 3166-1',
    asOf: AS_OF,
  },
]

/** The countries whose citizens' data the default jurisdiction `europe` keeps. */
export const EUROPE: readonly string[] = COUNTRY_GROUPS.flatMap(({ codes, europe }) => (europe ? codes : []))

/** The European Economic Area, including the parts of its members that have their own code. */
export const EEA: readonly string[] = COUNTRY_GROUPS.flatMap(({ codes, because }) =>
  /^(?:a member state|a part of a member|in the European Economic)/.test(because) ? codes : [],
)

/** Until when data of people in the Union may be stored in London without further measures. */
export const UK_ADEQUACY = {
  until: '2031-12-27',
  source: 'adequacy decision (EU) 2021/1772, renewed on 19 December 2025',
  asOf: AS_OF,
} as const

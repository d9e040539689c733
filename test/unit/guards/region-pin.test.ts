import { decideRegionPin, type RegionFacts } from '../../../src/guards/region-pin.ts'
import { compileJurisdictions, DEFAULT_JURISDICTIONS } from '../../../src/jurisdiction/jurisdictions.ts'
import { describeGuard } from './table.ts'

const EUROPE = { jurisdiction: 'europe', locations: ['london', 'frankfurt'] }
const WORLD = { jurisdiction: 'world', locations: ['dallas'] }

const facts: RegionFacts = {
  here: 'london',
  country: 'DE',
  jurisdictions: compileJurisdictions(DEFAULT_JURISDICTIONS, 'test'),
}

describeGuard({ name: 'regionPin', guard: decideRegionPin, facts }, [
  [
    'allows a European in London',
    {},
    {},
    'ALLOWED',
    {
      outcome: { ...EUROPE, onMisdirected: 'reject' },
      evidence: { here: 'london', jurisdiction: 'europe', source: 'country' },
    },
  ],
  ['allows a European in Frankfurt', {}, { here: 'frankfurt' }, 'ALLOWED'],
  ['allows an American in Dallas', {}, { here: 'dallas', country: 'US' }, 'ALLOWED'],
  ['reads a country in lower case', {}, { country: 'de' }, 'ALLOWED'],
  [
    'refuses a European in Dallas',
    {},
    { here: 'dallas' },
    'REGION_MISDIRECTED',
    {
      outcome: { ...EUROPE, onMisdirected: 'reject' },
      evidence: { here: 'dallas', jurisdiction: 'europe', source: 'country', onMisdirected: 'reject' },
    },
  ],
  [
    'tells the mount that the policy wants a redirect',
    { onMisdirected: 'redirect' },
    { here: 'dallas' },
    'REGION_MISDIRECTED',
    { outcome: { ...EUROPE, onMisdirected: 'redirect' } },
  ],
  [
    'tells the mount that the policy wants a hand-over',
    { onMisdirected: 'handOver' },
    { country: 'US' },
    'REGION_MISDIRECTED',
    { outcome: { ...WORLD, onMisdirected: 'handOver' } },
  ],
  [
    'counts the most protective of several citizenships',
    {},
    { here: 'dallas', country: ['US', 'FR'] },
    'REGION_MISDIRECTED',
  ],
  [
    'allows a person of several citizenships where the most protective admits it',
    {},
    { country: ['US', 'FR'] },
    'ALLOWED',
  ],
  [
    'refuses a person without a country',
    {},
    { country: undefined },
    'REGION_UNKNOWN',
    { outcome: undefined, evidence: { here: 'london' } },
  ],
  [
    'lets the identifier say where the data is, whatever the country',
    {},
    { id: 'world_1', here: 'dallas', country: 'DE' },
    'ALLOWED',
    { evidence: { here: 'dallas', jurisdiction: 'world', source: 'id' } },
  ],
  [
    'refuses the identifier of a European in Dallas',
    {},
    { id: 'europe_1', here: 'dallas', country: undefined },
    'REGION_MISDIRECTED',
  ],
  [
    'takes the country where the identifier names no jurisdiction',
    {},
    { id: '4711', country: 'DE' },
    'ALLOWED',
  ],
  [
    'refuses an identifier that names no jurisdiction, without a country',
    {},
    { id: 'asia_1', country: undefined },
    'REGION_UNKNOWN',
  ],
  ['refuses an empty list of countries', {}, { country: [] }, 'REGION_UNKNOWN'],
  ['refuses a country that is not assigned', {}, { country: 'ZZ' }, 'REGION_UNKNOWN'],
  ['refuses the name of a country in place of its code', {}, { country: 'Germany' }, 'REGION_UNKNOWN'],
  ['refuses a number in place of a country', {}, { country: 49 }, 'REGION_UNKNOWN'],
  [
    'places a person without a country by the fallback',
    { fallback: 'europe' },
    { country: undefined },
    'ALLOWED',
    { evidence: { here: 'london', jurisdiction: 'europe', source: 'fallback' } },
  ],
  [
    'refuses a person whom the fallback places elsewhere',
    { fallback: 'world' },
    { country: undefined },
    'REGION_MISDIRECTED',
  ],
  ['lets a known country win over the fallback', { fallback: 'world' }, {}, 'ALLOWED'],
  [
    'refuses where the fallback is not a jurisdiction of this server',
    { fallback: 'mars' },
    { country: undefined },
    'REGION_UNKNOWN',
    { outcome: undefined, evidence: { here: 'london', jurisdiction: 'mars' } },
  ],
  [
    'does not take the name of an object member for a jurisdiction',
    { fallback: 'constructor' },
    { country: undefined },
    'REGION_UNKNOWN',
  ],
])

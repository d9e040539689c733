import type { JSX } from 'preact'
import type { RegionsView } from '../contract.ts'

type Location = RegionsView['locations'][number]

/** The positions of locations, as east and north in degrees: cities, and the region names of clouds there. */
const PLACES: Readonly<Record<string, readonly [east: number, north: number]>> = {
  amsterdam: [5, 52],
  ashburn: [-77, 39],
  atlanta: [-84, 34],
  bangalore: [78, 13],
  chicago: [-88, 42],
  dallas: [-97, 33],
  dubai: [55, 25],
  dublin: [-6, 53],
  frankfurt: [9, 50],
  hongkong: [114, 22],
  iowa: [-94, 42],
  johannesburg: [28, -26],
  london: [0, 51],
  'los-angeles': [-118, 34],
  madrid: [-4, 40],
  melbourne: [145, -38],
  miami: [-80, 26],
  milan: [9, 45],
  montreal: [-74, 45],
  mumbai: [73, 19],
  'new-york': [-74, 41],
  ohio: [-83, 40],
  oregon: [-121, 45],
  osaka: [135, 35],
  paris: [2, 49],
  'san-francisco': [-122, 38],
  'sao-paulo': [-47, -23],
  seattle: [-122, 48],
  seoul: [127, 37],
  singapore: [104, 1],
  stockholm: [18, 59],
  sydney: [151, -34],
  tokyo: [140, 36],
  toronto: [-79, 44],
  virginia: [-78, 38],
  warsaw: [21, 52],
  zurich: [9, 47],
}

/** Rough outlines of land, drawn by hand: east and north in turn, in degrees. */
const LAND: readonly string[] = [
  // North America
  '-168 66 -156 71 -128 70 -110 68 -95 72 -82 69 -87 64 -94 61 -92 57 -82 55 -80 52 -78 58 -77 62 -70 61 -65 59 -56 52 -65 49 -60 46 -67 44 -71 42 -76 35 -81 31 -80 26 -82 29 -90 29 -97 27 -97 21 -94 18 -91 19 -87 21 -88 16 -83 15 -83 10 -78 8 -83 8 -88 13 -95 16 -105 20 -113 31 -110 23 -117 33 -124 40 -124 48 -131 55 -140 60 -150 60 -163 55 -158 59 -165 62',
  // Greenland, Iceland
  '-45 60 -38 65 -23 70 -20 77 -60 78 -68 76 -55 70 -52 65',
  '-24 65 -18 66 -14 65 -18 63',
  // South America
  '-78 8 -72 12 -62 10 -52 5 -50 0 -35 -6 -39 -14 -41 -22 -48 -26 -53 -33 -57 -36 -62 -39 -65 -43 -68 -50 -69 -54 -74 -52 -74 -44 -73 -37 -70 -20 -76 -14 -81 -5 -80 1',
  // Africa, Madagascar
  '-6 36 10 37 11 33 20 31 32 31 35 27 38 20 43 12 51 12 48 5 41 -3 40 -16 35 -20 32 -28 27 -34 18 -34 15 -27 12 -18 13 -8 9 -1 9 4 4 6 -8 4 -13 8 -17 14 -17 21 -10 30',
  '44 -17 50 -15 47 -25 44 -24',
  // Europe and Asia
  '-9 37 -9 43 -2 43 -1 46 -5 48 2 51 5 53 9 54 8 57 11 56 11 54 20 55 22 58 28 60 22 60 25 65 22 66 17 61 18 58 14 56 11 59 6 58 5 62 14 68 25 71 40 67 34 64 44 68 60 69 68 72 80 73 105 77 113 74 140 73 160 70 178 69 178 65 170 60 163 60 162 56 157 51 156 58 143 59 137 54 141 52 135 43 130 42 129 36 126 35 125 40 118 39 122 37 120 35 122 30 117 23 109 21 108 16 109 12 105 9 100 13 104 1 100 6 98 10 97 16 94 16 91 22 87 21 80 15 80 10 77 8 73 17 72 21 66 25 57 26 50 30 48 30 51 25 56 26 59 22 55 17 45 13 43 16 39 21 35 28 34 31 36 36 27 37 26 40 29 41 41 41 37 45 31 46 28 43 24 40 22 37 19 42 13 46 18 40 16 38 11 43 7 44 3 42 0 39 -2 37',
  '-5 50 1 51 0 53 -2 56 -3 59 -6 57 -3 54 -5 52',
  '-10 52 -6 52 -6 55 -9 54',
  // Japan, Indonesia, New Guinea
  '131 31 136 34 141 36 142 40 145 43 141 45 139 38 132 34',
  '95 5 106 -6 103 -3',
  '109 1 117 7 119 1 115 -4 110 -2',
  '131 -1 141 -3 150 -10 143 -8 135 -4',
  // Australia, New Zealand
  '114 -22 122 -18 130 -12 137 -12 136 -15 141 -17 142 -11 146 -19 153 -27 150 -37 140 -38 131 -31 116 -35',
  '173 -35 178 -38 171 -44 167 -46 172 -41',
]

/** Two units per degree, starting at 170° west and 80° north. */
const across = (east: number): number => (east + 170) * 2
const down = (north: number): number => (80 - north) * 2

const outline = (land: string): string =>
  land
    .split(' ')
    .map((degrees, index) => (index % 2 === 0 ? across(Number(degrees)) : down(Number(degrees))))
    .join(' ')

const KINDS: Readonly<Record<Location['condition'], string>> = {
  current: 'good',
  behind: 'fair',
  away: 'danger',
  foreign: 'danger',
  unknown: 'unknown',
}

/** A location with a position on the map, and the side of its name. */
interface Marker {
  readonly name: string
  readonly kind: string
  readonly x: number
  readonly y: number
  readonly isLeft: boolean
}

/** If the next location to the east is closer than this, in degrees, the name is placed to the west. */
const CLOSE = 40

function markersOf(locations: readonly Location[]): readonly Marker[] {
  const placed = locations.flatMap(({ location, condition }) => {
    const place = Object.hasOwn(PLACES, location) ? PLACES[location] : undefined
    return place === undefined ? [] : [{ name: location, kind: KINDS[condition], place }]
  })
  return placed.map(({ name, kind, place: [east, north] }) => ({
    name,
    kind,
    x: across(east),
    y: down(north),
    isLeft: placed.some(
      ({ name: other, place }) =>
        other !== name && place[0] >= east && place[0] - east < CLOSE && Math.abs(place[1] - north) < 8,
    ),
  }))
}

/** The locations on a map, with the colour and shape of their health. The list next to it says the same in words. */
export function RegionMap({ locations }: { locations: readonly Location[] }): JSX.Element | null {
  const markers = markersOf(locations)
  if (markers.length === 0) return null
  return (
    <figure class="card map">
      <svg viewBox="0 0 700 276" aria-hidden="true">
        {LAND.map((land) => (
          <polygon key={land} points={outline(land)} />
        ))}
        {markers.map(({ name, kind, x, y, isLeft }) => (
          <g key={name} class={kind} transform={`translate(${x} ${y})`}>
            {kind === 'danger' ? <path d="M0-8 8 6H-8Z" /> : <circle r={kind === 'fair' ? 6 : 7} />}
            <text x={isLeft ? -12 : 12} y={5} class={isLeft ? 'left' : ''}>
              {name}
            </text>
          </g>
        ))}
      </svg>
      {markers.length < locations.length && (
        <figcaption class="quiet">
          {locations
            .filter(({ location }) => !Object.hasOwn(PLACES, location))
            .map(({ location }) => location)
            .join(', ')}
          : in the list only, because the map does not know where that is.
        </figcaption>
      )}
    </figure>
  )
}

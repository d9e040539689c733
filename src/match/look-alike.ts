import { unicodeLabels } from './idn.ts'

/**
 * Scripts in general use (UTS 39, table 1 and UAX 31, table 5), and the combinations that Chinese, Japanese and Korean use.
 */
const SINGLE_SCRIPTS: readonly RegExp[] = [
  /^[\p{scx=Latn}\p{sc=Zyyy}\p{sc=Zinh}]+$/u,
  /^[\p{scx=Arab}\p{sc=Zyyy}\p{sc=Zinh}]+$/u,
  /^[\p{scx=Armn}\p{sc=Zyyy}\p{sc=Zinh}]+$/u,
  /^[\p{scx=Beng}\p{sc=Zyyy}\p{sc=Zinh}]+$/u,
  /^[\p{scx=Cyrl}\p{sc=Zyyy}\p{sc=Zinh}]+$/u,
  /^[\p{scx=Deva}\p{sc=Zyyy}\p{sc=Zinh}]+$/u,
  /^[\p{scx=Ethi}\p{sc=Zyyy}\p{sc=Zinh}]+$/u,
  /^[\p{scx=Geor}\p{sc=Zyyy}\p{sc=Zinh}]+$/u,
  /^[\p{scx=Grek}\p{sc=Zyyy}\p{sc=Zinh}]+$/u,
  /^[\p{scx=Gujr}\p{sc=Zyyy}\p{sc=Zinh}]+$/u,
  /^[\p{scx=Guru}\p{sc=Zyyy}\p{sc=Zinh}]+$/u,
  /^[\p{scx=Hebr}\p{sc=Zyyy}\p{sc=Zinh}]+$/u,
  /^[\p{scx=Khmr}\p{sc=Zyyy}\p{sc=Zinh}]+$/u,
  /^[\p{scx=Knda}\p{sc=Zyyy}\p{sc=Zinh}]+$/u,
  /^[\p{scx=Laoo}\p{sc=Zyyy}\p{sc=Zinh}]+$/u,
  /^[\p{scx=Mlym}\p{sc=Zyyy}\p{sc=Zinh}]+$/u,
  /^[\p{scx=Mymr}\p{sc=Zyyy}\p{sc=Zinh}]+$/u,
  /^[\p{scx=Orya}\p{sc=Zyyy}\p{sc=Zinh}]+$/u,
  /^[\p{scx=Sinh}\p{sc=Zyyy}\p{sc=Zinh}]+$/u,
  /^[\p{scx=Taml}\p{sc=Zyyy}\p{sc=Zinh}]+$/u,
  /^[\p{scx=Telu}\p{sc=Zyyy}\p{sc=Zinh}]+$/u,
  /^[\p{scx=Thaa}\p{sc=Zyyy}\p{sc=Zinh}]+$/u,
  /^[\p{scx=Thai}\p{sc=Zyyy}\p{sc=Zinh}]+$/u,
  /^[\p{scx=Tibt}\p{sc=Zyyy}\p{sc=Zinh}]+$/u,
]
/** The combinations with Latin: Chinese with Bopomofo, Japanese, Korean (UTS 39, 5.2, highly restrictive). */
const JOINT_SCRIPTS: readonly RegExp[] = [
  /^[\p{scx=Latn}\p{scx=Hani}\p{scx=Bopo}\p{sc=Zyyy}\p{sc=Zinh}]+$/u,
  /^[\p{scx=Latn}\p{scx=Hani}\p{scx=Hira}\p{scx=Kana}\p{sc=Zyyy}\p{sc=Zinh}]+$/u,
  /^[\p{scx=Latn}\p{scx=Hani}\p{scx=Hang}\p{sc=Zyyy}\p{sc=Zinh}]+$/u,
]

const NO_LETTER = /[^\p{L}\p{M}\p{Nd}_-]|\p{Default_Ignorable_Code_Point}/u
const OTHER_DIGIT = /[^\P{Nd}0-9]/u
// Next to Latin letters, these strokes look like a slash or a hyphen.
const STROKE = /[a-z0-9](?:[ノンソゾ丶丿一ー])|(?:[ノンソゾ丶丿一ー])[a-z0-9]/u

/** Letters of other scripts, and rare Latin letters, that look almost like an ASCII letter. */
const TWINS: ReadonlyMap<string, string> = new Map(
  [
    // Cyrillic, Greek, Armenian
    'аa сc ԁd еe ҽe ԍg һh іi јj ӏl оo рp ԛq ѕs ѵv ԝw ѡw хx уy үy',
    'αa εe ηn γy ιi κk νv οo ρp τt υu χx ωw ϲc ϳj',
    'օo ոn ռn սu հh ցg զq յj լl աw',
    // Latin
    'ıi ɩi ɪi ɑa ɡg ɢg ɣy ʋv ɯw ᴀa ʙb ᴄc ᴅd ᴇe ʜh ᴊj ᴋk ʟl ᴍm ɴn ᴏo ᴘp ʀr ꜱs ᴛt ᴜu ᴠv ᴡw ʏy ᴢz',
  ].flatMap((line) => line.split(' ').map((pair): [string, string] => [pair.slice(0, 1), pair.slice(1)])),
)

/**
 * Why people may mistake a canonical hostname for another one, as a phrase that quotes the label in ASCII: characters that
 * are not letters, letters of scripts that are not written together, two kinds of digits, or only letters that look like
 * Latin ones. `undefined` if there is no problem.
 */
export function lookAlikeProblem(hostname: string): string | undefined {
  if (!hostname.includes('xn--')) return undefined
  const labels = hostname.split('.')
  const unicode = unicodeLabels(hostname)
  // A reader of the last label also reads the other labels in its script.
  const foreignLast = unicode.at(-1) !== labels.at(-1)
  for (const [index, label] of unicode.entries()) {
    if (label === labels[index]) continue
    const problem = labelProblem(label, foreignLast)
    if (problem !== undefined) return `\`${labels[index]}\` ${problem}`
  }
  return undefined
}

function labelProblem(label: string, foreignLast: boolean): string | undefined {
  if (NO_LETTER.test(label)) return 'has characters that are not letters'
  const written = [...SINGLE_SCRIPTS, ...JOINT_SCRIPTS].some((script) => script.test(label))
  if (!written) return 'mixes letters of scripts that are not written together, or has a rare one'
  if (OTHER_DIGIT.test(label) && /[0-9]/.test(label)) return 'mixes digits of two kinds'
  if (STROKE.test(label)) return 'has strokes that read as a slash or a hyphen'
  const twin = Array.from(label, (letter) => TWINS.get(letter) ?? letter).join('')
  if (!foreignLast && /^[a-z0-9_-]+$/.test(twin)) return `looks like \`${twin}\``
  return undefined
}

/** Colours and movements of a terminal, which an output channel shows as they are. */
const ESCAPES = /\u001b(?:\[[0-?]*[ -/]*[@-~]|\][^\u0007\u001b]*(?:\u0007|\u001b\\)|[@-Z\\-_])/g;

/** Text as a terminal would leave it: no escapes, and of a line that was written over its end. */
export function plainText(text: string): string {
  return text.replace(ESCAPES, '').replace(/\r\n/g, '\n').replace(/[^\n]*\r(?=[^\n])/g, '');
}

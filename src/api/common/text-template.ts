// The JSON of chunks that differ in their text alone: there is one for each token, so what they share is written once.
// Pure; imports nothing.

/** A chunk's JSON with this text. */
export type WriteText = (text: string) => string;

/** Writes `chunk` as JSON with a text in the place of its empty string `field`, which no other of its objects has. */
export function textTemplate(chunk: object, field: string): WriteText {
  // Inside a JSON string every quote is escaped: this can only be the field itself.
  const place = `"${field}":""`;
  const json = JSON.stringify(chunk);
  const start = json.indexOf(place) + place.length - 2;
  const before = json.slice(0, start);
  const after = json.slice(start + 2);
  return (text) => before + JSON.stringify(text) + after;
}

// Checks an AsyncAPI description, and holds messages that were recorded against its schemas, in both directions:
//
//     node check.js <description> <record>
//
// Each line of the record is a JSON object: {"server":<message>}, which the server sent, or
// {"client":<message>,"accepted":<boolean>}, which a client sent and the server took or refused. Exits with 1 and the
// faults on stderr if there are any:
//
// - The official parser finds something in the description, or an example does not fit its schema.
// - A schema judges a message otherwise than the server did: it refuses what was sent or taken, or takes what was
//   refused.
// - A part of a schema could as well be missing: none of the recorded messages would be judged otherwise. So every
//   message, field, end of a range, kind of topic and error code that is described has been seen, every rule for
//   clients has been broken once, and fields of the server's that are not described are refused.

import { readFileSync } from "node:fs";
import { Parser } from "@asyncapi/parser";
import { Ajv } from "ajv";
import addFormats from "ajv-formats";

/** Diagnostics of the parser that are no faults. Its newest version knows 3.1, which adds nothing for WebSockets. */
const ALLOWED = ["asyncapi-latest-version"];

/** Keywords that narrow a schema. */
const RULES = "type const minLength maxLength pattern minItems maxItems items minimum maximum oneOf if".split(" ");

/** The ends of ranges, and the keyword that excludes the end itself. */
const ENDS = { minimum: "exclusiveMinimum", maximum: "exclusiveMaximum" };

const [description, record] = process.argv.slice(2).map(path => readFileSync(path, "utf8"));
const faults = [];

/** The schema of each message that one side sends, by the message's name. */
function schemas(document, side) {
  const messages = document.operations().all().flatMap(operation => {
    const asked = operation.isReceive();
    const from = asked ? { client: operation, server: operation.reply() } : { server: operation };
    return from[side]?.messages().all() ?? [];
  });
  return new Map(messages.map(message => [message.id(), message.payload().json()]));
}

// The parser leaves notes of its own in a schema. A mutant may lack what makes sense of what is left.
const strict = addFormats(new Ajv({ strict: true, strictRequired: false })).addKeyword("x-parser-schema-id");
const lax = addFormats(new Ajv({ strict: false, validateSchema: false }));

/** The schema without one of its parts, for each part; with the part's path. An end of a range is left out of it. */
function* mutants(whole, side) {
  for (const path of parts(whole, side)) {
    const mutant = structuredClone(whole);
    const parent = path.slice(0, -1).reduce((place, name) => place[name], mutant);
    const name = path.at(-1);
    if (side === "server" && ENDS[name]) parent[ENDS[name]] = parent[name];
    else if (Array.isArray(parent)) parent.splice(name, 1);
    else delete parent[name];
    yield [path.join("/"), mutant];
  }
}

/** The paths of the parts of a schema: fields, alternatives, values; the rules for clients, the server's ranges. */
function* parts(schema, side, path = []) {
  for (const keyword of ["properties", "anyOf", "allOf", "items"]) {
    if (!(keyword in schema)) continue;
    const children = keyword === "items" ? [[[], schema.items]] : Object.entries(schema[keyword]);
    for (const [name, child] of children) {
      const place = path.concat(keyword, name);
      // By their type messages are told apart, before they are held against a schema.
      if (place.join("/") === "properties/type") continue;
      // Clients may send fields that are not described.
      if (keyword === "anyOf" || (keyword === "properties" && side === "server")) yield place;
      yield* parts(child, side, place);
    }
  }
  for (const index of (schema.enum ?? []).keys()) yield [...path, "enum", index];
  for (const rule of side === "client" ? RULES : Object.keys(ENDS)) {
    // That the whole is an object is known, as it has a type.
    if (rule in schema && (path.length > 0 || rule !== "type")) yield [...path, rule];
  }
}

/** What a schema judges otherwise than the server did, of messages each with whether the server sent or took it. */
function misjudged(valid, messages) {
  return messages.filter(({ message, accepted }) => valid(message) !== accepted);
}

/** Holds the messages of one side against its schemas. */
function judge({ side, schemas, messages }) {
  const undescribed = messages.filter(({ message, accepted }) => accepted && !schemas.has(message.type));
  faults.push(...undescribed.map(({ message }) => `${side}: no message of this type: ${JSON.stringify(message)}`));
  for (const [name, schema] of schemas) {
    if (schema.properties.type.const !== name) faults.push(`${name}: its type must be its name`);
    const [valid, of] = [strict.compile(schema), messages.filter(({ message }) => message.type === name)];
    if (!of.some(({ accepted }) => accepted)) faults.push(`${name}: described, but the ${side} did not send it`);
    for (const { message, accepted } of misjudged(valid, of)) {
      valid(message);
      const why = accepted ? strict.errorsText(valid.errors, { dataVar: name }) : `${name}: the server refused it`;
      faults.push(`${why}: ${JSON.stringify(message).slice(0, 1000)}`);
    }
  }
}

/** Looks for parts of the schemas of one side that no message needs. */
function judgeMutants({ side, schemas, messages }) {
  for (const [name, schema] of schemas) {
    const of = messages.filter(({ message }) => message.type === name);
    for (const [part, mutant] of mutants(schema, side)) {
      if (misjudged(lax.compile(mutant), of).length > 0) continue;
      faults.push(`${name}: nothing that was recorded needs ${part}`);
    }
  }
}

/** Holds the examples of the description against its schemas. */
function judgeExamples(messages, schemas) {
  for (const message of messages) {
    const [name, examples] = [message.id(), message.examples().all()];
    if (!schemas.has(name)) faults.push(`${name}: no operation has it`);
    if (examples.length === 0) faults.push(`${name}: no example`);
    for (const example of schemas.has(name) ? examples : []) {
      if (strict.validate(schemas.get(name), example.payload())) continue;
      faults.push(`the example ${example.name()}: ${strict.errorsText(strict.errors, { dataVar: name })}`);
    }
  }
}

const { document, diagnostics } = await new Parser().parse(description);
for (const { code, message, path, range } of diagnostics.filter(({ code }) => !ALLOWED.includes(code))) {
  faults.push(`line ${range.start.line + 1}, ${path.join(".")}: ${code}: ${message}`);
}
if (document) {
  const lines = [...new Set(record.trimEnd().split("\n"))].map(line => JSON.parse(line));
  const sides = ["client", "server"].map(side => {
    // What the server sends, it accepts.
    const said = lines.filter(line => side in line);
    const messages = said.map(({ accepted = true, [side]: message }) => ({ message, accepted }));
    return { side, schemas: schemas(document, side), messages };
  });
  sides.forEach(judge);
  judgeExamples(document.components().messages().all(), new Map(sides.flatMap(({ schemas }) => [...schemas])));
  if (faults.length === 0) sides.forEach(judgeMutants);
}
if (faults.length > 0) console.error(faults.join("\n"));
process.exitCode = faults.length > 0 ? 1 : 0;

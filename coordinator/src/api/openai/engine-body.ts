import { jsonOf } from './foreign-json.ts';

/** The body of a request for a node that calls the model so. */
export type BodyFor = (model: string) => Uint8Array;

/** A body in bytes with room for the model's name: nothing else of the request has to be kept until a node is chosen. */
export const modelSlot = (before: string, after: string): BodyFor => {
  const [head, tail] = [Buffer.from(before), Buffer.from(after)];
  return (model) => Buffer.concat([head, Buffer.from(JSON.stringify(model)), tail]);
};

/** A body that a surface has made of its own kind of request. Fields without a value are left out. */
export const composedBody = (fields: Readonly<Record<string, unknown>>): BodyFor => {
  const said = Object.entries(fields).filter(([name, value]) => value !== undefined && value !== null && name !== 'model');
  const rest = jsonOf(Object.fromEntries(said)).slice(1);
  return modelSlot('{"model":', rest === '}' ? rest : `,${rest}`);
};

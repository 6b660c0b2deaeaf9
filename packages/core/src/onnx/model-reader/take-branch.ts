import { encodeNode, fieldsOf } from '../proto.js';
import {
  type OnnxInitializer,
  type OnnxModel,
  type OnnxNode,
  parseModel,
  readInitializer,
  readNode,
} from './read-model.js';

/** Field numbers of onnx.proto3. */
const NODE = { attribute: 5 } as const;
const ATTRIBUTE = { name: 1, graph: 6 } as const;
const GRAPH = { node: 1, initializer: 5, output: 12 } as const;
const VALUE_NAME = 1;

/**
 * The model as it computes where one of its inputs, a bool, has a known value: the nodes of that branch in the place of
 * every If that the input decides. ONNX lets no name of a body hide one outside of it, so they stand as they are.
 * @returns the model itself where no If reads the input
 * @throws ScorerError `ONNX_INVALID`
 */
export function takeBranch(model: OnnxModel, input: string, value: boolean): OnnxModel {
  const initializers = new Map(model.initializers);
  let isChanged = false;
  const nodes = model.nodes.flatMap((node) => {
    if (node.operator !== 'If' || node.inputs[0] !== input) return node;
    isChanged = true;
    const body = parseModel(model.files[0]!, () => branchOf(node, value ? 'then_branch' : 'else_branch'));
    for (const [name, initializer] of body.initializers) initializers.set(name, initializer);
    return body.nodes;
  });
  return isChanged ? { ...model, nodes, initializers } : model;
}

function branchOf(node: OnnxNode, branch: string): { nodes: OnnxNode[]; initializers: Map<string, OnnxInitializer> } {
  const nodes: OnnxNode[] = [];
  const outputs: string[] = [];
  const initializers = new Map<string, OnnxInitializer>();
  for (const { number, payload } of fieldsOf(bodyOf(node, branch))) {
    if (number === GRAPH.node) nodes.push(readNode(payload!).node);
    if (number === GRAPH.initializer) {
      const { name, ...initializer } = readInitializer(payload!);
      initializers.set(name, initializer);
    }
    if (number === GRAPH.output) outputs.push(textField(payload!, VALUE_NAME));
  }
  // The outputs of a body are those of the If in their order, whatever their names.
  for (const [i, name] of node.outputs.entries()) {
    const output = outputs[i];
    if (output === undefined) throw new Error(`${branch} has too few outputs`);
    if (name === '' || name === output) continue;
    nodes.push(readNode(encodeNode({ opType: 'Identity', input: [output], output: [name] })).node);
  }
  return { nodes, initializers };
}

function bodyOf({ bytes }: OnnxNode, branch: string): Uint8Array {
  for (const { number, payload } of fieldsOf(bytes)) {
    if (number !== NODE.attribute || textField(payload!, ATTRIBUTE.name) !== branch) continue;
    for (const field of fieldsOf(payload!)) if (field.number === ATTRIBUTE.graph) return field.payload!;
  }
  throw new Error(`an If has no ${branch}`);
}

function textField(message: Uint8Array, wanted: number): string {
  for (const { number, payload } of fieldsOf(message)) {
    if (number === wanted && payload) return Buffer.from(payload).toString('utf8');
  }
  return '';
}

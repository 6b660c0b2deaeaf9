export { permutation, type RandomStream, randomStream, sampleAscending, shuffle } from './random.js';

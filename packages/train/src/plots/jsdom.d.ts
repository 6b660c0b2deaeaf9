/** The part of jsdom that is used here: @types/jsdom would bring the DOM's globals into a package that runs in Node. */
declare module 'jsdom' {
  export class VirtualConsole {}
  export class JSDOM {
    constructor(markup: string, options?: JSDOMOptions);
    readonly window: DOMWindow;
  }
  export interface JSDOMOptions {
    runScripts?: 'outside-only' | 'dangerously';
    virtualConsole?: VirtualConsole;
    beforeParse?: (window: DOMWindow) => void;
  }
  export interface DOMWindow {
    eval(source: string): unknown;
    close(): void;
    readonly document: { readonly body: DOMElement } & DOMParent;
    XMLSerializer: new () => { serializeToString(node: SVGElement): string };
    SVGElement: { prototype: SVGElement };
  }
  interface DOMParent {
    querySelector(selector: string): DOMElement | null;
    querySelectorAll(selector: string): Iterable<DOMElement> & { readonly length: number };
  }
  export interface DOMElement extends DOMParent {
    readonly tagName: string;
    readonly textContent: string;
    getAttribute(name: string): string | null;
  }
  export interface SVGElement extends DOMElement {
    readonly style: { fontSize: string };
    getBBox(): Rectangle;
    getBoundingClientRect(): Rectangle;
  }
  export interface Rectangle {
    x: number;
    y: number;
    width: number;
    height: number;
    left: number;
    top: number;
    right: number;
    bottom: number;
  }
}

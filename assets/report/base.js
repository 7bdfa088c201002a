/**
 * What the other scripts of the page share. Scripts that are inlined cannot import each other, so they meet in one
 * global object.
 *
 * Everything is made with `make`, which knows text and attributes but no markup: what a model wrote stays text. The
 * page's policy (trusted types) enforces the same.
 */
'use strict';

(() => {
  /**
   * An element with attributes and children; strings become text.
   *
   * @param {string} tag
   * @param {Record<string, string | number>} [attributes]
   * @param {...(Node | string)} children
   * @returns {HTMLElement}
   */
  function make(tag, attributes = {}, ...children) {
    return fill(document.createElement(tag), attributes, children);
  }

  /** The same for drawings. */
  function draw(tag, attributes = {}, ...children) {
    return fill(document.createElementNS('http://www.w3.org/2000/svg', tag), attributes, children);
  }

  function fill(element, attributes, children) {
    for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, String(value));
    element.append(...children);
    return element;
  }

  const formatters = new Map();

  /**
   * A number as the rest of the page writes it.
   *
   * @param {number | null} value
   * @param {Intl.NumberFormatOptions} [format]
   */
  function formatNumber(value, format = { maximumSignificantDigits: 3 }) {
    if (value === null) return '–';
    const key = JSON.stringify(format);
    let formatter = formatters.get(key);
    if (!formatter) formatters.set(key, (formatter = new Intl.NumberFormat('en', format)));
    return formatter.format(value).replace('-', '−');
  }

  /**
   * A table in a box that scrolls by itself, and can be reached by keyboard to do so.
   *
   * @param {string} caption
   * @param {string[]} names of the columns
   * @param {string[][]} rows the first cell of each is its heading
   */
  function makeTable(caption, names, rows) {
    const head = names.map((name, i) => make('th', { scope: 'col', class: i > 0 ? 'number' : 'text' }, name));
    const body = rows.map(([first, ...rest]) =>
      make(
        'tr',
        {},
        make('th', { scope: 'row', class: 'text' }, first),
        ...rest.map((text) => make('td', { class: 'number' }, text)),
      ),
    );
    return make(
      'div',
      { class: 'scroll', role: 'region', 'aria-label': caption, tabindex: 0 },
      make(
        'table',
        {},
        make('caption', {}, caption),
        make('thead', {}, make('tr', {}, ...head)),
        make('tbody', {}, ...body),
      ),
    );
  }

  globalThis.reportPage = { make, draw, formatNumber, makeTable };
})();

/** What tests ask a page about itself. Runs in the browser, before the page's own scripts. */
'use strict';

globalThis.checks = {
  /** Each canvas: its name, its size, and how many of its pixels are painted. */
  canvases() {
    return [...document.querySelectorAll('canvas')].map((canvas) => {
      const { width, height } = canvas;
      const { data } = canvas.getContext('2d').getImageData(0, 0, width, height);
      const colors = new Set();
      let painted = 0;
      for (let i = 0; i < data.length; i += 4) {
        if (data[i + 3] === 0) continue;
        painted++;
        colors.add((data[i] << 16) | (data[i + 1] << 8) | data[i + 2]);
      }
      return {
        id: canvas.id,
        name: canvas.getAttribute('aria-label'),
        width,
        height,
        painted,
        colors: colors.size,
      };
    });
  },

  /** A number that changes with any pixel of a chart. */
  picture(id) {
    const canvas = document.getElementById(id);
    const { data } = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height);
    return data.reduce((hash, value) => (Math.imul(hash, 31) + value) | 0, 7);
  },

  /** Pixels by which the page is wider than the window. */
  overflow() {
    return document.documentElement.scrollWidth - innerWidth;
  },

  /** Least contrast between the text of the elements and what lies behind them. */
  contrast(selector) {
    const parse = (color) => color.match(/[\d.]+/g).map(Number);
    const luminance = (rgb) => {
      const [r, g, b] = rgb.map((value) => {
        const share = value / 255;
        return share <= 0.04045 ? share / 12.92 : ((share + 0.055) / 1.055) ** 2.4;
      });
      return 0.2126 * r + 0.7152 * g + 0.0722 * b;
    };
    const groundOf = (element) => {
      for (let current = element; current; current = current.parentElement) {
        const ground = parse(getComputedStyle(current).backgroundColor);
        if ((ground[3] ?? 1) > 0) return ground;
      }
      throw new Error('nothing lies behind the text');
    };
    const ratios = [...document.querySelectorAll(selector)].map((element) => {
      const pair = [parse(getComputedStyle(element).color), groundOf(element)];
      const [dark, light] = pair.map((color) => luminance(color.slice(0, 3))).sort((a, b) => a - b);
      return (light + 0.05) / (dark + 0.05);
    });
    return ratios.length === 0 ? 0 : Math.min(...ratios);
  },

  /** How light what lies behind the page is, 0 to 255. */
  ground() {
    return Number(getComputedStyle(document.documentElement).backgroundColor.match(/\d+/)[0]);
  },

  structure() {
    const all = (selector) => [...document.querySelectorAll(selector)];
    return {
      language: document.documentElement.lang,
      h1: all('h1').length,
      landmarks: ['header', 'nav', 'main', 'footer'].filter((tag) => all(tag).length !== 1),
      sectionsWithoutHeading: all('section').filter(
        (section) => !document.getElementById(section.getAttribute('aria-labelledby'))?.matches('h2'),
      ).length,
      tables: all('table').length,
      tablesWithoutCaption: all('table').filter((table) => !table.caption?.textContent.trim()).length,
      headersWithoutScope: all('th:not([scope])').length,
      rowsWithoutHeader: all('tbody tr').filter((row) => !row.querySelector('th[scope=row]')).length,
      chartsWithoutName: all('canvas').filter(
        (canvas) => canvas.getAttribute('role') !== 'img' || !canvas.getAttribute('aria-label'),
      ).length,
      fieldsWithoutLabel: all('input, select').filter((field) => field.labels.length === 0).length,
    };
  },

  /** Opens everything that can be opened. */
  openAll() {
    for (const details of document.querySelectorAll('details')) details.open = true;
  },

  rows() {
    return [...document.querySelectorAll('.records tbody tr')].map((row) => row.textContent);
  },
};
